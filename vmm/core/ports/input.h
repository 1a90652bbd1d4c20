// SPDX-License-Identifier: BSD-2-Clause
/*
 * Input ports: from a person's keyboard, mouse or finger to a device of the guest's. A window, a
 * VNC client or a script talks to an input sink, which knows what devices there are and what each
 * is to hear (devices/input). The sink is an input backend to each device.
 *
 * Types and codes are Linux's (linux/input-event-codes.h), as in VIRTIO 1.4 5.8.
 */
#ifndef MINIVET_CORE_INPUT_H
#define MINIVET_CORE_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/le.h"

#define INPUT_AXIS_MAX 32767 /* of an absolute axis, which begins with 0 */
#define INPUT_TOUCHES  10u   /* fingers at a time */

#define INPUT_TRACKING_MAX 0xffff /* of what ABS_MT_TRACKING_ID calls a finger; -1: it left */

/* ---- what a person does ---- */

struct input_sink;

/* From any thread, without waiting. Nothing is lost but movements that a later one makes stale. */
struct input_sink_ops {
    /* KEY_... and BTN_LEFT, BTN_RIGHT, BTN_MIDDLE, BTN_SIDE, BTN_EXTRA. Repeats are the guest's. */
    void (*key)(struct input_sink *s, unsigned code, bool down);
    /* The pointer, on a scanout: 0 to INPUT_AXIS_MAX each. */
    void (*move_to)(struct input_sink *s, unsigned scanout, unsigned x, unsigned y);
    void (*move_by)(struct input_sink *s, int dx, int dy);
    void (*wheel)(struct input_sink *s, int dx, int dy); /* notches: up and right are positive */
    /* A finger is down and where it is, or (down is false) has left. finger < INPUT_TOUCHES */
    void (*touch)(struct input_sink *s, unsigned finger, bool down, unsigned x, unsigned y);
    /* All keys and buttons that are down go up, all fingers leave: the window lost the focus. */
    void (*release)(struct input_sink *s);
};

struct input_sink {
    const struct input_sink_ops *ops;
};

/* ---- what a device hears ---- */

enum input_kind { INPUT_KEYBOARD, INPUT_MOUSE, INPUT_TABLET, INPUT_TOUCH, INPUT_KINDS };

struct input_event {
    uint16_t type, code;
    int32_t value;
};

#define INPUT_REPORT_EVENTS 8u /* what happens at once, at most */

/* As a guest sees it, and a tape has it. */
#define INPUT_EVENT_BYTES 8u

static inline void input_event_put(uint8_t *to, const struct input_event *event)
{
    le16_put(to, event->type);
    le16_put(to + 2, event->code);
    le32_put(to + 4, (uint32_t)event->value);
}

static inline struct input_event input_event_get(const uint8_t *from)
{
    return (struct input_event){le16_get(from), le16_get(from + 2), (int32_t)le32_get(from + 4)};
}

struct input_backend;

/* The device's half. On the loop. */
struct input_handler {
    /* What has happened at once, without the SYN_REPORT that ends it: 1 to INPUT_REPORT_EVENTS. */
    void (*on_report)(void *ctx, const struct input_event *events, unsigned count);
    void *ctx;
};

struct input_backend_ops {
    /* What the driver says: LEDs, and what else there may be. Both are the guest's, unchecked. */
    void (*status)(struct input_backend *b, const struct input_event *event);
};

/* Everything is called on the loop that the backend was created for. */
struct input_backend {
    const struct input_backend_ops *ops;
    struct input_handler handler; /* the device's; zeroed while there is none */
    enum input_kind kind;
};

#endif
