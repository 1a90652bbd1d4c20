// SPDX-License-Identifier: BSD-2-Clause
/*
 * A network behind the user's own sockets (libslirp): no privileges, nothing to set up. The guest
 * gets an address by DHCP, and reaches what the host reaches by TCP, UDP and ping; only
 * forwarded ports lead to the guest.
 *
 *   10.0.2.2   the gateway, which is also the host   (fec0::2)
 *   10.0.2.3   the name server                       (fec0::3)
 *   10.0.2.15  the guest                             (fec0::, by advertisement)
 *
 * All of it runs on the loop. Frames to the guest are as large as its MTU allows: with 16384 bytes
 * a stream costs a fraction of what it does with 1500. With more it would stall: libslirp knows no
 * windows beyond 65535 bytes, and a segment must fit in what is left of one. What the guest sends
 * may be as large as 64 KiB, since TCP segments are taken before they are cut.
 *
 * What a host sends faster than the guest takes stays in the host's sockets. libslirp writes to
 * sockets without MSG_NOSIGNAL: the process ignores SIGPIPE.
 */
#ifndef MINIVET_DEVICES_NET_USER_H
#define MINIVET_DEVICES_NET_USER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/schema.h"

struct cancel;
struct clock;
struct evloop;
struct net_backend;

#define NET_USER_FORWARDS 32
#define NET_USER_MTU      16384u /* when it is not said, and at most */

/* A port of the host that leads to the guest, or one of the guest's network that leads outside. */
struct net_user_forward {
    enum {
        NET_USER_HOST_TCP,
        NET_USER_HOST_UDP,
        NET_USER_COMMAND,
        NET_USER_UNIX,
        NET_USER_TCP
    } kind;
    struct in_addr host, guest; /* 0: any; the address that DHCP gives */
    struct in6_addr host6, guest6;
    bool ipv6; /* host6 and guest6 count; only from the host */
    uint16_t host_port, guest_port;
    const char *target; /* a command, a socket's path, or HOST:PORT */
    const char *text;   /* as the user said it */
};

struct net_user_config {
    struct evloop *loop;
    const struct clock *clock;   /* the loop's */
    const struct cancel *cancel; /* ends the look-up of a name; NULL: nothing does */
    struct in_addr net, mask;    /* 0: 10.0.2.0/24 */
    struct in_addr host, dns;    /* 0: the network's second and third address */
    const char *hostname;        /* that DHCP gives; NULL: none */
    uint32_t mtu;                /* 0: NET_USER_MTU */
    bool restricted;             /* nothing leads outside but what is forwarded */
    bool no_ipv6;
    bool isolated; /* a process of its own is wanted: net_child.h. Nothing to net_user_create() */
    bool no_loopback; /* the guest does not reach the host's own services by the host's address */
    struct net_user_forward forwards[NET_USER_FORWARDS];
    unsigned forward_count;
};

struct net_user_addresses {
    struct in_addr net, mask, host, dns;
    struct in_addr guest; /* that DHCP gives first */
};

/* Those that it will have. */
void net_user_addresses(const struct net_user_config *config, struct net_user_addresses *out);

/* Of a struct net_user_config. Values stay in use as long as it. */
extern const struct schema_key net_user_keys[];

/* Errors are reported. */
int net_user_create(struct net_backend **out, const struct net_user_config *config);

#endif
