// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a driver does by registers, for both transports: status, features, queues, notifications,
 * configuration space. Called before a write takes effect, so the device's status is the old one.
 */
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "virtio/observe/strict_impl.h"
#include "virtio/spec.h"

#define DRIVER_BITS                                                                 \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK | \
     VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FAILED)

static bool has_status(const struct virtio_strict *s, uint32_t bit)
{
    return (virtio_device_status(s->dev) & bit) != 0;
}

bool strict_negotiated(const struct virtio_strict *s, unsigned feature)
{
    return (s->accepted >> feature & 1) != 0;
}

/* As the device says it: a split ring's size is a power of 2. */
static uint32_t size_max(const struct virtio_strict *s)
{
    uint32_t max = s->dev->setup.queue_size_max;
    if (strict_negotiated(s, VIRTIO_F_RING_PACKED))
        return max;
    return UINT32_C(1) << (31 - __builtin_clz(max));
}

/* ---- status ---- */

static void forget(struct virtio_strict *s)
{
    s->initialised = s->reset_unread = true;
    s->features_ok_unread = s->features_refused = s->needs_reset_known = false;
    s->config_vector_unread = false;
    s->device_sel_written = s->driver_sel_written = false;
    s->device_sel = s->driver_sel = s->queue_sel = 0;
    s->accepted = 0;
    for (unsigned i = 0; i < s->queue_count; i++) {
        struct strict_queue *q = &s->queues[i];
        q->config = (struct vq_config){.size = s->dev->setup.queue_size_max};
        q->ready = q->was_reset = q->reset_unread = q->stop_unread = q->vector_unread = false;
    }
}

/* Before queues and before DRIVER_OK. */
static void check_features_read(struct virtio_strict *s, const char *step)
{
    if (s->features_ok_unread)
        strict_dev_report(s, STRICT_FEATURES_OK_UNREAD, "%s, and the status was not read", step);
    s->features_ok_unread = false;
}

static void check_vectors_read(struct virtio_strict *s)
{
    if (s->config_vector_unread)
        strict_dev_report(s, STRICT_PCI_VECTOR_UNREAD, "config_msix_vector");
    s->config_vector_unread = false;
    for (unsigned i = 0; i < s->queue_count; i++) {
        if (s->queues[i].vector_unread)
            strict_report(s->dev, (int)i, STRICT_PCI_VECTOR_UNREAD, "queue_msix_vector");
        s->queues[i].vector_unread = false;
    }
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
    if (!strict_negotiated(s, VIRTIO_F_VERSION_1))
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

void strict_status_write(struct virtio_strict *s, uint32_t value)
{
    if (value == 0) {
        forget(s);
        return;
    }
    uint32_t old = virtio_device_status(s->dev), added = value & ~old;
    if (!s->initialised)
        strict_dev_report(s, STRICT_INIT_NO_RESET, "status %#x is the first that is written",
                          value);
    s->initialised = true;
    if (s->reset_unread)
        strict_dev_report(s, STRICT_RESET_UNREAD, "status %#x was written at once", value);
    s->reset_unread = false;
    /* The device sets it when it likes: whoever does not write it back may not have seen it. */
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

void strict_status_read(struct virtio_strict *s, uint32_t value)
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

void strict_feature_write(struct virtio_strict *s, uint32_t word, uint32_t value)
{
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

struct strict_queue *strict_queue_selected(struct virtio_strict *s)
{
    return s->queue_sel < s->queue_count ? &s->queues[s->queue_sel] : NULL;
}

struct strict_queue *strict_queue_write(struct virtio_strict *s)
{
    struct strict_queue *q = strict_queue_selected(s);
    if (q == NULL) {
        strict_dev_report(s, STRICT_QUEUE_NONE, "queue %u of %u", s->queue_sel, s->queue_count);
        return NULL;
    }
    if (q->ready) {
        strict_ring_report(q, s->pci ? STRICT_PCI_QUEUE_BUSY : STRICT_MMIO_QUEUE_BUSY,
                           "it is enabled");
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

void strict_queue_size(struct virtio_strict *s, uint32_t size)
{
    struct strict_queue *q = strict_queue_write(s);
    if (q == NULL)
        return;
    uint32_t max = size_max(s);
    if (size > max)
        strict_ring_report(q, s->pci ? STRICT_PCI_QUEUE_SIZE_MAX : STRICT_MMIO_QUEUE_SIZE,
                           "%u, and at most %u", size, max);
    bool packed = strict_negotiated(s, VIRTIO_F_RING_PACKED);
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
    bool packed = strict_negotiated(s, VIRTIO_F_RING_PACKED);
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

void strict_queue_start(struct virtio_strict *s)
{
    struct strict_queue *q = strict_queue_write(s);
    if (q == NULL)
        return;
    if (q->reset_unread)
        strict_ring_report(q, STRICT_QUEUE_RESET_UNREAD, "it is enabled again");
    if (q->stop_unread)
        strict_ring_report(q, STRICT_MMIO_QUEUE_STOP, "it is made ready again");
    q->reset_unread = q->stop_unread = q->was_reset = false;
    check_ring(s, q);
    q->ready = true;
}

void strict_queue_reset(struct virtio_strict *s, uint32_t value)
{
    struct strict_queue *q = strict_queue_selected(s);
    if (!strict_negotiated(s, VIRTIO_F_RING_RESET))
        strict_dev_report(s, STRICT_QUEUE_RESET_FEATURE, "queue %u", s->queue_sel);
    else if (q == NULL)
        strict_dev_report(s, STRICT_QUEUE_NONE, "queue %u of %u", s->queue_sel, s->queue_count);
    else if (value == 1 && q->ready && has_status(s, VIRTIO_STATUS_DRIVER_OK)) {
        q->config = (struct vq_config){.size = size_max(s)};
        q->ready = false;
        q->was_reset = q->reset_unread = true;
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
    if (strict_negotiated(s, VIRTIO_F_RING_PACKED)) {
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

void strict_notify(struct virtio_strict *s, uint32_t value)
{
    bool with_data = strict_negotiated(s, VIRTIO_F_NOTIFICATION_DATA);
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

void strict_config(struct virtio_strict *s, const struct virtio_access *a)
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
