// SPDX-License-Identifier: BSD-2-Clause
/*
 * Of what a read brings only the edges are kept: a disk's data is for no reader but the
 * guest's. Where it goes is in the request's vectors.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/block.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"

#define LOGICAL_MAX (UINT32_C(64) << 10) /* Linux's, for block devices */

struct blk_taped {
    struct blk_backend b;
    struct blk_backend *base; /* NULL: a replay */
    const char *name;
    struct tape *tape;
    unsigned source;
    uint64_t submitted;
    /* A replay's requests that are not done, with their numbers as results; a recording's copies
     * that are not out. */
    STAILQ_HEAD(, blk_req) list;
};

/* What a recording hands to the base. */
struct copy {
    struct blk_req req;
    struct blk_req *device; /* the device's request */
    struct blk_taped *d;
    uint64_t number;
};

static struct blk_taped *taped_of(struct blk_backend *b)
{
    return container_of(b, struct blk_taped, b);
}

static struct tape_rec record(const struct blk_taped *d, enum tape_type type)
{
    return tape_rec(type, d->source, 0);
}

/* ---- requests ---- */

static void say_submit(struct blk_taped *d, const struct blk_req *req)
{
    struct tape_rec rec = record(d, TAPE_SUBMIT);
    unsigned count = (unsigned)min_u64(req->iov_count, TAPE_BUFFERS_MAX);
    bool ranged = req->op == BLK_READ || req->op == BLK_WRITE;
    rec.queue = (uint16_t)(req->op | (req->op == BLK_ZERO && req->may_unmap ? 0x100 : 0));
    rec.a = req->op != BLK_FLUSH ? req->offset_bytes : 0;
    rec.b = req->op != BLK_FLUSH ? req->bytes : 0;
    if (ranged) {
        uint8_t *room = tape_room(d->tape, count * TAPE_BUFFER_MAX);
        rec.len = (uint32_t)(tape_put_buffers(d->tape, room, req->iov, count, req->op == BLK_READ) -
                             room);
    }
    tape_say(d->tape, &rec);
}

static void recorded_done(struct blk_req *req, int result)
{
    struct copy *copy = container_of(req, struct copy, req);
    struct blk_taped *d = copy->d;
    struct tape_rec rec = record(d, TAPE_DONE);
    rec.a = copy->number;
    rec.b = (uint64_t)result;
    if (req->op == BLK_READ) {
        rec.len = tape_kept(req->bytes, TAPE_KEEP_DATA);
        tape_gather(tape_room(d->tape, rec.len), req->iov, req->iov_count, req->bytes,
                    TAPE_KEEP_DATA);
    }
    tape_note(d->tape, &rec);
    STAILQ_INSERT_HEAD(&d->list, req, link);
    copy->device->done(copy->device, result);
}

/* A copy that is not in use, or a new one: as many exist as were ever in use at once. */
static struct copy *take_copy(struct blk_taped *d)
{
    struct blk_req *req = STAILQ_FIRST(&d->list);
    if (req == NULL)
        return malloc(sizeof(struct copy));
    STAILQ_REMOVE_HEAD(&d->list, link);
    return container_of(req, struct copy, req);
}

static void taped_submit(struct blk_backend *b, struct blk_req *req)
{
    struct blk_taped *d = taped_of(b);
    say_submit(d, req);
    uint64_t number = d->submitted++;
    if (d->base == NULL) {
        req->result = (int)number;
        STAILQ_INSERT_TAIL(&d->list, req, link);
        return;
    }
    struct copy *copy = take_copy(d);
    if (copy == NULL) {
        fail(-ENOMEM, "disk %s: tape: it ends here", d->name);
        tape_end(d->tape);
        d->base->ops->submit(d->base, req);
        return;
    }
    *copy = (struct copy){.req = *req, .device = req, .d = d, .number = number};
    copy->req.done = recorded_done;
    d->base->ops->submit(d->base, &copy->req);
}

/* What is not completed here is when the disk is drained. */
static void play_done(struct blk_taped *d, const struct tape_rec *rec)
{
    struct blk_req *req;
    STAILQ_FOREACH(req, &d->list, link)
    if ((uint32_t)req->result == rec->a)
        break;
    if (req == NULL) {
        tape_bad(d->tape, "request's number", rec->a);
        return;
    }
    if (rec->len != (req->op == BLK_READ ? tape_kept(req->bytes, TAPE_KEEP_DATA) : 0)) {
        tape_bad(d->tape, "number of bytes", rec->len);
        return;
    }
    STAILQ_REMOVE(&d->list, req, blk_req, link);
    if (req->op == BLK_READ)
        tape_scatter(rec->bytes, req->iov, req->iov_count, req->bytes, TAPE_KEEP_DATA);
    req->done(req, (int)rec->b);
}

static bool is_capacity(const struct blk_info *info, uint64_t bytes)
{
    return bytes <= INT64_MAX && is_aligned(bytes, blk_logical_bytes(info));
}

static void play_resized(struct blk_taped *d, uint64_t bytes)
{
    if (!is_capacity(&d->b.info, bytes)) {
        tape_bad(d->tape, "capacity", bytes);
        return;
    }
    blk_set_capacity(&d->b, bytes);
}

static void play(void *ctx, const struct tape_rec *rec)
{
    if (rec->type == TAPE_RESIZED)
        play_resized(ctx, rec->a);
    else
        play_done(ctx, rec);
}

static void taped_drain(struct blk_backend *b)
{
    struct blk_taped *d = taped_of(b);
    struct tape_rec rec = record(d, TAPE_DRAIN);
    tape_say(d->tape, &rec);
    rec.type = TAPE_DRAINED;
    if (d->base != NULL) {
        d->base->ops->drain(d->base);
        tape_note(d->tape, &rec);
        return;
    }
    while (tape_play_host(d->tape))
        ;
    tape_ask(d->tape, d->source, TAPE_DRAINED, 0);
    struct blk_req *req; /* a tape that is over has no answers for them */
    while ((req = STAILQ_FIRST(&d->list)) != NULL) {
        STAILQ_REMOVE_HEAD(&d->list, link);
        req->done(req, -ECANCELED);
    }
}

/* ---- life ---- */

static void base_resized(void *ctx)
{
    struct blk_taped *d = ctx;
    struct tape_rec rec = record(d, TAPE_RESIZED);
    rec.a = d->base->info.capacity_bytes;
    tape_note(d->tape, &rec);
    blk_set_capacity(&d->b, rec.a);
}

static void taped_destroy(struct blk_backend *b)
{
    struct blk_taped *d = taped_of(b);
    struct blk_req *req;
    if (d->base != NULL)
        d->base->ops->destroy(d->base);
    while (d->base != NULL && (req = STAILQ_FIRST(&d->list)) != NULL) {
        STAILQ_REMOVE_HEAD(&d->list, link);
        free(container_of(req, struct copy, req));
    }
    free(d);
}

/* No views: a machine that is on a tape has one loop. */
static const struct blk_backend_ops taped_ops = {
    .submit = taped_submit,
    .drain = taped_drain,
    .destroy = taped_destroy,
};

/* A power of two, or not known. */
static bool is_size(uint32_t bytes)
{
    return bytes == 0 || is_pow2(bytes);
}

/* A tape may have been tampered with: checked are what no bool may be, and all numbers. */
static int take_info(struct tape *t, struct blk_info *info, const struct tape_rec *was)
{
    static const uint8_t bools[] = {offsetof(struct blk_info, read_only),
                                    offsetof(struct blk_info, can_discard),
                                    offsetof(struct blk_info, can_zero)};
    if (was->len != sizeof(*info))
        return tape_bad(t, "number of bytes", was->len);
    for (unsigned i = 0; i < ARRAY_SIZE(bools); i++)
        if (was->bytes[bools[i]] > 1)
            return tape_bad(t, "yes or no", was->bytes[bools[i]]);
    memcpy(info, was->bytes, sizeof(*info));
    if (!is_size(info->logical_bytes) || blk_logical_bytes(info) < BLK_SECTOR_BYTES ||
        blk_logical_bytes(info) > LOGICAL_MAX)
        return tape_bad(t, "logical block", info->logical_bytes);
    const uint32_t sizes[] = {info->physical_bytes, info->optimal_bytes, info->discard_bytes};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
        if (!is_size(sizes[i]))
            return tape_bad(t, "size of blocks", sizes[i]);
    return is_capacity(info, info->capacity_bytes) ? 0
                                                   : tape_bad(t, "capacity", info->capacity_bytes);
}

static int describe(struct blk_taped *d)
{
    struct tape_rec rec = record(d, TAPE_INFO);
    if (d->base != NULL) {
        d->b.info = d->base->info;
        d->base->handler = (struct blk_handler){.on_resize = base_resized, .ctx = d};
    }
    rec.len = sizeof(d->b.info);
    memcpy(tape_room(d->tape, rec.len), &d->b.info, sizeof(d->b.info));
    const struct tape_rec *was = tape_info(d->tape, &rec);
    if (was == NULL)
        return -EINVAL;
    return d->base != NULL ? 0 : take_info(d->tape, &d->b.info, was);
}

int blk_taped_create(struct blk_backend **out, struct tape *tape, const char *name,
                     struct blk_backend *base)
{
    struct blk_taped *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return fail(-ENOMEM, "disk %s: tape", name);
    d->b.ops = &taped_ops;
    STAILQ_INIT(&d->list);
    d->name = name;
    d->base = base;
    d->tape = tape;
    d->source = tape_add_source(
        tape, &(struct tape_source){
                  .name = name, .kind = TAPE_DISK, .queues = 1, .play = play, .ctx = d});
    int err = describe(d);
    if (err != 0) {
        free(d);
        return err;
    }
    *out = &d->b;
    return 0;
}
