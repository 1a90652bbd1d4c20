// SPDX-License-Identifier: BSD-2-Clause
/* Rings that lie: H01 to H12; what only a packed ring can say is in packed.c. */
#include "hostile.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/loop/evloop.h"

OnRunningSplit(hostile_ring, h01_cycle_of_one_and_of_two)
{
    hostile_desc(rig, 0, gpa, 16, NEXT, 0);
    hostile_break(rig, &gpa, 0, "self-cycle");
    hostile_desc(rig, 3, gpa, 16, NEXT, 5);
    hostile_desc(rig, 5, gpa, 16, NEXT, 3);
    hostile_break(rig, &gpa, 3, "cycle of two");
    hostile_desc(rig, 0, 0, 0, NEXT, 1);
    hostile_desc(rig, 1, 0, 0, NEXT, 0);
    hostile_break(rig, &gpa, 0, "cycle of empty buffers");
    hostile_entry(rig, gpa, 0, gpa + 64, 1, NEXT, 1);
    hostile_entry(rig, gpa, 1, gpa + 64, 1, NEXT, 0);
    hostile_desc(rig, 0, gpa, 32, INDIRECT, 0);
    hostile_break(rig, &gpa, 0, "indirect cycle");
}

/* NEXT on what should be the last descriptor: all around a packed ring. */
OnRunning(hostile_ring, h01_chain_without_end)
{
    for (uint32_t len = 0; len < 2; len++) {
        for (unsigned i = HOSTILE_SIZE; i-- > 0;)
            hostile_desc(rig, i, gpa, len, NEXT, i + 1);
        hostile_break(rig, &gpa, 0, len > 0 ? "next of the last" : "of empty buffers");
    }
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

OnRunning(hostile_ring, h02_indirect_table_longer_than_the_queue)
{
    for (unsigned i = 0; i <= HOSTILE_SIZE; i++)
        hostile_entry(rig, gpa, i, gpa + 2048, 1, i < HOSTILE_SIZE ? NEXT : 0, i + 1);
    hostile_desc(rig, 0, gpa, 16 * (HOSTILE_SIZE + 1), INDIRECT, 0);
    hostile_break(rig, &gpa, 0, "17 in a queue of 16");
}

/* 15 direct ones, then a table of 2: neither alone is too long. */
OnRunningSplit(hostile_ring, h02_chain_longer_than_the_queue)
{
    hostile_entry(rig, gpa, 0, gpa + 2048, 1, NEXT, 1);
    hostile_entry(rig, gpa, 1, gpa + 2048, 1, 0, 0);
    for (unsigned i = 0; i < HOSTILE_SIZE - 1; i++)
        hostile_desc(rig, i, gpa + 2048, 1, NEXT, i + 1);
    hostile_desc(rig, HOSTILE_SIZE - 1, gpa, 32, INDIRECT, 0);
    hostile_break(rig, &gpa, 0, "15 and 2");
}

OnRunningSplit(hostile_ring, h03_next_outside_of_the_table)
{
    static const uint16_t bad[] = {HOSTILE_SIZE, HOSTILE_SIZE + 1, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        hostile_desc(rig, 0, gpa, 16, NEXT, bad[i]);
        hostile_break(rig, &gpa, 0, "next");
        hostile_entry(rig, gpa, 0, gpa + 64, 16, NEXT, i == 0 ? 2 : bad[i]);
        hostile_desc(rig, 0, gpa, 32, INDIRECT, 0);
        hostile_break(rig, &gpa, 0, "next in an indirect table");
    }
}

OnRunningSplit(hostile_ring, h04_head_outside_of_the_table)
{
    static const uint16_t bad[] = {HOSTILE_SIZE, HOSTILE_SIZE + 1, 0x8000, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        hostile_break(rig, &gpa, bad[i], "head");
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

OnRunning(hostile_ring, h06_head_or_id_published_while_in_flight)
{
    rig->disk.hold = true;
    struct blkreq req = hostile_read(rig);
    cr_assert_eq(rig->disk.out, 1);
    if (rig->drv.q[0].packed)
        hostile_desc(rig, 3, 0x30000, 16, 0, (unsigned)req.head);
    hostile_publish(rig, (uint16_t)req.head);
    hostile_expect_broken(rig, "the same head or id");
    cr_expect_eq(rig->disk.out, 1, "not submitted again");
    fake_blk_release(&rig->disk);
    rig_step(rig);
    cr_expect(!vdrv_has_used(&rig->drv.q[0]), "a broken ring is not written");
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

OnEach(hostile_ring, h08_rings_on_top_of_each_other)
{
    struct rig rig;
    rig_open_blk_on(&rig, on);
    for (unsigned i = 0; i < 256; i++) {
        cr_assert(vdrv_negotiate(&rig.drv, HOSTILE_FEATURES));
        vdrv_queue_alloc(&rig.drv, 0, HOSTILE_SIZE);
        struct vdrv_queue *q = &rig.drv.q[0];
        q->avail_gpa = q->desc_gpa + (on->packed ? 4 : 2) * (uint64_t)(i & 15);
        q->used_gpa = q->desc_gpa + 4 * (uint64_t)(i >> 4);
        vdrv_queue_map(q);
        vdrv_queue_write(&rig.drv, 0);
        vdrv_driver_ok(&rig.drv);
        hostile_desc(&rig, 1, q->desc_gpa, on->packed ? 250 : 600, WRITE, 0);
        hostile_desc(&rig, 0, q->desc_gpa, 16, NEXT, 1);
        hostile_publish(&rig, 0);
    }
    hostile_close(&rig);
}

/* A second vCPU writes what another thread reads, until the test ends. */
struct editor {
    struct rig *rig;
    uint8_t *desc;
    bool packed;
    pthread_t thread;
    _Atomic bool stop;
};

static void start_editor(struct editor *e, void *(*edit)(void *e), struct rig *rig)
{
    struct vdrv_queue *q = &rig->drv.q[0];
    *e = (struct editor){.rig = rig, .desc = q->desc, .packed = q->packed};
    rig->drv.watch.host = NULL; /* the guest has another thread, which writes */
    cr_assert_eq(pthread_create(&e->thread, NULL, edit, e), 0);
}

static void stop_editor(struct editor *e)
{
    atomic_store(&e->stop, true);
    pthread_join(e->thread, NULL);
}

/* The descriptors, all the time: flags and next of a split ring, id and flags of a packed one. */
static void *edit(void *arg)
{
    static const uint64_t addrs[] = {0, RIG_HOLE_GPA, RIG_RAM_END_GPA - 1, UINT64_MAX, 0x20000};
    static const uint32_t lens[] = {0, 1, 16, 512, UINT32_MAX};
    struct editor *e = arg;
    for (uint32_t i = 1; !atomic_load(&e->stop); i = i * 1103515245 + 12345) {
        uint8_t bytes[VIRTQ_DESC_BYTES];
        volatile uint8_t *at = e->desc + (size_t)((i >> 12) % HOSTILE_SIZE) * sizeof(bytes);
        unsigned place = (i >> 24) % (HOSTILE_SIZE + 1), flags = (i >> 20) & 7;
        unsigned packed = flags | (i & 0x800 ? AVAIL : 0) | (i & 0x400 ? USED : 0);
        vdrv_desc_put(bytes, 0, addrs[(i >> 8) % 5], lens[(i >> 16) % 5], e->packed ? place : flags,
                      e->packed ? packed : place);
        for (unsigned b = 0; b < sizeof(bytes); b++)
            at[b] = bytes[b];
    }
    return NULL;
}

OnRunning(hostile_ring, h09_descriptors_edited_all_the_time)
{
    if (RACES_ON_PURPOSE)
        cr_skip_test("the guest's race is the point");
    struct editor e;
    start_editor(&e, edit, rig);
    unsigned served = 0;
    for (unsigned i = 0; i < 3000; i++) {
        if (rig_is_broken(rig)) {
            cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
            cr_assert_eq(rig->drv.q[0].desc, e.desc);
        }
        hostile_publish(rig, (uint16_t)(i % HOSTILE_SIZE));
        served += !e.packed && vdrv_used_idx(&rig->drv.q[0]) != 0;
    }
    stop_editor(&e);
    cr_expect(e.packed || served > 0, "some made sense");
}

/* Event suppression that makes no sense costs an interrupt too many or one too few, and no more. */
OnRunning(hostile_ring, h10_event_suppression_is_garbage)
{
    uint32_t head, len;
    struct vdrv_queue *q = &rig->drv.q[0];
    for (unsigned i = 0; i < 200; i++) {
        if (q->packed) {
            vdrv_driver_event(q, (uint16_t)(i * 331), (uint16_t)(i % 5 == 4 ? 0xffff : i % 4));
            memset(q->used, (int)i, PVIRTQ_EVENT_BYTES);
        } else {
            vdrv_used_event(q, (uint16_t)(i % 4 == 3 ? 0xdead : q->ring.next_used + i % 4 - 1));
            memset(q->used + VIRTQ_USED_AVAIL_EVENT(HOSTILE_SIZE), (int)i, 2);
        }
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

/* A chain becomes available and vanishes while the device looks. */
static void *flicker(void *arg)
{
    struct editor *e = arg;
    uint8_t *index = e->rig->drv.q[0].avail + VIRTQ_AVAIL_IDX;
    uint16_t *at = (uint16_t *)(void *)(e->packed ? e->desc + PVIRTQ_DESC_flags : index);
    while (!atomic_load(&e->stop)) {
        __atomic_store_n(at, e->packed ? AVAIL | WRITE : 1, __ATOMIC_RELAXED);
        __atomic_store_n(at, 0, __ATOMIC_RELAXED);
    }
    return NULL;
}

OnRunning(hostile_ring, h11_chain_that_flickers)
{
    struct editor e;
    struct vdrv_queue *q = &rig->drv.q[0];
    if (RACES_ON_PURPOSE && q->packed)
        cr_skip_test("the guest's race is the point");
    vdrv_desc_put(q->desc, 0, 0x30000, 1, q->packed ? 0 : WRITE, q->packed ? WRITE : 0);
    start_editor(&e, flicker, rig);
    for (unsigned i = 0; i < 2000; i++)
        virtio_queue_serve(rig->dev, 0); /* returns */
    stop_editor(&e);
}

OnRunning(hostile_ring, h12_unknown_flags_are_ignored)
{
    struct vdrv_queue *q = &rig->drv.q[0];
    const unsigned known = NEXT | WRITE | INDIRECT | (q->packed ? AVAIL | USED : 0);
    const unsigned unknown = 0xffff & ~known;
    uint32_t id, len;
    hostile_desc(rig, 1, gpa + 512, 513, unknown | WRITE, 9);
    hostile_desc(rig, 0, gpa, 16, unknown | NEXT, 1);
    hostile_publish(rig, 0);
    cr_expect(!rig_is_broken(rig));
    cr_assert(vdrv_ring_peek(&q->ring, &id, &len));
    cr_expect_eq(id, q->packed ? 9 : 0, "a packed ring's last descriptor has the id");
}

OnRunning(hostile_ring, h12_readable_after_writable)
{
    hostile_desc(rig, 2, gpa, 16, 0, 0);
    hostile_desc(rig, 1, gpa + 512, 512, WRITE | NEXT, 2);
    hostile_desc(rig, 0, gpa, 16, NEXT, 1);
    hostile_break(rig, &gpa, 0, "order");
}
