// SPDX-License-Identifier: BSD-2-Clause
/*
 * The driver's way to a virtio-pci function, VIRTIO 1.4 4.1.4 and 4.1.4.10, through the port that
 * the host bridge uses too.
 */
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/bus.h"
#include "core/ports/pci.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

#define RESET_LOOKS 1000000u

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

/* ---- the modern interface ---- */

static uint64_t common_get(struct vdrv *d, unsigned reg, unsigned width)
{
    uint64_t value = 0;
    bus_read(d->bus, d->pci.common + reg, width, &value);
    return value;
}

static void common_set(struct vdrv *d, unsigned reg, unsigned width, uint64_t value)
{
    bus_write(d->bus, d->pci.common + reg, width, value);
}

static void select_queue(struct vdrv *d, uint32_t queue)
{
    common_set(d, VIRTIO_PCI_COMMON_queue_select, 2, queue);
}

static uint32_t modern_status(struct vdrv *d)
{
    return (uint32_t)common_get(d, VIRTIO_PCI_COMMON_device_status, 1);
}

/* VIRTIO 1.4 4.1.4.3.2: a reset has ended when 0 is read. */
static void modern_set_status(struct vdrv *d, uint32_t value)
{
    common_set(d, VIRTIO_PCI_COMMON_device_status, 1, value);
    for (unsigned i = 0; value == 0 && i < RESET_LOOKS && modern_status(d) != 0; i++)
        vdrv_wait(d);
}

static uint32_t modern_features(struct vdrv *d, uint32_t word)
{
    common_set(d, VIRTIO_PCI_COMMON_device_feature_select, 4, word);
    return (uint32_t)common_get(d, VIRTIO_PCI_COMMON_device_feature, 4);
}

static void modern_accept(struct vdrv *d, uint32_t word, uint32_t value)
{
    common_set(d, VIRTIO_PCI_COMMON_driver_feature_select, 4, word);
    common_set(d, VIRTIO_PCI_COMMON_driver_feature, 4, value);
}

static void modern_ready_to_start(struct vdrv *d)
{
    if (!d->pci.msix)
        return;
    common_set(d, VIRTIO_PCI_COMMON_config_msix_vector, 2, 0);
    BUG_ON(common_get(d, VIRTIO_PCI_COMMON_config_msix_vector, 2) != 0);
}

static uint32_t modern_queue_size_max(struct vdrv *d, uint32_t queue)
{
    select_queue(d, queue);
    return (uint32_t)common_get(d, VIRTIO_PCI_COMMON_queue_size, 2);
}

/* Where a queue's notifications go, and what it is called there: VIRTIO 1.4 4.1.4.4, 4.1.5.2. */
static void modern_find_notify(struct vdrv *d, struct vdrv_queue *q)
{
    select_queue(d, q->index);
    uint64_t off = common_get(d, VIRTIO_PCI_COMMON_queue_notify_off, 2);
    q->notify_gpa = d->pci.notify + off * d->pci.notify_multiplier;
    if (d->features & VIRTIO_BIT(VIRTIO_F_NOTIF_CONFIG_DATA))
        q->notify_id = (uint16_t)common_get(d, VIRTIO_PCI_COMMON_queue_notif_config_data, 2);
}

static void set_address(struct vdrv *d, unsigned reg, uint64_t gpa)
{
    common_set(d, reg, 4, (uint32_t)gpa);
    common_set(d, reg + 4, 4, gpa >> 32);
}

static void modern_queue_write(struct vdrv *d, struct vdrv_queue *q)
{
    select_queue(d, q->index);
    common_set(d, VIRTIO_PCI_COMMON_queue_size, 2, q->size);
    if (d->pci.msix) {
        common_set(d, VIRTIO_PCI_COMMON_queue_msix_vector, 2, q->index + 1);
        (void)common_get(d, VIRTIO_PCI_COMMON_queue_msix_vector, 2); /* VIRTIO 1.4 4.1.5.1.2.2 */
    }
    set_address(d, VIRTIO_PCI_COMMON_queue_desc, q->desc_gpa);
    set_address(d, VIRTIO_PCI_COMMON_queue_driver, q->avail_gpa);
    set_address(d, VIRTIO_PCI_COMMON_queue_device, q->used_gpa);
    common_set(d, VIRTIO_PCI_COMMON_queue_enable, 2, 1);
}

static bool modern_queue_ready(struct vdrv *d, uint32_t queue)
{
    select_queue(d, queue);
    return common_get(d, VIRTIO_PCI_COMMON_queue_enable, 2) == 1;
}

static bool modern_queue_reset(struct vdrv *d, uint32_t queue)
{
    select_queue(d, queue);
    common_set(d, VIRTIO_PCI_COMMON_queue_reset, 2, 1);
    for (unsigned i = 0; i < RESET_LOOKS; i++) {
        if (common_get(d, VIRTIO_PCI_COMMON_queue_reset, 2) == 0)
            return !modern_queue_ready(d, queue);
        vdrv_wait(d);
    }
    return false;
}

static void modern_notify(struct vdrv *d, const struct vdrv_queue *q, uint32_t value)
{
    bool data = (d->features & VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA)) != 0;
    bus_write(d->bus, q->notify_gpa, data ? 4 : 2, value);
}

static uint32_t modern_take_isr(struct vdrv *d)
{
    uint64_t isr = 0;
    bus_read(d->bus, d->pci.isr, 1, &isr);
    return (uint32_t)isr;
}

static uint32_t modern_generation(struct vdrv *d)
{
    return (uint32_t)common_get(d, VIRTIO_PCI_COMMON_config_generation, 1);
}

static uint64_t modern_config_gpa(struct vdrv *d)
{
    return d->pci.config;
}

static bool modern_shm(struct vdrv *d, uint8_t id, uint64_t *gpa, uint64_t *bytes)
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

static const struct vdrv_transport modern = {
    .name = "pci",
    .status = modern_status,
    .set_status = modern_set_status,
    .features = modern_features,
    .accept = modern_accept,
    .ready_to_start = modern_ready_to_start,
    .queue_size_max = modern_queue_size_max,
    .find_notify = modern_find_notify,
    .queue_write = modern_queue_write,
    .queue_ready = modern_queue_ready,
    .queue_reset = modern_queue_reset,
    .notify = modern_notify,
    .take_isr = modern_take_isr,
    .generation = modern_generation,
    .config_gpa = modern_config_gpa,
    .shm = modern_shm,
};

/* ---- the legacy interface ---- */

static uint32_t port_get(struct vdrv *d, unsigned reg, unsigned width)
{
    uint64_t value = 0;
    bus_read(d->pci.pio, d->pci.bar_gpa[0] + reg, width, &value);
    return (uint32_t)value;
}

static void port_set(struct vdrv *d, unsigned reg, unsigned width, uint32_t value)
{
    bus_write(d->pci.pio, d->pci.bar_gpa[0] + reg, width, value);
}

static uint32_t legacy_status(struct vdrv *d)
{
    return port_get(d, VIRTIO_PCI_LEGACY_device_status, 1);
}

static void legacy_set_status(struct vdrv *d, uint32_t value)
{
    port_set(d, VIRTIO_PCI_LEGACY_device_status, 1, value);
}

static uint32_t legacy_features(struct vdrv *d, uint32_t word)
{
    return word == 0 ? port_get(d, VIRTIO_PCI_LEGACY_device_features, 4) : 0;
}

static void legacy_accept(struct vdrv *d, uint32_t word, uint32_t value)
{
    if (word == 0)
        port_set(d, VIRTIO_PCI_LEGACY_driver_features, 4, value);
}

static void legacy_ready_to_start(struct vdrv *d)
{
    if (!d->pci.msix)
        return;
    port_set(d, VIRTIO_PCI_LEGACY_config_msix_vector, 2, 0);
    BUG_ON(port_get(d, VIRTIO_PCI_LEGACY_config_msix_vector, 2) != 0);
}

static uint32_t legacy_queue_size_max(struct vdrv *d, uint32_t queue)
{
    port_set(d, VIRTIO_PCI_LEGACY_queue_select, 2, queue);
    return port_get(d, VIRTIO_PCI_LEGACY_queue_size, 2);
}

static void legacy_queue_write(struct vdrv *d, struct vdrv_queue *q)
{
    port_set(d, VIRTIO_PCI_LEGACY_queue_select, 2, q->index);
    if (d->pci.msix)
        port_set(d, VIRTIO_PCI_LEGACY_queue_msix_vector, 2, q->index + 1);
    port_set(d, VIRTIO_PCI_LEGACY_queue_address, 4,
             (uint32_t)(q->desc_gpa / VIRTIO_PCI_LEGACY_PAGE_BYTES));
}

static bool legacy_queue_ready(struct vdrv *d, uint32_t queue)
{
    port_set(d, VIRTIO_PCI_LEGACY_queue_select, 2, queue);
    return port_get(d, VIRTIO_PCI_LEGACY_queue_address, 4) != 0;
}

static void legacy_queue_stop(struct vdrv *d, uint32_t queue)
{
    port_set(d, VIRTIO_PCI_LEGACY_queue_select, 2, queue);
    port_set(d, VIRTIO_PCI_LEGACY_queue_address, 4, 0);
}

static void legacy_notify(struct vdrv *d, const struct vdrv_queue *q, uint32_t value)
{
    (void)q;
    port_set(d, VIRTIO_PCI_LEGACY_queue_notify, 2, value);
}

static uint32_t legacy_take_isr(struct vdrv *d)
{
    return port_get(d, VIRTIO_PCI_LEGACY_isr_status, 1);
}

static uint64_t legacy_config_gpa(struct vdrv *d)
{
    return d->pci.bar_gpa[0] + VIRTIO_PCI_LEGACY_config + (d->pci.msix ? 4 : 0);
}

static const struct vdrv_transport legacy = {
    .name = "pci legacy",
    .legacy = true,
    .fixed_size = true,
    .status = legacy_status,
    .set_status = legacy_set_status,
    .features = legacy_features,
    .accept = legacy_accept,
    .ready_to_start = legacy_ready_to_start,
    .queue_size_max = legacy_queue_size_max,
    .queue_write = legacy_queue_write,
    .queue_ready = legacy_queue_ready,
    .queue_stop = legacy_queue_stop,
    .notify = legacy_notify,
    .take_isr = legacy_take_isr,
    .config_gpa = legacy_config_gpa,
};

/* ---- start ---- */

void vdrv_init_pci(struct vdrv *d, const struct vdrv_pci_config *config)
{
    uint64_t gpa = config->bar_gpa, port = config->bar_port;
    vdrv_init_memory(d, config->gmem, config->mmio);
    d->t = config->legacy ? &legacy : &modern;
    d->pci = (struct vdrv_pci){.func = config->func, .pio = config->pio, .msix = !config->intx};
    for (unsigned bar = 0; bar < VDRV_BARS;)
        bar += place_bar(d, bar, &gpa, config->bar_end_gpa, &port);
    cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    find_caps(d);
    BUG_ON(config->legacy ? !d->pci.bar_is_pio[0]
                          : d->pci.common == 0 || d->pci.notify == 0 || d->pci.isr == 0);
    if (d->pci.msix)
        enable_msix(d);
}
