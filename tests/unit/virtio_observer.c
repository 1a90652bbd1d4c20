// SPDX-License-Identifier: BSD-2-Clause
/* What a device's observers are told, and in which order. */
#include "virtio/base/observer.h"

#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/observe/stats.h"
#include "virtio/ring/vq_ops.h"

struct listener {
    struct virtio_observer observer;
    unsigned count, destroyed;
    enum virtio_event_kind heard[64];
    struct listener *after; /* which has heard it before */
};

static void on_event(struct virtio_observer *o, const struct virtio_event *e)
{
    struct listener *l = container_of(o, struct listener, observer);
    cr_assert_lt(l->count, ARRAY_SIZE(l->heard));
    l->heard[l->count++] = e->kind;
    if (l->after != NULL)
        cr_expect_eq(l->after->count, l->count);
    if (e->kind == VIRTIO_ON_ACCESS)
        cr_expect(e->access->write && e->access->value == 0, "the queue's number");
    if (e->kind == VIRTIO_ON_TAKE || e->kind == VIRTIO_ON_GIVE)
        cr_expect_eq(e->chain->rd.done, e->kind == VIRTIO_ON_GIVE ? 16 : 0);
}

static void on_destroy(struct virtio_observer *o)
{
    container_of(o, struct listener, observer)->destroyed++;
}

static void add(struct rig *rig, struct listener *l, struct listener *after)
{
    *l = (struct listener){.observer = {.event = on_event, .destroy = on_destroy}, .after = after};
    virtio_observer_add(rig->dev, &l->observer);
}

static void send_one(struct rig *rig)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 32, 16);
    struct vdrv_buf bufs[] = {{gpa, 16, false}, {gpa + 16, 16, true}};
    vdrv_send(&rig->drv.q[0], bufs, 2);
    rig_step(rig);
}

Test(virtio_observer, all_are_told_of_each_step_in_order)
{
    static const enum virtio_event_kind steps[] = {
        VIRTIO_ON_ACCESS, VIRTIO_ON_REGISTER_KICK, VIRTIO_ON_KICK,
        VIRTIO_ON_TURN,   VIRTIO_ON_TAKE,          VIRTIO_ON_GIVE,
        VIRTIO_ON_EMPTY,  VIRTIO_ON_TURN_END,      VIRTIO_ON_FLUSH,
    };
    for (unsigned v = 0; v < RIG_VARIANTS; v++) {
        struct rig rig;
        struct listener first, second;
        rig_open_echo_on(&rig, &rig_variants[v]);
        rig_start(&rig, 0, 1, 8);
        add(&rig, &first, NULL);
        add(&rig, &second, &first);
        send_one(&rig);
        cr_assert_eq(second.count, ARRAY_SIZE(steps), "%s: %u", rig_config_name(&rig.cfg),
                     second.count);
        for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
            cr_expect_eq(second.heard[i], steps[i], "%u: %d", i, second.heard[i]);
        rig_close(&rig);
        cr_expect_eq(first.destroyed + second.destroyed, 2, "with the device");
    }
}

Test(virtio_observer, rings_keep_their_own_operations)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct rig rig;
        rig_open_echo_on(&rig, &(struct rig_config){.packed = packed, .strict = true});
        cr_assert_eq(virtio_device_measure(rig.dev, &rig.clock), 0);
        cr_assert(vdrv_start(&rig.drv, 0, 1, 8));
        cr_expect_eq(rig.dev->queues[0].vq.ops, packed ? &vq_packed_ops : &vq_split_ops);
        rig_close(&rig);
    }
}

OnEcho(virtio_observer, one_is_found_by_its_function)
{
    static struct listener l; /* it is told of the device's end */
    cr_expect_null(rig->dev->observers, "there is none unless one is asked for");
    cr_expect_null(virtio_observer_find(rig->dev, on_event));
    add(rig, &l, NULL);
    cr_expect_eq(virtio_observer_find(rig->dev, on_event), &l.observer);
}

static void serve_late(void *ctx)
{
    struct rig *rig = ctx;
    (void)evloop_turn_is_over(rig->loop);
    (void)evloop_turn_is_over(rig->loop);
    rig->time.now_ns += 2000000;
    virtio_queue_serve(rig->dev, 0);
}

/* A queue waits for the next turn when this one has taken too long, but not on a recording. */
Test(virtio_observer, an_observer_of_the_order_sees_no_turn_cut_by_time)
{
    for (unsigned ordered = 0; ordered < 2; ordered++) {
        struct rig rig;
        struct listener l;
        rig_open_echo(&rig);
        rig_start(&rig, 0, 1, 8);
        add(&rig, &l, NULL);
        rig.dev->observed |= ordered ? VIRTIO_SEES_ORDER : 0;
        struct ev_defer late = {.cb = serve_late, .ctx = &rig};
        evloop_defer(rig.loop, &late);
        evloop_run_deferred(rig.loop);
        cr_expect_eq(l.count > 0, ordered, "%u", l.count);
        rig_step(&rig);
        cr_expect_geq(l.count, 3, "a turn that finds nothing: %u", l.count);
        rig_close(&rig);
    }
}
