// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a driver does by registers: is an access allowed, and what does it mean for status,
 * features, queues, notifications and configuration space? The transport says which register an
 * access is for (transport/registers.h), before a write takes effect: the device's status is the
 * old one then.
 */
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "virtio/observe/strict_impl.h"
#include "virtio/spec.h"
#include "virtio/transport/registers.h"

/* The rule of that name, of which both transports have one. */
#define OF_BUS(s, name) ((s)->pci ? STRICT_PCI_##name : STRICT_MMIO_##name)
#define BIT(reg)        (UINT64_C(1) << (reg))
#define DISCOVERY       (BIT(VREG_MAGIC) | BIT(VREG_VERSION) | BIT(VREG_DEVICE_ID))
#define DRIVER_BITS                                                                 \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK | \
     VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FAILED)

static bool has_status(const struct virtio_strict *s, uint32_t bit)
{
    return (virtio_device_status(s->dev) & bit) != 0;
}

static bool negotiated(const struct virtio_strict *s, unsigned feature)
{
    return (s->accepted >> feature & 1) != 0;
}

/* As the device says it: a split ring's size is a power of 2. */
static uint32_t size_max(const struct virtio_strict *s)
{
    uint32_t max = s->dev->setup.queue_size_max;
    if (negotiated(s, VIRTIO_F_RING_PACKED))
        return max;
    return UINT32_C(1) << (31 - __builtin_clz(max));
}

/* ---- status ---- */

static void forget(struct virtio_strict *s)
{
    s->initialised = s->reset_unread = true;
    s->features_ok_unread = s->features_refused = s->needs_reset_known = false;
    s->written = s->unread = 0;
    s->driver_sel = s->queue_sel = 0;
    s->accepted = 0;
    for (unsigned i = 0; i < s->queue_count; i++) {
        struct strict_queue *q = &s->queues[i];
        q->config = (struct vq_config){.size = s->dev->setup.queue_size_max};
        q->ready = q->was_reset = false;
        q->unread = 0;
    }
}

/* Before queues and before DRIVER_OK. */
static void check_features_read(struct virtio_strict *s, const char *step)
{
    if (s->features_ok_unread)
        strict_dev_report(s, STRICT_FEATURES_OK_UNREAD, "%s, and the status was not read", step);
    s->features_ok_unread = false;
}

static bool is_unread(uint64_t *unread, enum virtio_register reg)
{
    bool is = (*unread & BIT(reg)) != 0;
    *unread &= ~BIT(reg);
    return is;
}

static void check_vectors_read(struct virtio_strict *s)
{
    if (is_unread(&s->unread, VREG_CONFIG_VECTOR))
        strict_dev_report(s, STRICT_PCI_VECTOR_UNREAD, "config_msix_vector");
    for (unsigned i = 0; i < s->queue_count; i++)
        if (is_unread(&s->queues[i].unread, VREG_QUEUE_VECTOR))
            strict_ring_report(&s->queues[i], STRICT_PCI_VECTOR_UNREAD, "queue_msix_vector");
}

static void check_steps(struct virtio_strict *s, uint32_t old, uint32_t value)
{
    static const struct {
        uint32_t bit, needs;
        const char *what;
    } steps[] = {
        {VIRTIO_STATUS_DRIVER, VIRTIO_STATUS_ACKNOWLEDGE, "DRIVER without ACKNOWLEDGE"},
        {VIRTIO_STATUS_FEATURES_OK, VIRTIO_STATUS_DRIVER, "FEATURES_OK without DRIVER"},
        {VIRTIO_STATUS_DRIVER_OK, VIRTIO_STATUS_FEATURES_OK, "DRIVER_OK without FEATURES_OK"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
        if ((value & ~old & steps[i].bit) && !((old | value) & steps[i].needs))
            strict_dev_report(s, STRICT_STATUS_ORDER, "%s", steps[i].what);
}

static void check_features_ok(struct virtio_strict *s)
{
    if (!negotiated(s, VIRTIO_F_VERSION_1))
        strict_dev_report(s, STRICT_VERSION_1, "features %#llx", (unsigned long long)s->accepted);
    strict_type_features(s->dev, s->accepted);
    for (unsigned i = 0; i < s->queue_count; i++)
        s->queues[i].config.size = size_max(s);
    s->features_ok_unread = true;
    s->features_refused = false;
}

static void check_driver_ok(struct virtio_strict *s, uint32_t old)
{
    check_features_read(s, "DRIVER_OK");
    check_vectors_read(s);
    if (old & VIRTIO_STATUS_DEVICE_NEEDS_RESET)
        strict_dev_report(s, STRICT_STATUS_NEEDS_RESET, "DRIVER_OK");
}

static void write_status(struct virtio_strict *s, uint32_t value)
{
    if (value == 0) {
        forget(s);
        return;
    }
    if (!s->pci && (s->read & DISCOVERY) != DISCOVERY)
        strict_dev_report(s, STRICT_MMIO_DISCOVERY, "status %#x is written", value);
    s->read |= DISCOVERY;
    uint32_t old = virtio_device_status(s->dev), added = value & ~old;
    if (!s->initialised)
        strict_dev_report(s, STRICT_INIT_NO_RESET, "status %#x is the first that is written",
                          value);
    s->initialised = true;
    if (s->reset_unread)
        strict_dev_report(s, STRICT_RESET_UNREAD, "status %#x was written at once", value);
    s->reset_unread = false;
    /* The device sets it at any time: a driver that does not write it back may not have seen it. */
    uint32_t cleared = old & ~value & ~(uint32_t)VIRTIO_STATUS_DEVICE_NEEDS_RESET;
    if (cleared != 0)
        strict_dev_report(s, STRICT_STATUS_CLEARED, "%#x was written over %#x", value, old);
    if (added & ~(uint32_t)DRIVER_BITS)
        strict_dev_report(s, STRICT_STATUS_UNKNOWN, "%#x", added & ~(uint32_t)DRIVER_BITS);
    if ((old & VIRTIO_STATUS_FAILED) && (added & DRIVER_BITS))
        strict_dev_report(s, STRICT_STATUS_FAILED, "%#x was written over %#x", value, old);
    check_steps(s, old, value);
    if ((added & VIRTIO_STATUS_DRIVER_OK) && s->features_refused)
        strict_dev_report(s, STRICT_STATUS_ORDER,
                          "DRIVER_OK, and the device has refused the features");
    else if (added & VIRTIO_STATUS_FEATURES_OK)
        check_features_ok(s);
    if (added & VIRTIO_STATUS_DRIVER_OK)
        check_driver_ok(s, old);
}

static void read_status(struct virtio_strict *s, uint32_t value)
{
    if (value == 0)
        s->reset_unread = false;
    if (s->features_ok_unread && !(value & VIRTIO_STATUS_FEATURES_OK))
        s->features_refused = true;
    s->features_ok_unread = false;
    if (value & VIRTIO_STATUS_DEVICE_NEEDS_RESET)
        s->needs_reset_known = true;
}

/* ---- features ---- */

static void write_features(struct virtio_strict *s, uint32_t word, uint32_t value)
{
    if (!s->pci && !(s->written & BIT(VREG_DRIVER_FEATURES_SEL)))
        strict_dev_report(s, STRICT_MMIO_SELECTOR, "DriverFeatures");
    bool known = word < VIRTIO_FEATURE_WORDS;
    unsigned shift = 32 * (word % 2);
    uint32_t offered = known ? (uint32_t)(s->dev->offered[word / 2] >> shift) : 0;
    uint32_t before = word < 2 ? (uint32_t)(s->accepted >> shift) : 0;
    if (has_status(s, VIRTIO_STATUS_FEATURES_OK)) {
        if (value & ~before)
            strict_dev_report(s, STRICT_FEATURE_LATE, "word %u: %#x over %#x", word, value, before);
        return;
    }
    if (!has_status(s, VIRTIO_STATUS_DRIVER))
        strict_dev_report(s, STRICT_FEATURE_EARLY, "status %#x", virtio_device_status(s->dev));
    if (value & ~offered)
        strict_dev_report(s, STRICT_FEATURE_UNOFFERED, "bit %llu",
                          32ull * word + (unsigned)__builtin_ctz(value & ~offered));
    if (word < 2)
        set_half(&s->accepted, word == 1, value);
}

/* ---- queues ---- */

static struct strict_queue *selected(struct virtio_strict *s)
{
    return s->queue_sel < s->queue_count ? &s->queues[s->queue_sel] : NULL;
}

/* The selected queue; NULL and a report if it is not there, or not to be configured now. */
static struct strict_queue *configured(struct virtio_strict *s)
{
    struct strict_queue *q = selected(s);
    if (q == NULL) {
        strict_dev_report(s, STRICT_QUEUE_NONE, "queue %u of %u", s->queue_sel, s->queue_count);
        return NULL;
    }
    if (q->ready) {
        strict_ring_report(q, OF_BUS(s, QUEUE_BUSY), "it is enabled");
        return NULL;
    }
    if (!has_status(s, VIRTIO_STATUS_FEATURES_OK)) {
        strict_ring_report(q, STRICT_QUEUE_EARLY, "status %#x", virtio_device_status(s->dev));
        return NULL;
    }
    check_features_read(s, "a queue is set up");
    if (has_status(s, VIRTIO_STATUS_DRIVER_OK) && !q->was_reset) {
        strict_ring_report(q, STRICT_QUEUE_LATE, "status %#x", virtio_device_status(s->dev));
        return NULL;
    }
    return q;
}

static void write_size(struct virtio_strict *s, uint32_t size)
{
    struct strict_queue *q = configured(s);
    if (q == NULL)
        return;
    uint32_t max = size_max(s);
    if (size > max)
        strict_ring_report(q, s->pci ? STRICT_PCI_QUEUE_SIZE_MAX : STRICT_MMIO_QUEUE_SIZE,
                           "%u, and at most %u", size, max);
    bool packed = negotiated(s, VIRTIO_F_RING_PACKED);
    if (s->pci && (packed ? size == 0 : !is_pow2(size)))
        strict_ring_report(q, STRICT_PCI_QUEUE_SIZE, "%u", size);
    q->config.size = size;
}

static void check_part(struct strict_queue *q, const char *name, uint64_t gpa, uint64_t bytes,
                       uint64_t align, bool packed)
{
    unsigned long long at = gpa;
    if (!is_aligned(gpa, align))
        strict_ring_report(q, STRICT_OF_RING(packed, ALIGN), "%s area at %#llx, and not by %u",
                           name, at, (unsigned)align);
    if (gmem_find(q->dev->setup.gmem, gpa, bytes) == NULL)
        strict_ring_report(q, STRICT_OF_RING(packed, MEMORY), "%s area at %#llx of %llu bytes",
                           name, at, (unsigned long long)bytes);
}

static void check_ring(struct virtio_strict *s, struct strict_queue *q)
{
    const struct vq_config *c = &q->config;
    bool packed = negotiated(s, VIRTIO_F_RING_PACKED);
    if (c->size == 0 || c->size > VIRTQ_MAX_SIZE || (!packed && !is_pow2(c->size))) {
        strict_ring_report(q, STRICT_OF_RING(packed, SIZE), "%u", c->size);
        return;
    }
    uint64_t descs = (uint64_t)VIRTQ_DESC_BYTES * c->size;
    if (packed) {
        check_part(q, "descriptor", c->desc, descs, PVIRTQ_DESC_ALIGN, true);
        check_part(q, "driver", c->driver, PVIRTQ_EVENT_BYTES, PVIRTQ_EVENT_ALIGN, true);
        check_part(q, "device", c->device, PVIRTQ_EVENT_BYTES, PVIRTQ_EVENT_ALIGN, true);
        return;
    }
    check_part(q, "descriptor", c->desc, descs, VIRTQ_DESC_ALIGN, false);
    check_part(q, "driver", c->driver, VIRTQ_AVAIL_BYTES(c->size), VIRTQ_AVAIL_ALIGN, false);
    check_part(q, "device", c->device, VIRTQ_USED_BYTES(c->size), VIRTQ_USED_ALIGN, false);
}

static void start_queue(struct virtio_strict *s)
{
    struct strict_queue *q = configured(s);
    if (q == NULL)
        return;
    if (is_unread(&q->unread, VREG_QUEUE_RESET))
        strict_ring_report(q, STRICT_QUEUE_RESET_UNREAD, "it is enabled again");
    if (is_unread(&q->unread, VREG_QUEUE_READY))
        strict_ring_report(q, STRICT_MMIO_QUEUE_STOP, "it is made ready again");
    q->was_reset = false;
    check_ring(s, q);
    q->ready = true;
}

static void reset_queue(struct virtio_strict *s, uint32_t value)
{
    struct strict_queue *q = selected(s);
    if (!negotiated(s, VIRTIO_F_RING_RESET))
        strict_dev_report(s, STRICT_QUEUE_RESET_FEATURE, "queue %u", s->queue_sel);
    else if (q == NULL)
        strict_dev_report(s, STRICT_QUEUE_NONE, "queue %u of %u", s->queue_sel, s->queue_count);
    else if (value == 1 && q->ready && has_status(s, VIRTIO_STATUS_DRIVER_OK)) {
        q->config = (struct vq_config){.size = size_max(s)};
        q->ready = false;
        q->was_reset = true;
        q->unread |= BIT(VREG_QUEUE_RESET);
    }
}

/* ---- notifications ---- */

/*
 * Another processor may have moved the ring on before this notification came here, so with the
 * split ring all that can be said is that the data lie no more than a queue behind.
 */
static void check_data(struct virtio_strict *s, const struct strict_queue *q, uint32_t value)
{
    uint16_t data = (uint16_t)(value >> VIRTIO_NOTIFY_OFF_SHIFT);
    if (negotiated(s, VIRTIO_F_RING_PACKED)) {
        unsigned offset = data & ((1u << PVIRTQ_EVENT_WRAP_SHIFT) - 1);
        if (offset >= q->config.size)
            strict_ring_report(q, STRICT_NOTIFY_DATA, "offset %u of %u", offset, q->config.size);
        return;
    }
    uint8_t raw[2];
    if (gmem_read(s->dev->setup.gmem, q->config.driver + VIRTQ_AVAIL_IDX, raw, sizeof(raw)) != 0)
        return;
    uint16_t idx = (uint16_t)(raw[0] | raw[1] << 8);
    if ((uint16_t)(idx - data) > q->config.size)
        strict_ring_report(q, STRICT_NOTIFY_DATA, "index %u, and the ring's is %u", data, idx);
}

static void notified(struct virtio_strict *s, uint32_t value)
{
    bool with_data = negotiated(s, VIRTIO_F_NOTIFICATION_DATA);
    uint32_t queue = with_data ? value & VIRTIO_NOTIFY_VQ_MASK : value;
    if (!has_status(s, VIRTIO_STATUS_DRIVER_OK)) {
        strict_dev_report(s, STRICT_NOTIFY_EARLY, "queue %u, status %#x", queue,
                          virtio_device_status(s->dev));
        return;
    }
    if (queue >= s->queue_count || !s->queues[queue].ready) {
        strict_dev_report(s, STRICT_NOTIFY_QUEUE, "queue %u %s", queue,
                          queue < s->queue_count ? "is not enabled" : "does not exist");
        return;
    }
    if (s->needs_reset_known)
        strict_ring_report(&s->queues[queue], STRICT_STATUS_NEEDS_RESET, "it is notified");
    if (with_data)
        check_data(s, &s->queues[queue], value);
}

/* ---- configuration space ---- */

static void check_config(struct virtio_strict *s, const struct virtio_access *a)
{
    unsigned long long at = a->offset;
    const struct virtio_device_type *type = s->dev->cfg.type;
    const struct virtio_field *f = virtio_type_field(type, a->offset);
    if (!s->pci && a->offset + a->width > s->dev->cfg.config_bytes) {
        strict_dev_report(s, STRICT_MMIO_NOT_THERE, "%u bytes of configuration at %#llx", a->width,
                          at);
        return;
    }
    if (a->write && !has_status(s, VIRTIO_STATUS_FEATURES_OK))
        strict_dev_report(s, STRICT_CONFIG_WRITE_EARLY, "offset %#llx", at);
    if (f != NULL && f->features != 0 && (s->dev->offered[0] & f->features) == 0)
        strict_dev_report(s, STRICT_CONFIG_OPTIONAL, "offset %#llx, feature %u", at,
                          (unsigned)__builtin_ctzll(f->features));
    unsigned width = f != NULL ? (unsigned)min_u64(f->bytes, 4) : 0;
    bool whole = f != NULL && (a->offset - f->offset) % width == 0;
    if (type->fields != NULL && (!whole || a->width != width))
        strict_dev_report(s, s->pci ? STRICT_PCI_WIDTH : STRICT_MMIO_CONFIG_WIDTH,
                          "%u bytes of configuration at %#llx", a->width, at);
}

/* ---- is the access allowed? ---- */

/* A report: no register takes it, with this width and direction. */
static bool check_access(struct virtio_strict *s, const struct virtio_access *a)
{
    bool whole = a->field != NULL && a->width <= 4;
    if (whole && (a->field->access & (a->write ? VFIELD_W : VFIELD_R)))
        return true;
    enum strict_rule rule = OF_BUS(s, WIDTH);
    if (whole)
        rule = a->write ? OF_BUS(s, READ_ONLY) : STRICT_MMIO_WRITE_ONLY;
    else if (!s->pci && a->width == 4 && is_aligned(a->offset, 4))
        rule = STRICT_MMIO_NOT_THERE;
    strict_dev_report(s, rule, "%s of %u bytes at %#x", a->write ? "write" : "read", a->width,
                      (unsigned)a->offset);
    return false;
}

/* ---- what does it mean? ---- */

static void write_area(struct virtio_strict *s, unsigned area, bool high, uint32_t value)
{
    struct strict_queue *q = configured(s);
    if (q != NULL)
        set_half(virtio_queue_area(&q->config, area), high, value);
}

static void write_ready(struct virtio_strict *s, uint32_t value)
{
    struct strict_queue *q = selected(s);
    if (s->pci ? value != 0 : value == 1) {
        start_queue(s);
    } else if (s->pci) {
        strict_dev_report(s, STRICT_PCI_QUEUE_DISABLE, "queue %u", s->queue_sel);
    } else if (q != NULL && q->ready) {
        q->ready = false;
        q->unread |= BIT(VREG_QUEUE_READY);
    }
}

static void write_vector(uint64_t *unread, unsigned reg, uint32_t vector)
{
    *unread = vector != VIRTIO_MSI_NO_VECTOR ? *unread | BIT(reg) : *unread & ~BIT(reg);
}

static void write_register(struct virtio_strict *s, unsigned reg, bool high, uint32_t value)
{
    struct strict_queue *q = selected(s);
    s->written |= BIT(reg);
    switch (reg) {
    case VREG_DRIVER_FEATURES_SEL:
        s->driver_sel = value;
        break;
    case VREG_DRIVER_FEATURES:
        write_features(s, s->driver_sel, value);
        break;
    case VREG_STATUS:
        write_status(s, value);
        break;
    case VREG_CONFIG_VECTOR:
        write_vector(&s->unread, reg, value);
        break;
    case VREG_QUEUE_VECTOR:
        if (q != NULL)
            write_vector(&q->unread, reg, value);
        break;
    case VREG_QUEUE_SEL:
        s->queue_sel = value;
        break;
    case VREG_QUEUE_SIZE:
        write_size(s, value);
        break;
    case VREG_QUEUE_READY:
    case VREG_QUEUE_ENABLE:
        write_ready(s, value);
        break;
    case VREG_QUEUE_RESET:
        reset_queue(s, value);
        break;
    case VREG_QUEUE_DESC:
    case VREG_QUEUE_DRIVER:
    case VREG_QUEUE_DEVICE:
        write_area(s, reg, high, value);
        break;
    case VREG_NOTIFY:
        notified(s, value);
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
    struct strict_queue *q = selected(s);
    s->read |= BIT(reg);
    s->unread &= ~BIT(reg);
    if (q != NULL && (reg != VREG_QUEUE_RESET || value == 0))
        q->unread &= ~BIT(reg);
    if (reg == VREG_STATUS)
        read_status(s, value);
    if (reg == VREG_DEVICE_FEATURES && !s->pci && !(s->written & BIT(VREG_DEVICE_FEATURES_SEL)))
        strict_dev_report(s, STRICT_MMIO_SELECTOR, "DeviceFeatures");
}

/* Each queue has an address of its own, to which what names the queue is written. */
static void pci_notify(struct virtio_strict *s, const struct virtio_access *a)
{
    bool with_data = negotiated(s, VIRTIO_F_NOTIFICATION_DATA);
    uint32_t value = (uint32_t)a->value, queue = with_data ? value & VIRTIO_NOTIFY_VQ_MASK : value;
    if (a->width != (with_data ? 4 : 2))
        strict_dev_report(s, STRICT_PCI_NOTIFY_WIDTH, "%u bytes", a->width);
    if (a->offset != (uint64_t)queue * a->layout->kick_stride)
        strict_dev_report(s, STRICT_NOTIFY_QUEUE, "queue %u at offset %#llx, another one's", queue,
                          (unsigned long long)a->offset);
    else
        notified(s, value);
}

static bool is_reset(const struct virtio_access *a)
{
    return a->write && a->field != NULL && a->field->reg == VREG_STATUS && a->value == 0;
}

static void check(struct virtio_strict *s, const struct virtio_access *a)
{
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
        check_config(s, a);
        break;
    }
}

void strict_check(struct virtio_strict *s, const struct virtio_access *a)
{
    pthread_mutex_lock(&s->lock);
    s->pci = !a->layout->is_mmio;
    s->loaded &= !is_reset(a);
    if (!s->loaded)
        check(s, a);
    pthread_mutex_unlock(&s->lock);
}
