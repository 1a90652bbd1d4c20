// SPDX-License-Identifier: BSD-2-Clause
/* Inside of net_user: its state, and what its files ask of each other. */
#ifndef MINIVET_DEVICES_NET_USER_IMPL_H
#define MINIVET_DEVICES_NET_USER_IMPL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/be.h"
#include "core/base/descriptors.h"
#include "core/base/log.h"
#include "core/loop/evloop.h"
#include "core/ports/net.h"
#include "devices/backend/bucket.h"
#include "devices/net/net_queue.h"
#include "devices/net/user/net_user.h"
#include "devices/net/user/net_user_asks.h"
#include "devices/net/user/net_user_flow.h"
#include "devices/net/user/net_user_leases.h"
#include "devices/net/user/slirp_calls.h"

/*
 * Connections at a time, from and to the guest. Beyond, what would begin a new one is dropped:
 * descriptors are the whole process's, and those of the loop are counted, too.
 */
#define USER_SOCKETS       512u
#define USER_GUEST_SOCKETS 128u /* of these, which peers do not get */

/* A descriptor that is libslirp's; its number is its place. */
struct user_fd {
    struct ev_fd ev;
    struct net_user *user;
    bool open;    /* between register and unregister */
    bool listens; /* for peers that connect to a port that is forwarded */
    bool datagrams;
    bool reads;      /* libslirp has room, and has not been told of anything to read since */
    bool listed;     /* in net_user.polled */
    uint64_t turn;   /* when it was asked for last */
    uint32_t wanted; /* EPOLL... in that turn */
    uint32_t polled; /* by the loop now; 0: not at all */
    uint32_t ready;  /* what the loop has said since */
    uint32_t held;   /* of that, what libslirp is to hear later */
};

/* A port of the guest's network that leads to a server. */
struct user_outlet {
    int listener, file; /* what libslirp connects to, and how it finds that */
    char path[32];
    struct sockaddr_storage addr;
    socklen_t addr_bytes;
};

struct net_user {
    struct net_backend b;
    struct evloop *loop;
    const struct clock *clock;
    struct slirp_calls call;
    struct Slirp *slirp;
    struct ev_defer turn;
    struct ev_timer timer;  /* TCP's clocks and sockets that expire */
    struct net_queue queue; /* to the guest */
    unsigned to_guest;
    bool starved; /* receive() had nothing */

    struct user_outlet outlets[NET_USER_FORWARDS];
    unsigned outlet_count;

    struct in_addr net, mask, host, dns;
    struct log_guest_count errors;
    uint64_t now_ns;     /* as of this turn or packet, which is when libslirp learned of it */
    uint64_t clocks_ns;  /* until then something without a descriptor may expire */
    uint64_t accepts_ns; /* until then peers wait: no descriptor was free */
    uint64_t turns;
    unsigned open, idle_open; /* descriptors; of those, open before the guest did anything */
    bool no_loopback;
    struct bucket half_open; /* connections to guestfwd's ports, in seconds */
    struct user_asks asks;
    struct user_leases leases;
    struct user_flows flows;
    unsigned polled_count;
    int polled[DESCRIPTORS_MAX];
    struct user_fd fds[DESCRIPTORS_MAX];
    uint8_t packet[NET_PACKET_MAX]; /* one that the guest sends */
};

/* ---- descriptors and time (net_user_poll.c) ---- */

/* Callbacks of libslirp. */
void user_register_fd(int fd, void *opaque);
void user_unregister_fd(int fd, void *opaque);

/* Carries on with sockets and timers if the time has moved since the last time. Returns it. */
uint64_t user_catch_up(struct net_user *u);

/* One turn: sockets that are ready, then what to wait for. */
void user_turn(struct net_user *u);

/* No descriptor is polled any more. */
void user_poll_end(struct net_user *u);

/* Is the guest to wait with new connections? */
bool user_is_full(const struct net_user *u);

/* ---- ports that lead to servers (net_user_outlet.c) ---- */

/* The socket's path that leads there. Errors are reported. */
int user_outlet_make(struct net_user *u, const struct net_user_forward *f,
                     const struct cancel *cancel, const char **path);
/* libslirp has opened a descriptor: if it is for an outlet it becomes a connection to the server.
 */
void user_outlet_lead(const struct net_user *u, int fd);
void user_outlets_close(struct net_user *u);

/* ---- what libslirp gets to see (net_user_vet.c) ---- */

#define USER_TYPE_IPV4    0x0800u
#define USER_TYPE_ARP     0x0806u
#define USER_TYPE_IPV6    0x86ddu
#define USER_ARP_BYTES    28u
#define USER_IPV4_BYTES   20u
#define USER_IPV6_BYTES   40u
#define USER_TCP_BYTES    20u
#define USER_PROTO_ICMP   1u
#define USER_PROTO_TCP    6u
#define USER_PROTO_UDP    17u
#define USER_PROTO_ICMPV6 58u
#define USER_TCP_FIN      0x01u
#define USER_TCP_SYN      0x02u
#define USER_TCP_RST      0x04u
#define USER_TCP_PSH      0x08u
#define USER_TCP_ACK      0x10u
#define USER_TCP_URG      0x20u

struct user_vet {
    struct in_addr net, mask, host, dns;
    struct user_flows *flows;
    unsigned ahead;   /* segments that a connection may have beyond what was acknowledged */
    bool full;        /* nothing new may begin */
    bool half_open;   /* a connection to one of guestfwd's ports may begin */
    bool no_loopback; /* the host's own services are not to be reached */
};

/* The frame's bytes that libslirp may have, or 0: none. May change the frame. */
size_t user_vet(const struct user_vet *vet, uint8_t *frame, size_t bytes);

/* The flags of a segment, of a frame that it may have, to an address that can only be one of
 * guestfwd's; 0: it is none. */
unsigned user_forward_flags(const struct user_vet *vet, const uint8_t *frame);

#endif
