// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/observe/device_tape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/tape/tape.h"
#include "virtio/base/observer.h"
#include "virtio/ring/vq_ops.h"
#include "virtio/spec.h"

/* Of what a device reads, where its type says nothing. */
#define KEEP_MOST ((struct tape_keep){UINT32_C(64) << 10, UINT32_C(32) << 10})
#define TAIL_MAX  16u /* of the status at the end */

_Static_assert(VQ_IOV_MAX *TAPE_BUFFER_MAX + (64u << 10) <= TAPE_BYTES_MAX &&
                   VQ_IOV_MAX <= TAPE_BUFFERS_MAX,
               "every chain fits in a record");

struct virtio_tape {
    struct virtio_observer observer;
    struct tape *tape;
    struct virtio_device *dev;
    unsigned source;
    struct vq_ops format; /* a replay's */
};

static const struct virtio_queue_role *role_of(const struct virtio_device *dev, unsigned queue)
{
    return virtio_type_role(dev->cfg.type, dev->cfg.queue_count, queue);
}

static struct tape_keep keep(const struct virtio_device *dev, unsigned queue)
{
    struct tape_keep by_type = role_of(dev, queue)->kept_read;
    return by_type.whole != 0 ? by_type : KEEP_MOST;
}

static struct tape_keep keep_used(const struct virtio_device *dev, unsigned queue)
{
    struct tape_keep by_type = role_of(dev, queue)->kept_written;
    return by_type.whole != 0 ? by_type : TAPE_KEEP_DATA;
}

static struct tape_rec record(const struct virtio_tape *vt, enum tape_type type, unsigned queue)
{
    return tape_rec(type, vt->source, queue);
}

/* ---- chains are taken ---- */

static void note_pop(const struct virtio_tape *vt, unsigned queue, const struct vq_chain *chain)
{
    struct tape *t = vt->tape;
    struct tape_keep keeps = keep(vt->dev, queue);
    struct tape_rec rec = record(vt, TAPE_POP, queue);
    struct iobuf rd = iobuf_init(chain->iov, chain->rd_iov);
    uint32_t kept = tape_kept(rd.left, keeps);
    rec.a = chain->iov_count;
    rec.b = TAPE_A_CHAIN | chain->head;
    uint8_t *room = tape_room(t, chain->iov_count * TAPE_BUFFER_MAX + kept);
    uint8_t *to = tape_put_buffers(t, room, chain->iov, chain->rd_iov, false);
    to =
        tape_put_buffers(t, to, chain->iov + chain->rd_iov, chain->iov_count - chain->rd_iov, true);
    tape_gather(to, chain->iov, chain->rd_iov, rd.left, keeps);
    rec.len = (uint32_t)(to - room) + kept;
    tape_note(t, &rec);
}

/* ---- chains are given back ---- */

/* What was written, and (where that is not the whole of it) the status at the end. */
static void say_push(const struct virtio_tape *vt, unsigned queue, const struct vq_chain *chain)
{
    struct tape *t = vt->tape;
    struct tape_keep keeps = keep_used(vt->dev, queue);
    uint32_t written = vq_chain_written(chain);
    const struct iovec *iov = chain->iov + chain->rd_iov;
    unsigned count = chain->iov_count - chain->rd_iov;
    struct iobuf all = iobuf_init(iov, count);
    uint32_t kept = tape_kept(min_u64(written, all.left), keeps);
    uint32_t tail = (uint32_t)min_u64(chain->tail.done, TAIL_MAX);
    struct tape_rec rec = record(vt, TAPE_PUSH, queue);
    rec.a = chain->head;
    rec.b = written;
    rec.len = kept + tail;
    uint8_t *to = tape_room(t, rec.len);
    tape_gather(to, iov, count, min_u64(written, all.left), keeps);
    if (tail > 0) {
        iobuf_skip(&all, all.left - chain->tail.done - chain->tail.left);
        iobuf_get(&all, to + kept, tail);
    }
    tape_say(t, &rec);
}

/* ---- a replay's ring format ---- */

static const struct virtio_tape *tape_of(const struct virtqueue *vq)
{
    return container_of(vq->ops, struct virtio_tape, format);
}

static unsigned index_of(const struct virtqueue *vq)
{
    return container_of(vq, struct virtio_queue, vq)->index;
}

static const struct tape_rec *ask(const struct virtqueue *vq, enum tape_type type)
{
    return tape_ask(tape_of(vq)->tape, tape_of(vq)->source, type, index_of(vq));
}

static int replay_activate(struct virtqueue *vq, const struct vq_config *config)
{
    bool packed = virtio_device_has(tape_of(vq)->dev, VIRTIO_F_RING_PACKED);
    return (packed ? &vq_packed_ops : &vq_split_ops)->activate(vq, config);
}

static int no_chain(struct virtqueue *vq, const char *what, uint64_t value)
{
    tape_bad(tape_of(vq)->tape, what, value);
    return vq_error(vq, -EPROTO, "the recorded chain is none");
}

/* A tape may have been tampered with: its buffers are checked as the driver's are. */
static int replay_chain(struct virtqueue *vq, struct vq_chain *chain, const struct tape_rec *rec)
{
    struct tape_keep keeps = keep(tape_of(vq)->dev, index_of(vq));
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
    if ((size_t)(end - at) != tape_kept(rd.left, keeps))
        return no_chain(vq, "number of bytes", rec->len);
    tape_scatter(at, chain->iov, chain->rd_iov, rd.left, keeps);
    return 1;
}

static int replay_pop(struct virtqueue *vq, struct vq_chain *chain)
{
    const struct tape_rec *rec = ask(vq, TAPE_POP);
    if (rec == NULL || rec->b == TAPE_NO_CHAIN)
        return 0;
    if (rec->b == TAPE_BROKEN_CHAIN)
        return vq_error(vq, -EPROTO, "as recorded");
    return replay_chain(vq, chain, rec);
}

static void replay_push(struct virtqueue *vq, const struct vq_chain *chain, uint32_t written)
{
    (void)vq, (void)chain, (void)written; /* on_event() has compared it */
}

static bool replay_flush(struct virtqueue *vq)
{
    const struct tape_rec *rec = ask(vq, TAPE_FLUSH);
    return rec != NULL && rec->a != 0;
}

static bool replay_notify_on(struct virtqueue *vq)
{
    return tape_ask_maybe(tape_of(vq)->tape, tape_of(vq)->source, TAPE_MORE, index_of(vq)) != NULL;
}

static void replay_notify_off(struct virtqueue *vq)
{
    (void)vq;
}

static bool replay_available(const struct virtqueue *vq)
{
    const struct tape_rec *rec = ask(vq, TAPE_LOOK);
    return rec != NULL && rec->a != 0;
}

static const struct vq_ops replay_ops = {
    .activate = replay_activate,
    .pop = replay_pop,
    .push = replay_push,
    .flush = replay_flush,
    .notify_off = replay_notify_off,
    .notify_on = replay_notify_on,
    .available = replay_available,
};

static void play(void *ctx, const struct tape_rec *rec)
{
    struct virtio_tape *vt = ctx;
    if (rec->type == TAPE_KICK)
        virtio_queue_serve(vt->dev, rec->queue);
    if (rec->type == TAPE_LATER)
        virtio_queue_serve_later(vt->dev, rec->queue);
}

/* ---- events ---- */

/* What of the outside's a recording notes; in a replay the device has asked for it. */
static void note(const struct virtio_tape *vt, unsigned queue, const struct virtio_event *e)
{
    static const uint8_t types[] = {
        [VIRTIO_ON_KICK] = TAPE_KICK,   [VIRTIO_ON_FOUND] = TAPE_LATER,
        [VIRTIO_ON_BROKEN] = TAPE_POP,  [VIRTIO_ON_EMPTY] = TAPE_POP,
        [VIRTIO_ON_MORE] = TAPE_MORE,   [VIRTIO_ON_LOOK] = TAPE_LOOK,
        [VIRTIO_ON_FLUSH] = TAPE_FLUSH,
    };
    if (e->kind == VIRTIO_ON_TAKE)
        note_pop(vt, queue, e->chain);
    if (e->kind >= ARRAY_SIZE(types) || types[e->kind] == 0)
        return;
    struct tape_rec rec = record(vt, types[e->kind], queue);
    if (e->kind == VIRTIO_ON_LOOK || e->kind == VIRTIO_ON_FLUSH)
        rec.a = e->value;
    if (e->kind == VIRTIO_ON_BROKEN)
        rec.b = TAPE_BROKEN_CHAIN;
    tape_note(vt->tape, &rec);
}

static void on_event(struct virtio_observer *o, const struct virtio_event *e)
{
    const struct virtio_tape *vt = container_of(o, struct virtio_tape, observer);
    unsigned queue = e->queue != NULL ? e->queue->index : 0;
    if (!tape_is_replay(vt->tape))
        note(vt, queue, e);
    bool config = e->kind == VIRTIO_ON_CONFIG_INTERRUPT;
    struct tape_rec rec = record(vt, config ? TAPE_CONFIG_INTERRUPT : TAPE_INTERRUPT, queue);
    if (e->kind == VIRTIO_ON_GIVE)
        say_push(vt, queue, e->chain);
    if (config || e->kind == VIRTIO_ON_INTERRUPT || (e->kind == VIRTIO_ON_FLUSH && e->value != 0))
        tape_say(vt->tape, &rec);
}

/* ---- life ---- */

static void destroy(struct virtio_observer *o)
{
    free(container_of(o, struct virtio_tape, observer));
}

int virtio_tape_create(struct virtio_device *dev, struct tape *tape)
{
    struct virtio_tape *vt = calloc(1, sizeof(*vt));
    if (vt == NULL)
        return fail(-ENOMEM, "virtio %s: tape", dev->setup.name);
    *vt = (struct virtio_tape){
        .observer = {.event = on_event,
                     .destroy = destroy,
                     .sees = VIRTIO_SEES_INTERRUPTS | VIRTIO_SEES_ORDER},
        .tape = tape,
        .dev = dev,
        .format = replay_ops,
    };
    vt->source = tape_add_source(tape, &(struct tape_source){.name = dev->setup.name,
                                                             .kind = TAPE_QUEUES,
                                                             .queues = dev->cfg.queue_count,
                                                             .play = play,
                                                             .ctx = vt});
    tape_say(tape, &(struct tape_rec){.type = TAPE_DEVICE,
                                      .source = (uint8_t)vt->source,
                                      .a = dev->cfg.type->id,
                                      .b = dev->cfg.queue_count});
    if (tape_is_replay(tape))
        dev->format = &vt->format;
    virtio_observer_add(dev, &vt->observer);
    return 0;
}
