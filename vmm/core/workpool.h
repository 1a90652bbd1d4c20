// SPDX-License-Identifier: BSD-2-Clause
/*
 * A loop's helper threads: at most a handful, each started when work waits and no helper is idle.
 * Private to the event loop; everybody else calls evloop_work().
 */
#ifndef MINIVET_CORE_WORKPOOL_H
#define MINIVET_CORE_WORKPOOL_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#define WORKPOOL_THREADS 4

struct ev_work;

struct workpool {
    const char *name; /* of the loop, which the threads are named after */
    /* A work has run; called on the helper, or in submit() if the host refuses every thread. */
    void (*finished)(void *ctx, struct ev_work *w);
    void *ctx;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t wake;
    TAILQ_HEAD(, ev_work) works; /* that wait, oldest first */
    unsigned waiting;
    unsigned idle;
    bool quit;
    unsigned threads;
    pthread_t thread[WORKPOOL_THREADS];
};

void workpool_init(struct workpool *pool, const char *name,
                   void (*finished)(void *ctx, struct ev_work *w), void *ctx);

/* Nothing may be waiting or running any more. Joins the helpers. */
void workpool_end(struct workpool *pool);

/* One thread submits. */
void workpool_submit(struct workpool *pool, struct ev_work *w);

/* A thread of the VMM's own: a small stack, no signals, a name of at most 15 characters. */
int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *arg), void *arg);

#endif
