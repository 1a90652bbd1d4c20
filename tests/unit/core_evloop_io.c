// SPDX-License-Identifier: BSD-2-Clause
/* I/O on files: whole requests, short ones, errors, early ends; on every engine of the loop. */
#include <semaphore.h>

#include "tests/harness/test.h"

#define HELPERS 4 /* a loop has at most */

struct bench {
    struct evloop *loop;
    int fd;
    unsigned left; /* of what was asked for */
    unsigned enough;
    bool submitting;
};

struct job {
    struct ev_io io;
    struct bench *b;
    int64_t result;
    unsigned ends;
    unsigned again; /* asks for itself so often more */
};

static void bench_init(struct bench *b)
{
    *b = (struct bench){.fd = memfd_create("test", MFD_CLOEXEC)};
    cr_assert_geq(b->fd, 0);
    cr_assert_eq(evloop_create(&b->loop, "io", &clock_host), 0);
}

static void bench_end(struct bench *b)
{
    evloop_destroy(b->loop);
    close(b->fd);
}

#define OnBench(suite, name) TestWith(suite, name, struct bench, b, bench_init(b), bench_end(b))

static void submit(struct job *j)
{
    j->b->left++;
    j->b->submitting = true;
    evloop_io(j->b->loop, &j->io);
    j->b->submitting = false;
}

static void on_done(struct ev_io *io, int64_t result)
{
    struct job *j = container_of(io, struct job, io);
    cr_assert_not(j->b->submitting);
    j->result = result;
    j->ends++;
    j->b->left--;
    if (j->again > 0) {
        j->again--;
        submit(j);
    }
}

static void job_init(struct job *j, struct bench *b, enum ev_io_op op, const struct iovec *iov,
                     unsigned iov_count, uint64_t offset)
{
    *j = (struct job){.b = b};
    j->io = (struct ev_io){.done = on_done,
                           .op = op,
                           .fd = b->fd,
                           .iov = iov,
                           .iov_count = iov_count,
                           .offset_bytes = offset};
}

static int64_t do_io(struct bench *b, enum ev_io_op op, const struct iovec *iov, unsigned iov_count,
                     uint64_t offset)
{
    struct job j;
    job_init(&j, b, op, iov, iov_count, offset);
    submit(&j);
    cr_assert_eq(j.ends, 0);
    evloop_drain(b->loop);
    cr_assert_eq(j.ends, 1);
    return j.result;
}

OnBench(core_evloop_io, what_is_written_is_read)
{
    char out[3][5] = {"abcd", "efgh", "ijkl"}, in[15] = "";
    struct iovec w[3] = {{out[0], 4}, {out[1], 4}, {out[2], 4}}, r = {in, 12};
    cr_assert_eq(do_io(b, EV_IO_WRITEV, w, 3, 7), 12);
    cr_assert_eq(do_io(b, EV_IO_FDATASYNC, NULL, 0, 0), 0);
    cr_assert_eq(do_io(b, EV_IO_READV, &r, 1, 7), 12);
    cr_assert_str_eq(in, "abcdefghijkl");
    cr_assert_eq(do_io(b, EV_IO_WRITEV, w, 1, 0), 4);
    cr_assert_eq(do_io(b, EV_IO_READV, (struct iovec[]){{in, 3}, {in + 3, 4}}, 2, 6), 7);
    cr_assert(memcmp(in, "\0abcdef", 7) == 0);
}

Test(core_evloop_io, short_transfers_and_errors_are_reported_as_they_are)
{
    struct bench b;
    char bytes[64] = "";
    struct iovec v = {bytes, sizeof(bytes)};
    bench_init(&b);
    cr_assert_eq(ftruncate(b.fd, 10), 0);
    cr_assert_eq(do_io(&b, EV_IO_READV, &v, 1, 4), 6);
    cr_assert_eq(do_io(&b, EV_IO_READV, &v, 1, 10), 0);
    struct job bad;
    job_init(&bad, &b, EV_IO_READV, &v, 1, 0);
    bad.io.fd = -1;
    submit(&bad);
    evloop_drain(b.loop);
    cr_assert_eq(bad.result, -EBADF);
    v.iov_base = NULL;
    cr_assert_eq(do_io(&b, EV_IO_READV, &v, 1, 0), -EFAULT);
    bench_end(&b);
}

OnBench(core_evloop_io, a_thousand_vectors_are_one_request)
{
    enum { N = 1024 };
    static char bytes[N], back[N];
    struct iovec v[N];
    for (unsigned i = 0; i < N; i++) {
        bytes[i] = (char)(i % 251);
        v[i] = (struct iovec){&bytes[i], 1};
    }
    cr_assert_eq(do_io(b, EV_IO_WRITEV, v, N, 0), N);
    for (unsigned i = 0; i < N; i++)
        v[i].iov_base = &back[N - 1 - i];
    cr_assert_eq(do_io(b, EV_IO_READV, v, N, 0), N);
    for (unsigned i = 0; i < N; i++)
        cr_assert_eq(back[N - 1 - i], bytes[i]);
}

OnBench(core_evloop_io, fallocate_gives_and_takes_storage)
{
    struct stat st;
    char byte = 'x';
    struct job j;
    job_init(&j, b, EV_IO_FALLOCATE, NULL, 0, 0);
    j.io.bytes = 1 << 20;
    submit(&j);
    evloop_drain(b->loop);
    cr_assert_eq(j.result, 0);
    cr_assert_eq(fstat(b->fd, &st), 0);
    cr_assert_eq(st.st_size, 1 << 20);
    cr_assert_eq(pwrite(b->fd, &byte, 1, 5000), 1);
    j.io.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    j.io.offset_bytes = 4096;
    j.io.bytes = 4096;
    submit(&j);
    evloop_drain(b->loop);
    cr_assert_eq(j.result, 0);
    cr_assert_eq(pread(b->fd, &byte, 1, 5000), 1);
    cr_assert_eq(byte, 0);
}

/* Whoever uses a struct ev_io again leaves there what the last operation had, which may be gone. */
Test(core_evloop_io, only_transfers_look_at_vectors)
{
    const size_t bytes = 4096;
    struct bench b;
    struct job j;
    struct iovec *gone = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(gone, MAP_FAILED);
    bench_init(&b);
    for (unsigned count = 1; count <= 2; count++) {
        cr_expect_eq(do_io(&b, EV_IO_FDATASYNC, gone, count, 0), 0);
        job_init(&j, &b, EV_IO_FALLOCATE, gone, count, 0);
        j.io.bytes = bytes;
        submit(&j);
        evloop_drain(b.loop);
        cr_expect_eq(j.result, 0);
    }
    bench_end(&b);
    munmap(gone, bytes);
}

/* More than any ring holds, each of which asks for itself again when it is done. */
OnBench(core_evloop_io, there_may_be_more_than_there_is_room_for)
{
    enum { N = 5000 };
    static struct job jobs[N];
    static uint32_t words[N];
    static struct iovec v[N];
    for (unsigned i = 0; i < N; i++) {
        words[i] = i * 2654435761u;
        v[i] = (struct iovec){&words[i], sizeof(words[i])};
        job_init(&jobs[i], b, EV_IO_WRITEV, &v[i], 1, i * sizeof(words[i]));
        jobs[i].again = i % 3;
        submit(&jobs[i]);
    }
    cr_assert_eq(b->left, N);
    evloop_drain(b->loop);
    cr_assert_eq(b->left, 0);
    for (uint32_t i = 0, got; i < N; i++) {
        cr_assert_eq(jobs[i].ends, 1 + i % 3);
        cr_assert_eq(jobs[i].result, sizeof(words[i]));
        cr_assert_eq(pread(b->fd, &got, sizeof(got), (off_t)(i * sizeof(got))), sizeof(got));
        cr_assert_eq(got, words[i]);
    }
}

/* io_uring copies what is in memory while it is handed in, and the loop stands still meanwhile. */
Test(core_evloop_io, a_system_call_copies_little)
{
    enum { N = 16, BYTES = 1 << 20 };
    static uint8_t data[BYTES];
    struct iovec v = {data, sizeof(data)};
    struct job jobs[N];
    struct evloop_stats before, after;
    struct bench b;
    bench_init(&b);
    if (strcmp(evloop_engine(b.loop), "io_uring") != 0)
        cr_skip_test("helper threads copy");
    evloop_stats(b.loop, &before);
    for (unsigned i = 0; i < N; i++) {
        job_init(&jobs[i], &b, EV_IO_WRITEV, &v, 1, (uint64_t)i * BYTES);
        submit(&jobs[i]);
    }
    evloop_drain(b.loop);
    evloop_stats(b.loop, &after);
    for (unsigned i = 0; i < N; i++)
        cr_expect_eq(jobs[i].result, BYTES);
    cr_expect_geq(after.system_calls - before.system_calls, N / 2, "two of them at a time");
    bench_end(&b);
}

/* ---- waiting and ending early ---- */

static bool none_left(void *ctx)
{
    struct bench *b = ctx;
    return b->left == 0;
}

static void never(void *ctx)
{
    (void)ctx;
    cr_assert_fail("the wait has run something else");
}

static void never_fd(void *ctx, uint32_t events)
{
    (void)events;
    never(ctx);
}

static void count_fd(void *ctx, uint32_t events)
{
    (void)events;
    ++*(unsigned *)ctx;
}

OnBench(core_evloop_io, a_wait_runs_only_what_it_waits_for)
{
    enum { N = 40 };
    struct job jobs[N];
    char bytes[N];
    struct iovec v[N];
    unsigned events = 0;
    int fd = eventfd(1, EFD_NONBLOCK);
    struct ev_fd ev = {.cb = never_fd};
    struct ev_timer timer = {.cb = never};
    struct ev_defer defer = {.cb = never};
    cr_assert_eq(evloop_event_add(b->loop, &ev, fd), 0);
    evloop_timer_set(b->loop, &timer, 1);
    evloop_defer(b->loop, &defer);
    for (unsigned i = 0; i < N; i++) {
        v[i] = (struct iovec){&bytes[i], 1};
        job_init(&jobs[i], b, EV_IO_WRITEV, &v[i], 1, i);
        jobs[i].again = 2;
        submit(&jobs[i]);
    }
    evloop_io_wait(b->loop, none_left, b);
    cr_assert_eq(b->left, 0);
    for (unsigned i = 0; i < N; i++)
        cr_assert_eq(jobs[i].ends, 3);
    /* What it has left is there afterwards. */
    evloop_timer_cancel(b->loop, &timer);
    evloop_defer_cancel(b->loop, &defer);
    ev.cb = count_fd;
    ev.ctx = &events;
    evloop_drain(b->loop);
    cr_assert_eq(events, 1);
    evloop_fd_del(b->loop, &ev);
    close(fd);
}

/* What keeps every helper, so that no I/O begins on one. */
struct hold {
    sem_t begun, go;
    struct ev_work works[HELPERS];
};

static void hold_run(void *ctx)
{
    struct hold *h = ctx;
    sem_post(&h->begun);
    sem_wait(&h->go);
}

static void hold_done(void *ctx)
{
    (void)ctx;
}

static void hold_helpers(struct hold *h, struct evloop *loop)
{
    sem_init(&h->begun, 0, 0);
    sem_init(&h->go, 0, 0);
    for (unsigned i = 0; i < HELPERS; i++) {
        h->works[i] = (struct ev_work){.run = hold_run, .done = hold_done, .ctx = h};
        evloop_work(loop, &h->works[i]);
    }
    for (unsigned i = 0; i < HELPERS; i++)
        sem_wait(&h->begun);
}

static void let_helpers_go(struct hold *h)
{
    for (unsigned i = 0; i < HELPERS; i++)
        sem_post(&h->go);
}

OnBench(core_evloop_io, what_has_not_begun_is_cancelled)
{
    enum { N = 3000 };
    static struct job jobs[N];
    char byte = 'x';
    struct iovec v = {&byte, 1};
    struct hold hold;
    hold_helpers(&hold, b->loop);
    for (unsigned i = 0; i < N; i++) {
        job_init(&jobs[i], b, i % 2 ? EV_IO_WRITEV : EV_IO_FDATASYNC, &v, 1, i);
        submit(&jobs[i]);
    }
    for (unsigned i = 0; i < N; i++) {
        evloop_io_cancel(b->loop, &jobs[i].io);
        evloop_io_cancel(b->loop, &jobs[i].io);
    }
    cr_assert_eq(b->left, N); /* never inside the call */
    let_helpers_go(&hold);
    evloop_io_wait(b->loop, none_left, b);
    for (unsigned i = 0; i < N; i++) {
        cr_assert_eq(jobs[i].ends, 1);
        cr_assert_eq(jobs[i].result, -ECANCELED);
    }
    evloop_drain(b->loop);
    cr_assert_eq(lseek(b->fd, 0, SEEK_END), 0);
}

static bool some_left(void *ctx)
{
    const struct bench *b = ctx;
    return b->left < b->enough;
}

/* When some have ended, whatever the others are at. */
OnBench(core_evloop_io, what_is_cancelled_ends_exactly_once)
{
    enum { N = 3000 };
    static struct job jobs[N];
    char byte = 'x';
    struct iovec v = {&byte, 1};
    for (unsigned i = 0; i < N; i++) {
        job_init(&jobs[i], b, i % 2 ? EV_IO_WRITEV : EV_IO_FDATASYNC, &v, 1, i);
        submit(&jobs[i]);
    }
    b->enough = N - 10;
    evloop_io_wait(b->loop, some_left, b);
    for (unsigned i = 0; i < N; i++)
        if (jobs[i].ends == 0)
            evloop_io_cancel(b->loop, &jobs[i].io);
    evloop_io_wait(b->loop, none_left, b);
    evloop_drain(b->loop);
    for (unsigned i = 0; i < N; i++) {
        cr_assert_eq(jobs[i].ends, 1);
        cr_assert(jobs[i].result == -ECANCELED || jobs[i].result == i % 2);
    }
}

/* ---- the loop's thread comes and goes ---- */

static int submit_call(void *arg)
{
    submit(arg);
    return 0;
}

static int cancel_call(void *arg)
{
    struct job *j = arg;
    evloop_io_cancel(j->b->loop, &j->io);
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void io_over_threads(struct bench *b, struct job *jobs, unsigned count)
{
    for (unsigned round = 0; round < 20; round++) {
        cr_assert_eq(evloop_start_thread(b->loop), 0);
        for (unsigned i = 0; i < count; i++)
            evloop_call(b->loop, submit_call, &jobs[i]);
        evloop_stop_thread(b->loop);
        evloop_io_wait(b->loop, none_left, b);
        for (unsigned i = 0; i < count; i++)
            cr_assert_eq(jobs[i].ends, round + 1);
    }
}

OnBench(core_evloop_io, what_is_out_when_the_thread_ends_is_done_all_the_same)
{
    enum { N = 64 };
    static struct job jobs[N];
    char byte = 'x';
    struct iovec v = {&byte, 1};
    for (unsigned i = 0; i < N; i++)
        job_init(&jobs[i], b, i % 4 ? EV_IO_WRITEV : EV_IO_FDATASYNC, &v, 1, i);
    io_over_threads(b, jobs, N);
    for (unsigned i = 0; i < N; i++)
        cr_assert_eq(jobs[i].result, i % 4 ? 1 : 0);
}

/* What nothing ends does not hold its thread up, and goes on in the next. */
OnBench(core_evloop_io, what_waits_when_the_thread_ends_goes_on_in_the_next)
{
    struct job j;
    char byte = 0;
    struct iovec v = {&byte, 1};
    int fds[2];
    if (strcmp(evloop_engine(b->loop), "io_uring") != 0)
        cr_skip_test("a helper cannot give a read up");
    cr_assert_eq(pipe(fds), 0);
    job_init(&j, b, EV_IO_READV, &v, 1, 0);
    j.io.fd = fds[0];
    submit(&j);
    for (unsigned round = 0; round < 5; round++) {
        cr_assert_eq(evloop_start_thread(b->loop), 0);
        evloop_call(b->loop, nothing, NULL);
        evloop_stop_thread(b->loop);
        cr_assert_eq(j.ends, 0);
    }
    cr_assert_eq(write(fds[1], "y", 1), 1);
    evloop_io_wait(b->loop, none_left, b);
    cr_assert_eq(j.ends, 1);
    cr_assert_eq(j.result, 1);
    cr_assert_eq(byte, 'y');

    submit(&j);
    evloop_io_cancel(b->loop, &j.io);
    evloop_drain(b->loop);
    cr_assert_eq(j.result, -ECANCELED);
    submit(&j);
    cr_assert_eq(evloop_start_thread(b->loop), 0);
    evloop_call(b->loop, cancel_call, &j);
    evloop_stop_thread(b->loop);
    evloop_io_wait(b->loop, none_left, b);
    cr_assert_eq(j.result, -ECANCELED);
    cr_assert_eq(j.ends, 3);
    close(fds[0]);
    close(fds[1]);
}
