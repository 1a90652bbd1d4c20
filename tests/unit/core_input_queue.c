// SPDX-License-Identifier: BSD-2-Clause
/* Reports that wait: in order while there is room, and folded when there is none. */
#include <linux/input-event-codes.h>

#include "core/ports/input_queue.h"
#include "core/state/state.h"
#include "tests/harness/inputio.h"
#include "tests/harness/test.h"
#include "tests/harness/with.h"

#define OnQueue(name) \
    TestWith(core_input_queue, name, struct input_queue, q, input_queue_clear(q), (void)q)

static void put(struct input_queue *q, unsigned type, unsigned code, int value)
{
    input_queue_put(q, &(struct input_event){(uint16_t)type, (uint16_t)code, value}, 1);
}

/* The next report; its end is looked at here. */
static unsigned take(struct input_queue *q, struct input_event *report)
{
    unsigned n = input_queue_peek(q, report);
    if (n == 0)
        return 0;
    cr_assert_geq(n, 2);
    cr_expect(inputio_same(&report[n - 1], &(struct input_event){EV_SYN, SYN_REPORT, 0}));
    input_queue_take(q);
    return n - 1;
}

static void expect_one(struct input_queue *q, unsigned type, unsigned code, int value)
{
    struct input_event report[INPUT_REPORT_EVENTS + 1] = {0};
    cr_expect_eq(take(q, report), 1, "%u %u %d", type, code, value);
    cr_expect(inputio_same(report, &(struct input_event){(uint16_t)type, (uint16_t)code, value}),
              "%u %u %d, not %u %u %d", type, code, value, report[0].type, report[0].code,
              report[0].value);
}

/* Keys that go up and down in turn, until one more report would not fit. */
static unsigned fill(struct input_queue *q)
{
    unsigned n = INPUT_QUEUE_EVENTS / 2;
    for (unsigned i = 0; i < n; i++)
        put(q, EV_KEY, KEY_A, i % 2 == 0);
    return n;
}

static void drain(struct input_queue *q, unsigned reports)
{
    for (unsigned i = 0; i < reports; i++)
        expect_one(q, EV_KEY, KEY_A, i % 2 == 0);
}

OnQueue(keeps_the_order_round_its_end)
{
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    cr_expect_eq(input_queue_peek(q, report), 0);
    for (int i = 0; i < 3 * (int)INPUT_QUEUE_EVENTS; i++) {
        put(q, EV_KEY, KEY_A, i % 2 == 0);
        put(q, EV_REL, REL_X, i + 1);
        expect_one(q, EV_KEY, KEY_A, i % 2 == 0);
        expect_one(q, EV_REL, REL_X, i + 1);
    }
    cr_expect_eq(input_queue_peek(q, report), 0);
}

OnQueue(passes_over_what_no_device_reports)
{
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    const struct input_event some[] = {{EV_SYN, SYN_REPORT, 0}, {EV_KEY, KEY_CNT, 1},
                                       {EV_MSC, MSC_SCAN, 4},   {EV_REL, REL_CNT, 1},
                                       {EV_ABS, ABS_CNT, 1},    {EV_KEY, KEY_MAX, 1}};
    input_queue_put(q, some, 5);
    cr_expect_eq(input_queue_peek(q, report), 0);
    input_queue_put(q, some, ARRAY_SIZE(some));
    expect_one(q, EV_KEY, KEY_MAX, 1);
}

OnQueue(releases_what_was_pressed_before_it_was_full)
{
    put(q, EV_KEY, KEY_LEFTSHIFT, 1);
    fill(q);
    put(q, EV_KEY, KEY_B, 1);
    put(q, EV_KEY, KEY_LEFTSHIFT, 0);
    put(q, EV_KEY, KEY_C, 1);
    put(q, EV_KEY, KEY_C, 0);
    expect_one(q, EV_KEY, KEY_LEFTSHIFT, 1);
    drain(q, INPUT_QUEUE_EVENTS / 2 - 1);
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    /* The last of fill() is folded, too: in the ring A is down. */
    expect_one(q, EV_KEY, KEY_A, 0);
    expect_one(q, EV_KEY, KEY_LEFTSHIFT, 0);
    expect_one(q, EV_KEY, KEY_B, 1);
    cr_expect_eq(input_queue_peek(q, report), 0, "C went down and up");
    put(q, EV_KEY, KEY_B, 0);
    expect_one(q, EV_KEY, KEY_B, 0);
}

OnQueue(adds_up_steps_and_keeps_the_last_position)
{
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    unsigned n = fill(q);
    for (int i = 0; i < 100; i++) {
        put(q, EV_REL, REL_X, -i);
        put(q, EV_REL, REL_WHEEL, i % 2 == 0 ? 1 : -1);
        put(q, EV_ABS, ABS_Y, i);
    }
    for (int i = 0; i < 3; i++)
        put(q, EV_REL, REL_Y, INT32_MAX);
    put(q, EV_REL, REL_Y, -1);
    drain(q, n);
    cr_expect_eq(take(q, report), 2, "the wheel's steps are none");
    cr_expect(inputio_same(&report[0], &(struct input_event){EV_REL, REL_X, -99 * 100 / 2}));
    cr_expect(inputio_same(&report[1], &(struct input_event){EV_REL, REL_Y, INT32_MAX - 1}));
    expect_one(q, EV_ABS, ABS_Y, 99);
    cr_expect_eq(input_queue_peek(q, report), 0);
}

/* Moving a mouse while the guest is slow leaves room for keys. */
OnQueue(movements_join_when_it_is_half_full)
{
    const struct input_event step[] = {{EV_REL, REL_X, 1}, {EV_REL, REL_Y, 2}};
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    int x = 0;
    for (int i = 0; i < 10 * (int)INPUT_QUEUE_EVENTS; i++)
        input_queue_put(q, step, 2);
    put(q, EV_KEY, BTN_LEFT, 1);
    for (int i = 0; i < 10; i++)
        put(q, EV_ABS, ABS_X, i);
    put(q, EV_KEY, BTN_LEFT, 0);
    cr_expect_not(q->folding);
    while (take(q, report) == 2) {
        cr_expect_eq(report[1].value, 2 * report[0].value);
        x += report[0].value;
    }
    cr_expect_eq(x, 10 * (int)INPUT_QUEUE_EVENTS);
    cr_expect(inputio_same(report, &(struct input_event){EV_KEY, BTN_LEFT, 1}));
    expect_one(q, EV_ABS, ABS_X, 9);
    expect_one(q, EV_KEY, BTN_LEFT, 0);
}

static void touch(struct input_queue *q, int slot, int id, int x, int y)
{
    const struct input_event events[] = {{EV_ABS, ABS_MT_SLOT, slot},
                                         {EV_ABS, ABS_MT_TRACKING_ID, id},
                                         {EV_ABS, ABS_MT_POSITION_X, x},
                                         {EV_ABS, ABS_MT_POSITION_Y, y}};
    input_queue_put(q, events, ARRAY_SIZE(events));
}

OnQueue(fingers_end_where_they_are)
{
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    touch(q, 3, 7, 1, 2);
    cr_expect_eq(take(q, report), 4);
    unsigned n = fill(q);
    touch(q, 0, 8, 10, 20);
    touch(q, 3, 7, 5, 6);
    touch(q, 3, -1, 5, 6);
    touch(q, 0, 8, 11, 21);
    put(q, EV_ABS, ABS_MT_POSITION_Y, 22); /* of the same finger */
    put(q, EV_ABS, ABS_MT_SLOT, 1000);     /* there is no such: the last one is meant */
    put(q, EV_KEY, BTN_TOUCH, 1);
    drain(q, n);
    const struct input_event expected[2][4] = {{{EV_ABS, ABS_MT_SLOT, 0},
                                                {EV_ABS, ABS_MT_TRACKING_ID, 8},
                                                {EV_ABS, ABS_MT_POSITION_X, 11},
                                                {EV_ABS, ABS_MT_POSITION_Y, 22}},
                                               {{EV_ABS, ABS_MT_SLOT, 3},
                                                {EV_ABS, ABS_MT_TRACKING_ID, -1},
                                                {EV_ABS, ABS_MT_POSITION_X, 5},
                                                {EV_ABS, ABS_MT_POSITION_Y, 6}}};
    for (unsigned i = 0; i < 2; i++) {
        cr_expect_eq(take(q, report), 4);
        for (unsigned k = 0; k < 4; k++)
            cr_expect(inputio_same(&report[k], &expected[i][k]), "finger %u, event %u", i, k);
    }
    expect_one(q, EV_ABS, ABS_MT_SLOT, INPUT_TOUCHES - 1); /* of what is reported next */
    expect_one(q, EV_KEY, BTN_TOUCH, 1);
    cr_expect_eq(input_queue_peek(q, report), 0);
}

/* All keys differ: they take more than one filling of the ring, in which others may still change.
 */
OnQueue(more_keys_than_fit)
{
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    unsigned n = fill(q), seen = 0;
    bool down[KEY_CNT] = {false};
    for (unsigned code = 0; code < KEY_CNT; code++)
        put(q, EV_KEY, code, 1);
    drain(q, n);
    while (take(q, report) == 1) {
        down[report[0].code] = report[0].value != 0;
        if (++seen == 10)
            put(q, EV_KEY, KEY_MAX, 0);
    }
    for (unsigned code = 0; code < KEY_CNT; code++)
        cr_expect_eq(down[code], code != KEY_MAX, "%u", code);
    cr_expect_not(q->folding);
}

/* ---- saved and loaded ---- */

static void save_and_load(struct input_queue *from, struct input_queue *to)
{
    struct state s, l;
    state_save(&s);
    cr_assert(state_begin(&s, "queue", 0, 1));
    input_queue_state(from, &s);
    state_end(&s);
    state_load(&l, s.bytes, s.len);
    input_queue_clear(to);
    cr_assert(state_begin(&l, "queue", 0, 1));
    input_queue_state(to, &l);
    state_end(&l);
    cr_expect_eq(state_error(&l), 0);
    state_fini(&l);
    state_fini(&s);
}

OnQueue(goes_on_when_it_is_loaded)
{
    struct input_queue loaded;
    struct input_event a[INPUT_REPORT_EVENTS + 1], b[INPUT_REPORT_EVENTS + 1];
    put(q, EV_KEY, KEY_Z, 1);
    expect_one(q, EV_KEY, KEY_Z, 1); /* the ring begins in its middle */
    fill(q);
    put(q, EV_KEY, KEY_Z, 0);
    put(q, EV_REL, REL_Y, -70000);
    put(q, EV_ABS, ABS_X, 123);
    touch(q, 9, 4, 30000, 1);
    save_and_load(q, &loaded);
    put(q, EV_ABS, ABS_MT_POSITION_X, 2);
    put(&loaded, EV_ABS, ABS_MT_POSITION_X, 2);
    for (unsigned n, reports = 0; (n = take(q, a)) > 0; reports++) {
        cr_assert_eq(take(&loaded, b), n, "report %u", reports);
        for (unsigned i = 0; i < n; i++)
            cr_expect(inputio_same(&a[i], &b[i]), "report %u, event %u", reports, i);
    }
    cr_expect_eq(input_queue_peek(&loaded, b), 0);
}

static void ignore(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

OnQueue(a_ring_without_whole_reports_is_refused)
{
    static const struct input_event bad[][2] = {{{EV_KEY, KEY_A, 1}, {EV_KEY, KEY_B, 1}},
                                                {{EV_SYN, SYN_REPORT, 0}, {EV_SYN, SYN_REPORT, 0}},
                                                {{EV_MSC, MSC_SCAN, 1}, {EV_SYN, SYN_REPORT, 0}},
                                                {{EV_KEY, KEY_A, 1}, {EV_SYN, SYN_DROPPED, 0}}};
    log_set_sink(ignore, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct state s, l;
        input_queue_clear(q);
        memcpy(q->ring, bad[i], sizeof(bad[i]));
        q->count = 2;
        state_save(&s);
        cr_assert(state_begin(&s, "queue", 0, 1));
        input_queue_state(q, &s);
        state_end(&s);
        state_load(&l, s.bytes, s.len);
        cr_assert(state_begin(&l, "queue", 0, 1));
        input_queue_state(q, &l);
        cr_expect_eq(state_error(&l), -EINVAL, "%u", i);
        state_fini(&l);
        state_fini(&s);
    }
    log_set_sink(NULL, NULL);
}
