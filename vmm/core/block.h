// SPDX-License-Identifier: BSD-2-Clause
/*
 * Block port: what a disk device needs of what stores its bytes. The device knows this table and
 * never a file; the backend never hears of virtio. (Implementations: devices/backend.)
 *
 * Everything is called on the loop that the backend was created for, and requests complete on it.
 */
#ifndef MINIVET_CORE_BLOCK_H
#define MINIVET_CORE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/evloop.h"

#define BLK_SECTOR_BYTES 512u

enum blk_op {
    BLK_READ,
    BLK_WRITE,
    BLK_FLUSH, /* completes when all that completed before it is on stable storage */
};

struct blk_req {
    /* Set by the device; the vectors stay valid until done(). */
    enum blk_op op;
    uint64_t offset_bytes;
    uint64_t bytes; /* the vectors' sum */
    struct iovec *iov;
    unsigned iov_count;
    void (*done)(struct blk_req *req, int result); /* 0 (all of it) or a negative errno */

    /* The backend's own while the request is out. */
    struct ev_work work;
    struct blk_backend *backend;
    struct blk_req *next;
    int result;
};

struct blk_info {
    uint64_t capacity_bytes;
    bool read_only;
};

struct blk_backend_ops {
    /*
     * Takes a request whose range the device has checked against the capacity. Every request
     * completes exactly once, from the loop, never inside submit().
     */
    void (*submit)(struct blk_backend *b, struct blk_req *req);
    /*
     * Ends all that is out, in bounded time: what has not been done by now may end with -ECANCELED,
     * in part or not begun. Returns when every done() has been called.
     */
    void (*drain)(struct blk_backend *b);
    void (*destroy)(struct blk_backend *b);
};

struct blk_backend {
    const struct blk_backend_ops *ops;
    struct blk_info info;
};

#endif
