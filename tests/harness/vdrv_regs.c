// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the driver does by registers, and where the transports have them: VIRTIO 1.4 4.1.4.3,
 * 4.1.4.10, 4.2.2 and 4.2.4.
 */
#include <stddef.h>

#include "core/base/fail.h"
#include "core/ports/bus.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

#define LEGACY_PAGE_BYTES 4096u

/* How often a reset is looked after before it is given up. */
#define RESET_LOOKS 1000000u

/* ---- where they are ---- */

#define MMIO(word)            \
    {                         \
        VIRTIO_MMIO_##word, 4 \
    }
#define COMMON(word, bytes)             \
    {                                   \
        VIRTIO_PCI_COMMON_##word, bytes \
    }
#define PORT(word, bytes)               \
    {                                   \
        VIRTIO_PCI_LEGACY_##word, bytes \
    }

#define MMIO_BOTH                                                                   \
    .status = MMIO(Status), .device_sel = MMIO(DeviceFeaturesSel),                  \
    .device_features = MMIO(DeviceFeatures), .driver_sel = MMIO(DriverFeaturesSel), \
    .driver_features = MMIO(DriverFeatures), .isr = MMIO(InterruptStatus),          \
    .isr_ack = MMIO(InterruptACK), .queue_sel = MMIO(QueueSel),                     \
    .queue_size_max = MMIO(QueueSizeMax), .queue_size = MMIO(QueueSize),            \
    .notify = MMIO(QueueNotify), .config = VIRTIO_MMIO_Config

static const struct vdrv_transport mmio = {
    MMIO_BOTH,
    .name = "mmio",
    .generation = MMIO(ConfigGeneration),
    .desc = MMIO(QueueDescLow),
    .driver = MMIO(QueueDriverLow),
    .device = MMIO(QueueDeviceLow),
    .queue_ready = MMIO(QueueReady),
    .queue_reset = MMIO(QueueReset),
    .shm_sel = MMIO(SHMSel),
    .shm_bytes = MMIO(SHMLenLow),
    .shm_base = MMIO(SHMBaseLow),
};

static const struct vdrv_transport mmio_legacy = {
    MMIO_BOTH,
    .name = "mmio legacy",
    .legacy = true,
    .page_bytes = MMIO(LEGACY_GuestPageSize),
    .queue_align = MMIO(LEGACY_QueueAlign),
    .queue_ready = MMIO(LEGACY_QueuePFN),
};

const struct vdrv_transport vdrv_pci_modern = {
    .name = "pci",
    .late_reset = true,
    .status = COMMON(device_status, 1),
    .device_sel = COMMON(device_feature_select, 4),
    .device_features = COMMON(device_feature, 4),
    .driver_sel = COMMON(driver_feature_select, 4),
    .driver_features = COMMON(driver_feature, 4),
    .config_vector = COMMON(config_msix_vector, 2),
    .generation = COMMON(config_generation, 1),
    .queue_sel = COMMON(queue_select, 2),
    .queue_size_max = COMMON(queue_size, 2),
    .queue_size = COMMON(queue_size, 2),
    .queue_vector = COMMON(queue_msix_vector, 2),
    .desc = COMMON(queue_desc, 4),
    .driver = COMMON(queue_driver, 4),
    .device = COMMON(queue_device, 4),
    .queue_ready = COMMON(queue_enable, 2),
    .queue_reset = COMMON(queue_reset, 2),
};

const struct vdrv_transport vdrv_pci_legacy = {
    .name = "pci legacy",
    .legacy = true,
    .fixed_size = true,
    .status = PORT(device_status, 1),
    .device_features = PORT(device_features, 4),
    .driver_features = PORT(driver_features, 4),
    .config_vector = PORT(config_msix_vector, 2),
    .isr = PORT(isr_status, 1),
    .queue_sel = PORT(queue_select, 2),
    .queue_size_max = PORT(queue_size, 2),
    .queue_vector = PORT(queue_msix_vector, 2),
    .queue_ready = PORT(queue_address, 4),
    .notify = PORT(queue_notify, 2),
    .config = VIRTIO_PCI_LEGACY_config,
};

static uint64_t base_of(const struct vdrv *d)
{
    if (d->pci.func == NULL)
        return d->base_gpa;
    return d->t->legacy ? d->pci.bar_gpa[0] : d->pci.common;
}

uint64_t vdrv_read(struct vdrv *d, struct vdrv_reg reg)
{
    uint64_t value = 0;
    bus_read(d->regs, base_of(d) + reg.at, reg.bytes, &value);
    return value;
}

void vdrv_write(struct vdrv *d, struct vdrv_reg reg, uint64_t value)
{
    bus_write(d->regs, base_of(d) + reg.at, reg.bytes, value);
}

/* In two halves. */
static uint64_t get64(struct vdrv *d, struct vdrv_reg reg)
{
    return vdrv_read(d, reg) | vdrv_read(d, (struct vdrv_reg){reg.at + 4, 4}) << 32;
}

static void set64(struct vdrv *d, struct vdrv_reg reg, uint64_t value)
{
    vdrv_write(d, reg, (uint32_t)value);
    vdrv_write(d, (struct vdrv_reg){reg.at + 4, 4}, value >> 32);
}

/* ---- a virtio-mmio window ---- */

uint32_t vdrv_get(struct vdrv *d, uint64_t reg)
{
    return (uint32_t)vdrv_read(d, (struct vdrv_reg){(uint16_t)reg, 4});
}

void vdrv_set(struct vdrv *d, uint64_t reg, uint32_t value)
{
    vdrv_write(d, (struct vdrv_reg){(uint16_t)reg, 4}, value);
}

static void init_mmio(struct vdrv *d, const struct gmem *gmem, struct bus *bus, uint64_t base_gpa,
                      const struct vdrv_transport *t)
{
    vdrv_init_memory(d, gmem, bus);
    d->t = t;
    d->regs = bus;
    d->base_gpa = base_gpa;
    if (bus == NULL)
        return;
    (void)vdrv_get(d, VIRTIO_MMIO_MagicValue); /* VIRTIO 1.4 4.2.3.1.1 */
    (void)vdrv_get(d, VIRTIO_MMIO_Version);
    (void)vdrv_get(d, VIRTIO_MMIO_DeviceID);
}

void vdrv_init(struct vdrv *d, const struct gmem *gmem, struct bus *bus, uint64_t base_gpa)
{
    init_mmio(d, gmem, bus, base_gpa, &mmio);
}

void vdrv_init_mmio_legacy(struct vdrv *d, const struct gmem *gmem, struct bus *bus,
                           uint64_t base_gpa)
{
    init_mmio(d, gmem, bus, base_gpa, &mmio_legacy);
}

/* ---- the device ---- */

uint32_t vdrv_status(struct vdrv *d)
{
    return (uint32_t)vdrv_read(d, d->t->status);
}

/* VIRTIO 1.4 4.1.4.3.2. */
void vdrv_write_status(struct vdrv *d, uint32_t value)
{
    bool waits = value == 0 && d->t->late_reset;
    vdrv_write(d, d->t->status, value);
    for (unsigned i = 0; waits && i < RESET_LOOKS && vdrv_status(d) != 0; i++)
        vdrv_wait(d);
}

uint32_t vdrv_features(struct vdrv *d, uint32_t word)
{
    if (d->t->device_sel.bytes == 0)
        return word == 0 ? (uint32_t)vdrv_read(d, d->t->device_features) : 0;
    vdrv_write(d, d->t->device_sel, word);
    return (uint32_t)vdrv_read(d, d->t->device_features);
}

uint64_t vdrv_offered(struct vdrv *d)
{
    uint64_t low = vdrv_features(d, 0);
    return d->t->legacy ? low : low | (uint64_t)vdrv_features(d, 1) << 32;
}

void vdrv_accept(struct vdrv *d, uint32_t word, uint32_t value)
{
    if (d->t->driver_sel.bytes > 0)
        vdrv_write(d, d->t->driver_sel, word);
    if (d->t->driver_sel.bytes > 0 || word == 0)
        vdrv_write(d, d->t->driver_features, value);
}

void vdrv_ready_to_start(struct vdrv *d)
{
    if (d->t->page_bytes.bytes > 0)
        vdrv_write(d, d->t->page_bytes, LEGACY_PAGE_BYTES);
    if (!d->pci.msix)
        return;
    vdrv_write(d, d->t->config_vector, 0);
    BUG_ON(vdrv_read(d, d->t->config_vector) != 0);
}

uint32_t vdrv_take_isr(struct vdrv *d)
{
    uint64_t isr = 0;
    if (d->t->isr.bytes > 0)
        isr = vdrv_read(d, d->t->isr);
    else
        bus_read(d->bus, d->pci.isr, 1, &isr);
    if (d->t->isr_ack.bytes > 0)
        vdrv_write(d, d->t->isr_ack, isr);
    return (uint32_t)isr;
}

uint32_t vdrv_generation(struct vdrv *d)
{
    return (uint32_t)vdrv_read(d, d->t->generation);
}

uint64_t vdrv_config_gpa(const struct vdrv *d)
{
    if (d->t->config == 0)
        return d->pci.config;
    return base_of(d) + d->t->config + (d->pci.msix ? 4 : 0);
}

void vdrv_config_read(struct vdrv *d, unsigned offset, void *dst, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        uint64_t value = 0;
        bus_read(d->regs, vdrv_config_gpa(d) + offset + i, 1, &value);
        ((uint8_t *)dst)[i] = (uint8_t)value;
    }
}

void vdrv_config_write(struct vdrv *d, unsigned offset, const void *src, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        bus_write(d->regs, vdrv_config_gpa(d) + offset + i, 1, ((const uint8_t *)src)[i]);
}

bool vdrv_shm(struct vdrv *d, uint8_t id, uint64_t *gpa, uint64_t *bytes)
{
    if (d->t->legacy)
        return false;
    if (d->t->shm_sel.bytes == 0)
        return vdrv_pci_shm(d, id, gpa, bytes);
    vdrv_write(d, d->t->shm_sel, id);
    *bytes = get64(d, d->t->shm_bytes);
    *gpa = get64(d, d->t->shm_base);
    return *bytes != UINT64_MAX;
}

/* ---- queues ---- */

uint32_t vdrv_queue_size_max(struct vdrv *d, uint32_t queue)
{
    vdrv_write(d, d->t->queue_sel, queue);
    return (uint32_t)vdrv_read(d, d->t->queue_size_max);
}

bool vdrv_queue_ready(struct vdrv *d, uint32_t queue)
{
    vdrv_write(d, d->t->queue_sel, queue);
    uint64_t ready = vdrv_read(d, d->t->queue_ready);
    return d->t->legacy ? ready != 0 : ready == 1;
}

void vdrv_write_queue(struct vdrv *d, const struct vdrv_queue *q)
{
    const struct vdrv_transport *t = d->t;
    vdrv_write(d, t->queue_sel, q->index);
    if (!t->fixed_size)
        vdrv_write(d, t->queue_size, q->size);
    if (d->pci.msix)
        vdrv_write(d, t->queue_vector, q->index + 1);
    if (d->pci.msix && !t->legacy)
        (void)vdrv_read(d, t->queue_vector); /* VIRTIO 1.4 4.1.5.1.2.2 */
    if (t->queue_align.bytes > 0)
        vdrv_write(d, t->queue_align, LEGACY_PAGE_BYTES);
    if (!t->legacy) {
        set64(d, t->desc, q->desc_gpa);
        set64(d, t->driver, q->avail_gpa);
        set64(d, t->device, q->used_gpa);
    }
    vdrv_write(d, t->queue_ready, t->legacy ? q->desc_gpa / LEGACY_PAGE_BYTES : 1);
}

bool vdrv_reset_queue(struct vdrv *d, uint32_t queue)
{
    vdrv_write(d, d->t->queue_sel, queue);
    vdrv_write(d, d->t->queue_reset, 1);
    for (unsigned i = 0; i < RESET_LOOKS; i++) {
        if (vdrv_read(d, d->t->queue_reset) == 0)
            return !vdrv_queue_ready(d, queue);
        vdrv_wait(d);
    }
    return false;
}

/* Where a PCI function's queue is notified, and what it is called there: VIRTIO 1.4 4.1.4.4,
 * 4.1.5.2. */
void vdrv_find_notify(struct vdrv *d, struct vdrv_queue *q)
{
    if (d->t->notify.bytes > 0)
        return;
    vdrv_write(d, d->t->queue_sel, q->index);
    uint64_t off = vdrv_read(d, (struct vdrv_reg)COMMON(queue_notify_off, 2));
    q->notify_gpa = d->pci.notify + off * d->pci.notify_multiplier;
    if (d->features & VIRTIO_BIT(VIRTIO_F_NOTIF_CONFIG_DATA))
        q->notify_id = (uint16_t)vdrv_read(d, (struct vdrv_reg)COMMON(queue_notif_config_data, 2));
}

void vdrv_notify_value(struct vdrv_queue *q, uint32_t value)
{
    struct vdrv *d = q->drv;
    bool data = (d->features & VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA)) != 0;
    if (d->t->notify.bytes > 0)
        vdrv_write(d, d->t->notify, value);
    else
        bus_write(d->bus, q->notify_gpa, data ? 4 : 2, value);
}
