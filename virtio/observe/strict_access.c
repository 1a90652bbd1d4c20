// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor's ear on the registers of both transports: a virtio-mmio window (VIRTIO 1.4 4.2.2)
 * and the structures of a virtio-pci device (4.1.4). Tables say what is where and what it means;
 * then it is told to strict_regs.c, with the selectors as the driver wrote them.
 */
#include "core/base/xmath.h"
#include "virtio/observe/strict_impl.h"
#include "virtio/spec.h"
#include "virtio/transport/pci.h"

enum direction {
    R = 1,
    W = 2,
    RW = R | W,
};

/* What virtio-mmio does not have. */
enum {
    NOTHING = VIRTIO_MMIO_Config,
    CONFIG_VECTOR,
    QUEUE_VECTOR,
};

/* 64 bits are accessed by halves. */
struct reg {
    uint16_t offset;
    uint8_t bytes, directions;
    uint16_t mmio; /* the virtio-mmio register that does the same */
};

#define MMIO(name) VIRTIO_MMIO_##name

#define REG(name, bytes, directions)              \
    {                                             \
        MMIO(name), bytes, directions, MMIO(name) \
    }

static const struct reg mmio_regs[] = {
    REG(MagicValue, 4, R),     REG(Version, 4, R),
    REG(DeviceID, 4, R),       REG(VendorID, 4, R),
    REG(DeviceFeatures, 4, R), REG(DeviceFeaturesSel, 4, W),
    REG(DriverFeatures, 4, W), REG(DriverFeaturesSel, 4, W),
    REG(QueueSel, 4, W),       REG(QueueSizeMax, 4, R),
    REG(QueueSize, 4, W),      REG(QueueReady, 4, RW),
    REG(QueueNotify, 4, W),    REG(InterruptStatus, 4, R),
    REG(InterruptACK, 4, W),   REG(Status, 4, RW),
    REG(QueueDescLow, 8, W),   REG(QueueDriverLow, 8, W),
    REG(QueueDeviceLow, 8, W), REG(SHMSel, 4, W),
    REG(SHMLenLow, 8, R),      REG(SHMBaseLow, 8, R),
    REG(QueueReset, 4, RW),    REG(ConfigGeneration, 4, R),
};

#define COMMON(name) VIRTIO_PCI_COMMON_##name

static const struct reg pci_regs[] = {
    {COMMON(device_feature_select), 4, RW, MMIO(DeviceFeaturesSel)},
    {COMMON(device_feature), 4, R, MMIO(DeviceFeatures)},
    {COMMON(driver_feature_select), 4, RW, MMIO(DriverFeaturesSel)},
    {COMMON(driver_feature), 4, RW, MMIO(DriverFeatures)},
    {COMMON(config_msix_vector), 2, RW, CONFIG_VECTOR},
    {COMMON(num_queues), 2, R, NOTHING},
    {COMMON(device_status), 1, RW, MMIO(Status)},
    {COMMON(config_generation), 1, R, MMIO(ConfigGeneration)},
    {COMMON(queue_select), 2, RW, MMIO(QueueSel)},
    {COMMON(queue_size), 2, RW, MMIO(QueueSize)},
    {COMMON(queue_msix_vector), 2, RW, QUEUE_VECTOR},
    {COMMON(queue_enable), 2, RW, MMIO(QueueReady)},
    {COMMON(queue_notify_off), 2, R, NOTHING},
    {COMMON(queue_desc), 8, RW, MMIO(QueueDescLow)},
    {COMMON(queue_driver), 8, RW, MMIO(QueueDriverLow)},
    {COMMON(queue_device), 8, RW, MMIO(QueueDeviceLow)},
    {COMMON(queue_notif_config_data), 2, R, NOTHING},
    {COMMON(queue_reset), 2, RW, MMIO(QueueReset)},
    {COMMON(admin_queue_index), 2, R, NOTHING},
    {COMMON(admin_queue_num), 2, R, NOTHING},
};

#define DISCOVERY_ALL 7u /* MagicValue, Version, DeviceID */

/* ---- is the access allowed? ---- */

static const struct reg *find(const struct virtio_strict *s, uint64_t offset)
{
    const struct reg *regs = s->pci ? pci_regs : mmio_regs;
    unsigned count = s->pci ? ARRAY_SIZE(pci_regs) : ARRAY_SIZE(mmio_regs);
    for (unsigned i = 0; i < count; i++)
        if (offset >= regs[i].offset && offset - regs[i].offset < regs[i].bytes)
            return &regs[i];
    return NULL;
}

/* The register, or a report and NULL: none is there, with this width and direction. */
static const struct reg *check_access(struct virtio_strict *s, const struct virtio_access *a)
{
    const struct reg *reg = find(s, a->offset);
    bool whole = reg != NULL && a->width == min_u64(reg->bytes, 4) &&
                 is_aligned(a->offset - reg->offset, a->width);
    if (whole && (reg->directions & (a->write ? W : R)))
        return reg;
    enum strict_rule rule = s->pci ? STRICT_PCI_WIDTH : STRICT_MMIO_WIDTH;
    if (whole)
        rule = s->pci     ? STRICT_PCI_READ_ONLY
               : a->write ? STRICT_MMIO_READ_ONLY
                          : STRICT_MMIO_WRITE_ONLY;
    else if (!s->pci && a->width == 4 && is_aligned(a->offset, 4))
        rule = STRICT_MMIO_NOT_THERE;
    strict_dev_report(s, rule, "%s of %u bytes at %#x", a->write ? "write" : "read", a->width,
                      (unsigned)a->offset);
    return NULL;
}

/* ---- what does it mean? ---- */

static void write_area(struct virtio_strict *s, unsigned area, bool high, uint32_t value)
{
    struct strict_queue *q = strict_queue_write(s);
    if (q == NULL)
        return;
    if (area == MMIO(QueueDescLow))
        set_half(&q->config.desc, high, value);
    else if (area == MMIO(QueueDriverLow))
        set_half(&q->config.driver, high, value);
    else
        set_half(&q->config.device, high, value);
}

static void write_ready(struct virtio_strict *s, uint32_t value)
{
    struct strict_queue *q = strict_queue_selected(s);
    if (s->pci ? value != 0 : value == 1) {
        strict_queue_start(s);
    } else if (s->pci) {
        strict_dev_report(s, STRICT_PCI_QUEUE_DISABLE, "queue %u", s->queue_sel);
    } else if (q != NULL && q->ready) {
        q->ready = false;
        q->stop_unread = true;
    }
}

static void write_status(struct virtio_strict *s, uint32_t value)
{
    if (value != 0 && !s->pci && s->discovered != DISCOVERY_ALL) {
        strict_dev_report(s, STRICT_MMIO_DISCOVERY, "status %#x is written", value);
        s->discovered = DISCOVERY_ALL;
    }
    strict_status_write(s, value);
}

static void write_features(struct virtio_strict *s, uint32_t value)
{
    if (!s->pci && !s->driver_sel_written)
        strict_dev_report(s, STRICT_MMIO_SELECTOR, "DriverFeatures");
    strict_feature_write(s, s->driver_sel, value);
}

static void write_register(struct virtio_strict *s, unsigned reg, bool high, uint32_t value)
{
    struct strict_queue *q = strict_queue_selected(s);
    switch (reg) {
    case MMIO(DeviceFeaturesSel):
        s->device_sel_written = true;
        break;
    case MMIO(DriverFeaturesSel):
        s->driver_sel = value;
        s->driver_sel_written = true;
        break;
    case MMIO(DriverFeatures):
        write_features(s, value);
        break;
    case MMIO(Status):
        write_status(s, value);
        break;
    case CONFIG_VECTOR:
        s->config_vector_unread = value != VIRTIO_MSI_NO_VECTOR;
        break;
    case QUEUE_VECTOR:
        if (q != NULL)
            q->vector_unread = value != VIRTIO_MSI_NO_VECTOR;
        break;
    case MMIO(QueueSel):
        s->queue_sel = value;
        break;
    case MMIO(QueueSize):
        strict_queue_size(s, value);
        break;
    case MMIO(QueueReady):
        write_ready(s, value);
        break;
    case MMIO(QueueReset):
        strict_queue_reset(s, value);
        break;
    case MMIO(QueueDescLow):
    case MMIO(QueueDriverLow):
    case MMIO(QueueDeviceLow):
        write_area(s, reg, high, value);
        break;
    case MMIO(QueueNotify):
        strict_notify(s, value);
        break;
    case MMIO(InterruptACK):
        if (value & ~(uint32_t)(VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG))
            strict_dev_report(s, STRICT_MMIO_ACK, "%#x", value);
        break;
    default:
        break;
    }
}

static void read_register(struct virtio_strict *s, unsigned reg, uint32_t value)
{
    struct strict_queue none = {0}, *selected = strict_queue_selected(s);
    struct strict_queue *q = selected != NULL ? selected : &none;
    switch (reg) {
    case MMIO(MagicValue):
    case MMIO(Version):
    case MMIO(DeviceID):
        s->discovered |= 1u << reg / 4;
        break;
    case MMIO(DeviceFeatures):
        if (!s->pci && !s->device_sel_written)
            strict_dev_report(s, STRICT_MMIO_SELECTOR, "DeviceFeatures");
        break;
    case MMIO(Status):
        strict_status_read(s, value);
        break;
    case CONFIG_VECTOR:
        s->config_vector_unread = false;
        break;
    case QUEUE_VECTOR:
        q->vector_unread = false;
        break;
    case MMIO(QueueReady):
        q->stop_unread = false;
        break;
    case MMIO(QueueReset):
        q->reset_unread &= value != 0;
        break;
    default:
        break;
    }
}

/* Each queue has an address of its own, to which what names the queue is written. */
static void pci_notify(struct virtio_strict *s, const struct virtio_access *a)
{
    bool with_data = strict_negotiated(s, VIRTIO_F_NOTIFICATION_DATA);
    uint32_t value = (uint32_t)a->value, queue = with_data ? value & VIRTIO_NOTIFY_VQ_MASK : value;
    if (a->width != (with_data ? 4 : 2))
        strict_dev_report(s, STRICT_PCI_NOTIFY_WIDTH, "%u bytes", a->width);
    if (a->offset != (uint64_t)queue * VIRTIO_PCI_NOTIFY_MULTIPLIER)
        strict_dev_report(s, STRICT_NOTIFY_QUEUE, "queue %u at offset %#llx, another one's", queue,
                          (unsigned long long)a->offset);
    else
        strict_notify(s, value);
}

void strict_check(struct virtio_strict *s, const struct virtio_access *a)
{
    const struct reg *reg;
    pthread_mutex_lock(&s->lock);
    s->pci = a->structure != VIRTIO_ACCESS_MMIO && a->structure != VIRTIO_ACCESS_MMIO_CONFIG;
    switch (a->structure) {
    case VIRTIO_ACCESS_MMIO:
    case VIRTIO_PCI_CAP_COMMON_CFG:
        reg = check_access(s, a);
        if (reg != NULL && a->write)
            write_register(s, reg->mmio, a->offset != reg->offset, (uint32_t)a->value);
        else if (reg != NULL)
            read_register(s, reg->mmio, (uint32_t)a->value);
        break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        if (a->write)
            pci_notify(s, a);
        break;
    case VIRTIO_PCI_CAP_ISR_CFG:
        if (a->write)
            strict_dev_report(s, STRICT_PCI_READ_ONLY, "the ISR status");
        break;
    case VIRTIO_ACCESS_MMIO_CONFIG:
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        strict_config(s, a);
        break;
    default:
        break;
    }
    pthread_mutex_unlock(&s->lock);
}
