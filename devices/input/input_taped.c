// SPDX-License-Identifier: BSD-2-Clause
/* An input device's reports: as bytes that come in. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/input.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"

struct input_taped {
    struct input_backend b;
    struct input_backend *base; /* NULL: a replay */
    struct tape *tape;
    unsigned source;
};

/* What the device says. */
static void taped_status(struct input_backend *b, const struct input_event *event)
{
    struct input_taped *t = container_of(b, struct input_taped, b);
    struct tape_rec rec = tape_rec(TAPE_STATUS, t->source, 0);
    rec.a = (uint64_t)event->type << 16 | event->code;
    rec.b = (uint32_t)event->value;
    tape_say(t->tape, &rec);
    if (t->base != NULL)
        t->base->ops->status(t->base, event);
}

static void tell(struct input_taped *t, const struct input_event *events, unsigned count)
{
    if (t->b.handler.on_report != NULL)
        t->b.handler.on_report(t->b.handler.ctx, events, count);
}

static void base_report(void *ctx, const struct input_event *events, unsigned count)
{
    struct input_taped *t = ctx;
    struct tape_rec rec = tape_rec(TAPE_TYPED, t->source, 0);
    rec.len = count * INPUT_EVENT_BYTES;
    uint8_t *room = tape_room(t->tape, rec.len);
    for (unsigned i = 0; i < count; i++)
        input_event_put(room + (size_t)i * INPUT_EVENT_BYTES, &events[i]);
    tape_note(t->tape, &rec);
    tell(t, events, count);
}

static void play(void *ctx, const struct tape_rec *rec)
{
    struct input_taped *t = ctx;
    struct input_event events[INPUT_REPORT_EVENTS];
    unsigned count = rec->len / INPUT_EVENT_BYTES;
    if (count == 0 || count > INPUT_REPORT_EVENTS || rec->len % INPUT_EVENT_BYTES != 0) {
        tape_bad(t->tape, "number of bytes", rec->len);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        events[i] = input_event_get(rec->bytes + (size_t)i * INPUT_EVENT_BYTES);
    tell(t, events, count);
}

static const struct input_backend_ops taped_ops = {.status = taped_status};

int input_taped_create(struct input_backend **out, struct tape *tape, const char *name,
                       enum input_kind kind, struct input_backend *base)
{
    struct input_taped *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return fail(-ENOMEM, "%s: tape", name);
    t->b.ops = &taped_ops;
    t->b.kind = kind;
    t->base = base;
    t->tape = tape;
    t->source = tape_add_source(
        tape, &(struct tape_source){
                  .name = name, .kind = TAPE_INPUT, .queues = 1, .play = play, .ctx = t});
    if (base != NULL)
        base->handler = (struct input_handler){.on_report = base_report, .ctx = t};
    *out = &t->b;
    return 0;
}

void input_taped_destroy(struct input_backend *b)
{
    if (b == NULL)
        return;
    struct input_taped *t = container_of(b, struct input_taped, b);
    if (t->base != NULL)
        t->base->handler = (struct input_handler){0};
    free(t);
}
