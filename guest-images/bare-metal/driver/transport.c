// SPDX-License-Identifier: BSD-2-Clause
#include "driver/transport.h"

#include "driver/ring.h"
#include "rt.h"
#include "virtio/spec.h"

/* Minivet has a window each 4 KiB from VIRTIO_GPA on, QEMU's microvm each 512 bytes. */
#define WINDOW_BYTES 0x200u
#define WINDOWS      256u
#define STRIDE_BYTES 0x1000u /* Minivet's */

uint64_t transport_find(uint32_t device_id)
{
    for (unsigned i = 0; i < WINDOWS; i++) {
        uint64_t gpa = VIRTIO_GPA + (uint64_t)i * WINDOW_BYTES;
        if (mmio_read32(gpa + VIRTIO_MMIO_MagicValue) == VIRTIO_MMIO_MAGIC &&
            mmio_read32(gpa + VIRTIO_MMIO_Version) == VIRTIO_MMIO_VERSION &&
            mmio_read32(gpa + VIRTIO_MMIO_DeviceID) == device_id)
            return gpa;
    }
    return 0;
}

/* VIRTIO 1.4 3.1.1, steps 1 to 6. */
uint64_t transport_negotiate(uint64_t base, uint64_t wanted)
{
    uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
    uint64_t taken = 0;
    mmio_write32(base + VIRTIO_MMIO_Status, 0);
    while (mmio_read32(base + VIRTIO_MMIO_Status) != 0)
        pause();
    mmio_write32(base + VIRTIO_MMIO_Status, status);
    for (unsigned half = 0; half < 2; half++) {
        mmio_write32(base + VIRTIO_MMIO_DeviceFeaturesSel, half);
        uint32_t offered = mmio_read32(base + VIRTIO_MMIO_DeviceFeatures);
        uint32_t take = offered & (uint32_t)(wanted >> (32 * half));
        mmio_write32(base + VIRTIO_MMIO_DriverFeaturesSel, half);
        mmio_write32(base + VIRTIO_MMIO_DriverFeatures, take);
        taken |= (uint64_t)take << (32 * half);
    }
    mmio_write32(base + VIRTIO_MMIO_Status, status | VIRTIO_STATUS_FEATURES_OK);
    CHECK(mmio_read32(base + VIRTIO_MMIO_Status) & VIRTIO_STATUS_FEATURES_OK);
    return taken;
}

uint32_t transport_queue_max(uint64_t base, unsigned queue)
{
    mmio_write32(base + VIRTIO_MMIO_QueueSel, queue);
    return mmio_read32(base + VIRTIO_MMIO_QueueSizeMax);
}

static void put_address(uint64_t reg_gpa, const void *area)
{
    mmio_write32(reg_gpa, (uint32_t)(uintptr_t)area);
    mmio_write32(reg_gpa + 4, (uint32_t)((uintptr_t)area >> 32));
}

void transport_queue(uint64_t base, unsigned queue, const struct ring *ring)
{
    mmio_write32(base + VIRTIO_MMIO_QueueSel, queue);
    mmio_write32(base + VIRTIO_MMIO_QueueSize, ring->ring.size);
    put_address(base + VIRTIO_MMIO_QueueDescLow, ring->memory->descs);
    put_address(base + VIRTIO_MMIO_QueueDriverLow, ring->memory->driver);
    put_address(base + VIRTIO_MMIO_QueueDeviceLow, ring->memory->device);
    mmio_write32(base + VIRTIO_MMIO_QueueReady, 1);
}

void transport_start(uint64_t base)
{
    mmio_write32(base + VIRTIO_MMIO_Status, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                                VIRTIO_STATUS_FEATURES_OK |
                                                VIRTIO_STATUS_DRIVER_OK);
}

uint64_t transport_config64(uint64_t base, unsigned offset)
{
    uint64_t config = base + VIRTIO_MMIO_Config + offset;
    return mmio_read32(config) | (uint64_t)mmio_read32(config + 4) << 32;
}

void transport_kick(uint64_t base, unsigned queue)
{
    mmio_write32(base + VIRTIO_MMIO_QueueNotify, queue);
}

unsigned transport_irq(uint64_t base)
{
    return virtio_irq((unsigned)((base - VIRTIO_GPA) / STRIDE_BYTES));
}

void transport_irq_ack(uint64_t base)
{
    mmio_write32(base + VIRTIO_MMIO_InterruptACK, mmio_read32(base + VIRTIO_MMIO_InterruptStatus));
}
