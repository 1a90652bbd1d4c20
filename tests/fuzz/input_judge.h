// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a driver that keeps to the rules can rely on of an input device: all that happened comes, in
 * its order and in whole reports, while no more waits than half of what the device has room for;
 * and when nothing waits any more the driver knows which keys are down, where axes and fingers are,
 * and how far the pointer went, however much there was.
 */
#ifndef MINIVET_TESTS_FUZZ_INPUT_JUDGE_H
#define MINIVET_TESTS_FUZZ_INPUT_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/input_queue.h"

struct fuzz_given;
struct fuzz_player;

/* What follows from events. */
struct fuzz_input_state {
    bool keys[INPUT_KEY_CODES];
    int64_t rel[INPUT_REL_CODES];
    int32_t abs[INPUT_ABS_CODES];
    int32_t fingers[INPUT_TOUCHES][3];
    unsigned slot;
};

struct fuzz_events {
    bool blind; /* what came cannot be read, or proves nothing */
    bool exact; /* there was always room */
    struct input_event due[INPUT_QUEUE_EVENTS];
    unsigned due_count;
    unsigned in_report;
    struct fuzz_input_state happened, heard;
};

/* With a reset. */
void fuzz_events_begin(struct fuzz_player *p);
/* The host reports, `again` times more: four bytes an event. */
void fuzz_report(struct fuzz_player *p, unsigned again, const uint8_t *bytes, uint32_t len);
/* A buffer came back, before its place is used again. */
void fuzz_judge_event(struct fuzz_player *p, const struct fuzz_given *given, uint32_t len);
/* At the script's end: takes all that there is. */
void fuzz_events_end(struct fuzz_player *p);

#endif
