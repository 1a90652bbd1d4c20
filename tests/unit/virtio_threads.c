// SPDX-License-Identifier: BSD-2-Clause
/*
 * Several vCPUs and the loop at once. What these tests prove, they prove under ThreadSanitizer.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "core/loop/evloop.h"
#include "core/ports/bus.h"
#include "tests/harness/rig_test.h"
#include "virtio/spec.h"

#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
#define ROUNDS        300u
#define CHAINS        20000u

/* A second vCPU that touches every register which harms no one, and kicks, until told to stop. */
struct meddler {
    struct rig *rig;
    pthread_t thread;
    _Atomic bool stop;
};

static void *meddle(void *arg)
{
    struct meddler *m = arg;
    uint64_t value;
    for (uint32_t i = 0; !atomic_load(&m->stop); i++) {
        uint64_t at = RIG_WINDOW_GPA + (uint64_t)(i * 4 % 0x120);
        bus_read(m->rig->bus, at, 4, &value);
        bus_write(m->rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_QueueNotify, 4, i % 3);
        bus_write(m->rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_InterruptACK, 4, i % 4);
        bus_write(m->rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Config + i % 12, 1, i);
    }
    return NULL;
}

static void meddler_start(struct meddler *m, struct rig *rig)
{
    *m = (struct meddler){.rig = rig};
    cr_assert_eq(pthread_create(&m->thread, NULL, meddle, m), 0);
}

static void meddler_stop(struct meddler *m)
{
    atomic_store(&m->stop, true);
    pthread_join(m->thread, NULL);
}

OnEcho(virtio_threads, registers_kicks_and_resets_at_once)
{
    struct meddler m;
    cr_assert_eq(evloop_start_thread(rig->loop), 0);
    meddler_start(&m, rig);
    for (unsigned i = 0; i < ROUNDS; i++) {
        cr_assert(vdrv_start(&rig->drv, i % 2 ? RING_FEATURES : 0, 2, 16));
        struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 64, 8), 64, true};
        for (unsigned n = 0; n < i % 16; n++)
            vdrv_send(&rig->drv.q[n % 2], &buf, 1);
        if (i % 5 == 0) {
            vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, 1);
            vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReady, 0);
        }
        vdrv_reset(&rig->drv);
        cr_assert_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_Status), 0);
        uint16_t idx = vdrv_used_idx(&rig->drv.q[0]);
        cr_assert_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReady), 0);
        cr_assert_eq(vdrv_used_idx(&rig->drv.q[0]), idx, "nothing moves after a reset");
    }
    meddler_stop(&m);
    evloop_stop_thread(rig->loop);
}

/* Sends and takes as fast as it can, obeys suppression, and waits only where a driver would. */
static void check_stream(uint64_t features)
{
    struct rig rig;
    uint32_t head, len;
    unsigned sent = 0, taken = 0;
    rig_open_echo(&rig);
    cr_assert_eq(evloop_start_thread(rig.loop), 0);
    cr_assert(vdrv_start(&rig.drv, features, 1, 64));
    struct vdrv_queue *q = &rig.drv.q[0];
    uint64_t gpa = vdrv_alloc(&rig.drv, 16, 8);
    uint8_t *data = vdrv_ptr(&rig.drv, gpa, 8);
    struct vdrv_buf bufs[] = {{gpa, 8, false}, {gpa + 8, 8, true}};
    data[0] = 1;
    while (taken < CHAINS) {
        while (sent < CHAINS && vdrv_add(q, bufs, 2) >= 0)
            sent++;
        vdrv_publish(q);
        if (vdrv_kick_wanted(q))
            vdrv_set(&rig.drv, VIRTIO_MMIO_QueueNotify, 0);
        /* Whoever waits here for ever has lost a kick or an interrupt. */
        vdrv_used_event(q, (uint16_t)q->ring.next_used);
        while (!vdrv_used(q, &head, &len))
            sched_yield();
        do
            taken++;
        while (vdrv_used(q, &head, &len));
    }
    cr_expect_gt(fake_irq_take(&rig.irq), 0);
    evloop_stop_thread(rig.loop);
    rig_close(&rig);
}

Test(virtio_threads, a_stream_by_flags)
{
    check_stream(0);
}

Test(virtio_threads, a_stream_by_event_idx)
{
    check_stream(RING_FEATURES);
}

/* A disk is reset by one vCPU while its requests are in flight and another vCPU kicks. */
OnDisk(virtio_threads, reset_under_load)
{
    struct meddler m;
    cr_assert_eq(evloop_start_thread(rig->loop), 0);
    meddler_start(&m, rig);
    for (unsigned i = 0; i < ROUNDS; i++) {
        cr_assert(vdrv_start(&rig->drv, RING_FEATURES, 1, 64));
        uint64_t header = vdrv_alloc(&rig->drv, 16, 16); /* zeroed: read sector 0 */
        uint64_t data = vdrv_alloc(&rig->drv, 4097, 16);
        struct vdrv_buf bufs[] = {{header, 16, false}, {data, 4097, true}};
        for (unsigned n = 0; n < 1 + i % 30; n++)
            vdrv_add(&rig->drv.q[0], bufs, 2);
        vdrv_kick(&rig->drv.q[0]);
        if (i % 3 == 0)
            while (vdrv_used_idx(&rig->drv.q[0]) == 0)
                sched_yield();
        vdrv_reset(&rig->drv);
    }
    meddler_stop(&m);
    evloop_stop_thread(rig->loop);
}
