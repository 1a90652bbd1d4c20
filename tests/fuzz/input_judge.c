// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/input_judge.h"

#include <linux/input-event-codes.h>
#include <string.h>

#include "core/base/xmath.h"
#include "tests/fuzz/play_impl.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/input/input.h"

#define ROUNDS_MAX 10000u /* in which all comes that was kept */

void fuzz_events_begin(struct fuzz_player *p)
{
    struct fuzz_events *m = &p->events;
    *m = (struct fuzz_events){.exact = true};
    for (unsigned i = 0; i < INPUT_TOUCHES; i++)
        m->happened.fingers[i][0] = m->heard.fingers[i][0] = -1;
}

static void apply(struct fuzz_input_state *s, const struct input_event *e)
{
    static const uint8_t finger_codes[] = {ABS_MT_TRACKING_ID, ABS_MT_POSITION_X,
                                           ABS_MT_POSITION_Y};
    const uint8_t *code = memchr(finger_codes, e->code, sizeof(finger_codes));
    if (e->type == EV_KEY)
        s->keys[e->code] = e->value != 0;
    else if (e->type == EV_REL)
        s->rel[e->code] += e->value;
    else if (e->type == EV_ABS && e->code == ABS_MT_SLOT)
        s->slot =
            e->value >= 0 && e->value < (int)INPUT_TOUCHES ? (unsigned)e->value : INPUT_TOUCHES - 1;
    else if (e->type == EV_ABS && code != NULL)
        s->fingers[s->slot][code - finger_codes] = e->value;
    else if (e->type == EV_ABS)
        s->abs[e->code] = e->value;
}

static bool is_real(const struct input_event *e)
{
    return (e->type == EV_KEY && e->code <= KEY_MAX) || (e->type == EV_REL && e->code <= REL_MAX) ||
           (e->type == EV_ABS && e->code <= ABS_MAX);
}

/* ---- what happens ---- */

static void expect(struct fuzz_events *m, const struct input_event *e)
{
    m->exact &= m->due_count < INPUT_QUEUE_EVENTS / 2;
    if (m->exact)
        m->due[m->due_count++] = *e;
}

static void note_report(struct fuzz_player *p, const struct input_event *events, unsigned count)
{
    struct fuzz_events *m = &p->events;
    bool some = false;
    for (unsigned i = 0; i < count; i++) {
        if (!is_real(&events[i]))
            continue;
        some = true;
        apply(&m->happened, &events[i]);
        expect(m, &events[i]);
    }
    if (some)
        expect(m, &(struct input_event){EV_SYN, SYN_REPORT, 0});
}

/* Values change from one time to the next. */
void fuzz_report(struct fuzz_player *p, unsigned again, const uint8_t *bytes, uint32_t len)
{
    static const uint16_t types[] = {EV_KEY, EV_REL, EV_ABS, EV_SYN, EV_MSC};
    struct input_event events[INPUT_REPORT_EVENTS];
    unsigned count = (unsigned)min_u64(len / 4, INPUT_REPORT_EVENTS);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *b = bytes + 4 * (size_t)i;
        events[i].type = types[b[0] % ARRAY_SIZE(types)];
        events[i].code = (uint16_t)(b[1] | (b[3] & 3) << 8);
        events[i].value = events[i].type == EV_KEY ? b[2] & 1 : (int8_t)b[2];
    }
    for (unsigned n = 0; count > 0 && n <= again % 256; n++) {
        if (p->rig.dev->active)
            note_report(p, events, count);
        fake_input_report(&p->rig.person, events, count);
        for (unsigned i = 0; i < count; i++)
            events[i].value = events[i].type == EV_KEY ? !events[i].value : events[i].value + 1;
    }
}

/* ---- what the driver hears ---- */

static struct input_event event_in(struct fuzz_player *p, const struct fuzz_given *given)
{
    uint8_t bytes[INPUT_EVENT_BYTES];
    unsigned got = 0;
    for (unsigned i = 0; i < given->count; i++) {
        const struct vdrv_buf *b = &given->bufs[i];
        unsigned len = (unsigned)min_u64(b->len, sizeof(bytes) - got);
        if (len > 0)
            memcpy(bytes + got, vdrv_ptr(&p->rig.drv, b->gpa, len), len);
        got += len;
    }
    return input_event_get(bytes);
}

static void judge_due(struct fuzz_player *p, const struct input_event *e)
{
    struct fuzz_events *m = &p->events;
    if (m->due_count == 0)
        fuzz_finding(p, "an event that did not happen: %u %u %d", e->type, e->code, e->value);
    if (!inputio_same(e, &m->due[0]))
        fuzz_finding(p, "an event is %u %u %d, and not %u %u %d", e->type, e->code, e->value,
                     m->due[0].type, m->due[0].code, m->due[0].value);
    m->due_count--;
    memmove(m->due, m->due + 1, m->due_count * sizeof(m->due[0]));
}

/* Buffers that overlap, or change, have been given where the arena began anew, or by FUZZ_EDIT. */
void fuzz_judge_event(struct fuzz_player *p, const struct fuzz_given *given, uint32_t len)
{
    struct fuzz_events *m = &p->events;
    m->blind |= p->ever_wild || p->wild || p->wrapped || p->edited;
    if (m->blind || len == 0)
        return;
    if (len != INPUT_EVENT_BYTES)
        fuzz_finding(p, "an event has %u bytes", len);
    struct input_event e = event_in(p, given);
    bool ends = e.type == EV_SYN && e.code == SYN_REPORT;
    if (!ends && !is_real(&e))
        fuzz_finding(p, "an event of no kind: %u %u %d", e.type, e.code, e.value);
    m->in_report = ends ? 0 : m->in_report + 1;
    if (m->in_report > INPUT_REPORT_EVENTS)
        fuzz_finding(p, "a report does not end");
    apply(&m->heard, &e);
    if (m->exact)
        judge_due(p, &e);
}

/* ---- the end ---- */

/* As many buffers as there is room for in the queue, behind all that the script has used. */
static void give(struct fuzz_player *p, struct vdrv_queue *q)
{
    static const uint8_t none[INPUT_EVENT_BYTES] = {0xee};
    while (q->ring.free_descs > 0) {
        uint64_t at = FUZZ_ARENA_GPA + p->arena_used;
        struct vdrv_buf buf = {at + sizeof(none) * vdrv_ring_next_id(&q->ring), sizeof(none), true};
        fuzz_guest_wrote(p, buf.gpa, none, sizeof(none));
        int head = vdrv_add(q, &buf, 1);
        if (head < 0)
            break;
        p->given[VIRTIO_INPUT_EVENTS][head] = (struct fuzz_given){.count = 1, .bufs = {buf}};
    }
}

/* Is there a moment at which all that was kept has to come, and can be read? */
static bool can_end(struct fuzz_player *p, const struct vdrv_queue *q)
{
    const uint64_t room = FUZZ_QUEUE_SIZE * INPUT_EVENT_BYTES;
    return !p->events.blind && !p->ever_wild && !p->wild && !p->wrapped && !p->edited && !p->odd &&
           q->desc != NULL && !q->in_order && p->arena_used + room <= FUZZ_ARENA_BYTES &&
           virtio_queue_runs(&p->rig.dev->queues[VIRTIO_INPUT_EVENTS]);
}

static void judge_state(struct fuzz_player *p)
{
    const struct fuzz_input_state *a = &p->events.happened, *b = &p->events.heard;
    for (unsigned i = 0; i < INPUT_KEY_CODES; i++)
        if (a->keys[i] != b->keys[i])
            fuzz_finding(p, "key %u is %s, and not so to the driver", i,
                         a->keys[i] ? "down" : "up");
    for (unsigned i = 0; i < INPUT_REL_CODES; i++)
        if (a->rel[i] != b->rel[i])
            fuzz_finding(p, "axis %u went %lld, and to the driver %lld", i, (long long)a->rel[i],
                         (long long)b->rel[i]);
    if (memcmp(a->abs, b->abs, sizeof(a->abs)) != 0)
        fuzz_finding(p, "an axis is elsewhere to the driver");
    if (memcmp(a->fingers, b->fingers, sizeof(a->fingers)) != 0)
        fuzz_finding(p, "a finger is elsewhere to the driver");
}

/* Chains of several descriptors may leave no room for a whole report: then the rest stays. */
void fuzz_events_end(struct fuzz_player *p)
{
    struct vdrv_queue *q = &p->rig.drv.q[VIRTIO_INPUT_EVENTS];
    struct fuzz_events *m = &p->events;
    unsigned rounds = 0;
    uint32_t free_before;
    if (!can_end(p, q))
        return;
    do {
        give(p, q);
        free_before = q->ring.free_descs;
        vdrv_kick(q);
        rig_step(&p->rig);
        fuzz_take_used(p, VIRTIO_INPUT_EVENTS);
        if (++rounds > ROUNDS_MAX)
            fuzz_finding(p, "the device has events for ever");
    } while (q->ring.free_descs > free_before);
    if (m->blind || q->ring.in_flight < min_u64(INPUT_REPORT_EVENTS + 1, q->size))
        return;
    if (m->exact && m->due_count > 0)
        fuzz_finding(p, "%u events do not come", m->due_count);
    judge_state(p);
}
