// SPDX-License-Identifier: BSD-2-Clause
/* Requests that lie, to each device: H38 to H43, H47, H48. */
#include "hostile.h"

#include "virtio/console.h"
#include "virtio/rng.h"

#define SECTORS (RIG_DISK_BYTES / 512)

static uint8_t do_request(struct rig *rig, struct blkreq req, uint32_t *used)
{
    uint8_t answer = blkreq_do(rig, &req, used);
    cr_expect(!rig_is_broken(rig));
    return answer;
}

/* ---- block ---- */

OnEach(hostile_devices, h38_sectors_out_of_range)
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
    struct rig rig;
    uint64_t gpa;
    hostile_open(&rig, on, &gpa);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
            struct blkreq req = {.type = type,
                                 .sector = cases[i].sector,
                                 .bytes = cases[i].bytes,
                                 .data_write = type == VIRTIO_BLK_T_IN,
                                 .data_gpa = gpa};
            cr_expect_eq(do_request(&rig, req, NULL),
                         cases[i].ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR, "case %u", i);
        }
    hostile_close(&rig);
}

OnEach(hostile_devices, h38_capacity_shrinks)
{
    struct rig rig;
    hostile_open(&rig, on, NULL);
    rig.disk.backend.info.capacity_bytes = 1024;
    struct blkreq beyond = {.sector = 2, .bytes = 512, .data_write = true};
    cr_expect_eq(do_request(&rig, beyond, NULL), VIRTIO_BLK_S_IOERR);
    struct blkreq within = {.sector = 1, .bytes = 512, .data_write = true};
    cr_expect_eq(do_request(&rig, within, NULL), VIRTIO_BLK_S_OK);
    hostile_close(&rig);
}

OnEach(hostile_devices, h39_not_whole_sectors)
{
    static const uint32_t lens[] = {1, 511, 513, 1023};
    struct rig rig;
    uint32_t used;
    hostile_open(&rig, on, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
        struct blkreq in = {.bytes = lens[i], .data_write = true};
        cr_expect_eq(do_request(&rig, in, &used), VIRTIO_BLK_S_IOERR);
        cr_expect_eq(used, 0);
        struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .bytes = lens[i]};
        cr_expect_eq(do_request(&rig, out, &used), VIRTIO_BLK_S_IOERR);
        cr_expect_eq(used, 1);
    }
    cr_expect_eq(rig.disk.submitted, 0);
    hostile_close(&rig);
}

OnEach(hostile_devices, h39_short_and_long_headers)
{
    struct rig rig;
    hostile_open(&rig, on, NULL);
    for (uint32_t bytes = 1; bytes < 16; bytes++) {
        struct blkreq req = {.header_bytes = bytes, .bytes = 512, .data_write = true};
        cr_expect_eq(do_request(&rig, req, NULL), VIRTIO_BLK_S_IOERR, "%u bytes", bytes);
    }
    /* A byte too many is the first byte of data: for a write, no whole sector. */
    struct blkreq in = {.header_bytes = 17, .bytes = 512, .data_write = true};
    cr_expect_eq(do_request(&rig, in, NULL), VIRTIO_BLK_S_OK);
    struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .header_bytes = 17, .bytes = 512};
    cr_expect_eq(do_request(&rig, out, NULL), VIRTIO_BLK_S_IOERR);
    /* In three buffers. */
    struct blkreq cut = {.cut = 6, .bytes = 0};
    cr_expect_eq(do_request(&rig, cut, NULL), VIRTIO_BLK_S_OK);
    hostile_close(&rig);
}

OnEach(hostile_devices, h39_no_status)
{
    struct rig rig;
    uint32_t used;
    hostile_open(&rig, on, NULL);
    /* Nothing that is writable. */
    struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .bytes = 512, .no_status = true};
    do_request(&rig, out, &used);
    cr_expect_eq(used, 0);
    cr_expect_eq(rig.disk.submitted, 0);
    /* The last byte of the data is the status, and what is left is no whole sector. */
    struct blkreq in = {.bytes = 512, .data_write = true, .no_status = true};
    in.data_gpa = vdrv_alloc(&rig.drv, 512, 16);
    do_request(&rig, in, &used);
    cr_expect_eq(((uint8_t *)blkreq_data(&rig, &in))[511], VIRTIO_BLK_S_IOERR);
    hostile_close(&rig);
}

OnEach(hostile_devices, h39_two_bytes_of_status)
{
    struct rig rig;
    uint32_t used;
    hostile_open(&rig, on, NULL);
    /* For a write the first of the two is no data, and the device does not write it. */
    struct blkreq req = {.type = VIRTIO_BLK_T_FLUSH, .bytes = 1, .data_write = true};
    req.data_gpa = vdrv_alloc(&rig.drv, 1, 1);
    *(uint8_t *)blkreq_data(&rig, &req) = 0x77;
    cr_expect_eq(do_request(&rig, req, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 0, "not from the first byte on");
    cr_expect_eq(*(uint8_t *)blkreq_data(&rig, &req), 0x77);
    hostile_close(&rig);
}

OnEach(hostile_devices, h40_unknown_types)
{
    static const uint32_t types[] = {2, 3, 5, 9, 10, 11, 13, 14, 26, 0x80000000, UINT32_MAX};
    struct rig rig;
    hostile_open(&rig, on, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        struct blkreq req = {.type = types[i], .bytes = 32, .data_write = i % 2};
        cr_expect_eq(do_request(&rig, req, NULL), VIRTIO_BLK_S_UNSUPP, "type %u", types[i]);
    }
    cr_expect_eq(rig.disk.submitted, 0);
    hostile_close(&rig);
}

OnEach(hostile_devices, h40_get_id_of_odd_length)
{
    static const uint32_t lens[] = {1, 19, 20, 21, 512};
    struct rig rig;
    uint32_t used;
    hostile_open(&rig, on, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
        struct blkreq req = {.type = VIRTIO_BLK_T_GET_ID, .bytes = lens[i], .data_write = true};
        req.data_gpa = vdrv_alloc(&rig.drv, lens[i], 16);
        uint8_t *id = blkreq_data(&rig, &req);
        memset(id, 0xcc, lens[i]);
        cr_expect_eq(do_request(&rig, req, &used), VIRTIO_BLK_S_OK);
        cr_expect_eq(used, lens[i] <= 20 ? lens[i] + 1 : 20);
        cr_expect_arr_eq(id, "serial-0123456789abc", min_u64(lens[i], 20));
        if (lens[i] > 20)
            cr_expect_eq(id[20], 0xcc);
    }
    hostile_close(&rig);
}

OnEach(hostile_devices, h40_flush_with_data)
{
    struct rig rig;
    hostile_open(&rig, on, NULL);
    struct blkreq req = {.type = VIRTIO_BLK_T_FLUSH, .sector = UINT64_MAX, .bytes = 512};
    cr_expect_eq(do_request(&rig, req, NULL), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig.disk.flushes, 1);
    hostile_close(&rig);
}

OnEach(hostile_devices, h42_write_to_a_read_only_disk_without_ro)
{
    struct rig rig;
    struct rig_config read_only = *on;
    read_only.read_only = true;
    rig_open_blk_on(&rig, &read_only);
    cr_assert(vdrv_start(&rig.drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
    struct blkreq req = {.type = VIRTIO_BLK_T_OUT, .bytes = 512};
    cr_expect_eq(do_request(&rig, req, NULL), VIRTIO_BLK_S_IOERR);
    cr_expect_eq(rig.disk.submitted, 0);
    hostile_close(&rig);
}

OnEach(hostile_devices, h43_as_many_segments_as_there_are)
{
    struct rig rig;
    uint32_t used;
    rig_open_blk_on(&rig, on);
    cr_assert(vdrv_start(&rig.drv, HOSTILE_FEATURES, 1, 256));
    struct blkreq most = {.bytes = 254 * 512, .cut = 512, .data_write = true, .indirect = true};
    cr_expect_eq(do_request(&rig, most, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 254 * 512 + 1);
    struct blkreq tiny = {.bytes = 239, .cut = 1, .data_write = true}; /* no whole sector */
    cr_expect_eq(do_request(&rig, tiny, NULL), VIRTIO_BLK_S_IOERR);
    hostile_close(&rig);
}

OnEach(hostile_devices, h43_a_thousand_segments)
{
    struct rig rig;
    rig_open_blk_on(&rig, on);
    cr_assert(vdrv_start(&rig.drv, HOSTILE_FEATURES, 1, 256));
    struct blkreq req = {.bytes = 524288, .cut = 512, .data_write = true, .indirect = true};
    blkreq_send(&rig, &req);
    rig_step(&rig);
    hostile_expect_broken(&rig, "1024 segments in a queue of 256");
    hostile_close(&rig);
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

OnEach(hostile_devices, h47_reader_stalled_while_the_guest_floods)
{
    struct rig rig;
    uint32_t head, len;
    rig_open_console_on(&rig, on);
    cr_assert(vdrv_start(&rig.drv, 0, 2, 256));
    rig.chr.room = 0;
    struct vdrv_queue *tx = &rig.drv.q[VIRTIO_CONSOLE_TX];
    struct vdrv_buf buf = {vdrv_alloc(&rig.drv, 4096, 1), 4096, false};
    while (vdrv_add(tx, &buf, 1) >= 0)
        ;
    for (unsigned i = 0; i < 1000; i++) {
        vdrv_kick(tx);
        rig_step(&rig);
    }
    cr_expect(!vdrv_has_used(tx));
    cr_expect_leq(rig.chr.writes, 1002, "an offer a kick, no spinning");
    /* Input goes on, and so does reset. */
    struct vdrv_buf in = {vdrv_alloc(&rig.drv, 8, 1), 8, true};
    vdrv_send(&rig.drv.q[VIRTIO_CONSOLE_RX], &in, 1);
    rig_step(&rig);
    cr_expect_eq(fake_chr_type(&rig.chr, "hi", 2), 2);
    rig_step(&rig);
    cr_expect(vdrv_used(&rig.drv.q[VIRTIO_CONSOLE_RX], &head, &len));
    vdrv_reset(&rig.drv);
    fake_chr_open(&rig.chr, SIZE_MAX / 2);
    cr_expect_eq(rig.chr.out_bytes, 0);
    rig_close(&rig);
}

OnEach(hostile_devices, h47_four_gib_in_one_chain)
{
    struct rig rig;
    static struct vdrv_buf bufs[60];
    uint32_t head, len;
    rig_open_console_on(&rig, on);
    cr_assert(vdrv_start(&rig.drv, 0, 2, 64));
    for (unsigned i = 0; i < ARRAY_SIZE(bufs); i++) /* the same 2 MiB again and again */
        bufs[i] = (struct vdrv_buf){0, RIG_HOLE_GPA, false};
    cr_assert_geq(vdrv_send(&rig.drv.q[VIRTIO_CONSOLE_TX], bufs, ARRAY_SIZE(bufs)), 0);
    rig_step(&rig);
    cr_expect_eq(rig.chr.out_bytes, ARRAY_SIZE(bufs) * RIG_HOLE_GPA);
    cr_expect(vdrv_used(&rig.drv.q[VIRTIO_CONSOLE_TX], &head, &len));
    rig_close(&rig);
}

OnEach(hostile_devices, h47_resize_during_a_reset)
{
    struct rig rig;
    rig_open_console_on(&rig, on);
    for (unsigned i = 0; i < 50; i++) {
        cr_assert(vdrv_start(&rig.drv, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 2, 8));
        vdrv_set_status(&rig.drv, 0);
        rig_config_irqs(&rig);
        rig.chr.backend.handler->on_resize(rig.chr.backend.handler->ctx, (uint16_t)i, 1);
        cr_expect_eq(rig_config_irqs(&rig), 0);
    }
    rig_close(&rig);
}

/* ---- entropy ---- */

OnEach(hostile_devices, h48_requests_of_all_memory)
{
    struct rig rig;
    uint32_t head, len;
    rig_open_rng_on(&rig, on);
    cr_assert(vdrv_start(&rig.drv, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 1, 256));
    struct vdrv_queue *q = &rig.drv.q[0];
    struct vdrv_buf bufs[64];
    for (unsigned i = 0; i < 64; i++) /* above the hole, where no ring is */
        bufs[i] = (struct vdrv_buf){RIG_HOLE_END_GPA, 0x200000, true};
    unsigned sent = 0, taken = 0;
    for (; vdrv_add_indirect(q, bufs, 64) >= 0; sent++)
        ;
    vdrv_kick(q);
    rig_step(&rig);
    for (; vdrv_used(q, &head, &len); taken++)
        cr_expect_eq(len, VIRTIO_RNG_REQUEST_BYTES);
    cr_expect_eq(taken, sent);
    cr_expect_eq(rig.random.given, (uint64_t)sent * VIRTIO_RNG_REQUEST_BYTES);
    rig_close(&rig);
}

OnEach(hostile_devices, h48_ten_thousand_requests)
{
    struct rig rig;
    uint32_t head, len;
    rig_open_rng_on(&rig, on);
    cr_assert(vdrv_start(&rig.drv, 0, 1, 256));
    struct vdrv_buf buf = {RIG_HOLE_END_GPA, 64, true};
    unsigned taken = 0;
    while (taken < 10000) {
        while (vdrv_add(&rig.drv.q[0], &buf, 1) >= 0)
            ;
        vdrv_kick(&rig.drv.q[0]);
        rig_step(&rig);
        while (vdrv_used(&rig.drv.q[0], &head, &len))
            taken++;
    }
    cr_expect(!rig_is_broken(&rig));
    rig_close(&rig);
}
