// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor's ear on a virtio-mmio window (VIRTIO 1.4 4.2.2): keeps the selectors as the driver
 * wrote them, and says in terms of strict_regs.c what the driver did.
 */
#include "core/xmath.h"
#include "virtio/spec.h"
#include "virtio/strict_impl.h"

enum direction {
    R = 1,
    W = 2,
};

static const struct {
    uint16_t offset;
    uint8_t directions;
} registers[] = {
    {VIRTIO_MMIO_MagicValue, R},       {VIRTIO_MMIO_Version, R},
    {VIRTIO_MMIO_DeviceID, R},         {VIRTIO_MMIO_VendorID, R},
    {VIRTIO_MMIO_DeviceFeatures, R},   {VIRTIO_MMIO_DeviceFeaturesSel, W},
    {VIRTIO_MMIO_DriverFeatures, W},   {VIRTIO_MMIO_DriverFeaturesSel, W},
    {VIRTIO_MMIO_QueueSel, W},         {VIRTIO_MMIO_QueueSizeMax, R},
    {VIRTIO_MMIO_QueueSize, W},        {VIRTIO_MMIO_QueueReady, R | W},
    {VIRTIO_MMIO_QueueNotify, W},      {VIRTIO_MMIO_InterruptStatus, R},
    {VIRTIO_MMIO_InterruptACK, W},     {VIRTIO_MMIO_Status, R | W},
    {VIRTIO_MMIO_QueueDescLow, W},     {VIRTIO_MMIO_QueueDescHigh, W},
    {VIRTIO_MMIO_QueueDriverLow, W},   {VIRTIO_MMIO_QueueDriverHigh, W},
    {VIRTIO_MMIO_QueueDeviceLow, W},   {VIRTIO_MMIO_QueueDeviceHigh, W},
    {VIRTIO_MMIO_SHMSel, W},           {VIRTIO_MMIO_SHMLenLow, R},
    {VIRTIO_MMIO_SHMLenHigh, R},       {VIRTIO_MMIO_SHMBaseLow, R},
    {VIRTIO_MMIO_SHMBaseHigh, R},      {VIRTIO_MMIO_QueueReset, R | W},
    {VIRTIO_MMIO_ConfigGeneration, R},
};

#define DISCOVERY_ALL 7u /* MagicValue, Version, DeviceID */

#define report(s, rule, ...) strict_report((s)->dev, STRICT_NO_QUEUE, (rule), __VA_ARGS__)

/* Is it an access to a register that is there, in its direction? */
static bool check_access(struct virtio_strict *s, const struct strict_access *a)
{
    unsigned at = (unsigned)a->offset;
    const char *what = a->write ? "write" : "read";
    if (a->width != 4 || !is_aligned(at, 4)) {
        report(s, STRICT_MMIO_WIDTH, "%s of %u bytes at %#x", what, a->width, at);
        return false;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
        if (registers[i].offset != at)
            continue;
        if (registers[i].directions & (a->write ? W : R))
            return true;
        report(s, a->write ? STRICT_MMIO_READ_ONLY : STRICT_MMIO_WRITE_ONLY, "register %#x", at);
        return false;
    }
    report(s, STRICT_MMIO_NOT_THERE, "%s at %#x", what, at);
    return false;
}

static void set_half(uint64_t *field, bool high, uint32_t value)
{
    unsigned shift = high ? 32 : 0;
    *field = (*field & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value << shift;
}

static void write_area(struct virtio_strict *s, uint64_t reg, uint32_t value)
{
    struct strict_queue *q = strict_queue_write(s);
    if (q == NULL)
        return;
    bool high = reg % 8 != 0;
    if (reg - 4 * high == VIRTIO_MMIO_QueueDescLow)
        set_half(&q->config.desc, high, value);
    else if (reg - 4 * high == VIRTIO_MMIO_QueueDriverLow)
        set_half(&q->config.driver, high, value);
    else
        set_half(&q->config.device, high, value);
}

static void write_ready(struct virtio_strict *s, uint32_t value)
{
    struct strict_queue *q = strict_queue_selected(s);
    if (value == 1) {
        strict_queue_start(s);
    } else if (q != NULL && q->config.ready) {
        q->config.ready = false;
        q->stop_unread = true;
    }
}

static void write_status(struct virtio_strict *s, uint32_t value)
{
    if (value != 0 && s->discovered != DISCOVERY_ALL) {
        report(s, STRICT_MMIO_DISCOVERY, "status %#x is written", value);
        s->discovered = DISCOVERY_ALL;
    }
    strict_status_write(s, value);
}

static void write_register(struct virtio_strict *s, uint64_t reg, uint32_t value)
{
    switch (reg) {
    case VIRTIO_MMIO_DeviceFeaturesSel:
        s->device_sel_written = true;
        break;
    case VIRTIO_MMIO_DriverFeaturesSel:
        s->driver_sel = value;
        s->driver_sel_written = true;
        break;
    case VIRTIO_MMIO_DriverFeatures:
        if (!s->driver_sel_written)
            report(s, STRICT_MMIO_SELECTOR, "DriverFeatures");
        strict_feature_write(s, s->driver_sel, value);
        break;
    case VIRTIO_MMIO_QueueSel:
        s->queue_sel = value;
        break;
    case VIRTIO_MMIO_QueueSize:
        strict_queue_size(s, value);
        break;
    case VIRTIO_MMIO_QueueReady:
        write_ready(s, value);
        break;
    case VIRTIO_MMIO_QueueNotify:
        strict_notify(s, value);
        break;
    case VIRTIO_MMIO_InterruptACK:
        if (value & ~(uint32_t)(VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG))
            report(s, STRICT_MMIO_ACK, "%#x", value);
        break;
    case VIRTIO_MMIO_Status:
        write_status(s, value);
        break;
    case VIRTIO_MMIO_QueueReset:
        strict_queue_reset(s, value);
        break;
    case VIRTIO_MMIO_SHMSel:
        break;
    default:
        write_area(s, reg, value);
        break;
    }
}

static void read_register(struct virtio_strict *s, uint64_t reg, uint32_t value)
{
    struct strict_queue *q = strict_queue_selected(s);
    switch (reg) {
    case VIRTIO_MMIO_MagicValue:
    case VIRTIO_MMIO_Version:
    case VIRTIO_MMIO_DeviceID:
        s->discovered |= 1u << reg / 4;
        break;
    case VIRTIO_MMIO_DeviceFeatures:
        if (!s->device_sel_written)
            report(s, STRICT_MMIO_SELECTOR, "DeviceFeatures");
        break;
    case VIRTIO_MMIO_QueueReady:
        if (q != NULL)
            q->stop_unread = false;
        break;
    case VIRTIO_MMIO_QueueReset:
        if (q != NULL && value == 0)
            q->reset_unread = false;
        break;
    case VIRTIO_MMIO_Status:
        strict_status_read(s, value);
        break;
    default:
        break;
    }
}

void strict_mmio_check(struct virtio_device *dev, const struct strict_access *a)
{
    struct virtio_strict *s = dev->strict;
    pthread_mutex_lock(&s->lock);
    if (a->offset >= VIRTIO_MMIO_Config) {
        struct strict_access config = *a;
        config.offset -= VIRTIO_MMIO_Config;
        strict_config(s, &config);
    } else if (check_access(s, a)) {
        if (a->write)
            write_register(s, a->offset, (uint32_t)a->value);
        else
            read_register(s, a->offset, (uint32_t)a->value);
    }
    pthread_mutex_unlock(&s->lock);
}
