// SPDX-License-Identifier: BSD-2-Clause
/* Requests that lie, to each device: H38 to H43, H47, H48. */
#include "hostile.h"

#include <errno.h>

#include "virtio/balloon/balloon.h"
#include "virtio/console/console.h"
#include "virtio/rng/rng.h"

#define SECTORS (RIG_DISK_BYTES / 512)

static uint8_t do_request(struct rig *rig, struct blkreq req, uint32_t *used)
{
    uint8_t answer = blkreq_do(rig, &req, used);
    cr_expect(!rig_is_broken(rig));
    return answer;
}

/* ---- block ---- */

OnRunning(hostile_devices, h38_sectors_out_of_range)
{
    static const struct {
        uint64_t sector;
        uint32_t bytes;
        bool ok;
    } cases[] = {
        {SECTORS - 1, 512, true},        {SECTORS - 1, 1024, false},
        {SECTORS, 512, false},           {SECTORS, 0, true},
        {SECTORS + 1, 0, false},         {UINT64_MAX, 512, false},
        {UINT64_MAX / 512, 512, false},  {UINT64_MAX / 512 + 1, 512, false}, /* times 512 is 0 */
        {UINT64_C(1) << 55, 512, false}, {(UINT64_C(1) << 55) + 1, 512, false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
            struct blkreq req = {.type = type,
                                 .sector = cases[i].sector,
                                 .bytes = cases[i].bytes,
                                 .data_write = type == VIRTIO_BLK_T_IN,
                                 .data_gpa = gpa};
            cr_expect_eq(do_request(rig, req, NULL),
                         cases[i].ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR, "case %u", i);
        }
}

OnRunning(hostile_devices, h38_capacity_shrinks)
{
    rig->disk.backend.info.capacity_bytes = 1024;
    struct blkreq beyond = {.sector = 2, .bytes = 512, .data_write = true};
    cr_expect_eq(do_request(rig, beyond, NULL), VIRTIO_BLK_S_IOERR);
    struct blkreq within = {.sector = 1, .bytes = 512, .data_write = true};
    cr_expect_eq(do_request(rig, within, NULL), VIRTIO_BLK_S_OK);
}

OnRunning(hostile_devices, h39_not_whole_sectors)
{
    static const uint32_t lens[] = {1, 511, 513, 1023};
    uint32_t used;
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
        struct blkreq in = {.bytes = lens[i], .data_write = true};
        cr_expect_eq(do_request(rig, in, &used), VIRTIO_BLK_S_IOERR);
        cr_expect_eq(used, 0);
        struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .bytes = lens[i]};
        cr_expect_eq(do_request(rig, out, &used), VIRTIO_BLK_S_IOERR);
        cr_expect_eq(used, 1);
    }
    cr_expect_eq(rig->disk.submitted, 0);
}

OnRunning(hostile_devices, h39_short_and_long_headers)
{
    for (uint32_t bytes = 1; bytes < 16; bytes++) {
        struct blkreq req = {.header_bytes = bytes, .bytes = 512, .data_write = true};
        cr_expect_eq(do_request(rig, req, NULL), VIRTIO_BLK_S_IOERR, "%u bytes", bytes);
    }
    /* A byte too many is the first byte of data: for a write, no whole sector. */
    struct blkreq in = {.header_bytes = 17, .bytes = 512, .data_write = true};
    cr_expect_eq(do_request(rig, in, NULL), VIRTIO_BLK_S_OK);
    struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .header_bytes = 17, .bytes = 512};
    cr_expect_eq(do_request(rig, out, NULL), VIRTIO_BLK_S_IOERR);
    /* In three buffers. */
    struct blkreq cut = {.cut = 6, .bytes = 0};
    cr_expect_eq(do_request(rig, cut, NULL), VIRTIO_BLK_S_OK);
}

OnRunning(hostile_devices, h39_no_status)
{
    uint32_t used;
    /* Nothing that is writable. */
    struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .bytes = 512, .no_status = true};
    do_request(rig, out, &used);
    cr_expect_eq(used, 0);
    cr_expect_eq(rig->disk.submitted, 0);
    /* The last byte of the data is the status, and what is left is no whole sector. */
    struct blkreq in = {.bytes = 512, .data_write = true, .no_status = true};
    in.data_gpa = vdrv_alloc(&rig->drv, 512, 16);
    do_request(rig, in, &used);
    cr_expect_eq(((uint8_t *)blkreq_data(rig, &in))[511], VIRTIO_BLK_S_IOERR);
}

OnRunning(hostile_devices, h39_two_bytes_of_status)
{
    uint32_t used;
    /* For a write the first of the two is no data, and the device does not write it. */
    struct blkreq req = {.type = VIRTIO_BLK_T_FLUSH, .bytes = 1, .data_write = true};
    req.data_gpa = vdrv_alloc(&rig->drv, 1, 1);
    *(uint8_t *)blkreq_data(rig, &req) = 0x77;
    cr_expect_eq(do_request(rig, req, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 0, "not from the first byte on");
    cr_expect_eq(*(uint8_t *)blkreq_data(rig, &req), 0x77);
}

OnRunning(hostile_devices, h40_unknown_types)
{
    static const uint32_t types[] = {2, 3, 5, 9, 10, 11, 13, 14, 26, 0x80000000, UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        struct blkreq req = {.type = types[i], .bytes = 32, .data_write = i % 2};
        cr_expect_eq(do_request(rig, req, NULL), VIRTIO_BLK_S_UNSUPP, "type %u", types[i]);
    }
    cr_expect_eq(rig->disk.submitted, 0);
}

OnRunning(hostile_devices, h40_get_id_of_odd_length)
{
    static const uint32_t lens[] = {1, 19, 20, 21, 512};
    uint32_t used;
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
        struct blkreq req = {.type = VIRTIO_BLK_T_GET_ID, .bytes = lens[i], .data_write = true};
        req.data_gpa = vdrv_alloc(&rig->drv, lens[i], 16);
        uint8_t *id = blkreq_data(rig, &req);
        memset(id, 0xcc, lens[i]);
        cr_expect_eq(do_request(rig, req, &used), VIRTIO_BLK_S_OK);
        cr_expect_eq(used, lens[i] <= 20 ? lens[i] + 1 : 20);
        cr_expect_arr_eq(id, "serial-0123456789abc", min_u64(lens[i], 20));
        if (lens[i] > 20)
            cr_expect_eq(id[20], 0xcc);
    }
}

OnRunning(hostile_devices, h40_flush_with_data)
{
    struct blkreq req = {.type = VIRTIO_BLK_T_FLUSH, .sector = UINT64_MAX, .bytes = 512};
    cr_expect_eq(do_request(rig, req, NULL), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig->disk.flushes, 1);
}

/* ---- DISCARD and WRITE_ZEROES ---- */

#define RANGE_FEATURES \
    (HOSTILE_FEATURES | VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES))
#define RANGES_MAX 32u

static const uint32_t range_types[] = {VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};

static void open_ranges(struct rig *rig, const struct rig_config *on)
{
    rig_open_blk_on(rig, on);
    cr_assert(vdrv_start(&rig->drv, RANGE_FEATURES, 1, 64));
    rig_step(rig);
}

static void put_range(struct rig *rig, const struct blkreq *req, unsigned i, uint64_t sector,
                      uint32_t sectors, uint32_t flags)
{
    uint8_t *raw = (uint8_t *)blkreq_data(rig, req) + (size_t)i * VIRTIO_BLK_RANGE_BYTES;
    le64_put(raw + VIRTIO_BLK_RANGE_sector, sector);
    le32_put(raw + VIRTIO_BLK_RANGE_num_sectors, sectors);
    le32_put(raw + VIRTIO_BLK_RANGE_flags, flags);
}

OnEachDisk(hostile_devices, h41_ranges_out_of_range, open_ranges(rig, on))
{
    static const struct {
        uint64_t sector;
        uint32_t sectors;
    } cases[] = {
        {SECTORS, 1},
        {SECTORS - 1, 2},
        {0, SECTORS + 1},
        {0, UINT32_MAX},
        {1, (1u << 21) + 1}, /* more than it was told */
        {UINT64_MAX, 1},
        {UINT64_MAX, UINT32_MAX},
        {UINT64_MAX - 7, 8},          /* ends at 0 */
        {UINT64_MAX / 512 + 1, 1},    /* times 512 is 0 */
        {UINT64_C(1) << 55, 1},       /* the same */
        {(UINT64_C(1) << 55) + 3, 1}, /* times 512 is inside */
        {SECTORS + 1, 0},
    };
    for (unsigned t = 0; t < ARRAY_SIZE(range_types); t++)
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
            struct blkreq req = {.type = range_types[t], .bytes = 2 * VIRTIO_BLK_RANGE_BYTES};
            req.data_gpa = vdrv_alloc(&rig->drv, req.bytes, 8);
            put_range(rig, &req, 0, 1, 1, 0); /* a good one in front, which is not done either */
            put_range(rig, &req, 1, cases[i].sector, cases[i].sectors, 0);
            cr_expect_eq(do_request(rig, req, NULL), VIRTIO_BLK_S_IOERR, "case %u", i);
        }
    cr_expect_eq(rig->disk.submitted, 0);
}

/* A disk of 2 TiB on which each range is too long by one: by what it was told, not by the end. */
OnEachDisk(hostile_devices, h41_range_longer_than_the_limit, open_ranges(rig, on))
{
    rig->disk.backend.info.capacity_bytes = UINT64_C(1) << 41;
    rig->disk.hold = true;
    for (uint32_t over = 0; over < 2; over++) {
        struct blkreq req = {.type = VIRTIO_BLK_T_DISCARD, .bytes = VIRTIO_BLK_RANGE_BYTES};
        req.data_gpa = vdrv_alloc(&rig->drv, req.bytes, 8);
        put_range(rig, &req, 0, 0, (1u << 21) + over, 0);
        cr_assert(blkreq_send(rig, &req));
        rig_step(rig);
        cr_expect_eq(blkreq_status(rig, &req), over ? VIRTIO_BLK_S_IOERR : BLKREQ_NO_STATUS);
    }
    cr_expect_eq(rig->disk.out, 1);
    rig->disk.backend.info.capacity_bytes = RIG_DISK_BYTES;
}

OnEachDisk(hostile_devices, h41_segments_of_odd_length, open_ranges(rig, on))
{
    static const uint32_t lens[] = {1, 8, 15, 17, 31, 33, 511, 513, 529};
    for (unsigned t = 0; t < ARRAY_SIZE(range_types); t++) {
        for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
            struct blkreq req = {.type = range_types[t], .bytes = lens[i]};
            cr_expect_eq(do_request(rig, req, NULL), VIRTIO_BLK_S_IOERR, "%u", lens[i]);
        }
        struct blkreq many = {.type = range_types[t], .bytes = (RANGES_MAX + 1) * 16};
        cr_expect_eq(do_request(rig, many, NULL), VIRTIO_BLK_S_IOERR);
        many.bytes = 1 << 20;
        many.data_gpa = RIG_HOLE_END_GPA;
        cr_expect_eq(do_request(rig, many, NULL), VIRTIO_BLK_S_IOERR);
        /* Where the device may write there are no segments. */
        struct blkreq in = {.type = range_types[t], .bytes = 16, .data_write = true};
        cr_expect_eq(do_request(rig, in, NULL), VIRTIO_BLK_S_OK);
    }
    cr_expect_eq(rig->disk.submitted, 0);
}

OnEachDisk(hostile_devices, h41_reserved_flags, open_ranges(rig, on))
{
    for (unsigned t = 0; t < ARRAY_SIZE(range_types); t++)
        for (unsigned bit = t; bit < 32; bit++) {
            struct blkreq req = {.type = range_types[t], .bytes = 3 * VIRTIO_BLK_RANGE_BYTES};
            req.data_gpa = vdrv_alloc(&rig->drv, req.bytes, 8);
            put_range(rig, &req, 0, 1, 1, 0);
            put_range(rig, &req, 1, UINT64_MAX, 1, 0); /* wrong as well, which counts less */
            put_range(rig, &req, 2, 3, 1, UINT32_C(1) << bit);
            cr_expect_eq(do_request(rig, req, NULL), VIRTIO_BLK_S_UNSUPP, "bit %u", bit);
        }
    cr_expect_eq(rig->disk.submitted, 0);
}

OnEachDisk(hostile_devices, h41_ranges_on_a_read_only_disk, on->read_only = true,
           rig_open_blk_on(rig, on))
{
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
    for (unsigned t = 0; t < ARRAY_SIZE(range_types); t++) {
        struct blkreq req = {.type = range_types[t], .bytes = VIRTIO_BLK_RANGE_BYTES};
        req.data_gpa = vdrv_alloc(&rig->drv, req.bytes, 8);
        put_range(rig, &req, 0, 1, 1, 0);
        cr_expect_eq(do_request(rig, req, NULL), VIRTIO_BLK_S_IOERR);
    }
    cr_expect_eq(rig->disk.submitted, 0);
}

/* As many ranges as the device takes, of a sector each, from a queue full of them, again and again
 * reset on the way. */
OnEachDisk(hostile_devices, h41_reset_between_ranges, open_ranges(rig, on))
{
    for (unsigned round = 0; round < 4; round++) {
        rig->disk.drop = round % 2 != 0;
        rig->disk.hold = true;
        for (unsigned n = 0; n < 16; n++) {
            struct blkreq req = {.type = range_types[n % 2], .bytes = RANGES_MAX * 16};
            req.data_gpa = vdrv_alloc(&rig->drv, req.bytes, 8);
            for (unsigned i = 0; i < RANGES_MAX; i++)
                put_range(rig, &req, i, i, 1, 0);
            cr_assert(blkreq_send(rig, &req));
        }
        rig_step(rig);
        cr_expect_eq(rig->disk.out, 16);
        unsigned submitted = rig->disk.submitted;
        cr_assert(vdrv_start(&rig->drv, RANGE_FEATURES, 1, 64));
        rig_step(rig);
        cr_expect_eq(rig->disk.out, 0);
        cr_expect_eq(rig->disk.submitted, submitted, "a reset waits for one range, not for all");
    }
}

OnEachDisk(hostile_devices, h42_write_to_a_read_only_disk_without_ro, on->read_only = true,
           rig_open_blk_on(rig, on))
{
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
    struct blkreq req = {.type = VIRTIO_BLK_T_OUT, .bytes = 512};
    cr_expect_eq(do_request(rig, req, NULL), VIRTIO_BLK_S_IOERR);
    cr_expect_eq(rig->disk.submitted, 0);
}

OnEachDisk(hostile_devices, h43_as_many_segments_as_there_are, rig_open_blk_on(rig, on))
{
    uint32_t used;
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, 256));
    struct blkreq most = {.bytes = 254 * 512, .cut = 512, .data_write = true, .indirect = true};
    cr_expect_eq(do_request(rig, most, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 254 * 512 + 1);
    struct blkreq tiny = {.bytes = 239, .cut = 1, .data_write = true}; /* no whole sector */
    cr_expect_eq(do_request(rig, tiny, NULL), VIRTIO_BLK_S_IOERR);
}

OnEachDisk(hostile_devices, h43_a_thousand_segments, rig_open_blk_on(rig, on))
{
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, 256));
    struct blkreq req = {.bytes = 524288, .cut = 512, .data_write = true, .indirect = true};
    blkreq_send(rig, &req);
    rig_step(rig);
    hostile_expect_broken(rig, "1024 segments in a queue of 256");
}

/* With a queue of 1024 a request has up to 1022 segments, direct or indirect, and one more is one
 * too many. */
OnEach(hostile_devices, h43_1022_segments)
{
    struct rig rig;
    uint32_t used;
    struct rig_config large = *on;
    large.queue_size_max = 1024;
    for (unsigned indirect = 0; indirect < 2; indirect++) {
        rig_open_blk_on(&rig, &large);
        cr_assert(vdrv_start(&rig.drv, HOSTILE_FEATURES, 1, 1024));
        memset(rig.disk.bytes, 0x5c, RIG_DISK_BYTES);
        struct blkreq most = {.bytes = 1022 * 512, .cut = 512, .indirect = indirect};
        most.data_write = true;
        most.data_gpa = RIG_HOLE_END_GPA;
        cr_expect_eq(do_request(&rig, most, &used), VIRTIO_BLK_S_OK);
        cr_expect_eq(used, 1022 * 512 + 1);
        cr_expect_arr_eq((uint8_t *)blkreq_data(&rig, &most), rig.disk.bytes, 1022 * 512);
        struct blkreq more = most;
        more.indirect = true;
        more.bytes = 1023 * 512;
        blkreq_send(&rig, &more);
        rig_step(&rig);
        hostile_expect_broken(&rig, "1023 segments");
        hostile_close(&rig);
    }
}

/* Each byte in a buffer of its own, of the header and of the data. */
OnEachDisk(hostile_devices, h43_segments_of_one_byte, on->queue_size_max = 1024,
           rig_open_blk_on(rig, on))
{
    uint32_t used;
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, 1024));
    for (unsigned i = 0; i < 512; i++)
        rig->disk.bytes[i] = (uint8_t)(i * 3);
    for (unsigned indirect = 0; indirect < 2; indirect++) {
        struct blkreq in = {.bytes = 512, .cut = 1, .data_write = true, .indirect = indirect};
        in.data_gpa = vdrv_alloc(&rig->drv, 512, 1);
        cr_expect_eq(do_request(rig, in, &used), VIRTIO_BLK_S_OK);
        cr_expect_eq(used, 513);
        cr_expect_arr_eq((uint8_t *)blkreq_data(rig, &in), rig->disk.bytes, 512);
        struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .sector = 7, .bytes = 512, .cut = 1};
        out.data_gpa = in.data_gpa;
        out.indirect = !indirect;
        cr_expect_eq(do_request(rig, out, NULL), VIRTIO_BLK_S_OK);
        cr_expect_arr_eq(rig->disk.bytes + 7 * 512, rig->disk.bytes, 512);
    }
}

/* Writes of the configuration space: what is not the cache mode stays. */
OnEachDisk(hostile_devices, h40_configuration_is_written_over, rig_open_blk_on(rig, on))
{
    uint8_t before[VIRTIO_BLK_CONFIG_BYTES], after[VIRTIO_BLK_CONFIG_BYTES], poison[8];
    memset(poison, 0xff, sizeof(poison));
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE), 1,
                         HOSTILE_SIZE));
    vdrv_config_read(&rig->drv, 0, before, sizeof(before));
    for (unsigned at = 0; at < sizeof(before); at++)
        vdrv_config_write(&rig->drv, at, poison, 1);
    for (uint64_t at = 0; at < sizeof(before); at += 4) {
        uint64_t base = vdrv_config_gpa(&rig->drv);
        bus_write(rig->bus, base + at, 4, UINT32_MAX);
        bus_write(rig->bus, base + at, 8, UINT64_MAX);
    }
    vdrv_config_read(&rig->drv, 0, after, sizeof(after));
    cr_expect_arr_eq(after, before, sizeof(before));
}

/* ---- any ---- */

/* VIRTIO 1.4 2.7.5.3.1: up to the queue's size a driver may cut a request as it likes. */
OnEach(hostile_devices, h02_chain_as_long_as_the_queue_on_each_device)
{
    static void (*const opens[])(struct rig *, const struct rig_config *) = {rig_open_rng_on,
                                                                             rig_open_console_on};
    static const struct {
        unsigned device, queue;
        bool write;
    } cases[] = {{0, 0, true}, {1, VIRTIO_CONSOLE_RX, true}, {1, VIRTIO_CONSOLE_TX, false}};
    for (unsigned c = 0; c < ARRAY_SIZE(cases); c++) {
        struct rig rig;
        struct vdrv_buf bufs[VIRTIO_QUEUE_SIZE_DEFAULT];
        opens[cases[c].device](&rig, on);
        cr_assert(vdrv_start(&rig.drv, 0, cases[c].device + 1, VIRTIO_QUEUE_SIZE_DEFAULT));
        uint64_t gpa = vdrv_alloc(&rig.drv, ARRAY_SIZE(bufs), 1);
        for (unsigned i = 0; i < ARRAY_SIZE(bufs); i++)
            bufs[i] = (struct vdrv_buf){gpa + i, 1, cases[c].write};
        cr_assert_geq(vdrv_send(&rig.drv.q[cases[c].queue], bufs, ARRAY_SIZE(bufs)), 0);
        rig_step(&rig);
        cr_expect(!rig_is_broken(&rig), "case %u", c);
        rig_close(&rig);
    }
}

/* ---- console ---- */

OnEachRig(hostile_devices, h47_reader_stalled_while_the_guest_floods, rig_open_console_on(rig, on),
          rig_close(rig))
{
    uint32_t head, len;
    cr_assert(vdrv_start(&rig->drv, 0, 2, 256));
    rig->chr.room = 0;
    struct vdrv_queue *tx = &rig->drv.q[VIRTIO_CONSOLE_TX];
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 4096, 1), 4096, false};
    while (vdrv_add(tx, &buf, 1) >= 0)
        ;
    for (unsigned i = 0; i < 1000; i++) {
        vdrv_kick(tx);
        rig_step(rig);
    }
    cr_expect(!vdrv_has_used(tx));
    cr_expect_leq(rig->chr.writes, 1002, "an offer a kick, no spinning");
    /* Input goes on, and so does reset. */
    struct vdrv_buf in = {vdrv_alloc(&rig->drv, 8, 1), 8, true};
    vdrv_send(&rig->drv.q[VIRTIO_CONSOLE_RX], &in, 1);
    rig_step(rig);
    cr_expect_eq(fake_chr_type(&rig->chr, "hi", 2), 2);
    rig_step(rig);
    cr_expect(vdrv_used(&rig->drv.q[VIRTIO_CONSOLE_RX], &head, &len));
    vdrv_reset(&rig->drv);
    fake_chr_open(&rig->chr, SIZE_MAX / 2);
    cr_expect_eq(rig->chr.out_bytes, 0);
}

OnEachRig(hostile_devices, h47_four_gib_in_one_chain, rig_open_console_on(rig, on), rig_close(rig))
{
    static struct vdrv_buf bufs[60];
    uint32_t head, len;
    cr_assert(vdrv_start(&rig->drv, 0, 2, 64));
    for (unsigned i = 0; i < ARRAY_SIZE(bufs); i++) /* the same 2 MiB again and again */
        bufs[i] = (struct vdrv_buf){0, RIG_HOLE_GPA, false};
    cr_assert_geq(vdrv_send(&rig->drv.q[VIRTIO_CONSOLE_TX], bufs, ARRAY_SIZE(bufs)), 0);
    rig_step(rig);
    cr_expect_eq(rig->chr.out_bytes, ARRAY_SIZE(bufs) * RIG_HOLE_GPA);
    cr_expect(vdrv_used(&rig->drv.q[VIRTIO_CONSOLE_TX], &head, &len));
}

OnEachRig(hostile_devices, h47_resize_during_a_reset, rig_open_console_on(rig, on), rig_close(rig))
{
    for (unsigned i = 0; i < 50; i++) {
        cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 2, 8));
        vdrv_set_status(&rig->drv, 0);
        rig_config_irqs(rig);
        rig->chr.backend.handler->on_resize(rig->chr.backend.handler->ctx, (uint16_t)i, 1);
        cr_expect_eq(rig_config_irqs(rig), 0);
    }
}

/* ---- entropy ---- */

OnEachRig(hostile_devices, h48_requests_of_all_memory, rig_open_rng_on(rig, on), rig_close(rig))
{
    uint32_t head, len;
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 1, 256));
    struct vdrv_queue *q = &rig->drv.q[0];
    struct vdrv_buf bufs[64];
    for (unsigned i = 0; i < 64; i++) /* above the hole, where no ring is */
        bufs[i] = (struct vdrv_buf){RIG_HOLE_END_GPA, 0x200000, true};
    unsigned sent = 0, taken = 0;
    for (; vdrv_add_indirect(q, bufs, 64) >= 0; sent++)
        ;
    vdrv_kick(q);
    rig_step(rig);
    for (; vdrv_used(q, &head, &len); taken++)
        cr_expect_eq(len, VIRTIO_RNG_REQUEST_BYTES);
    cr_expect_eq(taken, sent);
    cr_expect_eq(rig->random.given, (uint64_t)sent * VIRTIO_RNG_REQUEST_BYTES);
}

/* A byte in each page: of a turn of short requests not all come back in the first turn. */
OnEachRig(hostile_devices, h104_requests_of_very_many_pages, on->ram_bytes = 64 * MIB;
          on->hole_gpa = RIG_HOLE_END_GPA; rig_open_rng_on(rig, on), rig_close(rig))
{
    static struct vdrv_buf bytes[256];
    uint32_t head, len;
    unsigned taken = 0;
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 1, 256));
    struct vdrv_queue *q = &rig->drv.q[0];
    for (unsigned i = 0; i < ARRAY_SIZE(bytes); i++)
        bytes[i] = (struct vdrv_buf){RIG_HOLE_END_GPA + 4096 * i, 1, true};
    for (unsigned i = 0; i < VIRTIO_TURN_CHAINS; i++)
        cr_assert(vdrv_add_indirect(q, bytes, ARRAY_SIZE(bytes)) >= 0);
    vdrv_publish(q);
    virtio_queue_serve(rig->dev, 0);
    cr_expect_leq(rig->random.given, 1024);
    rig_step(rig);
    for (; vdrv_used(q, &head, &len); taken++)
        cr_expect_eq(len, ARRAY_SIZE(bytes));
    cr_expect_eq(taken, VIRTIO_TURN_CHAINS);
}

OnEachRig(hostile_devices, h48_ten_thousand_requests, rig_open_rng_on(rig, on), rig_close(rig))
{
    uint32_t head, len;
    cr_assert(vdrv_start(&rig->drv, 0, 1, 256));
    struct vdrv_buf buf = {RIG_HOLE_END_GPA, 64, true};
    unsigned taken = 0;
    while (taken < 10000) {
        while (vdrv_add(&rig->drv.q[0], &buf, 1) >= 0)
            ;
        vdrv_kick(&rig->drv.q[0]);
        rig_step(rig);
        while (vdrv_used(&rig->drv.q[0], &head, &len))
            taken++;
    }
    cr_expect(!rig_is_broken(rig));
}

/* ---- balloon ---- */

/* Page numbers of no memory, of the ring itself, again and again, and pages taken out unasked. */
OnEachRig(hostile_devices, h48_a_balloon_of_odd_pages, rig_open_balloon_on(rig, on), rig_close(rig))
{
    uint32_t head, len;
    cr_assert(vdrv_start(&rig->drv, 0, VIRTIO_BALLOON_QUEUES, 64));
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 4096, 4), 4096, false};
    uint32_t *numbers = vdrv_ptr(&rig->drv, buf.gpa, 4096);
    for (unsigned i = 0; i < 1024; i++)
        numbers[i] = i % 3 == 0 ? UINT32_MAX - i : i % 3 == 1 ? 0x500 + i : 0x4ff;
    for (unsigned i = 0; i < 100; i++) {
        unsigned queue = i % 2 == 0 ? VIRTIO_BALLOON_DEFLATE : VIRTIO_BALLOON_INFLATE;
        vdrv_send(&rig->drv.q[queue], &buf, 1);
        rig_step(rig);
        cr_assert(vdrv_used(&rig->drv.q[queue], &head, &len));
    }
    numbers[0] = (uint32_t)(rig->drv.q[VIRTIO_BALLOON_INFLATE].desc_gpa / 4096);
    for (unsigned i = 0; i < 3; i++) {
        vdrv_send(&rig->drv.q[VIRTIO_BALLOON_INFLATE], &buf, 1);
        rig_step(rig);
    }
    vdrv_reset(&rig->drv);
    cr_assert(vdrv_start(&rig->drv, 0, VIRTIO_BALLOON_QUEUES, 64));
}

/* Free pages that are all of memory, many times over: the loop takes a little in each turn. */
OnEachRig(hostile_devices, h100_reports_of_all_memory, rig_open_balloon_on(rig, on), rig_close(rig))
{
    static struct vdrv_buf bufs[200];
    uint32_t head, len;
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_REPORTING),
                         VIRTIO_BALLOON_QUEUES, 256));
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_BALLOON_REPORTS];
    for (unsigned i = 0; i < ARRAY_SIZE(bufs); i++) /* above the hole, where no ring is */
        bufs[i] = (struct vdrv_buf){RIG_HOLE_END_GPA, 0x200000, true};
    cr_assert_geq(vdrv_add(q, bufs, ARRAY_SIZE(bufs)), 0);
    vdrv_publish(q);
    virtio_queue_serve(rig->dev, VIRTIO_BALLOON_REPORTS);
    cr_expect(!vdrv_has_used(q), "more than one turn is needed");
    rig_step(rig);
    cr_assert(vdrv_used(q, &head, &len));
    cr_assert_geq(vdrv_add(q, bufs, ARRAY_SIZE(bufs)), 0);
    vdrv_publish(q);
    virtio_queue_serve(rig->dev, VIRTIO_BALLOON_REPORTS);
    vdrv_reset(&rig->drv); /* in its middle */
    rig_step(rig);
    cr_assert(vdrv_start(&rig->drv, 0, VIRTIO_BALLOON_QUEUES, 256));
}

/* A driver that never gives statistics, or gives them all at once. */
OnEachRig(hostile_devices, h101_statistics_without_end, rig_open_balloon_on(rig, on),
          rig_close(rig))
{
    struct virtio_balloon_status status;
    uint32_t head, len;
    unsigned taken = 0;
    cr_assert(
        vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ), VIRTIO_BALLOON_QUEUES, 64));
    virtio_balloon_status(rig->balloon, &status);
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_BALLOON_STATS];
    struct vdrv_buf buf = {RIG_HOLE_END_GPA, 0x200000, false};
    while (vdrv_add(q, &buf, 1) >= 0)
        ;
    vdrv_kick(q);
    for (unsigned i = 0; i < 10; i++) {
        rig_step(rig);
        virtio_balloon_status(rig->balloon, &status);
    }
    rig_step(rig);
    for (; vdrv_used(q, &head, &len); taken++)
        ;
    cr_expect_eq(taken, 10, "one for each question");
}

/* ---- the host fails ---- */

OnRunning(hostile_devices, h49_every_error_of_a_disk)
{
    static const int errors[] = {-EIO,   -ENOSPC, -EINTR, -EAGAIN, -ENOMEM,
                                 -EBADF, -EFBIG,  -EPERM, -ENODEV, -ETIMEDOUT};
    static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH};
    for (unsigned e = 0; e < ARRAY_SIZE(errors); e++)
        for (unsigned t = 0; t < ARRAY_SIZE(types); t++) {
            rig->disk.fail = errors[e];
            rig->disk.hold = t == e % 3; /* at once, or when the device has gone to rest */
            struct blkreq req = {.type = types[t],
                                 .bytes = types[t] == VIRTIO_BLK_T_FLUSH ? 0 : 512,
                                 .data_write = types[t] == VIRTIO_BLK_T_IN};
            cr_assert(blkreq_send(rig, &req));
            rig_step(rig);
            fake_blk_release(&rig->disk);
            rig_step(rig);
            cr_expect_eq(blkreq_status(rig, &req), VIRTIO_BLK_S_IOERR, "%s: type %u, error %d",
                         rig_config_name(&rig->cfg), types[t], errors[e]);
            uint32_t head, len;
            cr_assert(vdrv_used(&rig->drv.q[0], &head, &len));
        }
    cr_expect(!rig_is_broken(rig), "the host's fault");
}
