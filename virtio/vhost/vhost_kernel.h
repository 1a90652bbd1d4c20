// SPDX-License-Identifier: BSD-2-Clause
/*
 * Rings that the host's kernel serves (/dev/vhost-net, /dev/vhost-vsock), a descriptor of the
 * device for some of them:
 *
 *     driver's store -> ioeventfd = the queue's kick eventfd -> kernel: takes chains, gives them
 *     back -> call eventfd -> KVM's irqfd, if the device has MSI-X and the vector is not masked;
 *     else this loop -> virtio_queue_notify() -> irq
 *
 * What makes the kernel begin and end is the device's own. The kernel knows no packed rings.
 */
#ifndef MINIVET_VIRTIO_VHOST_KERNEL_H
#define MINIVET_VIRTIO_VHOST_KERNEL_H

#include <stdint.h>

#include "core/loop/evloop.h"
#include "virtio/spec.h"

struct gmem;
struct virtio_device;

#define VHOST_KERNEL_RINGS 2u

/* What the kernel, which runs the rings, must know of. */
#define VHOST_KERNEL_FEATURES                                              \
    (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | \
     VIRTIO_BIT(VIRTIO_F_RING_PACKED) | VIRTIO_BIT(VIRTIO_F_IN_ORDER) |    \
     VIRTIO_BIT(VIRTIO_F_VERSION_1))

/* The kernel, which a test may stand in for. -1 and errno, as of system calls. */
struct vhost_kernel_host {
    int (*open)(void *ctx, const char *path);
    int (*ioctl)(void *ctx, int fd, unsigned long request, void *arg);
    void *ctx;
};

struct vhost_kernel_config {
    const char *name;   /* of the virtio device, for messages; outlives it */
    const char *driver; /* such as "vhost-net", of /dev/vhost-net */
    const char *module;
    const char *instead; /* of the device, for messages: "vhost=off" */
    unsigned first;      /* queue, of VHOST_KERNEL_RINGS */
    struct evloop *loop; /* the device's */
    const struct gmem *gmem;
    const struct vhost_kernel_host *host; /* NULL: the real one */
};

struct vhost_kernel_ring {
    struct vhost_kernel *k;
    unsigned queue;
    struct virtio_device *dev; /* while it runs */
    int call_fd, err_fd;
    struct ev_fd call, err;
};

struct vhost_kernel {
    struct vhost_kernel_config cfg;
    uint64_t features; /* that the kernel knows */
    int fd;
    struct vhost_kernel_ring rings[VHOST_KERNEL_RINGS];
};

/* Set-up thread. Errors are reported; destroy() is due in either case. */
int vhost_kernel_create(struct vhost_kernel *k, const struct vhost_kernel_config *config);
/* Zeroed is allowed. */
void vhost_kernel_destroy(struct vhost_kernel *k);

/* A request of the descriptor's. 0 or a negative errno. */
int vhost_kernel_ask(const struct vhost_kernel *k, unsigned long request, void *arg);

/*
 * [loop] Gives it the features, and one of its queues: all but what makes it begin. Then `ran` says
 * how that went, and makes the device need a reset if it did not, as stopped() says that it does
 * not use the ring any more.
 */
int vhost_kernel_prepare(struct vhost_kernel *k, const struct virtio_device *dev, unsigned queue,
                         uint64_t features);
void vhost_kernel_ran(struct vhost_kernel *k, struct virtio_device *dev, unsigned queue, int err);
void vhost_kernel_stopped(struct vhost_kernel *k, unsigned queue);

static inline struct vhost_kernel_ring *vhost_kernel_ring(struct vhost_kernel *k, unsigned queue)
{
    return &k->rings[queue - k->cfg.first];
}

#endif
