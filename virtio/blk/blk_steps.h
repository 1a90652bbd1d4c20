// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the block device and the SCSI host have in common: a request is one block request after the
 * other (data, or ranges, then maybe a flush), one for each chain that can be in flight, at the
 * chain's slot. What a drain drops for another queue's sake is kept, and submitted again in the
 * next turn of the loop.
 *
 * All of it is on the loop of the backend.
 */
#ifndef MINIVET_VIRTIO_BLK_STEPS_H
#define MINIVET_VIRTIO_BLK_STEPS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/memory/iobuf.h"
#include "core/ports/block.h"

struct virtqueue;

/* What the driver is told that one request for ranges may carry. */
#define BLK_RANGES_MAX      32u
#define BLK_RANGE_MAX_BYTES (UINT32_C(1) << 30) /* a drain waits for one at most */

struct blk_range {
    uint64_t offset_bytes, bytes;
    bool may_unmap;
};

struct blk_steps;

struct blk_steps_ops {
    /* Shall it go on? No more of a queue that stops, or of a request that is aborted. */
    bool (*wanted)(const struct blk_steps *s);
    /* How a step ended: calls blk_steps_next() first. */
    void (*step_done)(struct blk_req *req, int result);
    /* The request did not get as far as a backend: -ERANGE, or -ECANCELED if it is not wanted. */
    void (*failed)(struct blk_steps *s, int err);
};

/* What a loop submits again. */
struct blk_again {
    struct evloop *loop;
    TAILQ_HEAD(, blk_steps) list;
    struct ev_defer submit;
};

/* Each device's request begins with it. */
struct blk_steps {
    struct blk_req req;
    const struct blk_steps_ops *ops; /* NULL: the slot was not used yet */
    struct blk_again *lane;
    struct blk_backend *backend; /* for each request */
    struct iobuf *data;          /* of a transfer: what the backend moves counts */
    struct blk_range *ranges;    /* BLK_RANGES_MAX of them, done one after the other */
    unsigned iov_max, range_count, range_next;
    bool flush_after;
    uint64_t moved; /* bytes of data */
    TAILQ_ENTRY(blk_steps) again;
};

/* Of a queue while it runs, sized by it. */
struct blk_slots {
    size_t count;
    uint8_t *requests;
    size_t request_bytes;
    struct iovec *iov;
    struct blk_range *ranges;
    unsigned iov_max;
};

/* 0 or -ENOMEM. */
int blk_slots_alloc(struct blk_slots *slots, const struct virtqueue *vq, size_t request_bytes);
void blk_slots_free(struct blk_slots *slots);
void blk_slots_init(const struct blk_slots *slots, struct blk_steps *s, unsigned slot);

void blk_again_init(struct blk_again *lane, struct evloop *loop);
/* Removes from the list the requests for which goes() is true. */
void blk_again_sift(struct blk_again *lane, bool (*goes)(struct blk_steps *s, void *arg),
                    void *arg);

/* The steps of a request. Its end may come inside, if it fails: blk_steps_transfer(), or these. */
void blk_steps_ranges(struct blk_steps *s, enum blk_op op); /* one at least */
void blk_steps_flush(struct blk_steps *s);

/* For blk_steps_next(): takes the next step, or puts the request off. */
void blk_steps_go_on(struct blk_steps *s, int result);

/*
 * A new request at a slot. What a slot needs is made when it is used first: a queue that is never
 * deep takes little of the host's memory.
 */
static inline struct blk_steps *blk_steps_begin(const struct blk_slots *slots, unsigned slot,
                                                const struct blk_steps_ops *ops,
                                                struct blk_again *lane, struct blk_backend *backend)
{
    struct blk_steps *s = (void *)(slots->requests + slot * slots->request_bytes);
    if (s->ops == NULL) {
        s->ops = ops;
        s->lane = lane;
        blk_slots_init(slots, s, slot);
    }
    s->backend = backend;
    s->range_count = s->range_next = 0;
    s->flush_after = false;
    s->moved = 0;
    return s;
}

/* Here, since the disk may have shrunk after the request came. */
static inline void blk_steps_submit(struct blk_steps *s)
{
    struct blk_backend *backend = s->backend;
    if (range_within(s->req.offset_bytes, s->req.bytes, 0, backend->info.capacity_bytes))
        backend->ops->submit(backend, &s->req);
    else
        s->ops->failed(s, -ERANGE);
}

/* Moves all that is left in data, or its first bytes, from or to the disk. */
static inline void blk_steps_transfer(struct blk_steps *s, enum blk_op op, uint64_t offset_bytes,
                                      uint64_t bytes, struct iobuf *data)
{
    int count = iobuf_iov(data, bytes, s->req.iov, s->iov_max);
    BUG_ON(count <= 0); /* the chain has no more vectors than that */
    s->data = data;
    s->req.op = op;
    s->req.offset_bytes = offset_bytes;
    s->req.bytes = bytes;
    s->req.iov_count = (unsigned)count;
    blk_steps_submit(s);
}

/* True: the request goes on. False: `result` is its result. */
static inline bool blk_steps_next(struct blk_steps *s, int result)
{
    if (result == 0 && (s->req.op == BLK_READ || s->req.op == BLK_WRITE)) /* now it counts */
        s->moved += iobuf_skip(s->data, s->req.bytes);
    bool more = result == 0 && (s->range_next < s->range_count || s->flush_after);
    if (!more && result != -ECANCELED)
        return false;
    blk_steps_go_on(s, result);
    return true;
}

#endif
