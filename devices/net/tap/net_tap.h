// SPDX-License-Identifier: BSD-2-Clause
/*
 * A network interface of the host's as a backend: a tap device, one descriptor for each queue pair.
 * Packets go between the guest's buffers and the kernel's without being touched in between, a
 * system call each; the kernel cuts large ones into segments and fills in checksums.
 *
 * The link follows the interface: it is up while that is. Should the interface vanish, the link
 * goes down for good.
 */
#ifndef MINIVET_DEVICES_NET_TAP_H
#define MINIVET_DEVICES_NET_TAP_H

#include <stdbool.h>

struct evloop;
struct net_backend;

#define NET_TAP_PAIRS_MAX 16u

struct net_tap_config {
    struct evloop *loop;
    /* Of the interface, which is made if there is none and the user may do that. NULL: fds. */
    const char *name;
    /* Taps (also macvtaps) that another process has opened, of one interface, one for each pair:
     * with IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, and of several IFF_MULTI_QUEUE. The backend's, if it
     * can be created. */
    const int *fds;
    unsigned pairs; /* 1 to NET_TAP_PAIRS_MAX */
};

/* Errors are reported. Destroyed through its ops. */
int net_tap_create(struct net_backend **out, const struct net_tap_config *config);

/* For vhost-net, which moves the packets in the backend's place; stays the backend's. */
int net_tap_fd(const struct net_backend *b, unsigned pair);

#endif
