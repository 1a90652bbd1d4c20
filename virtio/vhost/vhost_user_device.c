// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vhost/vhost_user_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "virtio/spec.h"
#include "virtio/vhost/vhost_user_job.h"

/* How long a job that is cancelled takes to end, at most; else it is cancelled again. */
#define CANCEL_MS 10

/* Of a local queue's chains; the others are not for this process. */
#define LOCAL_IOV_MAX 64u

/* What every device offers and the server must be able to do, ... */
#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
/* ... what it may be able to do, ... */
#define RING_OPTIONS (VIRTIO_BIT(VIRTIO_F_RING_PACKED) | VIRTIO_BIT(VIRTIO_F_IN_ORDER))
/* ... and what transport and device do without it. */
#define LOCAL_OPTIONS VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA)

static struct vhost_user_device *of(struct virtio_device *dev)
{
    return container_of(dev, struct vhost_user_device, dev);
}

static bool is_local(const struct vhost_user_device *v, unsigned queue)
{
    return v->type->is_local != NULL && v->type->is_local(v, queue);
}

/* ---- waiting for a job: not on the loop ---- */

static int cancel_on_loop(void *arg)
{
    struct vhost_user_device *v = arg;
    if (v->busy)
        (void)eventfd_write(v->cancel_fd, 1);
    return 0;
}

/* Is anything under way that the driver may rely on? */
static int is_unsettled_on_loop(void *arg)
{
    struct vhost_user_device *v = arg;
    bool unsettled = v->handed_over && v->told != v->setting;
    vhost_user_pursue(v);
    for (unsigned i = 0; i < vhost_user_ring_count(v); i++)
        unsettled |= v->queues[i].held && !v->queues[i].live;
    return v->busy && unsettled;
}

static void vud_settle(struct virtio_device *dev)
{
    struct vhost_user_device *v = of(dev);
    uint64_t end_ns = clock_now_ns(&clock_host) + VHOST_USER_SETTLE_MS * UINT64_C(1000000);
    while (evloop_call(v->cfg.setup.loop, is_unsettled_on_loop, v)) {
        uint64_t now = clock_now_ns(&clock_host);
        int left_ms = now < end_ns ? (int)((end_ns - now) / 1000000) : 0;
        if (evloop_lane_wait(v->lane, left_ms))
            continue;
        evloop_call(v->cfg.setup.loop, cancel_on_loop, v);
        /* Not longer: it may have ended just before, and the next be out already. */
        (void)evloop_lane_wait(v->lane, CANCEL_MS);
    }
}

/* ---- the device's operations ---- */

static int vud_queue_start(struct virtio_device *dev, unsigned queue)
{
    struct vhost_user_device *v = of(dev);
    struct vhost_user_queue *q = &v->queues[queue];
    const struct virtio_queue *from = &dev->queues[queue];
    if (is_local(v, queue) || queue >= vhost_user_ring_count(v))
        return 0;
    BUG_ON(q->held);
    q->ring = (struct vhost_user_ring){
        .index = queue,
        .size = from->config.size,
        .desc_gpa = from->config.desc,
        .driver_gpa = from->config.driver,
        .device_gpa = from->config.device,
        .kick_fd = from->kick_fd,
        .call_fd = q->call_fd,
        .err_fd = v->broken_fd,
    };
    q->packed = virtio_device_has(dev, VIRTIO_F_RING_PACKED);
    q->live = true;
    q->known = q->idle = false;
    vhost_user_device_changed(v);
    return 0;
}

static int vud_activate(struct virtio_device *dev)
{
    struct vhost_user_device *v = of(dev);
    v->active = true;
    v->activation++;
    if (v->type->activate != NULL)
        v->type->activate(v);
    vhost_user_device_changed(v);
    return 0;
}

static void vud_queue_stop(struct virtio_device *dev, unsigned queue)
{
    struct vhost_user_device *v = of(dev);
    struct vhost_user_queue *q = &v->queues[queue];
    if (q->known)
        virtio_queue_notify_by(dev, queue, -1);
    q->live = q->known = false;
    vhost_user_device_changed(v);
}

static bool vud_queue_is_stopping(const struct virtio_device *dev, unsigned queue)
{
    return container_of(dev, const struct vhost_user_device, dev)->queues[queue].held;
}

static void vud_kick(struct virtio_device *dev, unsigned queue)
{
    shared_event_signal(&of(dev)->kicks, dev->queues[queue].kick_fd);
}

static void vud_reset(struct virtio_device *dev)
{
    struct vhost_user_device *v = of(dev);
    v->active = v->handed_over = false;
    v->activation++;
    if (v->type->reset != NULL)
        v->type->reset(v);
    v->forget_inflight = v->busy;
    if (!v->busy)
        vhost_user_inflight_close(&v->inflight);
}

static void vud_config_write(struct virtio_device *dev, unsigned offset, const void *src,
                             unsigned len)
{
    struct vhost_user_device *v = of(dev);
    if (v->type->config_write != NULL)
        v->type->config_write(v, offset, src, len);
}

static void vud_features_ok(struct virtio_device *dev)
{
    struct vhost_user_device *v = of(dev);
    if (v->type->features_ok != NULL)
        v->type->features_ok(v);
}

static bool vud_queue_is_external(const struct virtio_device *dev, unsigned queue)
{
    return !is_local(container_of(dev, const struct vhost_user_device, dev), queue);
}

static void vud_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct vhost_user_device *v = of(dev);
    v->type->serve(v, queue);
}

static const struct virtio_device_ops vud_ops = {
    .config_write = vud_config_write,
    .features_ok = vud_features_ok,
    .activate = vud_activate,
    .queue_start = vud_queue_start,
    .queue_stop = vud_queue_stop,
    .queue_is_stopping = vud_queue_is_stopping,
    .queue_is_external = vud_queue_is_external,
    .queue_ready = vud_queue_ready,
    .kick = vud_kick,
    .settle = vud_settle,
    .reset = vud_reset,
};

/* ---- what comes from the server ---- */

static void on_call(void *ctx, uint32_t events)
{
    struct vhost_user_queue *q = ctx;
    (void)events;
    virtio_queue_notify(&q->v->dev, q->index);
}

static void on_broken(void *ctx, uint32_t events)
{
    struct vhost_user_device *v = ctx;
    (void)events;
    if (v->dev.running)
        virtio_device_fail(&v->dev, "its server found a broken ring");
}

/* ---- life ---- */

static int make_queues(struct vhost_user_device *v, unsigned count)
{
    v->queues = calloc(count, sizeof(*v->queues));
    if (v->queues == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++)
        v->queues[i] = (struct vhost_user_queue){.v = v, .index = i, .call_fd = -1};
    for (unsigned i = 0; i < count; i++) {
        struct vhost_user_queue *q = &v->queues[i];
        q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (q->call_fd < 0)
            return -errno;
        q->call = (struct ev_fd){.cb = on_call, .ctx = q};
        int err = evloop_event_add(v->cfg.setup.loop, &q->call, q->call_fd);
        if (err != 0)
            return err;
    }
    v->broken_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (v->broken_fd < 0)
        return -errno;
    v->broken = (struct ev_fd){.cb = on_broken, .ctx = v};
    return evloop_event_add(v->cfg.setup.loop, &v->broken, v->broken_fd);
}

static int init_virtio(struct vhost_user_device *v)
{
    const struct vhost_user_type *type = v->type;
    struct virtio_setup setup = v->cfg.setup;
    uint64_t features = v->vu.features;
    uint64_t own = ((features & type->features) | type->local_features) & ~setup.features_off;
    v->passed =
        features & (type->features | RING_FEATURES | RING_OPTIONS | VIRTIO_BIT(VIRTIO_F_VERSION_1));
    if (setup.features_on & ~features & VIRTIO_BIT(VIRTIO_F_RING_PACKED))
        log_warn("virtio %s: the vhost-user server %s has no packed rings: split ones are used",
                 setup.name, v->cfg.socket_path);
    setup.features_on &= features | LOCAL_OPTIONS;
    setup.features_off |= RING_FEATURES & ~features;
    int err =
        virtio_device_init(&v->dev, &setup,
                           &(struct virtio_device_config){
                               .type = type->device_type,
                               .ops = &vud_ops,
                               .features = type->consistent != NULL ? type->consistent(own) : own,
                               .config = v->config,
                               .config_bytes = type->config_bytes,
                               .queue_count = vhost_user_ring_count(v) + (type->is_local != NULL),
                               .iov_max = LOCAL_IOV_MAX,
                           });
    v->needed = v->passed & v->dev.offered[0];
    return err;
}

/* What the device allocates, which needs no server. */
static int make_own(struct vhost_user_device *v)
{
    v->job = calloc(1, sizeof(*v->job));
    if (v->job == NULL)
        return fail(-ENOMEM, "virtio %s", v->cfg.setup.name);
    v->job->work =
        (struct ev_work){.run = vhost_user_job_run, .done = vhost_user_job_done, .ctx = v};
    v->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (v->cancel_fd < 0)
        return fail(-errno, "virtio %s: eventfd", v->cfg.setup.name);
    int err = shared_event_signal_open(&v->kicks);
    if (err != 0)
        return fail(err, "virtio %s: asynchronous I/O (is the host's fs.aio-max-nr reached?)",
                    v->cfg.setup.name);
    err = evloop_lane_create(&v->lane, v->cfg.setup.loop, "vhost-user");
    return err != 0 ? fail(err, "virtio %s: a thread", v->cfg.setup.name) : 0;
}

/* All that needs the server, which has been connected to. */
static int init(struct vhost_user_device *v, int fd)
{
    const char *name = v->cfg.setup.name, *peer = v->cfg.socket_path;
    unsigned wanted = v->groups;
    int err = vhost_user_job_open(v, fd, v->cfg.cancel_fd != 0 ? v->cfg.cancel_fd : -1);
    if (err != 0)
        return fail_msg(err, "virtio %s: vhost-user server %s: %s", name, peer, v->vu.why);
    v->vu.cancel_fd = v->cancel_fd;
    v->groups = (unsigned)min_u64(v->job->queues, wanted);
    if (v->groups < wanted)
        log_warn("virtio %s: the vhost-user server %s has %u queues, not %u", name, peer, v->groups,
                 wanted);
    err = init_virtio(v);
    if (err != 0) /* reported */
        return err;
    (void)vhost_user_take_config(v);
    err = make_queues(v, v->dev.cfg.queue_count);
    if (err == 0)
        err = vhost_user_connected(v);
    return err != 0 ? fail(err, "virtio %s: eventfd", name) : 0;
}

static int connect_and_init(struct vhost_user_device *v)
{
    int err = make_own(v);
    if (err != 0)
        return err;
    int fd = vhost_user_job_connect(&v->cfg, v->cfg.cancel_fd != 0 ? v->cfg.cancel_fd : -1);
    if (fd < 0)
        return fail(fd, "virtio %s: connect to the vhost-user server %s", v->cfg.setup.name,
                    v->cfg.socket_path);
    return init(v, fd);
}

struct vhost_user_device *vhost_user_device_create(const struct vhost_user_type *type,
                                                   const struct vhost_user_setup *config, int *err)
{
    unsigned groups = config->groups != 0 ? config->groups : 1;
    unsigned local = type->is_local != NULL ? 1 : 0;
    BUG_ON(groups > (VIRTIO_QUEUES_MAX - local) / vhost_user_group(type));
    BUG_ON(type->config_bytes > VHOST_USER_CONFIG_MAX_BYTES);
    struct vhost_user_device *v = calloc(1, type->bytes);
    if (v == NULL) {
        *err = fail(-ENOMEM, "virtio %s", config->setup.name);
        return NULL;
    }
    *v = (struct vhost_user_device){
        .type = type,
        .cfg = *config,
        .groups = groups,
        .vu.fd = -1,
        .inflight.fd = -1,
        .backend_fd = -1,
        .broken_fd = -1,
        .cancel_fd = -1,
        .pursue = {.cb = vhost_user_pursue, .ctx = v},
        .retry = {.cb = vhost_user_retry, .ctx = v},
        .retry_ns = VHOST_USER_RETRY_NS,
    };
    *err = connect_and_init(v);
    if (*err == 0)
        return v;
    vhost_user_device_destroy(v);
    return NULL;
}

static int end_on_loop(void *arg)
{
    struct vhost_user_device *v = arg;
    v->ending = true;
    evloop_timer_cancel(v->cfg.setup.loop, &v->retry);
    evloop_defer_cancel(v->cfg.setup.loop, &v->pursue);
    return cancel_on_loop(v);
}

static int close_on_loop(void *arg)
{
    struct vhost_user_device *v = arg;
    struct evloop *loop = v->cfg.setup.loop;
    vhost_user_disconnect(v);
    for (unsigned i = 0; v->queues != NULL && i < v->dev.cfg.queue_count; i++) {
        evloop_fd_del(loop, &v->queues[i].call);
        if (v->queues[i].call_fd >= 0)
            close(v->queues[i].call_fd);
    }
    evloop_fd_del(loop, &v->broken);
    if (v->broken_fd >= 0)
        close(v->broken_fd);
    evloop_lane_destroy(v->lane);
    return 0;
}

void vhost_user_device_destroy(struct vhost_user_device *v)
{
    if (v == NULL)
        return;
    /* A job that is out ends at once; its done() comes before the second call. */
    evloop_call(v->cfg.setup.loop, end_on_loop, v);
    if (v->lane != NULL)
        (void)evloop_lane_wait(v->lane, -1);
    evloop_call(v->cfg.setup.loop, close_on_loop, v);
    if (v->cancel_fd >= 0)
        close(v->cancel_fd);
    shared_event_signal_close(&v->kicks);
    vhost_user_inflight_close(&v->inflight);
    free(v->job);
    free(v->queues);
    virtio_device_fini(&v->dev);
    free(v);
}
