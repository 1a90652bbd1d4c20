// SPDX-License-Identifier: BSD-2-Clause
/*
 * The insides of a tap:
 *
 *     net_tap.c        packets, and the backend's life
 *     net_tap_open.c   descriptors: how to get them, and what they can do
 *     net_tap_batch.c  several packets for one system call
 *     net_tap_ahead.c  small packets, before they are asked for
 */
#ifndef MINIVET_DEVICES_BACKEND_NET_TAP_IMPL_H
#define MINIVET_DEVICES_BACKEND_NET_TAP_IMPL_H

#include <limits.h>
#include <linux/if_tun.h>
#include <sys/uio.h>

#include "core/loop/evloop.h"
#include "core/ports/net.h"
#include "devices/net/net_link.h"
#include "devices/net/tap/net_tap.h"

struct net_tap;
struct net_tap_batch;
struct net_tap_ahead;

#define NET_TAP_BATCH_PACKETS 16u /* see VIRTIO_TURN_CHAINS */
#define NET_TAP_BATCH_WORTH   4u  /* fewer are as fast without the ring */

struct net_tap_pair {
    struct net_tap *tap;
    unsigned index;
    int fd;
    struct ev_fd ev;
    uint32_t wanted; /* events that the device waits for */
    uint32_t polled; /* ... and that the loop does */
    struct net_tap_ahead *ahead;
};

struct net_tap {
    struct net_backend b;
    struct evloop *loop;
    struct net_link link;        /* its name is also the one for messages */
    unsigned attached;           /* pairs that packets come to */
    unsigned offloads;           /* NET_..., as set */
    bool gone;                   /* the interface */
    struct net_tap_batch *batch; /* NULL: a system call each */
    struct iovec iov[IOV_MAX];
    struct net_tap_pair pairs[NET_TAP_PAIRS_MAX];
};

/* Into tap->pairs[].fd: opened by name, or such as they were given. Errors are reported. */
int net_tap_open_name(struct net_tap *tap, const char *name, unsigned pairs);
int net_tap_open_fds(struct net_tap *tap, const int *fds, unsigned pairs);

/* What the host can do of NET_..., in both directions. Errors are reported. */
int net_tap_set_up(struct net_tap *tap);

/* The flags of TUNSETOFFLOAD. */
unsigned net_tap_offload_flags(unsigned to_guest);

/*
 * A list of packets that were sent and have not left yet, all of one pair. NULL where the host
 * cannot: then they leave one by one.
 */
struct net_tap_batch *net_tap_batch_create(const struct net_tap *tap);
void net_tap_batch_destroy(struct net_tap_batch *batch);

/* False: nothing is in the list now, and the packet does not fit there. */
bool net_tap_batch_add(struct net_tap_batch *batch, const struct net_tap_pair *pair,
                       const struct iovec *iov, unsigned count);
void net_tap_batch_flush(struct net_tap_batch *batch);

/*
 * Reads packets to places of so many bytes each, side by side, and says how long each is, or a
 * negative errno.
 */
void net_tap_batch_read(struct net_tap_batch *batch, const struct net_tap_pair *pair,
                        uint8_t *places, unsigned place_bytes, int *bytes, unsigned count);

/* Packets of a pair that have been read and not been asked for. NULL: no memory. */
struct net_tap_ahead *net_tap_ahead_create(void);

/* False: the next packet may be large, and is better read by the caller. It tells its length. */
bool net_tap_ahead_wants(const struct net_tap_ahead *a);
void net_tap_ahead_note(struct net_tap_ahead *a, size_t bytes);

/* As net_backend_ops.receive() does, but that nothing is waited for. */
ssize_t net_tap_ahead_receive(struct net_tap_pair *p, const struct iovec *iov, unsigned count);
void net_tap_ahead_drop(struct net_tap_ahead *a);

#endif
