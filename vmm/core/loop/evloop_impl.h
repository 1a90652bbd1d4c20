// SPDX-License-Identifier: BSD-2-Clause
/*
 * Inside the event loop. evloop.c is the owner's side (timers, deferred work, running),
 * evloop_inbox.c any thread's (which is the owner, and what others hand in). What waits for I/O
 * is an engine: evloop_uring.c, or where the host refuses that evloop_epoll.c. evloop_poll.c
 * decides when to look once more before sleeping, and evloop_lane.c has works that run in order.
 */
#ifndef MINIVET_CORE_EVLOOP_IMPL_H
#define MINIVET_CORE_EVLOOP_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/loop/evloop.h"
#include "core/loop/workpool.h"

#define WAIT_NONE    INT64_C(0)
#define WAIT_FOREVER INT64_C(-1)

#define EVLOOP_POLL_MAX_NS UINT64_C(50000) /* the window before a sleep, unless told otherwise */

struct call;
struct epoll;
struct uring;

/* All are the owner's. */
struct evloop_engine {
    const char *name;
    int (*open)(struct evloop *loop);
    void (*close)(struct evloop *loop); /* of what open() has left, too */
    /* What ev->fd and ev->is_event say. */
    int (*add)(struct evloop *loop, struct ev_fd *ev, uint32_t events);
    int (*set)(struct evloop *loop, struct ev_fd *ev, uint32_t events);
    void (*del)(struct evloop *loop, struct ev_fd *ev);
    /* Hands in what was asked for, and waits for something at most so long; 0 or a negative errno.
     */
    int (*wait)(struct evloop *loop, int64_t wait_ns);
    /* Then calls back what is ready, and returns how many callbacks there were. */
    int (*dispatch)(struct evloop *loop);
    bool (*ready)(struct evloop *loop); /* would wait() find something? As cheap as it can be */
    void (*io)(struct evloop *loop, struct ev_io *io);
    void (*io_cancel)(struct evloop *loop, struct ev_io *io);
    int (*io_turn)(struct evloop *loop); /* waits for I/O alone, and calls done() */
    /*
     * The owner gives the loop up: what only its thread can end must end. `last`: the thread will
     * not come back.
     */
    void (*release)(struct evloop *loop, bool last);
};

extern const struct evloop_engine evloop_epoll_engine, evloop_uring_engine;

struct evloop {
    char name[16];
    const struct clock *clock;
    const struct evloop_engine *engine;
    struct epoll *epoll; /* the engine's own: one of the two */
    struct uring *uring;
    struct ev_fd wake; /* an eventfd: something came to the inbox, or the loop is to stop */
    _Atomic bool stop;
    _Atomic pid_t owner; /* 0: none, or a thread that is about to run */

    /* The owner's. */
    TAILQ_HEAD(ev_timers, ev_timer) timers; /* by rising time */
    TAILQ_HEAD(, ev_defer) defers;
    unsigned defer_count;
    unsigned works_out; /* submitted, done() not yet called: works and I/O */
    TAILQ_HEAD(, ev_poll) polls;
    uint64_t poll_max_ns;  /* the longest window; twice that while I/O is in flight */
    uint64_t io_window_ns; /* the window then; without I/O it is stats.poll_window_ns */
    bool slept_for_io;
    bool poll_asked;  /* since the last sleep */
    uint64_t rest_ns; /* until when it does not look; 0: it may */
    uint64_t dry_ns;  /* when it began to look in vain; 0: it has not */
    struct evloop_stats stats;
    unsigned turn_asked;   /* evloop_turn_is_over() of this turn */
    uint64_t turn_over_ns; /* from the second on: when it is over */
    size_t turn_copied;    /* evloop_may_copy() of this turn, bytes */
    bool inbox_left;       /* the last look at the inbox did not empty it */

    /*
     * The inbox, any thread's. The thread that finds it empty rings `wake`; the owner, which may
     * leave something for the next round, knows by inbox_left.
     */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a call is done, or the loop is given up */
    TAILQ_HEAD(, ev_post) posts;
    TAILQ_HEAD(, ev_work) finished;
    TAILQ_HEAD(, call) calls;
    unsigned post_count, finished_count, call_count;
    bool waits;      /* the owner waits for `changed`, for a finished work */
    bool owned;      /* a thread is the owner, or is starting to be */
    bool had_thread; /* posts to a loop that no thread runs are run by the thread that makes them */

    pthread_t thread;
    bool has_thread;
    struct workpool pool;

    TAILQ_HEAD(, evloop_lane) lanes; /* the owner's */
    bool lanes_by_hand;
};

bool evloop_is_owner(struct evloop *loop);
void evloop_assert_owner(struct evloop *loop);

/*
 * Becomes the owner, after the thread that owns it for the length of a call; and gives the loop up,
 * under the same lock under which its inbox is seen to be empty: a call comes either before that
 * and is run here, or after it and is run by its caller. `last`: the thread will not come back.
 */
void evloop_own(struct evloop *loop);
void evloop_disown(struct evloop *loop, bool last);

/* Takes the loop for a thread that is about to run; the thread says so when it does. */
void evloop_own_for_thread(struct evloop *loop);
void evloop_own_as_thread(struct evloop *loop);

void evloop_inbox_init(struct evloop *loop);
void evloop_inbox_end(struct evloop *loop);

/* Owner only: runs what was handed in; returns whether there was anything. */
bool evloop_inbox_run(struct evloop *loop);

/* Owner only: waits until a work with that run() is finished, and runs the done() of the first. */
void evloop_inbox_finish(struct evloop *loop, void (*run)(void *ctx));

/* On a helper: hands a finished work to ctx, the loop. */
void evloop_inbox_work_finished(void *ctx, struct ev_work *w);

void evloop_wake(struct evloop *loop);

/* The owner, or any thread while there is none. */
pid_t evloop_owner(const struct evloop *loop);

/*
 * The window before a sleep. look: asks every poll once. run: the loop is dry; looks for a while,
 * at most until wait_ns are over, and ends all polls if that finds nothing. end: tells them that
 * polling is over. All return whether there is something to do.
 */
bool evloop_poll_look(struct evloop *loop);
bool evloop_poll_run(struct evloop *loop, int64_t wait_ns);
bool evloop_poll_end(struct evloop *loop);

/*
 * Around a sleep: what the window adapts to. sleeps() returns when the idle time began, or 0 if
 * polling was not wanted, so that the clock need not be asked.
 */
uint64_t evloop_poll_sleeps(struct evloop *loop);
void evloop_poll_slept(struct evloop *loop, uint64_t since_ns);

/* Lanes by hand: runs a work of each; false: there was none. */
bool evloop_lanes_run(struct evloop *loop);

#endif
