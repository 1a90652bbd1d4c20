// SPDX-License-Identifier: BSD-2-Clause
/* The split ring: its parts in memory, indirect tables, and notifications in both directions. */
#include <errno.h>
#include <string.h>

#include "virtio_ring.h"

OnRing(vq_split, size_is_a_power_of_two, ring_prepare(r, 8, 0))
{
    for (uint32_t size = 1; size <= 64; size++) {
        r->config.size = size;
        bool pow2 = (size & (size - 1)) == 0;
        cr_expect_eq(vq_activate(&r->vq, &r->setup), pow2 ? 0 : -EINVAL, "size %u", size);
        vq_deactivate(&r->vq);
    }
}

OnRing(vq_split, the_largest_queue_works, ring_prepare(r, 8, 0))
{
    r->config = (struct vq_config){
        .size = VIRTQ_MAX_SIZE, .desc = 0x80000, .driver = 0x110000, .device = 0x130000};
    r->setup.iov_max = 1;
    cr_expect_eq(vq_activate(&r->vq, &r->setup), 0);
}

OnRing(vq_split, parts_are_aligned, ring_prepare(r, 8, 0))
{
    const struct vq_config good = r->config;
    struct {
        uint64_t *part;
        unsigned align;
    } parts[] = {{&r->config.desc, 16}, {&r->config.driver, 2}, {&r->config.device, 4}};
    for (unsigned i = 0; i < 3; i++)
        for (unsigned off = 1; off <= 16; off++) {
            r->config = good;
            *parts[i].part = 0x100000 + off;
            bool aligned = off % parts[i].align == 0;
            cr_expect_eq(vq_activate(&r->vq, &r->setup), aligned ? 0 : -EINVAL, "part %u + %u", i,
                         off);
            vq_deactivate(&r->vq);
        }
}

OnRing(vq_split, parts_are_in_memory_to_the_last_byte, ring_prepare(r, 8, 0))
{
    const struct vq_config good = r->config;
    /* Up to the hole, the end of memory or of all addresses: what fits just, and 16 beyond. */
    static const uint64_t ends[] = {RIG_HOLE_GPA, RIG_RAM_END_GPA};
    uint64_t bytes[] = {128, 32, 80}; /* rounded up to 16 */
    uint64_t *parts[] = {&r->config.desc, &r->config.driver, &r->config.device};
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned e = 0; e < 2; e++) {
            r->config = good;
            *parts[i] = ends[e] - bytes[i];
            cr_expect_eq(vq_activate(&r->vq, &r->setup), 0, "part %u end %u", i, e);
            vq_deactivate(&r->vq);
            *parts[i] += 16;
            cr_expect_eq(vq_activate(&r->vq, &r->setup), -EINVAL, "part %u end %u", i, e);
        }
        *parts[i] = UINT64_MAX - 15;
        cr_expect_eq(vq_activate(&r->vq, &r->setup), -EINVAL);
    }
}

OnRing(vq_split, indices_run_through_65535, ring_open(r, 4, 0))
{
    uint32_t id, len;
    for (unsigned i = 0; i < 70000; i++) {
        ring_add(r, 1 + i % 4, true);
        struct vq_chain *chain = ring_pop(r);
        iobuf_put_zero(&chain->wr, 9);
        vq_push(&r->vq, chain);
        cr_assert(vq_flush(&r->vq));
        cr_assert(vdrv_used(r->q, &id, &len));
        cr_assert_eq(len, 1 + i % 4);
    }
}

/* ---- indirect ---- */

static void check_indirect(uint64_t table_offset)
{
    struct ring r;
    ring_open(&r, 8, RING_FEATURES);
    uint64_t table_gpa = r.data_gpa + table_offset;
    _Alignas(uint64_t) uint8_t table[3 * VIRTQ_DESC_BYTES]; /* as stores of its fields want it */
    /* Out of order, as next allows. */
    vdrv_desc_put(table, 0, r.data_gpa + 1000, 3, VIRTQ_DESC_F_NEXT, 2);
    vdrv_desc_put(table, 2, r.data_gpa + 2000, 5, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1);
    vdrv_desc_put(table, 1, r.data_gpa + 3000, 7, VIRTQ_DESC_F_WRITE, 0);
    memcpy(vdrv_ptr(&r.drv, table_gpa, sizeof(table)), table, sizeof(table));
    vdrv_desc_put(r.q->desc, 5, r.data_gpa + 900, 11, VIRTQ_DESC_F_NEXT, 6);
    /* The WRITE flag beside INDIRECT means nothing: 2.7.5.3.2. */
    vdrv_desc_put(r.q->desc, 6, table_gpa, sizeof(table),
                  VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE, 0);
    vdrv_avail_put(r.q, 5);
    vdrv_publish(r.q);
    struct vq_chain *chain = ring_pop(&r);
    cr_expect_eq(chain->head, 5);
    cr_expect_eq(chain->rd.left, 14);
    cr_expect_eq(chain->wr.left, 12);
    ring_close(&r);
}

Test(vq_split, direct_descriptors_before_an_indirect_one)
{
    check_indirect(0);
}

Test(vq_split, an_indirect_table_may_be_anywhere)
{
    check_indirect(3);
}

OnRing(vq_split, an_indirect_table_as_long_as_the_queue, ring_open(r, 8, RING_FEATURES))
{
    struct vdrv_buf bufs[9];
    struct vq_chain *chain;
    for (unsigned i = 0; i < 9; i++)
        bufs[i] = (struct vdrv_buf){r->data_gpa, 1, true};
    vdrv_add_indirect(r->q, bufs, 8);
    vdrv_publish(r->q);
    cr_expect_eq(ring_pop(r)->wr.left, 8);
    vdrv_add_indirect(r->q, bufs, 9);
    vdrv_publish(r->q);
    cr_expect_eq(vq_pop(&r->vq, &chain), -EPROTO, "2.7.5.3.1: no longer than the queue");
}

/* The table is cut where memory ends: what is read behind that faults. */
Test(vq_split, wrong_indirect_tables_are_refused)
{
    static const uint32_t lengths[] = {0, 1, 8, 15, 17, 31, 0xfffffff0};
    static const uint64_t ends[] = {RIG_HOLE_GPA, RIG_RAM_END_GPA};
    for (unsigned i = 0; i < ARRAY_SIZE(lengths) * ARRAY_SIZE(ends); i++) {
        uint32_t length = lengths[i / ARRAY_SIZE(ends)];
        struct ring r;
        struct vq_chain *chain;
        ring_open(&r, 8, RING_FEATURES);
        vdrv_desc_put(r.q->desc, 0, ends[i % ARRAY_SIZE(ends)] - length, length,
                      VIRTQ_DESC_F_INDIRECT, 0);
        vdrv_avail_put(r.q, 0);
        vdrv_publish(r.q);
        cr_expect_eq(vq_pop(&r.vq, &chain), -EPROTO, "length %u", length);
        ring_close(&r);
    }
}

OnRing(vq_split, an_indirect_table_may_be_the_last_of_memory, ring_open(r, 8, RING_FEATURES))
{
    uint8_t *table = vdrv_ptr(&r->drv, RIG_RAM_END_GPA - VIRTQ_DESC_BYTES, VIRTQ_DESC_BYTES);
    vdrv_desc_put(table, 0, r->data_gpa, 5, 0, 0);
    vdrv_desc_put(r->q->desc, 0, RIG_RAM_END_GPA - VIRTQ_DESC_BYTES, VIRTQ_DESC_BYTES,
                  VIRTQ_DESC_F_INDIRECT, 0);
    vdrv_avail_put(r->q, 0);
    vdrv_publish(r->q);
    cr_expect_eq(ring_pop(r)->rd.left, 5);
}

/* ---- interrupts: device to driver, 2.7.7 ---- */

OnRing(vq_split, without_event_idx_the_flag_suppresses, ring_open(r, 8, 0))
{
    vdrv_used_event(r->q, 77); /* no attention is paid to it */
    ring_add(r, 1, true);
    ring_serve(r);
    cr_expect(vq_flush(&r->vq));
    vdrv_avail_flags(r->q, VIRTQ_AVAIL_F_NO_INTERRUPT);
    ring_add(r, 1, true);
    ring_serve(r);
    cr_expect(!vq_flush(&r->vq));
    cr_expect_eq(vdrv_used_idx(r->q), 2, "seen all the same");
}

OnRing(vq_split, with_event_idx_the_index_decides, ring_open(r, 8, RING_FEATURES))
{
    vdrv_avail_flags(r->q, VIRTQ_AVAIL_F_NO_INTERRUPT); /* no attention is paid to it */
    vdrv_used_event(r->q, 2);
    static const bool expected[] = {false, false, true, false};
    for (unsigned i = 0; i < 4; i++) {
        ring_add(r, 1, true);
        ring_serve(r);
        cr_expect_eq(vq_flush(&r->vq), expected[i], "entry %u", i);
    }
    vdrv_used_event(r->q, 5);
    for (unsigned i = 0; i < 3; i++) {
        ring_add(r, 1, true);
        ring_serve(r);
    }
    cr_expect(vq_flush(&r->vq), "5 was passed within the batch");
}

OnRing(vq_split, nothing_is_seen_before_the_flush, ring_open(r, 8, RING_FEATURES))
{
    for (unsigned i = 0; i < 3; i++) {
        ring_add(r, 1, true);
        ring_serve(r);
    }
    cr_expect_eq(vdrv_used_idx(r->q), 0);
    cr_expect(vq_flush(&r->vq));
    cr_expect_eq(vdrv_used_idx(r->q), 3);
    cr_expect(!vq_flush(&r->vq), "once");
}

/* ---- kicks: driver to device, 2.7.10 ---- */

static void check_kicks(uint64_t features)
{
    struct ring r;
    ring_open(&r, 8, features);
    bool early = vq_notify_on(&r.vq); /* nothing is there */
    ring_add(&r, 1, true);
    cr_expect(!early && vdrv_kick_wanted(r.q));
    vq_notify_off(&r.vq);
    ring_serve(&r);
    ring_add(&r, 1, true);
    cr_expect(!vdrv_kick_wanted(r.q), "the device looks by itself");
    cr_expect(vq_notify_on(&r.vq), "one came before the driver could know");
    ring_serve(&r);
    cr_expect(!vq_notify_on(&r.vq));
    vq_notify_off(&r.vq);
    ring_add(&r, 1, true);
    cr_expect(!vdrv_kick_wanted(r.q), "taken back before anything came");
    ring_serve(&r);
    ring_close(&r);
}

Test(vq_split, kicks_by_flag)
{
    check_kicks(0);
}

Test(vq_split, kicks_by_index)
{
    check_kicks(RING_FEATURES);
}

OnRing(vq_split, used_flags_stay_zero_with_event_idx, ring_prepare(r, 8, RING_FEATURES))
{
    memset(r->q->used, 0xff, 2);
    cr_assert_eq(vq_activate(&r->vq, &r->setup), 0);
    vq_notify_off(&r->vq);
    cr_expect_eq(vdrv_used_flags(r->q), 0);
}
