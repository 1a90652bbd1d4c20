// SPDX-License-Identifier: BSD-2-Clause
/* Lanes, and the rule that they are there for. */

#include "core/loop/may_block.h"
#include "tests/harness/test.h"

#define WORKS 20u

struct bench {
    struct evloop *loop;
    struct evloop_lane *lane;
    /* How many have come, and whether in order: run() writes the first pair, perhaps on the lane's
     * thread, and done() the other. */
    unsigned runs, dones;
    bool runs_in_order, dones_in_order;
    int gate; /* an eventfd that the first work waits for; -1: none */
    struct step {
        struct bench *b;
        unsigned number;
        pthread_t ran_on;
        struct ev_work work;
    } steps[WORKS];
};

static void run(void *ctx)
{
    struct step *s = ctx;
    eventfd_t value;
    may_block();
    if (s->number == 0 && s->b->gate >= 0)
        (void)eventfd_read(s->b->gate, &value);
    s->b->runs_in_order &= s->b->runs++ == s->number;
    s->ran_on = pthread_self();
}

static void done(void *ctx)
{
    struct step *s = ctx;
    s->b->dones_in_order &= s->b->dones++ == s->number;
}

static void open_lane(struct bench *b, bool by_hand)
{
    *b = (struct bench){.runs_in_order = true, .dones_in_order = true, .gate = -1};
    cr_assert_eq(evloop_create(&b->loop, "test", &clock_host), 0);
    if (by_hand)
        evloop_lanes_by_hand(b->loop);
    cr_assert_eq(evloop_lane_create(&b->lane, b->loop, "lane"), 0);
    for (unsigned i = 0; i < WORKS; i++)
        b->steps[i] =
            (struct step){b, i, pthread_self(), {.run = run, .done = done, .ctx = &b->steps[i]}};
}

static void submit(struct bench *b)
{
    for (unsigned i = 0; i < WORKS; i++)
        evloop_lane_submit(b->lane, &b->steps[i].work);
}

static void end(struct bench *b)
{
    evloop_lane_destroy(b->lane);
    evloop_destroy(b->loop);
}

#define OnBench(suite, name, ...) TestWith(suite, name, struct bench, b, (__VA_ARGS__), end(b))

OnBench(core_evloop_lane, runs_works_in_order_on_one_thread_of_its_own, open_lane(b, false))
{
    submit(b);
    evloop_drain(b->loop);
    cr_expect(b->runs_in_order);
    cr_expect(b->dones_in_order);
    cr_expect_eq(b->dones, WORKS);
    cr_expect_not(pthread_equal(b->steps[0].ran_on, pthread_self()));
    for (unsigned i = 1; i < WORKS; i++)
        cr_expect(pthread_equal(b->steps[i].ran_on, b->steps[0].ran_on));
}

OnBench(core_evloop_lane, is_waited_for_as_long_as_is_said, open_lane(b, false))
{
    cr_expect(evloop_lane_wait(b->lane, 0), "nothing is out");
    b->gate = eventfd(0, EFD_CLOEXEC);
    submit(b);
    cr_expect_not(evloop_lane_wait(b->lane, 0));
    cr_expect_not(evloop_lane_wait(b->lane, 1));
    cr_assert_eq(eventfd_write(b->gate, 1), 0);
    cr_expect(evloop_lane_wait(b->lane, -1));
    cr_expect_eq(b->runs, WORKS);
    cr_expect_eq(b->dones, 0);
    evloop_drain(b->loop);
    cr_expect_eq(b->dones, WORKS);
    close(b->gate);
}

OnBench(core_evloop_lane, runs_by_hand_when_it_is_waited_for, open_lane(b, true))
{
    submit(b);
    cr_expect_eq(b->runs, 0);
    cr_expect(evloop_lane_wait(b->lane, -1));
    cr_expect_eq(b->runs, WORKS);
    cr_expect(pthread_equal(b->steps[0].ran_on, pthread_self()));
    evloop_drain(b->loop);
    b->runs = b->dones = 0;
    submit(b);
    evloop_drain(b->loop);
    cr_expect_eq(b->dones, WORKS);
    cr_expect(b->runs_in_order);
    cr_expect(b->dones_in_order);
}

#ifdef MINIVET_DEBUG
static int block(void *arg)
{
    (void)arg;
    may_block();
    return 0;
}

static void block_in_callback(void *ctx)
{
    (void)block(ctx);
}

OnBench(core_may_block, a_thread_of_no_loop_may, open_lane(b, false))
{
    may_block();
    evloop_drain(b->loop);
    may_block();
}

Test(core_may_block, a_call_on_a_loop_may_not, .signal = SIGABRT)
{
    struct bench b;
    open_lane(&b, false);
    evloop_call(b.loop, block, NULL);
}

Test(core_may_block, a_callback_may_not, .signal = SIGABRT)
{
    struct bench b;
    struct ev_defer d = {.cb = block_in_callback};
    open_lane(&b, false);
    evloop_defer(b.loop, &d);
    evloop_drain(b.loop);
}

Test(core_may_block, a_loops_thread_may_not, .signal = SIGABRT)
{
    struct bench b;
    open_lane(&b, false);
    evloop_start_thread(b.loop);
    evloop_call(b.loop, block, NULL);
}
#endif
