// SPDX-License-Identifier: BSD-2-Clause
/*
 * The input port, from what a person does to the machine's input devices: the hub. The first byte
 * says which devices there are; then a list of steps, a byte each, with their numbers: a key, a
 * button, a motion, a finger, or the loop runs.
 *
 * The model is what a person holds down, and where the pointer and the fingers are. Once the loop
 * is idle, what the devices have heard comes to the same, however much has been folded; each report
 * has what its device may say, and a key goes down and up in turns.
 */
#include <linux/input-event-codes.h>
#include <string.h>

#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/input_queue.h"
#include "devices/input/hub.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

#define STEPS_MAX 4000u

struct fingers {
    bool is_down[INPUT_TOUCHES];
    int x[INPUT_TOUCHES], y[INPUT_TOUCHES];
};

/* What a device has heard comes to. */
struct ear {
    enum input_kind kind;
    bool is_there;
    bool keys[INPUT_KEY_CODES];
    int64_t rel[REL_CNT];
    int abs[ABS_CNT];
    struct fingers fingers;
    unsigned slot;
};

static struct bench {
    struct fuzz_host host;
    struct input_hub *hub;
    struct input_sink *sink;
    struct ear ears[INPUT_KINDS];
    /* A person's. */
    bool keys[INPUT_KEY_CODES];
    int64_t dx, dy, wheel_x, wheel_y;
    int x, y;
    struct fingers fingers;
} bench;

/* ---- devices ---- */

static void hear_key(struct ear *e, const struct input_event *event)
{
    bool is_button = event->code >= BTN_LEFT && event->code <= BTN_EXTRA;
    bool may = e->kind == INPUT_KEYBOARD ? !is_button
               : e->kind == INPUT_TOUCH  ? event->code == BTN_TOUCH
                                         : is_button;
    fuzz_check(event->code < INPUT_KEY_CODES && may, "device %d: key %x", (int)e->kind,
               event->code);
    fuzz_check(event->value == !e->keys[event->code], "device %d: key %x is %d once more",
               (int)e->kind, event->code, event->value);
    e->keys[event->code] = event->value;
}

static void hear_touch(struct ear *e, const struct input_event *event)
{
    struct fingers *f = &e->fingers;
    switch (event->code) {
    case ABS_MT_SLOT:
        fuzz_check((unsigned)event->value < INPUT_TOUCHES, "slot %d", event->value);
        e->slot = (unsigned)event->value;
        break;
    case ABS_MT_TRACKING_ID:
        f->is_down[e->slot] = event->value >= 0;
        break;
    case ABS_MT_POSITION_X:
        f->x[e->slot] = event->value;
        break;
    case ABS_MT_POSITION_Y:
        f->y[e->slot] = event->value;
        break;
    default:
        fuzz_check(false, "axis %x of a touch screen", event->code);
    }
}

static void on_report(void *ctx, const struct input_event *events, unsigned count)
{
    struct ear *e = ctx;
    fuzz_check(count >= 1 && count <= INPUT_REPORT_EVENTS, "a report of %u events", count);
    for (unsigned i = 0; i < count; i++) {
        if (events[i].type == EV_KEY) {
            hear_key(e, &events[i]);
        } else if (events[i].type == EV_REL) {
            fuzz_check(e->kind == INPUT_MOUSE || e->kind == INPUT_TABLET, "steps");
            e->rel[events[i].code] += events[i].value;
        } else if (e->kind == INPUT_TOUCH) {
            hear_touch(e, &events[i]);
        } else {
            fuzz_check(e->kind == INPUT_TABLET && events[i].type == EV_ABS &&
                           events[i].code <= ABS_Y,
                       "device %d: type %x code %x", (int)e->kind, events[i].type, events[i].code);
            e->abs[events[i].code] = events[i].value;
        }
    }
}

/* ---- a person ---- */

static int clamp(int64_t value)
{
    return value < 0 ? 0 : value > INPUT_AXIS_MAX ? INPUT_AXIS_MAX : (int)value;
}

static void press(struct bench *b, unsigned code, bool down)
{
    if (code < INPUT_KEY_CODES)
        b->keys[code] = down;
    b->sink->ops->key(b->sink, code, down);
}

static void move_to(struct bench *b, struct fuzz_input *in)
{
    unsigned x = (unsigned)fuzz_take(in, 2), y = (unsigned)fuzz_take(in, 2);
    b->x = clamp(x);
    b->y = clamp(y);
    b->sink->ops->move_to(b->sink, 0, x, y);
}

/* Without a mouse the pointer on the tablet moves. */
static void move_by(struct bench *b, struct fuzz_input *in)
{
    int dx = (int16_t)fuzz_take(in, 2), dy = (int16_t)fuzz_take(in, 2);
    if (b->ears[INPUT_MOUSE].is_there) {
        b->dx += dx;
        b->dy += dy;
    } else {
        b->x = clamp(b->x + (int64_t)dx * INPUT_HUB_STEP);
        b->y = clamp(b->y + (int64_t)dy * INPUT_HUB_STEP);
    }
    b->sink->ops->move_by(b->sink, dx, dy);
}

static void turn_wheel(struct bench *b, struct fuzz_input *in)
{
    int dx = (int8_t)fuzz_take(in, 1), dy = (int8_t)fuzz_take(in, 1);
    b->wheel_x += dx;
    b->wheel_y += dy;
    b->sink->ops->wheel(b->sink, dx, dy);
}

static void touch(struct bench *b, bool down, struct fuzz_input *in)
{
    unsigned finger = (unsigned)fuzz_take(in, 1) % (INPUT_TOUCHES + 1);
    unsigned x = (unsigned)fuzz_take(in, 2), y = (unsigned)fuzz_take(in, 2);
    if (finger < INPUT_TOUCHES) {
        b->fingers.is_down[finger] = down;
        b->fingers.x[finger] = down ? clamp(x) : b->fingers.x[finger];
        b->fingers.y[finger] = down ? clamp(y) : b->fingers.y[finger];
    }
    b->sink->ops->touch(b->sink, finger, down, x, y);
}

static void let_go(struct bench *b)
{
    memset(b->keys, 0, sizeof(b->keys));
    memset(b->fingers.is_down, 0, sizeof(b->fingers.is_down));
    b->sink->ops->release(b->sink);
}

/* ---- the model ---- */

static const struct ear *first_of(const struct bench *b, enum input_kind kind,
                                  enum input_kind other)
{
    return b->ears[kind].is_there    ? &b->ears[kind]
           : b->ears[other].is_there ? &b->ears[other]
                                     : NULL;
}

static void check_keys(const struct bench *b)
{
    const struct ear *keyboard = first_of(b, INPUT_KEYBOARD, INPUT_KEYBOARD);
    const struct ear *buttons = first_of(b, INPUT_TABLET, INPUT_MOUSE);
    for (unsigned code = 0; code < INPUT_KEY_CODES; code++) {
        const struct ear *e = code >= BTN_LEFT && code <= BTN_EXTRA ? buttons : keyboard;
        fuzz_check(e == NULL || e->keys[code] == b->keys[code], "key %x is%s down", code,
                   b->keys[code] ? " not" : "");
    }
}

static void check_pointer(const struct bench *b)
{
    const struct ear *mouse = &b->ears[INPUT_MOUSE], *tablet = &b->ears[INPUT_TABLET];
    const struct ear *wheel = first_of(b, INPUT_TABLET, INPUT_MOUSE);
    fuzz_check(!tablet->is_there || (tablet->abs[ABS_X] == b->x && tablet->abs[ABS_Y] == b->y),
               "the pointer is at %d, %d instead of %d, %d", tablet->abs[ABS_X], tablet->abs[ABS_Y],
               b->x, b->y);
    /* A mouse alone is told of positions, too, in steps. */
    fuzz_check(!mouse->is_there || !tablet->is_there ||
                   (mouse->rel[REL_X] == b->dx && mouse->rel[REL_Y] == b->dy),
               "the mouse has lost steps");
    fuzz_check(wheel == NULL ||
                   (wheel->rel[REL_HWHEEL] == b->wheel_x && wheel->rel[REL_WHEEL] == b->wheel_y),
               "the wheel has lost steps");
}

static void check_fingers(const struct bench *b)
{
    const struct ear *e = &b->ears[INPUT_TOUCH];
    const struct fingers *is = &e->fingers, *should = &b->fingers;
    bool any = false;
    for (unsigned i = 0; e->is_there && i < INPUT_TOUCHES; i++) {
        any |= should->is_down[i];
        fuzz_check(is->is_down[i] == should->is_down[i], "finger %u", i);
        fuzz_check(!is->is_down[i] || (is->x[i] == should->x[i] && is->y[i] == should->y[i]),
                   "finger %u is elsewhere", i);
    }
    fuzz_check(!e->is_there || e->keys[BTN_TOUCH] == any, "BTN_TOUCH is wrong");
}

static void check_idle(const struct bench *b)
{
    evloop_drain(b->host.loop);
    check_keys(b);
    check_pointer(b);
    check_fingers(b);
}

/* ---- steps ---- */

static void step(struct bench *b, struct fuzz_input *in)
{
    unsigned what = (unsigned)fuzz_take(in, 1);
    bool down = what & 0x10;
    switch (what % 16) {
    case 0:
        check_idle(b);
        break;
    case 1:
        let_go(b);
        break;
    case 2:
    case 3:
        move_to(b, in);
        break;
    case 4:
    case 5:
        move_by(b, in);
        break;
    case 6:
        turn_wheel(b, in);
        break;
    case 7:
    case 8:
        touch(b, down, in);
        break;
    case 9:
        press(b, BTN_LEFT + what / 32, down);
        break;
    case 10:
        press(b, (unsigned)fuzz_take(in, 2), down);
        break;
    default:
        press(b, (unsigned)fuzz_take(in, 1), down);
        break;
    }
}

static void run(struct fuzz_input *in)
{
    struct bench *b = &bench;
    unsigned kinds = (unsigned)fuzz_take(in, 1);
    *b = (struct bench){.host = b->host};
    fuzz_host_open(&b->host);
    fuzz_check(input_hub_create(&b->hub, b->host.loop) == 0, "there is no memory");
    b->sink = input_hub_sink(b->hub);
    for (unsigned i = 0; i < INPUT_KINDS; i++) {
        b->ears[i].kind = (enum input_kind)i;
        b->ears[i].is_there = kinds >> i & 1;
        if (b->ears[i].is_there)
            input_hub_backend(b->hub, (enum input_kind)i)->handler =
                (struct input_handler){on_report, &b->ears[i]};
    }
    for (unsigned i = 0; i < STEPS_MAX && in->left > 0; i++)
        step(b, in);
    check_idle(b);
    input_hub_destroy(b->hub);
}

const struct fuzz_target fuzz_target_hub = {.name = "hub", .run = fuzz_run_bytes, .bytes = run};
