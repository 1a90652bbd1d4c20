// SPDX-License-Identifier: BSD-2-Clause
/* A terminal, and the host's randomness. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/chr.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"

struct chr_taped {
    struct chr_backend b;
    struct chr_backend *base; /* NULL: a replay */
    struct chr_handler handler;
    struct tape *tape;
    unsigned source;
    size_t wanted; /* no more bytes may come at once */
};

static struct chr_taped *taped_of(struct chr_backend *b)
{
    return container_of(b, struct chr_taped, b);
}

static struct tape_rec record(const struct chr_taped *c, enum tape_type type, uint64_t a)
{
    return (struct tape_rec){.type = (uint8_t)type, .source = (uint8_t)c->source, .a = a};
}

/* ---- what the device calls ---- */

static size_t taped_write(struct chr_backend *b, const uint8_t *data, size_t len)
{
    struct chr_taped *c = taped_of(b);
    struct tape_rec rec = record(c, TAPE_PRINT, len);
    rec.len = (uint32_t)min_u64(len, TAPE_BYTES_MAX);
    memcpy(tape_room(c->tape, rec.len), data, rec.len);
    if (c->base != NULL)
        rec.b = c->base->ops->write(c->base, data, len);
    const struct tape_rec *was = tape_exchange(c->tape, &rec, true);
    return was != NULL ? min_u64(was->b, len) : len;
}

static void taped_rx_enable(struct chr_backend *b, size_t max)
{
    struct chr_taped *c = taped_of(b);
    struct tape_rec rec = record(c, TAPE_LISTEN, max);
    tape_say(c->tape, &rec);
    c->wanted = max;
    if (c->base != NULL)
        c->base->ops->rx_enable(c->base, min_u64(max, TAPE_BYTES_MAX));
}

static void taped_flush(struct chr_backend *b)
{
    struct chr_taped *c = taped_of(b);
    if (c->base != NULL)
        c->base->ops->flush(c->base);
}

/* ---- what the device is told ---- */

static void tell(struct chr_taped *c, const struct tape_rec *rec, const uint8_t *bytes)
{
    const struct chr_handler *h = c->b.handler;
    if (h == NULL)
        return;
    if (rec->type == TAPE_TYPED)
        h->on_rx(h->ctx, bytes, rec->len);
    if (rec->type == TAPE_WRITABLE)
        h->on_writable(h->ctx);
    if (rec->type == TAPE_WINDOW && h->on_resize != NULL)
        h->on_resize(h->ctx, (uint16_t)rec->a, (uint16_t)rec->b);
}

static void base_rx(void *ctx, const uint8_t *data, size_t len)
{
    struct chr_taped *c = ctx;
    struct tape_rec rec = record(c, TAPE_TYPED, 0);
    rec.len = (uint32_t)len; /* no more than it was asked for */
    memcpy(tape_room(c->tape, rec.len), data, rec.len);
    tape_note(c->tape, &rec);
    tell(c, &rec, data);
}

static void base_writable(void *ctx)
{
    struct chr_taped *c = ctx;
    struct tape_rec rec = record(c, TAPE_WRITABLE, 0);
    tape_note(c->tape, &rec);
    tell(c, &rec, NULL);
}

static void base_resize(void *ctx, uint16_t columns, uint16_t rows)
{
    struct chr_taped *c = ctx;
    struct tape_rec rec = record(c, TAPE_WINDOW, columns);
    rec.b = rows;
    tape_note(c->tape, &rec);
    tell(c, &rec, NULL);
}

static void play(void *ctx, const struct tape_rec *rec)
{
    struct chr_taped *c = ctx;
    if (rec->type == TAPE_TYPED && rec->len > c->wanted)
        tape_bad(c->tape, "number of bytes", rec->len);
    else
        tell(c, rec, rec->bytes);
}

/* ---- life ---- */

static void taped_destroy(struct chr_backend *b)
{
    struct chr_taped *c = taped_of(b);
    if (c->base != NULL)
        c->base->handler = NULL;
    free(c);
}

static const struct chr_backend_ops taped_ops = {
    .write = taped_write,
    .rx_enable = taped_rx_enable,
    .flush = taped_flush,
    .destroy = taped_destroy,
};

int chr_taped_create(struct chr_backend **out, struct tape *tape, const char *name,
                     struct chr_backend *base)
{
    struct chr_taped *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return fail(-ENOMEM, "%s: tape", name);
    c->b.ops = &taped_ops;
    c->base = base;
    c->tape = tape;
    c->source = tape_add_source(
        tape, &(struct tape_source){
                  .name = name, .kind = TAPE_TERMINAL, .queues = 1, .play = play, .ctx = c});
    c->handler = (struct chr_handler){
        .on_rx = base_rx, .on_writable = base_writable, .on_resize = base_resize, .ctx = c};
    struct tape_rec rec = record(c, TAPE_INFO, base != NULL ? base->columns : 0);
    rec.b = base != NULL ? base->rows : 0;
    const struct tape_rec *was = tape_info(tape, &rec);
    if (was == NULL) {
        free(c);
        return -EINVAL;
    }
    c->b.columns = (uint16_t)was->a;
    c->b.rows = (uint16_t)was->b;
    if (base != NULL)
        base->handler = &c->handler;
    *out = &c->b;
    return 0;
}

/* ---- randomness ---- */

struct entropy_taped {
    struct entropy e;
    const struct entropy *base; /* NULL: a replay */
    struct tape *tape;
    unsigned source;
};

static int taped_fill(void *ctx, void *dst, size_t len)
{
    struct entropy_taped *e = ctx;
    struct tape_rec rec = {.type = TAPE_RANDOM, .source = (uint8_t)e->source, .a = len};
    if (e->base != NULL) {
        rec.b = (uint64_t)e->base->fill(e->base->ctx, dst, len);
        rec.len = (uint32_t)min_u64(len, TAPE_BYTES_MAX);
        memcpy(tape_room(e->tape, rec.len), dst, rec.len);
    }
    const struct tape_rec *was = tape_exchange(e->tape, &rec, false);
    if (was == NULL)
        return -EIO;
    if (e->base == NULL && was->len < min_u64(len, TAPE_BYTES_MAX))
        return tape_bad(e->tape, "number of bytes", was->len);
    if (e->base == NULL)
        memcpy(dst, was->bytes, min_u64(len, was->len));
    return (int)was->b;
}

int entropy_taped_create(struct entropy **out, struct tape *tape, const char *name,
                         const struct entropy *base)
{
    struct entropy_taped *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return fail(-ENOMEM, "%s: tape", name);
    e->base = base;
    e->tape = tape;
    e->source = tape_add_source(tape, &(struct tape_source){.name = name, .kind = TAPE_ENTROPY});
    e->e = (struct entropy){.fill = taped_fill, .ctx = e};
    *out = &e->e;
    return 0;
}

void entropy_taped_destroy(struct entropy *e)
{
    free(e);
}
