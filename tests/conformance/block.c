// SPDX-License-Identifier: BSD-2-Clause
/* The block device: VIRTIO 1.4 5.2. */
#include "conformance.h"

#include <string.h>

#include "core/xmath.h"
#include "tests/harness/blkreq.h"

#define FLUSH VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)

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

/* FLUSH is offered. */
Test(conformance, block_init_1)
{
    FOR_EACH_RIG(rig, BLK, EVERYWHERE)
    expect(vdrv_offered(&rig->drv) & FLUSH);
    FOR_EACH_RIG(rig, BLK_RO, EVERYWHERE)
    expect(vdrv_offered(&rig->drv) & FLUSH);
}

/* The padding of the configuration space is 0. */
Test(conformance, block_init_4)
{
    FOR_EACH_RIG(rig, BLK, EVERYWHERE)
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
}

/* A device without zones does not offer ZONED. */
Test(conformance, block_init_5)
{
    FOR_EACH_RIG(rig, BLK, MODERN)
    expect(!(vdrv_offered(&rig->drv) & VIRTIO_BIT(BLK_F_ZONED)));
}

/* A legacy device does not offer ZONED. */
Test(conformance, block_init_6)
{
    FOR_EACH_RIG(rig, BLK, LEGACY)
    expect(!(vdrv_offered(&rig->drv) & VIRTIO_BIT(BLK_F_ZONED)));
}

/* Without FEATURES_OK in the way the features count that the legacy driver wrote. */
Test(conformance, block_init_legacy_1)
{
    FOR_EACH_RIG(rig, BLK, LEGACY)
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
}

/* A write to a read-only disk is answered with IOERR, whether RO was negotiated or not. */
Test(conformance, block_op_3)
{
    FOR_EACH_RIG(rig, BLK_RO, EVERYWHERE)
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
}

/* A write to a read-only disk stores nothing. */
Test(conformance, block_op_4)
{
    FOR_EACH_RIG(rig, BLK_RO, EVERYWHERE)
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
Test(conformance, block_op_13)
{
    FOR_EACH_RIG(rig, BLK, EVERYWHERE)
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
}

/* LIFETIME is not offered, for nothing is known of it. */
Test(conformance, block_op_16)
{
    FOR_EACH_RIG(rig, BLK, EVERYWHERE)
    expect(!(vdrv_offered(&rig->drv) & VIRTIO_BIT(BLK_F_LIFETIME)));
}

/* Without ZONED all requests for zones are answered with UNSUPP. */
Test(conformance, block_op_18)
{
    static const uint32_t types[] = {15, 16, 18, 20, 22, 24, 26};
    FOR_EACH_RIG(rig, BLK, EVERYWHERE)
    {
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
}

/* For legacy drivers the configuration is in the guest's byte order, which is ours. */
Test(conformance, block_config_legacy_1)
{
    FOR_EACH_RIG(rig, BLK, LEGACY)
    {
        uint64_t capacity;
        uint32_t block;
        vdrv_config_read(&rig->drv, VIRTIO_BLK_CONFIG_capacity, &capacity, 8);
        vdrv_config_read(&rig->drv, VIRTIO_BLK_CONFIG_blk_size, &block, 4);
        expect(capacity == RIG_DISK_BYTES / 512);
        expect(block == 512);
    }
}

/* For legacy drivers requests are in the guest's byte order. */
Test(conformance, block_op_legacy_1)
{
    FOR_EACH_RIG(rig, BLK, LEGACY)
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
}
