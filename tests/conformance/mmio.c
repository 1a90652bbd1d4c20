// SPDX-License-Identifier: BSD-2-Clause
/* The virtio-mmio transport: VIRTIO 1.4 4.2. */
#include "conformance.h"

static void select_queue(struct rig *rig, unsigned queue)
{
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, queue);
}

/* MagicValue reads 0x74726976. */
RequirementOfAll(mmio_regs_1, MMIO | MMIO_LEGACY)
{
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_MagicValue) == 0x74726976);
}

/* Version reads 2. */
RequirementOfAll(mmio_regs_2, MMIO)
{
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_Version) == 2);
}

/* A bit of InterruptStatus stays set from its event until the driver acknowledges it. */
Requirement(mmio_regs_3, ECHO, MMIO)
{
    start(rig, RING_FEATURES, 8);
    send_one(rig, 0);
    virtio_device_config_changed(rig->dev);
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus) == 3);
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus) == 3);
    vdrv_set(&rig->drv, VIRTIO_MMIO_InterruptACK, VIRTIO_ISR_QUEUE);
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus) == VIRTIO_ISR_CONFIG);
    vdrv_set(&rig->drv, VIRTIO_MMIO_InterruptACK, VIRTIO_ISR_CONFIG);
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus) == 0);
}

/* Bits of InterruptStatus that have no event read 0. */
Requirement(mmio_regs_4, ECHO, MMIO)
{
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus) == 0);
    start(rig, 0, 8);
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus) == 0);
    send_one(rig, 0);
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus) == VIRTIO_ISR_QUEUE);
    vdrv_set(&rig->drv, VIRTIO_MMIO_InterruptACK, UINT32_MAX);
    virtio_device_config_changed(rig->dev);
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus) == VIRTIO_ISR_CONFIG);
}

/* A reset clears InterruptStatus and the QueueReady of all queues. */
Requirement(mmio_regs_5, ECHO, MMIO)
{
    start(rig, 0, 8);
    send_one(rig, 0);
    virtio_device_config_changed(rig->dev);
    demand(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus) == 3);
    vdrv_set(&rig->drv, VIRTIO_MMIO_Status, 0);
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus) == 0);
    for (unsigned queue = 0; queue < 2; queue++) {
        select_queue(rig, queue);
        expect(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReady) == 0);
    }
}

/* ConfigGeneration changes when a driver may see half of an old and half of a new configuration. */
Requirement(mmio_regs_6, CONSOLE, MMIO)
{
    start(rig, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 8);
    uint32_t before = vdrv_get(&rig->drv, VIRTIO_MMIO_ConfigGeneration);
    uint16_t size[2];
    vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_cols, &size[0], 2);
    const struct chr_handler *handler = rig->chr.backend.handler;
    handler->on_resize(handler->ctx, 132, 50);
    vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_rows, &size[1], 2);
    demand(size[0] == 80 && size[1] == 50); /* torn */
    expect(vdrv_get(&rig->drv, VIRTIO_MMIO_ConfigGeneration) != before);
}

/* The device does not access a queue whose QueueReady is 0. */
Requirement(mmio_regs_7, ECHO, MMIO)
{
    demand(vdrv_negotiate(&rig->drv, 0));
    vdrv_queue_alloc(&rig->drv, 0, 8);
    vdrv_queue_alloc(&rig->drv, 1, 8);
    vdrv_queue_write(&rig->drv, 0);
    vdrv_queue_write(&rig->drv, 1);
    select_queue(rig, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReady, 0);
    vdrv_driver_ok(&rig->drv);
    uint64_t gpa = send_one(rig, 0);
    expect(!has_used(rig, 0) && holds(rig, gpa, 4, 0xee));
    expect(serves(rig, 1));
    select_queue(rig, 1);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReady, 0);
    gpa = send_one(rig, 1);
    expect(!has_used(rig, 1) && holds(rig, gpa, 4, 0xee));
}
