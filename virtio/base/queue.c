// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "virtio/base/device_impl.h"
#include "virtio/base/observer.h"
#include "virtio/spec.h"

/* ---- its state, see enum virtio_queue_state ---- */

/* From that state to another; false: it is in a third. */
static bool change(struct virtio_queue *q, enum virtio_queue_state from, enum virtio_queue_state to)
{
    return atomic_compare_exchange_strong(&q->state, &from, to);
}

bool queue_is_stopping(const struct virtio_queue *q)
{
    enum virtio_queue_state state = atomic_load(&q->state);
    return state == VIRTIO_QUEUE_STOPPING || state == VIRTIO_QUEUE_RESETTING;
}

/* Registers may turn one into the other meanwhile. */
bool queue_let_go(struct virtio_queue *q)
{
    while (queue_is_stopping(q))
        if (change(q, VIRTIO_QUEUE_STOPPING, VIRTIO_QUEUE_UNSET) ||
            change(q, VIRTIO_QUEUE_RESETTING, VIRTIO_QUEUE_RESET))
            return true;
    return false;
}

/* ---- at work: on its loop ---- */

bool virtio_queue_turn_is_over(struct virtio_device *dev, unsigned queue)
{
    if ((dev->observed & VIRTIO_SEES_ORDER) || !evloop_turn_is_over(dev->queues[queue].loop))
        return false;
    virtio_queue_serve_later(dev, queue);
    return true;
}

void virtio_queue_serve(struct virtio_device *dev, unsigned queue)
{
    struct virtio_queue *q = &dev->queues[queue];
    if (!virtio_queue_runs(q))
        return;
    if (virtio_queue_turn_is_over(dev, queue))
        return;
    q->turn = VIRTIO_TURN_CHAINS;
    vq_notify_off(&q->vq);
    virtio_observe(q->dev, VIRTIO_ON_TURN, q, NULL, 0);
    dev->cfg.ops->queue_ready(dev, queue);
    virtio_observe(q->dev, VIRTIO_ON_TURN_END, q, NULL, 0);
}

void virtio_queue_serve_later(struct virtio_device *dev, unsigned queue)
{
    struct virtio_queue *q = &dev->queues[queue];
    if (virtio_queue_runs(q)) /* stop() skips any other queue */
        evloop_defer(q->loop, &q->again);
}

static void on_kick(void *ctx, uint32_t events)
{
    struct virtio_queue *q = ctx;
    (void)events;
    virtio_observe(q->dev, VIRTIO_ON_KICK, q, NULL, 0);
    virtio_queue_serve(q->dev, q->index);
}

static void on_again(void *ctx)
{
    struct virtio_queue *q = ctx;
    virtio_queue_serve(q->dev, q->index);
}

void queue_flush(struct virtio_queue *q)
{
    if (!atomic_load_explicit(&q->dev->running, memory_order_relaxed))
        return;
    bool interrupt = vq_flush(&q->vq) || q->interrupt_due;
    q->interrupt_due = false;
    virtio_observe(q->dev, VIRTIO_ON_FLUSH, q, NULL, interrupt);
    if (interrupt)
        q->dev->host.ops->notify_queue(q->dev->host.ctx, q->index);
}

static void on_flush(void *ctx)
{
    queue_flush(ctx);
}

/* ---- a dry queue: see evloop_poll_add() ---- */

static bool look(void *ctx)
{
    struct virtio_queue *q = ctx;
    if (!virtio_queue_runs(q) || !vq_available(&q->vq))
        return false;
    virtio_observe(q->dev, VIRTIO_ON_FOUND, q, NULL, true);
    virtio_queue_serve_later(q->dev, q->index);
    return true;
}

static bool stop_looking(void *ctx)
{
    struct virtio_queue *q = ctx;
    if (!virtio_queue_runs(q) || !vq_notify_on(&q->vq))
        return false;
    virtio_observe(q->dev, VIRTIO_ON_FOUND, q, NULL, false);
    virtio_queue_serve_later(q->dev, q->index);
    return true;
}

struct vq_chain *virtio_queue_next(struct virtio_device *dev, unsigned queue)
{
    struct virtio_queue *q = &dev->queues[queue];
    if (!virtio_queue_runs(q))
        return NULL;
    /* A look that finds nothing costs a turn too: the guest may make chains appear and vanish. */
    for (; q->turn > 0; q->turn--) {
        struct vq_chain *chain;
        int got = vq_pop(&q->vq, &chain);
        if (got < 0) {
            virtio_observe(q->dev, VIRTIO_ON_BROKEN, q, NULL, 0);
            virtio_device_fail(dev, q->vq.error);
            return NULL;
        }
        if (got > 0) {
            q->turn -= (unsigned)min_u64(1 + chain->iov_count / VIRTIO_TURN_BUFFERS, q->turn);
            virtio_observe(dev, VIRTIO_ON_TAKE, q, chain, 0);
            return chain;
        }
        virtio_observe(q->dev, VIRTIO_ON_EMPTY, q, NULL, 0);
        bool polled = !(dev->observed & VIRTIO_SEES_KICKS) && evloop_poll_add(q->loop, &q->poll);
        if (polled || !vq_notify_on(&q->vq))
            return NULL;
        virtio_observe(q->dev, VIRTIO_ON_MORE, q, NULL, 0);
        vq_notify_off(&q->vq);
    }
    virtio_queue_serve_later(dev, queue);
    return NULL;
}

bool virtio_queue_has_next(struct virtio_device *dev, unsigned queue)
{
    struct virtio_queue *q = &dev->queues[queue];
    bool some = vq_available(&q->vq);
    virtio_observe(q->dev, VIRTIO_ON_LOOK, q, NULL, some);
    return some;
}

void virtio_queue_push(struct virtio_device *dev, unsigned queue, struct vq_chain *chain)
{
    struct virtio_queue *q = &dev->queues[queue];
    virtio_observe(dev, VIRTIO_ON_GIVE, q, chain, 0);
    vq_push(&q->vq, chain);
    evloop_defer(q->loop, &q->flush);
}

void virtio_queue_show(struct virtio_device *dev, unsigned queue)
{
    struct virtio_queue *q = &dev->queues[queue];
    if (dev->observed == 0 && virtio_queue_runs(q))
        q->interrupt_due |= vq_flush(&q->vq);
}

bool virtio_queue_is_external(const struct virtio_device *dev, unsigned queue)
{
    return dev->cfg.ops->queue_is_external != NULL && dev->cfg.ops->queue_is_external(dev, queue);
}

void virtio_queue_notify(struct virtio_device *dev, unsigned queue)
{
    struct virtio_queue *q = &dev->queues[queue];
    if (!virtio_queue_runs(q))
        return;
    virtio_observe(q->dev, VIRTIO_ON_INTERRUPT, q, NULL, 0);
    dev->host.ops->notify_queue(dev->host.ctx, queue);
}

void virtio_queue_notify_by(struct virtio_device *dev, unsigned queue, int eventfd)
{
    if (dev->host.ops->notify_by != NULL && !(dev->observed & VIRTIO_SEES_INTERRUPTS))
        dev->host.ops->notify_by(dev->host.ctx, queue, eventfd);
}

/* ---- it comes and goes: on its loop, called from the device's ---- */

static int start_on_loop(void *arg)
{
    struct virtio_queue *q = arg;
    struct virtio_device *dev = q->dev;
    bool external = virtio_queue_is_external(dev, q->index);
    struct vq_setup setup = {
        .format = dev->format,
        .config = &q->config,
        .gmem = dev->setup.gmem,
        .features = dev->features[0],
        .size_max = virtio_device_queue_size_max(dev, q->index),
        .iov_max = external ? 1 : dev->cfg.iov_max,
    };
    virtio_observe(q->dev, VIRTIO_ON_START, q, NULL, q->resumes);
    int err = vq_activate(&q->vq, &setup);
    if (err == 0 && q->resumes && !vq_seek(&q->vq, q->position)) {
        vq_deactivate(&q->vq);
        q->vq.error = "its position is not in the ring";
        err = -EINVAL;
    }
    q->resumes = false;
    q->interrupt_due = false;
    if (err != 0)
        return err;
    atomic_store(&q->state, VIRTIO_QUEUE_STARTED);
    if (!external)
        err = evloop_event_add(q->loop, &q->kick, q->kick_fd);
    const char *why = "its kick cannot be waited for";
    if (err == 0 && dev->cfg.ops->queue_start != NULL) {
        err = dev->cfg.ops->queue_start(dev, q->index);
        why = "the device cannot run a queue of that size";
    }
    if (err != 0) {
        evloop_fd_del(q->loop, &q->kick);
        vq_deactivate(&q->vq);
        q->vq.error = why;
        atomic_store(&q->state, VIRTIO_QUEUE_READY);
    }
    return err;
}

static int go_on_loop(void *arg)
{
    struct virtio_queue *q = arg;
    atomic_store(&q->state, VIRTIO_QUEUE_LIVE);
    /* What was published before the guest could be told to kick. */
    if (!virtio_queue_is_external(q->dev, q->index))
        virtio_queue_serve_later(q->dev, q->index);
    return 0;
}

static int stop(struct virtio_queue *q, enum virtio_queue_state meanwhile)
{
    if (!vq_is_active(&q->vq))
        return 0;
    atomic_store(&q->state, meanwhile);
    evloop_fd_del(q->loop, &q->kick);
    const struct virtio_device_ops *ops = q->dev->cfg.ops;
    ops->queue_stop(q->dev, q->index);
    if (ops->queue_is_stopping == NULL || !ops->queue_is_stopping(q->dev, q->index))
        queue_let_go(q);
    evloop_poll_del(q->loop, &q->poll);
    evloop_defer_cancel(q->loop, &q->again);
    evloop_defer_cancel(q->loop, &q->flush);
    vq_deactivate(&q->vq);
    virtio_observe(q->dev, VIRTIO_ON_STOP, q, NULL, 0);
    return 0;
}

static int stop_on_loop(void *arg)
{
    return stop(arg, VIRTIO_QUEUE_STOPPING);
}

static int reset_on_loop(void *arg)
{
    return stop(arg, VIRTIO_QUEUE_RESETTING);
}

int queue_start(struct virtio_queue *q)
{
    return evloop_call(q->loop, start_on_loop, q);
}

void queue_go(struct virtio_queue *q)
{
    evloop_call(q->loop, go_on_loop, q);
}

void queue_stop(struct virtio_queue *q)
{
    evloop_call(q->loop, stop_on_loop, q);
}

/* A queue that the driver enables while the device runs. */
static int join_on_loop(void *arg)
{
    struct virtio_queue *q = arg;
    if (!atomic_load(&q->dev->running))
        return 0;
    if (start_on_loop(q) == 0)
        return go_on_loop(q);
    virtio_device_fail(q->dev, q->vq.error);
    return 0;
}

/* ---- from registers ---- */

/* A split ring's size is a power of two (VIRTIO 1.4 2.7), which it stays until packed is chosen. */
static uint32_t size_max(const struct virtio_device *dev)
{
    uint32_t max = dev->setup.queue_size_max;
    if (virtio_device_negotiated(dev, VIRTIO_F_RING_PACKED))
        return max;
    return UINT32_C(1) << (31 - __builtin_clz(max));
}

static struct vq_config config_default(const struct virtio_queue *q)
{
    return (struct vq_config){.size = size_max(q->dev)};
}

void queue_default(struct virtio_queue *q)
{
    q->config = config_default(q);
    q->resumes = false; /* a device may be loaded that needs this reset */
    if (!change(q, VIRTIO_QUEUE_RESETTING, VIRTIO_QUEUE_STOPPING) && !queue_is_stopping(q))
        atomic_store(&q->state, VIRTIO_QUEUE_UNSET);
}

uint32_t virtio_device_queue_size_max(const struct virtio_device *dev, uint32_t queue)
{
    return queue < dev->cfg.queue_count ? size_max(dev) : 0;
}

const struct vq_config *virtio_device_queue_config(const struct virtio_device *dev, uint32_t queue)
{
    return queue < dev->cfg.queue_count ? &dev->queues[queue].config : NULL;
}

/*
 * Before DRIVER_OK, and then only what was reset alone: a queue that was left out has had its time
 * (VIRTIO 1.4 3.1.1).
 */
static bool may_configure(const struct virtio_device *dev, const struct virtio_queue *q)
{
    enum virtio_queue_state state = atomic_load(&q->state);
    if (state != VIRTIO_QUEUE_UNSET)
        return state == VIRTIO_QUEUE_RESET;
    return dev->legacy || (device_has_status(dev, VIRTIO_STATUS_FEATURES_OK) &&
                           !device_has_status(dev, VIRTIO_STATUS_DRIVER_OK));
}

struct vq_config *virtio_device_queue_writable(struct virtio_device *dev, uint32_t queue)
{
    if (queue >= dev->cfg.queue_count)
        return NULL;
    struct virtio_queue *q = &dev->queues[queue];
    return may_configure(dev, q) ? &q->config : NULL;
}

void virtio_legacy_lay_out(struct vq_config *config, uint64_t gpa, uint64_t align)
{
    config->desc = gpa;
    config->driver = config->desc + (uint64_t)VIRTQ_DESC_BYTES * config->size;
    uint64_t end = config->driver + VIRTQ_AVAIL_BYTES((uint64_t)config->size);
    config->device = align_down(end + align - 1, align);
}

bool virtio_device_queue_ready(const struct virtio_device *dev, uint32_t queue)
{
    return queue < dev->cfg.queue_count &&
           atomic_load(&dev->queues[queue].state) >= VIRTIO_QUEUE_READY;
}

void virtio_device_set_queue_ready(struct virtio_device *dev, uint32_t queue, bool ready)
{
    if (queue >= dev->cfg.queue_count)
        return;
    struct virtio_queue *q = &dev->queues[queue];
    if (ready && may_configure(dev, q)) {
        atomic_store(&q->state, VIRTIO_QUEUE_READY);
        if (dev->active)
            evloop_call(q->loop, join_on_loop, q);
    }
    if (!ready && virtio_device_queue_ready(dev, queue)) {
        queue_stop(q);
        virtio_device_settle(dev);
        change(q, VIRTIO_QUEUE_READY, VIRTIO_QUEUE_UNSET);
    }
}

void virtio_device_queue_reset(struct virtio_device *dev, uint32_t queue)
{
    if (!virtio_device_queue_ready(dev, queue) ||
        !device_has_status(dev, VIRTIO_STATUS_DRIVER_OK) ||
        !virtio_device_negotiated(dev, VIRTIO_F_RING_RESET))
        return;
    struct virtio_queue *q = &dev->queues[queue];
    evloop_call(q->loop, reset_on_loop, q);
    change(q, VIRTIO_QUEUE_READY, VIRTIO_QUEUE_RESET);
    q->config = config_default(q);
}

bool virtio_device_queue_resetting(const struct virtio_device *dev, uint32_t queue)
{
    return queue < dev->cfg.queue_count &&
           atomic_load(&dev->queues[queue].state) == VIRTIO_QUEUE_RESETTING;
}

int virtio_device_kick_fd(const struct virtio_device *dev, uint32_t queue)
{
    bool rings = dev->active && !(dev->observed & VIRTIO_SEES_KICKS) &&
                 virtio_device_queue_ready(dev, queue);
    return rings ? dev->queues[queue].kick_fd : -1;
}

void virtio_device_kick(struct virtio_device *dev, uint32_t queue)
{
    /* Before activation no loop polls the eventfd; a spurious wake-up later does no harm. */
    if (queue >= dev->cfg.queue_count)
        return;
    virtio_observe(dev, VIRTIO_ON_REGISTER_KICK, &dev->queues[queue], NULL, 0);
    if (dev->cfg.ops->kick != NULL)
        dev->cfg.ops->kick(dev, queue);
    else
        (void)eventfd_write(dev->queues[queue].kick_fd, 1);
}

/* ---- life ---- */

int queue_init(struct virtio_queue *q, struct virtio_device *dev, unsigned index)
{
    struct evloop *const *loops = dev->cfg.queue_loops;
    *q = (struct virtio_queue){
        .dev = dev,
        .index = index,
        .loop = loops != NULL ? loops[index] : dev->setup.loop,
        .kick = {.cb = on_kick, .ctx = q},
        .again = {.cb = on_again, .ctx = q},
        .poll = {.look = look, .sleep = stop_looking, .ctx = q},
        .flush = {.cb = on_flush, .ctx = q},
        .kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
    };
    queue_default(q);
    return q->kick_fd < 0 ? -errno : 0;
}

void queue_fini(struct virtio_queue *q)
{
    if (q->dev != NULL && q->kick_fd >= 0)
        close(q->kick_fd);
}
