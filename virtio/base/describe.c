// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "virtio/base/device_impl.h"
#include "virtio/base/features.h"
#include "virtio/spec.h"

#define FEATURE_BITS (32 * VIRTIO_FEATURE_WORDS)

static void describe_status(struct virtio_device *dev, struct facts *f)
{
    static const char *const names[] = {"ACKNOWLEDGE",        "DRIVER", "DRIVER_OK",
                                        "FEATURES_OK",        NULL,     NULL,
                                        "DEVICE_NEEDS_RESET", "FAILED"};
    facts_bits(f, "status", virtio_device_status(dev), names, ARRAY_SIZE(names));
    facts_flag(f, "resetting", atomic_load(&dev->resetting));
    facts_flag(f, "legacy", dev->legacy);
    facts_number(f, "config_generation", virtio_device_generation(dev));
}

static void describe_features(const struct virtio_device *dev, struct facts *f, const char *what,
                              uint32_t (*word)(const struct virtio_device *dev, uint32_t word))
{
    facts_list(f, what);
    for (unsigned bit = 0; bit < FEATURE_BITS; bit++) {
        const char *name = virtio_feature_name(dev->cfg.type, bit);
        if ((word(dev, bit / 32) >> bit % 32 & 1) == 0)
            continue;
        if (name != NULL)
            facts_word(f, NULL, name);
        else
            facts_text(f, NULL, "%u", bit);
    }
    facts_end(f);
}

/* ---- a queue ---- */

struct queue_call {
    struct virtio_queue *q;
    struct facts *f;
};

static const char *state_word(enum virtio_queue_state state)
{
    static const char *const words[] = {
        [VIRTIO_QUEUE_UNSET] = "unset",       [VIRTIO_QUEUE_RESET] = "reset",
        [VIRTIO_QUEUE_STOPPING] = "stopping", [VIRTIO_QUEUE_RESETTING] = "resetting",
        [VIRTIO_QUEUE_READY] = "ready",       [VIRTIO_QUEUE_STARTED] = "started",
        [VIRTIO_QUEUE_HELD] = "held",         [VIRTIO_QUEUE_LIVE] = "live",
    };
    return words[state];
}

static void describe_ring(const struct virtio_queue *q, struct facts *f)
{
    const struct virtqueue *vq = &q->vq;
    bool external = virtio_queue_is_external(q->dev, q->index);
    bool packed = virtio_device_has(q->dev, VIRTIO_F_RING_PACKED);
    facts_word(f, "ring", packed ? "packed" : "split");
    if (vq->broken)
        facts_word(f, "broken", vq->error);
    if (external)
        facts_flag(f, "external", true);
    else
        facts_number(f, "in_flight", vq_in_flight(vq));
    if (vq->ops->describe != NULL)
        vq->ops->describe(vq, f);
}

static int describe_queue(void *arg)
{
    const struct queue_call *call = arg;
    struct virtio_queue *q = call->q;
    struct virtio_device *dev = q->dev;
    struct facts *f = call->f;
    int vector = dev->host.ops != NULL && dev->host.ops->queue_vector != NULL
                     ? dev->host.ops->queue_vector(dev->host.ctx, q->index)
                     : -1;
    facts_group(f, NULL);
    facts_number(f, "queue", q->index);
    facts_word(f, "role", virtio_type_role(dev->cfg.type, dev->cfg.queue_count, q->index)->name);
    facts_word(f, "state", state_word(atomic_load(&q->state)));
    facts_flag(f, "ready", virtio_device_queue_ready(dev, q->index));
    facts_number(f, "size", q->config.size);
    facts_number(f, "size_max", virtio_device_queue_size_max(dev, q->index));
    if (q->config.desc != 0 || virtio_device_queue_ready(dev, q->index)) {
        facts_hex(f, "desc", q->config.desc);
        facts_hex(f, "driver", q->config.driver);
        facts_hex(f, "device", q->config.device);
    }
    if (vector >= 0)
        facts_number(f, "vector", (unsigned)vector);
    facts_word(f, "loop", evloop_name(q->loop));
    if (vq_is_active(&q->vq))
        describe_ring(q, f);
    facts_end(f);
    return 0;
}

/* ---- on the device's loop ---- */

struct device_call {
    struct virtio_device *dev;
    struct facts *f;
};

static int describe_on_loop(void *arg)
{
    const struct device_call *call = arg;
    struct virtio_device *dev = call->dev;
    facts_list(call->f, "queues");
    for (unsigned i = 0; i < dev->cfg.queue_count; i++)
        evloop_call(dev->queues[i].loop, describe_queue,
                    &(struct queue_call){&dev->queues[i], call->f});
    facts_end(call->f);
    if (dev->cfg.ops->describe == NULL)
        return 0;
    facts_group(call->f, dev->cfg.type->name);
    dev->cfg.ops->describe(dev, call->f);
    facts_end(call->f);
    return 0;
}

void virtio_device_describe(struct virtio_device *dev, struct facts *f)
{
    describe_status(dev, f);
    describe_features(dev, f, "features_offered", virtio_device_features);
    describe_features(dev, f, "features_accepted", virtio_device_accepted);
    evloop_call(dev->setup.loop, describe_on_loop, &(struct device_call){dev, f});
}
