// SPDX-License-Identifier: BSD-2-Clause
/*
 * Block port: what a disk device needs of what stores its bytes. The device knows this table and
 * never a file; the backend never hears of virtio. (Implementations: devices/disk.)
 *
 * Everything is called on the loop that the backend was created for, and requests complete on it.
 */
#ifndef MINIVET_CORE_BLOCK_H
#define MINIVET_CORE_BLOCK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/memory/iobuf.h"

struct blk_backend;

#define BLK_SECTOR_BYTES 512u

enum blk_op {
    BLK_READ,
    BLK_WRITE,
    BLK_FLUSH,   /* completes when all that completed before it is on stable storage */
    BLK_DISCARD, /* a hint: what the range holds is of no interest any more */
    BLK_ZERO,    /* the range reads as zeroes afterwards; see may_unmap */
};

struct blk_req {
    /* Set by the device; the vectors stay valid until done(). */
    enum blk_op op;
    uint64_t offset_bytes;
    uint64_t bytes; /* the vectors' sum; of DISCARD and ZERO the length, and there are no vectors */
    bool may_unmap; /* ZERO: the range's storage may be given up */
    struct iovec *iov;
    unsigned iov_count;
    void (*done)(struct blk_req *req, int result); /* 0 (all of it) or a negative errno */

    /* The backend's own while the request is out. */
    STAILQ_ENTRY(blk_req) link;
    uint64_t due_ns; /* when a delay ends */
    int result;
};

struct blk_info {
    uint64_t capacity_bytes;
    bool read_only;
    bool can_discard; /* DISCARD may do something; else it ends with -EOPNOTSUPP */
    bool can_zero;    /* ZERO works; else it ends with -EOPNOTSUPP */
    /* What ranges and the capacity are multiples of, a power of two; 0: BLK_SECTOR_BYTES. */
    uint32_t logical_bytes;
    /* What suits the storage; 0: unknown. Powers of two. */
    uint32_t physical_bytes; /* smaller writes cost a read */
    uint32_t optimal_bytes;  /* a good size for a request */
    uint32_t discard_bytes;  /* unit and alignment of what DISCARD gives up */
};

static inline uint32_t blk_logical_bytes(const struct blk_info *info)
{
    return info->logical_bytes != 0 ? info->logical_bytes : BLK_SECTOR_BYTES;
}

/* Of the device that uses the backend. On the loop. */
struct blk_handler {
    void (*on_resize)(void *ctx); /* info.capacity_bytes has changed; NULL: of no interest */
    void *ctx;
};

struct blk_backend_ops {
    /*
     * Takes a request whose range the device has checked against the capacity and the logical
     * blocks. Every request completes exactly once, from the loop, never inside submit().
     */
    void (*submit)(struct blk_backend *b, struct blk_req *req);
    /*
     * Ends all that is out, in bounded time: what has not been done by now may end with -ECANCELED,
     * in part or not begun. Returns when every done() has been called.
     */
    void (*drain)(struct blk_backend *b);
    void (*destroy)(struct blk_backend *b);
    /*
     * A view: the same storage for another loop. Requests of both run side by side; a flush covers
     * what completed before it on either. Set-up thread; errors are reported. The view is destroyed
     * before what it was made of. Its info is a copy, of which the filter that asked for it keeps
     * the capacity up to date, on its loop. NULL: there can be none.
     */
    int (*view)(struct blk_backend *b, struct evloop *loop, struct blk_backend **out);
};

/*
 * A backend may stand on another one (fault injection, rate limits, an overlay): it owns that one,
 * and destroys it with itself.
 */
struct blk_backend {
    const struct blk_backend_ops *ops;
    struct blk_info info;
    struct blk_handler handler; /* the device's; zeroed while there is none */
};

/* What every backend refuses: 0, -EIO outside of the capacity, -EROFS, -EOPNOTSUPP. */
static inline int blk_check(const struct blk_info *info, const struct blk_req *req)
{
    if (req->op == BLK_FLUSH)
        return 0;
    if (req->op != BLK_READ && info->read_only)
        return -EROFS;
    if (!range_within(req->offset_bytes, req->bytes, 0, info->capacity_bytes))
        return -EIO;
    if ((req->op == BLK_DISCARD && !info->can_discard) || (req->op == BLK_ZERO && !info->can_zero))
        return -EOPNOTSUPP;
    return 0;
}

/* A request's data, which only reads and writes have. */
static inline struct iobuf blk_req_data(const struct blk_req *req)
{
    return (struct iobuf){.iov = req->iov, .left = req->iov_count > 0 ? req->bytes : 0};
}

/* The device is told of a change. */
static inline void blk_set_capacity(struct blk_backend *b, uint64_t bytes)
{
    bool changed = b->info.capacity_bytes != bytes;
    b->info.capacity_bytes = bytes;
    if (changed && b->handler.on_resize != NULL)
        b->handler.on_resize(b->handler.ctx);
}

#endif
