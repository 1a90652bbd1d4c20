// SPDX-License-Identifier: BSD-2-Clause
/* The block device: VIRTIO 1.4 5.2. */
#include "conformance.h"

#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/harness/blkreq.h"
#include "virtio/blk/blk.h"

#define FLUSH        VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)
#define CONFIG_WCE   VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE)
#define DISCARD      VIRTIO_BIT(VIRTIO_BLK_F_DISCARD)
#define WRITE_ZEROES VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES)
#define UNMAP        VIRTIO_BLK_RANGE_F_UNMAP

enum { /* not offered */
       BLK_F_LIFETIME = 15,
       BLK_F_ZONED = 17,
       CONFIG_UNUSED0 = 33, /* a byte */
       CONFIG_UNUSED1 = 57, /* three */
};

static struct blkreq write_at(uint64_t sector)
{
    return (struct blkreq){
        .type = VIRTIO_BLK_T_OUT, .sector = sector, .bytes = 512, .data_gpa = 0x100000};
}

/* A DISCARD or WRITE_ZEROES of one range. Returns the status. */
static uint8_t do_range(struct rig *rig, uint32_t type, uint64_t sector, uint32_t sectors,
                        uint32_t flags)
{
    struct blkreq req = {.type = type, .bytes = VIRTIO_BLK_RANGE_BYTES};
    req.data_gpa = vdrv_alloc(&rig->drv, VIRTIO_BLK_RANGE_BYTES, 8);
    uint8_t *range = blkreq_data(rig, &req);
    le64_put(range + VIRTIO_BLK_RANGE_sector, sector);
    le32_put(range + VIRTIO_BLK_RANGE_num_sectors, sectors);
    le32_put(range + VIRTIO_BLK_RANGE_flags, flags);
    return blkreq_do(rig, &req, NULL);
}

static uint8_t writeback(struct rig *rig)
{
    uint8_t mode;
    vdrv_config_read(&rig->drv, VIRTIO_BLK_CONFIG_writeback, &mode, 1);
    return mode;
}

static void set_writeback(struct rig *rig, uint8_t mode)
{
    vdrv_config_write(&rig->drv, VIRTIO_BLK_CONFIG_writeback, &mode, 1);
}

/* The mode that a write finds: is it flushed? */
static bool writes_through(struct rig *rig)
{
    unsigned flushes = rig->disk.flushes;
    struct blkreq req = write_at(1);
    demand(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_OK);
    return rig->disk.flushes != flushes;
}

/* FLUSH is offered. */
Test(conformance, block_init_1)
{
    FOR_EACH_RIG(rig, BLK, EVERYWHERE)
    expect(vdrv_offered(&rig->drv) & FLUSH);
    FOR_EACH_RIG(rig, BLK_RO, EVERYWHERE)
    expect(vdrv_offered(&rig->drv) & FLUSH);
}

/* Where CONFIG_WCE is offered FLUSH is, and without FLUSH neither. */
Test(conformance, block_init_2)
{
    FOR_EACH_RIG(rig, BLK, EVERYWHERE)
    expect((vdrv_offered(&rig->drv) & (CONFIG_WCE | FLUSH)) == (CONFIG_WCE | FLUSH));
    FOR_EACH_RIG(rig, BLK, EVERYWHERE, .features_off = FLUSH)
    expect((vdrv_offered(&rig->drv) & (CONFIG_WCE | FLUSH)) == 0);
}

/* With CONFIG_WCE and without FLUSH writeback is 0 from FEATURES_OK on, until the driver says. */
Requirement(block_init_3, BLK, MODERN)
{
    for (unsigned i = 0; i < 2; i++) { /* and again after a reset that found it 1 */
        demand(vdrv_negotiate(&rig->drv, CONFIG_WCE));
        expect(writeback(rig) == 0);
        start(rig, CONFIG_WCE, 256);
        expect(writeback(rig) == 0 && writes_through(rig));
        set_writeback(rig, 1);
        expect(writeback(rig) == 1 && !writes_through(rig));
    }
}

/* The padding of the configuration space is 0. */
Requirement(block_init_4, BLK, EVERYWHERE)
{
    uint8_t pad[4], poison[4] = {0xff, 0xff, 0xff, 0xff};
    for (unsigned i = 0; i < 2; i++) {
        vdrv_config_read(&rig->drv, CONFIG_UNUSED0, pad, 1);
        vdrv_config_read(&rig->drv, CONFIG_UNUSED1, pad + 1, 3);
        expect((pad[0] | pad[1] | pad[2] | pad[3]) == 0);
        vdrv_config_write(&rig->drv, CONFIG_UNUSED0, poison, 1);
        vdrv_config_write(&rig->drv, CONFIG_UNUSED1, poison, 3);
    }
}

/* A device without zones does not offer ZONED. */
Requirement(block_init_5, BLK, MODERN)
{
    expect(!(vdrv_offered(&rig->drv) & VIRTIO_BIT(BLK_F_ZONED)));
}

/* A legacy device does not offer ZONED. */
Requirement(block_init_6, BLK, LEGACY)
{
    expect(!(vdrv_offered(&rig->drv) & VIRTIO_BIT(BLK_F_ZONED)));
}

/* Without FEATURES_OK in the way the features count that the legacy driver wrote. */
Requirement(block_init_legacy_1, BLK, LEGACY)
{
    for (unsigned flush = 0; flush < 2; flush++) {
        start(rig, flush ? FLUSH : 0, 256);
        expect(!(vdrv_status(&rig->drv) & VIRTIO_STATUS_FEATURES_OK));
        unsigned flushes = rig->disk.flushes;
        struct blkreq req = write_at(1);
        expect(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_OK);
        expect((rig->disk.flushes == flushes) == (flush == 1));
    }
}

static void step(struct rig *rig, uint32_t bit)
{
    vdrv_set_status(&rig->drv, vdrv_status(&rig->drv) | bit);
}

/* Up to a queue that is set up. */
static void legacy_start(struct rig *rig, uint64_t features)
{
    demand(vdrv_negotiate(&rig->drv, features));
    vdrv_queue_alloc(&rig->drv, 0, 256);
    vdrv_queue_write(&rig->drv, 0);
}

/* No step of the status alters the cache mode, but DRIVER_OK of a driver without CONFIG_WCE. */
Requirement(block_init_legacy_2, BLK, LEGACY)
{
    static const uint32_t steps[] = {VIRTIO_STATUS_ACKNOWLEDGE, VIRTIO_STATUS_DRIVER,
                                     VIRTIO_STATUS_FEATURES_OK};
    for (uint8_t mode = 0; mode < 2; mode++) {
        vdrv_reset(&rig->drv);
        set_writeback(rig, mode);
        for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
            step(rig, steps[i]);
            expect(writeback(rig) == mode);
        }
        legacy_start(rig, CONFIG_WCE);
        set_writeback(rig, mode);
        vdrv_driver_ok(&rig->drv);
        expect(writeback(rig) == mode && writes_through(rig) == (mode == 0));
        step(rig, VIRTIO_STATUS_FAILED);
        expect(writeback(rig) == mode);

        legacy_start(rig, mode == 0 ? FLUSH : 0);
        set_writeback(rig, mode);
        vdrv_driver_ok(&rig->drv);
        expect(writes_through(rig) == (mode == 1)); /* by FLUSH alone */
    }
}

/* No write of feature bits alters the cache mode. */
Requirement(block_init_legacy_3, BLK, LEGACY)
{
    static const uint64_t writes[] = {CONFIG_WCE, CONFIG_WCE | FLUSH, FLUSH, 0, CONFIG_WCE};
    for (uint8_t mode = 0; mode < 2; mode++) {
        vdrv_reset(&rig->drv);
        step(rig, VIRTIO_STATUS_ACKNOWLEDGE);
        step(rig, VIRTIO_STATUS_DRIVER);
        set_writeback(rig, mode);
        for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
            vdrv_accept(&rig->drv, 0, (uint32_t)writes[i]);
            expect(writeback(rig) == mode);
        }
    }
}

/* A new capacity is told by a notification, with a new generation of the configuration. */
Requirement(block_op_2, BLK, EVERYWHERE)
{
    static const uint64_t sizes[] = {RIG_DISK_BYTES * 2, RIG_DISK_BYTES / 2};
    start(rig, FLUSH, 256);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t capacity;
        bool counts = rig->drv.t->generation.bytes > 0;
        uint32_t generation = counts ? vdrv_generation(&rig->drv) : 0;
        fake_blk_resize(&rig->disk, sizes[i]);
        expect(heard(rig) == VIRTIO_ISR_CONFIG);
        expect(!counts || vdrv_generation(&rig->drv) != generation);
        vdrv_config_read(&rig->drv, VIRTIO_BLK_CONFIG_capacity, &capacity, 8);
        expect(capacity == sizes[i] / 512);
        struct blkreq req = write_at(capacity - 1);
        expect(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_OK);
        req = write_at(capacity);
        expect(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_IOERR);
        heard(rig);
    }
}

/* A write to a read-only disk is answered with IOERR, whether RO was negotiated or not. */
Requirement(block_op_3, BLK_RO, EVERYWHERE)
{
    demand(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_BLK_F_RO));
    for (unsigned ro = 0; ro < 2; ro++) {
        start(rig, ro ? VIRTIO_BIT(VIRTIO_BLK_F_RO) : 0, 256);
        struct blkreq req = write_at(1);
        expect(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_IOERR);
        req = (struct blkreq){.bytes = 512, .data_write = true};
        expect(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_OK);
    }
}

/* A write to a read-only disk stores nothing. */
Requirement(block_op_4, BLK_RO, EVERYWHERE)
{
    for (unsigned ro = 0; ro < 2; ro++) {
        start(rig, ro ? VIRTIO_BIT(VIRTIO_BLK_F_RO) : 0, 256);
        fill(rig, 0x100000, 512, 0xaa);
        memset(rig->disk.bytes, 0x11, 4096);
        for (uint64_t sector = 0; sector < 8; sector++) {
            struct blkreq req = write_at(sector);
            blkreq_do(rig, &req, NULL);
        }
        for (unsigned i = 0; i < 4096; i++)
            demand(rig->disk.bytes[i] == 0x11);
        expect(rig->disk.submitted == 0);
    }
}

/* Unknown flags are answered with UNSUPP, even if the range is wrong too, and nothing is done. */
Requirement(block_op_5, BLK, EVERYWHERE)
{
    start(rig, DISCARD | WRITE_ZEROES, 256);
    for (unsigned bit = 1; bit < 32; bit++) {
        uint32_t flag = UINT32_C(1) << bit;
        expect(do_range(rig, VIRTIO_BLK_T_DISCARD, 8, 8, flag) == VIRTIO_BLK_S_UNSUPP);
        expect(do_range(rig, VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, flag) == VIRTIO_BLK_S_UNSUPP);
        expect(do_range(rig, VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, flag | UNMAP) == VIRTIO_BLK_S_UNSUPP);
        expect(do_range(rig, VIRTIO_BLK_T_WRITE_ZEROES, UINT64_MAX, 8, flag) ==
               VIRTIO_BLK_S_UNSUPP);
    }
    expect(rig->disk.submitted == 0);
    expect(do_range(rig, VIRTIO_BLK_T_DISCARD, 8, 8, 0) == VIRTIO_BLK_S_OK);
    expect(do_range(rig, VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, UNMAP) == VIRTIO_BLK_S_OK);
}

/* A discard with the unmap flag is answered with UNSUPP. */
Requirement(block_op_6, BLK, EVERYWHERE)
{
    start(rig, DISCARD | WRITE_ZEROES, 256);
    expect(do_range(rig, VIRTIO_BLK_T_DISCARD, 8, 8, UNMAP) == VIRTIO_BLK_S_UNSUPP);
    expect(rig->disk.submitted == 0);
}

/* A range that was zeroed reads as zeroes, with and without unmap, and nothing else does. */
Requirement(block_op_9, BLK, EVERYWHERE)
{
    start(rig, WRITE_ZEROES, 256);
    for (uint32_t flags = 0; flags <= UNMAP; flags++) {
        memset(rig->disk.bytes, 0x11, 16384);
        expect(do_range(rig, VIRTIO_BLK_T_WRITE_ZEROES, 3, 5, flags) == VIRTIO_BLK_S_OK);
        struct blkreq req = {.bytes = 5120, .data_write = true};
        expect(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_OK);
        expect(holds(rig, req.data_gpa, 1536, 0x11));
        expect(holds(rig, req.data_gpa + 1536, 2560, 0));
        expect(holds(rig, req.data_gpa + 4096, 1024, 0x11));
    }
    expect(rig->disk.zeroes == 2 && rig->disk.unmaps == 1);
}

/* write_zeroes_may_unmap is 0 where zeroing frees nothing. */
Requirement(block_op_10, BLK, EVERYWHERE)
{
    for (unsigned i = 0; i < 2; i++) {
        struct virtio_blk *blk;
        struct blk_backend backend = {.ops = rig->disk.backend.ops, .info = rig->disk.backend.info};
        backend.info.can_discard = i == 1;
        struct virtio_setup setup = {.name = "second", .loop = rig->loop, .gmem = rig->gmem};
        int err = virtio_blk_create(&blk, &setup, &(struct virtio_blk_config){.backend = &backend});
        demand(err == 0);
        const struct virtio_device_config *cfg = &virtio_blk_device(blk)->cfg;
        expect(cfg->features & WRITE_ZEROES);
        expect(cfg->config[VIRTIO_BLK_CONFIG_write_zeroes_may_unmap] == i);
        virtio_blk_destroy(blk);
    }
}

/* A disk whose flushes wait until they are let through. */
static struct {
    const struct blk_backend_ops *real;
    struct blk_backend_ops ops;
    struct blk_req *flush;
} gate;

static void gate_submit(struct blk_backend *backend, struct blk_req *req)
{
    if (req->op == BLK_FLUSH)
        gate.flush = req;
    else
        gate.real->submit(backend, req);
}

static void gate_shut(struct rig *rig)
{
    gate.real = rig->disk.backend.ops;
    gate.ops = *gate.real;
    gate.ops.submit = gate_submit;
    gate.flush = NULL;
    rig->disk.backend.ops = &gate.ops;
}

static void gate_open(struct rig *rig)
{
    rig->disk.backend.ops = gate.real;
    gate.real->submit(&rig->disk.backend, gate.flush);
    rig_step(rig);
}

/* Without FLUSH a write, with FLUSH a flush ends when the data is on stable storage. */
Requirement(block_op_13, BLK, EVERYWHERE)
{
    start(rig, 0, 256);
    gate_shut(rig);
    struct blkreq req = write_at(1);
    demand(blkreq_send(rig, &req));
    rig_step(rig);
    demand(gate.flush != NULL); /* written, not stable */
    expect(blkreq_status(rig, &req) == BLKREQ_NO_STATUS && !has_used(rig, 0));
    gate_open(rig);
    expect(blkreq_status(rig, &req) == VIRTIO_BLK_S_OK && has_used(rig, 0));

    start(rig, FLUSH | CONFIG_WCE | WRITE_ZEROES, 256);
    set_writeback(rig, 0);
    gate_shut(rig);
    req = write_at(1);
    demand(blkreq_send(rig, &req));
    rig_step(rig);
    demand(gate.flush != NULL); /* by the mode that the driver chose */
    expect(blkreq_status(rig, &req) == BLKREQ_NO_STATUS && !has_used(rig, 0));
    gate_open(rig);
    expect(blkreq_status(rig, &req) == VIRTIO_BLK_S_OK && has_used(rig, 0));

    start(rig, FLUSH, 256);
    gate_shut(rig);
    req = write_at(1);
    demand(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_OK);
    struct blkreq flush = {.type = VIRTIO_BLK_T_FLUSH};
    demand(blkreq_send(rig, &flush));
    rig_step(rig);
    demand(gate.flush != NULL);
    expect(blkreq_status(rig, &flush) == BLKREQ_NO_STATUS && !has_used(rig, 0));
    gate_open(rig);
    expect(blkreq_status(rig, &flush) == VIRTIO_BLK_S_OK && has_used(rig, 0));
}

/* LIFETIME is not offered, for nothing is known of it. */
Requirement(block_op_16, BLK, EVERYWHERE)
{
    expect(!(vdrv_offered(&rig->drv) & VIRTIO_BIT(BLK_F_LIFETIME)));
}

/* Without ZONED all requests for zones are answered with UNSUPP. */
Requirement(block_op_18, BLK, EVERYWHERE)
{
    static const uint32_t types[] = {15, 16, 18, 20, 22, 24, 26};
    start(rig, 0, 256);
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        struct blkreq req = {.type = types[i]};
        expect(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_UNSUPP);
        req.bytes = 512;
        expect(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_UNSUPP);
        req.data_write = true;
        expect(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_UNSUPP);
    }
    expect(rig->disk.submitted == 0);
}

/* For legacy drivers the configuration is in the guest's byte order, which is ours. */
Requirement(block_config_legacy_1, BLK, LEGACY)
{
    uint64_t capacity;
    uint32_t block;
    vdrv_config_read(&rig->drv, VIRTIO_BLK_CONFIG_capacity, &capacity, 8);
    vdrv_config_read(&rig->drv, VIRTIO_BLK_CONFIG_blk_size, &block, 4);
    expect(capacity == RIG_DISK_BYTES / 512);
    expect(block == 512);
}

/* For legacy drivers requests are in the guest's byte order. */
Requirement(block_op_legacy_1, BLK, LEGACY)
{
    const struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header = {VIRTIO_BLK_T_OUT, 0, 0x203};
    start(rig, 0, 256);
    uint64_t gpa = vdrv_alloc(&rig->drv, 1024, 16);
    memcpy(vdrv_ptr(&rig->drv, gpa, 16), &header, 16);
    fill(rig, gpa + 16, 512, 0xaa);
    struct vdrv_buf bufs[] = {{gpa, 528, false}, {gpa + 1023, 1, true}};
    vdrv_send(&rig->drv.q[0], bufs, 2);
    rig_step(rig);
    demand(has_used(rig, 0));
    expect(*(uint8_t *)vdrv_ptr(&rig->drv, gpa + 1023, 1) == VIRTIO_BLK_S_OK);
    expect(rig->disk.bytes[0x203 * 512] == 0xaa && rig->disk.bytes[0x204 * 512 - 1] == 0xaa);
}
