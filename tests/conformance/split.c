// SPDX-License-Identifier: BSD-2-Clause
/* The split ring: VIRTIO 1.4 2.7. */
#include "conformance.h"

#include <sched.h>
#include <string.h>

#include "core/base/le.h"
#include "core/loop/evloop.h"
#include "tests/harness/blkreq.h"

#define EVENT_IDX VIRTIO_BIT(VIRTIO_F_EVENT_IDX)

/* Puts a chain that starts at descriptor `head` into the ring, and lets the device work. */
static void offer_head(struct rig *rig, uint16_t head)
{
    vdrv_avail_put(&rig->drv.q[0], head);
    vdrv_kick(&rig->drv.q[0]);
    rig_step(rig);
}

/* How data is cut into descriptors makes no difference. */
Requirement(split_framing_1, BLK, SPLIT)
{
    static const uint32_t cuts[] = {0, 3, 5, 15, 16, 17, 100, 511, 512, 513};
    start(rig, 0, 256);
    for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct blkreq out = {.type = VIRTIO_BLK_T_OUT,
                             .sector = 7,
                             .bytes = 512,
                             .cut = cuts[i],
                             .data_gpa = 0x100000};
        struct blkreq in = {.type = VIRTIO_BLK_T_IN,
                            .sector = 7,
                            .bytes = 512,
                            .cut = cuts[i],
                            .data_gpa = 0x101000,
                            .data_write = true};
        uint8_t *data = vdrv_ptr(&rig->drv, 0x100000, 512);
        for (unsigned n = 0; n < 512; n++)
            data[n] = (uint8_t)(n * 7 + i);
        expect(blkreq_do(rig, &out, NULL) == VIRTIO_BLK_S_OK);
        expect(memcmp(rig->disk.bytes + 7 * (size_t)512, data, 512) == 0);
        uint32_t used;
        expect(blkreq_do(rig, &in, &used) == VIRTIO_BLK_S_OK && used == 513);
        expect(memcmp(blkreq_data(rig, &in), data, 512) == 0);
    }
}

/* The descriptor table is not written, and no indirect table. */
Requirement(split_desc_4, ECHO, SPLIT)
{
    static uint8_t table[16384], indirect[4 * VIRTQ_DESC_BYTES];
    start(rig, RING_FEATURES, 8);
    struct vdrv_queue *q = &rig->drv.q[0];
    uint64_t gpa = vdrv_alloc(&rig->drv, 64, 16);
    struct vdrv_buf bufs[] = {
        {gpa, 8, false}, {gpa + 16, 8, false}, {gpa + 32, 8, true}, {gpa + 48, 8, true}};
    demand(vdrv_add(q, bufs, 4) >= 0);
    int head = vdrv_add_indirect(q, bufs, 4);
    demand(head >= 0);
    size_t bytes = (size_t)q->size * VIRTQ_DESC_BYTES;
    demand(bytes <= sizeof(table));
    memcpy(table, q->desc, bytes);
    uint64_t at = le64_get(q->desc + (size_t)head * VIRTQ_DESC_BYTES);
    memcpy(indirect, vdrv_ptr(&rig->drv, at, sizeof(indirect)), sizeof(indirect));
    vdrv_kick(q);
    rig_step(rig);
    demand(vdrv_used_idx(q) == 2);
    vdrv_set_status(&rig->drv, 0);
    expect(memcmp(table, q->desc, bytes) == 0);
    expect(memcmp(indirect, vdrv_ptr(&rig->drv, at, sizeof(indirect)), sizeof(indirect)) == 0);
}

/* WRITE has no meaning in a descriptor that refers to an indirect table. */
Requirement(split_indirect_1, ECHO, SPLIT)
{
    start(rig, RING_FEATURES, 8);
    struct vdrv_queue *q = &rig->drv.q[0];
    uint64_t gpa = vdrv_alloc(&rig->drv, 32, 16);
    struct vdrv_buf bufs[] = {{gpa, 8, false}, {gpa + 16, 8, true}};
    fill(rig, gpa, 8, 0x55);
    int head = vdrv_add_indirect(q, bufs, 2);
    le16_put(q->desc + (size_t)head * VIRTQ_DESC_BYTES + 12,
             VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE);
    vdrv_kick(q);
    rig_step(rig);
    uint32_t len;
    demand(has_used(rig, 0));
    expect(take_one(rig, 0, &len) == (uint32_t)head && len == 8);
    expect(holds(rig, gpa + 16, 8, 0x55));
}

/* Direct descriptors, any number, then one that refers to an indirect table. */
Requirement(split_indirect_2, ECHO, SPLIT)
{
    for (unsigned direct = 0; direct <= 3; direct++) {
        start(rig, RING_FEATURES, 8);
        struct vdrv_queue *q = &rig->drv.q[0];
        uint64_t gpa = vdrv_alloc(&rig->drv, 64, 16);
        uint64_t table = vdrv_alloc(&rig->drv, 32, 16);
        uint8_t *at = vdrv_ptr(&rig->drv, table, 32);
        for (unsigned i = 0; i < direct; i++) {
            fill(rig, gpa + i, 1, (uint8_t)(0x10 + i));
            vdrv_desc_put(q->desc, i, gpa + i, 1, VIRTQ_DESC_F_NEXT, i + 1);
        }
        vdrv_desc_put(q->desc, direct, table, 32, VIRTQ_DESC_F_INDIRECT, 0);
        fill(rig, gpa + 8, 1, 0x77);
        vdrv_desc_put(at, 0, gpa + 8, 1, VIRTQ_DESC_F_NEXT, 1);
        vdrv_desc_put(at, 1, gpa + 16, 8, VIRTQ_DESC_F_WRITE, 0);
        offer_head(rig, 0);
        expect(!rig_is_broken(rig));
        demand(vdrv_used_idx(q) == 1);
        expect(le32_get(q->used + VIRTQ_USED_RING + 4) == direct + 1);
        const uint8_t *answer = vdrv_ptr(&rig->drv, gpa + 16, 8);
        for (unsigned i = 0; i < direct; i++)
            expect(answer[i] == 0x10 + i);
        expect(answer[direct] == 0x77);
    }
}

/* ---- notifications of used buffers ---- */

/* Was the driver notified of one more used buffer? */
static bool notifies(struct rig *rig)
{
    send_one(rig, 0);
    demand(has_used(rig, 0));
    take_one(rig, 0, NULL);
    return (heard(rig) & VIRTIO_ISR_QUEUE) != 0;
}

/* Without EVENT_IDX used_event has no meaning. */
Requirement(split_used_notify_1, ECHO, SPLIT)
{
    start(rig, 0, 8);
    for (unsigned i = 0; i < 12; i++) {
        vdrv_used_event(&rig->drv.q[0], (uint16_t)(i + 3));
        expect(notifies(rig));
    }
    vdrv_avail_flags(&rig->drv.q[0], VIRTQ_AVAIL_F_NO_INTERRUPT);
    vdrv_used_event(&rig->drv.q[0], 12);
    expect(!notifies(rig));
}

/* Without EVENT_IDX, and flags 1, no notifications. */
Requirement(split_used_notify_2, ECHO, SPLIT)
{
    start(rig, 0, 8);
    vdrv_avail_flags(&rig->drv.q[0], VIRTQ_AVAIL_F_NO_INTERRUPT);
    for (unsigned i = 0; i < 12; i++)
        expect(!notifies(rig));
}

/* Without EVENT_IDX, and flags 0, notifications. */
Requirement(split_used_notify_3, ECHO, SPLIT)
{
    start(rig, 0, 8);
    for (unsigned i = 0; i < 12; i++) {
        vdrv_avail_flags(&rig->drv.q[0], VIRTQ_AVAIL_F_NO_INTERRUPT);
        notifies(rig);
        vdrv_avail_flags(&rig->drv.q[0], 0);
        expect(notifies(rig));
    }
}

/* With EVENT_IDX bit 0 of flags has no meaning. */
Requirement(split_used_notify_4, ECHO, SPLIT)
{
    start(rig, EVENT_IDX, 8);
    for (uint16_t i = 0; i < 12; i++) {
        vdrv_avail_flags(&rig->drv.q[0], i % 2);
        vdrv_used_event(&rig->drv.q[0], i);
        expect(notifies(rig));
    }
}

/* With EVENT_IDX the entry at the index used_event is notified of, in a batch as well. */
Requirement(split_used_notify_5, ECHO, SPLIT)
{
    start(rig, EVENT_IDX, 8);
    for (uint16_t event = 0; event < 4; event++) {
        start(rig, EVENT_IDX, 8);
        struct vdrv_queue *q = &rig->drv.q[0];
        struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 8), 4, true};
        vdrv_used_event(q, event);
        heard(rig);
        for (unsigned i = 0; i < 4; i++)
            demand(vdrv_add(q, &buf, 1) >= 0);
        vdrv_kick(q);
        rig_step(rig);
        demand(vdrv_used_idx(q) == 4);
        expect(heard(rig) & VIRTIO_ISR_QUEUE);
    }
}

/* With EVENT_IDX an entry at any other index is not notified of. */
Requirement(split_used_notify_6, ECHO, SPLIT)
{
    start(rig, EVENT_IDX, 8);
    for (uint16_t i = 0; i < 40; i++) {
        uint16_t event = (uint16_t)(i / 10 * 10 + 5);
        vdrv_used_event(&rig->drv.q[0], event);
        expect(notifies(rig) == (i == event));
    }
}

/* ---- the used ring ---- */

/* Another thread that sees the index move finds the element whole. */
Requirement(split_used_ring_1, ECHO, MMIO_SPLIT | PCI_SPLIT)
{
    start(rig, 0, 8);
    struct vdrv_queue *q = &rig->drv.q[0];
    uint64_t gpa = vdrv_alloc(&rig->drv, 32, 8);
    demand(evloop_start_thread(rig->loop) == 0);
    for (unsigned i = 0; i < 2000; i++) {
        uint32_t bytes = 1 + i % 7, head, len;
        uint8_t *elem = q->used + VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * (i % q->size);
        __atomic_store_n((uint32_t *)(void *)(elem + 4), UINT32_MAX, __ATOMIC_SEQ_CST);
        struct vdrv_buf bufs[] = {{gpa, bytes, false}, {gpa + 8, 8, true}};
        demand(vdrv_send(q, bufs, 2) >= 0);
        while (!vdrv_used(q, &head, &len))
            sched_yield();
        demand(len == bytes);
    }
    evloop_stop_thread(rig->loop);
}

/* Sends a read of two sectors in pieces; the buffers are filled with 0xee before. */
static uint32_t read_used(struct rig *rig, uint64_t sector, uint8_t *status)
{
    struct blkreq in = {.type = VIRTIO_BLK_T_IN,
                        .sector = sector,
                        .bytes = 1024,
                        .cut = 300,
                        .data_write = true,
                        .data_gpa = 0x100000};
    uint32_t used;
    fill(rig, 0x100000, 1024, 0xee);
    *status = blkreq_do(rig, &in, &used);
    return used;
}

/* len bytes have been written, counted from the first that is writable. */
Requirement(split_used_ring_2, BLK, SPLIT)
{
    uint8_t status;
    start(rig, 0, 16);
    memset(rig->disk.bytes, 0x11, 4096);
    expect(read_used(rig, 0, &status) == 1025 && status == VIRTIO_BLK_S_OK);
    expect(holds(rig, 0x100000, 1024, 0x11));
    for (unsigned broken = 0; broken < 2; broken++) { /* beyond the end; the disk fails */
        rig->disk.fail = broken == 0 ? 0 : -5;
        uint32_t used = read_used(rig, broken == 0 ? RIG_DISK_BYTES / 512 : 0, &status);
        expect(status == VIRTIO_BLK_S_IOERR);
        const uint8_t *data = vdrv_ptr(&rig->drv, 0x100000, 1024);
        for (uint32_t i = 0; i < used && i < 1024; i++)
            expect(data[i] != 0xee);
    }
}

/* ---- notifications of available buffers ---- */

/* All that used flags were while a disk was busy and while it was not. */
static uint16_t flags_seen(struct rig *rig)
{
    struct vdrv_queue *q = &rig->drv.q[0];
    uint16_t seen = vdrv_used_flags(q);
    for (unsigned i = 0; i < 40; i++) {
        struct blkreq req = {.type = VIRTIO_BLK_T_FLUSH};
        rig->disk.hold = i % 3 == 0;
        demand(blkreq_send(rig, &req));
        seen |= vdrv_used_flags(q);
        rig_step(rig);
        seen |= vdrv_used_flags(q);
        fake_blk_release(&rig->disk);
        rig_step(rig);
        seen |= vdrv_used_flags(q);
        demand(has_used(rig, 0));
        take_one(rig, 0, NULL);
    }
    return seen;
}

/* Without EVENT_IDX used flags are 0 or 1. */
Requirement(split_avail_notify_1, BLK, SPLIT)
{
    start(rig, 0, 16);
    expect((flags_seen(rig) & ~1) == 0);
}

/* With EVENT_IDX used flags are 0. */
Requirement(split_avail_notify_3, BLK, SPLIT)
{
    start(rig, EVENT_IDX, 16);
    expect(flags_seen(rig) == 0);
}

/* A kick that nobody asked for does no harm. */
Requirement(split_avail_notify_5, ECHO, SPLIT)
{
    for (unsigned i = 0; i < 2; i++) {
        start(rig, i == 0 ? 0 : EVENT_IDX, 8);
        heard(rig);
        for (unsigned n = 0; n < 100; n++) {
            vdrv_kick(&rig->drv.q[n % 2]);
            if (n % 7 == 0)
                rig_step(rig);
        }
        rig_step(rig);
        expect(!rig_is_broken(rig) && !has_used(rig, 0) && heard(rig) == 0);
        expect(serves(rig, 0) && serves(rig, 1));
    }
}
