// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor's ear on the registers: is an access allowed, and what does it mean? The transport
 * says which register it is for (transport/registers.h); what the driver did by it is told to
 * strict_regs.c, with the selectors as the driver wrote them.
 */
#include "core/base/xmath.h"
#include "virtio/observe/strict_impl.h"
#include "virtio/spec.h"
#include "virtio/transport/registers.h"

#define DISCOVERY_ALL 7u /* MagicValue, Version, DeviceID */

/* ---- is the access allowed? ---- */

/* A report: no register takes it, with this width and direction. */
static bool check_access(struct virtio_strict *s, const struct virtio_access *a)
{
    bool whole = a->field != NULL && a->width <= 4;
    if (whole && (a->field->access & (a->write ? VFIELD_W : VFIELD_R)))
        return true;
    enum strict_rule rule = s->pci ? STRICT_PCI_WIDTH : STRICT_MMIO_WIDTH;
    if (whole)
        rule = s->pci     ? STRICT_PCI_READ_ONLY
               : a->write ? STRICT_MMIO_READ_ONLY
                          : STRICT_MMIO_WRITE_ONLY;
    else if (!s->pci && a->width == 4 && is_aligned(a->offset, 4))
        rule = STRICT_MMIO_NOT_THERE;
    strict_dev_report(s, rule, "%s of %u bytes at %#x", a->write ? "write" : "read", a->width,
                      (unsigned)a->offset);
    return false;
}

/* ---- what does it mean? ---- */

static void write_area(struct virtio_strict *s, unsigned area, bool high, uint32_t value)
{
    struct strict_queue *q = strict_queue_write(s);
    if (q == NULL)
        return;
    if (area == VREG_QUEUE_DESC)
        set_half(&q->config.desc, high, value);
    else if (area == VREG_QUEUE_DRIVER)
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
    case VREG_DEVICE_FEATURES_SEL:
        s->device_sel_written = true;
        break;
    case VREG_DRIVER_FEATURES_SEL:
        s->driver_sel = value;
        s->driver_sel_written = true;
        break;
    case VREG_DRIVER_FEATURES:
        write_features(s, value);
        break;
    case VREG_STATUS:
        write_status(s, value);
        break;
    case VREG_CONFIG_VECTOR:
        s->config_vector_unread = value != VIRTIO_MSI_NO_VECTOR;
        break;
    case VREG_QUEUE_VECTOR:
        if (q != NULL)
            q->vector_unread = value != VIRTIO_MSI_NO_VECTOR;
        break;
    case VREG_QUEUE_SEL:
        s->queue_sel = value;
        break;
    case VREG_QUEUE_SIZE:
        strict_queue_size(s, value);
        break;
    case VREG_QUEUE_READY:
    case VREG_QUEUE_ENABLE:
        write_ready(s, value);
        break;
    case VREG_QUEUE_RESET:
        strict_queue_reset(s, value);
        break;
    case VREG_QUEUE_DESC:
    case VREG_QUEUE_DRIVER:
    case VREG_QUEUE_DEVICE:
        write_area(s, reg, high, value);
        break;
    case VREG_NOTIFY:
        strict_notify(s, value);
        break;
    case VREG_ISR_ACK:
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
    case VREG_MAGIC:
    case VREG_VERSION:
    case VREG_DEVICE_ID:
        s->discovered |= 1u << (reg - VREG_MAGIC);
        break;
    case VREG_DEVICE_FEATURES:
        if (!s->pci && !s->device_sel_written)
            strict_dev_report(s, STRICT_MMIO_SELECTOR, "DeviceFeatures");
        break;
    case VREG_STATUS:
        strict_status_read(s, value);
        break;
    case VREG_CONFIG_VECTOR:
        s->config_vector_unread = false;
        break;
    case VREG_QUEUE_VECTOR:
        q->vector_unread = false;
        break;
    case VREG_QUEUE_READY:
    case VREG_QUEUE_ENABLE:
        q->stop_unread = false;
        break;
    case VREG_QUEUE_RESET:
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
    if (a->offset != (uint64_t)queue * a->layout->kick_stride)
        strict_dev_report(s, STRICT_NOTIFY_QUEUE, "queue %u at offset %#llx, another one's", queue,
                          (unsigned long long)a->offset);
    else
        strict_notify(s, value);
}

void strict_check(struct virtio_strict *s, const struct virtio_access *a)
{
    pthread_mutex_lock(&s->lock);
    s->pci = !a->layout->is_mmio;
    switch (a->structure) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        if (!check_access(s, a))
            break;
        if (a->write)
            write_register(s, a->field->reg, a->offset != a->field->offset, (uint32_t)a->value);
        else
            read_register(s, a->field->reg, (uint32_t)a->value);
        break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        pci_notify(s, a);
        break;
    case VIRTIO_PCI_CAP_ISR_CFG:
        strict_dev_report(s, STRICT_PCI_READ_ONLY, "the ISR status");
        break;
    default:
        strict_config(s, a);
        break;
    }
    pthread_mutex_unlock(&s->lock);
}
