// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/blk/blk_impl.h"

#include <errno.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"

/* ---- out: status, push ---- */

static struct blk_request *request_of(const struct blk_steps *s)
{
    return (struct blk_request *)container_of(s, struct blk_request, steps);
}

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
static bool is_wanted(const struct blk_steps *s)
{
    const struct blk_queue *q = request_of(s)->queue;
    return virtio_queue_answers(&q->blk->dev.queues[q->index]);
}

/*
 * VIRTIO 1.4 5.2.6.2: a write is on stable storage when it is complete if the cache was in
 * write-through mode all the time. Then it is in that mode now.
 */
static bool wants_flush(const struct blk_request *r)
{
    enum blk_op op = r->steps.req.op;
    return (op == BLK_WRITE || op == BLK_ZERO) &&
           __atomic_load_n(&r->queue->blk->config[VIRTIO_BLK_CONFIG_writeback], __ATOMIC_RELAXED) ==
               0;
}

static void on_failed(struct blk_steps *s, int err)
{
    finish(request_of(s), status_of(err));
}

static void on_done(struct blk_req *req, int result)
{
    struct blk_request *r = container_of(req, struct blk_request, steps.req);
    if (blk_steps_next(&r->steps, result))
        return;
    if (result != 0 || !wants_flush(r))
        finish(r, status_of(result));
    else if (is_wanted(&r->steps))
        blk_steps_flush(&r->steps);
    else
        finish(r, VIRTIO_BLK_S_IOERR);
}

static const struct blk_steps_ops steps_ops = {
    .wanted = is_wanted,
    .step_done = on_done,
    .failed = on_failed,
};

static bool is_of(struct blk_steps *s, void *queue)
{
    return request_of(s)->queue == queue;
}

void blk_requests_forget(struct blk_queue *queue)
{
    blk_again_sift(&queue->lane->again, is_of, queue);
}

/* ---- in: header, checks, submit ---- */

/* In sectors: a range on the disk, in whole logical blocks. */
static bool is_range(const struct blk_request *r, uint64_t sector, uint64_t sectors)
{
    const struct blk_info *info = &r->queue->lane->backend->info;
    return is_aligned(sector | sectors, blk_logical_bytes(info) / BLK_SECTOR_BYTES) &&
           range_within(sector, sectors, 0, info->capacity_bytes / BLK_SECTOR_BYTES);
}

/* Moves all that is left in data from or to the disk. */
static void transfer(struct blk_request *r, enum blk_op op, uint64_t sector, struct iobuf *data)
{
    uint64_t sectors = data->left / BLK_SECTOR_BYTES;
    if (data->left % BLK_SECTOR_BYTES != 0 || !is_range(r, sector, sectors))
        finish(r, VIRTIO_BLK_S_IOERR);
    else if (sectors == 0)
        finish(r, VIRTIO_BLK_S_OK);
    else
        blk_steps_transfer(&r->steps, op, sector * BLK_SECTOR_BYTES, data->left, data);
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
        if (sectors > BLK_RANGE_MAX_BYTES / BLK_SECTOR_BYTES || !is_range(r, sector, sectors))
            status = VIRTIO_BLK_S_IOERR;
        else if (sectors > 0)
            r->steps.ranges[r->steps.range_count++] = (struct blk_range){
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
    if (status != VIRTIO_BLK_S_OK || r->steps.range_count == 0) {
        finish(r, status);
        return;
    }
    blk_steps_ranges(&r->steps, op);
}

static bool changes_disk(uint32_t type)
{
    return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
           type == VIRTIO_BLK_T_WRITE_ZEROES;
}

static void start(struct blk_queue *queue, struct vq_chain *chain)
{
    struct virtio_device *dev = &queue->blk->dev;
    struct blk_lane *lane = queue->lane;
    struct blk_request *r = request_of(
        blk_steps_begin(&queue->slots, chain->slot, &steps_ops, &lane->again, lane->backend));
    r->queue = queue;
    r->chain = chain;
    if (!iobuf_split_tail(&chain->wr, 1, &chain->tail)) {
        log_guest(&dev->guest_errors, "virtio %s: request without a status byte", dev->setup.name);
        virtio_queue_push(dev, queue->index, chain);
        return;
    }
    uint8_t header[VIRTIO_BLK_REQ_HEADER_BYTES];
    if (iobuf_get(&chain->rd, header, sizeof(header)) < sizeof(header)) {
        finish(r, VIRTIO_BLK_S_IOERR);
        return;
    }
    uint32_t type = le32_get(header + VIRTIO_BLK_REQ_type);
    uint64_t sector = le64_get(header + VIRTIO_BLK_REQ_sector);
    if (type == VIRTIO_BLK_T_IN)
        transfer(r, BLK_READ, sector, &chain->wr);
    else if (changes_disk(type) && queue->blk->backend->info.read_only)
        finish(r, VIRTIO_BLK_S_IOERR); /* RO negotiated or not: VIRTIO 1.4 5.2.6.2 */
    else if (type == VIRTIO_BLK_T_OUT)
        transfer(r, BLK_WRITE, sector, &chain->rd);
    else if (type == VIRTIO_BLK_T_FLUSH)
        blk_steps_flush(&r->steps);
    else if (type == VIRTIO_BLK_T_GET_ID)
        get_id(r);
    else if (type == VIRTIO_BLK_T_DISCARD)
        do_ranges(r, BLK_DISCARD, VIRTIO_BLK_F_DISCARD, 0);
    else if (type == VIRTIO_BLK_T_WRITE_ZEROES)
        do_ranges(r, BLK_ZERO, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_RANGE_F_UNMAP);
    else
        finish(r, VIRTIO_BLK_S_UNSUPP);
}

void blk_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct blk_queue *q = &container_of(dev, struct virtio_blk, dev)->queues[queue];
    struct vq_chain *chain;
    while ((chain = virtio_queue_next(dev, queue)) != NULL)
        start(q, chain);
}
