// SPDX-License-Identifier: BSD-2-Clause
/*
 * The loop's half of the conversation with a server: finds where what the driver wants differs from
 * what the server is known to have, makes a job of it, and takes the job's results.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/peers/foreign_fd.h"
#include "virtio/spec.h"
#include "virtio/vhost/vhost_user_job.h"

/* A connection that lasts as long starts the count of tries anew. */
#define STABLE_NS    (10 * VHOST_USER_RETRY_NS)
#define RETRY_MAX_NS (32 * VHOST_USER_RETRY_NS)
#define MINUTE_NS    (60 * VHOST_USER_RETRY_NS)
#define SPOKEN_MAX   100u /* times that a server may speak first in a minute */

static uint64_t now_ns(const struct vhost_user_device *v)
{
    return clock_now_ns(v->cfg.clock != NULL ? v->cfg.clock : &clock_host);
}

static const struct virtqueue *vq_of(const struct vhost_user_queue *q)
{
    return &q->v->dev.queues[q->index].vq;
}

static bool is_disabled(const struct vhost_user_device *v, unsigned queue)
{
    return v->type->is_disabled != NULL && v->type->is_disabled(v, queue);
}

static void set_connected(struct vhost_user_device *v, bool connected)
{
    v->connected = connected;
    if (v->type->connection != NULL)
        v->type->connection(v);
}

void vhost_user_device_changed(struct vhost_user_device *v)
{
    evloop_defer(v->cfg.setup.loop, &v->pursue);
}

/* ---- the connection ends: no job is out ---- */

static void unwatch(struct vhost_user_device *v)
{
    evloop_fd_del(v->cfg.setup.loop, &v->socket);
    evloop_fd_del(v->cfg.setup.loop, &v->backend);
}

void vhost_user_disconnect(struct vhost_user_device *v)
{
    unwatch(v);
    if (v->backend_fd >= 0)
        foreign_socket_close(v->backend_fd);
    v->backend_fd = -1;
    vhost_user_close(&v->vu);
    v->handed_over = v->config_stale = false;
    if (v->connected)
        set_connected(v, false);
}

/* Did everything come back that the driver ever gave? A packed ring does not tell. */
static bool is_idle(const struct vhost_user_queue *q)
{
    uint16_t avail, used;
    if (q->packed)
        return false;
    vq_split_indices(vq_of(q), &avail, &used);
    return avail == used;
}

/* The server has let go of the ring, or has lost it. */
static void release_ring(struct vhost_user_queue *q)
{
    q->held = q->served = false;
    if (!q->live)
        virtio_queue_stopped(&q->v->dev, q->index);
}

static void lose(struct vhost_user_device *v, const char *why)
{
    if (!v->connected)
        return;
    log_warn("virtio %s: lost the vhost-user server %s: %s; requests wait until it is back",
             v->cfg.setup.name, v->cfg.socket_path, why);
    vhost_user_disconnect(v);
    for (unsigned i = 0; i < v->dev.cfg.queue_count; i++) {
        struct vhost_user_queue *q = &v->queues[i];
        if (q->held && q->live)
            q->idle = is_idle(q);
        if (q->held)
            release_ring(q);
    }
    /* A server that goes at once is given more time at each try. */
    uint64_t now = now_ns(v);
    bool stable = now - v->since_ns >= STABLE_NS;
    v->retry_ns = stable ? VHOST_USER_RETRY_NS : min_u64(2 * v->retry_ns, RETRY_MAX_NS);
    evloop_timer_set(v->cfg.setup.loop, &v->retry, now + v->retry_ns);
}

/* ---- a job: from what differs ---- */

/* Whether there is anything to do for the ring; if so, what. */
static bool plan_ring(struct vhost_user_queue *q, struct vhost_user_job_ring *r)
{
    struct vhost_user_device *v = q->v;
    *r = (struct vhost_user_job_ring){
        .ring = q->ring, .packed = q->packed, .known = q->known, .idle = q->idle};
    r->ring.disabled = is_disabled(v, q->index);
    if (q->held && !q->live) {
        r->work = VHOST_USER_RING_STOP;
    } else if (q->live && !q->held && v->active && atomic_load(&v->dev.running)) {
        r->work = VHOST_USER_RING_START;
        if (q->known && !q->packed) {
            uint16_t avail, used;
            vq_split_indices(vq_of(q), &avail, &used);
            r->ring.base = used;
        }
        q->held = true;
    } else if (q->served && q->live && r->ring.disabled != q->disabled) {
        r->work = VHOST_USER_RING_SWITCH;
    }
    return r->work != VHOST_USER_RING_LEAVE;
}

/* Whether there is anything to do. */
static bool plan(struct vhost_user_device *v, struct vhost_user_job *job)
{
    const struct virtio_device *dev = &v->dev;
    job->activation = v->activation;
    job->connect = !v->connected;
    job->features = dev->features[0] & v->passed;
    job->in_order = virtio_device_has(dev, VIRTIO_F_IN_ORDER);
    job->setting = v->setting;
    job->hand_over = job->tell = job->get_config = job->recorded = false;
    if (job->connect) {
        bool due = v->connect_due;
        v->connect_due = false;
        return due;
    }
    job->hand_over = v->active && !v->handed_over;
    job->tell = v->handed_over && v->told != v->setting;
    job->get_config = v->config_stale;
    v->config_stale = false;
    bool any = job->hand_over || job->tell || job->get_config;
    for (unsigned i = 0; i < vhost_user_ring_count(v); i++)
        any |= plan_ring(&v->queues[i], &job->rings[i]);
    return any;
}

void vhost_user_pursue(void *ctx)
{
    struct vhost_user_device *v = ctx;
    if (v->busy || v->ending || !plan(v, v->job))
        return;
    unwatch(v); /* what comes now is an answer */
    v->busy = true;
    evloop_lane_submit(v->lane, &v->job->work);
}

/* ---- a job's results ---- */

static void ring_started(struct vhost_user_queue *q, const struct vhost_user_job_ring *r)
{
    struct vhost_user_device *v = q->v;
    bool was_known = q->known;
    q->served = r->done;
    q->disabled = r->ring.disabled;
    q->known |= r->ring.begun;
    if (!r->ring.begun)
        release_ring(q);
    if (!q->live)
        return;
    if (r->unknown && v->dev.running)
        virtio_device_fail(&v->dev,
                           "its server exited with requests in flight that cannot be repeated");
    if (r->refused && v->dev.running)
        virtio_device_fail(&v->dev, "its server refuses the queue");
    if (!r->done)
        return;
    /* What was published before; the last server may have taken a kick, or kept an interrupt. */
    shared_event_signal(&v->kicks, q->ring.kick_fd);
    if (was_known) {
        virtio_queue_notify_by(&v->dev, q->index, -1);
        virtio_queue_notify(&v->dev, q->index);
    }
    virtio_queue_notify_by(&v->dev, q->index, q->call_fd);
}

static void take_ring(struct vhost_user_queue *q, const struct vhost_user_job_ring *r)
{
    switch (r->work) {
    case VHOST_USER_RING_STOP:
        if (r->done)
            release_ring(q);
        break;
    case VHOST_USER_RING_START:
        ring_started(q, r);
        break;
    case VHOST_USER_RING_SWITCH:
        if (r->done)
            q->disabled = r->ring.disabled;
        break;
    case VHOST_USER_RING_LEAVE:
        break;
    }
}

/* Whether the driver sees other bytes now. */
bool vhost_user_take_config(struct vhost_user_device *v)
{
    uint8_t old[VHOST_USER_CONFIG_MAX_BYTES];
    unsigned bytes = v->type->config_bytes;
    if (v->type->own_config)
        return false;
    memcpy(old, v->config, bytes);
    memcpy(v->config, v->job->config, bytes);
    if (v->type->config_fix != NULL)
        v->type->config_fix(v);
    return memcmp(old, v->config, bytes) != 0;
}

static void on_socket(void *ctx, uint32_t events);
static void on_backend(void *ctx, uint32_t events);

static int watch(struct vhost_user_device *v)
{
    v->socket = (struct ev_fd){.cb = on_socket, .ctx = v};
    v->backend = (struct ev_fd){.cb = on_backend, .ctx = v};
    int err = evloop_fd_add(v->cfg.setup.loop, &v->socket, v->vu.fd, EPOLLIN);
    if (err == 0 && v->backend_fd >= 0)
        err = evloop_fd_add(v->cfg.setup.loop, &v->backend, v->backend_fd, EPOLLIN);
    return err;
}

int vhost_user_connected(struct vhost_user_device *v)
{
    int err = watch(v);
    v->since_ns = now_ns(v);
    if (err == 0)
        set_connected(v, true);
    return err;
}

static void connect_failed(struct vhost_user_device *v)
{
    /* A missing server costs nothing; one that answers wrongly may cost a deadline each time. */
    if (v->job->found) {
        log_debug("virtio %s: vhost-user server %s: %s", v->cfg.setup.name, v->cfg.socket_path,
                  v->vu.why);
        v->retry_ns = min_u64(2 * v->retry_ns, RETRY_MAX_NS);
    }
    vhost_user_disconnect(v);
    evloop_timer_set(v->cfg.setup.loop, &v->retry, now_ns(v) + v->retry_ns);
}

static void take_results(struct vhost_user_device *v)
{
    const struct vhost_user_job *job = v->job;
    if (job->connect && job->err != 0) {
        connect_failed(v);
        return;
    }
    if (job->connect) {
        v->since_ns = now_ns(v);
        set_connected(v, true);
        log_warn("virtio %s: the vhost-user server %s is back", v->cfg.setup.name,
                 v->cfg.socket_path);
    }
    for (unsigned i = 0; i < vhost_user_ring_count(v) && !job->connect; i++)
        take_ring(&v->queues[i], &job->rings[i]);
    if (job->err != 0) {
        lose(v, v->vu.why);
        return;
    }
    if (job->hand_over && job->activation == v->activation)
        v->handed_over = true;
    if (job->hand_over || job->tell)
        v->told = job->setting;
    if ((job->connect || job->get_config) && vhost_user_take_config(v))
        virtio_device_config_changed(&v->dev);
    if (watch(v) != 0)
        lose(v, "its socket cannot be waited for");
}

void vhost_user_job_done(void *ctx)
{
    struct vhost_user_device *v = ctx;
    eventfd_t written;
    v->busy = false;
    (void)eventfd_read(v->cancel_fd, &written);
    if (v->forget_inflight)
        vhost_user_inflight_close(&v->inflight);
    v->forget_inflight = false;
    if (v->ending)
        return;
    take_results(v);
    vhost_user_device_changed(v);
}

/* ---- the server speaks, or goes ---- */

/* Answers are read where the question was asked: what is left to see here is the end. */
static void on_socket(void *ctx, uint32_t events)
{
    struct vhost_user_device *v = ctx;
    uint8_t byte;
    (void)events;
    ssize_t n = recv(v->vu.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    lose(v, n > 0 ? "it speaks without being asked" : "it closed the connection");
}

static bool speaks_too_often(struct vhost_user_device *v)
{
    uint64_t now = now_ns(v);
    if (now - v->minute_ns >= MINUTE_NS) {
        v->minute_ns = now;
        v->spoken = 0;
    }
    return ++v->spoken > SPOKEN_MAX;
}

static void on_backend(void *ctx, uint32_t events)
{
    struct vhost_user_device *v = ctx;
    bool changed;
    (void)events;
    int got = vhost_user_backend_message(v->backend_fd, &changed);
    if (got < 0) { /* the device works without it */
        evloop_fd_del(v->cfg.setup.loop, &v->backend);
        foreign_socket_close(v->backend_fd);
        v->backend_fd = -1;
    } else if (got > 0 && speaks_too_often(v)) {
        lose(v, "it changes its configuration too often");
    } else if (changed) {
        v->config_stale = true;
        vhost_user_device_changed(v);
    }
}

void vhost_user_retry(void *ctx)
{
    struct vhost_user_device *v = ctx;
    v->connect_due = true;
    vhost_user_pursue(v);
}
