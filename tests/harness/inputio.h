// SPDX-License-Identifier: BSD-2-Clause
/*
 * Both sides of an input device: a backend that a test reports by, and a driver's buffers for the
 * events.
 */
#ifndef MINIVET_TESTS_HARNESS_INPUTIO_H
#define MINIVET_TESTS_HARNESS_INPUTIO_H

#include "core/ports/input.h"

#define FAKE_INPUT_STATUS 64u
#define INPUTIO_IDS       256u /* of buffers: the queue is not longer */

struct fake_input {
    struct input_backend backend;
    struct input_event status[FAKE_INPUT_STATUS]; /* the first of what the driver said */
    unsigned status_count;                        /* of all */
};

void fake_input_init(struct fake_input *input, enum input_kind kind);

/* To the handler, if there is one. */
void fake_input_report(struct fake_input *input, const struct input_event *events, unsigned count);
void fake_input_key(struct fake_input *input, unsigned code, bool down);

struct rig;

/* Gives the device `count` buffers for events, of so many bytes each, and lets it use them. */
void inputio_give(struct rig *rig, unsigned count, uint32_t bytes);
/* The next buffer that came back, if there is one, with how much was written: *len. */
bool inputio_next(struct rig *rig, struct input_event *event, uint32_t *len);
/* All events that came, in whole buffers; up to max, which they must not exceed. */
unsigned inputio_take(struct rig *rig, struct input_event *events, unsigned max);

/* Selects, and returns the size; the data are read by as many bytes. */
unsigned inputio_query(struct rig *rig, uint8_t select, uint8_t subsel, uint8_t *data);

bool inputio_same(const struct input_event *a, const struct input_event *b);

#endif
