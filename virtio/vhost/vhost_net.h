// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets moved by the host's kernel (/dev/vhost-net), straight between a tap and the rings of a
 * network device (vhost_kernel.h). One descriptor of /dev/vhost-net serves a queue pair. Everything
 * but the packets stays with the device (net.h), which is the only user. The kernel does not
 * filter.
 */
#ifndef MINIVET_VIRTIO_VHOST_NET_H
#define MINIVET_VIRTIO_VHOST_NET_H

#include <stdint.h>

struct evloop;
struct gmem;
struct vhost_kernel_host;
struct vhost_net;
struct virtio_device;

struct vhost_net_config {
    const char *name; /* for messages; outlives it */
    const int *taps;  /* one a pair, with headers of 12 bytes; outlive it */
    unsigned pairs;
    struct evloop *loop; /* the device's */
    const struct gmem *gmem;
    const struct vhost_kernel_host *host; /* NULL: the real one */
};

/* Set-up thread. Errors are reported. */
int vhost_net_create(struct vhost_net **out, const struct vhost_net_config *config);
/* After the device. NULL is allowed. */
void vhost_net_destroy(struct vhost_net *v);

/* Those features that a device must not offer with it. */
uint64_t vhost_net_unknown_features(const struct vhost_net *v);

/*
 * [loop] For the device's queue_start() and queue_stop() of the queues of a pair. A kernel that
 * refuses makes the device need a reset. After stop the kernel does not use ring or buffers.
 */
void vhost_net_start(struct vhost_net *v, struct virtio_device *dev, unsigned queue);
void vhost_net_stop(struct vhost_net *v, unsigned queue);

#endif
