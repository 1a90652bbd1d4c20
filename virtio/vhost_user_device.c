// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vhost_user_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fail.h"
#include "core/log.h"
#include "core/xmath.h"
#include "virtio/spec.h"

#define RETRY_NS     UINT64_C(1000000000)
#define RETRY_MAX_NS (32 * RETRY_NS)
#define STABLE_NS    (10 * RETRY_NS) /* a connection that lasts as long starts the count anew */

#define WANTED_PROTOCOL                                                                         \
    (VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |       \
     VIRTIO_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_CONFIG) | \
     VIRTIO_BIT(VHOST_USER_PROTOCOL_F_NET_MTU) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))

/* Of a local queue's chains; the others are not for this process. */
#define LOCAL_IOV_MAX 64u

/* What every device offers and the one who runs the rings must be able to do, ... */
#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
/* ... what he may be able to do, ... */
#define RING_OPTIONS (VIRTIO_BIT(VIRTIO_F_RING_PACKED) | VIRTIO_BIT(VIRTIO_F_IN_ORDER))
/* ... and what transport and device do without him. */
#define LOCAL_OPTIONS VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA)

struct vhost_user_queue {
    struct vhost_user_device *v;
    unsigned index;
    int call_fd;
    struct ev_fd call;
    bool live;   /* the driver's: between queue_start() and queue_stop() */
    bool served; /* the present server runs it */
    bool known;  /* a server has run it since it is live */
    bool idle;   /* nothing was in flight when that server went */
};

static struct vhost_user_device *of(struct virtio_device *dev)
{
    return container_of(dev, struct vhost_user_device, dev);
}

static uint64_t now_ns(const struct vhost_user_device *v)
{
    return clock_now_ns(v->cfg.clock != NULL ? v->cfg.clock : &clock_host);
}

static const struct virtqueue *vq_of(const struct vhost_user_queue *q)
{
    return &q->v->dev.queues[q->index].vq;
}

static bool is_local(const struct vhost_user_device *v, unsigned queue)
{
    return v->type->is_local != NULL && v->type->is_local(v, queue);
}

static unsigned group_of(const struct vhost_user_type *type)
{
    return type->group != 0 ? type->group : 1;
}

static unsigned ring_count(const struct vhost_user_device *v)
{
    return v->groups * group_of(v->type);
}

static int connect_server(const struct vhost_user_setup *c)
{
    return c->connect != NULL ? c->connect(c->connect_ctx) : vhost_user_connect(c->socket_path);
}

static void set_connected(struct vhost_user_device *v, bool connected)
{
    v->connected = connected;
    if (v->type->connection != NULL)
        v->type->connection(v);
}

/* ---- the connection ends ---- */

static void disconnect(struct vhost_user_device *v)
{
    evloop_fd_del(v->cfg.setup.loop, &v->socket);
    evloop_fd_del(v->cfg.setup.loop, &v->backend);
    if (v->backend_fd >= 0)
        close(v->backend_fd);
    v->backend_fd = -1;
    vhost_user_close(&v->vu);
    if (v->connected)
        set_connected(v, false);
}

/* Did everything come back that the driver ever gave? A packed ring does not tell. */
static bool is_idle(const struct vhost_user_queue *q)
{
    uint16_t avail, used;
    if (virtio_device_has(&q->v->dev, VIRTIO_F_RING_PACKED))
        return false;
    vq_split_indices(vq_of(q), &avail, &used);
    return avail == used;
}

static void lose(struct vhost_user_device *v, const char *why)
{
    if (!v->connected)
        return;
    disconnect(v);
    for (unsigned i = 0; i < v->dev.cfg.queue_count; i++) {
        struct vhost_user_queue *q = &v->queues[i];
        if (q->served)
            q->idle = is_idle(q);
        q->served = false;
    }
    log_warn("virtio %s: lost the vhost-user server %s: %s; requests wait until it is back",
             v->cfg.setup.name, v->cfg.socket_path, why);
    /* One that goes as soon as it came is given more time each time. */
    uint64_t now = now_ns(v);
    bool stable = now - v->since_ns >= STABLE_NS;
    v->retry_ns = stable ? RETRY_NS : min_u64(2 * v->retry_ns, RETRY_MAX_NS);
    evloop_timer_set(v->cfg.setup.loop, &v->retry, now + v->retry_ns);
}

/* ---- rings ---- */

/* Where the server shall begin; false: what was in flight cannot be known. */
static bool ring_base(const struct vhost_user_queue *q, uint32_t *base)
{
    const struct vhost_user_device *v = q->v;
    bool packed = virtio_device_has(&v->dev, VIRTIO_F_RING_PACKED);
    bool recorded = v->inflight.fd >= 0;
    *base = vhost_user_first_base(packed);
    if (!q->known)
        return true;
    if (packed)
        return recorded &&
               vhost_user_inflight_packed_base(&v->inflight, q->index, vq_of(q)->size, base) == 0;
    uint16_t avail, used;
    vq_split_indices(vq_of(q), &avail, &used);
    *base = used;
    return recorded || v->type->repeatable || q->idle ||
           virtio_device_has(&v->dev, VIRTIO_F_IN_ORDER);
}

/* As vhost_user.h; what concerns the device alone is told to the driver. */
static int start_ring(struct vhost_user_queue *q)
{
    struct vhost_user_device *v = q->v;
    const struct virtio_queue *queue = &v->dev.queues[q->index];
    struct vhost_user_ring ring = {
        .index = q->index,
        .size = queue->config.size,
        .desc_gpa = queue->config.desc,
        .driver_gpa = queue->config.driver,
        .device_gpa = queue->config.device,
        .kick_fd = queue->kick_fd,
        .call_fd = q->call_fd,
        .err_fd = v->broken_fd,
        .disabled = v->type->is_disabled != NULL && v->type->is_disabled(v, q->index),
    };
    if (!ring_base(q, &ring.base)) {
        virtio_device_fail(&v->dev, "its server went with requests that nobody can repeat");
        return 0;
    }
    int err = vhost_user_ring_start(&v->vu, &ring);
    if (err == -EREMOTEIO) {
        virtio_device_fail(&v->dev, "its server refuses the queue");
        return 0;
    }
    if (err != 0)
        return err;
    /* What was published before; the last server may have taken a kick, or kept an interrupt. */
    (void)eventfd_write(queue->kick_fd, 1);
    if (q->known)
        (void)eventfd_write(q->call_fd, 1);
    else
        virtio_queue_notify_by(&v->dev, q->index, q->call_fd);
    q->served = true;
    q->known = true;
    return 0;
}

static int prepare_inflight(struct vhost_user_device *v)
{
    if (!vhost_user_has(&v->vu, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
        return 0;
    int err = 0;
    if (v->inflight.fd < 0)
        err = vhost_user_get_inflight(&v->vu, (uint16_t)ring_count(v),
                                      (uint16_t)v->dev.setup.queue_size_max, &v->inflight);
    return err != 0 ? err : vhost_user_set_inflight(&v->vu, &v->inflight);
}

/* All that a server must know of an activated device. */
static int hand_over(struct vhost_user_device *v)
{
    int err = vhost_user_set_features(&v->vu, v->dev.features[0] & v->passed);
    if (err == 0)
        err = vhost_user_set_memory(&v->vu, v->cfg.setup.gmem);
    if (err == 0)
        err = prepare_inflight(v);
    if (err == 0 && v->type->prepare != NULL)
        err = v->type->prepare(v);
    for (unsigned i = 0; err == 0 && i < v->dev.cfg.queue_count; i++) {
        if (v->queues[i].live && v->dev.running)
            err = start_ring(&v->queues[i]);
    }
    return err;
}

/*
 * Not every server waits for its I/O before it answers to GET_VRING_BASE, as the protocol wants it.
 * Its answer is how many chains it took, and the ring says how many came back.
 */
static bool has_drained(const struct vhost_user_queue *q, uint32_t base)
{
    uint64_t end_ns = clock_now_ns(&clock_host) + q->v->vu.reply_ms * UINT64_C(1000000);
    if (virtio_device_has(&q->v->dev, VIRTIO_F_RING_PACKED))
        return true;
    for (;;) {
        uint16_t avail, used;
        vq_split_indices(vq_of(q), &avail, &used);
        if (used == (uint16_t)base)
            return true;
        if (clock_now_ns(&clock_host) >= end_ns)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* ---- the device's operations ---- */

static int vud_queue_start(struct virtio_device *dev, unsigned queue)
{
    struct vhost_user_device *v = of(dev);
    struct vhost_user_queue *q = &v->queues[queue];
    if (is_local(v, queue) || queue >= ring_count(v))
        return 0;
    q->live = true;
    q->known = false;
    /* Others follow by activate(). */
    if (v->active && v->connected && start_ring(q) != 0)
        lose(v, v->vu.why);
    return 0;
}

static int vud_activate(struct virtio_device *dev)
{
    struct vhost_user_device *v = of(dev);
    v->active = true;
    if (v->connected && hand_over(v) != 0)
        lose(v, v->vu.why);
    return 0;
}

static void vud_queue_stop(struct virtio_device *dev, unsigned queue)
{
    struct vhost_user_device *v = of(dev);
    struct vhost_user_queue *q = &v->queues[queue];
    uint32_t base;
    if (q->served && vhost_user_ring_stop(&v->vu, queue, &base) != 0)
        lose(v, v->vu.why);
    else if (q->served && !has_drained(q, base))
        lose(v, "it does not finish what it has taken");
    if (q->known)
        virtio_queue_notify_by(&v->dev, q->index, -1);
    q->live = q->served = q->known = false;
}

static void vud_reset(struct virtio_device *dev)
{
    struct vhost_user_device *v = of(dev);
    v->active = false;
    if (v->type->reset != NULL)
        v->type->reset(v);
    vhost_user_inflight_close(&v->inflight);
}

static void vud_config_write(struct virtio_device *dev, unsigned offset, const void *src,
                             unsigned len)
{
    struct vhost_user_device *v = of(dev);
    if (v->type->config_write != NULL && v->type->config_write(v, offset, src, len) != 0)
        lose(v, v->vu.why);
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

void vhost_user_device_enable(struct vhost_user_device *v, unsigned queue, bool enable)
{
    if (v->queues[queue].served && vhost_user_ring_enable(&v->vu, queue, enable) != 0)
        lose(v, v->vu.why);
}

static const struct virtio_device_ops vud_ops = {
    .config_write = vud_config_write,
    .features_ok = vud_features_ok,
    .activate = vud_activate,
    .queue_start = vud_queue_start,
    .queue_stop = vud_queue_stop,
    .queue_is_external = vud_queue_is_external,
    .queue_ready = vud_queue_ready,
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

static int read_config(struct vhost_user_device *v, bool *changed)
{
    uint8_t old[VHOST_USER_CONFIG_MAX_BYTES];
    *changed = false;
    if (v->type->own_config)
        return 0;
    unsigned bytes = v->type->config_bytes;
    memcpy(old, v->config, bytes);
    int err = vhost_user_get_config(&v->vu, v->config, bytes);
    if (err == 0 && v->type->config_fix != NULL)
        v->type->config_fix(v);
    *changed = err == 0 && memcmp(old, v->config, bytes) != 0;
    return err;
}

static void on_backend(void *ctx, uint32_t events)
{
    struct vhost_user_device *v = ctx;
    bool changed;
    (void)events;
    int got = vhost_user_backend_message(v->backend_fd, &changed);
    if (got < 0) { /* the device works without it */
        evloop_fd_del(v->cfg.setup.loop, &v->backend);
        return;
    }
    if (!changed)
        return;
    if (read_config(v, &changed) != 0)
        lose(v, v->vu.why);
    else if (changed)
        virtio_device_config_changed(&v->dev);
}

/* ---- the connection begins ---- */

static int open_backend(struct vhost_user_device *v)
{
    int fds[2];
    if (!vhost_user_has(&v->vu, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        v->vu.why = "socketpair";
        return -errno;
    }
    v->backend_fd = fds[0];
    int err = vhost_user_set_backend_fd(&v->vu, fds[1]);
    close(fds[1]);
    if (err != 0)
        return err;
    v->backend = (struct ev_fd){.cb = on_backend, .ctx = v};
    v->vu.why = "its socket cannot be waited for";
    return evloop_fd_add(v->cfg.setup.loop, &v->backend, fds[0], EPOLLIN);
}

static int refuse(struct vhost_user_device *v, const char *why)
{
    v->vu.why = why;
    return -ENOTSUP;
}

/* To the point where the device could be activated. Reports nothing: vu.why. */
static int open_server(struct vhost_user_device *v, int fd, uint64_t *queues)
{
    vhost_user_open(&v->vu, fd, v->cfg.reply_ms);
    int err = vhost_user_hello(&v->vu, WANTED_PROTOCOL);
    if (err == 0)
        err = vhost_user_queue_count(&v->vu, queues);
    if (err != 0)
        return err;
    if (!(v->vu.features & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
        return refuse(v, "it is older than VIRTIO 1.0");
    if (!v->type->own_config && !vhost_user_has(&v->vu, VHOST_USER_PROTOCOL_F_CONFIG))
        return refuse(v, "it cannot tell its configuration (CONFIG)");
    return open_backend(v);
}

static int watch_server(struct vhost_user_device *v)
{
    v->socket = (struct ev_fd){.cb = on_socket, .ctx = v};
    int err = evloop_fd_add(v->cfg.setup.loop, &v->socket, v->vu.fd, EPOLLIN);
    v->since_ns = now_ns(v);
    if (err == 0)
        set_connected(v, true);
    return err;
}

/* A server that is not what the device was made from cannot go on with it. */
static int take_up(struct vhost_user_device *v, int fd)
{
    uint64_t queues;
    bool changed = false;
    int err = open_server(v, fd, &queues);
    if (err == 0 && (queues < v->groups || (v->needed & ~v->vu.features) != 0))
        err = refuse(v, "it offers less than before");
    if (err == 0)
        err = read_config(v, &changed);
    if (err == 0)
        err = watch_server(v);
    if (err != 0)
        return err;
    log_warn("virtio %s: the vhost-user server %s is back", v->cfg.setup.name, v->cfg.socket_path);
    if (changed)
        virtio_device_config_changed(&v->dev);
    if (v->active && hand_over(v) != 0)
        lose(v, v->vu.why);
    return 0;
}

static void on_retry(void *ctx)
{
    struct vhost_user_device *v = ctx;
    int fd = connect_server(&v->cfg);
    if (fd >= 0 && take_up(v, fd) == 0)
        return;
    /* Nobody there costs nothing; one who answers badly may cost a deadline each time. */
    if (fd >= 0) {
        log_debug("virtio %s: vhost-user server %s: %s", v->cfg.setup.name, v->cfg.socket_path,
                  v->vu.why);
        disconnect(v);
        v->retry_ns = min_u64(2 * v->retry_ns, RETRY_MAX_NS);
    }
    evloop_timer_set(v->cfg.setup.loop, &v->retry, now_ns(v) + v->retry_ns);
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
                               .device_id = type->device_id,
                               .ops = &vud_ops,
                               .features = type->consistent != NULL ? type->consistent(own) : own,
                               .config = v->config,
                               .config_bytes = type->config_bytes,
                               .queue_count = ring_count(v) + (type->is_local != NULL),
                               .iov_max = LOCAL_IOV_MAX,
                           });
    v->needed = v->passed & v->dev.offered[0];
    return err;
}

/* All that needs the server, which has been connected to. */
static int init(struct vhost_user_device *v, int fd)
{
    const char *name = v->cfg.setup.name, *peer = v->cfg.socket_path;
    uint64_t offered = 0;
    bool changed;
    int err = open_server(v, fd, &offered);
    unsigned wanted = v->groups;
    v->groups = (unsigned)min_u64(offered, wanted);
    if (err == 0 && v->groups < wanted)
        log_warn("virtio %s: the vhost-user server %s has %u queues, not %u", name, peer, v->groups,
                 wanted);
    if (err == 0) {
        err = init_virtio(v);
        if (err != 0) /* reported */
            return err;
        err = read_config(v, &changed);
    }
    if (err != 0)
        return fail_msg(err, "virtio %s: vhost-user server %s: %s", name, peer, v->vu.why);
    err = make_queues(v, v->dev.cfg.queue_count);
    if (err == 0)
        err = watch_server(v);
    return err != 0 ? fail(err, "virtio %s: eventfd", name) : 0;
}

struct vhost_user_device *vhost_user_device_create(const struct vhost_user_type *type,
                                                   const struct vhost_user_setup *config, int *err)
{
    const char *name = config->setup.name;
    unsigned groups = config->groups != 0 ? config->groups : 1;
    unsigned local = type->is_local != NULL ? 1 : 0;
    BUG_ON(groups > (VIRTIO_QUEUES_MAX - local) / group_of(type));
    BUG_ON(type->config_bytes > VHOST_USER_CONFIG_MAX_BYTES);
    int fd = connect_server(config);
    if (fd < 0) {
        *err =
            fail(fd, "virtio %s: connect to the vhost-user server %s", name, config->socket_path);
        return NULL;
    }
    struct vhost_user_device *v = calloc(1, type->bytes);
    if (v == NULL) {
        close(fd);
        *err = fail(-ENOMEM, "virtio %s", name);
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
        .retry = {.cb = on_retry, .ctx = v},
        .retry_ns = RETRY_NS,
    };
    *err = init(v, fd);
    if (*err == 0)
        return v;
    vhost_user_device_destroy(v);
    return NULL;
}

void vhost_user_device_destroy(struct vhost_user_device *v)
{
    if (v == NULL)
        return;
    struct evloop *loop = v->cfg.setup.loop;
    evloop_timer_cancel(loop, &v->retry);
    disconnect(v);
    for (unsigned i = 0; v->queues != NULL && i < v->dev.cfg.queue_count; i++) {
        evloop_fd_del(loop, &v->queues[i].call);
        if (v->queues[i].call_fd >= 0)
            close(v->queues[i].call_fd);
    }
    evloop_fd_del(loop, &v->broken);
    if (v->broken_fd >= 0)
        close(v->broken_fd);
    vhost_user_inflight_close(&v->inflight);
    free(v->queues);
    virtio_device_fini(&v->dev);
    free(v);
}
