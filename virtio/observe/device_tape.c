// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/observe/device_tape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/tape/tape.h"
#include "virtio/base/device.h"
#include "virtio/ring/vq_ops.h"
#include "virtio/spec.h"

/* Of what devices read. Commands are short, and the rest of longer chains is data. */
#define KEEP_HEADER   ((struct tape_keep){1024, 16})
#define KEEP_COMMANDS ((struct tape_keep){1024, 64})
#define KEEP_PACKETS  ((struct tape_keep){256, 64})
#define KEEP_MOST     ((struct tape_keep){UINT32_C(64) << 10, UINT32_C(32) << 10})
/* Of what they write. A disk's data and packets are on the tape already, where they come from. */
#define KEEP_ANSWERS TAPE_KEEP_DATA
#define KEEP_FRAMES  ((struct tape_keep){32, 16})
#define KEEP_STATUS  ((struct tape_keep){64, 0})
#define TAIL_MAX     16u /* of the status at the end */

_Static_assert(VQ_IOV_MAX *TAPE_BUFFER_MAX + (64u << 10) <= TAPE_BYTES_MAX &&
                   VQ_IOV_MAX <= TAPE_BUFFERS_MAX,
               "every chain fits in a record");

struct tape_queue {
    struct virtio_tape *owner;
    struct virtio_queue *q;
    const struct vq_ops *real; /* while the queue is active */
    struct vq_ops around;
    struct tape_keep keep, keep_used; /* of what is read, and written */
    bool idle; /* it is the loop that looks for chains, and the device does not hear of it */

    /* What the callbacks were. */
    void (*on_kick)(void *ctx, uint32_t events);
    bool (*look)(void *ctx);
    bool (*sleep)(void *ctx);
};

struct virtio_tape {
    struct tape *tape;
    struct virtio_device *dev;
    unsigned source;
    struct virtio_host host; /* the transport's */
    struct tape_queue queues[];
};

static struct tape_rec record(const struct tape_queue *tq, enum tape_type type)
{
    return tape_rec(type, tq->owner->source, tq->q->index);
}

static void note(const struct tape_queue *tq, enum tape_type type, uint64_t a)
{
    struct tape_rec rec = record(tq, type);
    rec.a = a;
    tape_note(tq->owner->tape, &rec);
}

/* ---- chains are taken ---- */

static void note_pop(struct tape_queue *tq, const struct vq_chain *chain)
{
    struct tape *t = tq->owner->tape;
    struct tape_rec rec = record(tq, TAPE_POP);
    struct iobuf rd = iobuf_init(chain->iov, chain->rd_iov);
    uint32_t kept = tape_kept(rd.left, tq->keep);
    rec.a = chain->iov_count;
    rec.b = TAPE_A_CHAIN | chain->head;
    uint8_t *room = tape_room(t, chain->iov_count * TAPE_BUFFER_MAX + kept);
    uint8_t *to = tape_put_buffers(t, room, chain->iov, chain->rd_iov, false);
    to =
        tape_put_buffers(t, to, chain->iov + chain->rd_iov, chain->iov_count - chain->rd_iov, true);
    tape_gather(to, chain->iov, chain->rd_iov, rd.left, tq->keep);
    rec.len = (uint32_t)(to - room) + kept;
    tape_note(t, &rec);
}

static int record_pop(struct virtqueue *vq, struct vq_chain *chain)
{
    struct tape_queue *tq = vq->tape;
    int got = tq->real->pop(vq, chain);
    if (got > 0) {
        note_pop(tq, chain);
        return got;
    }
    struct tape_rec rec = record(tq, TAPE_POP);
    rec.b = got < 0 ? TAPE_BROKEN_CHAIN : TAPE_NO_CHAIN;
    tape_note(tq->owner->tape, &rec);
    return got;
}

static int no_chain(struct virtqueue *vq, const char *what, uint64_t value)
{
    tape_bad(vq->tape->owner->tape, what, value);
    return vq_error(vq, -EPROTO, "the recorded chain is none");
}

/* A tape may have been tampered with: its buffers are checked as the driver's are. */
static int replay_chain(struct virtqueue *vq, struct vq_chain *chain, const struct tape_rec *rec)
{
    const struct tape_queue *tq = vq->tape;
    const uint8_t *at = rec->bytes, *end = at + rec->len;
    for (uint64_t i = 0; i < rec->a; i++) {
        struct tape_buffer b;
        at = tape_get_buffer(at, end, &b);
        if (at == NULL)
            return no_chain(vq, "number of buffers", rec->a);
        if (vq_chain_add(vq, chain, b.gpa, b.len, b.writable) != 0)
            return no_chain(vq, "buffer's address", b.gpa);
    }
    struct iobuf rd = iobuf_init(chain->iov, chain->rd_iov);
    chain->head = (uint16_t)rec->b;
    if (chain->head >= vq->size || vq->in_flight[chain->head])
        return no_chain(vq, "head", chain->head);
    if ((size_t)(end - at) != tape_kept(rd.left, tq->keep))
        return no_chain(vq, "number of bytes", rec->len);
    tape_scatter(at, chain->iov, chain->rd_iov, rd.left, tq->keep);
    return 1;
}

static int replay_pop(struct virtqueue *vq, struct vq_chain *chain)
{
    const struct tape_queue *tq = vq->tape;
    const struct tape_rec *rec =
        tape_ask(tq->owner->tape, tq->owner->source, TAPE_POP, tq->q->index);
    if (rec == NULL || rec->b == TAPE_NO_CHAIN)
        return 0;
    if (rec->b == TAPE_BROKEN_CHAIN)
        return vq_error(vq, -EPROTO, "as recorded");
    return replay_chain(vq, chain, rec);
}

/* ---- chains are given back ---- */

/* What was written, and (where that is not the whole of it) the status at the end. */
static void say_push(struct tape_queue *tq, const struct vq_chain *chain, uint32_t written)
{
    struct tape *t = tq->owner->tape;
    const struct iovec *iov = chain->iov + chain->rd_iov;
    unsigned count = chain->iov_count - chain->rd_iov;
    struct iobuf all = iobuf_init(iov, count);
    uint32_t kept = tape_kept(min_u64(written, all.left), tq->keep_used);
    uint32_t tail = (uint32_t)min_u64(chain->tail.done, TAIL_MAX);
    struct tape_rec rec = record(tq, TAPE_PUSH);
    rec.a = chain->head;
    rec.b = written;
    rec.len = kept + tail;
    uint8_t *to = tape_room(t, rec.len);
    tape_gather(to, iov, count, min_u64(written, all.left), tq->keep_used);
    if (tail > 0) {
        iobuf_skip(&all, all.left - chain->tail.done - chain->tail.left);
        iobuf_get(&all, to + kept, tail);
    }
    tape_say(t, &rec);
}

static void record_push(struct virtqueue *vq, const struct vq_chain *chain, uint32_t written)
{
    say_push(vq->tape, chain, written);
    vq->tape->real->push(vq, chain, written);
}

static void replay_push(struct virtqueue *vq, const struct vq_chain *chain, uint32_t written)
{
    say_push(vq->tape, chain, written);
}

static bool record_flush(struct virtqueue *vq)
{
    bool interrupt = vq->tape->real->flush(vq);
    note(vq->tape, TAPE_FLUSH, interrupt);
    return interrupt;
}

static bool replay_flush(struct virtqueue *vq)
{
    const struct tape_queue *tq = vq->tape;
    const struct tape_rec *rec =
        tape_ask(tq->owner->tape, tq->owner->source, TAPE_FLUSH, tq->q->index);
    return rec != NULL && rec->a != 0;
}

/* ---- notifications ---- */

/* Only what changes the device's course is recorded: chains have come while it turned them on. */
static bool record_notify_on(struct virtqueue *vq)
{
    bool more = vq->tape->real->notify_on(vq);
    if (more && !vq->tape->idle)
        note(vq->tape, TAPE_MORE, 0);
    return more;
}

static bool replay_notify_on(struct virtqueue *vq)
{
    const struct tape_queue *tq = vq->tape;
    return tape_ask_maybe(tq->owner->tape, tq->owner->source, TAPE_MORE, tq->q->index) != NULL;
}

static void replay_notify_off(struct virtqueue *vq)
{
    (void)vq;
}

static bool record_available(const struct virtqueue *vq)
{
    bool some = vq->tape->real->available(vq);
    if (!vq->tape->idle)
        note(vq->tape, TAPE_LOOK, some);
    return some;
}

static bool replay_available(const struct virtqueue *vq)
{
    const struct tape_queue *tq = vq->tape;
    const struct tape_rec *rec =
        tape_ask(tq->owner->tape, tq->owner->source, TAPE_LOOK, tq->q->index);
    return rec != NULL && rec->a != 0;
}

void vq_tape_wrap(struct virtqueue *vq, struct tape_queue *tq)
{
    tq->real = vq->ops;
    tq->around = *vq->ops;
    if (tape_is_replay(tq->owner->tape)) {
        tq->around = (struct vq_ops){.activate = tq->real->activate,
                                     .pop = replay_pop,
                                     .push = replay_push,
                                     .flush = replay_flush,
                                     .notify_off = replay_notify_off,
                                     .notify_on = replay_notify_on,
                                     .available = replay_available};
    } else {
        tq->around.pop = record_pop;
        tq->around.push = record_push;
        tq->around.flush = record_flush;
        tq->around.notify_on = record_notify_on;
        tq->around.available = record_available;
    }
    vq->tape = tq;
    vq->ops = &tq->around;
}

/* ---- the queue is called ---- */

static void on_kick(void *ctx, uint32_t events)
{
    struct tape_queue *tq = ctx;
    note(tq, TAPE_KICK, 0);
    tq->on_kick(tq->q, events);
}

static bool when_idle(struct tape_queue *tq, bool (*found)(void *ctx))
{
    tq->idle = true;
    bool some = found(tq->q);
    tq->idle = false;
    if (some)
        note(tq, TAPE_LATER, 0);
    return some;
}

static bool look(void *ctx)
{
    struct tape_queue *tq = ctx;
    return when_idle(tq, tq->look);
}

static bool stop_looking(void *ctx)
{
    struct tape_queue *tq = ctx;
    return when_idle(tq, tq->sleep);
}

static void play(void *ctx, const struct tape_rec *rec)
{
    struct virtio_tape *vt = ctx;
    if (rec->type == TAPE_KICK)
        virtio_queue_serve(vt->dev, rec->queue);
    if (rec->type == TAPE_LATER)
        virtio_queue_serve_later(vt->dev, rec->queue);
}

static struct tape_keep keep(const struct virtio_device *dev, unsigned queue)
{
    if (dev->cfg.device_id == VIRTIO_ID_BLOCK)
        return KEEP_HEADER;
    if (dev->cfg.device_id == VIRTIO_ID_SCSI)
        return KEEP_COMMANDS;
    return dev->cfg.device_id == VIRTIO_ID_NET && queue % 2 == 1 ? KEEP_PACKETS : KEEP_MOST;
}

static struct tape_keep keep_used(const struct virtio_device *dev)
{
    if (dev->cfg.device_id == VIRTIO_ID_BLOCK)
        return KEEP_STATUS;
    return dev->cfg.device_id == VIRTIO_ID_NET ? KEEP_FRAMES : KEEP_ANSWERS;
}

static void wrap_queue(struct virtio_tape *vt, unsigned index)
{
    struct virtio_queue *q = &vt->dev->queues[index];
    struct tape_queue *tq = &vt->queues[index];
    *tq = (struct tape_queue){.owner = vt,
                              .q = q,
                              .keep = keep(vt->dev, index),
                              .keep_used = keep_used(vt->dev),
                              .on_kick = q->kick.cb,
                              .look = q->poll.look,
                              .sleep = q->poll.sleep};
    q->kick.cb = on_kick;
    q->poll.look = look;
    q->poll.sleep = stop_looking;
    q->kick.ctx = q->poll.ctx = tq;
}

/* ---- interrupts ---- */

static void say_interrupt(struct virtio_tape *vt, enum tape_type type, unsigned queue)
{
    struct tape_rec rec = tape_rec(type, vt->source, queue);
    tape_say(vt->tape, &rec);
}

static void notify_queue(void *ctx, unsigned queue)
{
    struct virtio_tape *vt = ctx;
    say_interrupt(vt, TAPE_INTERRUPT, queue);
    vt->host.ops->notify_queue(vt->host.ctx, queue);
}

static void notify_config(void *ctx)
{
    struct virtio_tape *vt = ctx;
    say_interrupt(vt, TAPE_CONFIG_INTERRUPT, 0);
    vt->host.ops->notify_config(vt->host.ctx);
}

static int queue_vector(void *ctx, unsigned queue)
{
    const struct virtio_tape *vt = ctx;
    return vt->host.ops->queue_vector != NULL ? vt->host.ops->queue_vector(vt->host.ctx, queue)
                                              : -1;
}

static const struct virtio_host_ops host_ops = {
    .notify_queue = notify_queue,
    .notify_config = notify_config,
    .queue_vector = queue_vector,
};

/* ---- life ---- */

int virtio_tape_create(struct virtio_device *dev, struct tape *tape)
{
    unsigned queues = dev->cfg.queue_count;
    struct virtio_tape *vt = calloc(1, sizeof(*vt) + queues * sizeof(vt->queues[0]));
    if (vt == NULL)
        return fail(-ENOMEM, "virtio %s: tape", dev->setup.name);
    vt->tape = tape;
    vt->dev = dev;
    vt->source = tape_add_source(tape, &(struct tape_source){.name = dev->setup.name,
                                                             .kind = TAPE_QUEUES,
                                                             .queues = queues,
                                                             .play = play,
                                                             .ctx = vt});
    tape_say(tape, &(struct tape_rec){.type = TAPE_DEVICE,
                                      .source = (uint8_t)vt->source,
                                      .a = dev->cfg.device_id,
                                      .b = queues});
    for (unsigned i = 0; i < queues; i++)
        wrap_queue(vt, i);
    vt->host = dev->host;
    dev->host = (struct virtio_host){.ops = &host_ops, .ctx = vt};
    dev->tape = vt;
    return 0;
}

void virtio_tape_destroy(struct virtio_tape *vt)
{
    free(vt);
}

struct tape_queue *virtio_tape_queue(struct virtio_tape *vt, unsigned queue)
{
    return vt != NULL ? &vt->queues[queue] : NULL;
}
