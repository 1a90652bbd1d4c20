// SPDX-License-Identifier: BSD-2-Clause
/* From windows' threads to the devices on the loop. */
#include "devices/input/hub.h"

#include <linux/input-event-codes.h>

#include "core/ports/input_queue.h"
#include "tests/harness/inputio.h"
#include "tests/harness/test.h"

#define HEARD 4096u

/* A device: what it was told, each report with its end. */
struct ear {
    struct input_backend *backend;
    struct input_event events[HEARD];
    unsigned count;
};

struct scene {
    struct evloop *loop;
    struct input_hub *hub;
    struct input_sink *sink;
    struct ear ears[INPUT_KINDS];
};

static void on_report(void *ctx, const struct input_event *events, unsigned count)
{
    struct ear *e = ctx;
    cr_assert_leq(e->count + count + 1, HEARD);
    memcpy(&e->events[e->count], events, count * sizeof(events[0]));
    e->count += count;
    e->events[e->count++] = (struct input_event){EV_SYN, SYN_REPORT, 0};
}

/* kinds: a bit each */
static void open_scene(struct scene *s, unsigned kinds)
{
    *s = (struct scene){0};
    cr_assert_eq(evloop_create(&s->loop, "test", &clock_host), 0);
    cr_assert_eq(input_hub_create(&s->hub, s->loop), 0);
    s->sink = input_hub_sink(s->hub);
    for (unsigned i = 0; i < INPUT_KINDS; i++) {
        if ((kinds >> i & 1) == 0)
            continue;
        s->ears[i].backend = input_hub_backend(s->hub, (enum input_kind)i);
        cr_assert_eq(s->ears[i].backend->kind, i);
        s->ears[i].backend->handler = (struct input_handler){on_report, &s->ears[i]};
    }
}

static void close_scene(struct scene *s)
{
    evloop_drain(s->loop);
    input_hub_destroy(s->hub);
    evloop_destroy(s->loop);
}

#define BIT(kind) (1u << INPUT_##kind)
#define OnHub(suite, name, kinds) \
    TestWith(suite, name, struct scene, s, open_scene(s, kinds), close_scene(s))

static void expect_heard(struct scene *s, enum input_kind kind, const struct input_event *events,
                         unsigned count)
{
    struct ear *e = &s->ears[kind];
    evloop_drain(s->loop);
    cr_assert_eq(e->count, count, "device %u: %u events", kind, e->count);
    for (unsigned i = 0; i < count; i++)
        cr_expect(inputio_same(&e->events[i], &events[i]), "device %u, event %u: %u %u %d", kind, i,
                  e->events[i].type, e->events[i].code, e->events[i].value);
    e->count = 0;
}

#define SYN                   \
    {                         \
        EV_SYN, SYN_REPORT, 0 \
    }
#define expect(s, kind, ...)                                 \
    do {                                                     \
        const struct input_event events_[] = {__VA_ARGS__};  \
        expect_heard(s, kind, events_, ARRAY_SIZE(events_)); \
    } while (0)
#define expect_nothing(s, kind) expect_heard(s, kind, NULL, 0)

OnHub(input_hub, keys_are_the_keyboards_and_buttons_the_tablets,
      BIT(KEYBOARD) | BIT(MOUSE) | BIT(TABLET))
{
    s->sink->ops->key(s->sink, KEY_A, true);
    s->sink->ops->key(s->sink, KEY_A, true); /* a window's own repeat */
    s->sink->ops->key(s->sink, BTN_LEFT, true);
    s->sink->ops->key(s->sink, KEY_A, false);
    s->sink->ops->key(s->sink, KEY_B, false); /* it is up */
    s->sink->ops->key(s->sink, 100000, true);
    s->sink->ops->wheel(s->sink, 0, -1);
    s->sink->ops->wheel(s->sink, 2, 3);
    s->sink->ops->wheel(s->sink, 0, 0);
    s->sink->ops->key(s->sink, BTN_LEFT, false);
    expect(s, INPUT_KEYBOARD, {EV_KEY, KEY_A, 1}, SYN, {EV_KEY, KEY_A, 0}, SYN);
    expect(s, INPUT_TABLET, {EV_KEY, BTN_LEFT, 1}, SYN, {EV_REL, REL_WHEEL, -1}, SYN,
           {EV_REL, REL_HWHEEL, 2}, {EV_REL, REL_WHEEL, 3}, SYN, {EV_KEY, BTN_LEFT, 0}, SYN);
    expect_nothing(s, INPUT_MOUSE);
}

OnHub(input_hub, positions_are_the_tablets_and_steps_the_mouses, BIT(MOUSE) | BIT(TABLET))
{
    s->sink->ops->move_to(s->sink, 0, 5, 40000);
    s->sink->ops->move_by(s->sink, -1, 0);
    expect(s, INPUT_TABLET, {EV_ABS, ABS_X, 5}, {EV_ABS, ABS_Y, INPUT_AXIS_MAX}, SYN);
    expect(s, INPUT_MOUSE, {EV_REL, REL_X, -1}, SYN);
    s->sink->ops->key(s->sink, KEY_A, true); /* there is no keyboard */
    s->sink->ops->touch(s->sink, 0, true, 1, 1);
    expect_nothing(s, INPUT_TABLET);
    expect_nothing(s, INPUT_MOUSE);
}

/* What there is no device for, or no driver, is dropped. */
OnHub(input_hub, a_keyboard_alone_has_no_pointer, BIT(KEYBOARD))
{
    s->sink->ops->move_to(s->sink, 0, 1, 2);
    s->sink->ops->move_by(s->sink, 1, 2);
    s->sink->ops->wheel(s->sink, 1, 2);
    s->sink->ops->key(s->sink, BTN_LEFT, true);
    s->sink->ops->touch(s->sink, 0, true, 1, 2);
    s->sink->ops->key(s->sink, KEY_A, true);
    expect(s, INPUT_KEYBOARD, {EV_KEY, KEY_A, 1}, SYN);
    s->ears[INPUT_KEYBOARD].backend->handler = (struct input_handler){0};
    s->sink->ops->key(s->sink, KEY_A, false);
    expect_nothing(s, INPUT_KEYBOARD);
}

OnHub(input_hub, a_mouse_goes_from_position_to_position, BIT(MOUSE))
{
    s->sink->ops->move_to(s->sink, 0, 1000, 1000);
    expect_nothing(s, INPUT_MOUSE);
    s->sink->ops->move_to(s->sink, 0, 1000 + 3 * INPUT_HUB_STEP, 1000 - INPUT_HUB_STEP);
    expect(s, INPUT_MOUSE, {EV_REL, REL_X, 3}, {EV_REL, REL_Y, -1}, SYN);
    for (unsigned i = 1; i <= INPUT_HUB_STEP; i++)
        s->sink->ops->move_to(s->sink, 0, 1000 + 3 * INPUT_HUB_STEP + i, 1000 - INPUT_HUB_STEP);
    expect(s, INPUT_MOUSE, {EV_REL, REL_X, 1}, SYN);
    s->sink->ops->key(s->sink, BTN_RIGHT, true);
    expect(s, INPUT_MOUSE, {EV_KEY, BTN_RIGHT, 1}, SYN);
}

OnHub(input_hub, a_tablet_goes_by_steps, BIT(TABLET))
{
    s->sink->ops->move_to(s->sink, 0, 100, 100);
    s->sink->ops->move_by(s->sink, 2, -1);
    s->sink->ops->move_by(s->sink, INT32_MAX, INT32_MIN);
    expect(s, INPUT_TABLET, {EV_ABS, ABS_X, 100}, {EV_ABS, ABS_Y, 100}, SYN,
           {EV_ABS, ABS_X, 100 + 2 * INPUT_HUB_STEP}, {EV_ABS, ABS_Y, 100 - INPUT_HUB_STEP}, SYN,
           {EV_ABS, ABS_X, INPUT_AXIS_MAX}, {EV_ABS, ABS_Y, 0}, SYN);
}

OnHub(input_hub, fingers_come_move_and_leave, BIT(TOUCH))
{
    s->sink->ops->touch(s->sink, 2, true, 10, 20);
    s->sink->ops->touch(s->sink, 0, true, 30, 40);
    s->sink->ops->touch(s->sink, 2, true, 11, 99999);
    s->sink->ops->touch(s->sink, 2, false, 0, 0);
    s->sink->ops->touch(s->sink, 2, false, 0, 0);
    s->sink->ops->touch(s->sink, INPUT_TOUCHES, true, 0, 0); /* one too many */
    s->sink->ops->touch(s->sink, 0, false, 0, 0);
    s->sink->ops->touch(s->sink, 2, true, 1, 1);
    expect(s, INPUT_TOUCH, {EV_ABS, ABS_MT_SLOT, 2}, {EV_ABS, ABS_MT_TRACKING_ID, 0},
           {EV_ABS, ABS_MT_POSITION_X, 10}, {EV_ABS, ABS_MT_POSITION_Y, 20}, {EV_KEY, BTN_TOUCH, 1},
           SYN, {EV_ABS, ABS_MT_SLOT, 0}, {EV_ABS, ABS_MT_TRACKING_ID, 1},
           {EV_ABS, ABS_MT_POSITION_X, 30}, {EV_ABS, ABS_MT_POSITION_Y, 40}, SYN,
           {EV_ABS, ABS_MT_SLOT, 2}, {EV_ABS, ABS_MT_POSITION_X, 11},
           {EV_ABS, ABS_MT_POSITION_Y, INPUT_AXIS_MAX}, SYN, {EV_ABS, ABS_MT_SLOT, 2},
           {EV_ABS, ABS_MT_TRACKING_ID, -1}, SYN, {EV_ABS, ABS_MT_SLOT, 0},
           {EV_ABS, ABS_MT_TRACKING_ID, -1}, {EV_KEY, BTN_TOUCH, 0}, SYN, {EV_ABS, ABS_MT_SLOT, 2},
           {EV_ABS, ABS_MT_TRACKING_ID, 2}, {EV_ABS, ABS_MT_POSITION_X, 1},
           {EV_ABS, ABS_MT_POSITION_Y, 1}, {EV_KEY, BTN_TOUCH, 1}, SYN);
}

OnHub(input_hub, a_window_that_loses_the_focus_lifts_all, BIT(KEYBOARD) | BIT(TABLET) | BIT(TOUCH))
{
    s->sink->ops->key(s->sink, KEY_LEFTALT, true);
    s->sink->ops->key(s->sink, KEY_TAB, true);
    s->sink->ops->key(s->sink, BTN_MIDDLE, true);
    s->sink->ops->touch(s->sink, 9, true, 10, 20);
    evloop_drain(s->loop);
    for (unsigned i = 0; i < INPUT_KINDS; i++)
        s->ears[i].count = 0;
    s->sink->ops->release(s->sink);
    s->sink->ops->release(s->sink);
    expect(s, INPUT_KEYBOARD, {EV_KEY, KEY_TAB, 0}, SYN, {EV_KEY, KEY_LEFTALT, 0}, SYN);
    expect(s, INPUT_TABLET, {EV_KEY, BTN_MIDDLE, 0}, SYN);
    expect(s, INPUT_TOUCH, {EV_ABS, ABS_MT_SLOT, 9}, {EV_ABS, ABS_MT_TRACKING_ID, -1},
           {EV_KEY, BTN_TOUCH, 0}, SYN);
}

/* The loop is busy for longer than there is room for: what was pressed is released. */
OnHub(input_hub, a_loop_that_is_slow_hears_of_every_release, BIT(KEYBOARD) | BIT(MOUSE))
{
    bool down = false;
    int x = 0;
    s->sink->ops->key(s->sink, KEY_LEFTSHIFT, true);
    for (unsigned i = 0; i < 4 * INPUT_QUEUE_EVENTS; i++) {
        s->sink->ops->key(s->sink, KEY_A, i % 2 == 0);
        s->sink->ops->move_by(s->sink, 1, 0);
    }
    s->sink->ops->key(s->sink, KEY_LEFTSHIFT, false);
    evloop_drain(s->loop);
    const struct ear *keyboard = &s->ears[INPUT_KEYBOARD], *mouse = &s->ears[INPUT_MOUSE];
    cr_expect_leq(keyboard->count, INPUT_QUEUE_EVENTS + 4);
    for (unsigned i = 0; i < keyboard->count; i++)
        if (keyboard->events[i].code == KEY_LEFTSHIFT)
            down = keyboard->events[i].value != 0;
    cr_expect_not(down);
    for (unsigned i = 0; i < mouse->count; i++)
        x += mouse->events[i].value;
    cr_expect_eq(x, 4 * (int)INPUT_QUEUE_EVENTS);
}

OnHub(input_hub, leds_are_what_the_guest_says, BIT(KEYBOARD))
{
    struct input_backend *b = s->ears[INPUT_KEYBOARD].backend;
    b->ops->status(b, &(struct input_event){EV_LED, LED_CAPSL, 1});
    b->ops->status(b, &(struct input_event){EV_LED, LED_NUML, 77});
    b->ops->status(b, &(struct input_event){EV_LED, 60000, 1});
    b->ops->status(b, &(struct input_event){EV_REP, REP_DELAY, 1});
    cr_expect_eq(input_hub_leds(s->hub), 1u << LED_CAPSL | 1u << LED_NUML);
    b->ops->status(b, &(struct input_event){EV_LED, LED_CAPSL, 0});
    cr_expect_eq(input_hub_leds(s->hub), 1u << LED_NUML);
}

/* ---- threads ---- */

#define TYPISTS 3u
#define STROKES 80u /* of all of them the ring has room for */

struct typist {
    struct scene *s;
    unsigned index;
};

/* Its own key, and steps to the right. */
static void *type(void *arg)
{
    const struct typist *t = arg;
    struct input_sink *sink = t->s->sink;
    for (unsigned i = 0; i < STROKES; i++) {
        sink->ops->key(sink, KEY_1 + t->index, true);
        sink->ops->move_by(sink, 1, 0);
        sink->ops->key(sink, KEY_1 + t->index, false);
        input_hub_leds(t->s->hub);
    }
    return NULL;
}

OnHub(input_hub, several_windows_at_once, BIT(KEYBOARD) | BIT(MOUSE))
{
    pthread_t threads[TYPISTS];
    struct typist typists[TYPISTS];
    unsigned strokes[TYPISTS] = {0};
    int x = 0;
    cr_assert_eq(evloop_start_thread(s->loop), 0);
    for (unsigned i = 0; i < TYPISTS; i++) {
        typists[i] = (struct typist){s, i};
        cr_assert_eq(pthread_create(&threads[i], NULL, type, &typists[i]), 0);
    }
    for (unsigned i = 0; i < TYPISTS; i++)
        pthread_join(threads[i], NULL);
    s->sink->ops->key(s->sink, KEY_ESC, true);
    evloop_stop_thread(s->loop);
    evloop_drain(s->loop);
    bool down[TYPISTS] = {false};
    const struct ear *keyboard = &s->ears[INPUT_KEYBOARD], *mouse = &s->ears[INPUT_MOUSE];
    for (unsigned i = 0; i < keyboard->count; i++) {
        const struct input_event *e = &keyboard->events[i];
        if (e->type != EV_KEY || e->code == KEY_ESC)
            continue;
        cr_expect_neq(down[e->code - KEY_1], e->value != 0, "event %u", i);
        down[e->code - KEY_1] = e->value != 0;
        strokes[e->code - KEY_1]++;
    }
    for (unsigned i = 0; i < mouse->count; i++)
        x += mouse->events[i].value;
    cr_expect_eq(x, (int)(TYPISTS * STROKES));
    for (unsigned i = 0; i < TYPISTS; i++)
        cr_expect_eq(strokes[i], 2 * STROKES, "%u: %u", i, strokes[i]);
}
