// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a crash may take and what it may not.
 *
 * The promise (VIRTIO 1.4 5.2.6.2): a write that was answered before a flush was asked for is on
 * stable storage when that flush is answered. A recorder at the bottom of a stack of backends is a
 * disk with a volatile cache: it completes what it has in any order and keeps a log of that, in
 * which the device above notes what it was told. The log is then cut at every place, as if the
 * power had failed there: of the writes that no flush of the recorder covers any may be lost, and
 * the promises made until there are held against what must be left.
 */

#include "core/base/fail.h"
#include "devices/backend/bucket.h"
#include "devices/disk/blk_file.h"
#include "devices/disk/blk_overlay.h"
#include "devices/disk/filter/blk_fault.h"
#include "devices/disk/filter/blk_limit.h"
#include "tests/harness/blkio.h"
#include "tests/harness/fake.h"
#include "tests/harness/test.h"

#define PLACES      8 /* on the disk; a write fills one */
#define PLACE_BYTES 2048
#define DEPTH       24 /* requests at once */
#define LOG_MAX     20000

/* ---- the log ---- */

enum event {
    STORED,      /* recorder: a write is in its cache */
    FLUSH_BEGUN, /* recorder */
    FLUSHED,     /* recorder */
    ANSWERED,    /* device: a write, with success */
    ASKED,       /* device: for a flush */
    PROMISED,    /* device: that flush was answered, with success */
};

struct entry {
    enum event event;
    unsigned id;    /* which flush */
    unsigned place; /* of a write */
    uint64_t number;
};

static struct entry events[LOG_MAX];
static unsigned event_count;

static void note(enum event event, unsigned id, unsigned place, uint64_t number)
{
    BUG_ON(event_count == LOG_MAX);
    events[event_count++] = (struct entry){event, id, place, number};
}

/* For each place the number of the last write. Of one place one write is out at a time. */
struct state {
    uint64_t number[PLACES];
};

/* Where the event with that id is, looking back from a place in the log. */
static unsigned look_back(unsigned from, enum event event, unsigned id)
{
    while (events[from].event != event || events[from].id != id)
        BUG_ON(from-- == 0);
    return from;
}

static void take_over(struct state *s, enum event event, unsigned end)
{
    for (unsigned i = 0; i < end; i++)
        if (events[i].event == event)
            s->number[events[i].place] = max_u64(s->number[events[i].place], events[i].number);
}

/*
 * Cuts the log everywhere. What must be left grows only with FLUSHED, what was promised only with
 * PROMISED; every state that a crash may leave has at least the first. Returns broken promises.
 */
static unsigned broken_promises(unsigned *promises)
{
    struct state left = {{0}}, promised = {{0}};
    unsigned broken = 0;
    *promises = 0;
    for (unsigned i = 0; i < event_count; i++) {
        if (events[i].event == FLUSHED)
            take_over(&left, STORED, look_back(i, FLUSH_BEGUN, events[i].id));
        if (events[i].event == PROMISED) {
            take_over(&promised, ANSWERED, look_back(i, ASKED, events[i].id));
            ++*promises;
        }
        for (unsigned place = 0; place < PLACES; place++)
            broken += left.number[place] < promised.number[place];
    }
    return broken;
}

/* ---- the recorder ---- */

struct recorder {
    struct blk_backend b;
    struct blk_req *out[4 * DEPTH];
    unsigned flush_id[4 * DEPTH];
    unsigned count;
    unsigned flushes, changes;
};

static uint64_t number_of(const struct blk_req *req)
{
    uint64_t number;
    memcpy(&number, req->iov[0].iov_base, sizeof(number));
    return number;
}

static void recorder_submit(struct blk_backend *b, struct blk_req *req)
{
    struct recorder *r = container_of(b, struct recorder, b);
    BUG_ON(r->count == ARRAY_SIZE(r->out));
    r->out[r->count] = req;
    r->flush_id[r->count] = r->flushes;
    if (req->op == BLK_FLUSH)
        note(FLUSH_BEGUN, r->flushes++, 0, 0);
    r->changes += req->op != BLK_READ;
    r->count++;
}

/* One of those that are out, whichever. A write that was cut does not count: its end is missing. */
static void recorder_step(struct recorder *r)
{
    if (r->count == 0)
        return;
    unsigned i = (unsigned)rand() % r->count;
    struct blk_req *req = r->out[i];
    if (req->op == BLK_FLUSH)
        note(FLUSHED, r->flush_id[i], 0, 0);
    else if (req->op == BLK_WRITE && req->bytes == PLACE_BYTES)
        note(STORED, 0, (unsigned)(req->offset_bytes / PLACE_BYTES), number_of(req));
    r->count--;
    r->out[i] = r->out[r->count];
    r->flush_id[i] = r->flush_id[r->count];
    req->done(req, 0);
}

static void recorder_drain(struct blk_backend *b)
{
    struct recorder *r = container_of(b, struct recorder, b);
    while (r->count > 0)
        recorder_step(r);
}

static void recorder_destroy(struct blk_backend *b)
{
    recorder_drain(b);
}

static const struct blk_backend_ops recorder_ops = {
    .submit = recorder_submit,
    .drain = recorder_drain,
    .destroy = recorder_destroy,
};

/* ---- the device ---- */

struct wish {
    struct blk_req req;
    struct iovec iov;
    uint64_t data[PLACE_BYTES / sizeof(uint64_t)];
    unsigned id, place;
    bool out;
};

static struct fake_clock now;
static struct clock fake;
static struct evloop *loop;
static struct recorder recorder;
static struct blk_backend *disk;
static struct wish wishes[DEPTH];
static bool place_busy[PLACES];
static unsigned wishes_out, flush_wishes;
static uint64_t last_number;

static void wish_done(struct blk_req *req, int result)
{
    struct wish *w = container_of(req, struct wish, req);
    BUG_ON(!w->out);
    w->out = false;
    wishes_out--;
    if (req->op == BLK_FLUSH && result == 0)
        note(PROMISED, w->id, 0, 0);
    if (req->op == BLK_WRITE && result == 0)
        note(ANSWERED, 0, w->place, w->data[0]);
    if (req->op != BLK_FLUSH)
        place_busy[w->place] = false;
}

static void ask(struct wish *w)
{
    static const enum blk_op ops[] = {BLK_WRITE, BLK_WRITE, BLK_WRITE, BLK_FLUSH, BLK_READ};
    w->req = (struct blk_req){.op = ops[(unsigned)rand() % ARRAY_SIZE(ops)], .done = wish_done};
    if (w->req.op == BLK_FLUSH) {
        w->id = flush_wishes++;
        note(ASKED, w->id, 0, 0);
    } else {
        w->place = (unsigned)rand() % PLACES;
        if (place_busy[w->place])
            return;
        place_busy[w->place] = true;
        w->data[0] = ++last_number;
        w->iov = (struct iovec){w->data, PLACE_BYTES};
        w->req.iov = &w->iov;
        w->req.iov_count = 1;
        w->req.bytes = PLACE_BYTES;
        w->req.offset_bytes = w->place * PLACE_BYTES;
    }
    w->out = true;
    wishes_out++;
    disk->ops->submit(disk, &w->req);
}

static void traffic(unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        struct wish *w = &wishes[(unsigned)rand() % DEPTH];
        if (!w->out)
            ask(w);
        if (rand() % 2)
            recorder_step(&recorder);
        now.now_ns += (uint64_t)rand() % 2000000;
        evloop_drain(loop);
        if (i % 1000 == 999)
            disk->ops->drain(disk);
    }
    disk->ops->drain(disk);
    cr_assert_eq(wishes_out, 0);
}

static void setup(void)
{
    srand(5);
    now.now_ns = 1;
    fake = fake_clock_port(&now);
    cr_assert_eq(evloop_create(&loop, "test", &fake), 0);
    recorder.b = (struct blk_backend){
        .ops = &recorder_ops,
        .info = {.capacity_bytes = PLACES * PLACE_BYTES},
    };
    disk = &recorder.b;
}

static void teardown(void)
{
    disk->ops->destroy(disk);
    evloop_destroy(loop);
}

TestSuite(blk_crash, .init = setup, .fini = teardown);

static void put_limit(void)
{
    struct budget_config config = {.count_per_s = 900, .bytes_per_s = 2000000};
    cr_assert_eq(blk_limit_create(&disk, loop, &fake, &config), 0);
}

static void put_fault(const char *words)
{
    struct blk_fault_spec spec;
    cr_assert_eq(blk_fault_parse(&spec, "disk", words), 0);
    cr_assert_eq(blk_fault_create(&disk, loop, &fake, &spec), 0);
}

static void expect_promises_kept(void)
{
    unsigned promises;
    traffic(3000);
    cr_expect_eq(broken_promises(&promises), 0);
    cr_expect_gt(promises, 50u);
}

Test(blk_crash, nothing_in_between)
{
    expect_promises_kept();
}

Test(blk_crash, a_limit_keeps_the_promise)
{
    put_limit();
    expect_promises_kept();
}

Test(blk_crash, latency_keeps_the_promise)
{
    put_fault("lat:3ms");
    expect_promises_kept();
}

Test(blk_crash, faults_keep_the_promise)
{
    put_fault("eio:7%,enospc:5%,short:10%,seed:3");
    expect_promises_kept();
}

Test(blk_crash, all_of_them_keep_the_promise)
{
    put_fault("eio:3%,short:5%,lat:1ms");
    put_limit();
    put_fault("enospc:4%,lat:500us");
    expect_promises_kept();
}

/* An overlay promises nothing, and must not need to: nothing of it may reach the base. */
Test(blk_crash, an_overlay_leaves_the_base_alone)
{
    struct blk_overlay_config config = {.loop = loop, .base = disk};
    cr_assert_eq(blk_overlay_create(&disk, &config), 0);
    traffic(3000);
    cr_expect_eq(recorder.changes, 0);
}

/* ---- the checker finds liars ---- */

static void lie(struct blk_req *req)
{
    if (req->op == BLK_FLUSH)
        req->done(req, 0);
    else
        recorder_submit(&recorder.b, req);
}

static void liar_submit(struct blk_backend *b, struct blk_req *req)
{
    (void)b;
    lie(req);
}

Test(blk_crash, a_flush_that_is_not_passed_on_is_found)
{
    static const struct blk_backend_ops liar = {
        .submit = liar_submit, .drain = recorder_drain, .destroy = recorder_destroy};
    unsigned promises;
    recorder.b.ops = &liar;
    traffic(1000);
    cr_expect_gt(broken_promises(&promises), 0u);
}

/* Its flush is real, but begins before the writes that it answered have reached the disk. */
static struct blk_req late[LOG_MAX];
static struct wish late_data[LOG_MAX];
static unsigned late_count, late_sent;

static void nothing(struct blk_req *req, int result)
{
    (void)req;
    (void)result;
}

static void hasty_submit(struct blk_backend *b, struct blk_req *req)
{
    if (req->op != BLK_WRITE) {
        recorder_submit(b, req);
        return;
    }
    struct wish *copy = &late_data[late_count];
    memcpy(copy->data, req->iov->iov_base, PLACE_BYTES);
    copy->iov = (struct iovec){copy->data, PLACE_BYTES};
    late[late_count] = *req;
    late[late_count].iov = &copy->iov;
    late[late_count++].done = nothing;
    req->done(req, 0);
    if (late_count - late_sent > 8)
        recorder_submit(b, &late[late_sent++]);
}

Test(blk_crash, a_write_that_is_answered_too_early_is_found)
{
    static const struct blk_backend_ops hasty = {
        .submit = hasty_submit, .drain = recorder_drain, .destroy = recorder_destroy};
    unsigned promises;
    recorder.b.ops = &hasty;
    traffic(1000);
    cr_expect_gt(broken_promises(&promises), 0u);
}

/* ---- a process that is killed ---- */

#define FILE_PLACES 64

static struct {
    struct blkio io;
    uint64_t data[PLACE_BYTES / sizeof(uint64_t)] __attribute__((aligned(512)));
    unsigned place;
    int pipe_fd;
} writers[16];

struct answer {
    uint64_t place, number;
};

static void write_next(unsigned i);

static void written(struct blk_req *req, int result)
{
    struct blkio *io = container_of(req, struct blkio, req);
    unsigned i = 0;
    while (&writers[i].io != io)
        i++;
    struct answer a = {writers[i].place, writers[i].data[0]};
    if (result != 0 || write(writers[i].pipe_fd, &a, sizeof(a)) != (ssize_t)sizeof(a))
        _exit(1);
    write_next(i);
}

/* Writer i has the places i, i + 16, ...: never two writes to a place at once. */
static void write_next(unsigned i)
{
    writers[i].place = i + 16 * ((unsigned)rand() % (FILE_PLACES / 16));
    uint64_t number = ++last_number;
    for (size_t n = 0; n < ARRAY_SIZE(writers[i].data); n++)
        writers[i].data[n] = number;
    blkio_init(&writers[i].io, BLK_WRITE, writers[i].place * PLACE_BYTES, writers[i].data,
               PLACE_BYTES);
    writers[i].io.req.done = written;
    disk->ops->submit(disk, &writers[i].io.req);
}

static void child(const char *path, enum blk_file_cache cache, int pipe_fd)
{
    struct blk_file_config config = {.path = path, .cache = cache};
    struct evloop *own;
    if (evloop_create(&own, "child", &clock_host) < 0)
        _exit(1);
    config.loop = own;
    if (blk_file_create(&disk, &config) < 0)
        _exit(1);
    for (unsigned i = 0; i < ARRAY_SIZE(writers); i++) {
        writers[i].pipe_fd = pipe_fd;
        write_next(i);
    }
    evloop_run(own);
    _exit(1);
}

/* Kills it in the middle, and takes what it had said by then. */
static unsigned take_answers(pid_t pid, int fd, uint64_t said[FILE_PLACES])
{
    struct answer a;
    unsigned answers = 0;
    while (read(fd, &a, sizeof(a)) == (ssize_t)sizeof(a)) {
        cr_assert_lt(a.place, FILE_PLACES);
        said[a.place] = max_u64(said[a.place], a.number);
        if (++answers == 3000)
            kill(pid, SIGKILL);
    }
    return answers;
}

/* A write that was under way may be there in part, but sectors are whole. */
static void check_image(const char *path, const uint64_t said[FILE_PLACES])
{
    uint64_t sector[512 / sizeof(uint64_t)];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    for (unsigned at = 0; at < FILE_PLACES * PLACE_BYTES; at += sizeof(sector)) {
        cr_assert_eq((int)pread(fd, sector, sizeof(sector), at), 512);
        cr_expect_geq(sector[0], said[at / PLACE_BYTES], "byte %u", at);
    }
    close(fd);
}

static void kill_a_writer(enum blk_file_cache cache)
{
    char path[] = "/var/tmp/minivet-crash-XXXXXX";
    uint64_t said[FILE_PLACES] = {0};
    int fds[2], status, fd = mkostemp(path, O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, FILE_PLACES * PLACE_BYTES), 0);
    close(fd);
    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0)
        child(path, cache, fds[1]);
    close(fds[1]);
    unsigned answers = take_answers(pid, fds[0], said);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_neq(WIFSIGNALED(status), 0, "the writer failed by itself");
    cr_expect_geq(answers, 3000u);
    close(fds[0]);
    check_image(path, said);
    unlink(path);
}

Test(blk_crash, what_was_answered_outlives_a_kill)
{
    kill_a_writer(BLK_FILE_CACHE_NONE);
}

Test(blk_crash, what_was_answered_outlives_a_kill_with_the_page_cache)
{
    kill_a_writer(BLK_FILE_CACHE_WRITEBACK);
}
