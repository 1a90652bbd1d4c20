// SPDX-License-Identifier: BSD-2-Clause
/*
 * Network port: what a network device needs of what carries its packets. The device knows this
 * table and never a socket; the backend never hears of queues. (Implementations: devices/net.)
 *
 * A packet is a header of NET_HEADER_BYTES and an Ethernet frame. The header is struct
 * virtio_net_hdr with num_buffers, little-endian (VIRTIO 1.4 5.1.6), which is what Linux's tap
 * takes and gives: so packets cross without being touched. num_buffers is the device's and means
 * nothing here.
 *
 * Everything is called on the loop that the backend was created for.
 */
#ifndef MINIVET_CORE_NET_H
#define MINIVET_CORE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define NET_HEADER_BYTES 12u
#define NET_MAC_BYTES    6u

/* The largest packet: the header, Ethernet's with a VLAN tag, and what IP's length can say. */
#define NET_PACKET_MAX (NET_HEADER_BYTES + 18u + 65535u)

/* What the sender of a packet may leave to its receiver, as the packet's header says. */
#define NET_CSUM (1u << 0) /* a checksum is not filled in */
#define NET_TSO4 (1u << 1) /* one packet stands for many segments of TCP over IPv4 */
#define NET_TSO6 (1u << 2)
#define NET_ECN  (1u << 3) /* such a packet may have CWR set */
#define NET_UFO  (1u << 4) /* ... for fragments of UDP */
#define NET_USO  (1u << 5) /* ... for datagrams of UDP */

struct net_backend;

struct net_info {
    unsigned to_host;    /* what send() takes */
    unsigned to_guest;   /* what receive() can give */
    unsigned pairs;      /* queue pairs that it can serve, at least 1 */
    uint32_t mtu_bytes;  /* of IP; 0: nothing special */
    uint32_t speed_mbps; /* 0: unknown */
    bool link_up;
};

/* Of the device that uses the backend. */
struct net_handler {
    void (*on_rx)(void *ctx, unsigned pair);       /* receive() may have something again */
    void (*on_writable)(void *ctx, unsigned pair); /* send() may take something again */
    void (*on_link)(void *ctx);                    /* info.link_up has changed */
    void *ctx;
    bool keeps; /* frames stay as they are until flush(), and it is called after each send() */
};

struct net_backend_ops {
    /*
     * Takes a packet, which it copies or sends before it returns (or, of a handler that keeps
     * frames, before flush() does; headers and vectors are not kept). 0 (a wire may lose it), or
     * -EAGAIN: full, and on_writable() will come, once. What the header asks for and the frame are
     * the guest's and not checked before; what makes no sense is dropped.
     */
    int (*send)(struct net_backend *b, unsigned pair, const struct iovec *iov, unsigned count);
    /* What was sent may leave: called once after some send(). NULL: each leaves at once. */
    void (*flush)(struct net_backend *b, unsigned pair);
    /*
     * Writes the next packet and returns its bytes, header included. -EAGAIN: there is none, and
     * on_rx() will come, once. -EMSGSIZE: it was longer than the vectors, and is lost.
     */
    ssize_t (*receive)(struct net_backend *b, unsigned pair, const struct iovec *iov,
                       unsigned count);
    /* What of info.to_guest the driver takes from now on; at first nothing. */
    void (*set_offloads)(struct net_backend *b, unsigned to_guest);
    /*
     * How many pairs the driver uses from now on; at first one. A negative errno: as many as
     * before. NULL: info.pairs is 1.
     */
    int (*set_pairs)(struct net_backend *b, unsigned pairs);
    void (*destroy)(struct net_backend *b);
};

/*
 * A backend may stand on another one (faults, limits, a capture): it owns that one, and destroys it
 * with itself. Calls of the handler come from the loop, never inside a call of the table.
 */
struct net_backend {
    const struct net_backend_ops *ops;
    struct net_info info;
    struct net_handler handler; /* the device's; zeroed while there is none */
};

/* What a backend tells its device, if there is one that cares. */
static inline void net_tell_rx(const struct net_backend *b, unsigned pair)
{
    if (b->handler.on_rx != NULL)
        b->handler.on_rx(b->handler.ctx, pair);
}

static inline void net_tell_writable(const struct net_backend *b, unsigned pair)
{
    if (b->handler.on_writable != NULL)
        b->handler.on_writable(b->handler.ctx, pair);
}

/* The device is told of a change alone; returns whether it is one. */
static inline bool net_set_link(struct net_backend *b, bool up)
{
    if (b->info.link_up == up)
        return false;
    b->info.link_up = up;
    if (b->handler.on_link != NULL)
        b->handler.on_link(b->handler.ctx);
    return true;
}

#endif
