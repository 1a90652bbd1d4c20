// SPDX-License-Identifier: BSD-2-Clause
/*
 * A network that is no faster than it may be: a filter in front of another backend. Two budgets in
 * each direction, packets and bytes a second, which all pairs share. What is not used is kept for
 * `burst_ms`. Nothing is lost: packets wait where they are, with the guest or with the base.
 */
#ifndef MINIVET_DEVICES_BACKEND_NET_LIMIT_H
#define MINIVET_DEVICES_BACKEND_NET_LIMIT_H

#include <stdint.h>

struct clock;
struct evloop;
struct net_backend;

#define NET_LIMIT_BURST_MS 100u /* when it is not said */

struct net_limit_config {
    struct evloop *loop;
    const struct clock *clock; /* the loop's */
    struct net_backend *base;  /* taken over if the call succeeds; at most 64 pairs */
    uint64_t packets_per_s;    /* 0: any number */
    uint64_t bytes_per_s;      /* of frames; 0: any number */
    uint32_t burst_ms;         /* 0: nothing is kept */
};

/* Errors are reported. */
int net_limit_create(struct net_backend **out, const struct net_limit_config *config);

#endif
