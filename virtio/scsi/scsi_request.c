// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/scsi/scsi_impl.h"

static struct scsi_request *request_of(const struct blk_steps *s)
{
    return (struct scsi_request *)container_of(s, struct scsi_request, task.steps);
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
    struct scsi_request *r = request_of(&task->steps);
    if (task->end == SCSI_END_OVERRUN)
        respond_only(r, VIRTIO_SCSI_S_OVERRUN);
    else if (task->end == SCSI_END_DROPPED)
        respond_only(r, r->aborted ? r->aborted_response : VIRTIO_SCSI_S_FAILURE);
    else
        respond(r, VIRTIO_SCSI_S_OK, task->status, task->sense);
}

/* ---- requests that were dropped ---- */

/* A queue that is being stopped answers no more, so nothing more is done for it. */
static bool is_wanted(const struct blk_steps *s)
{
    const struct scsi_request *r = request_of(s);
    return virtio_queue_answers(&r->queue->scsi->dev.queues[r->queue->index]) && !r->aborted;
}

static const struct blk_steps_ops steps_ops = {
    .wanted = is_wanted,
    .step_done = scsi_task_step_done,
    .failed = scsi_task_failed,
};

static bool is_of(struct blk_steps *s, void *queue)
{
    struct scsi_request *r = request_of(s);
    if (r->queue == queue && r->target != NULL)
        LIST_REMOVE(r, link);
    return r->queue == queue;
}

void scsi_requests_forget(struct scsi_queue *queue)
{
    blk_again_sift(&queue->scsi->again, is_of, queue);
}

static bool is_aborted(struct blk_steps *s, void *arg)
{
    bool aborted = request_of(s)->aborted;
    (void)arg;
    if (aborted)
        scsi_task_failed(s, -ECANCELED);
    return aborted;
}

void scsi_target_drain(struct scsi_target *target)
{
    struct blk_backend *backend = target->disk.backend;
    backend->ops->drain(backend);
    blk_again_sift(&target->scsi->again, is_aborted, NULL);
}

/* ---- in ---- */

static bool is_present(const struct scsi_task *task, unsigned target)
{
    const struct virtio_scsi *scsi = request_of(&task->steps)->queue->scsi;
    return target < scsi->target_count && scsi->targets[target].disk.backend != NULL;
}

static const struct scsi_task_ops task_ops = {
    .done = on_done,
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

/* Copies the header, and the CDB as far as it is read. False: it is too short. */
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

void scsi_request_start(struct scsi_queue *queue, struct vq_chain *chain)
{
    struct virtio_scsi *scsi = queue->scsi;
    struct scsi_request *r =
        request_of(blk_steps_begin(&queue->slots, chain->slot, &steps_ops, &scsi->again, NULL));
    uint8_t head[VIRTIO_SCSI_CMD_cdb];
    bool whole;
    r->queue = queue;
    r->task.ops = &task_ops;
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
    r->task.steps.backend = target != NULL ? target->disk.backend : NULL;
    scsi_task_start(&r->task);
}
