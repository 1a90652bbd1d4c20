// SPDX-License-Identifier: BSD-2-Clause
/*
 * Network device (VIRTIO 1.4 5.1) in front of whatever carries the packets.
 *
 * Offered: MAC, STATUS, MRG_RXBUF, CTRL_VQ, CTRL_RX, CTRL_RX_EXTRA, CTRL_VLAN, CTRL_MAC_ADDR,
 * GUEST_ANNOUNCE; of the checksum and segmentation offloads those that the backend's net_info has,
 * and then CTRL_GUEST_OFFLOADS; MTU and SPEED_DUPLEX where they are known; MQ with more than one
 * pair; RSS and HASH_REPORT if they are asked for. Not offered: more contexts of RSS, hashes of
 * what is in tunnels, coalescing, statistics, tunnels, IPsec.
 *
 * Packets go between the guest's buffers and the backend without a copy. A header is copied,
 * checked, and the copy used: a backend sees nothing that was not negotiated or makes no sense.
 *
 * Queues: receive and transmit of each pair in turn, then the control queue (5.1.2). A driver
 * without MQ finds that at 2.
 */
#ifndef MINIVET_VIRTIO_NET_H
#define MINIVET_VIRTIO_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/net.h"

struct vhost_net;
struct virtio_device;
struct virtio_device_type;
struct virtio_net;
struct virtio_setup;

extern const struct virtio_device_type virtio_net_type;

#define VIRTIO_NET_PAIRS_MAX 31u

struct virtio_net_config {
    struct net_backend *backend; /* the caller's; outlives the device, its one user */
    /*
     * Moves the packets between the rings and the taps of a tap backend, which then sees none;
     * NULL: none. The caller's; outlives the device. There is no filter then, and no packed ring.
     */
    struct vhost_net *vhost;
    uint8_t mac[NET_MAC_BYTES];
    unsigned pairs;     /* 0: one */
    bool rss;           /* the driver may choose queues by hash; not with vhost */
    uint32_t mtu_bytes; /* 0: what the backend says */
};

/* Errors are reported. */
int virtio_net_create(struct virtio_net **out, const struct virtio_setup *setup,
                      const struct virtio_net_config *config);
/* After its transport; no thread runs the loop. */
void virtio_net_destroy(struct virtio_net *net);

struct virtio_device *virtio_net_device(struct virtio_net *net);

/*
 * Pulls the cable, or puts it back: while it is out, frames of both directions are lost. [loop]
 * -EOPNOTSUPP: the kernel moves the packets (vhost).
 */
int virtio_net_set_link(struct virtio_net *net, bool up);

/* What was lost on the way, since the device was made. */
struct virtio_net_drops {
    uint64_t tx_invalid;  /* the driver's header or frame made no sense */
    uint64_t rx_no_room;  /* longer than the buffers that the driver has given */
    uint64_t rx_filtered; /* by its modes and tables */
    uint64_t rx_invalid;  /* it had not negotiated what that would need */
};

/* [loop] */
void virtio_net_drops(const struct virtio_net *net, struct virtio_net_drops *out);

#endif
