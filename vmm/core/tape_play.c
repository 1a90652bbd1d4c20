// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "core/evloop.h"
#include "core/tape_impl.h"
#include "core/xmath.h"

static uint64_t get(const uint8_t **at, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, *at, bytes);
    *at += bytes;
    return value;
}

/* The record at `at`, and where it ends. */
static bool read_next(struct tape *t)
{
    const uint8_t *at = t->file + t->at;
    size_t left = t->file_bytes - t->at;
    if (left < HEAD_BYTES)
        return false;
    uint64_t head = get(&at, HEAD_BYTES);
    unsigned a = head >> 56 & 0xf, b = (unsigned)(head >> 60);
    t->next = (struct tape_rec){.type = (uint8_t)head,
                                .source = (uint8_t)(head >> 8),
                                .queue = (uint16_t)(head >> 16),
                                .len = (uint32_t)(head >> 32 & 0xffffff),
                                .bytes = at};
    if (t->next.type >= TAPE_TYPES || t->next.len > TAPE_BYTES_MAX || a > 8 || b > 8 ||
        left < HEAD_BYTES + t->next.len + a + b)
        return false;
    at += t->next.len;
    t->next.a = get(&at, a);
    t->next.b = get(&at, b);
    t->next_at = (size_t)(at - t->file);
    return true;
}

/* The record at `at`, or NULL: the file ends there. */
static const struct tape_rec *peek(struct tape *t)
{
    while (t->next_at <= t->at) {
        if (!read_next(t)) {
            t->next_at = 0;
            return NULL;
        }
        if (t->next.type == TAPE_TIME) {
            t->now_ns = t->next.a;
            t->at = t->next_at;
        }
    }
    return &t->next;
}

const uint8_t *tape_get_buffer(const uint8_t *at, const uint8_t *end, struct tape_buffer *b)
{
    unsigned place = at < end ? *at & 0xf : 0, len = at < end ? *at >> 4 & 7 : 0;
    if (place > 8 || len > 4 || (size_t)(end - at) < 1 + place + len)
        return NULL;
    b->writable = *at++ >> 7 != 0;
    b->gpa = get(&at, place);
    b->len = (uint32_t)get(&at, len);
    return at;
}

static const char *name_of(const struct tape *t, unsigned source)
{
    return source < t->source_count ? t->sources[source].name : "?";
}

static void show(struct tape *t, const char *what, const struct tape_rec *rec)
{
    if (what[0] != '\0')
        fprintf(t->out, "  %s ", what);
    else
        fprintf(t->out, "%8llu %10.3f ", (unsigned long long)t->number, tape_seconds(t));
    if (rec == NULL) {
        fputs("nothing\n", t->out);
        return;
    }
    fprintf(t->out, "%s: ", name_of(t, rec->source));
    tape_show(rec, t->out);
    fputc('\n', t->out);
}

const struct tape_rec *tape_next(struct tape *t)
{
    if (peek(t) == NULL)
        return NULL;
    t->taken = t->next;
    t->at = t->next_at;
    t->number++;
    if (t->shows_all)
        show(t, "", &t->taken);
    return &t->taken;
}

void tape_show_all(struct tape *t)
{
    t->shows_all = true;
}

/* recorded has been taken, or is NULL: the file ended before, and what came then is not known. */
static void differ(struct tape *t, const struct tape_rec *recorded, const struct tape_rec *is)
{
    if (t->over)
        return;
    t->over = true;
    t->differs = recorded != NULL;
    if (!t->differs)
        return;
    fprintf(t->out, "%s: difference at record %llu, %.3f s after the start\n", t->path,
            (unsigned long long)t->number, (double)t->now_ns / 1e9);
    if (tape_is_input(&t->input))
        show(t, "after:   ", &t->input);
    show(t, "recorded:", recorded);
    show(t, "replayed:", is);
}

/* Where do they part? */
static void differ_bytes(struct tape *t, const struct tape_rec *recorded, const uint8_t *is,
                         uint32_t len)
{
    const uint8_t *was = recorded->bytes;
    uint32_t at = 0;
    while (at < len && at < recorded->len && was[at] == is[at])
        at++;
    fprintf(t->out, "  bytes:    %u were recorded, and %u replayed; they part at byte %u\n",
            recorded->len, len, at);
    fprintf(t->out, "  recorded:");
    for (uint32_t i = at; i < recorded->len && i < at + 16; i++)
        fprintf(t->out, " %02x", was[i]);
    fprintf(t->out, "\n  replayed:");
    for (uint32_t i = at; i < len && i < at + 16; i++)
        fprintf(t->out, " %02x", is[i]);
    fputc('\n', t->out);
}

static void compare(struct tape *t, const struct tape_rec *was, const struct tape_rec *is)
{
    const uint8_t *bytes = tape_room_of(t);
    bool same_bytes = was->len == is->len && memcmp(was->bytes, bytes, is->len) == 0;
    if (same_bytes && was->a == is->a && was->b == is->b)
        return;
    differ(t, was, is);
    if (!same_bytes)
        differ_bytes(t, was, bytes, is->len);
}

static bool is_from(const struct tape_rec *rec, unsigned source, enum tape_type type,
                    unsigned queue)
{
    return rec != NULL && rec->type == type && rec->source == source && rec->queue == queue;
}

const struct tape_rec *tape_ask_maybe(struct tape *t, unsigned source, enum tape_type type,
                                      unsigned queue)
{
    return !t->over && is_from(peek(t), source, type, queue) ? tape_next(t) : NULL;
}

const struct tape_rec *tape_ask(struct tape *t, unsigned source, enum tape_type type,
                                unsigned queue)
{
    if (t->over)
        return NULL;
    const struct tape_rec *rec = tape_next(t);
    if (is_from(rec, source, type, queue))
        return rec;
    differ(t, rec,
           &(struct tape_rec){
               .type = (uint8_t)type, .source = (uint8_t)source, .queue = (uint16_t)queue});
    return NULL;
}

void tape_say(struct tape *t, const struct tape_rec *rec)
{
    if (!t->replay) {
        tape_note(t, rec);
        return;
    }
    if (t->over)
        return;
    const struct tape_rec *was = tape_next(t);
    if (is_from(was, rec->source, rec->type, rec->queue))
        compare(t, was, rec);
    else
        differ(t, was, rec);
}

void tape_compare(struct tape *t, const struct tape_rec *recorded, uint64_t a, uint32_t len)
{
    struct tape_rec is = *recorded;
    is.a = a;
    is.len = len;
    if (!t->over)
        compare(t, recorded, &is);
}

/* What was put off is done until something of it is on the tape. */
static void play_deferred(struct tape *t, struct evloop *loop, const struct tape_rec *next)
{
    size_t at = t->at;
    while (t->at == at && !t->over) {
        if (evloop_run_deferred(loop))
            continue;
        t->number++;
        differ(t, next, NULL);
    }
}

bool tape_differs(const struct tape *t)
{
    return t->differs;
}

static bool play_input(struct tape *t)
{
    if (t->over || peek(t) == NULL || !tape_is_input(&t->next))
        return false;
    const struct tape_rec rec = *tape_next(t); /* more are taken while it is played */
    t->input = rec;
    if (rec.source < t->source_count && t->sources[rec.source].play != NULL)
        t->sources[rec.source].play(t->sources[rec.source].ctx, &rec);
    else
        differ(t, &rec, NULL);
    return true;
}

bool tape_play_host(struct tape *t)
{
    return peek(t) != NULL && t->next.type >= TAPE_DONE && play_input(t);
}

int tape_play(struct tape *t, struct evloop *loop)
{
    const struct tape_rec *rec;
    while (!t->over && (rec = peek(t)) != NULL && rec->type != TAPE_END) {
        if (!play_input(t))
            play_deferred(t, loop, rec);
    }
    if (!t->differs) {
        rec = peek(t);
        fprintf(t->out, "%s: no difference in %llu records, %.3f s%s\n", t->path,
                (unsigned long long)t->number, (double)t->now_ns / 1e9,
                rec == NULL ? "; the recording is cut off there, or damaged" : "");
    }
    t->over = true;
    return t->differs;
}
