// SPDX-License-Identifier: BSD-2-Clause
/*
 * Network device (VIRTIO 1.4 5.1) whose packets a vhost-user server moves, such as a switch:
 * vhost_user_device.h. What the server can do with packets the driver is offered; the configuration
 * space and the control queue stay here.
 *
 * While the server is away the link is down. What was in flight then may be lost or sent twice, as
 * on any network. There is no filter: the driver gets what the server sends.
 */
#ifndef MINIVET_VIRTIO_VHOST_USER_NET_H
#define MINIVET_VIRTIO_VHOST_USER_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/net.h"

struct clock;
struct evloop;
struct gmem;
struct vhost_user_net;
struct virtio_device;

struct vhost_user_net_config {
    const char *name;
    /* See vhost_user_blk.h. */
    const char *socket_path;
    int (*connect)(void *ctx);
    void *connect_ctx;
    uint8_t mac[NET_MAC_BYTES];
    uint32_t mtu_bytes;                 /* that driver and server are told; 0: they are not */
    unsigned pairs;                     /* 0: one; fewer if the server has not as many */
    uint32_t queue_size_max;            /* 0: the default */
    uint64_t features_on, features_off; /* see struct virtio_device_config */
    bool strict;                        /* registers only: rings are the server's to see */
    unsigned reply_ms;                  /* how long the server may take to answer; 0: the usual */
    struct evloop *loop;
    const struct clock *clock; /* the loop's; NULL: the host's */
    const struct gmem *gmem;
};

/* The server must be there. Errors are reported. */
int vhost_user_net_create(struct vhost_user_net **out, const struct vhost_user_net_config *config);
void vhost_user_net_destroy(struct vhost_user_net *net); /* after its transport */

struct virtio_device *vhost_user_net_device(struct vhost_user_net *net);

#endif
