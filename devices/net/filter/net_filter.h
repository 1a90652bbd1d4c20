// SPDX-License-Identifier: BSD-2-Clause
/*
 * What network backends that stand on another one have in common: the base's description and what
 * it says go on to the device, and with the filter the base is destroyed.
 *
 * The functions are a table's whose filter does nothing: what a filter does not care for it leaves
 * to them.
 */
#ifndef MINIVET_DEVICES_NET_FILTER_H
#define MINIVET_DEVICES_NET_FILTER_H

#include "core/ports/net.h"

struct evloop;

struct net_filter {
    struct net_backend b;
    struct net_backend *base;
    struct evloop *loop;
};

/* The base has no handler of its own: it gets the filter's. */
void net_filter_init(struct net_filter *f, struct net_backend *base, struct evloop *loop,
                     const struct net_backend_ops *ops);

/* Destroys the base. */
void net_filter_fini(struct net_filter *f);

int net_filter_send(struct net_backend *b, unsigned pair, const struct iovec *iov, unsigned count);
void net_filter_flush(struct net_backend *b, unsigned pair);
ssize_t net_filter_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                           unsigned count);
void net_filter_set_offloads(struct net_backend *b, unsigned to_guest);
int net_filter_set_pairs(struct net_backend *b, unsigned pairs);

#endif
