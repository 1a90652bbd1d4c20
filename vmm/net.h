// SPDX-License-Identifier: BSD-2-Clause
/*
 * What carries a network card's packets, as the user asked: a way to the host or to another
 * machine, and in front of it what records them, makes it slower, or loses some.
 */
#ifndef MINIVET_VMM_NET_H
#define MINIVET_VMM_NET_H

struct evloop;
struct net_backend;
struct net_config;

/* Errors are reported. Not for cards whose work another process does. */
int net_create(struct net_backend **out, const struct net_config *config, struct evloop *loop);

#endif
