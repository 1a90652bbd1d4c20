// SPDX-License-Identifier: BSD-2-Clause
/*
 * A wire to another virtual machine: frames through a stream socket, each behind its length (four
 * bytes, big-endian), without a header, as QEMU's `-netdev socket` and `-netdev stream` do.
 *
 * On a UNIX path the first peer listens and the other connects, so that both are given the
 * same path. Over TCP one peer is told to listen and one to connect. The link is up while a peer is
 * connected; when it disconnects, this end tries again until it is back. A third peer is refused,
 * and so is, on a path, a peer of another user: only this user and root may open the socket.
 */
#ifndef MINIVET_DEVICES_NET_SOCKET_H
#define MINIVET_DEVICES_NET_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

struct cancel;
struct clock;
struct evloop;
struct net_backend;

struct net_socket_config {
    struct evloop *loop;
    const struct clock *clock;    /* the loop's */
    const char *path;             /* of a UNIX socket; or one of these, "HOST:PORT": */
    const char *listen, *connect; /* listen without a host (":1234"): on 127.0.0.1 */
    uint32_t mtu;                 /* that both ends agree on; 0: nothing special */
    bool any_peer;                /* of a path: other users are welcome */
    const struct cancel *cancel;  /* ends the look-up of a name; NULL: nothing does */

    /*
     * Or `open` gives a descriptor that is connected, which becomes the wire's, at first
     * open_first; a negative errno: not now. `close` comes with the end, also of a creation that
     * has failed.
     */
    const char *name; /* for messages */
    int (*open_first)(void *ctx), (*open)(void *ctx);
    void (*close)(void *ctx);
    void *ctx;

    /*
     * Packets go out with virtio's header, so that checksums and segments may be left to the other
     * end, whose own checksums are right; and come in with it. Only one of them at an end.
     */
    bool headers_out, headers_in;
};

/* Errors are reported. A peer that is not there yet is none. */
int net_socket_create(struct net_backend **out, const struct net_socket_config *config);

#endif
