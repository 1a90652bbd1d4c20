// SPDX-License-Identifier: BSD-2-Clause
/*
 * More completes at once than the ring has room for. The engine's own ring has room for all that a
 * loop can have out, so this one has the least that there can be: the kernel keeps what does not
 * fit, and gives up the polls that it belongs to. None of it may be lost. Nor may it while the
 * kernel takes nothing for want of memory, and the loop goes on meanwhile.
 */
#include <liburing.h>
#include <limits.h>

static bool overflowed;

/* The engine empties the ring after each system call: has the kernel kept something back? */
static void take(struct io_uring *ring, unsigned count)
{
    overflowed |= (IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
    io_uring_cq_advance(ring, count);
}

static unsigned refusals;

static int submit(struct io_uring *ring)
{
    if (refusals == 0)
        return io_uring_submit_and_get_events(ring);
    refusals--;
    return -EAGAIN;
}

#define CQ_ENTRIES                     256u
#define io_uring_submit_and_get_events submit
#define io_uring_cq_advance            take
#define evloop_uring_engine            small_ring
#include "core/loop/evloop_uring.c" /* NOLINT(bugprone-suspicious-include): with the names above */

#include "tests/harness/test.h"

#define EVENTS 400u
#define IOS    IN_FLIGHT

struct event {
    struct ev_fd ev;
    int fd;
    unsigned calls;
};

struct job {
    struct ev_io io;
    unsigned ends;
};

static struct evloop *loop;
static struct event events[EVENTS];
static struct job jobs[IOS];

static void on_event(void *ctx, uint32_t what)
{
    struct event *e = ctx;
    (void)what;
    e->calls++;
}

static void on_done(struct ev_io *io, int64_t result)
{
    struct job *j = container_of(io, struct job, io);
    cr_expect_eq(result, -EBADF);
    j->ends++;
}

/* The loop's engine is closed, and another one takes its place. */
static void open_loop(void)
{
    cr_assert_eq(evloop_create(&loop, "small", &clock_host), 0);
    int wake = loop->wake.fd;
    evloop_fd_del(loop, &loop->wake);
    loop->engine->close(loop);
    loop->engine = &small_ring;
    if (loop->engine->open(loop) < 0)
        cr_skip_test("the host refuses io_uring");
    cr_assert_eq(evloop_event_add(loop, &loop->wake, wake), 0);
    for (unsigned i = 0; i < EVENTS; i++) {
        events[i].ev = (struct ev_fd){.cb = on_event, .ctx = &events[i]};
        events[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        cr_assert_eq(evloop_event_add(loop, &events[i].ev, events[i].fd), 0);
    }
    evloop_drain(loop);
}

static void close_loop(void)
{
    for (unsigned i = 0; i < EVENTS; i++) {
        evloop_fd_del(loop, &events[i].ev);
        close(events[i].fd);
    }
    evloop_destroy(loop);
}

/* The I/O has no file, so it fails while it is handed in: a ring full at once. */
static void all_at_once(void)
{
    static const struct iovec nothing;
    for (unsigned i = 0; i < EVENTS; i++) {
        events[i].calls = 0;
        cr_assert_eq(eventfd_write(events[i].fd, 1), 0);
    }
    for (unsigned i = 0; i < IOS; i++) {
        jobs[i] = (struct job){.ends = 0};
        jobs[i].io = (struct ev_io){
            .done = on_done, .op = EV_IO_READV, .fd = -1, .iov = &nothing, .iov_count = 1};
        evloop_io(loop, &jobs[i].io);
    }
}

/* More than once: polls that were given up are armed again. */
Test(core_evloop_overflow, nothing_is_lost)
{
    open_loop();
    for (unsigned round = 0; round < 3; round++) {
        overflowed = false;
        all_at_once();
        evloop_drain(loop);
        cr_expect(overflowed, "round %u", round);
        for (unsigned i = 0; i < EVENTS; i++)
            cr_assert_geq(events[i].calls, 1, "round %u: eventfd %u", round, i);
        for (unsigned i = 0; i < IOS; i++)
            cr_assert_eq(jobs[i].ends, 1, "round %u: read %u", round, i);
    }
    close_loop();
}

static void refuse_no_more(void *ctx)
{
    (void)ctx;
    refusals = 0;
}

/* More polls are begun and ended than the ring takes at once. */
Test(core_evloop_overflow, a_kernel_that_takes_nothing_is_asked_again_later)
{
    struct ev_defer later = {.cb = refuse_no_more};
    open_loop();
    refusals = UINT_MAX;
    for (unsigned i = 0; i < EVENTS; i++)
        evloop_fd_del(loop, &events[i].ev);
    for (unsigned i = 0; i < EVENTS; i++)
        cr_assert_eq(evloop_event_add(loop, &events[i].ev, events[i].fd), 0);
    evloop_defer(loop, &later);
    all_at_once();
    evloop_drain(loop);
    cr_assert_eq(refusals, 0);
    for (unsigned i = 0; i < EVENTS; i++)
        cr_assert_geq(events[i].calls, 1, "eventfd %u", i);
    for (unsigned i = 0; i < IOS; i++)
        cr_assert_eq(jobs[i].ends, 1, "read %u", i);
    close_loop();
}
