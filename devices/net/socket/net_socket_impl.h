// SPDX-License-Identifier: BSD-2-Clause
/* Inside of net_socket: the wire's two halves, finding the other end and moving frames. */
#ifndef MINIVET_DEVICES_NET_SOCKET_IMPL_H
#define MINIVET_DEVICES_NET_SOCKET_IMPL_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/net.h"
#include "devices/backend/bucket.h"

#define SOCKET_FRAME_MAX    (NET_PACKET_MAX - NET_HEADER_BYTES)
#define SOCKET_PACKET_MAX   NET_PACKET_MAX /* with a header, on a wire that has them */
#define SOCKET_LENGTH_BYTES 4u
#define SOCKET_RX_BYTES     (256 * KIB)

struct net_socket {
    struct net_backend b;
    struct evloop *loop;
    const struct clock *clock;
    char *name; /* as the user said it */
    struct sockaddr_storage addr;
    socklen_t addr_bytes;
    bool may_listen, may_connect, any_peer;
    int (*open)(void *ctx);
    void (*close)(void *ctx);
    void *ctx;
    uint32_t tx_skip, rx_skip; /* bytes of a packet's beginning that do not go over the wire */
    unsigned to_guest;

    /* ---- the other end ---- */
    int listener, fd; /* -1: none */
    bool connecting;  /* fd is not connected yet */
    bool deaf;        /* the listener is not polled for a moment */
    bool plain;       /* no descriptors come along: TCP, or the kernel refuses them */
    dev_t path_dev;   /* what the listener has put there */
    ino_t path_ino;
    struct ev_fd accept_ev, ev; /* the listener's; fd's, */
    uint32_t events;            /* which is polled for these */
    struct ev_timer retry;
    struct ev_defer lost; /* the other end has gone */

    /* ---- frames ---- */
    bool told_full;           /* send() had no room */
    bool heard;               /* anything from this end */
    unsigned unheard;         /* peers in succession that sent nothing */
    bool told_waiting;        /* that no peer listens: once */
    bool complained;          /* of another end: once, for it may come again and again */
    struct bucket lines;      /* in the log, of ends that come and go */
    size_t tx_bytes, tx_sent; /* of a frame that has been sent in part */
    uint8_t tx[SOCKET_LENGTH_BYTES + SOCKET_PACKET_MAX];
    size_t rx_from, rx_to; /* what has been read and not been given */
    uint8_t rx[SOCKET_RX_BYTES];
};

/* ---- net_socket.c ---- */
int socket_send(struct net_backend *b, unsigned pair, const struct iovec *iov, unsigned count);
ssize_t socket_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                       unsigned count);

/* The socket is ready for events that were asked for. */
void socket_ready(struct net_socket *s, uint32_t events);

/* Drops the frames that were under way with a peer that has gone. */
void socket_forget(struct net_socket *s);

/* ---- net_socket_link.c ---- */
/* The peer has gone, or breaks the protocol: from anywhere. */
void socket_lost(struct net_socket *s);

/* Polls fd for these, too, or no more for those. */
void socket_poll(struct net_socket *s, uint32_t more, uint32_t less);

/* Listens or connects. Only what will not change by itself is an error, which is reported. */
int socket_link_start(struct net_socket *s);
/* Of a connection that has not come about, and that is not an error. */
void socket_tell_waiting(struct net_socket *s, const char *why);
void socket_link_end(struct net_socket *s);
void socket_link_init(struct net_socket *s);

#endif
