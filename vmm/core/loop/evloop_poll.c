// SPDX-License-Identifier: BSD-2-Clause
/*
 * The window in which a loop that has run dry looks for more work before it sleeps.
 *
 *   idle time = looking + sleeping      next window
 *   found while looking                 the same
 *   another program took the processor  looking ends; the window stays
 *   ... for a whole time slice          and it rests for a multiple of that
 *   woken within the longest window     twice as long: it would have paid
 *   woken later                         half, in the end none
 *
 * While I/O is in flight the window is another one, which may become twice as long: a disk answers
 * later than a guest.
 */
#include "core/loop/evloop_impl.h"

#include <sched.h>

#include "core/base/clock.h"
#include "core/base/xmath.h"

#define WINDOW_MIN_NS UINT64_C(5000)
#define ROUNDS_MAX    10000u /* if the clock does not move */
#define READY_ROUNDS  8u     /* looks for one question to the engine, which may be a system call */
#define OTHERS_NS     UINT64_C(3000)   /* after this long another program has had the processor */
#define SLICE_NS      UINT64_C(500000) /* ... and does not give it back of itself */
#define REST_FACTOR   64u
#define REST_MAX_NS   UINT64_C(1000000000) /* a process that was stopped is no sign of others */

static bool waits_for_io(const struct evloop *loop)
{
    return loop->works_out > 0;
}

static uint64_t *window_for(struct evloop *loop, bool io)
{
    return io ? &loop->io_window_ns : &loop->stats.poll_window_ns;
}

static uint64_t longest_window(const struct evloop *loop, bool io)
{
    return io ? 2 * loop->poll_max_ns : loop->poll_max_ns;
}

static bool rests(struct evloop *loop)
{
    if (loop->rest_ns != 0 && clock_now_ns(loop->clock) >= loop->rest_ns)
        loop->rest_ns = 0;
    return loop->rest_ns != 0;
}

bool evloop_poll_add(struct evloop *loop, struct ev_poll *p)
{
    evloop_assert_owner(loop);
    loop->poll_asked = true;
    if (*window_for(loop, waits_for_io(loop)) == 0 || rests(loop))
        return false;
    if (!p->armed) {
        p->armed = true;
        TAILQ_INSERT_HEAD(&loop->polls, p, link);
    }
    return true;
}

void evloop_poll_limit(struct evloop *loop, uint64_t max_ns)
{
    evloop_assert_owner(loop);
    loop->poll_max_ns = max_ns;
    for (unsigned io = 0; io < 2; io++) {
        uint64_t *window = window_for(loop, io);
        *window = min_u64(*window, longest_window(loop, io));
    }
}

void evloop_poll_del(struct evloop *loop, struct ev_poll *p)
{
    evloop_assert_owner(loop);
    if (p->armed)
        TAILQ_REMOVE(&loop->polls, p, link);
    p->armed = false;
}

bool evloop_poll_look(struct evloop *loop)
{
    bool any = false;
    for (struct ev_poll *p = TAILQ_FIRST(&loop->polls), *next; p; p = next) {
        next = TAILQ_NEXT(p, link);
        if (!p->look(p->ctx))
            continue;
        evloop_poll_del(loop, p);
        any = true;
    }
    return any;
}

bool evloop_poll_end(struct evloop *loop)
{
    bool any = false;
    struct ev_poll *p;
    while ((p = TAILQ_FIRST(&loop->polls))) {
        evloop_poll_del(loop, p);
        any |= p->sleep(p->ctx);
    }
    return any;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/*
 * The thread that is to answer may be waiting for this very processor: the loop yields it, and once
 * another thread has run, looking is over, since a loop that sleeps is woken in time and delays no
 * thread. A program that computes all the time keeps it for a time slice, milliseconds in which
 * requests wait: so it is offered again only when that has become a small part of the time.
 */
static bool others_ran(struct evloop *loop, uint64_t before)
{
    sched_yield();
    uint64_t now = clock_now_ns(loop->clock), gap = now - before;
    if (gap < OTHERS_NS)
        return false;
    if (gap >= SLICE_NS)
        loop->rest_ns = now + min_u64(gap, REST_MAX_NS / REST_FACTOR) * REST_FACTOR;
    return true;
}

static bool look_for(struct evloop *loop, uint64_t limit_ns)
{
    uint64_t start = clock_now_ns(loop->clock);
    loop->dry_ns = start;
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        bool ask = round % READY_ROUNDS == READY_ROUNDS - 1; /* a guest's answer may be quicker */
        if (evloop_poll_look(loop) || (ask && loop->engine->ready(loop)))
            return true;
        uint64_t now = clock_now_ns(loop->clock);
        if (now - start >= limit_ns)
            return false;
        if (ask && others_ran(loop, now))
            return evloop_poll_look(loop);
        relax();
    }
    return false;
}

bool evloop_poll_run(struct evloop *loop, int64_t wait_ns)
{
    uint64_t limit = *window_for(loop, waits_for_io(loop));
    if (wait_ns >= 0)
        limit = min_u64(limit, (uint64_t)wait_ns);
    if (look_for(loop, limit)) {
        loop->stats.poll_hits++;
        loop->dry_ns = 0;
        return true;
    }
    loop->stats.poll_misses++;
    return evloop_poll_end(loop);
}

uint64_t evloop_poll_sleeps(struct evloop *loop)
{
    loop->stats.sleeps++;
    uint64_t since = loop->dry_ns;
    if (loop->poll_asked && since == 0)
        since = clock_now_ns(loop->clock);
    loop->poll_asked = false;
    loop->dry_ns = 0;
    loop->slept_for_io = waits_for_io(loop);
    return since;
}

void evloop_poll_slept(struct evloop *loop, uint64_t since_ns)
{
    if (since_ns == 0)
        return;
    uint64_t *window = window_for(loop, loop->slept_for_io);
    uint64_t longest = longest_window(loop, loop->slept_for_io);
    if (clock_now_ns(loop->clock) - since_ns <= longest)
        *window = min_u64(*window == 0 ? WINDOW_MIN_NS : *window * 2, longest);
    else
        *window = *window <= WINDOW_MIN_NS ? 0 : *window / 2;
}
