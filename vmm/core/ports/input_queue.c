// SPDX-License-Identifier: BSD-2-Clause
#include "core/ports/input_queue.h"

#include <linux/input-event-codes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/state/state.h"

_Static_assert(INPUT_KEY_CODES == KEY_CNT && INPUT_REL_CODES == REL_CNT &&
                   INPUT_ABS_CODES == ABS_CNT,
               "as Linux has them");

/* A report that grows, up to the ring's bound. */
struct report {
    struct input_event events[INPUT_REPORT_EVENTS];
    unsigned count;
};

void input_queue_clear(struct input_queue *q)
{
    *q = (struct input_queue){0};
    for (unsigned i = 0; i < INPUT_TOUCHES; i++)
        q->fingers[i].id = -1;
}

static bool is_known(const struct input_event *e)
{
    return (e->type == EV_KEY && e->code < KEY_CNT) || (e->type == EV_REL && e->code < REL_CNT) ||
           (e->type == EV_ABS && e->code < ABS_CNT);
}

static void set_key(uint64_t *keys, unsigned code, bool down)
{
    uint64_t bit = UINT64_C(1) << code % 64;
    keys[code / 64] = down ? keys[code / 64] | bit : keys[code / 64] & ~bit;
}

static int32_t saturated_sum(int32_t a, int32_t b)
{
    int64_t sum = (int64_t)a + b;
    return sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : (int32_t)sum;
}

/* ---- what is so ---- */

static unsigned slot_of(const struct input_event *e)
{
    return (unsigned)min_u64((uint32_t)e->value, INPUT_TOUCHES - 1);
}

static void note_abs(struct input_queue *q, const struct input_event *e)
{
    struct input_finger *f = &q->fingers[q->slot];
    int32_t *of_finger = e->code == ABS_MT_TRACKING_ID  ? &f->id
                         : e->code == ABS_MT_POSITION_X ? &f->x
                         : e->code == ABS_MT_POSITION_Y ? &f->y
                                                        : NULL;
    if (e->code == ABS_MT_SLOT) {
        q->slot = slot_of(e);
    } else if (of_finger != NULL) {
        *of_finger = e->value;
        q->fingers_changed |= (uint64_t)q->folding << q->slot;
    } else {
        q->abs[e->code] = e->value;
        q->abs_changed |= (uint64_t)q->folding << e->code;
    }
}

static void note(struct input_queue *q, const struct input_event *e)
{
    if (e->type == EV_ABS)
        note_abs(q, e);
    else if (e->type == EV_KEY)
        set_key(q->keys, e->code, e->value != 0);
    else if (q->folding)
        q->rel[e->code] = saturated_sum(q->rel[e->code], e->value);
}

/* ---- the ring ---- */

static struct input_event *ring_at(struct input_queue *q, unsigned i)
{
    return &q->ring[(q->first + i) % INPUT_QUEUE_EVENTS];
}

static bool has_room(const struct input_queue *q, unsigned count)
{
    return q->count + count + 1 <= INPUT_QUEUE_EVENTS;
}

/* There is room. */
static void append(struct input_queue *q, const struct report *r)
{
    for (unsigned i = 0; i < r->count; i++) {
        const struct input_event *e = ring_at(q, q->count);
        *ring_at(q, q->count++) = r->events[i];
        if (e->type == EV_KEY)
            set_key(q->ring_keys, e->code, e->value != 0);
        else if (e->type == EV_ABS && e->code == ABS_MT_SLOT)
            q->ring_slot = slot_of(e);
    }
    *ring_at(q, q->count++) = (struct input_event){EV_SYN, SYN_REPORT, 0};
    q->newest = r->count + 1;
}

static bool is_movement(const struct input_event *e)
{
    return e->type == EV_REL || (e->type == EV_ABS && e->code < ABS_MT_SLOT);
}

/* Adds the report to the newest if both are movements of the same axes. */
static bool merge(struct input_queue *q, const struct report *r)
{
    if (q->count <= INPUT_QUEUE_EVENTS / 2 || q->newest != r->count + 1)
        return false;
    for (unsigned i = 0; i < r->count; i++) {
        const struct input_event *new = &r->events[i], *old = ring_at(q, q->count - q->newest + i);
        if (!is_movement(new) || old->type != new->type || old->code != new->code)
            return false;
    }
    for (unsigned i = 0; i < r->count; i++) {
        struct input_event *old = ring_at(q, q->count - q->newest + i);
        bool adds = old->type == EV_REL;
        old->value = adds ? saturated_sum(old->value, r->events[i].value) : r->events[i].value;
    }
    return true;
}

/* ---- what is folded ---- */

static void end_report(struct input_queue *q, struct report *r)
{
    if (r->count > 0)
        append(q, r);
    r->count = 0;
}

static void add(struct input_queue *q, struct report *r, unsigned type, unsigned code,
                int32_t value)
{
    if (r->count == INPUT_REPORT_EVENTS)
        end_report(q, r);
    r->events[r->count++] = (struct input_event){(uint16_t)type, (uint16_t)code, value};
}

static void unfold_axes(struct input_queue *q)
{
    struct report r = {.count = 0};
    for (unsigned i = 0; i < REL_CNT; i++)
        if (q->rel[i] != 0)
            add(q, &r, EV_REL, i, q->rel[i]);
    end_report(q, &r);
    for (unsigned i = 0; i < ABS_CNT; i++)
        if (q->abs_changed >> i & 1)
            add(q, &r, EV_ABS, i, q->abs[i]);
    end_report(q, &r);
    for (unsigned i = 0; i < INPUT_TOUCHES; i++) {
        const struct input_finger *f = &q->fingers[i];
        if ((q->fingers_changed >> i & 1) == 0)
            continue;
        add(q, &r, EV_ABS, ABS_MT_SLOT, (int32_t)i);
        add(q, &r, EV_ABS, ABS_MT_TRACKING_ID, f->id);
        add(q, &r, EV_ABS, ABS_MT_POSITION_X, f->x);
        add(q, &r, EV_ABS, ABS_MT_POSITION_Y, f->y);
        end_report(q, &r);
    }
    if (q->ring_slot != q->slot)
        add(q, &r, EV_ABS, ABS_MT_SLOT, (int32_t)q->slot);
    end_report(q, &r);
    memset(q->rel, 0, sizeof(q->rel));
    q->abs_changed = q->fingers_changed = 0;
}

/* Into an empty ring: of axes there are fewer, so that room may be short for keys alone. */
static void unfold(struct input_queue *q)
{
    unfold_axes(q);
    for (unsigned i = 0; i < KEY_CNT; i++) {
        bool down = input_queue_is_down(q, i);
        if (down == (q->ring_keys[i / 64] >> i % 64 & 1))
            continue;
        if (!has_room(q, 1))
            return;
        append(q, &(struct report){{{EV_KEY, (uint16_t)i, down}}, 1});
    }
    q->folding = false;
}

/* ---- for the users ---- */

void input_queue_put(struct input_queue *q, const struct input_event *events, unsigned count)
{
    struct report r = {.count = 0};
    BUG_ON(count > INPUT_REPORT_EVENTS);
    for (unsigned i = 0; i < count; i++)
        if (is_known(&events[i]))
            r.events[r.count++] = events[i];
    if (r.count == 0)
        return;
    bool merged = !q->folding && merge(q, &r);
    q->folding |= !merged && !has_room(q, r.count);
    for (unsigned i = 0; i < r.count; i++)
        note(q, &r.events[i]);
    if (!q->folding && !merged)
        append(q, &r);
}

unsigned input_queue_peek(struct input_queue *q, struct input_event report[INPUT_REPORT_EVENTS + 1])
{
    unsigned n = 0;
    if (q->count == 0 && q->folding)
        unfold(q);
    while (n < q->count) {
        report[n] = *ring_at(q, n);
        if (report[n++].type == EV_SYN)
            break;
    }
    return n;
}

void input_queue_take(struct input_queue *q)
{
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    unsigned n = input_queue_peek(q, report);
    q->first = (q->first + n) % INPUT_QUEUE_EVENTS;
    q->count -= n;
    if (q->count == 0)
        q->newest = 0;
}

/* ---- saved and loaded ---- */

static void words_state(struct state *s, const char *name, int32_t *words, unsigned count)
{
    uint8_t bytes[4 * INPUT_ABS_CODES];
    BUG_ON(count > INPUT_ABS_CODES);
    for (unsigned i = 0; i < count; i++)
        le32_put(bytes + 4 * (size_t)i, (uint32_t)words[i]);
    state_bytes(s, name, bytes, 4 * (size_t)count);
    for (unsigned i = 0; i < count; i++)
        words[i] = (int32_t)le32_get(bytes + 4 * (size_t)i);
}

static void keys_state(struct state *s, const char *name, uint64_t keys[INPUT_KEY_WORDS])
{
    uint8_t bytes[8 * INPUT_KEY_WORDS];
    for (unsigned i = 0; i < INPUT_KEY_WORDS; i++)
        le64_put(bytes + 8 * (size_t)i, keys[i]);
    state_bytes(s, name, bytes, sizeof(bytes));
    for (unsigned i = 0; i < INPUT_KEY_WORDS; i++)
        keys[i] = le64_get(bytes + 8 * (size_t)i);
}

/* Are these whole reports, of what may be in one? */
static bool are_reports(struct input_queue *q)
{
    q->newest = 0;
    unsigned events = 0;
    for (unsigned i = 0; i < q->count; i++) {
        const struct input_event *e = ring_at(q, i);
        bool ends = e->type == EV_SYN && e->code == SYN_REPORT;
        if (!(ends ? events > 0 : is_known(e) && events < INPUT_REPORT_EVENTS))
            return false;
        events++;
        if (!ends)
            continue;
        q->newest = events;
        events = 0;
    }
    return events == 0;
}

static void ring_state(struct input_queue *q, struct state *s)
{
    uint8_t bytes[INPUT_EVENT_BYTES * INPUT_QUEUE_EVENTS];
    q->count = (unsigned)state_number(s, "events", q->count, INPUT_QUEUE_EVENTS);
    for (unsigned i = 0; i < q->count; i++)
        input_event_put(bytes + INPUT_EVENT_BYTES * (size_t)i, ring_at(q, i));
    state_bytes(s, "reports", bytes, INPUT_EVENT_BYTES * (size_t)q->count);
    for (unsigned i = 0; i < q->count; i++)
        *ring_at(q, i) = input_event_get(bytes + INPUT_EVENT_BYTES * (size_t)i);
    if (s->loads && !are_reports(q))
        state_refuse(s, "its events are no reports");
}

void input_queue_state(struct input_queue *q, struct state *s)
{
    ring_state(q, s);
    keys_state(s, "keys", q->keys);
    keys_state(s, "ring_keys", q->ring_keys);
    words_state(s, "rel", q->rel, INPUT_REL_CODES);
    words_state(s, "abs", q->abs, INPUT_ABS_CODES);
    for (unsigned i = 0; i < INPUT_TOUCHES; i++) {
        struct input_finger *f = &q->fingers[i];
        int32_t words[] = {f->id, f->x, f->y};
        char name[STATE_NAME_BYTES];
        snprintf(name, sizeof(name), "finger_%u", i);
        words_state(s, name, words, ARRAY_SIZE(words));
        *f = (struct input_finger){words[0], words[1], words[2]};
    }
    q->slot = (unsigned)state_number(s, "slot", q->slot, INPUT_TOUCHES - 1);
    q->ring_slot = (unsigned)state_number(s, "ring_slot", q->ring_slot, INPUT_TOUCHES - 1);
    q->folding = state_number(s, "folding", q->folding, true);
    q->abs_changed = state_number(s, "abs_changed", q->abs_changed, UINT64_MAX);
    q->fingers_changed =
        state_number(s, "fingers_changed", q->fingers_changed, (UINT64_C(1) << INPUT_TOUCHES) - 1);
}
