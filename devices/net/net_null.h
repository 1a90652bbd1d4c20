// SPDX-License-Identifier: BSD-2-Clause
/* A network with nothing in it: it takes every packet, and none comes. */
#ifndef MINIVET_DEVICES_NET_NULL_H
#define MINIVET_DEVICES_NET_NULL_H

struct net_backend;

/* Errors are reported. */
int net_null_create(struct net_backend **out, unsigned pairs);

#endif
