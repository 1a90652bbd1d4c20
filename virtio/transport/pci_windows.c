// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the BARs of the virtio-pci transport show: registers, configuration space, notifications;
 * and the window to them in PCI configuration space.
 */
#include <stdatomic.h>

#include "core/base/xmath.h"
#include "virtio/base/observer.h"
#include "virtio/spec.h"
#include "virtio/transport/pci_impl.h"

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

static uint64_t registers_read(void *dev, uint64_t offset, unsigned width)
{
    struct virtio_pci *p = dev;
    uint64_t within = offset % VIRTIO_PCI_PAGE_BYTES;
    switch (offset - within) {
    case VIRTIO_PCI_AT_ISR:
        return within == 0 ? virtio_pci_take_isr(p) : 0;
    case VIRTIO_PCI_AT_COMMON:
        return virtio_registers_read(&p->regs, false, within, width);
    case VIRTIO_PCI_AT_CONFIG:
        return virtio_config_read(&p->regs, false, within, width);
    default: /* a doorbell reads as 0 */
        return 0;
    }
}

static void registers_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_pci *p = dev;
    uint64_t within = offset % VIRTIO_PCI_PAGE_BYTES;
    struct virtio_access a = {VIRTIO_PCI_CAP_NOTIFY_CFG, true, within, width, value,
                              &virtio_pci_layouts[0],    NULL};
    switch (offset - within) {
    case VIRTIO_PCI_AT_NOTIFY:
        virtio_observe_access(p->dev, &a);
        notify(p, within, value);
        break;
    case VIRTIO_PCI_AT_COMMON:
        virtio_registers_write(&p->regs, false, within, width, value);
        break;
    case VIRTIO_PCI_AT_CONFIG:
        virtio_config_write(&p->regs, false, within, width, value);
        break;
    default: /* the ISR status is read-only */
        a.structure = VIRTIO_PCI_CAP_ISR_CFG;
        virtio_observe_access(p->dev, &a);
        break;
    }
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

static uint64_t legacy_read(void *dev, uint64_t offset, unsigned width)
{
    struct virtio_pci *p = dev;
    unsigned header = legacy_header_bytes(p);
    return offset < header ? virtio_registers_read(&p->regs, true, offset, width)
                           : virtio_config_read(&p->regs, true, offset - header, width);
}

static void legacy_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_pci *p = dev;
    unsigned header = legacy_header_bytes(p);
    if (offset < header)
        virtio_registers_write(&p->regs, true, offset, width, value);
    else
        virtio_config_write(&p->regs, true, offset - header, width, value);
}

const struct bus_ops virtio_pci_legacy_ops = {.read = legacy_read, .write = legacy_write};

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
    if (target == NULL && bytes != 0) /* length 0: a driver that dumps configuration space */
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
