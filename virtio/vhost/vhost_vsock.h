// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sockets that the host's kernel carries (/dev/vhost-vsock): processes of the host have AF_VSOCK
 * sockets, too, and reach the guest by its CID. The kernel serves the receive and the transmit
 * queue of a socket device (vhost_kernel.h); the event queue stays with the device (vsock.h), which
 * is the only user.
 */
#ifndef MINIVET_VIRTIO_VHOST_VSOCK_H
#define MINIVET_VIRTIO_VHOST_VSOCK_H

#include <stdint.h>

#include "virtio/vhost/vhost_kernel.h"

struct vhost_vsock;

struct vhost_vsock_config {
    const char *name; /* for messages; outlives it */
    uint32_t cid;
    uint64_t features;   /* of socket devices, of which the kernel must know */
    struct evloop *loop; /* the device's */
    const struct gmem *gmem;
    const struct vhost_kernel_host *host; /* NULL: the real one */
};

/* Set-up thread. Errors are reported: another guest may have the CID. */
int vhost_vsock_create(struct vhost_vsock **out, const struct vhost_vsock_config *config);
/* After the device. NULL is allowed. */
void vhost_vsock_destroy(struct vhost_vsock *v);

/* Those features that a device must not offer with it. */
uint64_t vhost_vsock_unknown_features(const struct vhost_vsock *v);

/*
 * [loop] For the device's queue_start() and queue_stop() of both queues: the kernel runs while it
 * has both. One that refuses makes the device need a reset. After stop it does not use rings or
 * buffers.
 */
void vhost_vsock_start(struct vhost_vsock *v, struct virtio_device *dev, unsigned queue);
void vhost_vsock_stop(struct vhost_vsock *v, unsigned queue);

#endif
