// SPDX-License-Identifier: BSD-2-Clause
/* The block device: each request type, streams of bytes, what comes from its backend. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#include "core/bus.h"
#include "core/le.h"
#include "tests/harness/blkreq.h"
#include "tests/harness/rig.h"
#include "virtio/blk.h"
#include "virtio/spec.h"

#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
#define FLUSH         VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)
#define LAST_SECTOR   (RIG_DISK_BYTES / 512 - 1)

static void open_started(struct rig *rig, uint64_t features)
{
    rig_open_blk(rig, false);
    cr_assert(vdrv_start(&rig->drv, features, 1, 256));
    rig_step(rig);
    for (unsigned i = 0; i < RIG_DISK_BYTES; i++)
        rig->disk.bytes[i] = (uint8_t)(i * 7 + i / 512);
}

Test(virtio_blk, describes_the_disk)
{
    struct rig rig;
    uint64_t capacity;
    rig_open_blk(&rig, false);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_DeviceID), VIRTIO_ID_BLOCK);
    bus_read(rig.bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Config, 8, &capacity);
    cr_expect_eq(capacity, RIG_DISK_BYTES / 512);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_Config + VIRTIO_BLK_CONFIG_seg_max), 254);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_Config + VIRTIO_BLK_CONFIG_blk_size), 512);
    cr_expect_eq(vdrv_offered(&rig.drv), RING_FEATURES | FLUSH | VIRTIO_BIT(VIRTIO_F_VERSION_1) |
                                             VIRTIO_BIT(VIRTIO_F_RING_RESET) |
                                             VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) |
                                             VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE));
    rig_close(&rig);
}

Test(virtio_blk, reads)
{
    struct rig rig;
    uint32_t used;
    open_started(&rig, FLUSH);
    struct blkreq req = {.sector = 3, .bytes = 1536, .data_write = true};
    cr_expect_eq(blkreq_do(&rig, &req, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 1537, "data and status");
    cr_expect_arr_eq((uint8_t *)blkreq_data(&rig, &req), rig.disk.bytes + 1536, 1536);
    cr_expect_eq(fake_irq_take(&rig.irq), 1);
    rig_close(&rig);
}

Test(virtio_blk, writes)
{
    struct rig rig;
    uint32_t used;
    open_started(&rig, FLUSH);
    struct blkreq req = {.type = VIRTIO_BLK_T_OUT, .sector = LAST_SECTOR, .bytes = 512};
    req.data_gpa = vdrv_alloc(&rig.drv, 512, 512);
    memset(blkreq_data(&rig, &req), 0x5a, 512);
    cr_expect_eq(blkreq_do(&rig, &req, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 1);
    cr_expect_arr_eq(rig.disk.bytes + LAST_SECTOR * 512, (uint8_t *)blkreq_data(&rig, &req), 512);
    cr_expect_eq(rig.disk.flushes, 0);
    rig_close(&rig);
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
Test(virtio_blk, buffers_may_be_cut_anywhere)
{
    static const uint32_t cuts[] = {3, 5, 15, 16, 17, 100, 511, 512, 513};
    struct rig rig;
    open_started(&rig, FLUSH | RING_FEATURES);
    for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
        for (unsigned indirect = 0; indirect < 2; indirect++) {
            write_cut(&rig, cuts[i], indirect);
            read_cut(&rig, cuts[i], !indirect);
        }
    rig_close(&rig);
}

/* Header and data in one buffer, data and status in another. */
Test(virtio_blk, header_and_status_share_buffers_with_data)
{
    struct rig rig;
    uint32_t head, used;
    open_started(&rig, FLUSH);
    uint64_t out = vdrv_alloc(&rig.drv, 16 + 512, 16), in = vdrv_alloc(&rig.drv, 513, 16);
    uint8_t *p = vdrv_ptr(&rig.drv, out, 528);
    le32_put(p, VIRTIO_BLK_T_OUT);
    le64_put(p + 8, 1);
    memset(p + 16, 0xab, 512);
    struct vdrv_buf write[] = {{out, 528, false}, {in, 1, true}};
    vdrv_send(&rig.drv.q[0], write, 2);
    rig_step(&rig);
    cr_expect_arr_eq(rig.disk.bytes + 512, p + 16, 512);
    cr_assert(vdrv_used(&rig.drv.q[0], &head, &used));

    le32_put(p, VIRTIO_BLK_T_IN);
    struct vdrv_buf read[] = {{out, 16, false}, {in, 513, true}};
    memset(vdrv_ptr(&rig.drv, in, 513), 0xff, 513);
    vdrv_send(&rig.drv.q[0], read, 2);
    rig_step(&rig);
    cr_assert(vdrv_used(&rig.drv.q[0], &head, &used));
    cr_expect_eq(used, 513);
    cr_expect_arr_eq((uint8_t *)vdrv_ptr(&rig.drv, in, 512), p + 16, 512);
    cr_expect_eq(*(uint8_t *)vdrv_ptr(&rig.drv, in + 512, 1), VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

Test(virtio_blk, flushes)
{
    struct rig rig;
    uint32_t used;
    open_started(&rig, FLUSH);
    struct blkreq req = {.type = VIRTIO_BLK_T_FLUSH};
    cr_expect_eq(blkreq_do(&rig, &req, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 1);
    cr_expect_eq(rig.disk.flushes, 1);
    rig_close(&rig);
}

Test(virtio_blk, without_flush_a_write_is_on_stable_storage)
{
    struct rig rig;
    open_started(&rig, 0);
    struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .bytes = 512};
    cr_expect_eq(blkreq_do(&rig, &out, NULL), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig.disk.submitted, 2);
    cr_expect_eq(rig.disk.flushes, 1);
    struct blkreq in = {.bytes = 512, .data_write = true};
    cr_expect_eq(blkreq_do(&rig, &in, NULL), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig.disk.flushes, 1);
    rig_close(&rig);
}

Test(virtio_blk, tells_its_serial)
{
    struct rig rig;
    uint32_t used;
    open_started(&rig, FLUSH);
    struct blkreq req = {.type = VIRTIO_BLK_T_GET_ID, .bytes = 20, .data_write = true};
    cr_expect_eq(blkreq_do(&rig, &req, &used), VIRTIO_BLK_S_OK);
    cr_expect_eq(used, 21);
    cr_expect_arr_eq((char *)blkreq_data(&rig, &req), "serial-0123456789abc", 20);
    rig_close(&rig);
}

Test(virtio_blk, backend_errors_are_io_errors)
{
    static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH};
    struct rig rig;
    uint32_t used;
    open_started(&rig, FLUSH);
    rig.disk.fail = -EIO;
    for (unsigned i = 0; i < 3; i++) {
        struct blkreq req = {.type = types[i], .bytes = i < 2 ? 512 : 0, .data_write = i == 0};
        cr_expect_eq(blkreq_do(&rig, &req, &used), VIRTIO_BLK_S_IOERR, "type %u", types[i]);
        cr_expect_eq(used, i == 0 ? 0 : 1, "a failed read has written nothing from the start on");
    }
    rig_close(&rig);
}

Test(virtio_blk, an_empty_transfer_is_done_at_once)
{
    struct rig rig;
    open_started(&rig, FLUSH);
    struct blkreq req = {.type = VIRTIO_BLK_T_IN};
    cr_expect_eq(blkreq_do(&rig, &req, NULL), VIRTIO_BLK_S_OK);
    cr_expect_eq(rig.disk.submitted, 0);
    rig_close(&rig);
}

Test(virtio_blk, a_read_only_disk_says_so)
{
    struct rig rig;
    rig_open_blk(&rig, true);
    cr_expect(vdrv_offered(&rig.drv) & VIRTIO_BIT(VIRTIO_BLK_F_RO));
    cr_assert(vdrv_start(&rig.drv, FLUSH | VIRTIO_BIT(VIRTIO_BLK_F_RO), 1, 16));
    struct blkreq out = {.type = VIRTIO_BLK_T_OUT, .bytes = 512};
    cr_expect_eq(blkreq_do(&rig, &out, NULL), VIRTIO_BLK_S_IOERR);
    cr_expect_eq(rig.disk.submitted, 0);
    struct blkreq in = {.bytes = 512, .data_write = true};
    cr_expect_eq(blkreq_do(&rig, &in, NULL), VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

Test(virtio_blk, many_requests_are_in_flight_at_once)
{
    struct rig rig;
    struct blkreq reqs[80];
    uint32_t head, len;
    open_started(&rig, FLUSH | RING_FEATURES);
    rig.disk.hold = true;
    for (unsigned i = 0; i < 80; i++) {
        reqs[i] = (struct blkreq){.sector = i, .bytes = 512, .data_write = true};
        cr_assert(blkreq_send(&rig, &reqs[i]));
    }
    rig_step(&rig);
    cr_expect_eq(rig.disk.out, 80);
    fake_blk_release(&rig.disk);
    rig_step(&rig);
    for (unsigned i = 0; i < 80; i++) {
        cr_assert(vdrv_used(&rig.drv.q[0], &head, &len));
        cr_expect_eq(len, 513);
        cr_expect_arr_eq((uint8_t *)blkreq_data(&rig, &reqs[i]), rig.disk.bytes + (size_t)i * 512,
                         512);
    }
    rig_close(&rig);
}

Test(virtio_blk, reset_waits_for_requests_in_flight)
{
    struct rig rig;
    open_started(&rig, FLUSH);
    rig.disk.hold = true;
    for (unsigned i = 0; i < 10; i++) {
        struct blkreq req = {.type = i % 2, .bytes = 512, .data_write = i % 2 == 0};
        blkreq_send(&rig, &req);
    }
    rig_step(&rig);
    cr_expect_eq(rig.disk.out, 10);
    vdrv_reset(&rig.drv);
    cr_expect_eq(rig.disk.out, 0);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_Status), 0);
    rig.disk.hold = false;
    cr_assert(vdrv_start(&rig.drv, FLUSH, 1, 8));
    struct blkreq in = {.bytes = 512, .data_write = true};
    cr_expect_eq(blkreq_do(&rig, &in, NULL), VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

Test(virtio_blk, capacity_is_whole_sectors)
{
    struct rig rig;
    struct virtio_blk *blk;
    rig_open_blk(&rig, false);
    struct blk_backend odd = {.ops = rig.disk.backend.ops, .info.capacity_bytes = 1023};
    cr_assert_eq(virtio_blk_create(&blk, &(struct virtio_blk_config){.name = "odd",
                                                                     .loop = rig.loop,
                                                                     .gmem = rig.gmem,
                                                                     .backend = &odd}),
                 0);
    cr_expect_eq(virtio_blk_device(blk)->cfg.config[0], 1);
    virtio_blk_destroy(blk);
    rig_close(&rig);
}
