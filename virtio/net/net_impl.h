// SPDX-License-Identifier: BSD-2-Clause
/*
 * The network device's insides:
 *
 *     net.c          features, configuration space, link, queues that come and go
 *     net_tx.c       transmit queues: from a chain to the backend
 *     net_rx.c       receive queues: from the backend into chains, if the driver wants the frame
 *     net_ctrl.c     the control queue
 */
#ifndef MINIVET_VIRTIO_NET_IMPL_H
#define MINIVET_VIRTIO_NET_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/ports/net.h"
#include "virtio/base/device.h"
#include "virtio/net/net.h"
#include "virtio/net/net_hash.h"
#include "virtio/spec.h"

#define NET_ETHERNET_BYTES 14u
#define NET_VLAN_TAG_BYTES 4u
#define NET_FILTER_MACS    64u
#define NET_VLANS          4096u
#define NET_RSS_TABLE      128u /* VIRTIO 1.4 5.1.4 asks for that much at least */

/* One for each transmit queue. */
struct net_tx {
    struct vq_chain *chain; /* the backend was full: it goes first */
    struct iovec *iov;      /* the copied header, and the frame where it is */
};

/*
 * One for each receive queue. Chains wait here to be written into, `room` bytes of them:
 *
 *     chains    [ given back | chain_first ... chain_end )
 *     iov       [ given back | base .. first ... end )     their buffers, in the same order
 *
 * From `base` to `first` is room for the first chain's header. That goes to a place of ours and is
 * copied, so that it may be checked and has one layout: iov[first - 1] points there.
 */
struct net_rx {
    struct vq_chain **chains;
    struct iovec *iov;
    unsigned chain_first, chain_end;
    unsigned base, first, end;
    uint64_t room;
    bool ready;      /* the backend may have something: it has not said -EAGAIN since on_rx() */
    bool had_enough; /* room for the largest packet, since the queue runs */
};

/* What the driver wants to see, VIRTIO 1.4 5.1.6.5. */
struct net_macs {
    uint8_t mac[NET_FILTER_MACS][NET_MAC_BYTES];
    unsigned count;
    bool too_many; /* for the table, so all are let in */
};

struct net_filter {
    bool mode[VIRTIO_NET_CTRL_RX_NOBCAST + 1]; /* by command */
    struct net_macs unicast, multicast;
    uint64_t vlans[NET_VLANS / 64];
};

/*
 * Receive-side scaling, VIRTIO 1.4 5.1.6.5. A packet is received into a place of ours, since its
 * hash says into which queue it goes. While that has no buffers it waits, and all behind it do.
 */
struct net_rss {
    struct net_hash_config hash; /* also for what is only reported */
    bool steers;
    uint16_t pairs[NET_RSS_TABLE], mask; /* by hash */
    uint16_t unclassified;               /* the pair for what has no hash */
    uint8_t *packet;                     /* its header, hash, frame; NULL: RSS is not offered */
    uint32_t waiting;                    /* bytes of its frame; 0: there is none */
    unsigned pair;                       /* where it goes */
    unsigned source;                     /* pair of the backend that is asked next */
};

struct virtio_net {
    struct virtio_device dev;
    struct net_backend *backend;
    struct vhost_net *vhost; /* NULL: none */
    bool unplugged;          /* virtio_net_set_link() said so */
    struct net_tx *tx;
    struct net_rx *rx;
    unsigned pairs;             /* that there are */
    unsigned pairs_used;        /* that the driver uses */
    uint32_t mtu_bytes;         /* 0: not known */
    uint8_t mac[NET_MAC_BYTES]; /* after a reset */

    /* While it is activated: what was negotiated. */
    uint32_t header_bytes;
    uint64_t room_min;          /* that a receive queue collects before it asks for a packet */
    unsigned to_host, to_guest; /* offloads */
    unsigned wanted;            /* of to_guest: what the driver takes now */
    bool filters_macs, filters_vlans, limits_mtu;
    struct net_filter filter;
    struct net_rss rss;

    struct virtio_net_drops drops;
    uint8_t config[VIRTIO_NET_CONFIG_BYTES];
};

/* Does anything go in or out? */
static inline bool net_is_up(const struct virtio_net *net)
{
    return net->backend->info.link_up && !net->unplugged;
}

static inline unsigned net_rx_queue(unsigned pair)
{
    return 2 * pair;
}

static inline unsigned net_tx_queue(unsigned pair)
{
    return 2 * pair + 1;
}

/* net.c */
bool net_use_pairs(struct virtio_net *net, unsigned pairs);
/* Features whose prerequisites are missing do not count, VIRTIO 1.4 5.1.3.1. */
uint64_t net_features_consistent(uint64_t features);
unsigned net_offloads_to_guest(uint64_t features);
bool net_features_are_to_guest(uint64_t features); /* and no others */

/* net_tx.c */
/* Of a header's gso_type that is not NONE: what it needs, NET_...; ~0: there is no such type. */
unsigned net_gso_offloads(uint8_t gso_type);
int net_tx_start(struct virtio_net *net, unsigned pair);
void net_tx_serve(struct virtio_net *net, unsigned pair);
void net_tx_stop(struct virtio_net *net, unsigned pair);

/* net_rx.c: receive queues run from net_rx_start() to net_rx_stop() */
int net_rx_start(struct virtio_net *net, unsigned pair);
void net_rx_serve(struct virtio_net *net, unsigned pair);
void net_rx_stop(struct virtio_net *net, unsigned pair);
/* The pair whose queue takes what the backend has for pair `source`; net->pairs_used: none. */
unsigned net_rx_pair_for(const struct virtio_net *net, unsigned source);

/* net_ctrl.c */
void net_ctrl_serve(struct virtio_net *net, unsigned queue);
void net_filter_state(struct virtio_net *net, struct state *s);
void net_rss_state(struct virtio_net *net, struct state *s);

/* The commands of a class from the first to the last, if the feature was negotiated. */
struct net_command {
    uint8_t class, first, last;
    unsigned feature;
    /* Gets what follows class and number, from the stream. False: nothing has changed. */
    bool (*fn)(struct virtio_device *dev, unsigned command, struct iobuf *data);
};

#define NET_CTRL(class, first, last, feature, fn)                                 \
    {                                                                             \
        VIRTIO_NET_CTRL_##class, VIRTIO_NET_CTRL_##first, VIRTIO_NET_CTRL_##last, \
            VIRTIO_NET_F_##feature, fn                                            \
    }

/* For another device with such a queue: the same by a list of its own, with these in it. */
void net_ctrl_serve_by(struct virtio_device *dev, unsigned queue, const struct net_command *list,
                       unsigned count);
bool net_ctrl_set_mac(struct virtio_device *dev, unsigned command, struct iobuf *data);
bool net_ctrl_acknowledge(struct virtio_device *dev, unsigned command, struct iobuf *data);
bool net_ctrl_get_le16(struct iobuf *data, uint16_t *value);

#endif
