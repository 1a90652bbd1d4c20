// SPDX-License-Identifier: BSD-2-Clause
/* The block device: each request type, streams of bytes, what comes from its backend. */
#include "core/ports/bus.h"
#include "tests/harness/blkreq.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/blk/blk.h"
#include "virtio/spec.h"
#include "virtio/transport/mmio.h"

#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
#define FLUSH         VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)
#define LAST_SECTOR   (RIG_DISK_BYTES / 512 - 1)

static void open_started(struct rig *rig, uint64_t features)
{
    rig_open_blk(rig, false);
    rig_start(rig, features, 1, 256);
    for (unsigned i = 0; i < RIG_DISK_BYTES; i++)
        rig->disk.bytes[i] = (uint8_t)(i * 7 + i / 512);
}

OnDisk(virtio_blk, describes_the_disk)
{
    uint64_t capacity;
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_DeviceID), VIRTIO_ID_BLOCK);
    bus_read(rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Config, 8, &capacity);
    cr_expect_eq(capacity, RIG_DISK_BYTES / 512);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_Config + VIRTIO_BLK_CONFIG_seg_max), 254);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_Config + VIRTIO_BLK_CONFIG_blk_size), 512);
    cr_expect_eq(vdrv_offered(&rig->drv),
                 RING_FEATURES | FLUSH | VIRTIO_BIT(VIRTIO_F_VERSION_1) |
                     VIRTIO_BIT(VIRTIO_F_RING_RESET) | VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) |
                     VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) | VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) |
                     VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) | VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) |
                     VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES));
}

static uint64_t config_get(struct rig *rig, unsigned offset, unsigned bytes)
{
    uint8_t raw[8] = {0};
    vdrv_config_read(&rig->drv, offset, raw, bytes);
    return le64_get(raw);
}

#define CONFIG_IS(field, bytes, value) \
    cr_expect_eq(config_get(rig, VIRTIO_BLK_CONFIG_##field, bytes), value, #field)

OnDisk(virtio_blk, tells_what_suits_the_backend)
{
    CONFIG_IS(physical_block_exp, 1, 3);
    CONFIG_IS(alignment_offset, 1, 0);
    CONFIG_IS(min_io_size, 2, 8);
    CONFIG_IS(opt_io_size, 4, 128);
    CONFIG_IS(writeback, 1, 1);
    CONFIG_IS(num_queues, 2, 1);
    CONFIG_IS(max_discard_sectors, 4, 1 << 21);
    CONFIG_IS(max_discard_seg, 4, 32);
    CONFIG_IS(discard_sector_alignment, 4, 16);
    CONFIG_IS(max_write_zeroes_sectors, 4, 1 << 21);
    CONFIG_IS(max_write_zeroes_seg, 4, 32);
    CONFIG_IS(write_zeroes_may_unmap, 1, 1);
}

/* Numbers of blocks are in logical ones, sectors stay 512 bytes (VIRTIO 1.4 5.2.4). */
OnDisk(virtio_blk, tells_how_large_blocks_are, .logical_bytes = 4096)
{
    CONFIG_IS(capacity, 8, RIG_DISK_BYTES / 512);
    CONFIG_IS(blk_size, 4, 4096);
    CONFIG_IS(physical_block_exp, 1, 0);
    CONFIG_IS(min_io_size, 2, 1);
    CONFIG_IS(opt_io_size, 4, 16);
    CONFIG_IS(max_discard_sectors, 4, 1 << 21);
    CONFIG_IS(discard_sector_alignment, 4, 16);
    fake_blk_resize(&rig->disk, 5 * 4096 + 512);
    CONFIG_IS(capacity, 8, 40);
}

OnDisk(virtio_blk, nothing_that_is_discarded_is_smaller_than_a_block, .logical_bytes = 32768)
{
    CONFIG_IS(discard_sector_alignment, 4, 64);
}

#define OPTIONAL                                                            \
    (VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | \
     VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES) | VIRTIO_BIT(VIRTIO_BLK_F_MQ))

OnDisk(virtio_blk, offers_no_more_than_the_backend_can, .plain = true)
{
    cr_expect_eq(vdrv_offered(&rig->drv) & OPTIONAL, 0);
    for (unsigned at = VIRTIO_BLK_CONFIG_max_discard_sectors; at < VIRTIO_BLK_CONFIG_BYTES; at++)
        cr_expect_eq(config_get(rig, at, 1), 0, "byte %u", at);
}

OnDisk(virtio_blk, nothing_is_taken_off_a_disk_that_is_read_alone, .read_only = true)
{
    cr_expect_eq(vdrv_offered(&rig->drv) & OPTIONAL, VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY));
    CONFIG_IS(write_zeroes_may_unmap, 1, 0);
}

/* A request with header and status is never longer than the queue, nor than preadv() takes. */
Test(virtio_blk, seg_max_fits_the_queue)
{
    static const struct {
        uint32_t size, segments;
    } cases[] = {{1, 1},     {2, 1},      {4, 2},       {128, 126},
                 {256, 254}, {1000, 510}, {1024, 1022}, {32768, 1022}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig bench, *rig = &bench;
        rig_open_blk_on(rig, &(struct rig_config){.queue_size_max = cases[i].size});
        CONFIG_IS(seg_max, 4, cases[i].segments);
        rig_close(rig);
    }
}

OnRig(virtio_blk, reads, open_started(rig, FLUSH))
{
    uint32_t used;
    struct blkreq req = {.sector = 3, .bytes = 1536, .data_write = true};
    cr_expect_eq(blkreq_do(rig, &req, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 1537, "data and status");
    cr_expect_arr_eq((uint8_t *)blkreq_data(rig, &req), rig->disk.bytes + 1536, 1536);
    cr_expect_eq(fake_irq_take(&rig->irq), 1);
}

OnRig(virtio_blk, writes, open_started(rig, FLUSH))
{
    uint32_t used;
    struct blkreq req = {.type = VIRTIO_BLK_T_OUT, .sector = LAST_SECTOR, .bytes = 512};
    req.data_gpa = vdrv_alloc(&rig->drv, 512, 512);
    memset(blkreq_data(rig, &req), 0x5a, 512);
    cr_expect_eq(blkreq_do(rig, &req, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 1);
    cr_expect_arr_eq(rig->disk.bytes + LAST_SECTOR * 512, (uint8_t *)blkreq_data(rig, &req), 512);
    cr_expect_eq(rig->disk.flushes, 0);
}

/* Writes a pattern to sector 9 in buffers of at most `cut` bytes. */
static void write_cut(struct rig *rig, uint32_t cut, bool indirect)
{
    uint32_t used;
    struct blkreq out = {
        .type = VIRTIO_BLK_T_OUT, .sector = 9, .bytes = 512, .cut = cut, .indirect = indirect};
    out.data_gpa = vdrv_alloc(&rig->drv, 512, 512);
    for (unsigned i = 0; i < 512; i++)
        ((uint8_t *)blkreq_data(rig, &out))[i] = (uint8_t)(i ^ cut);
    cr_expect_eq(blkreq_do(rig, &out, &used), VIRTIO_BLK_S_OK, "cut %u", cut);
    cr_expect_eq(used, 1);
}

static void read_cut(struct rig *rig, uint32_t cut, bool indirect)
{
    uint32_t used;
    struct blkreq in = {
        .sector = 9, .bytes = 512, .cut = cut, .indirect = indirect, .data_write = true};
    cr_expect_eq(blkreq_do(rig, &in, &used), VIRTIO_BLK_S_OK, "cut %u", cut);
    cr_expect_eq(used, 513);
    for (unsigned i = 0; i < 512; i++)
        cr_assert_eq(((uint8_t *)blkreq_data(rig, &in))[i], (uint8_t)(i ^ cut));
}

/* Any cut of a request into buffers, direct and indirect, means the same. */
OnRig(virtio_blk, buffers_may_be_cut_anywhere, open_started(rig, FLUSH | RING_FEATURES))
{
    static const uint32_t cuts[] = {3, 5, 15, 16, 17, 100, 511, 512, 513};
    for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
        for (unsigned indirect = 0; indirect < 2; indirect++) {
            write_cut(rig, cuts[i], indirect);
            read_cut(rig, cuts[i], !indirect);
        }
}

/* Header and data in one buffer, data and status in another. */
OnRig(virtio_blk, header_and_status_share_buffers_with_data, open_started(rig, FLUSH))
{
    uint32_t head, used;
    uint64_t out = vdrv_alloc(&rig->drv, 16 + 512, 16), in = vdrv_alloc(&rig->drv, 513, 16);
    uint8_t *p = vdrv_ptr(&rig->drv, out, 528);
    le32_put(p, VIRTIO_BLK_T_OUT);
    le64_put(p + 8, 1);
    memset(p + 16, 0xab, 512);
    struct vdrv_buf write[] = {{out, 528, false}, {in, 1, true}};
    vdrv_send(&rig->drv.q[0], write, 2);
    rig_step(rig);
    cr_expect_arr_eq(rig->disk.bytes + 512, p + 16, 512);
    cr_assert(vdrv_used(&rig->drv.q[0], &head, &used));

    le32_put(p, VIRTIO_BLK_T_IN);
    struct vdrv_buf read[] = {{out, 16, false}, {in, 513, true}};
    memset(vdrv_ptr(&rig->drv, in, 513), 0xff, 513);
    vdrv_send(&rig->drv.q[0], read, 2);
    rig_step(rig);
    cr_assert(vdrv_used(&rig->drv.q[0], &head, &used));
    cr_expect_eq(used, 513);
    cr_expect_arr_eq((uint8_t *)vdrv_ptr(&rig->drv, in, 512), p + 16, 512);
    cr_expect_eq(*(uint8_t *)vdrv_ptr(&rig->drv, in + 512, 1), VIRTIO_BLK_S_OK);
}

OnRig(virtio_blk, flushes, open_started(rig, FLUSH))
{
    uint32_t used;
    struct blkreq req = {.type = VIRTIO_BLK_T_FLUSH};
    cr_expect_eq(blkreq_do(rig, &req, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 1);
    cr_expect_eq(rig->disk.flushes, 1);
}

OnRig(virtio_blk, without_flush_a_write_is_on_stable_storage, open_started(rig, 0))
{
    struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .bytes = 512};
    cr_expect_eq(blkreq_do(rig, &out, NULL), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig->disk.submitted, 2);
    cr_expect_eq(rig->disk.flushes, 1);
    struct blkreq in = {.bytes = 512, .data_write = true};
    cr_expect_eq(blkreq_do(rig, &in, NULL), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig->disk.flushes, 1);
}

OnRig(virtio_blk, tells_its_serial, open_started(rig, FLUSH))
{
    uint32_t used;
    struct blkreq req = {.type = VIRTIO_BLK_T_GET_ID, .bytes = 20, .data_write = true};
    cr_expect_eq(blkreq_do(rig, &req, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 21);
    cr_expect_arr_eq((char *)blkreq_data(rig, &req), "serial-0123456789abc", 20);
}

OnRig(virtio_blk, backend_errors_are_io_errors, open_started(rig, FLUSH))
{
    static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH};
    uint32_t used;
    rig->disk.fail = -EIO;
    for (unsigned i = 0; i < 3; i++) {
        struct blkreq req = {.type = types[i], .bytes = i < 2 ? 512 : 0, .data_write = i == 0};
        cr_expect_eq(blkreq_do(rig, &req, &used), VIRTIO_BLK_S_IOERR, "type %u", types[i]);
        cr_expect_eq(used, i == 0 ? 0 : 1, "a failed read has written nothing from the start on");
    }
}

OnDisk(virtio_blk, transfers_are_in_whole_blocks, .logical_bytes = 4096)
{
    static const struct {
        uint64_t sector;
        uint32_t bytes;
        uint8_t status;
    } cases[] = {{8, 4096, VIRTIO_BLK_S_OK},    {8, 512, VIRTIO_BLK_S_IOERR},
                 {1, 4096, VIRTIO_BLK_S_IOERR}, {12, 4096, VIRTIO_BLK_S_IOERR},
                 {8, 6144, VIRTIO_BLK_S_IOERR}, {16, 8192, VIRTIO_BLK_S_OK}};
    cr_assert(vdrv_start(&rig->drv, FLUSH, 1, 16));
    for (unsigned write = 0; write < 2; write++) {
        rig->disk.submitted = 0;
        for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct blkreq req = {.type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
                                 .sector = cases[i].sector,
                                 .bytes = cases[i].bytes,
                                 .data_write = !write};
            cr_expect_eq(blkreq_do(rig, &req, NULL), cases[i].status, "case %u", i);
        }
        cr_expect_eq(rig->disk.submitted, 2);
    }
}

/* Of bytes some of these sectors are on the disk again, modulo 2^64. */
OnDisk(virtio_blk, nothing_behind_the_end_reaches_the_disk)
{
    const uint64_t end = RIG_DISK_BYTES / 512;
    const uint64_t sectors[] = {
        end, end - 1, UINT64_C(1) << 55, (UINT64_C(1) << 55) + 8, UINT64_MAX, UINT64_MAX - 1};
    cr_assert(vdrv_start(&rig->drv, FLUSH, 1, 16));
    for (unsigned i = 0; i < 2 * sizeof(sectors) / sizeof(sectors[0]); i++) {
        struct blkreq req = {.type = i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
                             .sector = sectors[i / 2],
                             .bytes = 1024,
                             .data_write = i % 2 == 0};
        cr_expect_eq(blkreq_do(rig, &req, NULL), VIRTIO_BLK_S_IOERR, "case %u", i);
    }
    cr_expect_eq(rig->disk.submitted, 0);
}

OnRig(virtio_blk, an_empty_transfer_is_done_at_once, open_started(rig, FLUSH))
{
    struct blkreq req = {.type = VIRTIO_BLK_T_IN};
    cr_expect_eq(blkreq_do(rig, &req, NULL), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig->disk.submitted, 0);
}

OnDisk(virtio_blk, a_read_only_disk_says_so, .read_only = true)
{
    cr_expect(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_BLK_F_RO));
    cr_assert(vdrv_start(&rig->drv, FLUSH | VIRTIO_BIT(VIRTIO_BLK_F_RO), 1, 16));
    struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .bytes = 512};
    cr_expect_eq(blkreq_do(rig, &out, NULL), VIRTIO_BLK_S_IOERR);
    cr_expect_eq(rig->disk.submitted, 0);
    struct blkreq in = {.bytes = 512, .data_write = true};
    cr_expect_eq(blkreq_do(rig, &in, NULL), VIRTIO_BLK_S_OK);
}

OnRig(virtio_blk, many_requests_are_in_flight_at_once, open_started(rig, FLUSH | RING_FEATURES))
{
    struct blkreq reqs[80];
    uint32_t head, len;
    rig->disk.hold = true;
    for (unsigned i = 0; i < 80; i++) {
        reqs[i] = (struct blkreq){.sector = i, .bytes = 512, .data_write = true};
        cr_assert(blkreq_send(rig, &reqs[i]));
    }
    rig_step(rig);
    cr_expect_eq(rig->disk.out, 80);
    fake_blk_release(&rig->disk);
    rig_step(rig);
    for (unsigned i = 0; i < 80; i++) {
        cr_assert(vdrv_used(&rig->drv.q[0], &head, &len));
        cr_expect_eq(len, 513);
        cr_expect_arr_eq((uint8_t *)blkreq_data(rig, &reqs[i]), rig->disk.bytes + (size_t)i * 512,
                         512);
    }
}

OnRig(virtio_blk, reset_waits_for_requests_in_flight, open_started(rig, FLUSH))
{
    rig->disk.hold = true;
    for (unsigned i = 0; i < 10; i++) {
        struct blkreq req = {.type = i % 2, .bytes = 512, .data_write = i % 2 == 0};
        blkreq_send(rig, &req);
    }
    rig_step(rig);
    cr_expect_eq(rig->disk.out, 10);
    vdrv_reset(&rig->drv);
    cr_expect_eq(rig->disk.out, 0);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_Status), 0);
    rig->disk.hold = false;
    cr_assert(vdrv_start(&rig->drv, FLUSH, 1, 8));
    struct blkreq in = {.bytes = 512, .data_write = true};
    cr_expect_eq(blkreq_do(rig, &in, NULL), VIRTIO_BLK_S_OK);
}

OnDisk(virtio_blk, capacity_is_whole_sectors)
{
    struct virtio_blk *blk;
    struct blk_backend odd = {.ops = rig->disk.backend.ops, .info.capacity_bytes = 1023};
    struct virtio_setup setup = {.name = "odd", .loop = rig->loop, .gmem = rig->gmem};
    cr_assert_eq(virtio_blk_create(&blk, &setup, &(struct virtio_blk_config){.backend = &odd}), 0);
    cr_expect_eq(virtio_blk_device(blk)->cfg.config[0], 1);
    virtio_blk_destroy(blk);
}

/* ---- cache mode ---- */

static void set_writeback(struct rig *rig, uint8_t mode)
{
    vdrv_config_write(&rig->drv, VIRTIO_BLK_CONFIG_writeback, &mode, 1);
}

/* Flushes that a write brings with it. */
static unsigned flushes_of_a_write(struct rig *rig)
{
    unsigned before = rig->disk.flushes;
    struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .bytes = 512};
    cr_expect_eq(blkreq_do(rig, &out, NULL), VIRTIO_BLK_S_OK);
    return rig->disk.flushes - before;
}

OnEachRig(virtio_blk, the_driver_switches_the_cache, rig_open_blk_on(rig, on))
{
    cr_assert(vdrv_start(&rig->drv, FLUSH | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE), 1, 16));
    CONFIG_IS(writeback, 1, 1);
    cr_expect_eq(flushes_of_a_write(rig), 0);
    set_writeback(rig, 0);
    CONFIG_IS(writeback, 1, 0);
    cr_expect_eq(flushes_of_a_write(rig), 1);
    set_writeback(rig, 1);
    cr_expect_eq(flushes_of_a_write(rig), 0);
    set_writeback(rig, 0);
    vdrv_reset(&rig->drv);
    CONFIG_IS(writeback, 1, 1);
}

Test(virtio_blk, the_cache_mode_is_the_devices_without_config_wce)
{
    struct rig rig;
    open_started(&rig, FLUSH);
    set_writeback(&rig, 0);
    cr_expect_eq(flushes_of_a_write(&rig), 0);
    rig_close(&rig);
    open_started(&rig, 0);
    set_writeback(&rig, 1);
    cr_expect_eq(flushes_of_a_write(&rig), 1);
    rig_close(&rig);
}

OnDisk(virtio_blk, a_disk_may_be_without_a_cache_from_the_start, .write_through = true)
{
    CONFIG_IS(writeback, 1, 0);
    cr_assert(vdrv_start(&rig->drv, FLUSH, 1, 16));
    cr_expect_eq(flushes_of_a_write(rig), 1);
    cr_assert(vdrv_start(&rig->drv, FLUSH | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE), 1, 16));
    CONFIG_IS(writeback, 1, 0);
    set_writeback(rig, 1);
    cr_expect_eq(flushes_of_a_write(rig), 0);
}

/* ---- capacity ---- */

OnEachRig(virtio_blk, the_capacity_changes_at_run_time, rig_open_blk_on(rig, on))
{
    cr_assert(vdrv_start(&rig->drv, FLUSH, 1, 16));
    struct blkreq req = {.sector = LAST_SECTOR + 1, .bytes = 512, .data_write = true};
    cr_expect_eq(blkreq_do(rig, &req, NULL), VIRTIO_BLK_S_IOERR);
    fake_blk_resize(&rig->disk, RIG_DISK_BYTES + 1024);
    cr_expect_eq(rig_config_irqs(rig), 1);
    CONFIG_IS(capacity, 8, LAST_SECTOR + 3);
    cr_expect_eq(blkreq_do(rig, &req, NULL), VIRTIO_BLK_S_OK);
    fake_blk_resize(&rig->disk, 1024);
    CONFIG_IS(capacity, 8, 2);
    cr_expect_eq(blkreq_do(rig, &req, NULL), VIRTIO_BLK_S_IOERR);
}

OnDisk(virtio_blk, nobody_is_told_of_a_capacity_before_there_is_a_driver)
{
    fake_blk_resize(&rig->disk, 1024);
    cr_expect_eq(rig_config_irqs(rig), 0);
    CONFIG_IS(capacity, 8, 2);
    virtio_mmio_destroy(rig->mmio);
    virtio_blk_destroy(rig->blk);
    rig->mmio = NULL;
    rig->blk = NULL;
    cr_assert_null(rig->disk.backend.handler.on_resize);
    fake_blk_resize(&rig->disk, 2048); /* and none when the device has gone */
}

/* ---- many queues ---- */

#define QUEUES 4

static void open_queues(struct rig *rig, const struct rig_config *variant)
{
    struct rig_config config = *variant;
    config.queues = QUEUES;
    rig_open_blk_on(rig, &config);
    cr_assert(vdrv_start(&rig->drv,
                         FLUSH | VIRTIO_BIT(VIRTIO_BLK_F_MQ) | RING_FEATURES |
                             VIRTIO_BIT(VIRTIO_F_RING_RESET) | VIRTIO_BIT(VIRTIO_BLK_F_DISCARD),
                         QUEUES, 16));
    rig_step(rig);
    for (unsigned i = 0; i < RIG_DISK_BYTES; i++)
        rig->disk.bytes[i] = (uint8_t)(i * 7 + i / 512);
}

/* Reads the sector of that number by the queue. */
static struct blkreq read_on(unsigned queue, uint64_t sector)
{
    return (struct blkreq){.sector = sector, .bytes = 512, .data_write = true, .queue = queue};
}

static void expect_read(struct rig *rig, const struct blkreq *req)
{
    uint32_t head, len;
    cr_assert(vdrv_used(&rig->drv.q[req->queue], &head, &len), "queue %u", req->queue);
    cr_expect_eq(head, (uint32_t)req->head);
    cr_expect_eq(len, 513);
    cr_expect_eq(blkreq_status(rig, req), VIRTIO_BLK_S_OK);
    cr_expect_arr_eq((uint8_t *)blkreq_data(rig, req), rig->disk.bytes + req->sector * 512, 512);
}

OnEachRig(virtio_blk, queues_are_served_side_by_side, open_queues(rig, on))
{
    struct blkreq reqs[QUEUES * 3];
    cr_expect(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_BLK_F_MQ));
    CONFIG_IS(num_queues, 2, QUEUES);
    rig->disk.hold = true;
    for (unsigned i = 0; i < QUEUES * 3; i++) {
        reqs[i] = read_on(i % QUEUES, 100 - i);
        cr_assert(blkreq_send(rig, &reqs[i]));
    }
    rig_step(rig);
    cr_expect_eq(rig->disk.out, QUEUES * 3);
    fake_blk_release(&rig->disk);
    rig_step(rig);
    for (unsigned i = 0; i < QUEUES * 3; i++)
        expect_read(rig, &reqs[i]);
}

OnDisk(virtio_blk, too_many_queues_are_refused)
{
    struct virtio_blk *blk;
    struct virtio_setup setup = {.name = "many", .loop = rig->loop, .gmem = rig->gmem};
    cr_expect_eq(
        virtio_blk_create(&blk, &setup,
                          &(struct virtio_blk_config){.backend = &rig->disk.backend, .queues = 65}),
        -EINVAL);
}

/* The backend drops what is out when one queue is reset: the others' requests are not lost. */
OnEachRig(virtio_blk, the_reset_of_a_queue_takes_nothing_from_the_others, open_queues(rig, on))
{
    struct blkreq kept[QUEUES * 2], gone = read_on(1, 1);
    rig->disk.hold = true;
    rig->disk.drop = true;
    for (unsigned i = 0; i < QUEUES * 2; i++) {
        kept[i] = read_on(i % QUEUES, 50 + i);
        cr_assert(blkreq_send(rig, i % QUEUES == 1 ? &gone : &kept[i]));
    }
    rig_step(rig);
    cr_assert(vdrv_queue_reset(&rig->drv, 1));
    cr_expect_eq(rig->disk.dropped, QUEUES * 2);
    cr_expect_eq(rig->disk.out, 0);
    rig_step(rig);
    cr_expect_eq(rig->disk.out, (QUEUES - 1) * 2, "submitted again");
    fake_blk_release(&rig->disk);
    rig_step(rig);
    for (unsigned i = 0; i < QUEUES * 2; i++)
        if (i % QUEUES != 1)
            expect_read(rig, &kept[i]);
    /* And the queue that was reset works again. */
    vdrv_queue_set_up(&rig->drv, 1, 8);
    struct blkreq next = read_on(1, 3);
    cr_assert(blkreq_send(rig, &next));
    rig_step(rig);
    expect_read(rig, &next);
}

/* Two queues are reset one after the other, before the loop could submit anything again. */
OnRig(virtio_blk, what_waits_to_be_submitted_again_goes_with_its_queue,
      open_queues(rig, &rig_variants[0]))
{
    struct blkreq reqs[QUEUES];
    rig->disk.hold = true;
    rig->disk.drop = true;
    for (unsigned i = 0; i < QUEUES; i++) {
        reqs[i] = read_on(i, i);
        cr_assert(blkreq_send(rig, &reqs[i]));
    }
    rig_step(rig);
    cr_assert(vdrv_queue_reset(&rig->drv, QUEUES - 1)); /* the last of the list, */
    cr_assert(vdrv_queue_reset(&rig->drv, 0));          /* its first, */
    cr_assert(vdrv_queue_reset(&rig->drv, 2));          /* and now its last */
    /* And one comes on top of those that are left. */
    struct blkreq late = read_on(1, 9);
    cr_assert(blkreq_send(rig, &late));
    virtio_queue_serve(rig->dev, 1);
    cr_expect_eq(rig->disk.out, 1);
    vdrv_queue_set_up(&rig->drv, 2, 16);
    cr_assert(vdrv_queue_reset(&rig->drv, 2));
    rig_step(rig);
    cr_expect_eq(rig->disk.out, 2);
    fake_blk_release(&rig->disk);
    rig_step(rig);
    expect_read(rig, &reqs[1]);
    expect_read(rig, &late);
}

OnRig(virtio_blk, a_reset_submits_nothing_again, open_queues(rig, &rig_variants[0]))
{
    rig->disk.hold = true;
    rig->disk.drop = true;
    for (unsigned i = 0; i < QUEUES; i++) {
        struct blkreq req = read_on(i, i);
        cr_assert(blkreq_send(rig, &req));
    }
    rig_step(rig);
    vdrv_reset(&rig->drv);
    rig_step(rig);
    cr_expect_eq(rig->disk.submitted, QUEUES);
    cr_expect_eq(rig->disk.dropped, QUEUES);
}

/* Dropped, and when it comes again the disk has become too small for it. */
OnRig(virtio_blk, what_is_submitted_again_is_checked_again, open_queues(rig, &rig_variants[0]))
{
    struct blkreq req = read_on(0, LAST_SECTOR);
    rig->disk.hold = true;
    rig->disk.drop = true;
    cr_assert(blkreq_send(rig, &req));
    rig_step(rig);
    cr_assert(vdrv_queue_reset(&rig->drv, 1));
    fake_blk_resize(&rig->disk, 1024);
    rig_step(rig);
    cr_expect_eq(blkreq_status(rig, &req), VIRTIO_BLK_S_IOERR);
    cr_expect_eq(rig->disk.submitted, 1);
}
