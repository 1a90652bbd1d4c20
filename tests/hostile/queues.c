// SPDX-License-Identifier: BSD-2-Clause
/* What two queues, or a queue and the rest of the machine, do to each other: H08, H11. */
#include "hostile.h"

#include <stdatomic.h>

#include "core/loop/evloop.h"

#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))

/* Two queues in the same memory: each takes what the other one is given, and what it gives back. */
OnEachRig(hostile_queues, h08_two_queues_in_one_place, rig_open_echo_on(rig, on), rig_close(rig))
{
    for (unsigned i = 0; i < 64; i++) {
        cr_assert(vdrv_negotiate(&rig->drv, RING_FEATURES));
        vdrv_queue_alloc(&rig->drv, 0, HOSTILE_SIZE);
        vdrv_queue_alloc(&rig->drv, 1, HOSTILE_SIZE);
        struct vdrv_queue *a = &rig->drv.q[0], *b = &rig->drv.q[1];
        /* By turns the same parts, and one's part where the other has another one. */
        uint64_t *parts[] = {&b->desc_gpa, &b->avail_gpa, &b->used_gpa};
        const uint64_t others[] = {a->desc_gpa, a->avail_gpa & ~UINT64_C(15),
                                   a->used_gpa & ~UINT64_C(15)};
        for (unsigned p = 0; p < 3; p++)
            if (i >> p & 1)
                *parts[p] = others[(p + i / 8) % 3];
        vdrv_queue_write(&rig->drv, 0);
        vdrv_queue_write(&rig->drv, 1);
        vdrv_driver_ok(&rig->drv);
        uint64_t gpa = vdrv_alloc(&rig->drv, 64, 16);
        struct vdrv_buf bufs[] = {{gpa, 16, false}, {gpa + 32, 16, true}};
        for (unsigned n = 0; n < 6; n++) {
            vdrv_send(a, bufs, 2);
            vdrv_notify(b);
            rig_step(rig);
        }
    }
    /* And each is its own again. */
    cr_assert(vdrv_start(&rig->drv, RING_FEATURES, 2, HOSTILE_SIZE));
    for (unsigned q = 0; q < 2; q++) {
        uint64_t gpa = vdrv_alloc(&rig->drv, 64, 16);
        uint32_t head, len;
        vdrv_send(&rig->drv.q[q], (struct vdrv_buf[]){{gpa, 16, false}, {gpa + 32, 16, true}}, 2);
        rig_step(rig);
        cr_expect(vdrv_used(&rig->drv.q[q], &head, &len));
        cr_expect_eq(len, 16);
    }
}

/* A vCPU that publishes as fast as the device serves: on the loop, so that it is never late. */
struct refill {
    struct vdrv_queue *q;
    struct evloop *loop;
    struct ev_defer defer;
    atomic_uint turns;
    _Atomic bool stop;
};

static void refill(void *ctx)
{
    struct refill *r = ctx;
    struct vdrv_buf buf = {0x30000, 1, true};
    uint32_t head, len;
    while (vdrv_used(r->q, &head, &len))
        ;
    while (vdrv_add(r->q, &buf, 1) >= 0)
        ;
    vdrv_kick(r->q);
    atomic_fetch_add(&r->turns, 1);
    if (!atomic_load(&r->stop))
        evloop_defer(r->loop, &r->defer);
}

/* Another vCPU's reset gets through, time and again, and the device is silent after it. */
OnEach(hostile_queues, h11_reset_during_refill)
{
    for (unsigned i = 0; i < 20; i++) {
        struct rig rig;
        rig_open_rng_on(&rig, on);
        cr_assert(vdrv_start(&rig.drv, 0, 1, 256));
        struct vdrv other = rig.drv; /* the vCPU that refills */
        struct refill r = {.q = &other.q[0], .loop = rig.loop};
        other.q[0].drv = &other;
        r.defer = (struct ev_defer){.cb = refill, .ctx = &r};
        evloop_defer(rig.loop, &r.defer);
        cr_assert_eq(evloop_start_thread(rig.loop), 0);
        while (atomic_load(&r.turns) < 3)
            ;
        vdrv_set_status(&rig.drv, 0);
        cr_expect_eq(vdrv_status(&rig.drv), 0);
        atomic_store(&r.stop, true);
        evloop_stop_thread(rig.loop);
        rig_step(&rig);
        cr_assert(vdrv_start(&rig.drv, 0, 1, 8), "%s", rig_config_name(on));
        uint64_t gpa = vdrv_alloc(&rig.drv, 16, 16);
        vdrv_send(&rig.drv.q[0], &(struct vdrv_buf){gpa, 16, true}, 1);
        rig_step(&rig);
        cr_expect(vdrv_has_used(&rig.drv.q[0]));
        rig_close(&rig);
    }
}
