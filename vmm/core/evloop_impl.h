// SPDX-License-Identifier: BSD-2-Clause
/*
 * Inside the event loop: evloop.c is the owner's side (epoll, timers, deferred work), and
 * evloop_inbox.c is everybody's (who is the owner, and what others hand in). Private to the two.
 */
#ifndef MINIVET_CORE_EVLOOP_IMPL_H
#define MINIVET_CORE_EVLOOP_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "core/evloop.h"
#include "core/workpool.h"

#define EVLOOP_BATCH 32

struct call;

struct evloop {
    char name[16];
    const struct clock *clock;
    int epoll_fd;
    struct ev_fd wake; /* an eventfd: something came to the inbox, or the loop is to stop */
    _Atomic bool stop;
    _Atomic pid_t owner; /* 0: nobody, or a thread that is about to run */

    /* The owner's. */
    struct epoll_event batch[EVLOOP_BATCH];
    int batch_next, batch_count; /* what is still to be delivered */
    struct ev_timer *timers;     /* by rising time */
    struct ev_defer *defers, **defers_tail;
    unsigned defer_count;
    unsigned works_out; /* submitted, done() not yet called */
    bool inbox_left;    /* the last look at the inbox did not empty it */

    /*
     * The inbox, any thread's. Whoever finds it empty rings `wake`; the owner, who may leave
     * something for the next round, knows by inbox_left.
     */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a call is done, or the loop is given up */
    struct ev_post *posts, **posts_tail;
    struct ev_work *finished, **finished_tail;
    struct call *calls, **calls_tail;
    unsigned post_count, finished_count, call_count;
    bool waits;      /* the owner waits for `changed`, for a finished work */
    bool owned;      /* a thread is the owner, or is starting to be */
    bool had_thread; /* posts to a loop that nobody runs are for whoever makes them */

    pthread_t thread;
    bool has_thread;
    struct workpool pool;
};

bool evloop_is_owner(struct evloop *loop);
void evloop_assert_owner(struct evloop *loop);

/*
 * Becomes the owner, after whoever is it for the length of a call; and gives the loop up, under
 * the same lock under which its inbox is seen to be empty: a call comes either before that and is
 * run here, or after it and is run by its caller.
 */
void evloop_own(struct evloop *loop);
void evloop_disown(struct evloop *loop);

/* Takes the loop for a thread that is about to run; the thread says so when it does. */
void evloop_own_for_thread(struct evloop *loop);
void evloop_own_as_thread(struct evloop *loop);

void evloop_inbox_init(struct evloop *loop);
void evloop_inbox_end(struct evloop *loop);

/* Owner only: runs what was handed in; returns whether there was anything. */
bool evloop_inbox_run(struct evloop *loop);

/* Owner only: waits until a work with that run() is finished, and runs the done() of the first. */
void evloop_inbox_finish(struct evloop *loop, void (*run)(void *ctx));

void evloop_wake(struct evloop *loop);

/* I/O on the helpers. */
void evloop_pool_io(struct evloop *loop, struct ev_io *io);
void evloop_pool_io_cancel(struct evloop *loop, struct ev_io *io);
void evloop_pool_io_turn(struct evloop *loop);

#endif
