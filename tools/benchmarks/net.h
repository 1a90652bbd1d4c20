// SPDX-License-Identifier: BSD-2-Clause
/* A pattern of `minivet bench net`, and its other end: a namespace with a tap, and what sends
 * and answers there. */
#ifndef MINIVET_BENCH_NET_H
#define MINIVET_BENCH_NET_H

#include <stdbool.h>

#define NET_TAP_NAME "bench0"
#define NET_UDP_PORT 7 /* in a network namespace of our own */

enum network { TAP, USER, NONE };

enum kind { UNWANTED, ARP, UDP, TCP }; /* the guest's */

struct net_pattern {
    const char *name, *title;
    enum network network;
    enum kind kind;
    unsigned bytes; /* of a frame */
    unsigned depth; /* frames that the guest has in flight */
    bool answers;   /* ... until they are answered: those are counted */
    bool from_host; /* the host sends, and not the guest */
};

/*
 * Enters a network namespace, where 10.0.2.2 is on a tap if there can be one. False: there is no
 * namespace. What cannot be has been said.
 */
bool net_host_open(bool *has_tap);

/* The host's part of a pattern, which goes on until it is ended. */
void net_host_begin(const struct net_pattern *p);
void net_host_end(void);

/* Frames that the host has had from a guest, counted by its kernel. */
double net_host_frames(const struct net_pattern *p);

#endif
