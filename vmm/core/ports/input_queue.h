// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reports of an input device that nothing has taken yet, in bounded memory:
 *
 *     put -> [ ring: reports in order, each ended by SYN_REPORT ] -> peek, take
 *       |                       ^
 *       +-> [ folded ] ---------+   when the ring has been emptied
 *
 * When the ring is full, what comes is folded into one value for each key, axis and finger, and so
 * is all that comes later, until the folded values have gone into the ring. Of a key and of an
 * absolute axis that value is the last one (so what was pressed is released in the end); of a
 * relative axis it is the sum, as far as 32 bits hold it. And while the ring is more than half full
 * a movement is added to a movement that is the newest report.
 *
 * Types other than EV_KEY, EV_REL and EV_ABS, and codes that Linux has no name for, are passed
 * over. One thread at a time.
 */
#ifndef MINIVET_CORE_INPUT_QUEUE_H
#define MINIVET_CORE_INPUT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/input.h"

#define INPUT_QUEUE_EVENTS 1024u

#define INPUT_KEY_CODES 0x300u /* KEY_CNT, REL_CNT and ABS_CNT of linux/input-event-codes.h */
#define INPUT_REL_CODES 0x10u
#define INPUT_ABS_CODES 0x40u
#define INPUT_KEY_WORDS (INPUT_KEY_CODES / 64)

struct state;

/* A finger; the values of ABS_MT_TRACKING_ID (-1: there is none), ABS_MT_POSITION_X and _Y. */
struct input_finger {
    int32_t id, x, y;
};

struct input_queue {
    struct input_event ring[INPUT_QUEUE_EVENTS];
    unsigned first, count;
    unsigned newest; /* events of the newest report in the ring; 0: there is none */

    /* What is so after all reports, those that are folded included. */
    uint64_t keys[INPUT_KEY_WORDS];
    int32_t abs[INPUT_ABS_CODES];
    struct input_finger fingers[INPUT_TOUCHES];
    unsigned slot; /* of the finger that reports speak of */

    bool folding;
    uint64_t ring_keys[INPUT_KEY_WORDS]; /* after the ring's reports alone */
    unsigned ring_slot;                  /* likewise */
    int32_t rel[INPUT_REL_CODES];        /* the sums */
    uint64_t abs_changed, fingers_changed;
};

/* Nothing is pressed or touched, and there are no reports. */
void input_queue_clear(struct input_queue *q);

/* Up to INPUT_REPORT_EVENTS that happened at once. */
void input_queue_put(struct input_queue *q, const struct input_event *events, unsigned count);

/* The oldest report with its SYN_REPORT: how many events, or 0. It stays until it is taken. */
unsigned input_queue_peek(struct input_queue *q,
                          struct input_event report[INPUT_REPORT_EVENTS + 1]);
void input_queue_take(struct input_queue *q);

static inline bool input_queue_is_down(const struct input_queue *q, unsigned code)
{
    return code < INPUT_KEY_CODES && (q->keys[code / 64] >> code % 64 & 1) != 0;
}

void input_queue_state(struct input_queue *q, struct state *s);

#endif
