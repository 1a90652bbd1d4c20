// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds a virtio-pci function's registers, VIRTIO 1.4 4.1.4 and 4.1.4.10, through the port that the
 * host bridge uses too.
 */
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/bus.h"
#include "core/ports/pci.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

/* Configuration space, PCI 3.0 6.1. */
enum {
    PCI_COMMAND = 0x04,
    PCI_COMMAND_IO = 1,
    PCI_COMMAND_MEMORY = 2,
    PCI_COMMAND_MASTER = 4,
    PCI_BAR0 = 0x10,
    PCI_CAPABILITIES = 0x34,
    PCI_BAR_IO = 1,
    PCI_BAR_64 = 4,
    PCI_CAP_VENDOR = 0x09,
    PCI_CAP_MSIX = 0x11,
    MSIX_CONTROL = 2,
    MSIX_TABLE = 4,
    MSIX_ENABLE = 0x8000,
    MSIX_ENTRY = 16,
};

static uint32_t cfg_read(struct vdrv *d, unsigned offset, unsigned width)
{
    return d->pci.func->ops->config_read(d->pci.func, offset, width);
}

static void cfg_write(struct vdrv *d, unsigned offset, unsigned width, uint32_t value)
{
    d->pci.func->ops->config_write(d->pci.func, offset, width, value);
}

/* ---- finding it ---- */

/* Sizes one BAR and gives it the next address; returns how many registers it takes. */
static unsigned place_bar(struct vdrv *d, unsigned bar, uint64_t *gpa, uint64_t end_gpa,
                          uint64_t *port)
{
    unsigned at = PCI_BAR0 + 4 * bar;
    cfg_write(d, at, 4, UINT32_MAX);
    uint32_t low = cfg_read(d, at, 4);
    bool is_pio = (low & PCI_BAR_IO) != 0, is_64 = !is_pio && (low & PCI_BAR_64);
    if (low == 0)
        return 1;
    uint64_t mask = low & (is_pio ? ~UINT32_C(3) : ~UINT32_C(15));
    if (is_64) {
        cfg_write(d, at + 4, 4, UINT32_MAX);
        mask |= (uint64_t)cfg_read(d, at + 4, 4) << 32;
    } else {
        mask |= UINT64_C(0xffffffff) << 32;
    }
    uint64_t bytes = is_pio ? (-mask & 0xffff) : -mask;
    uint64_t *next = is_pio ? port : gpa;
    uint64_t addr = align_up(*next, bytes);
    *next = addr + bytes;
    BUG_ON(!is_pio && *next > end_gpa);
    cfg_write(d, at, 4, (uint32_t)addr);
    if (is_64)
        cfg_write(d, at + 4, 4, (uint32_t)(addr >> 32));
    d->pci.bar_gpa[bar] = addr;
    d->pci.bar_bytes[bar] = bytes;
    d->pci.bar_is_pio[bar] = is_pio;
    return is_64 ? 2 : 1;
}

static void found_structure(struct vdrv *d, unsigned cap)
{
    struct vdrv_pci *p = &d->pci;
    unsigned bar = cfg_read(d, cap + VIRTIO_PCI_CAP_bar, 1);
    if (bar >= VDRV_BARS || p->bar_bytes[bar] == 0)
        return;
    uint64_t at = p->bar_gpa[bar] + cfg_read(d, cap + VIRTIO_PCI_CAP_offset, 4);
    uint64_t *where = NULL;
    switch (cfg_read(d, cap + VIRTIO_PCI_CAP_cfg_type, 1)) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        where = &p->common;
        break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        where = &p->notify;
        break;
    case VIRTIO_PCI_CAP_ISR_CFG:
        where = &p->isr;
        break;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        where = &p->config;
        break;
    default:
        return;
    }
    if (*where != 0) /* the first of a kind counts */
        return;
    *where = at;
    if (where == &p->notify)
        p->notify_multiplier = cfg_read(d, cap + VIRTIO_PCI_NOTIFY_CAP_multiplier, 4);
}

/* The capability after `cap`, or the first after 0; 0: no more. */
static unsigned next_cap(struct vdrv *d, unsigned cap)
{
    return cfg_read(d, cap == 0 ? PCI_CAPABILITIES : cap + 1, 1) & 0xfcu;
}

static void find_caps(struct vdrv *d)
{
    unsigned looks = 0;
    for (unsigned cap = next_cap(d, 0); cap != 0; cap = next_cap(d, cap)) {
        BUG_ON(++looks > 48); /* a loop */
        uint32_t id = cfg_read(d, cap, 1);
        if (id == PCI_CAP_MSIX)
            d->pci.msix_cap = cap;
        if (id == PCI_CAP_VENDOR)
            found_structure(d, cap);
    }
}

/* Message `vector` goes to the local APIC's page with the vector as data. */
static void enable_msix(struct vdrv *d)
{
    unsigned cap = d->pci.msix_cap;
    BUG_ON(cap == 0);
    unsigned vectors = (cfg_read(d, cap + MSIX_CONTROL, 2) & 0x7ff) + 1;
    uint32_t table = cfg_read(d, cap + MSIX_TABLE, 4);
    uint64_t at = d->pci.bar_gpa[table & 7] + (table & ~UINT32_C(7));
    for (unsigned v = 0; v < vectors; v++, at += MSIX_ENTRY) {
        bus_write(d->bus, at, 4, VDRV_MSI_GPA);
        bus_write(d->bus, at + 4, 4, 0);
        bus_write(d->bus, at + 8, 4, v);
        bus_write(d->bus, at + 12, 4, 0);
    }
    cfg_write(d, cap + MSIX_CONTROL, 2, MSIX_ENABLE);
}

bool vdrv_pci_shm(struct vdrv *d, uint8_t id, uint64_t *gpa, uint64_t *bytes)
{
    for (unsigned cap = next_cap(d, 0); cap != 0; cap = next_cap(d, cap)) {
        if (cfg_read(d, cap, 1) != PCI_CAP_VENDOR ||
            cfg_read(d, cap + VIRTIO_PCI_CAP_id, 1) != id ||
            cfg_read(d, cap + VIRTIO_PCI_CAP_cfg_type, 1) != VIRTIO_PCI_CAP_SHARED_MEMORY_CFG)
            continue;
        unsigned bar = cfg_read(d, cap + VIRTIO_PCI_CAP_bar, 1);
        BUG_ON(bar >= VDRV_BARS);
        *gpa = d->pci.bar_gpa[bar] + cfg_read(d, cap + VIRTIO_PCI_CAP_offset, 4) +
               ((uint64_t)cfg_read(d, cap + VIRTIO_PCI_CAP64_offset_hi, 4) << 32);
        *bytes = cfg_read(d, cap + VIRTIO_PCI_CAP_length, 4) |
                 (uint64_t)cfg_read(d, cap + VIRTIO_PCI_CAP64_length_hi, 4) << 32;
        return true;
    }
    return false;
}

/* ---- start ---- */

void vdrv_init_pci(struct vdrv *d, const struct vdrv_pci_config *config)
{
    uint64_t gpa = config->bar_gpa, port = config->bar_port;
    vdrv_init_memory(d, config->gmem, config->mmio);
    d->t = config->legacy ? &vdrv_pci_legacy : &vdrv_pci_modern;
    d->pci = (struct vdrv_pci){.func = config->func, .pio = config->pio, .msix = !config->intx};
    for (unsigned bar = 0; bar < VDRV_BARS;)
        bar += place_bar(d, bar, &gpa, config->bar_end_gpa, &port);
    cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    find_caps(d);
    d->regs = config->legacy ? config->pio : config->mmio;
    BUG_ON(config->legacy ? !d->pci.bar_is_pio[0]
                          : d->pci.common == 0 || d->pci.notify == 0 || d->pci.isr == 0);
    if (d->pci.msix)
        enable_msix(d);
}
