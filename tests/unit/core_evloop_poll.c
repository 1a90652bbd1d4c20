// SPDX-License-Identifier: BSD-2-Clause
/* Looking once more before sleeping, on a clock that moves only when somebody looks. */
#include <semaphore.h>

#include "core/loop/evloop_impl.h"
#include "tests/harness/test.h"

#define US UINT64_C(1000)

/* A queue in memory, and its guest. */
struct bench {
    uint64_t now;
    struct clock clock;
    struct evloop *loop;
    struct ev_poll poll;
    struct ev_defer serve;
    unsigned looks, sleeps, served;
    unsigned comes_at; /* the look that finds something; 0: none does */
    bool comes_late;   /* after the last look, before notifications are on */
    unsigned again;    /* how often it is served and looked at once more */
    sem_t asleep;
};

static uint64_t fake_now(void *ctx)
{
    return *(uint64_t *)ctx;
}

static bool look(void *ctx)
{
    struct bench *b = ctx;
    b->now += US;
    if (++b->looks != b->comes_at)
        return false;
    evloop_defer(b->loop, &b->serve);
    return true;
}

static bool sleep_now(void *ctx)
{
    struct bench *b = ctx;
    b->sleeps++;
    sem_post(&b->asleep);
    if (!b->comes_late)
        return false;
    b->comes_late = false;
    evloop_defer(b->loop, &b->serve);
    return true;
}

static void serve(void *ctx)
{
    struct bench *b = ctx;
    b->served++;
    b->comes_at = b->again > 0 ? b->looks + 3 : 0;
    b->again -= b->again > 0;
    cr_assert(evloop_poll_add(b->loop, &b->poll));
}

static void bench_init(struct bench *b)
{
    *b = (struct bench){.now = US};
    b->clock = (struct clock){.now_ns = fake_now, .wall_ns = fake_now, .ctx = &b->now};
    b->poll = (struct ev_poll){.look = look, .sleep = sleep_now, .ctx = b};
    b->serve = (struct ev_defer){.cb = serve, .ctx = b};
    sem_init(&b->asleep, 0, 0);
    cr_assert_eq(evloop_create(&b->loop, "bench", &b->clock), 0);
}

static void bench_end(struct bench *b)
{
    evloop_poll_del(b->loop, &b->poll);
    evloop_destroy(b->loop);
    sem_destroy(&b->asleep);
}

#define OnBench(suite, name) TestWith(suite, name, struct bench, b, bench_init(b), bench_end(b))

static struct evloop_stats stats(struct bench *b)
{
    struct evloop_stats s;
    evloop_stats(b->loop, &s);
    return s;
}

/* What the loop does around a sleep of that length. Returns the window that follows. */
static uint64_t nap(struct bench *b, uint64_t length)
{
    uint64_t since = evloop_poll_sleeps(b->loop);
    b->now += length;
    evloop_poll_slept(b->loop, since);
    return stats(b).poll_window_ns;
}

static uint64_t asked_nap(struct bench *b, uint64_t length)
{
    if (evloop_poll_add(b->loop, &b->poll))
        evloop_poll_end(b->loop);
    return nap(b, length);
}

static void open_window(struct bench *b)
{
    while (asked_nap(b, US) < 50 * US)
        ;
    b->looks = b->sleeps = 0;
}

OnBench(core_evloop_poll, the_window_grows_with_short_sleeps_and_vanishes_with_long_ones)
{
    const uint64_t up[] = {5, 10, 20, 40, 50, 50}, down[] = {25000, 12500, 6250, 3125, 0, 0};
    cr_assert_not(evloop_poll_add(b->loop, &b->poll)); /* nothing speaks for it yet */
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(asked_nap(b, 50 * US), up[i] * US);
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(asked_nap(b, 51 * US), down[i]);
    cr_assert_not(b->poll.armed);
}

/* A disk takes longer to answer than a guest: each has a window of its own. */
OnBench(core_evloop_poll, the_window_is_another_one_while_io_is_in_flight)
{
    b->loop->works_out = 1;
    for (unsigned i = 0; i < 6; i++)
        asked_nap(b, 100 * US);
    cr_expect_eq(b->loop->io_window_ns, 100 * US);
    cr_expect(evloop_poll_add(b->loop, &b->poll));
    evloop_poll_del(b->loop, &b->poll);
    b->loop->works_out = 0;
    cr_expect_eq(asked_nap(b, 100 * US), 0);
    cr_expect_not(evloop_poll_add(b->loop, &b->poll));
    cr_expect_eq(b->loop->io_window_ns, 100 * US);
    b->loop->works_out = 1;
    asked_nap(b, 101 * US);
    cr_expect_eq(b->loop->io_window_ns, 50 * US);
    evloop_poll_limit(b->loop, 7 * US);
    cr_expect_eq(b->loop->io_window_ns, 14 * US);
    b->loop->works_out = 0;
}

OnBench(core_evloop_poll, sleeps_that_nobody_wanted_to_shorten_do_not_count)
{
    cr_assert_eq(nap(b, US), 0);
    open_window(b);
    cr_assert_eq(nap(b, 1000 * US), 50 * US);
}

OnBench(core_evloop_poll, the_window_has_a_limit)
{
    open_window(b);
    evloop_poll_limit(b->loop, 7 * US);
    cr_assert_eq(stats(b).poll_window_ns, 7 * US);
    cr_assert_eq(asked_nap(b, 3 * US), 7 * US);
    evloop_poll_limit(b->loop, 0);
    cr_assert_not(evloop_poll_add(b->loop, &b->poll));
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(asked_nap(b, US), 0);
}

static void work_long(void *ctx, uint32_t events)
{
    struct bench *b = ctx;
    (void)events;
    b->now += 1000 * US;
    evloop_stop(b->loop);
}

OnBench(core_evloop_poll, the_work_after_a_sleep_is_not_sleep)
{
    struct ev_fd kick = {.cb = work_long, .ctx = b};
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    cr_assert_eq(evloop_event_add(b->loop, &kick, fd), 0);
    cr_assert_not(evloop_poll_add(b->loop, &b->poll));
    cr_assert_eq(evloop_run(b->loop), 0);
    cr_assert_eq(stats(b).poll_window_ns, 5 * US);
    evloop_fd_del(b->loop, &kick);
    close(fd);
}

/* The idle time is the looking and the sleep: a window that just misses it grows. */
OnBench(core_evloop_poll, time_spent_looking_is_idle_time)
{
    cr_assert_eq(asked_nap(b, US), 5 * US);
    cr_assert(evloop_poll_add(b->loop, &b->poll));
    cr_assert_not(evloop_poll_run(b->loop, WAIT_FOREVER));
    cr_assert_eq(b->looks, 5);
    cr_assert_eq(nap(b, 46 * US), 0);
}

/* The clock's reading behind the first offer of the processor: one at the start, eight of looks. */
#define OFFERED 10u

static uint64_t another_runs(void *ctx)
{
    static unsigned readings;
    return *(uint64_t *)ctx += ++readings == OFFERED ? 5 * US : 0;
}

/* Time passes while the loop offers the processor: another program needs it. */
OnBench(core_evloop_poll, the_window_ends_when_another_program_has_run)
{
    open_window(b);
    cr_assert(evloop_poll_add(b->loop, &b->poll));
    b->clock.now_ns = another_runs;
    cr_expect_not(evloop_poll_run(b->loop, -1));
    cr_expect_eq(b->looks, 9, "eight times before, once after");
    cr_expect_eq(b->sleeps, 1);
    b->clock.now_ns = fake_now;
    cr_expect(evloop_poll_add(b->loop, &b->poll), "it looks again next time");
}

static uint64_t a_slice_passes(void *ctx)
{
    static unsigned readings;
    return *(uint64_t *)ctx += ++readings == OFFERED ? 1000 * US : 0;
}

OnBench(core_evloop_poll, it_rests_when_another_program_needs_a_time_slice)
{
    open_window(b);
    cr_assert(evloop_poll_add(b->loop, &b->poll));
    b->clock.now_ns = a_slice_passes;
    evloop_poll_run(b->loop, -1);
    b->clock.now_ns = fake_now;
    cr_expect_not(evloop_poll_add(b->loop, &b->poll));
    b->now += 63000 * US;
    cr_expect_not(evloop_poll_add(b->loop, &b->poll));
    b->now += 1000 * US;
    cr_expect(evloop_poll_add(b->loop, &b->poll));
}

static uint64_t an_hour_is_over(void *ctx)
{
    return *(uint64_t *)ctx += US * 1000 * 1000 * 3600;
}

/* Somebody stopped the process, or its host: afterwards it looks again before long. */
OnBench(core_evloop_poll, the_rest_has_a_limit)
{
    open_window(b);
    cr_assert(evloop_poll_add(b->loop, &b->poll));
    evloop_poll_limit(b->loop, UINT64_MAX); /* the hour is over while it looks */
    b->loop->stats.poll_window_ns = UINT64_MAX;
    b->clock.now_ns = an_hour_is_over;
    cr_expect_not(evloop_poll_run(b->loop, WAIT_FOREVER));
    cr_expect_eq(b->sleeps, 1);
    b->clock.now_ns = fake_now;
    cr_expect_not(evloop_poll_add(b->loop, &b->poll));
    b->now += US * 1000 * 1000;
    cr_expect(evloop_poll_add(b->loop, &b->poll));
}

OnBench(core_evloop_poll, a_look_that_finds_work_ends_the_window)
{
    open_window(b);
    cr_assert(evloop_poll_add(b->loop, &b->poll));
    b->comes_at = 20;
    cr_assert(evloop_poll_run(b->loop, WAIT_FOREVER));
    cr_assert_eq(b->looks, 20);
    cr_assert_eq(b->sleeps, 0);
    cr_assert_not(b->poll.armed);
    cr_assert_eq(stats(b).poll_hits, 1);
    cr_assert_eq(stats(b).poll_misses, 0);
    evloop_drain(b->loop);
    cr_assert_eq(b->served, 1);
}

OnBench(core_evloop_poll, a_timer_or_an_event_ends_the_window)
{
    open_window(b);
    cr_assert(evloop_poll_add(b->loop, &b->poll));
    evloop_poll_run(b->loop, 7 * (int64_t)US);
    cr_assert_eq(b->looks, 7);
    cr_assert_eq(b->sleeps, 1);
    evloop_drain(b->loop);
    cr_assert(evloop_poll_add(b->loop, &b->poll));
    evloop_wake(b->loop);
    cr_assert(evloop_poll_run(b->loop, WAIT_FOREVER));
    cr_assert_lt(b->looks, 7 + 20);
    cr_assert_eq(b->sleeps, 1);
    cr_assert(b->poll.armed); /* nobody has told it that nobody looks */
}

OnBench(core_evloop_poll, what_comes_before_the_notification_is_not_lost)
{
    open_window(b);
    cr_assert(evloop_poll_add(b->loop, &b->poll));
    b->comes_late = true;
    cr_assert(evloop_poll_run(b->loop, WAIT_FOREVER));
    cr_assert_eq(b->sleeps, 1);
    evloop_drain(b->loop);
    cr_assert_eq(b->served, 1);
}

/* A drain has nobody to wait for: it leaves no queue without its notifications. */
OnBench(core_evloop_poll, a_drain_looks_and_then_asks_for_notifications)
{
    open_window(b);
    cr_assert(evloop_poll_add(b->loop, &b->poll));
    b->comes_at = 1;
    b->comes_late = true;
    evloop_drain(b->loop);
    cr_assert_eq(b->served, 2);
    cr_assert_eq(b->sleeps, 2);
    cr_assert_not(b->poll.armed);
}

static void wait_for_sleep(void *ctx)
{
    struct bench *b = ctx;
    sem_wait(&b->asleep);
}

static void end_run(void *ctx)
{
    struct bench *b = ctx;
    evloop_stop(b->loop);
}

/*
 * Work comes five times while the loop looks, then no more: it tells the queue, sleeps, and goes
 * round no more than it is woken (by the work that waits for that).
 */
OnBench(core_evloop_poll, an_idle_loop_sleeps)
{
    open_window(b);
    while (sem_trywait(&b->asleep) == 0)
        ;
    b->loop->io_window_ns = 50 * US; /* the work that waits is in flight */
    struct ev_work end = {.run = wait_for_sleep, .done = end_run, .ctx = b};
    struct evloop_stats before = stats(b), after;
    b->again = 5;
    evloop_defer(b->loop, &b->serve);
    evloop_work(b->loop, &end);
    cr_assert_eq(evloop_run(b->loop), 0);
    after = stats(b);
    cr_assert_eq(b->served, 6);
    cr_assert_eq(b->sleeps, 1);
    cr_assert_eq(after.poll_misses - before.poll_misses, 1);
    cr_assert_geq(b->looks, 5 * 3 + 48); /* the last time, until the window was over */
    cr_assert_leq(b->looks, 5 * 3 + 52);
    cr_assert_leq(after.turns - before.turns, 20);
    cr_assert_not(b->poll.armed);
}
