// SPDX-License-Identifier: BSD-2-Clause
/*
 * Share port: what a file system device needs of what serves a directory. The device carries FUSE
 * messages between rings and the server and reads none of them; the server never hears of virtio.
 * (Implementations: devices/share, tests/harness/fake_share.c.)
 *
 * The queues of a device may be on several loops. Each request is submitted, answered and abandoned
 * on its own queue's loop, and the server orders what its requests share.
 */
#ifndef MINIVET_CORE_SHARE_H
#define MINIVET_CORE_SHARE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/loop/evloop.h"
#include "core/memory/iobuf.h"

struct facts;
struct share;

/* A message and its answer. */
struct share_req {
    /* Set by the device; what the cursors are over stays until done() or abandon(). */
    struct iobuf rd; /* the message: struct fuse_in_header and what follows */
    struct iobuf wr; /* room for the answer; wr.done says how long that is, 0: it has none */
    struct evloop *loop;
    void (*done)(struct share_req *req); /* once, also inside submit() */
};

struct share_ops {
    /*
     * Takes a message of any content and length. What would wait for another process is left to
     * helper threads. `req` begins share->req_bytes bytes, which are zeroed before their first use
     * and are the server's behind struct share_req, as it left them after an earlier request.
     */
    void (*submit)(struct share *s, struct share_req *req);
    /*
     * Lets go of a request that is out, in bounded time: done() does not come, and the server
     * touches neither it nor its memory any more. What the message asks for may still happen.
     */
    void (*abandon)(struct share *s, struct share_req *req);
    /* No request is out: forgets all that the driver knows, its nodes and open files. The device's
     * loop. */
    void (*reset)(struct share *s);
    /* Names what a person wants to know. Any loop. */
    void (*describe)(struct share *s, struct facts *f);
    void (*destroy)(struct share *s);
};

struct share {
    const struct share_ops *ops;
    size_t req_bytes;
};

#endif
