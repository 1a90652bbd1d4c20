// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/blk/blk_steps.h"

#include "core/memory/lazy.h"
#include "virtio/ring/virtqueue.h"

/* ---- slots ---- */

int blk_slots_alloc(struct blk_slots *slots, const struct virtqueue *vq, size_t request_bytes)
{
    *slots = (struct blk_slots){
        .count = vq->size,
        .requests = lazy_alloc(vq->size, request_bytes),
        .request_bytes = request_bytes,
        .iov = lazy_alloc((size_t)vq->size * vq->iov_max, sizeof(*slots->iov)),
        .ranges = lazy_alloc((size_t)vq->size * BLK_RANGES_MAX, sizeof(*slots->ranges)),
        .iov_max = vq->iov_max,
    };
    if (slots->requests != NULL && slots->iov != NULL && slots->ranges != NULL)
        return 0;
    blk_slots_free(slots);
    return -ENOMEM;
}

void blk_slots_free(struct blk_slots *slots)
{
    lazy_free(slots->requests, slots->count, slots->request_bytes);
    lazy_free(slots->iov, slots->count * slots->iov_max, sizeof(*slots->iov));
    lazy_free(slots->ranges, slots->count * BLK_RANGES_MAX, sizeof(*slots->ranges));
    *slots = (struct blk_slots){0};
}

void blk_slots_init(const struct blk_slots *slots, struct blk_steps *s, unsigned slot)
{
    s->iov_max = slots->iov_max;
    s->ranges = &slots->ranges[(size_t)slot * BLK_RANGES_MAX];
    s->req.iov = &slots->iov[(size_t)slot * slots->iov_max];
    s->req.done = s->ops->step_done;
}

/* ---- steps ---- */

static void submit_range(struct blk_steps *s)
{
    const struct blk_range *range = &s->ranges[s->range_next++];
    s->req.offset_bytes = range->offset_bytes;
    s->req.bytes = range->bytes;
    s->req.may_unmap = range->may_unmap;
    blk_steps_submit(s);
}

void blk_steps_ranges(struct blk_steps *s, enum blk_op op)
{
    s->req.op = op;
    s->req.iov_count = 0;
    submit_range(s);
}

void blk_steps_flush(struct blk_steps *s)
{
    s->flush_after = false;
    s->req.op = BLK_FLUSH;
    s->req.offset_bytes = 0;
    s->req.bytes = 0;
    s->req.iov_count = 0;
    blk_steps_submit(s);
}

void blk_steps_go_on(struct blk_steps *s, int result)
{
    if (!s->ops->wanted(s)) {
        s->ops->failed(s, -ECANCELED);
    } else if (result == -ECANCELED) {
        TAILQ_INSERT_TAIL(&s->lane->list, s, again);
        evloop_defer(s->lane->loop, &s->lane->submit);
    } else if (s->range_next < s->range_count) {
        submit_range(s);
    } else {
        blk_steps_flush(s);
    }
}

/* ---- requests that were dropped for another queue's sake ---- */

static void submit_again(void *ctx)
{
    struct blk_again *lane = ctx;
    TAILQ_HEAD(, blk_steps) now = TAILQ_HEAD_INITIALIZER(now);
    struct blk_steps *s;
    TAILQ_CONCAT(&now, &lane->list, again);
    while ((s = TAILQ_FIRST(&now)) != NULL) {
        TAILQ_REMOVE(&now, s, again);
        if (s->ops->wanted(s))
            blk_steps_submit(s);
        else
            s->ops->failed(s, -ECANCELED);
    }
}

void blk_again_init(struct blk_again *lane, struct evloop *loop)
{
    lane->loop = loop;
    TAILQ_INIT(&lane->list);
    lane->submit = (struct ev_defer){.cb = submit_again, .ctx = lane};
}

void blk_again_sift(struct blk_again *lane, bool (*goes)(struct blk_steps *s, void *arg), void *arg)
{
    for (struct blk_steps *s = TAILQ_FIRST(&lane->list), *next; s != NULL; s = next) {
        next = TAILQ_NEXT(s, again);
        if (goes(s, arg))
            TAILQ_REMOVE(&lane->list, s, again);
    }
    if (TAILQ_EMPTY(&lane->list))
        evloop_defer_cancel(lane->loop, &lane->submit);
}
