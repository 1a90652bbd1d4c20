// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the cases of atomics.c have in common: code of Minivet that was compiled for the model, with
 * its threads, its loop and its host played by the model's.
 */
#ifndef MINIVET_TESTS_ORDER_THREADS_H
#define MINIVET_TESTS_ORDER_THREADS_H

#include <stdbool.h>

#include "tests/order/model.h"
#include "tests/order/needed.h"

/* All of the cases; false: one is wrong, which is an error if `says`. NULL prepare ends them. */
bool cases_hold(const struct model_case *cases, bool says);

/* What the code allocated is forgotten: the next objects are where the last were. */
void forget_memory(void);

/* A flag that is set once, with what its setter knew; and waiting for it. */
struct event {
    bool set;
    uint8_t lock;
};
void event_set(struct event *e);
void event_wait(struct event *e); /* and clears it */
bool event_take(struct event *e); /* clears it; was it set? */

/* The loop's callbacks are between these, and the calls of other threads. */
void loop_lock(void);
void loop_unlock(void);

/* The thread that the code starts is thread 1 of the case. */
extern struct event thread_started;
void run_started_thread(void *ctx);

#endif
