// SPDX-License-Identifier: BSD-2-Clause
/* Packed rings that lie: H20 and H21, and what of H01 to H19 no split ring can say. */
#include "hostile.h"

static bool is_used(struct rig *rig, unsigned i)
{
    uint16_t flags = vdrv_pdesc_flags(&rig->drv.q[0], i);
    return (flags & AVAIL) && (flags & USED);
}

OnRunningPacked(hostile_packed, h02_chain_into_what_is_in_flight)
{
    rig->disk.hold = true;
    hostile_read(rig);
    cr_assert_eq(rig->disk.out, 1);
    for (unsigned i = HOSTILE_SIZE; i-- > 3;)
        hostile_desc(rig, i, 0x30000, 1, NEXT, 5);
    /* In the second round what is in flight would be available. */
    for (unsigned i = 0; i < 3; i++)
        vdrv_pdesc_put(&rig->drv.q[0], i, 0x30000, 1, 5, USED | (i < 2 ? NEXT : 0));
    hostile_publish(rig, 0);
    hostile_expect_broken(rig, "16 descriptors, 13 free");
    cr_expect_eq(rig->disk.submitted, 1);
}

OnRunningPacked(hostile_packed, h17_table_at_the_end_of_a_chain)
{
    hostile_desc(rig, 1, gpa, 16, INDIRECT, 0);
    hostile_desc(rig, 0, gpa, 16, NEXT, 0);
    hostile_break(rig, &gpa, 0, "INDIRECT behind NEXT");
}

/* In a table all flags but WRITE mean nothing (VIRTIO 1.4 2.8.7), so no table leads to another. */
OnRunningPacked(hostile_packed, h17_flags_inside_a_table)
{
    uint8_t *table = vdrv_ptr(&rig->drv, gpa, 32);
    vdrv_desc_put(table, 0, gpa + 1024, 16, 0xdead, 0xffff & ~(unsigned)WRITE);
    vdrv_desc_put(table, 1, gpa + 512, 1, 0xdead, 0xffff);
    hostile_desc(rig, 0, gpa, 32, INDIRECT, 3);
    hostile_publish(rig, 0);
    cr_expect(!rig_is_broken(rig));
    cr_expect(is_used(rig, 0));
}

OnRunningPacked(hostile_packed, h20_ids_beyond_the_queue)
{
    static const uint16_t bad[] = {HOSTILE_SIZE, HOSTILE_SIZE + 1, 0x8000, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        hostile_desc(rig, 0, gpa, 16, 0, bad[i]);
        hostile_break(rig, &gpa, 0, "id");
    }
}

/* What does not look available is not there, however it is wrong. */
OnRunningPacked(hostile_packed, h20_wrong_wrap_bits)
{
    static const uint16_t wrong[] = {0, USED, AVAIL | USED};
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        vdrv_pdesc_put(&rig->drv.q[0], 0, gpa, 16, 0, wrong[i]);
        hostile_publish(rig, 0);
        cr_expect(!rig_is_broken(rig), "%#x", wrong[i]);
        cr_expect_eq(vdrv_pdesc_flags(&rig->drv.q[0], 0), wrong[i], "untouched");
    }
}

OnRunningPacked(hostile_packed, h20_wrap_bits_flip_inside_a_chain)
{
    static const uint16_t wrong[] = {0, USED, AVAIL | USED};
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        vdrv_pdesc_put(&rig->drv.q[0], 1, gpa + 512, 1, 0, WRITE | wrong[i]);
        hostile_desc(rig, 0, gpa, 16, NEXT, 0);
        hostile_break(rig, &gpa, 0, "the chain's second descriptor");
    }
}

OnPacked(hostile_packed, h21_in_order_from_a_disk_that_is_not)
{
    struct rig rig;
    struct rig_config config = *on;
    uint32_t head, len;
    config.features_on |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
    rig_open_blk_on(&rig, &config);
    cr_assert(vdrv_start(&rig.drv, VIRTIO_BIT(VIRTIO_F_IN_ORDER), 1, 64));
    rig_step(&rig);
    rig.disk.hold = true;
    /* The first waits for the disk, the others are answered at once. */
    struct blkreq read = {.bytes = 512, .data_write = true};
    blkreq_send(&rig, &read);
    int heads[4] = {read.head};
    for (unsigned i = 1; i < 4; i++) {
        struct blkreq id = {.type = VIRTIO_BLK_T_GET_ID, .bytes = 20, .data_write = true};
        blkreq_send(&rig, &id);
        heads[i] = id.head;
    }
    rig_step(&rig);
    cr_expect(!vdrv_used(&rig.drv.q[0], &head, &len), "nothing before the first");
    fake_blk_release(&rig.disk);
    rig_step(&rig);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert(vdrv_used(&rig.drv.q[0], &head, &len), "%u", i);
        cr_expect_eq(head, (uint32_t)heads[i]);
    }
    hostile_close(&rig);
}

/* ---- changes of ring ---- */

OnPacked(hostile_packed, h33_split_and_packed_in_turn)
{
    struct rig rig;
    rig_open_blk_on(&rig, on);
    for (unsigned i = 0; i < 60; i++) {
        rig.drv.always = i % 2 ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0;
        uint32_t size = i % 2 ? 5 + i : UINT32_C(1) << (2 + i % 7);
        cr_assert(vdrv_start(&rig.drv, HOSTILE_FEATURES, 1, size));
        cr_assert_eq(hostile_reads(&rig), VIRTIO_BLK_S_OK, "size %u", size);
    }
    hostile_close(&rig);
}

/* ---- memory that both sides write ---- */

/* What the device wrote is the driver's to spoil; the device keeps its own account. */
OnRunningPacked(hostile_packed, h07_used_descriptors_overwritten_by_the_guest)
{
    uint32_t head, len;
    struct vdrv_queue *q = &rig->drv.q[0];
    for (unsigned i = 0; i < 40; i++) {
        struct blkreq req = {.sector = i, .bytes = 512, .data_write = true};
        blkreq_send(rig, &req);
        rig_step(rig);
        cr_assert_eq(blkreq_status(rig, &req), VIRTIO_BLK_S_OK, "%u", i);
        cr_assert(vdrv_used(q, &head, &len));
        cr_assert_eq(len, 513);
        /* All that is not available keeps its flags, and loses the rest. */
        for (unsigned at = 0; at < HOSTILE_SIZE; at++)
            vdrv_pdesc_put(q, at, UINT64_MAX, UINT32_MAX, 0xffff, vdrv_pdesc_flags(q, at));
        memset(q->used, (int)i, PVIRTQ_EVENT_BYTES);
    }
}
