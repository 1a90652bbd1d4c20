// SPDX-License-Identifier: BSD-2-Clause
/* The driver's way to a virtio-mmio window, VIRTIO 1.4 4.2.2 and 4.2.4. */
#include <stddef.h>

#include "core/ports/bus.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

#define LEGACY_PAGE_BYTES 4096u

/* How often a queue's reset is looked after before it is given up. */
#define RESET_LOOKS 1000000u

uint32_t vdrv_get(struct vdrv *d, uint64_t reg)
{
    uint64_t value = 0;
    bus_read(d->bus, d->base_gpa + reg, 4, &value);
    return (uint32_t)value;
}

void vdrv_set(struct vdrv *d, uint64_t reg, uint32_t value)
{
    bus_write(d->bus, d->base_gpa + reg, 4, value);
}

/* ---- both versions ---- */

static uint32_t mmio_status(struct vdrv *d)
{
    return vdrv_get(d, VIRTIO_MMIO_Status);
}

static void mmio_set_status(struct vdrv *d, uint32_t value)
{
    vdrv_set(d, VIRTIO_MMIO_Status, value);
}

static uint32_t mmio_features(struct vdrv *d, uint32_t word)
{
    vdrv_set(d, VIRTIO_MMIO_DeviceFeaturesSel, word);
    return vdrv_get(d, VIRTIO_MMIO_DeviceFeatures);
}

static void mmio_accept(struct vdrv *d, uint32_t word, uint32_t value)
{
    vdrv_set(d, VIRTIO_MMIO_DriverFeaturesSel, word);
    vdrv_set(d, VIRTIO_MMIO_DriverFeatures, value);
}

static uint32_t mmio_queue_size_max(struct vdrv *d, uint32_t queue)
{
    vdrv_set(d, VIRTIO_MMIO_QueueSel, queue);
    return vdrv_get(d, VIRTIO_MMIO_QueueSizeMax);
}

static void mmio_notify(struct vdrv *d, const struct vdrv_queue *q, uint32_t value)
{
    (void)q;
    vdrv_set(d, VIRTIO_MMIO_QueueNotify, value);
}

static uint32_t mmio_take_isr(struct vdrv *d)
{
    uint32_t isr = vdrv_get(d, VIRTIO_MMIO_InterruptStatus);
    vdrv_set(d, VIRTIO_MMIO_InterruptACK, isr);
    return isr;
}

static uint64_t mmio_config_gpa(struct vdrv *d)
{
    return d->base_gpa + VIRTIO_MMIO_Config;
}

/* ---- version 2 ---- */

static void set64(struct vdrv *d, uint64_t low_reg, uint64_t value)
{
    vdrv_set(d, low_reg, (uint32_t)value);
    vdrv_set(d, low_reg + 4, (uint32_t)(value >> 32));
}

static uint64_t get64(struct vdrv *d, uint64_t low_reg)
{
    return vdrv_get(d, low_reg) | (uint64_t)vdrv_get(d, low_reg + 4) << 32;
}

static void mmio_queue_write(struct vdrv *d, struct vdrv_queue *q)
{
    vdrv_set(d, VIRTIO_MMIO_QueueSel, q->index);
    vdrv_set(d, VIRTIO_MMIO_QueueSize, q->size);
    set64(d, VIRTIO_MMIO_QueueDescLow, q->desc_gpa);
    set64(d, VIRTIO_MMIO_QueueDriverLow, q->avail_gpa);
    set64(d, VIRTIO_MMIO_QueueDeviceLow, q->used_gpa);
    vdrv_set(d, VIRTIO_MMIO_QueueReady, 1);
}

static bool mmio_queue_ready(struct vdrv *d, uint32_t queue)
{
    vdrv_set(d, VIRTIO_MMIO_QueueSel, queue);
    return vdrv_get(d, VIRTIO_MMIO_QueueReady) == 1;
}

static void mmio_queue_stop(struct vdrv *d, uint32_t queue)
{
    vdrv_set(d, VIRTIO_MMIO_QueueSel, queue);
    vdrv_set(d, VIRTIO_MMIO_QueueReady, 0);
    (void)vdrv_get(d, VIRTIO_MMIO_QueueReady); /* VIRTIO 1.4 4.2.2.2 */
}

static bool mmio_queue_reset(struct vdrv *d, uint32_t queue)
{
    vdrv_set(d, VIRTIO_MMIO_QueueSel, queue);
    vdrv_set(d, VIRTIO_MMIO_QueueReset, 1);
    for (unsigned i = 0; i < RESET_LOOKS; i++) {
        if (vdrv_get(d, VIRTIO_MMIO_QueueReset) == 0)
            return !mmio_queue_ready(d, queue);
        vdrv_wait(d);
    }
    return false;
}

static uint32_t mmio_generation(struct vdrv *d)
{
    return vdrv_get(d, VIRTIO_MMIO_ConfigGeneration);
}

static bool mmio_shm(struct vdrv *d, uint8_t id, uint64_t *gpa, uint64_t *bytes)
{
    vdrv_set(d, VIRTIO_MMIO_SHMSel, id);
    *bytes = get64(d, VIRTIO_MMIO_SHMLenLow);
    *gpa = get64(d, VIRTIO_MMIO_SHMBaseLow);
    return *bytes != UINT64_MAX;
}

static const struct vdrv_transport mmio = {
    .name = "mmio",
    .status = mmio_status,
    .set_status = mmio_set_status,
    .features = mmio_features,
    .accept = mmio_accept,
    .queue_size_max = mmio_queue_size_max,
    .queue_write = mmio_queue_write,
    .queue_ready = mmio_queue_ready,
    .queue_stop = mmio_queue_stop,
    .queue_reset = mmio_queue_reset,
    .notify = mmio_notify,
    .take_isr = mmio_take_isr,
    .generation = mmio_generation,
    .config_gpa = mmio_config_gpa,
    .shm = mmio_shm,
};

void vdrv_init(struct vdrv *d, const struct gmem *gmem, struct bus *bus, uint64_t base_gpa)
{
    vdrv_init_memory(d, gmem, bus);
    d->t = &mmio;
    d->base_gpa = base_gpa;
    if (bus == NULL)
        return;
    (void)vdrv_get(d, VIRTIO_MMIO_MagicValue); /* VIRTIO 1.4 4.2.3.1.1 */
    (void)vdrv_get(d, VIRTIO_MMIO_Version);
    (void)vdrv_get(d, VIRTIO_MMIO_DeviceID);
}

/* ---- version 1 ---- */

static void legacy_ready_to_start(struct vdrv *d)
{
    vdrv_set(d, VIRTIO_MMIO_LEGACY_GuestPageSize, LEGACY_PAGE_BYTES);
}

static void legacy_queue_write(struct vdrv *d, struct vdrv_queue *q)
{
    vdrv_set(d, VIRTIO_MMIO_QueueSel, q->index);
    vdrv_set(d, VIRTIO_MMIO_QueueSize, q->size);
    vdrv_set(d, VIRTIO_MMIO_LEGACY_QueueAlign, LEGACY_PAGE_BYTES);
    vdrv_set(d, VIRTIO_MMIO_LEGACY_QueuePFN, (uint32_t)(q->desc_gpa / LEGACY_PAGE_BYTES));
}

static bool legacy_queue_ready(struct vdrv *d, uint32_t queue)
{
    vdrv_set(d, VIRTIO_MMIO_QueueSel, queue);
    return vdrv_get(d, VIRTIO_MMIO_LEGACY_QueuePFN) != 0;
}

static void legacy_queue_stop(struct vdrv *d, uint32_t queue)
{
    vdrv_set(d, VIRTIO_MMIO_QueueSel, queue);
    vdrv_set(d, VIRTIO_MMIO_LEGACY_QueuePFN, 0);
}

static const struct vdrv_transport mmio_legacy = {
    .name = "mmio legacy",
    .legacy = true,
    .status = mmio_status,
    .set_status = mmio_set_status,
    .features = mmio_features,
    .accept = mmio_accept,
    .ready_to_start = legacy_ready_to_start,
    .queue_size_max = mmio_queue_size_max,
    .queue_write = legacy_queue_write,
    .queue_ready = legacy_queue_ready,
    .queue_stop = legacy_queue_stop,
    .notify = mmio_notify,
    .take_isr = mmio_take_isr,
    .config_gpa = mmio_config_gpa,
};

void vdrv_init_mmio_legacy(struct vdrv *d, const struct gmem *gmem, struct bus *bus,
                           uint64_t base_gpa)
{
    vdrv_init(d, gmem, bus, base_gpa);
    d->t = &mmio_legacy;
}
