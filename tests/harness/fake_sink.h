// SPDX-License-Identifier: BSD-2-Clause
/* An input sink that remembers what it is told, for a test that waits for it. */
#ifndef MINIVET_TESTS_HARNESS_FAKE_SINK_H
#define MINIVET_TESTS_HARNESS_FAKE_SINK_H

#include <pthread.h>

#include "core/ports/input.h"

enum fake_sink_type {
    FAKE_SINK_KEY,     /* code, down */
    FAKE_SINK_MOVE_TO, /* x, y */
    FAKE_SINK_MOVE_BY, /* dx, dy */
    FAKE_SINK_WHEEL,   /* dx, dy */
    FAKE_SINK_TOUCH,   /* finger, down */
    FAKE_SINK_RELEASE,
};

struct fake_sink {
    struct input_sink sink;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct fake_sink_event {
        enum fake_sink_type type;
        int a, b;
    } heard[256];
    unsigned count, seen;
};

void fake_sink_init(struct fake_sink *f);

/* What comes next, which is waited for. */
struct fake_sink_event fake_sink_next(struct fake_sink *f);
/* The next is this one. */
void fake_sink_expect(struct fake_sink *f, enum fake_sink_type type, int a, int b);
/* Skips what comes before it. */
void fake_sink_await(struct fake_sink *f, enum fake_sink_type type, int a, int b);

#endif
