// SPDX-License-Identifier: BSD-2-Clause
/*
 * Socket port: streams of bytes or of messages between processes of the host and ports of the
 * guest. Everything is called on the loop that the backend was created for. (Implementation:
 * devices/vsock.)
 *
 * A stream begins at either end, and lives until close(), which the device calls once for each.
 */
#ifndef MINIVET_CORE_VSOCK_H
#define MINIVET_CORE_VSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct vsock_backend;

/* Embedded in each stream of the backend's. */
struct vsock_stream {
    void *conn;        /* the device's, for what it is told of the stream */
    bool has_messages; /* as of SOCK_SEQPACKET */
};

/* The device's half. */
struct vsock_handler {
    /*
     * A process wants to reach a port of the guest. Returns the device's conn, which is the
     * stream's from then on, and the port that the process has for the guest; or NULL: refused, and
     * the stream stays the backend's. Until the guest has accepted (accepted(), or close()) nothing
     * is read.
     */
    void *(*on_connect)(void *ctx, struct vsock_stream *s, uint32_t guest_port,
                        uint32_t *host_port);
    /* Before accepted(): the process wants it no more. */
    void (*on_gone)(void *conn);
    /* As asked for by poll(), again and again until it is no more. */
    void (*on_readable)(void *conn);
    void (*on_writable)(void *conn);
    void *ctx;
};

struct vsock_backend_ops {
    /* The guest wants to reach a port of the host. NULL: no process listens there. */
    struct vsock_stream *(*connect)(struct vsock_backend *b, uint32_t host_port, bool has_messages,
                                    void *conn);
    /* The guest has accepted what on_connect() asked for. */
    void (*accepted)(struct vsock_stream *s, uint32_t host_port);
    /*
     * Bytes; 0: no more come; -EAGAIN; another errno: the process has gone. Of messages: the next
     * one, or its length alone if that is more than `bytes`; there is none of no bytes.
     */
    ssize_t (*read)(struct vsock_stream *s, void *dst, size_t bytes);
    /* How many it took, maybe none; a negative errno: the process has gone. Of messages: one, of
     * which it takes all or nothing. */
    ssize_t (*write)(struct vsock_stream *s, const struct iovec *iov, unsigned count);
    /* What on_readable() and on_writable() are to tell from now on; nothing at first. */
    void (*poll)(struct vsock_stream *s, bool readable, bool writable);
    /* The guest sends no more: the process reads an end. */
    void (*shut)(struct vsock_stream *s);
    void (*close)(struct vsock_stream *s);
    void (*destroy)(struct vsock_backend *b);
};

/* handler is set by the device that takes the backend, and NULL again before that ends. */
struct vsock_backend {
    const struct vsock_backend_ops *ops;
    const struct vsock_handler *handler;
    bool has_messages; /* it knows such streams */
};

#endif
