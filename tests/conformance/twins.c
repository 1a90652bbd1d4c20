// SPDX-License-Identifier: BSD-2-Clause
/* Requirements that the specification has once for each ring, or for each transport. */
#include "conformance.h"

#include "core/base/le.h"

/* ---- the split ring, VIRTIO 1.4 2.7.5, and the packed one, 2.8.5 ---- */

/* Device-readable buffers are not written. */
static void readable_buffers_stay(unsigned where)
{
    FOR_EACH_RIG(rig, ECHO, where)
    {
        start(rig, RING_FEATURES, 8);
        uint64_t gpa = vdrv_alloc(&rig->drv, 64, 16);
        struct vdrv_buf bufs[] = {
            {gpa, 8, false}, {gpa + 16, 8, false}, {gpa + 32, 8, true}, {gpa + 48, 8, true}};
        fill(rig, gpa, 64, 0x55);
        demand(vdrv_add(&rig->drv.q[0], bufs, 4) >= 0);
        demand(vdrv_add_indirect(&rig->drv.q[0], bufs, 4) >= 0);
        vdrv_kick(&rig->drv.q[0]);
        rig_step(rig);
        demand(has_used(rig, 0));
        expect(holds(rig, gpa, 32, 0x55));
    }
    FOR_EACH_RIG(rig, RNG, where)
    { /* it writes, and is given nothing that it may write */
        start(rig, 0, 8);
        uint64_t gpa = vdrv_alloc(&rig->drv, 64, 16);
        struct vdrv_buf bufs[] = {{gpa, 32, false}, {gpa + 32, 32, false}};
        fill(rig, gpa, 64, 0x55);
        vdrv_send(&rig->drv.q[0], bufs, 2);
        rig_step(rig);
        expect(holds(rig, gpa, 64, 0x55));
    }
}

Test(conformance, split_desc_1)
{
    readable_buffers_stay(SPLIT);
}

Test(conformance, packed_desc_1)
{
    readable_buffers_stay(PACKED);
}

/* Device-writable buffers are not read: a request in one is none. */
static void writable_buffers_are_not_read(struct rig *rig)
{
    start(rig, 0, 8);
    uint64_t gpa = vdrv_alloc(&rig->drv, 64, 16);
    le32_put(vdrv_ptr(&rig->drv, gpa, 4), VIRTIO_BLK_T_GET_ID);
    fill(rig, gpa + 32, 32, 0xee);
    struct vdrv_buf bufs[] = {{gpa, 16, true}, {gpa + 32, 20, true}, {gpa + 63, 1, true}};
    vdrv_send(&rig->drv.q[0], bufs, 3);
    rig_step(rig);
    demand(has_used(rig, 0));
    expect(*(uint8_t *)vdrv_ptr(&rig->drv, gpa + 63, 1) == VIRTIO_BLK_S_IOERR);
    expect(holds(rig, gpa + 32, 20, 0xee));
}

RequirementBy(split_desc_2, BLK, SPLIT, writable_buffers_are_not_read);
RequirementBy(packed_desc_2, BLK, PACKED, writable_buffers_are_not_read);

/* ---- virtio-mmio's QueueReset, 4.2.2.1, and virtio-pci's queue_reset, 4.1.4.3.1 ---- */

static uint64_t queue_get(struct rig *rig, unsigned queue, struct vdrv_reg reg)
{
    vdrv_write(&rig->drv, rig->drv.t->queue_sel, queue);
    return vdrv_read(&rig->drv, reg);
}

static void reset_selected(struct rig *rig, unsigned queue)
{
    vdrv_write(&rig->drv, rig->drv.t->queue_sel, queue);
    vdrv_write(&rig->drv, rig->drv.t->queue_reset, 1);
}

/* It is 0 after a reset of the device. */
static void zero_after_a_reset(struct rig *rig)
{
    start(rig, RING_RESET, 8);
    reset_selected(rig, 1);
    vdrv_write(&rig->drv, rig->drv.t->status, 0);
    expect(queue_get(rig, 0, rig->drv.t->queue_reset) == 0);
    expect(queue_get(rig, 1, rig->drv.t->queue_reset) == 0);
}

RequirementBy(mmio_regs_8, ECHO, MMIO, zero_after_a_reset);
RequirementBy(pci_common_9, ECHO, PCI, zero_after_a_reset);

/* It is 0 when the queue is ready again. */
static void zero_when_ready(struct rig *rig)
{
    start(rig, RING_RESET, 8);
    reset_selected(rig, 1);
    vdrv_queue_alloc(&rig->drv, 1, 8);
    vdrv_queue_write(&rig->drv, 1);
    demand(queue_get(rig, 1, rig->drv.t->queue_ready) == 1);
    expect(queue_get(rig, 1, rig->drv.t->queue_reset) == 0);
    expect(serves(rig, 1));
}

RequirementBy(mmio_regs_9, ECHO, MMIO, zero_when_ready);
RequirementBy(pci_common_10, ECHO, PCI, zero_when_ready);

/* Writing 1 resets the queue that is selected, and no other. */
static void one_queue_is_reset(struct rig *rig)
{
    start(rig, RING_RESET, 8);
    demand(serves(rig, 0) && serves(rig, 1));
    reset_selected(rig, 1);
    send_one(rig, 1);
    expect(!has_used(rig, 1));
    expect(serves(rig, 0));
}

RequirementBy(mmio_regs_10, ECHO, MMIO, one_queue_is_reset);
RequirementBy(pci_common_11, ECHO, PCI, one_queue_is_reset);

static uint64_t read_queue_reset(struct rig *rig)
{
    return vdrv_read(&rig->drv, rig->drv.t->queue_reset);
}

/* It reads 1 while the reset is under way. */
static void one_meanwhile(struct rig *rig)
{
    start(rig, RING_RESET, 8);
    vdrv_write(&rig->drv, rig->drv.t->queue_sel, 0);
    watch_drain(rig, read_queue_reset);
    vdrv_write(&rig->drv, rig->drv.t->queue_reset, 1);
    expect(watched_all_ones(rig));
    expect(read_queue_reset(rig) == 0);
}

RequirementBy(mmio_regs_11, BLK, MMIO, one_meanwhile);
RequirementBy(pci_common_12, BLK, PCI, one_meanwhile);

/* It is 0 when the reset of the queue is done, and so is QueueReady or queue_enable. */
static void zero_when_done(struct rig *rig)
{
    start(rig, RING_RESET, 8);
    demand(queue_get(rig, 0, rig->drv.t->queue_ready) == 1);
    reset_selected(rig, 0);
    rig_step(rig);
    expect(queue_get(rig, 0, rig->drv.t->queue_reset) == 0);
    expect(queue_get(rig, 0, rig->drv.t->queue_ready) == 0);
}

RequirementBy(mmio_regs_12, ECHO, MMIO, zero_when_done);
RequirementBy(pci_common_13, ECHO, PCI, zero_when_done);
