// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/base/features.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"

const struct virtio_feature_name virtio_feature_names[] = {
    {"indirect_desc", VIRTIO_F_INDIRECT_DESC},
    {"event_idx", VIRTIO_F_EVENT_IDX},
    {"ring_packed", VIRTIO_F_RING_PACKED},
    {"in_order", VIRTIO_F_IN_ORDER},
    {"notification_data", VIRTIO_F_NOTIFICATION_DATA},
    {"ring_reset", VIRTIO_F_RING_RESET},
    {NULL, 0},
};

int virtio_feature_by_name(const char *name)
{
    for (const struct virtio_feature_name *f = virtio_feature_names; f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0)
            return (int)f->bit;
    }
    return -1;
}

/* ---- what was negotiated ---- */

/* Features that all devices have, and no option switches. */
static const struct virtio_feature_name fixed_names[] = {
    {"any_layout", VIRTIO_F_ANY_LAYOUT},
    {"version_1", VIRTIO_F_VERSION_1},
};

const char *virtio_feature_name(const struct virtio_device_type *type, unsigned bit)
{
    for (const struct virtio_feature_name *f = virtio_feature_names; f->name != NULL; f++) {
        if (f->bit == bit)
            return f->name;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(fixed_names); i++) {
        if (fixed_names[i].bit == bit)
            return fixed_names[i].name;
    }
    return virtio_type_feature(type, bit);
}

/* What does not fit in is left out: the log cuts lines there as well. */
struct text {
    char bytes[1024];
    size_t used;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->bytes + t->used, sizeof(t->bytes) - t->used, fmt, args);
    va_end(args);
    t->used = (size_t)min_u64(t->used + (uint64_t)n, sizeof(t->bytes) - 1);
}

static void add_features(struct text *t, const struct virtio_device *dev)
{
    for (unsigned bit = 0; bit < 128; bit++) {
        const char *name = virtio_feature_name(dev->cfg.type, bit);
        if (virtio_device_has(dev, bit) && name != NULL)
            add(t, " %s", name);
        else if (virtio_device_has(dev, bit))
            add(t, " %u", bit);
    }
}

static void add_queues(struct text *t, const struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->cfg.queue_count; i++) {
        const struct vq_config *config = &dev->queues[i].config;
        if (!virtio_device_queue_ready(dev, i))
            continue;
        add(t, " %u:%u", i, config->size);
        int vector = -1;
        if (dev->host.ops->queue_vector != NULL)
            vector = dev->host.ops->queue_vector(dev->host.ctx, i);
        if (vector >= 0)
            add(t, "/%d", vector);
    }
}

void virtio_features_say(struct virtio_device *dev)
{
    struct text t = {.used = 0};
    if (!log_enabled(LOG_INFO))
        return;
    add_features(&t, dev);
    add(&t, "; queues (number:size/vector)");
    add_queues(&t, dev);
    log_guest(&dev->activations, "virtio %s runs, %s%s ring; features%s", dev->setup.name,
              dev->legacy ? "legacy, " : "",
              virtio_device_has(dev, VIRTIO_F_RING_PACKED) ? "packed" : "split", t.bytes);
}
