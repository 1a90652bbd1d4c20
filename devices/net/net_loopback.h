// SPDX-License-Identifier: BSD-2-Clause
/*
 * A network whose only member is the guest: what it sends comes back. It takes every offload, and
 * gives packets back as they came if the driver takes them so: else checksums are filled in, and
 * packets that stand for many are lost.
 */
#ifndef MINIVET_DEVICES_NET_LOOPBACK_H
#define MINIVET_DEVICES_NET_LOOPBACK_H

struct evloop;
struct net_backend;

/* Errors are reported. */
int net_loopback_create(struct net_backend **out, struct evloop *loop);

#endif
