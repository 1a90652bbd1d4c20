// SPDX-License-Identifier: BSD-2-Clause
/*
 * Network device (VIRTIO 1.4 5.1) whose packets a vhost-user server moves, such as a switch:
 * vhost_user_device.h. What the server can do with packets the driver is offered; the configuration
 * space and the control queue stay here.
 *
 * While the server is away the link is down. What was in flight then may be lost or sent twice, as
 * on any network. There is no filter: the driver gets what the server sends.
 */
#ifndef MINIVET_VIRTIO_NET_VHOST_USER_NET_H
#define MINIVET_VIRTIO_NET_VHOST_USER_NET_H

#include <stdint.h>

#include "core/ports/net.h"
#include "virtio/vhost/vhost_user_device.h"

/*
 * A group is a pair of queues. The MTU is what driver and server are told; 0: they are not. The
 * server must be there. Errors are reported.
 */
int vhost_user_net_create(struct vhost_user_device **out, const struct vhost_user_setup *config,
                          const uint8_t mac[NET_MAC_BYTES], uint32_t mtu_bytes);

#endif
