// SPDX-License-Identifier: BSD-2-Clause
/*
 * A loop's helper threads: at most a handful, each started when work waits and no helper is idle.
 * Private to the event loop; other code calls evloop_work() or has a lane.
 */
#ifndef MINIVET_CORE_WORKPOOL_H
#define MINIVET_CORE_WORKPOOL_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "core/base/thread_role.h"

#define WORKPOOL_THREADS 4

struct ev_work;

struct workpool {
    const char *name; /* of the loop, which the threads are named after */
    enum thread_role role;
    /* A work has run; called on the helper, or in submit() if the host refuses every thread. */
    void (*finished)(void *ctx, struct ev_work *w);
    void *ctx;

    unsigned limit; /* threads at most */
    bool by_hand;   /* no threads: see workpool_run_by_hand() */

    pthread_mutex_t lock; /* all below */
    pthread_cond_t wake;
    TAILQ_HEAD(, ev_work) works; /* that wait, oldest first */
    pthread_cond_t quiet;        /* `out` has become 0 */
    unsigned waiting;
    unsigned out; /* that wait or run */
    unsigned idle;
    bool quit;
    unsigned threads;
    pthread_t thread[WORKPOOL_THREADS];
};

/* At most WORKPOOL_THREADS. */
void workpool_init(struct workpool *pool, const char *name, unsigned limit,
                   void (*finished)(void *ctx, struct ev_work *w), void *ctx);

/* Starts the first thread now, so that no work has to run in submit(); a negative errno. */
int workpool_start(struct workpool *pool);

/* Nothing may be waiting or running any more. Joins the helpers. */
void workpool_end(struct workpool *pool);

/* One thread submits. */
void workpool_submit(struct workpool *pool, struct ev_work *w);

/* The same thread: takes back a work that waits; false: it runs, or has run. */
bool workpool_cancel(struct workpool *pool, struct ev_work *w);

/* Any thread: until no work waits or runs; false: the time is over. Negative: no limit. */
bool workpool_wait(struct workpool *pool, int timeout_ms);

/* Runs the oldest work in the caller's thread; false: there is none. */
bool workpool_run_by_hand(struct workpool *pool);

/*
 * A thread of the VMM's own: a small stack, no signals, a name of at most 15 characters. It enters
 * its role by itself (core/base/thread_role.h).
 */
int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *arg), void *arg);

#endif
