// SPDX-License-Identifier: BSD-2-Clause
/*
 * The insides of a tap:
 *
 *     net_tap.c        packets, and the backend's life
 *     net_tap_open.c   descriptors: how to get them, and what they can do
 */
#ifndef MINIVET_DEVICES_NET_TAP_IMPL_H
#define MINIVET_DEVICES_NET_TAP_IMPL_H

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
    bool is_shared;              /* its descriptors are other processes', too */
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

#endif
