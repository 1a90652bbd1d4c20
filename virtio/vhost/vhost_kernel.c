// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vhost/vhost_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/memory/gmem.h"
#include "virtio/base/device.h"

/* After spec.h, since it makes macros of the same names. */
#include <linux/vhost.h>

/* ---- the kernel ---- */

static int host_open(void *ctx, const char *path)
{
    (void)ctx;
    return open(path, O_RDWR | O_CLOEXEC);
}

static int host_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
    (void)ctx;
    return ioctl(fd, request, arg);
}

static const struct vhost_kernel_host real_host = {.open = host_open, .ioctl = host_ioctl};

int vhost_kernel_ask(const struct vhost_kernel *k, unsigned long request, void *arg)
{
    const struct vhost_kernel_host *host = k->cfg.host;
    return host->ioctl(host->ctx, k->fd, request, arg) < 0 ? -errno : 0;
}

/* ---- rings ---- */

static int set_file(const struct vhost_kernel *k, unsigned index, unsigned long request, int fd)
{
    struct vhost_vring_file file = {.index = index, .fd = fd};
    return vhost_kernel_ask(k, request, &file);
}

static int set_state(const struct vhost_kernel *k, unsigned index, unsigned long request,
                     unsigned value)
{
    struct vhost_vring_state state = {.index = index, .num = value};
    return vhost_kernel_ask(k, request, &state);
}

/* Where the ring is for this process, whose memory the kernel uses. */
static int set_addresses(const struct vhost_kernel *k, unsigned index, const struct virtqueue *vq)
{
    struct vhost_vring_addr addr = {
        .index = index,
        .desc_user_addr = (uintptr_t)vq->split.desc,
        .used_user_addr = (uintptr_t)vq->split.used,
        .avail_user_addr = (uintptr_t)vq->split.avail,
    };
    return vhost_kernel_ask(k, VHOST_SET_VRING_ADDR, &addr);
}

int vhost_kernel_prepare(struct vhost_kernel *k, const struct virtio_device *dev, unsigned queue,
                         uint64_t features)
{
    const struct vhost_kernel_ring *r = vhost_kernel_ring(k, queue);
    const struct virtio_queue *q = &dev->queues[queue];
    unsigned index = queue - k->cfg.first;
    features &= dev->features[0] & k->features;
    int err = vhost_kernel_ask(k, VHOST_SET_FEATURES, &features);
    if (err == 0)
        err = set_state(k, index, VHOST_SET_VRING_NUM, q->vq.size);
    if (err == 0)
        err = set_state(k, index, VHOST_SET_VRING_BASE, 0);
    if (err == 0)
        err = set_addresses(k, index, &q->vq);
    if (err == 0)
        err = set_file(k, index, VHOST_SET_VRING_KICK, q->kick_fd);
    if (err == 0)
        err = set_file(k, index, VHOST_SET_VRING_CALL, r->call_fd);
    return err != 0 ? err : set_file(k, index, VHOST_SET_VRING_ERR, r->err_fd);
}

void vhost_kernel_ran(struct vhost_kernel *k, struct virtio_device *dev, unsigned queue, int err)
{
    struct vhost_kernel_ring *r = vhost_kernel_ring(k, queue);
    if (err != 0) {
        if (!dev->failed_before) /* a guest may start it again and again */
            log_warn("virtio %s: %s: queue %u: %s", k->cfg.name, k->cfg.driver, queue,
                     strerror(-err));
        virtio_device_fail(dev, "the host's kernel refuses a queue");
        return;
    }
    r->dev = dev;
    virtio_queue_notify_by(dev, queue, r->call_fd);
}

void vhost_kernel_stopped(struct vhost_kernel *k, unsigned queue)
{
    struct vhost_kernel_ring *r = vhost_kernel_ring(k, queue);
    if (r->dev != NULL)
        virtio_queue_notify_by(r->dev, queue, -1);
    r->dev = NULL;
}

static void on_call(void *ctx, uint32_t events)
{
    struct vhost_kernel_ring *r = ctx;
    (void)events;
    if (r->dev != NULL)
        virtio_queue_notify(r->dev, r->queue);
}

static void on_error(void *ctx, uint32_t events)
{
    struct vhost_kernel_ring *r = ctx;
    (void)events;
    if (r->dev != NULL && r->dev->running)
        virtio_device_fail(r->dev, "the host's kernel found a broken ring");
}

/* ---- life ---- */

static int set_memory(const struct vhost_kernel *k)
{
    union {
        struct vhost_memory table;
        uint8_t bytes[sizeof(struct vhost_memory) +
                      GMEM_MAX_REGIONS * sizeof(struct vhost_memory_region)];
    } memory = {.table = {.nregions = k->cfg.gmem->count}};
    for (unsigned i = 0; i < k->cfg.gmem->count; i++) {
        const struct gmem_region *r = &k->cfg.gmem->regions[i];
        memory.table.regions[i] = (struct vhost_memory_region){
            .guest_phys_addr = r->gpa,
            .memory_size = r->bytes,
            .userspace_addr = (uintptr_t)r->hva,
        };
    }
    return vhost_kernel_ask(k, VHOST_SET_MEM_TABLE, &memory);
}

static int open_device(struct vhost_kernel *k)
{
    const struct vhost_kernel_config *c = &k->cfg;
    char path[64];
    snprintf(path, sizeof(path), "/dev/%s", c->driver);
    k->fd = c->host->open(c->host->ctx, path);
    if (k->fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
        return fail_msg(-errno, "virtio %s: the host has no %s (sudo modprobe %s, or %s)", c->name,
                        path, c->module, c->instead);
    if (k->fd < 0 && (errno == EACCES || errno == EPERM))
        return fail_msg(-errno, "virtio %s: this user may not open %s (sudo chmod a+rw %s, or %s)",
                        c->name, path, path, c->instead);
    if (k->fd < 0)
        return fail(-errno, "virtio %s: %s", c->name, path);
    int err = vhost_kernel_ask(k, VHOST_SET_OWNER, NULL);
    if (err == 0)
        err = vhost_kernel_ask(k, VHOST_GET_FEATURES, &k->features);
    if (err == 0)
        err = set_memory(k);
    return err != 0 ? fail(err, "virtio %s: %s", c->name, c->driver) : 0;
}

static int make_event(struct vhost_kernel *k, struct ev_fd *ev, int *fd)
{
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *fd < 0 ? -errno : evloop_event_add(k->cfg.loop, ev, *fd);
}

static int make_ring(struct vhost_kernel *k, unsigned index)
{
    struct vhost_kernel_ring *r = &k->rings[index];
    r->call = (struct ev_fd){.cb = on_call, .ctx = r};
    r->err = (struct ev_fd){.cb = on_error, .ctx = r};
    int err = make_event(k, &r->call, &r->call_fd);
    if (err == 0)
        err = make_event(k, &r->err, &r->err_fd);
    return err != 0 ? fail(err, "virtio %s: eventfd", k->cfg.name) : 0;
}

int vhost_kernel_create(struct vhost_kernel *k, const struct vhost_kernel_config *config)
{
    *k = (struct vhost_kernel){.cfg = *config, .fd = -1};
    if (k->cfg.host == NULL)
        k->cfg.host = &real_host;
    for (unsigned i = 0; i < VHOST_KERNEL_RINGS; i++)
        k->rings[i] = (struct vhost_kernel_ring){
            .k = k, .queue = config->first + i, .call_fd = -1, .err_fd = -1};
    int err = open_device(k);
    for (unsigned i = 0; err == 0 && i < VHOST_KERNEL_RINGS; i++)
        err = make_ring(k, i);
    return err;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void vhost_kernel_destroy(struct vhost_kernel *k)
{
    if (k->cfg.loop == NULL)
        return;
    for (unsigned i = 0; i < VHOST_KERNEL_RINGS; i++) {
        struct vhost_kernel_ring *r = &k->rings[i];
        evloop_fd_del(k->cfg.loop, &r->call);
        evloop_fd_del(k->cfg.loop, &r->err);
        close_fd(r->call_fd);
        close_fd(r->err_fd);
    }
    close_fd(k->fd);
}
