// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor's ear on the structures of a virtio-pci device (VIRTIO 1.4 4.1.4): keeps the
 * selectors as the driver wrote them, and says in terms of strict_regs.c what the driver did.
 */
#include "core/xmath.h"
#include "virtio/pci_impl.h"
#include "virtio/spec.h"
#include "virtio/strict_impl.h"

#define COMMON(name) VIRTIO_PCI_COMMON_##name

static const struct {
    uint8_t offset, bytes;
    bool read_only;
} fields[] = {
    {COMMON(device_feature_select), 4, false},  {COMMON(device_feature), 4, true},
    {COMMON(driver_feature_select), 4, false},  {COMMON(driver_feature), 4, false},
    {COMMON(config_msix_vector), 2, false},     {COMMON(num_queues), 2, true},
    {COMMON(device_status), 1, false},          {COMMON(config_generation), 1, true},
    {COMMON(queue_select), 2, false},           {COMMON(queue_size), 2, false},
    {COMMON(queue_msix_vector), 2, false},      {COMMON(queue_enable), 2, false},
    {COMMON(queue_notify_off), 2, true},        {COMMON(queue_desc), 8, false},
    {COMMON(queue_driver), 8, false},           {COMMON(queue_device), 8, false},
    {COMMON(queue_notif_config_data), 2, true}, {COMMON(queue_reset), 2, false},
    {COMMON(admin_queue_index), 2, true},       {COMMON(admin_queue_num), 2, true},
};

#define report(s, rule, ...) strict_report((s)->dev, STRICT_NO_QUEUE, (rule), __VA_ARGS__)

/* Is it an access to a field that is there, by its width, and in a direction that it has? */
static bool check_access(struct virtio_strict *s, const struct strict_access *a)
{
    unsigned at = (unsigned)a->offset;
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        unsigned within = at - fields[i].offset;
        if (at < fields[i].offset || within >= fields[i].bytes)
            continue;
        unsigned width = (unsigned)min_u64(fields[i].bytes, 4);
        if (a->width != width || within % width != 0)
            break;
        if (a->write && fields[i].read_only)
            report(s, STRICT_PCI_READ_ONLY, "offset %u of the common configuration", at);
        return !a->write || !fields[i].read_only;
    }
    report(s, STRICT_PCI_WIDTH, "%s of %u bytes at %u of the common configuration",
           a->write ? "write" : "read", a->width, at);
    return false;
}

static void set_half(uint64_t *field, bool high, uint32_t value)
{
    unsigned shift = high ? 32 : 0;
    *field = (*field & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value << shift;
}

static void write_area(struct virtio_strict *s, unsigned at, uint32_t value)
{
    struct strict_queue *q = strict_queue_write(s);
    if (q == NULL)
        return;
    bool high = at % 8 != 0;
    if (at - 4 * high == COMMON(queue_desc))
        set_half(&q->config.desc, high, value);
    else if (at - 4 * high == COMMON(queue_driver))
        set_half(&q->config.driver, high, value);
    else
        set_half(&q->config.device, high, value);
}

static void write_common(struct virtio_strict *s, unsigned at, uint32_t value)
{
    struct strict_queue *q = strict_queue_selected(s);
    switch (at) {
    case COMMON(device_feature_select):
        break;
    case COMMON(driver_feature_select):
        s->driver_sel = value;
        break;
    case COMMON(driver_feature):
        strict_feature_write(s, s->driver_sel, value);
        break;
    case COMMON(config_msix_vector):
        s->config_vector_unread = value != VIRTIO_MSI_NO_VECTOR;
        break;
    case COMMON(queue_msix_vector):
        if (q != NULL)
            q->vector_unread = value != VIRTIO_MSI_NO_VECTOR;
        break;
    case COMMON(device_status):
        strict_status_write(s, value);
        break;
    case COMMON(queue_select):
        s->queue_sel = value;
        break;
    case COMMON(queue_size):
        strict_queue_size(s, value);
        break;
    case COMMON(queue_enable):
        if (value == 0)
            report(s, STRICT_PCI_QUEUE_DISABLE, "queue %u", s->queue_sel);
        else
            strict_queue_start(s);
        break;
    case COMMON(queue_reset):
        strict_queue_reset(s, value);
        break;
    default:
        write_area(s, at, value);
        break;
    }
}

static void read_common(struct virtio_strict *s, unsigned at, uint32_t value)
{
    struct strict_queue *q = strict_queue_selected(s);
    switch (at) {
    case COMMON(device_status):
        strict_status_read(s, value);
        break;
    case COMMON(config_msix_vector):
        s->config_vector_unread = false;
        break;
    case COMMON(queue_msix_vector):
        if (q != NULL)
            q->vector_unread = false;
        break;
    case COMMON(queue_reset):
        if (q != NULL && value == 0)
            q->reset_unread = false;
        break;
    default:
        break;
    }
}

/* Each queue has an address of its own, to which what names the queue is written. */
static void notify(struct virtio_strict *s, const struct strict_access *a)
{
    bool with_data = strict_negotiated(s, VIRTIO_F_NOTIFICATION_DATA);
    uint32_t value = (uint32_t)a->value, queue = with_data ? value & VIRTIO_NOTIFY_VQ_MASK : value;
    if (a->width != (with_data ? 4 : 2))
        report(s, STRICT_PCI_NOTIFY_WIDTH, "%u bytes", a->width);
    if (a->offset != (uint64_t)queue * VIRTIO_PCI_NOTIFY_MULTIPLIER)
        report(s, STRICT_NOTIFY_QUEUE, "queue %u at offset %#llx, another one's", queue,
               (unsigned long long)a->offset);
    else
        strict_notify(s, value);
}

void strict_pci_check(struct virtio_device *dev, unsigned structure, const struct strict_access *a)
{
    struct virtio_strict *s = dev->strict;
    pthread_mutex_lock(&s->lock);
    s->pci = true;
    switch (structure) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        if (!check_access(s, a))
            break;
        if (a->write)
            write_common(s, (unsigned)a->offset, (uint32_t)a->value);
        else
            read_common(s, (unsigned)a->offset, (uint32_t)a->value);
        break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        if (a->write)
            notify(s, a);
        break;
    case VIRTIO_PCI_CAP_ISR_CFG:
        if (a->write)
            report(s, STRICT_PCI_READ_ONLY, "the ISR status");
        break;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        strict_config(s, a);
        break;
    default:
        break;
    }
    pthread_mutex_unlock(&s->lock);
}
