// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/base/device_impl.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/base/features.h"
#include "virtio/base/observer.h"
#include "virtio/spec.h"

/* What every device offers because the queues and this file do it, ... */
#define COMMON_FEATURES                                                    \
    (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | \
     VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_RESET))
/* ... and what they can do and offer when they are told to. */
#define OPTIONAL_FEATURES                                               \
    (VIRTIO_BIT(VIRTIO_F_RING_PACKED) | VIRTIO_BIT(VIRTIO_F_IN_ORDER) | \
     VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA))
/* Without it there is nothing to talk about. */
#define REQUIRED_FEATURES VIRTIO_BIT(VIRTIO_F_VERSION_1)

/* What a legacy driver is shown: the low 32 bits, and that buffers may be cut anyhow. */
#define LEGACY_MASK UINT64_C(0xffffffff)
#define LEGACY_ADDS VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT)

bool virtio_device_has(const struct virtio_device *dev, unsigned feature)
{
    return feature / 64 < ARRAY_SIZE(dev->features) &&
           (dev->features[feature / 64] >> feature % 64 & 1) != 0;
}

static void notify_config(struct virtio_device *dev)
{
    virtio_observe(dev, VIRTIO_ON_CONFIG_INTERRUPT, NULL, NULL, 0);
    dev->host.ops->notify_config(dev->host.ctx);
}

void virtio_device_fail(struct virtio_device *dev, const char *why)
{
    /* A warning, once: a guest that waits for such a device seems to hang. */
    if (!atomic_exchange(&dev->failed_before, true))
        log_warn("virtio %s needs a reset: %s", dev->setup.name, why);
    log_guest(&dev->guest_errors, "virtio %s needs a reset: %s", dev->setup.name, why);
    atomic_store(&dev->running, false);
    atomic_fetch_or(&dev->status, VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    if (device_has_status(dev, VIRTIO_STATUS_DRIVER_OK)) /* VIRTIO 1.4 2.1.2 */
        notify_config(dev);
}

/* ---- activation and reset: on the loop, called from registers ---- */

int device_start(struct virtio_device *dev)
{
    memcpy(dev->features, dev->accepted, sizeof(dev->features));
    atomic_store(&dev->notify_data, virtio_device_has(dev, VIRTIO_F_NOTIFICATION_DATA));
    dev->active = true;
    for (unsigned i = 0; i < dev->cfg.queue_count; i++) {
        struct virtio_queue *q = &dev->queues[i];
        if (atomic_load(&q->state) == VIRTIO_QUEUE_READY && queue_start(q) != 0) {
            virtio_device_fail(dev, q->vq.error);
            return -EINVAL;
        }
    }
    if (dev->cfg.ops->activate != NULL && dev->cfg.ops->activate(dev) != 0) {
        virtio_device_fail(dev, "the device cannot be activated");
        return -EINVAL;
    }
    return 0;
}

void device_go(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->cfg.queue_count; i++) {
        if (atomic_load(&dev->queues[i].state) == VIRTIO_QUEUE_STARTED)
            queue_go(&dev->queues[i]);
    }
}

static int activate_on_loop(void *arg)
{
    struct virtio_device *dev = arg;
    atomic_store(&dev->running, true);
    if (device_start(dev) == 0) {
        virtio_features_say(dev);
        device_go(dev);
    }
    return 0;
}

/* When the last queue is stopped. */
static void end_reset(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->cfg.queue_count; i++)
        if (queue_is_stopping(&dev->queues[i]))
            return;
    atomic_store(&dev->resetting, false);
    atomic_store(&dev->status, 0);
}

void virtio_queue_stopped(struct virtio_device *dev, unsigned queue)
{
    if (queue_let_go(&dev->queues[queue]) && atomic_load(&dev->resetting))
        end_reset(dev);
}

static int reset_on_loop(void *arg)
{
    struct virtio_device *dev = arg;
    atomic_store(&dev->running, false);
    for (unsigned i = 0; i < dev->cfg.queue_count; i++)
        queue_stop(&dev->queues[i]);
    if (virtio_device_status(dev) != 0 && dev->cfg.ops->reset != NULL)
        dev->cfg.ops->reset(dev);
    dev->active = false;
    memset(dev->features, 0, sizeof(dev->features));
    atomic_store(&dev->notify_data, false);
    atomic_store(&dev->resetting, true);
    end_reset(dev);
    return 0;
}

/* ---- status: from registers ---- */

static void default_queues(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->cfg.queue_count; i++)
        queue_default(&dev->queues[i]);
}

static void reset(struct virtio_device *dev)
{
    evloop_call(dev->setup.loop, reset_on_loop, dev);
    memset(dev->accepted, 0, sizeof(dev->accepted));
    dev->accepted_beyond = false;
    default_queues(dev);
}

static void mark(struct virtio_device *dev, uint32_t bit)
{
    atomic_fetch_or(&dev->status, bit);
}

static int features_ok_on_loop(void *arg)
{
    struct virtio_device *dev = arg;
    dev->cfg.ops->features_ok(dev);
    return 0;
}

static bool accepts_version_1(const struct virtio_device *dev)
{
    return (dev->accepted[0] & REQUIRED_FEATURES) == REQUIRED_FEATURES;
}

bool device_accepts(const struct virtio_device *dev)
{
    if (dev->legacy)
        return (dev->accepted[0] & ~(uint64_t)virtio_device_features(dev, 0)) == 0 &&
               dev->accepted[1] == 0;
    return !dev->accepted_beyond && (dev->accepted[0] & ~dev->offered[0]) == 0 &&
           (dev->accepted[1] & ~dev->offered[1]) == 0 && accepts_version_1(dev);
}

static void check_features(struct virtio_device *dev, uint32_t bit)
{
    if (device_accepts(dev)) {
        mark(dev, bit);
        default_queues(dev);
        if (dev->cfg.ops->features_ok != NULL)
            evloop_call(dev->setup.loop, features_ok_on_loop, dev);
        return;
    }
    log_guest(&dev->guest_errors, "virtio %s refuses the features %#llx%s", dev->setup.name,
              (unsigned long long)dev->accepted[0], accepts_version_1(dev) ? "" : ": no VERSION_1");
}

static void activate(struct virtio_device *dev, uint32_t bit)
{
    mark(dev, bit); /* before anything can fail, which is then told */
    if (!dev->active)
        evloop_call(dev->setup.loop, activate_on_loop, dev);
}

/*
 *  0 --ACKNOWLEDGE--> --DRIVER--> --FEATURES_OK--> --DRIVER_OK--> running
 *  ^                                  | refused: not set            |
 *  |                                  v                             v
 *  +--- writing 0, from anywhere -----+--------------- DEVICE_NEEDS_RESET
 *
 * In one write several steps may be taken, each when the one that it needs has been.
 */
static const struct {
    uint32_t bit, needs;
    void (*step)(struct virtio_device *dev, uint32_t bit);
} status_steps[] = {
    {VIRTIO_STATUS_ACKNOWLEDGE, 0, mark},
    {VIRTIO_STATUS_DRIVER, VIRTIO_STATUS_ACKNOWLEDGE, mark},
    {VIRTIO_STATUS_FEATURES_OK, VIRTIO_STATUS_DRIVER, check_features},
    {VIRTIO_STATUS_DRIVER_OK, VIRTIO_STATUS_FEATURES_OK, activate},
    {VIRTIO_STATUS_FAILED, 0, mark},
};

/* A legacy driver knows no FEATURES_OK (VIRTIO 1.4 3.1.2). */
static bool step_is_possible(const struct virtio_device *dev, uint32_t bit, uint32_t needs)
{
    if (dev->legacy && bit == VIRTIO_STATUS_FEATURES_OK)
        return false;
    if (dev->legacy && bit == VIRTIO_STATUS_DRIVER_OK)
        needs = VIRTIO_STATUS_DRIVER;
    return (virtio_device_status(dev) & needs) == needs;
}

void virtio_device_set_status(struct virtio_device *dev, uint32_t value)
{
    if (atomic_load(&dev->resetting))
        return;
    if (value == 0) {
        reset(dev);
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(status_steps); i++) {
        uint32_t bit = status_steps[i].bit;
        if ((value & bit) && !device_has_status(dev, bit) &&
            step_is_possible(dev, bit, status_steps[i].needs))
            status_steps[i].step(dev, bit);
    }
}

void virtio_device_settle(struct virtio_device *dev)
{
    if (dev->cfg.ops->settle != NULL)
        dev->cfg.ops->settle(dev);
}

void virtio_device_set_legacy(struct virtio_device *dev, bool legacy)
{
    if (virtio_device_status(dev) != 0 || dev->legacy == legacy)
        return;
    dev->legacy = legacy;
    /* What was accepted by the other interface does not count. */
    memset(dev->accepted, 0, sizeof(dev->accepted));
    dev->accepted_beyond = false;
    default_queues(dev);
}

uint32_t virtio_device_status(const struct virtio_device *dev)
{
    return atomic_load(&dev->status);
}

static uint32_t feature_word(const uint64_t features[2], uint32_t word)
{
    return word < VIRTIO_FEATURE_WORDS ? (uint32_t)(features[word / 2] >> 32 * (word % 2)) : 0;
}

uint32_t virtio_device_features(const struct virtio_device *dev, uint32_t word)
{
    uint64_t low = dev->offered[0];
    if (dev->legacy)
        return word == 0 ? (uint32_t)((low & LEGACY_MASK) | LEGACY_ADDS) : 0;
    return feature_word(dev->offered, word);
}

uint32_t virtio_device_accepted(const struct virtio_device *dev, uint32_t word)
{
    return feature_word(dev->accepted, word) & virtio_device_features(dev, word);
}

void virtio_device_accept(struct virtio_device *dev, uint32_t word, uint32_t value)
{
    if (device_has_status(dev, VIRTIO_STATUS_FEATURES_OK) || dev->active ||
        atomic_load(&dev->resetting))
        return;
    if (word >= VIRTIO_FEATURE_WORDS || (dev->legacy && word > 0)) {
        dev->accepted_beyond |= value != 0;
        return;
    }
    /* No step refuses a legacy driver's choice: what was not offered does not count. */
    if (dev->legacy)
        value &= virtio_device_features(dev, word);
    set_half(&dev->accepted[word / 2], word % 2, value);
}

bool virtio_device_negotiated(const struct virtio_device *dev, unsigned feature)
{
    return (dev->legacy || device_has_status(dev, VIRTIO_STATUS_FEATURES_OK)) &&
           (dev->accepted[0] >> feature & 1) != 0;
}

/* ---- notifications ---- */

void virtio_device_legacy_kick(struct virtio_device *dev, uint32_t queue)
{
    if (!dev->active && device_has_status(dev, VIRTIO_STATUS_DRIVER) &&
        !atomic_load(&dev->resetting))
        evloop_call(dev->setup.loop, activate_on_loop, dev);
    virtio_device_kick(dev, queue);
}

void virtio_device_notified(struct virtio_device *dev, uint32_t value)
{
    /* Where the driver's index stands the ring says as well. */
    bool data = atomic_load(&dev->notify_data);
    virtio_device_kick(dev, data ? value & VIRTIO_NOTIFY_VQ_MASK : value);
}

const struct virtio_shm *virtio_device_shm(const struct virtio_device *dev, uint32_t id)
{
    for (unsigned i = 0; i < dev->cfg.shm_count; i++) {
        if (dev->cfg.shm[i].id == id)
            return &dev->cfg.shm[i];
    }
    return NULL;
}

/* ---- configuration space ---- */

struct config_access {
    struct virtio_device *dev;
    uint64_t offset;
    uint8_t bytes[8];
    unsigned width;
};

/* How much of the access is inside the configuration space. */
static unsigned config_inside(const struct config_access *a)
{
    unsigned bytes = a->dev->cfg.config_bytes;
    return a->offset < bytes ? (unsigned)min_u64(a->width, bytes - a->offset) : 0;
}

static int config_read_on_loop(void *arg)
{
    struct config_access *a = arg;
    unsigned len = config_inside(a);
    if (len > 0)
        memcpy(a->bytes, a->dev->cfg.config + a->offset, len);
    return 0;
}

static int config_write_on_loop(void *arg)
{
    struct config_access *a = arg;
    const struct virtio_device_config *cfg = &a->dev->cfg;
    unsigned begin = 0, end, len = config_inside(a);
    while (begin < len && !virtio_type_is_writable(cfg->type, a->offset + begin))
        begin++;
    for (end = begin; end < len && virtio_type_is_writable(cfg->type, a->offset + end);)
        end++;
    if (end > begin && cfg->ops->config_write != NULL)
        cfg->ops->config_write(a->dev, (unsigned)a->offset + begin, a->bytes + begin, end - begin);
    return 0;
}

uint64_t virtio_device_config_read(struct virtio_device *dev, uint64_t offset, unsigned width)
{
    struct config_access a = {.dev = dev, .offset = offset, .width = width};
    evloop_call(dev->setup.loop, config_read_on_loop, &a);
    return le_get(a.bytes, width);
}

void virtio_device_config_write(struct virtio_device *dev, uint64_t offset, unsigned width,
                                uint64_t value)
{
    struct config_access a = {.dev = dev, .offset = offset, .width = width};
    le_put(a.bytes, value, width);
    evloop_call(dev->setup.loop, config_write_on_loop, &a);
    virtio_device_settle(dev);
}

uint32_t virtio_device_generation(const struct virtio_device *dev)
{
    return atomic_load(&dev->generation);
}

void virtio_device_config_changed(struct virtio_device *dev)
{
    /* Reads happen on this thread too, so each sees all of the change or nothing of it. */
    atomic_fetch_add(&dev->generation, 1);
    if (atomic_load(&dev->running))
        notify_config(dev);
}

/* ---- life ---- */

static void offer(struct virtio_device *dev)
{
    uint64_t off = dev->setup.features_off & ~REQUIRED_FEATURES;
    uint64_t common = COMMON_FEATURES | (dev->setup.features_on & OPTIONAL_FEATURES);
    dev->offered[0] = (dev->cfg.features | common) & ~off;
    dev->offered[1] = dev->cfg.features_64;
}

int virtio_device_init(struct virtio_device *dev, const struct virtio_setup *setup,
                       const struct virtio_device_config *config)
{
    BUG_ON(config->queue_count == 0 || config->queue_count > VIRTIO_QUEUES_MAX);
    *dev = (struct virtio_device){.setup = *setup, .cfg = *config};
    offer(dev);
    if (setup->queue_size_max == 0)
        dev->setup.queue_size_max = VIRTIO_QUEUE_SIZE_DEFAULT;
    if (config->iov_max == 0)
        dev->cfg.iov_max = (unsigned)min_u64(dev->setup.queue_size_max, VQ_IOV_MAX);
    dev->queues = calloc(config->queue_count, sizeof(*dev->queues));
    if (dev->queues == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    int err = 0;
    for (unsigned i = 0; err == 0 && i < config->queue_count; i++)
        err = queue_init(&dev->queues[i], dev, i);
    if (err != 0) {
        fail(err, "virtio %s: eventfd", setup->name);
        virtio_device_fini(dev);
    }
    return err;
}

uint32_t virtio_device_seg_max(const struct virtio_device *dev)
{
    uint32_t split = UINT32_C(1) << (31 - __builtin_clz(dev->setup.queue_size_max));
    uint32_t descs = (uint32_t)min_u64(split, VQ_IOV_MAX);
    return descs > 2 ? descs - 2 : 1;
}

void virtio_device_fini(struct virtio_device *dev)
{
    for (unsigned i = 0; dev->queues != NULL && i < dev->cfg.queue_count; i++)
        queue_fini(&dev->queues[i]);
    free(dev->queues);
    dev->queues = NULL;
    while (dev->observers != NULL) {
        struct virtio_observer *o = dev->observers;
        dev->observers = o->next;
        o->destroy(o);
    }
}

void virtio_device_attach(struct virtio_device *dev, const struct virtio_host *host)
{
    dev->host = *host;
}

void virtio_device_detach(struct virtio_device *dev)
{
    reset(dev);
    virtio_device_settle(dev);
    dev->host = (struct virtio_host){0};
}
