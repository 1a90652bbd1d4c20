// SPDX-License-Identifier: BSD-2-Clause
/* Requests of several steps: ranges to discard or zero, writes that are flushed. */
#include "tests/harness/blkreq.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"

#define FLUSH        VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)
#define DISCARD      VIRTIO_BIT(VIRTIO_BLK_F_DISCARD)
#define WRITE_ZEROES VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES)
#define FEATURES     (FLUSH | DISCARD | WRITE_ZEROES | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC))
#define SECTORS      (RIG_DISK_BYTES / 512)
#define MAX_RANGES   32u

struct range {
    uint64_t sector;
    uint32_t sectors, flags;
};

static void open_on(struct rig *rig, const struct rig_config *config, uint64_t features)
{
    rig_open_blk_on(rig, config);
    rig_start(rig, features, 1, 256);
    memset(rig->disk.bytes, 0x11, RIG_DISK_BYTES);
}

static struct blkreq with_ranges(struct rig *rig, uint32_t type, const struct range *ranges,
                                 unsigned count)
{
    struct blkreq req = {.type = type, .bytes = count * VIRTIO_BLK_RANGE_BYTES};
    req.data_gpa = vdrv_alloc(&rig->drv, req.bytes, 8);
    uint8_t *raw = blkreq_data(rig, &req);
    for (unsigned i = 0; i < count; i++, raw += VIRTIO_BLK_RANGE_BYTES) {
        le64_put(raw + VIRTIO_BLK_RANGE_sector, ranges[i].sector);
        le32_put(raw + VIRTIO_BLK_RANGE_num_sectors, ranges[i].sectors);
        le32_put(raw + VIRTIO_BLK_RANGE_flags, ranges[i].flags);
    }
    return req;
}

static uint8_t do_ranges(struct rig *rig, uint32_t type, const struct range *ranges, unsigned count)
{
    struct blkreq req = with_ranges(rig, type, ranges, count);
    return blkreq_do(rig, &req, NULL);
}

/* Sectors from `from` up to `to` are filled with that value. */
static void expect_sectors(struct rig *rig, uint64_t from, uint64_t to, uint8_t value)
{
    for (uint64_t i = from * 512; i < to * 512; i++)
        cr_assert_eq(rig->disk.bytes[i], value, "%s: sector %u", rig_config_name(&rig->cfg),
                     (unsigned)(i / 512));
}

static const struct {
    uint32_t type;
    uint8_t leaves;
} kinds[] = {{VIRTIO_BLK_T_DISCARD, FAKE_BLK_DISCARDED}, {VIRTIO_BLK_T_WRITE_ZEROES, 0}};

Test(virtio_blk_request, ranges_are_discarded_and_zeroed)
{
    static const struct range ranges[] = {{3, 5, 0}, {20, 1, 0}, {SECTORS - 1, 1, 0}};
    for (unsigned v = 0; v < RIG_VARIANTS; v++)
        for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
            struct rig rig;
            uint32_t used;
            open_on(&rig, &rig_variants[v], FEATURES);
            struct blkreq req = with_ranges(&rig, kinds[k].type, ranges, ARRAY_SIZE(ranges));
            cr_expect_eq(blkreq_do(&rig, &req, &used), VIRTIO_BLK_S_OK);
            cr_expect_eq(used, 1);
            expect_sectors(&rig, 0, 3, 0x11);
            expect_sectors(&rig, 3, 8, kinds[k].leaves);
            expect_sectors(&rig, 8, 20, 0x11);
            expect_sectors(&rig, 20, 21, kinds[k].leaves);
            expect_sectors(&rig, 21, SECTORS - 1, 0x11);
            expect_sectors(&rig, SECTORS - 1, SECTORS, kinds[k].leaves);
            cr_expect_eq(rig.disk.discards, k == 0 ? 3 : 0);
            cr_expect_eq(rig.disk.zeroes, k == 1 ? 3 : 0);
            cr_expect_eq(rig.disk.flushes, 0);
            rig_close(&rig);
        }
}

/* The header, the segments and their fields, cut anywhere. */
OnRig(virtio_blk_request, ranges_may_be_cut_anywhere, open_on(rig, &rig_variants[0], FEATURES))
{
    static const uint32_t cuts[] = {1, 3, 7, 8, 15, 16, 17, 31};
    static const struct range ranges[] = {{1, 1, 0}, {3, 2, 0}, {6, 1, 0}};
    for (unsigned i = 0; i < ARRAY_SIZE(cuts); i++)
        for (unsigned indirect = 0; indirect < 2; indirect++) {
            memset(rig->disk.bytes, 0x11, 4096);
            struct blkreq req = with_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, ranges, 3);
            req.cut = cuts[i];
            req.indirect = indirect;
            cr_expect_eq(blkreq_do(rig, &req, NULL), VIRTIO_BLK_S_OK, "cut %u", cuts[i]);
            expect_sectors(rig, 1, 2, 0);
            expect_sectors(rig, 2, 3, 0x11);
            expect_sectors(rig, 3, 5, 0);
            expect_sectors(rig, 5, 6, 0x11);
            expect_sectors(rig, 6, 7, 0);
        }
}

OnRig(virtio_blk_request, unmap_is_the_ranges_own, open_on(rig, &rig_variants[0], FEATURES))
{
    static const struct range ranges[] = {{0, 1, 1}, {1, 1, 0}, {2, 1, 1}};
    cr_expect_eq(do_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, ranges, 3), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig->disk.zeroes, 3);
    cr_expect_eq(rig->disk.unmaps, 2);
}

OnRig(virtio_blk_request, as_many_ranges_as_it_says, open_on(rig, &rig_variants[0], FEATURES))
{
    struct range ranges[MAX_RANGES + 1];
    for (unsigned i = 0; i <= MAX_RANGES; i++)
        ranges[i] = (struct range){i * 2, 1, 0};
    cr_expect_eq(do_ranges(rig, VIRTIO_BLK_T_DISCARD, ranges, MAX_RANGES + 1), VIRTIO_BLK_S_IOERR);
    cr_expect_eq(rig->disk.submitted, 0);
    cr_expect_eq(do_ranges(rig, VIRTIO_BLK_T_DISCARD, ranges, MAX_RANGES), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig->disk.discards, MAX_RANGES);
    for (unsigned i = 0; i < MAX_RANGES; i++)
        expect_sectors(rig, i * 2, i * 2 + 1, FAKE_BLK_DISCARDED);
}

OnRig(virtio_blk_request, ranges_are_in_whole_blocks,
      open_on(rig, &(struct rig_config){.logical_bytes = 4096}, FEATURES))
{
    static const struct range good[] = {{8, 8, 0}, {24, 16, 0}},
                              odd_start[] = {{8, 8, 0}, {20, 8, 0}}, odd_end[] = {{8, 12, 0}};
    for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
        cr_expect_eq(do_ranges(rig, kinds[k].type, odd_start, 2), VIRTIO_BLK_S_IOERR);
        cr_expect_eq(do_ranges(rig, kinds[k].type, odd_end, 1), VIRTIO_BLK_S_IOERR);
        cr_expect_eq(rig->disk.submitted, 2 * k);
        cr_expect_eq(do_ranges(rig, kinds[k].type, good, 2), VIRTIO_BLK_S_OK);
        expect_sectors(rig, 24, 40, kinds[k].leaves);
    }
}

OnRig(virtio_blk_request, nothing_to_do_is_done, open_on(rig, &rig_variants[0], FEATURES))
{
    static const struct range empty[] = {{0, 0, 0}, {SECTORS, 0, 0}},
                              mixed[] = {{5, 0, 0}, {6, 1, 0}};
    struct blkreq none = {.type = VIRTIO_BLK_T_DISCARD};
    cr_expect_eq(blkreq_do(rig, &none, NULL), VIRTIO_BLK_S_OK);
    cr_expect_eq(do_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, empty, 2), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig->disk.submitted, 0);
    cr_expect_eq(do_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, mixed, 2), VIRTIO_BLK_S_OK);
    expect_sectors(rig, 5, 6, 0x11);
    expect_sectors(rig, 6, 7, 0);
}

/* What was not negotiated is not there, and on a read-only disk nothing changes. */
Test(virtio_blk_request, ranges_need_their_feature)
{
    static const struct range range = {1, 1, 0};
    static const uint64_t features[] = {WRITE_ZEROES, DISCARD};
    struct rig rig;
    rig_open_blk(&rig, false);
    for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
        cr_assert(vdrv_start(&rig.drv, FLUSH | features[k], 1, 16));
        cr_expect_eq(do_ranges(&rig, kinds[k].type, &range, 1), VIRTIO_BLK_S_UNSUPP);
    }
    cr_expect_eq(rig.disk.submitted, 0);
    rig_close(&rig);

    rig_open_blk(&rig, true);
    cr_assert(vdrv_start(&rig.drv, FLUSH, 1, 16));
    for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++)
        cr_expect_eq(do_ranges(&rig, kinds[k].type, &range, 1), VIRTIO_BLK_S_IOERR);
    cr_expect_eq(rig.disk.submitted, 0);
    rig_close(&rig);
}

/* The first range that fails ends the request, and gives it its status. */
OnRig(virtio_blk_request, the_first_failure_counts, open_on(rig, &rig_variants[0], FEATURES))
{
    static const struct range ranges[] = {{0, 1, 0}, {1, 1, 0}, {2, 1, 0}};
    static const struct {
        int result;
        uint8_t status;
    } cases[] = {{-EIO, VIRTIO_BLK_S_IOERR},
                 {-ENOSPC, VIRTIO_BLK_S_IOERR},
                 {-EROFS, VIRTIO_BLK_S_IOERR},
                 {-EOPNOTSUPP, VIRTIO_BLK_S_UNSUPP}};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned submitted = rig->disk.submitted;
        memset(rig->disk.bytes, 0x11, 2048);
        rig->disk.fail = cases[i].result;
        rig->disk.fail_from = submitted + 1;
        cr_expect_eq(do_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, ranges, 3), cases[i].status);
        cr_expect_eq(rig->disk.submitted - submitted, 2, "the third is left alone");
        expect_sectors(rig, 0, 1, 0);
        expect_sectors(rig, 1, 3, 0x11);
    }
}

/* All ranges are checked before the first is done. */
OnRig(virtio_blk_request, a_range_behind_the_end_does_nothing_to_those_before_it,
      open_on(rig, &rig_variants[0], FEATURES))
{
    static const uint64_t sectors[] = {SECTORS, SECTORS - 1, UINT64_C(1) << 55, UINT64_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(sectors) * ARRAY_SIZE(kinds); i++) {
        const struct range ranges[] = {{3, 5, 0}, {sectors[i / ARRAY_SIZE(kinds)], 2, 0}};
        uint32_t type = kinds[i % ARRAY_SIZE(kinds)].type;
        cr_expect_eq(do_ranges(rig, type, ranges, 2), VIRTIO_BLK_S_IOERR, "case %u", i);
    }
    cr_expect_eq(rig->disk.submitted, 0);
}

/* Written zeroes are as stable as written data; a discard is a hint. */
OnRig(virtio_blk_request, write_through_holds_for_zeroes,
      open_on(rig, &rig_variants[0], DISCARD | WRITE_ZEROES))
{
    static const struct range ranges[] = {{0, 1, 0}, {4, 1, 0}};
    cr_expect_eq(do_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, ranges, 2), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig->disk.submitted, 3);
    cr_expect_eq(rig->disk.flushes, 1);
    cr_expect_eq(do_ranges(rig, VIRTIO_BLK_T_DISCARD, ranges, 2), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig->disk.flushes, 1);
}

OnRig(virtio_blk_request, a_write_fails_with_its_flush, open_on(rig, &rig_variants[0], 0))
{
    rig->disk.fail = -EIO;
    rig->disk.fail_from = 1;
    struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .bytes = 512};
    cr_expect_eq(blkreq_do(rig, &out, NULL), VIRTIO_BLK_S_IOERR);
    cr_expect_eq(rig->disk.flushes, 1);
}

/* Between two ranges the disk shrinks. */
OnRig(virtio_blk_request, each_range_is_checked_when_its_turn_comes,
      open_on(rig, &rig_variants[0], FEATURES))
{
    static const struct range ranges[] = {{0, 1, 0}, {SECTORS - 1, 1, 0}};
    rig->disk.hold = true;
    struct blkreq req = with_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, ranges, 2);
    cr_assert(blkreq_send(rig, &req));
    rig_step(rig);
    fake_blk_resize(&rig->disk, 1024);
    fake_blk_release(&rig->disk);
    rig_step(rig);
    cr_expect_eq(blkreq_status(rig, &req), VIRTIO_BLK_S_IOERR);
    cr_expect_eq(rig->disk.submitted, 1);
}

/* What the guest writes into the segments after they were taken does not count. */
OnRig(virtio_blk_request, ranges_are_read_once, open_on(rig, &rig_variants[0], FEATURES))
{
    static const struct range ranges[] = {{0, 1, 0}, {1, 1, 0}};
    rig->disk.hold = true;
    struct blkreq req = with_ranges(rig, VIRTIO_BLK_T_WRITE_ZEROES, ranges, 2);
    cr_assert(blkreq_send(rig, &req));
    rig_step(rig);
    memset(blkreq_data(rig, &req), 0xff, req.bytes);
    fake_blk_release(&rig->disk);
    rig_step(rig);
    cr_expect_eq(blkreq_status(rig, &req), VIRTIO_BLK_S_OK);
    expect_sectors(rig, 0, 2, 0);
    expect_sectors(rig, 2, 3, 0x11);
}

/* A request that is dropped between two of its ranges goes on where it was. */
Test(virtio_blk_request, a_dropped_range_comes_again)
{
    static const struct range ranges[] = {{0, 1, 0}, {2, 1, 0}, {4, 1, 0}};
    struct rig_config config = rig_variants[0];
    struct rig rig;
    config.queues = 2;
    rig_open_blk_on(&rig, &config);
    cr_assert(vdrv_start(
        &rig.drv, WRITE_ZEROES | VIRTIO_BIT(VIRTIO_BLK_F_MQ) | VIRTIO_BIT(VIRTIO_F_RING_RESET), 2,
        16));
    memset(rig.disk.bytes, 0x11, 4096);
    rig.disk.hold = true;
    rig.disk.drop = true;
    struct blkreq req = with_ranges(&rig, VIRTIO_BLK_T_WRITE_ZEROES, ranges, 3);
    cr_assert(blkreq_send(&rig, &req));
    rig_step(&rig);
    cr_assert(vdrv_queue_reset(&rig.drv, 1));
    fake_blk_release(&rig.disk);
    rig_step(&rig);
    cr_expect_eq(blkreq_status(&rig, &req), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig.disk.dropped, 1);
    cr_expect_eq(rig.disk.zeroes, 4, "three, and one of them twice");
    cr_expect_eq(rig.disk.flushes, 1);
    for (unsigned i = 0; i < 6; i++)
        expect_sectors(&rig, i, i + 1, i % 2 == 0 ? 0 : 0x11);
    rig_close(&rig);
}
