// SPDX-License-Identifier: BSD-2-Clause
/* SCSI commands: what a disk answers, and what it asks of its backend. */
#include <endian.h>

#include "tests/harness/rig_test.h"
#include "tests/harness/scsireq.h"
#include "tests/harness/test.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/spec.h"

#define SECTORS (RIG_DISK_BYTES / 512)

static void open_disk(struct scsi_rig *s, struct rig_config config)
{
    scsi_rig_start(s, &config, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
    for (unsigned d = 0; d < 2; d++)
        for (unsigned i = 0; i < RIG_DISK_BYTES; i++)
            s->disks[d].bytes[i] = (uint8_t)(i * 7 + i / 512 + d);
}

#define OPEN(s) open_disk(s, (struct rig_config){0})

static uint64_t be(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    while (bytes-- > 0)
        v = v << 8 | *p++;
    return v;
}

static void be_put(uint8_t *p, uint64_t v, unsigned bytes)
{
    while (bytes-- > 0) {
        p[bytes] = (uint8_t)v;
        v >>= 8;
    }
}

/* Done as it should be; returns the data. */
static const uint8_t *good(struct scsi_rig *s, struct scsireq *req)
{
    scsireq_do(s, req);
    cr_expect_eq(scsireq_response(s, req), VIRTIO_SCSI_S_OK, "%#x", req->cdb[0]);
    cr_expect_eq(scsireq_status(s, req), SCSI_GOOD, "%#x: sense %#x", req->cdb[0],
                 scsireq_sense(s, req));
    return req->in + req->out > 0 ? scsireq_data(s, req) : NULL;
}

/* Ends with that sense. */
static void bad_at(struct scsi_rig *s, struct scsireq *req, unsigned sense, int line)
{
    scsireq_do(s, req);
    cr_expect_eq(scsireq_response(s, req), VIRTIO_SCSI_S_OK, "line %d", line);
    cr_expect_eq(scsireq_status(s, req), SCSI_CHECK_CONDITION, "line %d", line);
    cr_expect_eq(scsireq_sense(s, req), sense, "line %d: %#x", line, scsireq_sense(s, req));
}
#define BAD(s, sense, ...) bad_at(s, &(struct scsireq){__VA_ARGS__}, sense, __LINE__)

/* ---- what the disk says of itself ---- */

OnScsi(virtio_scsi_disk, inquiry, OPEN(s))
{
    struct scsireq req = {.cdb = {SCSI_INQUIRY, 0, 0, 0, 96}, .in = 96};
    const uint8_t *data = good(s, &req);
    cr_expect_eq(data[0], SCSI_TYPE_DISK);
    cr_expect_eq(data[2], 6);
    cr_expect_eq(data[3] & 0xf, 2);
    cr_expect_eq(data[4], 31);
    cr_expect_eq(data[7] & 2, 2);
    cr_expect_arr_eq(data + 8, "MINIVET virtual disk    1.0 ", 28);
    cr_expect_eq(scsireq_residual(s, &req), 60);
    struct scsireq few = {.cdb = {SCSI_INQUIRY, 0, 0, 0, 5}, .in = 8};
    cr_expect_eq(good(s, &few)[5], 0);
    cr_expect_eq(scsireq_residual(s, &few), 3);
    BAD(s, SCSI_INVALID_FIELD_IN_CDB, .cdb = {SCSI_INQUIRY, 0, 0x80, 0, 96}, .in = 96);
}

static const uint8_t *vpd(struct scsi_rig *s, uint8_t target, uint8_t page)
{
    struct scsireq req = {.target = target, .cdb = {SCSI_INQUIRY, 1, page, 0, 255}, .in = 255};
    const uint8_t *data = good(s, &req);
    cr_expect_eq(data[0], SCSI_TYPE_DISK);
    cr_expect_eq(data[1], page);
    cr_expect_eq(scsireq_residual(s, &req), 255 - 4 - be(data + 2, 2), "page %#x", page);
    return data;
}

OnScsi(virtio_scsi_disk, vital_product_data, OPEN(s))
{
    const uint8_t *data = vpd(s, 0, SCSI_VPD_SUPPORTED);
    cr_expect_eq(be(data + 2, 2), 6);
    cr_expect_arr_eq(data + 4, "\x00\x80\x83\xb0\xb1\xb2", 6);
    cr_expect_arr_eq(vpd(s, 0, SCSI_VPD_SERIAL), "\x00\x80\x00\x14serial-0123456789abc", 24);
    cr_expect_arr_eq(vpd(s, 0, SCSI_VPD_IDENTIFICATION) + 4,
                     "\x02\x01\x00\x1cMINIVET serial-0123456789abc", 32);
    data = vpd(s, 0, SCSI_VPD_BLOCK_LIMITS);
    cr_expect_eq(be(data + 2, 2), 0x3c);
    cr_expect_eq(data[4] & 1, 1, "WSNZ");
    cr_expect_eq(be(data + 6, 2), 8);
    cr_expect_eq(be(data + 12, 4), 128);
    cr_expect_eq(be(data + 20, 4), 1 << 21);
    cr_expect_eq(be(data + 24, 4), 32);
    cr_expect_eq(be(data + 28, 4), 16);
    cr_expect_eq(be(data + 32, 4), UINT32_C(1) << 31);
    cr_expect_eq(be(data + 36, 8), 1 << 21);
    cr_expect_eq(be(vpd(s, 0, SCSI_VPD_BLOCK_CHARACTERISTICS) + 4, 2), 1);
    data = vpd(s, 0, SCSI_VPD_PROVISIONING);
    cr_expect_eq(data[5], 0xe0);
    cr_expect_eq(data[6], 2);
    BAD(s, SCSI_INVALID_FIELD_IN_CDB, .cdb = {SCSI_INQUIRY, 1, 0x89, 0, 96}, .in = 96);
}

OnScsi(virtio_scsi_disk, a_disk_without_a_serial_is_still_told_from_others, OPEN(s))
{
    cr_expect_arr_eq(vpd(s, 1, SCSI_VPD_SUPPORTED) + 4, "\x00\x83\xb0\xb1\xb2", 5);
    cr_expect_arr_eq(vpd(s, 1, SCSI_VPD_IDENTIFICATION) + 4, "\x02\x01\x00\x0eMINIVET scsi-1", 18);
    BAD(s, SCSI_INVALID_FIELD_IN_CDB, .target = 1, .cdb = {SCSI_INQUIRY, 1, 0x80, 0, 96}, .in = 96);
}

OnScsi(virtio_scsi_disk, capacity, OPEN(s))
{
    struct scsireq ten = {.cdb = {SCSI_READ_CAPACITY_10}, .in = 8};
    const uint8_t *data = good(s, &ten);
    cr_expect_eq(be(data, 4), SECTORS - 1);
    cr_expect_eq(be(data + 4, 4), 512);
    struct scsireq sixteen = {
        .cdb = {SCSI_SERVICE_ACTION_IN_16, SCSI_SAI_READ_CAPACITY_16, [13] = 32}, .in = 32};
    data = good(s, &sixteen);
    cr_expect_eq(be(data, 8), SECTORS - 1);
    cr_expect_eq(be(data + 8, 4), 512);
    cr_expect_eq(data[13], 3);
    cr_expect_eq(data[14], 0x80, "LBPME without LBPRZ: a discarded block reads as anything");
    BAD(s, SCSI_INVALID_FIELD_IN_CDB, .cdb = {SCSI_SERVICE_ACTION_IN_16, 0x12, [13] = 32},
        .in = 32);
    /* More than READ CAPACITY 10 can say; nothing is read. */
    s->disks[0].backend.info.capacity_bytes = UINT64_C(0x100000001) * 512;
    struct scsireq big = {.cdb = {SCSI_READ_CAPACITY_10}, .in = 8};
    cr_expect_eq(be(good(s, &big), 4), UINT32_MAX);
    s->disks[0].backend.info.capacity_bytes = RIG_DISK_BYTES;
}

Test(virtio_scsi_disk, mode_pages)
{
    struct scsi_rig s;
    OPEN(&s);
    struct scsireq six = {.cdb = {SCSI_MODE_SENSE_6, 0, 0x3f, 0, 192}, .in = 192};
    const uint8_t *data = good(&s, &six);
    cr_expect_arr_eq(data, "\x23\x00\x10\x00\x08\x12\x04", 7);
    cr_expect_eq(data[24], SCSI_PAGE_CONTROL);
    cr_expect_eq(scsireq_residual(&s, &six), 192 - 36);
    struct scsireq ten = {.cdb = {SCSI_MODE_SENSE_10, 0, 0x08, [8] = 192}, .in = 192};
    cr_expect_arr_eq(good(&s, &ten), "\x00\x1a\x00\x10\x00\x00\x00\x00\x08\x12\x04", 11);
    struct scsireq changeable = {.cdb = {SCSI_MODE_SENSE_6, 0, 0x48, 0, 192}, .in = 192};
    cr_expect_arr_eq(good(&s, &changeable) + 4, "\x08\x12\x00", 3);
    BAD(&s, SCSI_SAVING_NOT_SUPPORTED, .cdb = {SCSI_MODE_SENSE_6, 0, 0xc8, 0, 192}, .in = 192);
    BAD(&s, SCSI_INVALID_FIELD_IN_CDB, .cdb = {SCSI_MODE_SENSE_6, 0, 0x1c, 0, 192}, .in = 192);
    BAD(&s, SCSI_INVALID_FIELD_IN_CDB, .cdb = {SCSI_MODE_SENSE_10, 0, 0x0a, 5, [8] = 99}, .in = 99);
    scsi_rig_close(&s);
    open_disk(&s, (struct rig_config){.read_only = true});
    struct scsireq protected = {.cdb = {SCSI_MODE_SENSE_6, 0, 0x3f, 0, 4}, .in = 4};
    cr_expect_eq(good(&s, &protected)[2], 0x90);
    scsi_rig_close(&s);
}

OnScsi(virtio_scsi_disk, sense_when_nothing_is_wrong, OPEN(s))
{
    struct scsireq req = {.cdb = {SCSI_REQUEST_SENSE, 0, 0, 0, 18}, .in = 18};
    cr_expect_arr_eq(good(s, &req), "\x70\x00\x00\x00\x00\x00\x00\x0a\x00", 9);
    BAD(s, SCSI_INVALID_FIELD_IN_CDB, .cdb = {SCSI_REQUEST_SENSE, 1, 0, 0, 18}, .in = 18);
}

/* ---- the medium ---- */

static const uint8_t reads[] = {SCSI_READ_6, SCSI_READ_10, SCSI_READ_12, SCSI_READ_16};
static const uint8_t writes[] = {SCSI_WRITE_6, SCSI_WRITE_10, SCSI_WRITE_12, SCSI_WRITE_16};

static void put_range(uint8_t *cdb, uint8_t opcode, uint64_t lba, uint32_t blocks)
{
    cdb[0] = opcode;
    switch (opcode >> 5) {
    case 0:
        be_put(cdb + 1, lba, 3);
        cdb[4] = (uint8_t)blocks;
        break;
    case 4:
        be_put(cdb + 2, lba, 8);
        be_put(cdb + 10, blocks, 4);
        break;
    case 5:
        be_put(cdb + 2, lba, 4);
        be_put(cdb + 6, blocks, 4);
        break;
    default:
        be_put(cdb + 2, lba, 4);
        be_put(cdb + 7, blocks, 2);
        break;
    }
}

static struct scsireq range(uint8_t opcode, uint64_t lba, uint32_t blocks)
{
    struct scsireq req = {0};
    put_range(req.cdb, opcode, lba, blocks);
    return req;
}

OnScsi(virtio_scsi_disk, reads_and_writes_of_all_lengths, OPEN(s))
{
    for (unsigned i = 0; i < sizeof(reads); i++) {
        struct scsireq in = range(reads[i], 5 + i, 2);
        in.in = 1024;
        cr_expect_arr_eq(good(s, &in), s->disks[0].bytes + (5 + i) * 512, 1024);
        cr_expect_eq(scsireq_residual(s, &in), 0);
        struct scsireq out = range(writes[i], SECTORS - 2, 2);
        out.out = 1024;
        out.data_gpa = vdrv_alloc(&s->rig.drv, 1024, 8);
        memset(scsireq_data(s, &out), 0x50 + (int)i, 1024);
        good(s, &out);
        cr_expect_eq(scsireq_residual(s, &out), 0);
        cr_expect_arr_eq(s->disks[0].bytes + RIG_DISK_BYTES - 1024, scsireq_data(s, &out), 1024);
    }
    cr_expect_eq(s->disks[0].flushes, 0);
    /* In READ 6 no blocks are 256. */
    struct scsireq many = range(SCSI_READ_6, 0, 0);
    many.in = 256 * 512;
    cr_expect_arr_eq(good(s, &many), s->disks[0].bytes, 256 * 512);
    cr_expect_eq(scsireq_residual(s, &many), 0);
    struct scsireq none = range(SCSI_READ_10, SECTORS, 0);
    good(s, &none);
}

OnScsi(virtio_scsi_disk, targets_are_disks_of_their_own, OPEN(s))
{
    struct scsireq in = range(SCSI_READ_10, 1, 1);
    in.target = 1;
    in.in = 512;
    cr_expect_arr_eq(good(s, &in), s->disks[1].bytes + 512, 512);
    cr_expect_eq(s->disks[0].submitted, 0);
}

OnScsi(virtio_scsi_disk, more_room_than_data_is_residual, OPEN(s))
{
    struct scsireq in = range(SCSI_READ_10, 1, 1), out = range(SCSI_WRITE_10, 1, 1);
    in.in = 2000;
    cr_expect_eq(scsireq_do(s, &in), 108 + 512);
    cr_expect_eq(scsireq_residual(s, &in), 2000 - 512);
    out.out = 515;
    good(s, &out);
    cr_expect_eq(scsireq_residual(s, &out), 3);
}

OnScsi(virtio_scsi_disk, too_little_room_is_an_overrun, OPEN(s))
{
    struct scsireq cases[] = {
        range(SCSI_READ_10, 1, 2),
        range(SCSI_READ_16, 1, 2),
        range(SCSI_WRITE_10, 1, 2),
        range(SCSI_WRITE_10, 1, 2),
        {.cdb = {SCSI_INQUIRY, 0, 0, 0, 96}},
        {.cdb = {SCSI_READ_CAPACITY_10}},
        {.cdb = {SCSI_UNMAP, [8] = 24}},
    };
    cases[0].in = 1023;
    cases[1].out = 1024; /* the wrong way */
    cases[2].out = 1023;
    cases[3].in = 1024;
    cases[4].in = 95;
    cases[5].in = 7;
    cases[6].out = 23;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(scsireq_do(s, &cases[i]), 108, "case %u", i);
        cr_expect_eq(scsireq_response(s, &cases[i]), VIRTIO_SCSI_S_OVERRUN, "case %u", i);
        cr_expect_eq(scsireq_residual(s, &cases[i]), cases[i].in + cases[i].out, "case %u", i);
    }
    cr_expect_eq(s->disks[0].submitted, 0);
}

OnScsi(virtio_scsi_disk, what_is_not_on_the_disk, OPEN(s))
{
    static const uint8_t all[] = {SCSI_READ_6,
                                  SCSI_READ_10,
                                  SCSI_READ_12,
                                  SCSI_READ_16,
                                  SCSI_WRITE_6,
                                  SCSI_WRITE_10,
                                  SCSI_WRITE_12,
                                  SCSI_WRITE_16,
                                  SCSI_VERIFY_10,
                                  SCSI_VERIFY_16,
                                  SCSI_WRITE_SAME_10,
                                  SCSI_WRITE_SAME_16,
                                  SCSI_SYNCHRONIZE_CACHE_10,
                                  SCSI_SYNCHRONIZE_CACHE_16};
    for (unsigned i = 0; i < sizeof(all); i++) {
        struct scsireq req = range(all[i], SECTORS - 1, 2);
        bad_at(s, &req, SCSI_LBA_OUT_OF_RANGE, __LINE__);
    }
    struct scsireq wraps = range(SCSI_READ_16, UINT64_MAX, 2);
    wraps.in = 1024;
    bad_at(s, &wraps, SCSI_LBA_OUT_OF_RANGE, __LINE__);
    cr_expect_eq(s->disks[0].submitted, 0);
}

OnScsi(virtio_scsi_disk, force_unit_access_flushes, OPEN(s))
{
    struct scsireq out = range(SCSI_WRITE_10, 0, 1);
    out.cdb[1] = 0x08;
    out.out = 512;
    good(s, &out);
    cr_expect_eq(s->disks[0].flushes, 1);
    struct scsireq six = range(SCSI_WRITE_6, 0x80, 1); /* bits of the address, no flag */
    six.out = 512;
    good(s, &six);
    cr_expect_eq(s->disks[0].flushes, 1);
    struct scsireq fails = out;
    s->disks[0].fail = -EIO;
    s->disks[0].fail_from = s->disks[0].submitted + 1;
    bad_at(s, &fails, SCSI_WRITE_ERROR, __LINE__);
}

OnScsi(virtio_scsi_disk, flushes, OPEN(s))
{
    struct scsireq ten = range(SCSI_SYNCHRONIZE_CACHE_10, 0, 0);
    struct scsireq sixteen = range(SCSI_SYNCHRONIZE_CACHE_16, 3, 4);
    good(s, &ten);
    good(s, &sixteen);
    cr_expect_eq(s->disks[0].flushes, 2);
}

OnScsi(virtio_scsi_disk, commands_without_effect, OPEN(s))
{
    struct scsireq ready = {.cdb = {SCSI_TEST_UNIT_READY}};
    struct scsireq stop = {.cdb = {SCSI_START_STOP_UNIT}};
    struct scsireq verify = range(SCSI_VERIFY_16, 0, SECTORS);
    good(s, &ready);
    good(s, &stop);
    good(s, &verify);
    BAD(s, SCSI_INVALID_FIELD_IN_CDB, .cdb = {SCSI_VERIFY_10, 0x02, [8] = 1}, .out = 512);
    cr_expect_eq(s->disks[0].submitted, 0);
}

/* ---- space that is given up ---- */

struct extent {
    uint64_t lba;
    uint32_t blocks;
};

static struct scsireq unmap(struct scsi_rig *s, const struct extent *extents, unsigned count)
{
    uint32_t bytes = 8 + 16 * count;
    struct scsireq req = {.cdb = {SCSI_UNMAP}, .out = bytes};
    req.data_gpa = vdrv_alloc(&s->rig.drv, bytes, 8);
    uint8_t *list = scsireq_data(s, &req);
    be_put(req.cdb + 7, bytes, 2);
    be_put(list, bytes - 2, 2);
    be_put(list + 2, bytes - 8, 2);
    for (unsigned i = 0; i < count; i++) {
        be_put(list + 8 + 16 * i, extents[i].lba, 8);
        be_put(list + 16 + 16 * i, extents[i].blocks, 4);
    }
    return req;
}

static bool is_all(const uint8_t *p, uint8_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (p[i] != value)
            return false;
    }
    return true;
}

OnScsi(virtio_scsi_disk, unmap, OPEN(s))
{
    static const struct extent extents[] = {{8, 8}, {100, 0}, {SECTORS - 1, 1}};
    struct scsireq req = unmap(s, extents, 3);
    good(s, &req);
    cr_expect_eq(scsireq_residual(s, &req), 0);
    cr_expect_eq(s->disks[0].discards, 2);
    cr_expect(is_all(s->disks[0].bytes + 4096, FAKE_BLK_DISCARDED, 4096));
    cr_expect(is_all(s->disks[0].bytes + RIG_DISK_BYTES - 512, FAKE_BLK_DISCARDED, 512));
    struct scsireq empty = {.cdb = {SCSI_UNMAP}};
    good(s, &empty);
    cr_expect_eq(s->disks[0].discards, 2);
}

/* An UNMAP that is wrong somewhere does nothing. */
OnScsi(virtio_scsi_disk, unmap_lists_that_lie, OPEN(s))
{
    static const struct extent beyond[] = {{8, 8}, {SECTORS - 1, 2}};
    static const struct extent many[33] = {{8, 8}};
    static const struct extent one[] = {{8, 8}};
    struct scsireq req = unmap(s, beyond, 2);
    bad_at(s, &req, SCSI_LBA_OUT_OF_RANGE, __LINE__);
    req = unmap(s, many, 33);
    bad_at(s, &req, SCSI_INVALID_FIELD_IN_PARAMETERS, __LINE__);
    req = unmap(s, one, 1);
    be_put(req.cdb + 7, 7, 2);
    bad_at(s, &req, SCSI_PARAMETER_LIST_LENGTH_ERROR, __LINE__);
    req = unmap(s, one, 1);
    req.cdb[1] = 1;
    bad_at(s, &req, SCSI_INVALID_FIELD_IN_CDB, __LINE__);
    cr_expect_eq(s->disks[0].submitted, 0);
    /* The list says that it is longer than it is: what is there counts. */
    req = unmap(s, one, 1);
    be_put(scsireq_data(s, &req) + 2, 0xffff, 2);
    good(s, &req);
    cr_expect_eq(s->disks[0].discards, 1);
    /* And one that ends inside a descriptor has one less. */
    req = unmap(s, one, 1);
    be_put(req.cdb + 7, 23, 2);
    good(s, &req);
    cr_expect_eq(s->disks[0].discards, 1);
}

OnScsi(virtio_scsi_disk, write_same_of_zeroes, OPEN(s))
{
    struct scsireq ten = range(SCSI_WRITE_SAME_10, 8, 8),
                   sixteen = range(SCSI_WRITE_SAME_16, 20, 2);
    ten.out = 512;
    good(s, &ten);
    cr_expect_eq(scsireq_residual(s, &ten), 0);
    cr_expect(is_all(s->disks[0].bytes + 4096, 0, 4096));
    cr_expect_eq(s->disks[0].unmaps, 0);
    sixteen.cdb[1] = 0x09; /* UNMAP, NDOB */
    good(s, &sixteen);
    cr_expect(is_all(s->disks[0].bytes + 20 * 512, 0, 1024));
    cr_expect_eq(s->disks[0].unmaps, 1);
    cr_expect_eq(s->disks[0].zeroes, 2);

    struct scsireq ones = range(SCSI_WRITE_SAME_10, 8, 8), all = range(SCSI_WRITE_SAME_16, 0, 0);
    ones.out = 512;
    ones.data_gpa = vdrv_alloc(&s->rig.drv, 512, 8);
    scsireq_data(s, &ones)[511] = 1;
    bad_at(s, &ones, SCSI_INVALID_FIELD_IN_CDB, __LINE__);
    all.out = 512;
    bad_at(s, &all, SCSI_INVALID_FIELD_IN_CDB, __LINE__);
    cr_expect_eq(s->disks[0].zeroes, 2);
}

/* ---- blocks that are larger than a sector ---- */

static void open_4k(struct scsi_rig *s)
{
    open_disk(s, (struct rig_config){.logical_bytes = 4096});
}

OnScsi(virtio_scsi_disk, says_how_large_blocks_are, open_4k(s))
{
    struct scsireq ten = {.cdb = {SCSI_READ_CAPACITY_10}, .in = 8};
    const uint8_t *data = good(s, &ten);
    cr_expect_eq(be(data, 4), SECTORS / 8 - 1);
    cr_expect_eq(be(data + 4, 4), 4096);
    struct scsireq sixteen = {
        .cdb = {SCSI_SERVICE_ACTION_IN_16, SCSI_SAI_READ_CAPACITY_16, [13] = 32}, .in = 32};
    data = good(s, &sixteen);
    cr_expect_eq(be(data, 8), SECTORS / 8 - 1);
    cr_expect_eq(be(data + 8, 4), 4096);
    cr_expect_eq(data[13], 0);
    data = vpd(s, 0, SCSI_VPD_BLOCK_LIMITS);
    cr_expect_eq(be(data + 6, 2), 1);
    cr_expect_eq(be(data + 12, 4), 16);
    cr_expect_eq(be(data + 20, 4), 1 << 18);
    cr_expect_eq(be(data + 28, 4), 2);
    cr_expect_eq(be(data + 36, 8), 1 << 18);
}

OnScsi(virtio_scsi_disk, addresses_count_blocks, open_4k(s))
{
    static const struct extent last[] = {{SECTORS / 8 - 1, 1}}, beyond[] = {{SECTORS / 8, 1}};
    uint8_t *end = s->disks[0].bytes + RIG_DISK_BYTES - 4096;
    struct scsireq in = range(SCSI_READ_10, SECTORS / 8 - 1, 1), out = range(SCSI_WRITE_10, 2, 1);
    in.in = 4096;
    cr_expect_arr_eq(good(s, &in), end, 4096);
    cr_expect_eq(scsireq_residual(s, &in), 0);
    out.out = 4096;
    out.data_gpa = vdrv_alloc(&s->rig.drv, 4096, 8);
    memset(scsireq_data(s, &out), 0x5a, 4096);
    good(s, &out);
    cr_expect(is_all(s->disks[0].bytes + 8192, 0x5a, 4096));
    struct scsireq far = range(SCSI_READ_10, SECTORS / 8, 1);
    far.in = 4096;
    bad_at(s, &far, SCSI_LBA_OUT_OF_RANGE, __LINE__);
    struct scsireq req = unmap(s, beyond, 1);
    bad_at(s, &req, SCSI_LBA_OUT_OF_RANGE, __LINE__);
    req = unmap(s, last, 1);
    good(s, &req);
    cr_expect(is_all(end, FAKE_BLK_DISCARDED, 4096));
}

/* All of the block is looked at. */
OnScsi(virtio_scsi_disk, write_same_takes_a_whole_block, open_4k(s))
{
    struct scsireq same = range(SCSI_WRITE_SAME_10, 1, 2);
    same.out = 4096;
    same.data_gpa = vdrv_alloc(&s->rig.drv, 4096, 8);
    memset(scsireq_data(s, &same), 0, 4096);
    good(s, &same);
    cr_expect_eq(scsireq_residual(s, &same), 0);
    cr_expect(is_all(s->disks[0].bytes + 4096, 0, 8192));
    cr_expect_neq(s->disks[0].bytes[3 * 4096 + 1], 0);
    scsireq_data(s, &same)[600] = 1;
    bad_at(s, &same, SCSI_INVALID_FIELD_IN_CDB, __LINE__);
    same.out = 512;
    scsireq_do(s, &same);
    cr_expect_eq(scsireq_response(s, &same), VIRTIO_SCSI_S_OVERRUN);
    cr_expect_eq(s->disks[0].zeroes, 1);
}

/* ---- what cannot be ---- */

OnScsi(virtio_scsi_disk, a_backend_that_cannot_says_so,
       open_disk(s, (struct rig_config){.plain = true}))
{
    static const struct extent one[] = {{8, 8}};
    struct scsireq req = unmap(s, one, 1), same = range(SCSI_WRITE_SAME_16, 8, 8);
    bad_at(s, &req, SCSI_INVALID_OPERATION_CODE, __LINE__);
    same.out = 512;
    bad_at(s, &same, SCSI_INVALID_OPERATION_CODE, __LINE__);
    cr_expect_eq(vpd(s, 0, SCSI_VPD_PROVISIONING)[5], 0);
    cr_expect(is_all(vpd(s, 0, SCSI_VPD_BLOCK_LIMITS) + 5, 0, 59));
    struct scsireq capacity = {
        .cdb = {SCSI_SERVICE_ACTION_IN_16, SCSI_SAI_READ_CAPACITY_16, [13] = 32}, .in = 32};
    cr_expect_eq(good(s, &capacity)[14], 0);
}

OnScsi(virtio_scsi_disk, a_disk_that_is_read_alone,
       open_disk(s, (struct rig_config){.read_only = true}))
{
    static const uint8_t changes[] = {SCSI_WRITE_6,      SCSI_WRITE_10, SCSI_WRITE_12,
                                      SCSI_WRITE_16,     SCSI_UNMAP,    SCSI_WRITE_SAME_10,
                                      SCSI_WRITE_SAME_16};
    for (unsigned i = 0; i < sizeof(changes); i++) {
        struct scsireq req = range(changes[i], 0, 1);
        req.out = 512;
        bad_at(s, &req, SCSI_WRITE_PROTECTED, __LINE__);
    }
    cr_expect_eq(s->disks[0].submitted, 0);
}

OnScsi(virtio_scsi_disk, backend_errors, OPEN(s))
{
    static const struct {
        uint8_t opcode;
        int error;
        unsigned sense;
    } cases[] = {
        {SCSI_READ_10, -EIO, SCSI_UNRECOVERED_READ_ERROR},
        {SCSI_WRITE_10, -EIO, SCSI_WRITE_ERROR},
        {SCSI_WRITE_10, -ENOSPC, SCSI_SPACE_ALLOCATION_FAILED},
        {SCSI_WRITE_10, -EROFS, SCSI_WRITE_PROTECTED},
        {SCSI_WRITE_SAME_10, -EOPNOTSUPP, SCSI_INVALID_OPERATION_CODE},
        {SCSI_SYNCHRONIZE_CACHE_10, -EIO, SCSI_WRITE_ERROR},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scsireq req = range(cases[i].opcode, 0, 1);
        s->disks[0].fail = cases[i].error;
        req.in = cases[i].opcode == SCSI_READ_10 ? 512 : 0;
        req.out = 512 - req.in;
        bad_at(s, &req, cases[i].sense, __LINE__);
        if (cases[i].opcode == SCSI_READ_10)
            cr_expect_eq(scsireq_residual(s, &req), 512);
    }
}

/* Every operation code, and bits of any kind behind it: an answer each, and the disk as it was. */
OnScsi(virtio_scsi_disk, any_command_is_answered, OPEN(s))
{
    static const uint8_t known[] = {SCSI_TEST_UNIT_READY,
                                    SCSI_REQUEST_SENSE,
                                    SCSI_READ_6,
                                    SCSI_WRITE_6,
                                    SCSI_INQUIRY,
                                    SCSI_MODE_SENSE_6,
                                    SCSI_START_STOP_UNIT,
                                    SCSI_READ_CAPACITY_10,
                                    SCSI_READ_10,
                                    SCSI_WRITE_10,
                                    SCSI_VERIFY_10,
                                    SCSI_SYNCHRONIZE_CACHE_10,
                                    SCSI_WRITE_SAME_10,
                                    SCSI_UNMAP,
                                    SCSI_MODE_SENSE_10,
                                    SCSI_READ_16,
                                    SCSI_WRITE_16,
                                    SCSI_VERIFY_16,
                                    SCSI_SYNCHRONIZE_CACHE_16,
                                    SCSI_WRITE_SAME_16,
                                    SCSI_SERVICE_ACTION_IN_16,
                                    SCSI_REPORT_LUNS,
                                    SCSI_READ_12,
                                    SCSI_WRITE_12};
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        struct scsireq req = {.cdb = {(uint8_t)opcode}, .in = 600};
        memset(req.cdb + 1, 0xff, sizeof(req.cdb) - 1);
        scsireq_do(s, &req);
        bool is_known = memchr(known, (int)opcode, sizeof(known)) != NULL;
        bool refused = scsireq_sense(s, &req) == SCSI_INVALID_OPERATION_CODE;
        cr_expect_eq(refused, !is_known, "%#x", opcode);
        cr_expect_leq(scsireq_residual(s, &req), 600);
    }
    cr_expect_eq(s->disks[0].submitted, 0);
}
