// SPDX-License-Identifier: BSD-2-Clause
/* Rings that lie: H01 to H12. */
#include "hostile.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/loop/evloop.h"

#define NEXT     VIRTQ_DESC_F_NEXT
#define WRITE    VIRTQ_DESC_F_WRITE
#define INDIRECT VIRTQ_DESC_F_INDIRECT

OnRunningSplit(hostile_ring, h01_cycle_of_one_and_of_two)
{
    hostile_desc(rig, 0, gpa, 16, NEXT, 0);
    hostile_publish(rig, 0);
    hostile_expect_broken(rig, "self-cycle");
    hostile_restart(rig, &gpa);
    hostile_desc(rig, 3, gpa, 16, NEXT, 5);
    hostile_desc(rig, 5, gpa, 16, NEXT, 3);
    hostile_publish(rig, 3);
    hostile_expect_broken(rig, "cycle of two");
}

OnRunningSplit(hostile_ring, h01_cycle_of_empty_buffers)
{
    hostile_desc(rig, 0, 0, 0, NEXT, 1);
    hostile_desc(rig, 1, 0, 0, NEXT, 0);
    hostile_publish(rig, 0);
    hostile_expect_broken(rig, "cycle");
}

OnRunningSplit(hostile_ring, h01_cycle_in_an_indirect_table)
{
    uint8_t *table = vdrv_ptr(&rig->drv, gpa, 32);
    vdrv_desc_put(table, 0, gpa + 64, 1, NEXT, 1);
    vdrv_desc_put(table, 1, gpa + 64, 1, NEXT, 0);
    hostile_desc(rig, 0, gpa, 32, INDIRECT, 0);
    hostile_publish(rig, 0);
    hostile_expect_broken(rig, "indirect cycle");
}

OnRunning(hostile_ring, h02_chain_as_long_as_the_queue)
{
    /* 16 bytes of header in 14 buffers, 512 bytes of data, status: 16 buffers. */
    struct blkreq req = {.bytes = 512, .data_write = true};
    req.data_gpa = vdrv_alloc(&rig->drv, 512, 16);
    uint64_t header = vdrv_alloc(&rig->drv, 16, 16), status = vdrv_alloc(&rig->drv, 1, 1);
    *(uint8_t *)vdrv_ptr(&rig->drv, status, 1) = BLKREQ_NO_STATUS;
    struct vdrv_buf bufs[HOSTILE_SIZE] = {{header, 3, false}};
    for (unsigned i = 1; i < 14; i++)
        bufs[i] = (struct vdrv_buf){header + 2 + i, 1, false};
    bufs[14] = (struct vdrv_buf){req.data_gpa, 512, true};
    bufs[15] = (struct vdrv_buf){status, 1, true};
    cr_assert_geq(vdrv_send(&rig->drv.q[0], bufs, HOSTILE_SIZE), 0);
    rig_step(rig);
    cr_expect(!rig_is_broken(rig));
    cr_expect_eq(*(uint8_t *)vdrv_ptr(&rig->drv, status, 1), VIRTIO_BLK_S_OK);
}

OnRunningSplit(hostile_ring, h02_chain_longer_than_the_queue)
{
    uint8_t *table = vdrv_ptr(&rig->drv, gpa, 272);
    for (unsigned i = 0; i <= HOSTILE_SIZE; i++)
        vdrv_desc_put(table, i, gpa + 2048, 1, i < HOSTILE_SIZE ? NEXT : 0, i + 1);
    hostile_desc(rig, 0, gpa, 16 * (HOSTILE_SIZE + 1), INDIRECT, 0);
    hostile_publish(rig, 0);
    hostile_expect_broken(rig, "17 in a queue of 16");

    /* 15 direct ones, then a table of 2: neither alone is too long. */
    hostile_restart(rig, &gpa);
    table = vdrv_ptr(&rig->drv, gpa, 32);
    vdrv_desc_put(table, 0, gpa + 2048, 1, NEXT, 1);
    vdrv_desc_put(table, 1, gpa + 2048, 1, 0, 0);
    for (unsigned i = 0; i < HOSTILE_SIZE - 1; i++)
        hostile_desc(rig, i, gpa + 2048, 1, NEXT, i + 1);
    hostile_desc(rig, HOSTILE_SIZE - 1, gpa, 32, INDIRECT, 0);
    hostile_publish(rig, 0);
    hostile_expect_broken(rig, "15 and 2");
}

OnRunningSplit(hostile_ring, h03_next_outside_of_the_table)
{
    static const uint16_t bad[] = {HOSTILE_SIZE, HOSTILE_SIZE + 1, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        hostile_desc(rig, 0, gpa, 16, NEXT, bad[i]);
        hostile_publish(rig, 0);
        hostile_expect_broken(rig, "next");
        hostile_restart(rig, &gpa);
        uint8_t *table = vdrv_ptr(&rig->drv, gpa, 32);
        vdrv_desc_put(table, 0, gpa + 64, 16, NEXT, i == 0 ? 2 : bad[i]);
        hostile_desc(rig, 0, gpa, 32, INDIRECT, 0);
        hostile_publish(rig, 0);
        hostile_expect_broken(rig, "next in an indirect table");
        hostile_restart(rig, &gpa);
    }
}

OnRunningSplit(hostile_ring, h04_head_outside_of_the_table)
{
    static const uint16_t bad[] = {HOSTILE_SIZE, HOSTILE_SIZE + 1, 0x8000, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        hostile_publish(rig, bad[i]);
        hostile_expect_broken(rig, "head");
        hostile_restart(rig, &gpa);
    }
}

OnRunningSplit(hostile_ring, h05_available_index_jumps)
{
    static const uint16_t jumps[] = {HOSTILE_SIZE + 1, 0x7fff, 0x8000, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
        /* 0xffff is one back. */
        rig->drv.q[0].ring.next_avail += jumps[i];
        vdrv_kick(&rig->drv.q[0]);
        rig_step(rig);
        hostile_expect_broken(rig, "index");
        hostile_restart(rig, &gpa);
    }
}

OnEachRig(hostile_ring, h05_available_index_crosses_65535, rig_open_rng_on(rig, on), rig_close(rig))
{
    uint32_t head, len;
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES & vdrv_offered(&rig->drv), 1, HOSTILE_SIZE));
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 8), 1, true};
    for (unsigned i = 0; i < 70000; i++) {
        vdrv_send(&rig->drv.q[0], &buf, 1);
        rig_step(rig);
        cr_assert(vdrv_used(&rig->drv.q[0], &head, &len), "chain %u", i);
    }
    cr_expect(!rig_is_broken(rig));
}

OnRunningSplit(hostile_ring, h06_head_published_while_in_flight)
{
    rig->disk.hold = true;
    struct blkreq req = {.bytes = 512, .data_write = true};
    blkreq_send(rig, &req);
    rig_step(rig);
    cr_assert_eq(rig->disk.out, 1);
    hostile_publish(rig, (uint16_t)req.head);
    hostile_expect_broken(rig, "the same head");
    cr_expect_eq(rig->disk.out, 1, "not submitted again");
    fake_blk_release(&rig->disk);
    rig_step(rig);
    cr_expect_eq(vdrv_used_idx(&rig->drv.q[0]), 0, "a broken ring is not written");
}

OnRunningSplit(hostile_ring, h06_head_published_twice_at_once)
{
    rig->disk.hold = true;
    struct blkreq req = {.bytes = 512, .data_write = true};
    blkreq_send(rig, &req);
    hostile_publish(rig, (uint16_t)req.head);
    hostile_expect_broken(rig, "the same head");
}

OnRunningSplit(hostile_ring, h07_used_ring_overwritten_by_the_guest)
{
    uint32_t head, len;
    struct vdrv_queue *q = &rig->drv.q[0];
    for (unsigned i = 0; i < 40; i++) {
        memset(q->used, 0xa5 + (int)i, VIRTQ_USED_BYTES(HOSTILE_SIZE));
        struct blkreq req = {.sector = i, .bytes = 512, .data_write = true};
        blkreq_send(rig, &req);
        rig_step(rig);
        cr_assert_eq(blkreq_status(rig, &req), VIRTIO_BLK_S_OK);
        cr_assert_eq(vdrv_used_idx(q), i + 1, "the device knows its own index");
        cr_assert(vdrv_used(q, &head, &len));
        cr_assert_eq(len, 513);
    }
}

OnRunning(hostile_ring, h08_device_writes_its_own_rings)
{
    struct vdrv_queue *q = &rig->drv.q[0];
    const uint64_t targets[] = {q->desc_gpa, q->avail_gpa & ~UINT64_C(15), q->used_gpa};
    for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
        memset(rig->disk.bytes, 0xff, 1024);
        struct blkreq req = {.bytes = 512, .data_write = true, .data_gpa = targets[i]};
        blkreq_send(rig, &req);
        rig_step(rig);
        vdrv_kick(q);
        rig_step(rig);
        cr_assert(hostile_recovers(rig));
        hostile_restart(rig, &gpa);
    }
}

OnSplit(hostile_ring, h08_rings_on_top_of_each_other)
{
    struct rig rig;
    rig_open_blk_on(&rig, on);
    for (unsigned i = 0; i < 256; i++) {
        cr_assert(vdrv_negotiate(&rig.drv, HOSTILE_FEATURES));
        vdrv_queue_alloc(&rig.drv, 0, HOSTILE_SIZE);
        struct vdrv_queue *q = &rig.drv.q[0];
        q->avail_gpa = q->desc_gpa + 2 * (uint64_t)(i & 15);
        q->used_gpa = q->desc_gpa + 4 * (uint64_t)(i >> 4);
        vdrv_queue_map(q);
        vdrv_queue_write(&rig.drv, 0);
        vdrv_driver_ok(&rig.drv);
        hostile_desc(&rig, 0, q->desc_gpa, 600, WRITE, 0);
        hostile_desc(&rig, 1, q->desc_gpa, 16, NEXT, 0);
        hostile_publish(&rig, 1);
    }
    hostile_close(&rig);
}

/* A second vCPU edits the descriptors and rings all the time. */
struct editor {
    struct rig *rig;
    uint64_t gpa;
    _Atomic bool stop;
};

static void *edit(void *arg)
{
    struct editor *e = arg;
    static const uint64_t addrs[] = {0, RIG_HOLE_GPA, RIG_RAM_END_GPA - 1, UINT64_MAX, 0x20000};
    static const uint32_t lens[] = {0, 1, 16, 512, UINT32_MAX};
    volatile uint8_t *desc = vdrv_ptr(&e->rig->drv, e->gpa, 256);
    for (uint32_t i = 1; !atomic_load(&e->stop); i = i * 1103515245 + 12345) {
        uint8_t bytes[16];
        vdrv_desc_put(bytes, 0, addrs[(i >> 8) % 5], lens[(i >> 16) % 5], (i >> 20) & 7,
                      (i >> 24) % (HOSTILE_SIZE + 1));
        unsigned at = (i >> 12) % HOSTILE_SIZE;
        for (unsigned b = 0; b < 16; b++)
            desc[at * 16 + b] = bytes[b];
    }
    return NULL;
}

OnRunningSplit(hostile_ring, h09_descriptors_edited_after_publishing)
{
    if (RACES_ON_PURPOSE)
        cr_skip_test("the guest's race is the point");
    struct editor e = {.rig = rig, .gpa = rig->drv.q[0].desc_gpa};
    pthread_t thread;
    rig->drv.watch.host = NULL; /* the guest has another thread, which writes */
    cr_assert_eq(pthread_create(&thread, NULL, edit, &e), 0);
    unsigned served = 0;
    for (unsigned i = 0; i < 3000; i++) {
        if (rig_is_broken(rig)) {
            cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
            cr_assert_eq(rig->drv.q[0].desc_gpa, e.gpa);
        }
        hostile_publish(rig, (uint16_t)(i % HOSTILE_SIZE));
        served += vdrv_used_idx(&rig->drv.q[0]);
    }
    atomic_store(&e.stop, true);
    pthread_join(thread, NULL);
    cr_expect_gt(served, 0, "some made sense");
}

OnRunningSplit(hostile_ring, h10_event_indices_are_garbage)
{
    uint32_t head, len;
    struct vdrv_queue *q = &rig->drv.q[0];
    for (unsigned i = 0; i < 200; i++) {
        vdrv_used_event(q, (uint16_t)(i % 4 == 3 ? 0xdead : q->ring.next_used + i % 4 - 1));
        memset(q->used + VIRTQ_USED_AVAIL_EVENT(HOSTILE_SIZE), (int)i, 2);
        struct blkreq req = {.sector = i, .bytes = 512, .data_write = true};
        blkreq_send(rig, &req);
        rig_step(rig);
        cr_assert(vdrv_used(q, &head, &len), "every kick is served");
    }
    cr_expect(!rig_is_broken(rig));
}

/* Publishes a chain more whenever the loop comes by. */
struct refill {
    struct rig *rig;
    struct ev_defer defer;
    unsigned left;
    unsigned most; /* that the device served between two of our turns */
};

static void refill(void *ctx)
{
    struct refill *r = ctx;
    struct vdrv_queue *q = &r->rig->drv.q[0];
    uint32_t head, len;
    unsigned served = 0;
    while (vdrv_used(q, &head, &len))
        served++;
    r->most = served > r->most ? served : r->most;
    struct vdrv_buf buf = {0x30000, 1, true};
    while (r->left > 0 && vdrv_add(q, &buf, 1) >= 0)
        r->left--;
    vdrv_kick(q);
    if (r->left > 0)
        evloop_defer(r->rig->loop, &r->defer);
}

OnEachRig(hostile_ring, h11_refill_without_end, rig_open_rng_on(rig, on), rig_close(rig))
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, 256));
    struct refill r = {.rig = rig, .defer = {.cb = refill, .ctx = &r}, .left = 20000};
    evloop_defer(rig->loop, &r.defer);
    rig_step(rig);
    cr_expect_eq(r.left, 0);
    /* Between two turns of anyone else: one by the kick, one put off from before. */
    cr_expect_leq(r.most, 2 * VIRTIO_TURN_CHAINS);
}

/* Makes the available index grow and shrink while the device looks. */
static void *flicker(void *arg)
{
    struct editor *e = arg;
    uint16_t *idx = (uint16_t *)(void *)(e->rig->drv.q[0].avail + VIRTQ_AVAIL_IDX);
    while (!atomic_load(&e->stop)) {
        __atomic_store_n(idx, 1, __ATOMIC_RELAXED);
        __atomic_store_n(idx, 0, __ATOMIC_RELAXED);
    }
    return NULL;
}

OnRunningSplit(hostile_ring, h11_index_that_flickers)
{
    struct editor e = {.rig = rig};
    pthread_t thread;
    hostile_desc(rig, 0, 0x30000, 1, WRITE, 0);
    rig->drv.watch.host = NULL; /* the guest has another thread, which writes */
    cr_assert_eq(pthread_create(&thread, NULL, flicker, &e), 0);
    for (unsigned i = 0; i < 2000; i++)
        virtio_queue_serve(rig->dev, 0); /* returns */
    atomic_store(&e.stop, true);
    pthread_join(thread, NULL);
}

OnRunningSplit(hostile_ring, h12_unknown_flags_are_ignored)
{
    hostile_desc(rig, 0, gpa, 16, 0xfff8 | NEXT, 1);
    hostile_desc(rig, 1, gpa + 512, 513, 0xfff8 | WRITE, 0);
    hostile_publish(rig, 0);
    cr_expect(!rig_is_broken(rig));
    cr_expect_eq(vdrv_used_idx(&rig->drv.q[0]), 1);
}

OnRunningSplit(hostile_ring, h12_readable_after_writable)
{
    hostile_desc(rig, 0, gpa, 16, NEXT, 1);
    hostile_desc(rig, 1, gpa + 512, 512, WRITE | NEXT, 2);
    hostile_desc(rig, 2, gpa, 16, 0, 0);
    hostile_publish(rig, 0);
    hostile_expect_broken(rig, "order");
}

OnRunningSplit(hostile_ring, h12_next_on_what_should_be_last)
{
    for (unsigned i = 0; i < HOSTILE_SIZE; i++)
        hostile_desc(rig, i, gpa, 1, NEXT, i + 1);
    hostile_publish(rig, 0);
    hostile_expect_broken(rig, "next of the last");
}
