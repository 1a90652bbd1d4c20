// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/state/state.h"
#include "virtio/base/device_impl.h"
#include "virtio/base/observer.h"
#include "virtio/spec.h"

#define VERSION      1u
#define CONFIG_BYTES 256u /* of any device's configuration space, at most */

#define STATUS_BITS                                                                 \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK | \
     VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_DEVICE_NEEDS_RESET | VIRTIO_STATUS_FAILED)

/* What the driver has made of a queue; whether it runs the device's status says. */
enum saved_queue {
    SAVED_UNSET,
    SAVED_RESET,
    SAVED_READY,
};

/* ---- held ---- */

static int hold_on_loop(void *arg)
{
    struct virtio_queue *q = arg;
    enum virtio_queue_state live = VIRTIO_QUEUE_LIVE;
    return atomic_compare_exchange_strong(&q->state, &live, VIRTIO_QUEUE_HELD);
}

/* Is all that is in flight waiting in the device? */
static int is_idle_on_loop(void *arg)
{
    struct virtio_queue *q = arg;
    const struct virtio_device_ops *ops = q->dev->cfg.ops;
    if (atomic_load(&q->state) != VIRTIO_QUEUE_HELD)
        return !queue_is_stopping(q);
    unsigned waiting = ops->queue_hold != NULL ? ops->queue_hold(q->dev, q->index) : 0;
    queue_flush(q);
    return vq_in_flight(&q->vq) == waiting;
}

static bool on_each_loop(struct virtio_device *dev, int (*call)(void *arg))
{
    bool all = true;
    for (unsigned i = 0; i < dev->cfg.queue_count; i++)
        all &= evloop_call(dev->queues[i].loop, call, &dev->queues[i]) != 0;
    return all;
}

void virtio_device_hold(struct virtio_device *dev)
{
    on_each_loop(dev, hold_on_loop);
}

bool virtio_device_is_idle(struct virtio_device *dev)
{
    return on_each_loop(dev, is_idle_on_loop);
}

void virtio_device_release(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->cfg.queue_count; i++)
        if (atomic_load(&dev->queues[i].state) == VIRTIO_QUEUE_HELD)
            queue_go(&dev->queues[i]);
}

static int in_flight_on_loop(void *arg)
{
    struct virtio_queue *q = arg;
    enum virtio_queue_state state = atomic_load(&q->state);
    return state == VIRTIO_QUEUE_LIVE || state == VIRTIO_QUEUE_HELD ? (int)vq_in_flight(&q->vq) : 0;
}

unsigned virtio_queue_in_flight(struct virtio_device *dev, unsigned queue)
{
    struct virtio_queue *q = &dev->queues[queue];
    return virtio_queue_is_external(dev, queue)
               ? 0
               : (unsigned)evloop_call(q->loop, in_flight_on_loop, q);
}

/* ---- saved and loaded ---- */

static enum saved_queue saved_as(enum virtio_queue_state state)
{
    if (state >= VIRTIO_QUEUE_READY)
        return SAVED_READY;
    return state == VIRTIO_QUEUE_RESET ? SAVED_RESET : SAVED_UNSET;
}

static void queue_state(struct virtio_queue *q, struct state *s)
{
    static const enum virtio_queue_state loaded_as[] = {
        [SAVED_UNSET] = VIRTIO_QUEUE_UNSET,
        [SAVED_RESET] = VIRTIO_QUEUE_RESET,
        [SAVED_READY] = VIRTIO_QUEUE_READY,
    };
    struct vq_config *config = &q->config;
    uint32_t position = vq_is_active(&q->vq) ? vq_position(&q->vq) : 0;
    if (!state_begin(s, "queue", q->index, VERSION))
        return;
    config->size = (uint32_t)state_number(s, "size", config->size, UINT32_MAX);
    config->desc = state_number(s, "desc", config->desc, UINT64_MAX);
    config->driver = state_number(s, "driver", config->driver, UINT64_MAX);
    config->device = state_number(s, "device", config->device, UINT64_MAX);
    uint64_t saved = state_number(s, "state", saved_as(atomic_load(&q->state)), SAVED_READY);
    q->position = (uint32_t)state_number(s, "position", position, UINT32_MAX);
    state_end(s);
    if (!s->loads || s->err != 0)
        return;
    q->resumes = saved == SAVED_READY;
    atomic_store(&q->state, loaded_as[saved]);
}

/* What the driver has written into registers. */
static void driver_state(struct virtio_device *dev, struct state *s)
{
    uint64_t status = state_number(s, "status", virtio_device_status(dev), STATUS_BITS);
    atomic_store(&dev->status, (uint32_t)status);
    dev->legacy = state_number(s, "legacy", dev->legacy, true);
    dev->accepted[0] = state_number(s, "accepted", dev->accepted[0], UINT64_MAX);
    dev->accepted[1] = state_number(s, "accepted_64", dev->accepted[1], UINT64_MAX);
    dev->accepted_beyond = state_number(s, "accepted_beyond", dev->accepted_beyond, true);
    dev->active = state_number(s, "active", dev->active, true);
    if (!s->loads)
        return;
    bool has_features = dev->legacy || device_has_status(dev, VIRTIO_STATUS_FEATURES_OK);
    if (has_features && !device_accepts(dev))
        state_refuse(s, "its driver uses features that this device does not offer");
    if (dev->active && !(has_features && device_has_status(dev, VIRTIO_STATUS_DRIVER)))
        state_refuse(s, "it runs before its driver has started it");
}

/* What else the driver sees; it is told if that is not what it saw before. */
static void config_state(struct virtio_device *dev, struct state *s)
{
    const struct virtio_device_config *cfg = &dev->cfg;
    uint8_t seen[CONFIG_BYTES];
    BUG_ON(cfg->config_bytes > sizeof(seen));
    if (cfg->config_bytes == 0)
        return;
    memcpy(seen, cfg->config, cfg->config_bytes);
    state_bytes(s, "config", seen, cfg->config_bytes);
    if (s->loads && memcmp(seen, cfg->config, cfg->config_bytes) != 0)
        virtio_device_config_changed(dev);
}

struct on_loop {
    struct virtio_device *dev;
    struct state *s;
};

/* Activation may change the configuration, of which the driver has been told long since. */
static int state_on_loop(void *arg)
{
    struct virtio_device *dev = ((struct on_loop *)arg)->dev;
    struct state *s = ((struct on_loop *)arg)->s;
    bool failed = device_has_status(dev, VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    bool goes = s->loads && dev->active && !failed;
    uint64_t generation = state_number(s, "generation", dev->generation, UINT32_MAX);
    if (goes && s->err == 0 && device_start(dev) != 0)
        state_refuse(s, "it cannot be started");
    atomic_store(&dev->generation, (uint32_t)generation);
    if (dev->cfg.ops->state != NULL)
        dev->cfg.ops->state(dev, s);
    if (s->err != 0)
        return 0;
    if (goes)
        atomic_store(&dev->running, true);
    config_state(dev, s);
    if (goes && s->err == 0)
        device_go(dev);
    return 0;
}

static bool has_external_queues(const struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->cfg.queue_count; i++)
        if (virtio_queue_is_external(dev, i))
            return true;
    return false;
}

void virtio_device_state(struct virtio_device *dev, struct state *s)
{
    if (!state_begin(s, dev->cfg.type->name, 0, VERSION))
        return;
    if (has_external_queues(dev))
        state_refuse(s, "the kernel or another process serves its queues");
    else if (dev->observed & VIRTIO_SEES_ORDER)
        state_refuse(s, "it is recorded");
    else
        driver_state(dev, s);
    for (unsigned i = 0; s->err == 0 && i < dev->cfg.queue_count; i++)
        queue_state(&dev->queues[i], s);
    if (s->loads)
        virtio_observe(dev, VIRTIO_ON_LOAD, NULL, NULL, 0);
    if (s->err == 0)
        evloop_call(dev->setup.loop, state_on_loop, &(struct on_loop){dev, s});
    state_end(s);
}
