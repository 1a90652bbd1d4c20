// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the host says of one of its network interfaces: its MTU, whether it is up, and when that
 * changes.
 */
#ifndef MINIVET_DEVICES_NET_LINK_H
#define MINIVET_DEVICES_NET_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/loop/evloop.h"

struct net_link {
    struct evloop *loop;
    char name[IF_NAMESIZE];
    bool up;
    uint32_t mtu_bytes;
    void (*on_change)(void *ctx); /* `up` has; on the loop */
    void *ctx;

    struct ev_fd events; /* a netlink socket */
};

/*
 * Set-up thread; name, loop and on_change are the caller's, the rest is zeroed. A negative errno,
 * if there is no such interface or the kernel does not tell of it: nothing is reported.
 */
int net_link_init(struct net_link *link);
/* A zeroed one, and one that init refused, is allowed. */
void net_link_fini(struct net_link *link);

#endif
