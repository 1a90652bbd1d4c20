// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/blk/blk_impl.h"

#include <errno.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"

/* ---- out: status, push ---- */

static void finish(struct blk_request *r, uint8_t status)
{
    struct blk_queue *q = r->queue;
    iobuf_put(&r->chain->tail, &status, sizeof(status));
    virtio_queue_push(&q->blk->dev, q->index, r->chain);
}

static uint8_t status_of(int result)
{
    if (result == 0)
        return VIRTIO_BLK_S_OK;
    return result == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

/* ---- at work ---- */

/* A queue that is being stopped answers no more, so nothing more is done for it. */
static bool is_wanted(const struct blk_request *r)
{
    return virtio_queue_runs(&r->queue->blk->dev.queues[r->queue->index]);
}

/* Here, since the disk may have shrunk after the request came. */
static void submit(struct blk_request *r)
{
    struct blk_backend *backend = r->queue->lane->backend;
    if (range_within(r->req.offset_bytes, r->req.bytes, 0, backend->info.capacity_bytes))
        backend->ops->submit(backend, &r->req);
    else
        finish(r, VIRTIO_BLK_S_IOERR);
}

static void submit_range(struct blk_request *r)
{
    const struct blk_range *range = &r->ranges[r->range_next++];
    r->req.offset_bytes = range->offset_bytes;
    r->req.bytes = range->bytes;
    r->req.may_unmap = range->may_unmap;
    submit(r);
}

static void submit_flush(struct blk_request *r)
{
    r->req.op = BLK_FLUSH;
    r->req.offset_bytes = 0;
    r->req.bytes = 0;
    r->req.iov_count = 0;
    submit(r);
}

/*
 * VIRTIO 1.4 5.2.6.2: a write is on stable storage when it is complete if the cache was in
 * write-through mode all the time. Then it is in that mode now.
 */
static bool wants_flush(const struct blk_request *r)
{
    return (r->req.op == BLK_WRITE || r->req.op == BLK_ZERO) &&
           __atomic_load_n(&r->queue->blk->config[VIRTIO_BLK_CONFIG_writeback], __ATOMIC_RELAXED) ==
               0;
}

static void submit_again_later(struct blk_request *r)
{
    struct blk_lane *lane = r->queue->lane;
    TAILQ_INSERT_TAIL(&lane->again, r, again);
    evloop_defer(lane->loop, &lane->submit_again);
}

/* A step of the request is done: the next, or the end. */
static void on_done(struct blk_req *req, int result)
{
    struct blk_request *r = container_of(req, struct blk_request, req);
    void (*next)(struct blk_request * r) = NULL;
    if (result == -ECANCELED)
        next = submit_again_later;
    else if (result == 0 && r->range_next < r->range_count)
        next = submit_range;
    else if (result == 0 && wants_flush(r))
        next = submit_flush;
    if (result == 0 && req->op == BLK_READ) /* the backend wrote it: now it counts */
        iobuf_skip(&r->chain->wr, req->bytes);
    if (result == 0 && req->op == BLK_WRITE)
        iobuf_skip(&r->chain->rd, req->bytes);
    if (next == NULL)
        finish(r, status_of(result));
    else if (is_wanted(r))
        next(r);
    else
        finish(r, VIRTIO_BLK_S_IOERR);
}

/* ---- requests that were dropped for another queue's sake ---- */

static void submit_again(void *ctx)
{
    struct blk_lane *lane = ctx;
    TAILQ_HEAD(, blk_request) now = TAILQ_HEAD_INITIALIZER(now);
    struct blk_request *r;
    TAILQ_CONCAT(&now, &lane->again, again);
    while ((r = TAILQ_FIRST(&now)) != NULL) {
        TAILQ_REMOVE(&now, r, again);
        if (is_wanted(r))
            submit(r);
        else
            finish(r, VIRTIO_BLK_S_IOERR);
    }
}

void blk_again_init(struct blk_lane *lane)
{
    TAILQ_INIT(&lane->again);
    lane->submit_again = (struct ev_defer){.cb = submit_again, .ctx = lane};
}

void blk_again_forget(struct blk_queue *queue)
{
    struct blk_lane *lane = queue->lane;
    for (struct blk_request *r = TAILQ_FIRST(&lane->again), *next; r != NULL; r = next) {
        next = TAILQ_NEXT(r, again);
        if (r->queue == queue)
            TAILQ_REMOVE(&lane->again, r, again);
    }
    if (TAILQ_EMPTY(&lane->again))
        evloop_defer_cancel(lane->loop, &lane->submit_again);
}

/* ---- in: header, checks, submit ---- */

/* In sectors: a range on the disk, in whole logical blocks. */
static bool is_range(const struct blk_request *r, uint64_t sector, uint64_t sectors)
{
    const struct blk_backend *backend = r->queue->lane->backend;
    return is_aligned(sector | sectors, blk_block_sectors(backend)) &&
           range_within(sector, sectors, 0, blk_capacity_sectors(backend));
}

/* Moves all that is left in data from or to the disk. */
static void transfer(struct blk_request *r, enum blk_op op, uint64_t sector,
                     const struct iobuf *data)
{
    uint64_t sectors = data->left / BLK_SECTOR_BYTES;
    if (data->left % BLK_SECTOR_BYTES != 0 || !is_range(r, sector, sectors)) {
        finish(r, VIRTIO_BLK_S_IOERR);
        return;
    }
    if (sectors == 0) {
        finish(r, VIRTIO_BLK_S_OK);
        return;
    }
    int count = iobuf_iov(data, data->left, r->iov, r->queue->iov_max);
    BUG_ON(count <= 0); /* the chain has no more vectors than that */
    r->req.op = op;
    r->req.offset_bytes = sector * BLK_SECTOR_BYTES;
    r->req.bytes = data->left;
    r->req.iov_count = (unsigned)count;
    submit(r);
}

static void get_id(struct blk_request *r)
{
    const struct virtio_blk *blk = r->queue->blk;
    iobuf_put(&r->chain->wr, blk->serial, sizeof(blk->serial));
    finish(r, VIRTIO_BLK_S_OK);
}

/*
 * Copies the segments of a DISCARD or WRITE_ZEROES and checks them. All of them first, so that a
 * request which is wrong does nothing. Returns the status.
 */
static uint8_t take_ranges(struct blk_request *r, uint32_t known_flags)
{
    struct iobuf *rd = &r->chain->rd;
    uint8_t raw[VIRTIO_BLK_RANGE_BYTES], status = VIRTIO_BLK_S_OK;
    if (rd->left % sizeof(raw) != 0 || rd->left > BLK_RANGES_MAX * sizeof(raw))
        return VIRTIO_BLK_S_IOERR;
    while (iobuf_get(rd, raw, sizeof(raw)) == sizeof(raw)) {
        uint64_t sector = le64_get(raw + VIRTIO_BLK_RANGE_sector);
        uint32_t sectors = le32_get(raw + VIRTIO_BLK_RANGE_num_sectors);
        uint32_t flags = le32_get(raw + VIRTIO_BLK_RANGE_flags);
        if ((flags & ~known_flags) != 0) /* VIRTIO 1.4 5.2.6.2, whatever else is wrong */
            return VIRTIO_BLK_S_UNSUPP;
        if (sectors > BLK_RANGE_MAX_SECTORS || !is_range(r, sector, sectors))
            status = VIRTIO_BLK_S_IOERR;
        else if (sectors > 0)
            r->ranges[r->range_count++] = (struct blk_range){
                .offset_bytes = sector * BLK_SECTOR_BYTES,
                .bytes = (uint64_t)sectors * BLK_SECTOR_BYTES,
                .may_unmap = (flags & VIRTIO_BLK_RANGE_F_UNMAP) != 0,
            };
    }
    return status;
}

static void do_ranges(struct blk_request *r, enum blk_op op, unsigned feature, uint32_t known_flags)
{
    uint8_t status = VIRTIO_BLK_S_UNSUPP;
    if (virtio_device_has(&r->queue->blk->dev, feature))
        status = take_ranges(r, known_flags);
    if (status != VIRTIO_BLK_S_OK || r->range_count == 0) {
        finish(r, status);
        return;
    }
    r->req.op = op;
    r->req.iov_count = 0;
    submit_range(r);
}

static void dispatch(struct blk_request *r, uint32_t type, uint64_t sector)
{
    switch (type) {
    case VIRTIO_BLK_T_IN:
        transfer(r, BLK_READ, sector, &r->chain->wr);
        break;
    case VIRTIO_BLK_T_OUT:
        transfer(r, BLK_WRITE, sector, &r->chain->rd);
        break;
    case VIRTIO_BLK_T_FLUSH:
        submit_flush(r);
        break;
    case VIRTIO_BLK_T_GET_ID:
        get_id(r);
        break;
    case VIRTIO_BLK_T_DISCARD:
        do_ranges(r, BLK_DISCARD, VIRTIO_BLK_F_DISCARD, 0);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        do_ranges(r, BLK_ZERO, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_RANGE_F_UNMAP);
        break;
    default:
        finish(r, VIRTIO_BLK_S_UNSUPP);
        break;
    }
}

static bool changes_disk(uint32_t type)
{
    return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
           type == VIRTIO_BLK_T_WRITE_ZEROES;
}

void blk_request_start(struct blk_request *r, struct vq_chain *chain)
{
    struct virtio_device *dev = &r->queue->blk->dev;
    r->chain = chain;
    r->range_count = 0;
    r->range_next = 0;
    if (!vq_chain_split_tail(chain, 1)) {
        log_guest(&dev->guest_errors, "virtio %s: request without a status byte", dev->setup.name);
        virtio_queue_push(dev, r->queue->index, chain);
        return;
    }
    uint8_t header[VIRTIO_BLK_REQ_HEADER_BYTES];
    if (iobuf_get(&chain->rd, header, sizeof(header)) < sizeof(header)) {
        finish(r, VIRTIO_BLK_S_IOERR);
        return;
    }
    uint32_t type = le32_get(header + VIRTIO_BLK_REQ_type);
    /* Whether or not RO was negotiated: VIRTIO 1.4 5.2.6.2. */
    if (changes_disk(type) && r->queue->blk->backend->info.read_only)
        finish(r, VIRTIO_BLK_S_IOERR);
    else
        dispatch(r, type, le64_get(header + VIRTIO_BLK_REQ_sector));
}

void blk_request_init(struct blk_request *r, struct blk_queue *queue, unsigned slot)
{
    *r = (struct blk_request){
        .req.done = on_done,
        .queue = queue,
        .iov = &queue->iov[(size_t)slot * queue->iov_max],
        .ranges = &queue->ranges[(size_t)slot * BLK_RANGES_MAX],
    };
    r->req.iov = r->iov;
}
