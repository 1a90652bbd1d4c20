// SPDX-License-Identifier: BSD-2-Clause
/* A queue that has run dry is looked at for a while, without notifications: VIRTIO 1.4 2.7.10. */
#include "core/loop/evloop_impl.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/observe/stats.h"
#include "virtio/spec.h"

#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
#define CHAINS        6u

/* A guest that runs whenever the loop looks around. */
struct guest {
    struct rig *rig;
    struct ev_poll poll;
    struct ev_defer stop;
    unsigned sent, answered, wanted; /* chains; kicks that the device has asked for */
    unsigned looks_at_end;
};

static bool publish(struct guest *g)
{
    struct vdrv_queue *q = &g->rig->drv.q[0];
    struct vdrv_buf buf = {vdrv_alloc(&g->rig->drv, 8, 8), 8, true};
    cr_assert_geq(vdrv_add(q, &buf, 1), 0);
    vdrv_publish(q);
    g->sent++;
    return vdrv_kick_wanted(q);
}

static void take_answers(struct guest *g)
{
    uint32_t head, len;
    while (vdrv_used(&g->rig->drv.q[0], &head, &len))
        g->answered++;
}

static bool guest_looks(void *ctx)
{
    struct guest *g = ctx;
    g->rig->time.now_ns += 1000;
    take_answers(g);
    if (g->rig->dev->queues[0].poll.armed && g->sent < CHAINS && g->answered == g->sent)
        g->wanted += publish(g);
    return false;
}

static void stop(void *ctx)
{
    struct guest *g = ctx;
    evloop_stop(g->rig->loop);
}

static bool guest_sleeps(void *ctx)
{
    struct guest *g = ctx;
    evloop_defer(g->rig->loop, &g->stop);
    return true;
}

static void guest_start(struct guest *g, struct rig *rig)
{
    *g = (struct guest){.rig = rig};
    g->poll = (struct ev_poll){.look = guest_looks, .sleep = guest_sleeps, .ctx = g};
    g->stop = (struct ev_defer){.cb = stop, .ctx = g};
    cr_assert(vdrv_start(&rig->drv, RING_FEATURES, 2, 16));
    evloop_drain(rig->loop);
    rig->loop->stats.poll_window_ns = 50000;
}

static void run(struct guest *g)
{
    cr_assert(publish(g)); /* nobody looks yet */
    vdrv_notify(&g->rig->drv.q[0]);
    cr_assert(evloop_poll_add(g->rig->loop, &g->poll));
    cr_assert_eq(evloop_run(g->rig->loop), 0);
    take_answers(g);
}

OnEachRig(virtio_polling, work_that_keeps_coming_needs_one_kick, rig_open_echo_on(rig, on))
{
    struct guest g;
    guest_start(&g, rig);
    run(&g);
    cr_expect_eq(g.sent, CHAINS, "%s", rig_config_name(&rig->cfg));
    cr_expect_eq(g.answered, CHAINS);
    cr_expect_eq(g.wanted, 0, "notifications are off while it looks");
}

OnEachRig(virtio_polling, before_the_loop_sleeps_notifications_are_on, rig_open_echo_on(rig, on))
{
    struct guest g;
    guest_start(&g, rig);
    run(&g);
    cr_expect_not(rig->dev->queues[0].poll.armed);
    cr_expect(publish(&g), "%s", rig_config_name(&rig->cfg));
    vdrv_notify(&rig->drv.q[0]);
    evloop_drain(rig->loop);
    take_answers(&g);
    cr_expect_eq(g.answered, CHAINS + 1);
}

OnEcho(virtio_polling, what_was_found_by_looking_is_counted)
{
    struct guest g;
    struct virtio_stats s;
    cr_assert_eq(virtio_device_measure(rig->dev, &rig->clock), 0);
    guest_start(&g, rig);
    run(&g);
    cr_assert(virtio_device_stats(rig->dev, 0, &s));
    cr_expect_eq(s.batches, CHAINS);
    cr_expect_eq(s.polled, CHAINS - 1, "but for the first, which was kicked");
}

static void armed_queue(struct rig *rig, struct guest *g)
{
    rig_open_echo(rig);
    guest_start(g, rig);
    cr_assert(evloop_poll_add(rig->loop, &rig->dev->queues[0].poll));
}

Test(virtio_polling, a_reset_ends_it)
{
    struct rig rig;
    struct guest g;
    armed_queue(&rig, &g);
    vdrv_reset(&rig.drv);
    cr_expect_not(rig.dev->queues[0].poll.armed);
    cr_assert(vdrv_start(&rig.drv, RING_FEATURES, 2, 16));
    cr_assert(publish(&g));
    rig_close(&rig);
}

Test(virtio_polling, a_broken_queue_is_not_looked_at)
{
    struct rig rig;
    struct guest g;
    armed_queue(&rig, &g);
    vdrv_avail_put(&rig.drv.q[0], 1000);
    vdrv_kick(&rig.drv.q[0]);
    evloop_drain(rig.loop);
    cr_expect_eq(vdrv_status(&rig.drv) & VIRTIO_STATUS_DEVICE_NEEDS_RESET,
                 VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    struct virtio_queue *q = &rig.dev->queues[0];
    cr_expect_not(q->poll.look(q->poll.ctx));
    cr_expect_not(q->poll.sleep(q->poll.ctx));
    rig_close(&rig);
}

/* It wants to see each notification. */
OnEcho(virtio_polling, the_driver_monitor_turns_it_off, .strict = true)
{
    struct guest g;
    guest_start(&g, rig);
    cr_assert(publish(&g));
    vdrv_notify(&rig->drv.q[0]);
    cr_assert(evloop_poll_add(rig->loop, &g.poll));
    cr_assert_eq(evloop_run(rig->loop), 0);
    take_answers(&g);
    cr_expect_eq(g.sent, 1);
    cr_expect_eq(g.answered, 1);
}
