// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vhost/vhost_net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"

/* After spec.h, since they make macros of the same names. */
#include <linux/if_tun.h>
#include <linux/vhost.h>

#define RINGS 2u /* of a pair: receive, transmit */

/* What the kernel, which runs the rings, must know of. The rest is the tap's or the device's. */
#define RING_FEATURES                                                          \
    (VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | \
     VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_PACKED) |       \
     VIRTIO_BIT(VIRTIO_F_IN_ORDER) | VIRTIO_BIT(VIRTIO_F_VERSION_1))

struct vhost_net_ring {
    struct vhost_net *v;
    unsigned queue;
    struct virtio_device *dev; /* while it runs */
    int call_fd, err_fd;
    struct ev_fd call, err;
};

struct vhost_net {
    struct vhost_net_config cfg;
    uint64_t features; /* that the kernel knows */
    int *fds;          /* a pair each */
    struct vhost_net_ring *rings;
};

/* ---- the kernel ---- */

static int host_open(void *ctx)
{
    (void)ctx;
    return open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
}

static int host_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
    (void)ctx;
    return ioctl(fd, request, arg);
}

static const struct vhost_net_host real_host = {.open = host_open, .ioctl = host_ioctl};

static int ask(const struct vhost_net *v, int fd, unsigned long request, void *arg)
{
    const struct vhost_net_host *host = v->cfg.host;
    return host->ioctl(host->ctx, fd, request, arg) < 0 ? -errno : 0;
}

/* ---- rings ---- */

static int set_file(const struct vhost_net_ring *r, unsigned long request, int fd)
{
    struct vhost_vring_file file = {.index = r->queue % RINGS, .fd = fd};
    return ask(r->v, r->v->fds[r->queue / RINGS], request, &file);
}

static int set_state(const struct vhost_net_ring *r, unsigned long request, unsigned value)
{
    struct vhost_vring_state state = {.index = r->queue % RINGS, .num = value};
    return ask(r->v, r->v->fds[r->queue / RINGS], request, &state);
}

/* Where the ring is for this process, whose memory the kernel uses. */
static int set_addresses(const struct vhost_net_ring *r, const struct virtqueue *vq)
{
    struct vhost_vring_addr addr = {
        .index = r->queue % RINGS,
        .desc_user_addr = (uintptr_t)vq->split.desc,
        .used_user_addr = (uintptr_t)vq->split.used,
        .avail_user_addr = (uintptr_t)vq->split.avail,
    };
    return ask(r->v, r->v->fds[r->queue / RINGS], VHOST_SET_VRING_ADDR, &addr);
}

/* The same for both rings of a pair; the tap's headers are the driver's, as long as those. */
static int set_features(const struct vhost_net_ring *r, const struct virtio_device *dev)
{
    const struct vhost_net *v = r->v;
    unsigned pair = r->queue / RINGS;
    uint64_t features = dev->features[0] & v->features & RING_FEATURES;
    bool merges = virtio_device_has(dev, VIRTIO_NET_F_MRG_RXBUF);
    bool modern = virtio_device_has(dev, VIRTIO_F_VERSION_1);
    int bytes = merges || modern ? VIRTIO_NET_HDR_BYTES : VIRTIO_NET_HDR_LEGACY_BYTES;
    int err = ask(v, v->cfg.taps[pair], TUNSETVNETHDRSZ, &bytes);
    return err != 0 ? err : ask(v, v->fds[pair], VHOST_SET_FEATURES, &features);
}

static int start_ring(const struct vhost_net_ring *r, const struct virtio_device *dev)
{
    const struct virtio_queue *q = &dev->queues[r->queue];
    int err = set_features(r, dev);
    if (err == 0)
        err = set_state(r, VHOST_SET_VRING_NUM, q->vq.size);
    if (err == 0)
        err = set_state(r, VHOST_SET_VRING_BASE, 0);
    if (err == 0)
        err = set_addresses(r, &q->vq);
    if (err == 0)
        err = set_file(r, VHOST_SET_VRING_KICK, q->kick_fd);
    if (err == 0)
        err = set_file(r, VHOST_SET_VRING_CALL, r->call_fd);
    if (err == 0)
        err = set_file(r, VHOST_SET_VRING_ERR, r->err_fd);
    /* The tap comes last: with it the ring runs, and what is there already is looked at. */
    return err != 0 ? err : set_file(r, VHOST_NET_SET_BACKEND, r->v->cfg.taps[r->queue / RINGS]);
}

void vhost_net_start(struct vhost_net *v, struct virtio_device *dev, unsigned queue)
{
    struct vhost_net_ring *r = &v->rings[queue];
    int err = start_ring(r, dev);
    if (err != 0) {
        if (!dev->failed_before) /* a guest may start it again and again */
            log_warn("virtio %s: vhost-net: queue %u: %s", v->cfg.name, queue, strerror(-err));
        virtio_device_fail(dev, "the host's kernel refuses a queue");
        return;
    }
    r->dev = dev;
    virtio_queue_notify_by(dev, queue, r->call_fd);
}

/* Without a tap the kernel lets go of all that it has in flight, before the call returns. */
void vhost_net_stop(struct vhost_net *v, unsigned queue)
{
    struct vhost_net_ring *r = &v->rings[queue];
    if (r->dev != NULL) {
        (void)set_file(r, VHOST_NET_SET_BACKEND, VHOST_FILE_UNBIND);
        virtio_queue_notify_by(r->dev, queue, -1);
    }
    r->dev = NULL;
}

static void on_call(void *ctx, uint32_t events)
{
    struct vhost_net_ring *r = ctx;
    (void)events;
    if (r->dev != NULL)
        virtio_queue_notify(r->dev, r->queue);
}

static void on_error(void *ctx, uint32_t events)
{
    struct vhost_net_ring *r = ctx;
    (void)events;
    if (r->dev != NULL && r->dev->running)
        virtio_device_fail(r->dev, "the host's kernel found a broken ring");
}

/* ---- life ---- */

uint64_t vhost_net_unknown_features(const struct vhost_net *v)
{
    return RING_FEATURES & ~v->features;
}

static int set_memory(const struct vhost_net *v, int fd)
{
    union {
        struct vhost_memory table;
        uint8_t bytes[sizeof(struct vhost_memory) +
                      GMEM_MAX_REGIONS * sizeof(struct vhost_memory_region)];
    } memory = {.table = {.nregions = v->cfg.gmem->count}};
    for (unsigned i = 0; i < v->cfg.gmem->count; i++) {
        const struct gmem_region *r = &v->cfg.gmem->regions[i];
        memory.table.regions[i] = (struct vhost_memory_region){
            .guest_phys_addr = r->gpa,
            .memory_size = r->bytes,
            .userspace_addr = (uintptr_t)r->hva,
        };
    }
    return ask(v, fd, VHOST_SET_MEM_TABLE, &memory);
}

static int open_pair(struct vhost_net *v, unsigned pair)
{
    const char *name = v->cfg.name;
    int fd = v->cfg.host->open(v->cfg.host->ctx);
    if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
        return fail_msg(-errno,
                        "virtio %s: the host has no /dev/vhost-net (sudo modprobe "
                        "vhost_net, or vhost=off)",
                        name);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return fail_msg(-errno,
                        "virtio %s: this user may not open /dev/vhost-net (sudo chmod a+rw "
                        "/dev/vhost-net, or vhost=off)",
                        name);
    if (fd < 0)
        return fail(-errno, "virtio %s: /dev/vhost-net", name);
    v->fds[pair] = fd;
    int err = ask(v, fd, VHOST_SET_OWNER, NULL);
    if (err == 0)
        err = ask(v, fd, VHOST_GET_FEATURES, &v->features);
    if (err == 0)
        err = set_memory(v, fd);
    return err != 0 ? fail(err, "virtio %s: vhost-net", name) : 0;
}

static int make_event(struct vhost_net *v, struct ev_fd *ev, int *fd)
{
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *fd < 0 ? -errno : evloop_event_add(v->cfg.loop, ev, *fd);
}

static int make_ring(struct vhost_net *v, unsigned queue)
{
    struct vhost_net_ring *r = &v->rings[queue];
    r->call = (struct ev_fd){.cb = on_call, .ctx = r};
    r->err = (struct ev_fd){.cb = on_error, .ctx = r};
    int err = make_event(v, &r->call, &r->call_fd);
    if (err == 0)
        err = make_event(v, &r->err, &r->err_fd);
    return err != 0 ? fail(err, "virtio %s: eventfd", v->cfg.name) : 0;
}

int vhost_net_create(struct vhost_net **out, const struct vhost_net_config *config)
{
    unsigned pairs = config->pairs;
    struct vhost_net *v = calloc(1, sizeof(*v));
    if (v != NULL) {
        v->cfg = *config;
        v->fds = calloc(pairs, sizeof(*v->fds));
        v->rings = calloc((size_t)pairs * RINGS, sizeof(*v->rings));
    }
    if (v == NULL || v->fds == NULL || v->rings == NULL) {
        vhost_net_destroy(v);
        return fail(-ENOMEM, "virtio %s", config->name);
    }
    if (v->cfg.host == NULL)
        v->cfg.host = &real_host;
    for (unsigned i = 0; i < pairs; i++)
        v->fds[i] = -1;
    for (unsigned i = 0; i < pairs * RINGS; i++)
        v->rings[i] = (struct vhost_net_ring){.v = v, .queue = i, .call_fd = -1, .err_fd = -1};
    int err = 0;
    for (unsigned i = 0; err == 0 && i < pairs; i++)
        err = open_pair(v, i);
    for (unsigned i = 0; err == 0 && i < pairs * RINGS; i++)
        err = make_ring(v, i);
    if (err != 0) {
        vhost_net_destroy(v);
        return err;
    }
    *out = v;
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void vhost_net_destroy(struct vhost_net *v)
{
    if (v == NULL)
        return;
    for (unsigned i = 0; v->fds != NULL && v->rings != NULL && i < v->cfg.pairs * RINGS; i++) {
        struct vhost_net_ring *r = &v->rings[i];
        evloop_fd_del(v->cfg.loop, &r->call);
        evloop_fd_del(v->cfg.loop, &r->err);
        close_fd(r->call_fd);
        close_fd(r->err_fd);
        if (i % RINGS == 0)
            close_fd(v->fds[i / RINGS]);
    }
    free(v->fds);
    free(v->rings);
    free(v);
}
