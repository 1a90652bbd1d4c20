// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/blk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "core/fail.h"
#include "core/le.h"
#include "core/xmath.h"
#include "virtio/device.h"
#include "virtio/spec.h"

#define QUEUE 0u

/* As many data buffers as a chain has room for beside the header and the status. */
#define SEG_MAX (VIRTIO_QUEUE_SIZE_DEFAULT - 2)

/* One for each chain that can be in flight, at the chain's slot. */
struct blk_request {
    struct blk_req req;
    struct virtio_blk *blk;
    struct vq_chain *chain;
    struct iovec *iov;
};

struct virtio_blk {
    struct virtio_device dev;
    struct blk_backend *backend;
    char serial[VIRTIO_BLK_ID_BYTES];
    uint8_t config[VIRTIO_BLK_CONFIG_BYTES];

    /* From activation to reset, sized by the queue. */
    struct blk_request *requests;
    struct iovec *iov;
    unsigned iov_max;
};

/* ---- out: status, push ---- */

static void finish(struct blk_request *r, uint8_t status)
{
    iobuf_put(&r->chain->tail, &status, sizeof(status));
    virtio_queue_push(&r->blk->dev, QUEUE, r->chain);
}

static void submit(struct blk_request *r, enum blk_op op)
{
    r->req.op = op;
    r->blk->backend->ops->submit(r->blk->backend, &r->req);
}

static void on_done(struct blk_req *req, int result)
{
    struct blk_request *r = container_of(req, struct blk_request, req);
    bool write_through = !virtio_device_has(&r->blk->dev, VIRTIO_BLK_F_FLUSH);
    if (result == 0 && req->op == BLK_WRITE && write_through) {
        submit(r, BLK_FLUSH);
        return;
    }
    if (result == 0 && req->op == BLK_READ) /* the backend wrote it: now it counts */
        iobuf_skip(&r->chain->wr, req->bytes);
    finish(r, result == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
}

/* ---- in: header, checks, submit ---- */

static uint64_t capacity_bytes(const struct virtio_blk *blk)
{
    return align_down(blk->backend->info.capacity_bytes, BLK_SECTOR_BYTES);
}

/* Moves all that is left in data from or to the disk. */
static void transfer(struct blk_request *r, enum blk_op op, uint64_t sector,
                     const struct iobuf *data)
{
    uint64_t offset, bytes = data->left;
    if (!checked_mul_u64(sector, BLK_SECTOR_BYTES, &offset) ||
        !range_within(offset, bytes, 0, capacity_bytes(r->blk)) || bytes % BLK_SECTOR_BYTES != 0) {
        finish(r, VIRTIO_BLK_S_IOERR);
        return;
    }
    if (bytes == 0) {
        finish(r, VIRTIO_BLK_S_OK);
        return;
    }
    int count = iobuf_iov(data, bytes, r->iov, r->blk->iov_max);
    BUG_ON(count <= 0); /* the chain has no more vectors than that */
    r->req.offset_bytes = offset;
    r->req.bytes = bytes;
    r->req.iov = r->iov;
    r->req.iov_count = (unsigned)count;
    submit(r, op);
}

static void flush(struct blk_request *r)
{
    r->req.bytes = 0;
    r->req.iov_count = 0;
    submit(r, BLK_FLUSH);
}

static void get_id(struct blk_request *r)
{
    iobuf_put(&r->chain->wr, r->blk->serial, sizeof(r->blk->serial));
    finish(r, VIRTIO_BLK_S_OK);
}

static void start(struct virtio_blk *blk, struct vq_chain *chain)
{
    struct blk_request *r = &blk->requests[chain->slot];
    r->chain = chain;
    if (!vq_chain_split_tail(chain, 1)) {
        log_guest(&blk->dev.guest_errors, "virtio %s: request without a status byte",
                  blk->dev.cfg.name);
        virtio_queue_push(&blk->dev, QUEUE, chain);
        return;
    }
    uint8_t header[VIRTIO_BLK_REQ_HEADER_BYTES];
    if (iobuf_get(&chain->rd, header, sizeof(header)) < sizeof(header)) {
        finish(r, VIRTIO_BLK_S_IOERR);
        return;
    }
    uint64_t sector = le64_get(header + VIRTIO_BLK_REQ_sector);
    switch (le32_get(header + VIRTIO_BLK_REQ_type)) {
    case VIRTIO_BLK_T_IN:
        transfer(r, BLK_READ, sector, &chain->wr);
        break;
    case VIRTIO_BLK_T_OUT:
        if (blk->backend->info.read_only) /* whether or not RO was negotiated: 5.2.6.2 */
            finish(r, VIRTIO_BLK_S_IOERR);
        else
            transfer(r, BLK_WRITE, sector, &chain->rd);
        break;
    case VIRTIO_BLK_T_FLUSH:
        flush(r);
        break;
    case VIRTIO_BLK_T_GET_ID:
        get_id(r);
        break;
    default:
        finish(r, VIRTIO_BLK_S_UNSUPP);
        break;
    }
}

static void blk_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);
    struct vq_chain *chain;
    while ((chain = virtio_queue_next(dev, queue)) != NULL)
        start(blk, chain);
}

/* ---- the queue comes and goes ---- */

static void free_requests(struct virtio_blk *blk)
{
    free(blk->requests);
    free(blk->iov);
    blk->requests = NULL;
    blk->iov = NULL;
}

static int blk_queue_start(struct virtio_device *dev, unsigned queue)
{
    struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);
    const struct virtqueue *vq = &dev->queues[queue].vq;
    blk->iov_max = vq->iov_max;
    blk->requests = calloc(vq->size, sizeof(*blk->requests));
    blk->iov = calloc((size_t)vq->size * vq->iov_max, sizeof(*blk->iov));
    if (blk->requests == NULL || blk->iov == NULL) {
        free_requests(blk);
        return -ENOMEM;
    }
    for (unsigned slot = 0; slot < vq->size; slot++)
        blk->requests[slot] = (struct blk_request){
            .req.done = on_done,
            .blk = blk,
            .iov = &blk->iov[(size_t)slot * vq->iov_max],
        };
    return 0;
}

static void blk_queue_stop(struct virtio_device *dev, unsigned queue)
{
    struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);
    (void)queue;
    blk->backend->ops->drain(blk->backend);
    free_requests(blk);
}

static const struct virtio_device_ops blk_ops = {
    .queue_start = blk_queue_start,
    .queue_ready = blk_queue_ready,
    .queue_stop = blk_queue_stop,
};

/* ---- life ---- */

static int init_device(struct virtio_blk *blk, const struct virtio_blk_config *config)
{
    struct virtio_device_config device = {
        .name = config->name,
        .device_id = VIRTIO_ID_BLOCK,
        .ops = &blk_ops,
        .features = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
                    VIRTIO_BIT(VIRTIO_BLK_F_FLUSH),
        .config = blk->config,
        .config_bytes = sizeof(blk->config),
        .queue_count = 1,
        .queue_size_max = config->queue_size_max,
        .features_on = config->features_on,
        .features_off = config->features_off,
        .iov_max = SEG_MAX + 2,
        .strict = config->strict,
        .loop = config->loop,
        .gmem = config->gmem,
    };
    if (config->backend->info.read_only)
        device.features |= VIRTIO_BIT(VIRTIO_BLK_F_RO);
    return virtio_device_init(&blk->dev, &device);
}

int virtio_blk_create(struct virtio_blk **out, const struct virtio_blk_config *config)
{
    struct virtio_blk *blk = calloc(1, sizeof(*blk));
    if (blk == NULL)
        return fail(-ENOMEM, "virtio %s", config->name);
    blk->backend = config->backend;
    if (config->serial != NULL)
        memcpy(blk->serial, config->serial, strnlen(config->serial, sizeof(blk->serial)));
    le64_put(blk->config + VIRTIO_BLK_CONFIG_capacity, capacity_bytes(blk) / BLK_SECTOR_BYTES);
    le32_put(blk->config + VIRTIO_BLK_CONFIG_seg_max, SEG_MAX);
    le32_put(blk->config + VIRTIO_BLK_CONFIG_blk_size, BLK_SECTOR_BYTES);
    int err = init_device(blk, config);
    if (err != 0) {
        free(blk);
        return err;
    }
    *out = blk;
    return 0;
}

void virtio_blk_destroy(struct virtio_blk *blk)
{
    if (blk == NULL)
        return;
    virtio_device_fini(&blk->dev);
    free(blk);
}

struct virtio_device *virtio_blk_device(struct virtio_blk *blk)
{
    return &blk->dev;
}
