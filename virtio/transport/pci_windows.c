// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the BARs of the virtio-pci transport show: registers, configuration space, notifications,
 * shared memory; and the window to them in PCI configuration space.
 */
#include <stdatomic.h>

#include "core/base/xmath.h"
#include "virtio/base/observer.h"
#include "virtio/base/shm.h"
#include "virtio/spec.h"
#include "virtio/transport/pci_impl.h"

/* ---- the configuration space ---- */

static uint64_t config_read(struct virtio_pci *p, uint64_t offset, unsigned width)
{
    pthread_mutex_lock(&p->lock);
    uint64_t value = virtio_device_config_read(p->dev, offset, width);
    pthread_mutex_unlock(&p->lock);
    return value;
}

static void config_write(struct virtio_pci *p, uint64_t offset, unsigned width, uint64_t value)
{
    pthread_mutex_lock(&p->lock);
    virtio_device_config_write(p->dev, offset, width, value);
    pthread_mutex_unlock(&p->lock);
}

/* ---- BAR 4 ---- */

/* Which queue is meant the address says; with NOTIFICATION_DATA so does what is written. */
static void notify(struct virtio_pci *p, uint64_t offset, uint64_t value)
{
    uint64_t queue = offset / VIRTIO_PCI_NOTIFY_MULTIPLIER;
    if (!is_aligned(offset, VIRTIO_PCI_NOTIFY_MULTIPLIER) || queue >= p->dev->cfg.queue_count)
        return;
    bool data = atomic_load(&p->dev->notify_data);
    virtio_device_notified(p->dev, data ? (uint32_t)value : (uint32_t)queue);
}

static uint64_t structure_read(struct virtio_pci *p, unsigned type, uint64_t offset, unsigned width)
{
    switch (type) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        return virtio_pci_register_read(p, false, offset, width);
    case VIRTIO_PCI_CAP_ISR_CFG:
        return offset == 0 ? virtio_pci_take_isr(p) : 0;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        return config_read(p, offset, width);
    default: /* a doorbell has nothing to say */
        return 0;
    }
}

static void structure_write(struct virtio_pci *p, unsigned type, uint64_t offset, unsigned width,
                            uint64_t value)
{
    switch (type) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        virtio_pci_register_write(p, false, offset, width, value);
        break;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        config_write(p, offset, width, value);
        break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        notify(p, offset, value);
        break;
    default: /* the ISR status is read-only */
        break;
    }
}

/* By page. */
static const uint8_t structures[] = {
    [VIRTIO_PCI_AT_COMMON / VIRTIO_PCI_PAGE_BYTES] = VIRTIO_PCI_CAP_COMMON_CFG,
    [VIRTIO_PCI_AT_ISR / VIRTIO_PCI_PAGE_BYTES] = VIRTIO_PCI_CAP_ISR_CFG,
    [VIRTIO_PCI_AT_CONFIG / VIRTIO_PCI_PAGE_BYTES] = VIRTIO_PCI_CAP_DEVICE_CFG,
    [VIRTIO_PCI_AT_NOTIFY / VIRTIO_PCI_PAGE_BYTES] = VIRTIO_PCI_CAP_NOTIFY_CFG,
};

static uint64_t registers_read(void *dev, uint64_t offset, unsigned width)
{
    struct virtio_pci *p = dev;
    unsigned type = structures[offset / VIRTIO_PCI_PAGE_BYTES];
    uint64_t within = offset % VIRTIO_PCI_PAGE_BYTES;
    uint64_t value = structure_read(p, type, within, width);
    virtio_observe_access(p->dev, type, false, within, width, value);
    return value;
}

static void registers_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_pci *p = dev;
    unsigned type = structures[offset / VIRTIO_PCI_PAGE_BYTES];
    uint64_t within = offset % VIRTIO_PCI_PAGE_BYTES;
    virtio_observe_access(p->dev, type, true, within, width, value);
    structure_write(p, type, within, width, value);
}

const struct bus_ops virtio_pci_registers_ops = {
    .read = registers_read,
    .write = registers_write,
};

/* ---- BAR 0 ---- */

static unsigned legacy_header_bytes(const struct virtio_pci *p)
{
    bool vectors = msix_enabled(p->msix);
    return vectors ? VIRTIO_PCI_LEGACY_queue_msix_vector + 2u : VIRTIO_PCI_LEGACY_config;
}

uint64_t virtio_pci_legacy_bytes(const struct virtio_device *dev)
{
    return VIRTIO_PCI_LEGACY_queue_msix_vector + 2u + dev->cfg.config_bytes;
}

/* Such a driver kicks when it likes, and the first kick may start the device. */
static void legacy_notify(struct virtio_pci *p, uint32_t queue)
{
    pthread_mutex_lock(&p->lock);
    if (p->dev->legacy) {
        virtio_device_legacy_kick(p->dev, queue);
        virtio_pci_bells_update(p);
    }
    pthread_mutex_unlock(&p->lock);
}

static uint64_t legacy_read(void *dev, uint64_t offset, unsigned width)
{
    struct virtio_pci *p = dev;
    unsigned header = legacy_header_bytes(p);
    if (offset >= header)
        return config_read(p, offset - header, width);
    if (offset == VIRTIO_PCI_LEGACY_isr_status && width == 1)
        return virtio_pci_take_isr(p);
    return virtio_pci_register_read(p, true, offset, width);
}

static void legacy_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_pci *p = dev;
    unsigned header = legacy_header_bytes(p);
    if (offset >= header)
        config_write(p, offset - header, width, value);
    else if (offset == VIRTIO_PCI_LEGACY_queue_notify && width == 2)
        legacy_notify(p, (uint32_t)value);
    else
        virtio_pci_register_write(p, true, offset, width, value);
}

const struct bus_ops virtio_pci_legacy_ops = {.read = legacy_read, .write = legacy_write};

/* ---- shared memory: BAR 2 ---- */

static const struct virtio_shm *shm_at(struct virtio_pci *p, uint64_t *offset, unsigned width)
{
    for (unsigned i = 0; i < p->dev->cfg.shm_count; i++) {
        const struct virtio_shm *shm = &p->dev->cfg.shm[i];
        if (!range_within(*offset, width, p->shm_offset[i], shm->bytes))
            continue;
        *offset -= p->shm_offset[i];
        return shm;
    }
    return NULL;
}

static uint64_t shm_read(void *dev, uint64_t offset, unsigned width)
{
    const struct virtio_shm *shm = shm_at(dev, &offset, width);
    return shm != NULL ? virtio_shm_ops.read((void *)shm, offset, width) : UINT64_MAX;
}

static void shm_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    const struct virtio_shm *shm = shm_at(dev, &offset, width);
    if (shm != NULL)
        virtio_shm_ops.write((void *)shm, offset, width, value);
}

const struct bus_ops virtio_pci_shm_ops = {.read = shm_read, .write = shm_write};

/* ---- the window in configuration space (VIRTIO 1.4 4.1.4.9), under the function's lock ---- */

/*
 * The BAR that it looks at, and where; NULL if the guest has set it to nothing possible. The access
 * goes to the BAR's handlers whether the BAR has an address or not: that is what the window is for.
 * It cannot reach itself, since no BAR shows configuration space.
 */
static const struct pci_bar_config *find_target(struct virtio_pci *p, uint32_t *offset,
                                                unsigned *width)
{
    uint32_t bar = pci_func_get(&p->func, p->access_cap + VIRTIO_PCI_CAP_bar, 1);
    uint32_t bytes = pci_func_get(&p->func, p->access_cap + VIRTIO_PCI_CAP_length, 4);
    *offset = pci_func_get(&p->func, p->access_cap + VIRTIO_PCI_CAP_offset, 4);
    if (bar >= PCI_BARS || (bytes != 1 && bytes != 2 && bytes != 4))
        return NULL;
    *width = bytes;
    const struct pci_bar_config *target = &p->func.bars[bar].cfg;
    bool inside = range_within(*offset, bytes, 0, target->bytes);
    return inside && is_aligned(*offset, bytes) && (target->widths & bytes) ? target : NULL;
}

static const struct pci_bar_config *access_target(struct virtio_pci *p, uint32_t *offset,
                                                  unsigned *width)
{
    const struct pci_bar_config *target = find_target(p, offset, width);
    uint32_t bytes = pci_func_get(&p->func, p->access_cap + VIRTIO_PCI_CAP_length, 4);
    if (target == NULL && bytes != 0) /* who has not set it up reads all of configuration space */
        virtio_observe(p->dev, VIRTIO_ON_BAD_WINDOW, NULL, NULL, *offset);
    return target;
}

void virtio_pci_access_read(struct virtio_pci *p)
{
    uint32_t at, value = UINT32_MAX;
    unsigned width = 4;
    const struct pci_bar_config *target = access_target(p, &at, &width);
    if (target != NULL)
        value = (uint32_t)target->ops->read(target->dev, at, width);
    pci_func_put(&p->func, p->access_cap + VIRTIO_PCI_CFG_CAP_data, width, value);
}

void virtio_pci_access_write(struct virtio_pci *p)
{
    uint32_t at;
    unsigned width;
    const struct pci_bar_config *target = access_target(p, &at, &width);
    if (target != NULL)
        target->ops->write(target->dev, at, width,
                           pci_func_get(&p->func, p->access_cap + VIRTIO_PCI_CFG_CAP_data, width));
}
