// SPDX-License-Identifier: BSD-2-Clause
/* Addresses and lengths that lie, and indirect tables: H13 to H19. */
#include "hostile.h"

#include <errno.h>

/* A read of len bytes to addr; afterwards the ring is broken or not. */
static void check_buffer(const struct rig_config *on, uint64_t addr, uint32_t len, bool broken)
{
    struct rig rig;
    uint64_t gpa;
    hostile_open(&rig, on, &gpa);
    struct vdrv_buf bufs[] = {{gpa, 16, false}, {addr, len, true}, {gpa + 64, 1, true}};
    vdrv_send(&rig.drv.q[0], bufs, 3);
    rig_step(&rig);
    if (broken)
        hostile_expect_broken(&rig, "buffer");
    else
        hostile_expect_served(&rig, "buffer");
    hostile_close(&rig);
}

OnEach(hostile_address, h13_not_memory)
{
    check_buffer(on, 0, 512, false); /* RAM like any other */
    check_buffer(on, RIG_RAM_END_GPA, 512, true);
    check_buffer(on, RIG_HOLE_GPA, 512, true);
    check_buffer(on, UINT64_C(0xfee00000), 512, true);
    check_buffer(on, UINT64_C(1) << 63, 512, true);
    check_buffer(on, UINT64_MAX, 1, true);
}

OnEach(hostile_address, h13_the_devices_own_registers)
{
    check_buffer(on, RIG_WINDOW_GPA, 512, true);
    check_buffer(on, RIG_BAR_GPA, 512, true);
    check_buffer(on, RIG_WINDOW_GPA + VIRTIO_MMIO_QueueNotify, 4, true);
}

OnEach(hostile_address, h14_across_an_end)
{
    check_buffer(on, RIG_RAM_END_GPA - 511, 512, true);
    check_buffer(on, RIG_RAM_END_GPA - 512, 512, false);
    check_buffer(on, RIG_HOLE_GPA - 256, 512, true);
    check_buffer(on, RIG_HOLE_END_GPA - 256, 512, true);
    check_buffer(on, RIG_HOLE_GPA - 512, (uint32_t)(RIG_HOLE_END_GPA - RIG_HOLE_GPA) + 1024, true);
    check_buffer(on, RIG_HOLE_GPA - 512, 512, false);
    check_buffer(on, RIG_HOLE_END_GPA, 512, false);
}

OnEach(hostile_address, h15_wrapping_and_enormous)
{
    check_buffer(on, UINT64_MAX - 511, 512, true);
    check_buffer(on, UINT64_MAX - 511, 513, true);
    check_buffer(on, 0x10000, UINT32_MAX, true);
    check_buffer(on, 0, UINT32_MAX, true);
}

/* The same memory so often that the chain has more than 4 GiB: only the queue can tell. */
static void check_4_gib(uint64_t features)
{
    struct gmem *gmem;
    struct vdrv drv;
    struct virtqueue vq = {0};
    struct vq_chain *chain;
    cr_assert_eq(gmem_create(&gmem, UINT64_C(3) << 30, 0, 0), 0); /* never touched */
    vdrv_init(&drv, gmem, NULL, 0);
    drv.features = features;
    vdrv_queue_alloc(&drv, 0, 8);
    struct vdrv_queue *q = &drv.q[0];
    struct vq_config config = {8, q->desc_gpa, q->avail_gpa, q->used_gpa};
    struct vq_setup setup = {
        .config = &config, .gmem = gmem, .features = features, .size_max = 8, .iov_max = 8};
    cr_assert_eq(vq_activate(&vq, &setup), 0);

    struct vdrv_buf half = {0, UINT32_C(1) << 31, true};
    vdrv_add(q, (struct vdrv_buf[]){half, half}, 2);
    vdrv_publish(q);
    cr_assert_eq(vq_pop(&vq, &chain), 1, "4 GiB is allowed");
    cr_expect_eq(chain->wr.left, UINT64_C(1) << 32);
    iobuf_skip(&chain->wr, UINT64_MAX);
    cr_expect_eq(vq_chain_written(chain), UINT32_MAX, "what 32 bits can say");
    vdrv_add(q, (struct vdrv_buf[]){half, half, {0, 1, true}}, 3);
    vdrv_publish(q);
    cr_expect_eq(vq_pop(&vq, &chain), -EPROTO);
    vq_deactivate(&vq);
    vdrv_fini(&drv);
    gmem_destroy(gmem);
}

Test(hostile_address, h15_chain_of_more_than_4_gib)
{
    check_4_gib(0);
    check_4_gib(VIRTIO_BIT(VIRTIO_F_RING_PACKED));
}

/* An empty buffer in each position of a request means nothing. */
OnEach(hostile_address, h16_empty_in_each_position)
{
    for (unsigned at = 0; at < 4; at++) {
        struct rig rig;
        uint64_t gpa;
        hostile_open(&rig, on, &gpa);
        struct vdrv_buf request[] = {{gpa, 16, false}, {gpa + 512, 512, true}, {gpa + 64, 1, true}};
        struct vdrv_buf bufs[4];
        for (unsigned i = 0, j = 0; i < 4; i++)
            bufs[i] = i == at ? (struct vdrv_buf){UINT64_MAX, 0, i > 1} : request[j++];
        *(uint8_t *)vdrv_ptr(&rig.drv, gpa + 64, 1) = BLKREQ_NO_STATUS;
        vdrv_send(&rig.drv.q[0], bufs, 4);
        rig_step(&rig);
        cr_expect(!rig_is_broken(&rig));
        cr_expect_eq(*(uint8_t *)vdrv_ptr(&rig.drv, gpa + 64, 1), VIRTIO_BLK_S_OK, "at %u", at);
        hostile_close(&rig);
    }
}

OnRunning(hostile_address, h16_nothing_but_empty)
{
    vdrv_send(&rig->drv.q[0], &(struct vdrv_buf){0, 0, false}, 1);
    rig_step(rig);
    hostile_expect_served(rig, "given back, though nothing could be answered");
}

/* ---- indirect tables ---- */

/* A table at addr, which holds a readable buffer, then what `second` says. */
static void check_table(const struct rig_config *on, uint64_t features, uint64_t addr, uint32_t len,
                        unsigned flags, unsigned second_flags)
{
    struct rig rig;
    uint64_t gpa;
    rig_open_blk_on(&rig, on);
    cr_assert(vdrv_start(&rig.drv, features, 1, HOSTILE_SIZE));
    rig_step(&rig);
    gpa = vdrv_alloc(&rig.drv, 4096, 4096);
    hostile_entry(&rig, gpa, 0, gpa + 1024, 16, NEXT, 1);
    hostile_entry(&rig, gpa, 1, gpa + 2048, 16, second_flags, 0);
    hostile_desc(&rig, 1, gpa + 2048, 1, WRITE, 0);
    hostile_desc(&rig, 0, addr != 0 ? addr : gpa, len, flags, 1);
    hostile_publish(&rig, 0);
    hostile_expect_broken(&rig, "indirect table");
    hostile_close(&rig);
}

OnEach(hostile_address, h17_indirect_without_negotiation)
{
    check_table(on, 0, 0, 32, INDIRECT, 0);
}

OnSplit(hostile_address, h17_indirect_inside_indirect)
{
    check_table(on, HOSTILE_FEATURES, 0, 32, INDIRECT, INDIRECT);
}

OnEach(hostile_address, h17_indirect_and_next)
{
    check_table(on, HOSTILE_FEATURES, 0, 32, INDIRECT | NEXT, 0);
}

OnEach(hostile_address, h18_tables_of_odd_lengths)
{
    static const uint32_t lens[] = {0, 1, 15, 17, 31, 33, UINT32_MAX, UINT32_MAX - 15};
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++)
        check_table(on, HOSTILE_FEATURES, 0, lens[i], INDIRECT, 0);
}

OnEach(hostile_address, h18_tables_outside_of_memory)
{
    static const uint64_t addrs[] = {RIG_RAM_END_GPA - 16, RIG_HOLE_GPA - 16,
                                     RIG_WINDOW_GPA,       UINT64_MAX - 15,
                                     UINT64_MAX - 31,      RIG_HOLE_END_GPA - 16};
    for (unsigned i = 0; i < ARRAY_SIZE(addrs); i++)
        check_table(on, HOSTILE_FEATURES, addrs[i], 32, INDIRECT, 0);
}

/* The length is only where descriptors may be: what no next leads to is not looked at. */
OnRunningSplit(hostile_address, h18_table_larger_than_the_queue)
{
    hostile_entry(rig, gpa, 0, gpa + 1024, 16, NEXT, 200);
    hostile_entry(rig, gpa, 200, gpa + 16, 1, WRITE, 0);
    hostile_desc(rig, 0, gpa, 4096, INDIRECT, 0);
    hostile_publish(rig, 0);
    cr_expect(!rig_is_broken(rig));
}

OnRunning(hostile_address, h19_two_indirect_entries)
{
    hostile_entry(rig, gpa, 0, gpa + 1024, 16, 0, 0);
    hostile_desc(rig, 1, gpa, 16, INDIRECT, 0);
    hostile_desc(rig, 0, gpa, 16, INDIRECT | NEXT, 1);
    hostile_break(rig, &gpa, 0, "two tables");
}
