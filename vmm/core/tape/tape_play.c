// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/text.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/tape/tape_impl.h"

static uint64_t get(const uint8_t **at, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, *at, bytes);
    *at += bytes;
    return value;
}

/* One line for a tape: nothing more is believed. */
static int bad(struct tape *t, size_t at, unsigned type, const char *what, uint64_t value)
{
    if (!t->damaged && !t->over)
        fail_msg(-EINVAL,
                 "%s: damaged, or tampered with: the record at byte %zu (%s) cannot be: its %s is "
                 "%#llx",
                 t->path, at, tape_type_text(type), what, (unsigned long long)value);
    t->damaged |= !t->over;
    t->over = true;
    return -EINVAL;
}

int tape_bad(struct tape *t, const char *what, uint64_t value)
{
    return bad(t, t->taken_at, t->taken.type, what, value);
}

static int no_memory(struct tape *t)
{
    t->damaged = t->over = true;
    return fail(-ENOMEM, "%s", t->path);
}

/* The bytes of `next`, in a place that ends where they do, and its numbers. */
static bool read_rest(struct tape *t, unsigned a_bytes, unsigned b_bytes)
{
    struct tape_rec *rec = &t->next;
    free(t->next_bytes);
    t->next_bytes = rec->len > 0 ? malloc(rec->len) : NULL;
    rec->bytes = rec->len > 0 ? t->next_bytes : (const uint8_t *)"";
    if (rec->bytes == NULL)
        return no_memory(t) == 0;
    return (rec->len == 0 || tape_read(t, t->next_bytes, rec->len)) &&
           tape_read(t, &rec->a, a_bytes) && tape_read(t, &rec->b, b_bytes);
}

/* The record at `at`, and where it ends. False: the file ends before, or the record cannot be. */
static bool read_next(struct tape *t)
{
    uint64_t head;
    if (t->damaged || !tape_read(t, &head, HEAD_BYTES))
        return false;
    unsigned a = head >> 56 & 0xf, b = (unsigned)(head >> 60);
    t->next = (struct tape_rec){.type = (uint8_t)head,
                                .source = (uint8_t)(head >> 8),
                                .queue = (uint16_t)(head >> 16),
                                .len = (uint32_t)(head >> 32 & 0xffffff)};
    struct tape_fault fault = {0};
    if (t->next.len > TAPE_BYTES_MAX)
        fault = (struct tape_fault){"number of bytes", t->next.len};
    else if (t->next.type >= TAPE_TYPES)
        fault = (struct tape_fault){"type", t->next.type};
    else if (a > 8 || b > 8)
        fault = (struct tape_fault){"numbers' lengths", head >> 56};
    else if (!read_rest(t, a, b))
        return false;
    else
        fault = tape_check(&t->next, t->now_ns);
    if (fault.what != NULL)
        bad(t, t->at, t->next.type, fault.what, fault.value);
    t->next_at = t->at + HEAD_BYTES + t->next.len + a + b;
    return fault.what == NULL;
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
    text_print(t->out, name_of(t, rec->source));
    fputs(": ", t->out);
    tape_show(rec, t->out);
    fputc('\n', t->out);
}

const struct tape_rec *tape_next(struct tape *t)
{
    if (peek(t) == NULL)
        return NULL;
    free(t->taken_bytes);
    t->taken_bytes = t->next_bytes;
    t->next_bytes = NULL;
    t->taken = t->next;
    t->taken_at = t->at;
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

void tape_forgive(struct tape *t)
{
    t->forgives = true;
}

/* recorded has been taken, or is NULL: the file ended before, and what came then is not known. */
static void differ(struct tape *t, const struct tape_rec *recorded, const struct tape_rec *is)
{
    if (t->over || (t->forgives && recorded != NULL))
        return;
    t->over = true;
    t->differs = recorded != NULL;
    if (!t->differs)
        return;
    text_print(t->out, t->path);
    fprintf(t->out, ": difference at record %llu, %.3f s after the start\n",
            (unsigned long long)t->number, tape_seconds(t));
    if (tape_is_input(&t->input))
        show(t, "after:   ", &t->input);
    show(t, "recorded:", recorded);
    show(t, "replayed:", is);
}

/* The first difference. */
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
    if (!same_bytes && t->differs)
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
    if (t->over || (t->forgives && !is_from(peek(t), source, type, queue)))
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
    if (t->over || (t->forgives && !is_from(peek(t), rec->source, rec->type, rec->queue)))
        return;
    const struct tape_rec *was = tape_next(t);
    if (is_from(was, rec->source, rec->type, rec->queue))
        compare(t, was, rec);
    else
        differ(t, was, rec);
}

const struct tape_rec *tape_exchange(struct tape *t, const struct tape_rec *rec, bool own_bytes)
{
    if (!t->replay) {
        tape_note(t, rec);
        return rec;
    }
    const struct tape_rec *was = tape_ask(t, rec->source, rec->type, rec->queue);
    if (was == NULL || t->over)
        return was;
    struct tape_rec is = *was;
    is.a = rec->a;
    if (own_bytes)
        is.len = rec->len;
    else
        memcpy(tape_room_of(t), was->bytes, was->len);
    compare(t, was, &is);
    return was;
}

/* What a device puts off again and again: many times what the largest picture takes to copy. */
#define DEFERRED_MAX 4096u

/* What was put off is done until something of it is on the tape. */
static void play_deferred(struct tape *t, struct evloop *loop, const struct tape_rec *next)
{
    size_t at = t->at;
    for (unsigned done = 0; t->at == at && !t->over;) {
        if (done++ < DEFERRED_MAX && evloop_run_deferred(loop))
            continue;
        if (t->forgives) {
            tape_next(t);
            return;
        }
        t->number++;
        differ(t, next, NULL);
    }
}

bool tape_differs(const struct tape *t)
{
    return t->differs;
}

const struct tape_rec *tape_info(struct tape *t, const struct tape_rec *rec)
{
    tape_note(t, rec);
    if (!t->replay)
        return rec;
    const struct tape_rec *info = tape_ask(t, rec->source, TAPE_INFO, 0);
    if (info == NULL && !t->damaged)
        fail_msg(-EINVAL, "%s: is not on the recording", name_of(t, rec->source));
    return info;
}

static bool play_input(struct tape *t)
{
    if (t->over || peek(t) == NULL || !tape_is_input(&t->next))
        return false;
    const struct tape_rec rec = *tape_next(t); /* more are taken while it is played */
    uint8_t *bytes = t->taken_bytes;
    t->taken_bytes = NULL;
    struct tape_fault fault = tape_check_source(t, &rec);
    t->input = rec;
    if (fault.what != NULL)
        tape_bad(t, fault.what, fault.value);
    else
        t->sources[rec.source].play(t->sources[rec.source].ctx, &rec);
    free(bytes);
    t->input.bytes = NULL;
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
    if (t->damaged)
        return -EINVAL;
    if (!t->differs) {
        rec = peek(t);
        text_print(t->out, t->path);
        fprintf(t->out, ": no difference in %llu records, %.3f s%s\n",
                (unsigned long long)t->number, tape_seconds(t),
                rec == NULL ? "; the recording is cut off there" : "");
    }
    t->over = true;
    return t->differs;
}
