// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/scsi/scsi_impl.h"

static struct scsi_request *request_of(const struct scsi_task *task)
{
    return (struct scsi_request *)container_of(task, struct scsi_request, task);
}

/* ---- out: response, push ---- */

static void push(struct scsi_request *r)
{
    struct scsi_queue *q = r->queue;
    if (r->target != NULL)
        LIST_REMOVE(r, link);
    virtio_queue_push(&q->scsi->dev, q->index, r->chain);
}

/* Nothing, or what a task left. `sense` is 0 for none. */
static void respond(struct scsi_request *r, uint8_t response, uint8_t status, unsigned sense)
{
    uint8_t head[VIRTIO_SCSI_RESP_sense + SCSI_SENSE_BYTES] = {0};
    uint32_t room = scsi_sense_size(r->queue->scsi);
    uint32_t sense_len = sense != 0 ? (uint32_t)min_u64(SCSI_SENSE_BYTES, room) : 0;
    uint64_t residual = min_u64(r->data_bytes - r->task.moved, UINT32_MAX);
    le32_put(head + VIRTIO_SCSI_RESP_sense_len, sense_len);
    le32_put(head + VIRTIO_SCSI_RESP_residual, (uint32_t)residual);
    head[VIRTIO_SCSI_RESP_status] = status;
    head[VIRTIO_SCSI_RESP_response] = response;
    if (sense_len > 0)
        scsi_sense_put(head + VIRTIO_SCSI_RESP_sense, sense);
    iobuf_put(&r->response, head, VIRTIO_SCSI_RESP_sense + sense_len);
    iobuf_put_zero(&r->response, room - sense_len);
    push(r);
}

static void respond_only(struct scsi_request *r, uint8_t response)
{
    r->task.moved = 0;
    respond(r, response, 0, 0);
}

static void on_done(struct scsi_task *task)
{
    struct scsi_request *r = request_of(task);
    if (task->end == SCSI_END_OVERRUN)
        respond_only(r, VIRTIO_SCSI_S_OVERRUN);
    else
        respond(r, VIRTIO_SCSI_S_OK, task->status, task->sense);
}

/* ---- requests that were dropped ---- */

/* A queue that is being stopped answers no more, so nothing more is done for it. */
static bool is_wanted(const struct scsi_task *task)
{
    const struct scsi_request *r = request_of(task);
    return virtio_queue_runs(&r->queue->scsi->dev.queues[r->queue->index]) && !r->aborted;
}

static void give_up(struct scsi_request *r)
{
    respond_only(r, r->aborted ? r->aborted_response : VIRTIO_SCSI_S_FAILURE);
}

static void on_dropped(struct scsi_task *task)
{
    struct scsi_request *r = request_of(task);
    struct virtio_scsi *scsi = r->queue->scsi;
    if (!is_wanted(task)) {
        give_up(r);
        return;
    }
    TAILQ_INSERT_TAIL(&scsi->again, r, again);
    evloop_defer(scsi->dev.setup.loop, &scsi->submit_again);
}

static void submit_again(void *ctx)
{
    struct virtio_scsi *scsi = ctx;
    TAILQ_HEAD(, scsi_request) now = TAILQ_HEAD_INITIALIZER(now);
    struct scsi_request *r;
    TAILQ_CONCAT(&now, &scsi->again, again);
    while ((r = TAILQ_FIRST(&now)) != NULL) {
        TAILQ_REMOVE(&now, r, again);
        if (is_wanted(&r->task))
            scsi_task_resume(&r->task);
        else
            give_up(r);
    }
}

void scsi_again_init(struct virtio_scsi *scsi)
{
    TAILQ_INIT(&scsi->again);
    scsi->submit_again = (struct ev_defer){.cb = submit_again, .ctx = scsi};
}

/*
 * Takes a queue's requests off the list, and forgets them, or those that were aborted (queue is
 * NULL), and answers them.
 */
static void sort_out(struct virtio_scsi *scsi, const struct scsi_queue *queue)
{
    for (struct scsi_request *r = TAILQ_FIRST(&scsi->again), *next; r != NULL; r = next) {
        next = TAILQ_NEXT(r, again);
        if (queue != NULL ? r->queue != queue : !r->aborted)
            continue;
        TAILQ_REMOVE(&scsi->again, r, again);
        if (queue != NULL && r->target != NULL)
            LIST_REMOVE(r, link);
        else if (queue == NULL)
            give_up(r);
    }
    if (TAILQ_EMPTY(&scsi->again))
        evloop_defer_cancel(scsi->dev.setup.loop, &scsi->submit_again);
}

void scsi_again_forget(struct scsi_queue *queue)
{
    sort_out(queue->scsi, queue);
}

void scsi_target_drain(struct scsi_target *target)
{
    struct blk_backend *backend = target->disk.backend;
    backend->ops->drain(backend);
    sort_out(target->scsi, NULL);
}

/* ---- in ---- */

static bool is_present(const struct scsi_task *task, unsigned target)
{
    const struct virtio_scsi *scsi = request_of(task)->queue->scsi;
    return target < scsi->target_count && scsi->targets[target].disk.backend != NULL;
}

static const struct scsi_task_ops task_ops = {
    .done = on_done,
    .wanted = is_wanted,
    .dropped = on_dropped,
    .present = is_present,
};

/*
 * Cuts the response off the front of what the device writes. A part of it is enough if that has the
 * response code; then the request is answered, but not done.
 */
static bool take_response(struct scsi_request *r, bool *whole)
{
    struct iobuf *wr = &r->chain->wr;
    uint64_t bytes = VIRTIO_SCSI_RESP_sense + (uint64_t)scsi_sense_size(r->queue->scsi);
    *whole = wr->left >= bytes;
    if (wr->left < VIRTIO_SCSI_RESP_sense)
        return false;
    r->response = *wr;
    r->response.left = iobuf_skip(wr, bytes);
    return true;
}

/* Copies the header, and the CDB as far as anybody looks at it. False: it is too short. */
static bool take_header(struct scsi_request *r, uint8_t head[VIRTIO_SCSI_CMD_cdb])
{
    struct iobuf *rd = &r->chain->rd;
    uint32_t size = scsi_cdb_size(r->queue->scsi);
    uint32_t kept = (uint32_t)min_u64(size, SCSI_CDB_MAX);
    if (rd->left < VIRTIO_SCSI_CMD_cdb + (uint64_t)size)
        return false;
    iobuf_get(rd, head, VIRTIO_SCSI_CMD_cdb);
    memset(r->task.cdb, 0, sizeof(r->task.cdb));
    iobuf_get(rd, r->task.cdb, kept);
    iobuf_skip(rd, size - kept);
    r->task.cdb_bytes = kept;
    return true;
}

void scsi_request_start(struct scsi_request *r, struct vq_chain *chain)
{
    struct virtio_scsi *scsi = r->queue->scsi;
    uint8_t head[VIRTIO_SCSI_CMD_cdb];
    bool whole;
    r->chain = chain;
    r->target = NULL;
    r->aborted = false;
    r->data_bytes = 0;
    if (!take_response(r, &whole)) {
        log_guest(&scsi->dev.guest_errors, "virtio %s: request without room for a response",
                  scsi->dev.setup.name);
        push(r);
        return;
    }
    if (!whole || !take_header(r, head)) {
        respond_only(r, VIRTIO_SCSI_S_FAILURE);
        return;
    }
    r->id = le64_get(head + VIRTIO_SCSI_CMD_id);
    r->data_bytes = chain->rd.left + chain->wr.left;
    struct scsi_target *target;
    if (!scsi_find(scsi, head + VIRTIO_SCSI_CMD_lun, &target, &r->task.unit)) {
        respond_only(r, VIRTIO_SCSI_S_BAD_TARGET);
        return;
    }
    if (chain->rd.left > 0 && chain->wr.left > 0) { /* both ways: INOUT is not offered */
        respond_only(r, VIRTIO_SCSI_S_FAILURE);
        return;
    }
    r->target = target;
    if (target != NULL)
        LIST_INSERT_HEAD(&target->requests, r, link);
    r->task.disk = target != NULL ? &target->disk : NULL;
    r->task.out = &chain->rd;
    r->task.in = &chain->wr;
    scsi_task_start(&r->task);
}

void scsi_request_init(struct scsi_request *r, struct scsi_queue *queue, unsigned slot,
                       unsigned iov_max)
{
    *r = (struct scsi_request){.queue = queue};
    scsi_task_init(&r->task, &task_ops, &queue->iov[(size_t)slot * iov_max], iov_max,
                   &queue->ranges[(size_t)slot * SCSI_RANGES_MAX]);
}
