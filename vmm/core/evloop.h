// SPDX-License-Identifier: BSD-2-Clause
/*
 * The event loop: file descriptors, timers, deferred work and calls from other threads, all run by
 * one owner thread. Device, queue and backend state belongs to one loop and needs no lock.
 *
 * The owner is the thread inside evloop_run(); while nobody runs the loop (set-up, tests, tear-
 * down) whoever calls is the owner. Debug builds assert it. Only evloop_stop(), evloop_call() and
 * evloop_post() may be called from other threads.
 *
 * Nothing here allocates after creation: sources, timers, posts and works are embedded in their
 * owners, zero-initialized, and stay in place while they are armed.
 */
#ifndef MINIVET_CORE_EVLOOP_H
#define MINIVET_CORE_EVLOOP_H

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct evloop;

int evloop_create(struct evloop **out, const char *name, const struct clock *clock);

/* Everything must have been removed; outstanding work is waited for. NULL is allowed. */
void evloop_destroy(struct evloop *loop);

/* Runs until evloop_stop(); returns 0 or a negative errno. */
int evloop_run(struct evloop *loop);
void evloop_stop(struct evloop *loop);

/*
 * Starts a thread that runs the loop, and ends it again (stop and join). A call or post made after
 * the end runs in the caller's thread.
 */
int evloop_start_thread(struct evloop *loop);
void evloop_stop_thread(struct evloop *loop);

/*
 * Runs whatever is ready, waits for work that is out with helpers, and returns when the loop has
 * nothing more to do now (timers that are not due do not count). This is how tests step a device.
 */
void evloop_drain(struct evloop *loop);

/* ---- file descriptors ---- */
struct ev_fd {
    void (*cb)(void *ctx, uint32_t events); /* events: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP */
    void *ctx;
    int fd;
    bool armed;
    bool is_event; /* set by evloop_event_add() */
};

/* Level-triggered. The fd stays the caller's, to be closed after evloop_fd_del(). */
int evloop_fd_add(struct evloop *loop, struct ev_fd *ev, int fd, uint32_t events);
int evloop_fd_set(struct evloop *loop, struct ev_fd *ev, uint32_t events);
void evloop_fd_del(struct evloop *loop, struct ev_fd *ev);

/* An eventfd whose count is read and dropped before cb is called. */
int evloop_event_add(struct evloop *loop, struct ev_fd *ev, int eventfd);

/* ---- timers ---- */
struct ev_timer {
    void (*cb)(void *ctx);
    void *ctx;
    uint64_t when_ns; /* on the loop's clock */
    struct ev_timer *next;
    bool armed;
};

/* Arms, or moves, a one-shot timer. */
void evloop_timer_set(struct evloop *loop, struct ev_timer *t, uint64_t when_ns);
void evloop_timer_cancel(struct evloop *loop, struct ev_timer *t);

/* ---- later, in this loop ---- */
struct ev_defer {
    void (*cb)(void *ctx);
    void *ctx;
    struct ev_defer *next;
    bool queued;
};

/* Once, after the current callbacks; queueing twice runs it once. Owner thread only. */
void evloop_defer(struct evloop *loop, struct ev_defer *d);
void evloop_defer_cancel(struct evloop *loop, struct ev_defer *d);

/* ---- from other threads ---- */
/* Runs fn(arg) on the loop's thread and waits for its result. On the owner: a plain call. */
int evloop_call(struct evloop *loop, int (*fn)(void *arg), void *arg);

/*
 * Runs cb(ctx) on the loop's thread, soon; posting again before it ran runs it once. What a thread
 * posts runs before what it calls afterwards.
 */
struct ev_post {
    void (*cb)(void *ctx);
    void *ctx;
    struct ev_post *next;
    bool queued;
};

void evloop_post(struct evloop *loop, struct ev_post *p);

/* ---- helpers for what would block ---- */
/*
 * run() is called on one of a few helper threads, which are started at first use; then done() on
 * the loop. Submitting never blocks: works wait in a list.
 */
struct ev_work {
    void (*run)(void *ctx);
    void (*done)(void *ctx);
    void *ctx;
    struct ev_work *next;
};

void evloop_work(struct evloop *loop, struct ev_work *w);

#endif
