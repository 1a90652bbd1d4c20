// SPDX-License-Identifier: BSD-2-Clause
/*
 * The event loop: file descriptors, timers, deferred work and calls from other threads, all run by
 * one owner thread. Device, queue and backend state belongs to one loop and needs no lock.
 *
 * The owner is the thread inside evloop_run(); while no thread runs the loop (set-up, tests, tear-
 * down) the caller is the owner. Debug builds assert it. Only evloop_stop(), evloop_call() and
 * evloop_post() may be called from other threads.
 *
 * Nothing here allocates after creation: sources, timers, posts and works are embedded in their
 * owners, zero-initialized, and stay in place while they are armed.
 */
#ifndef MINIVET_CORE_EVLOOP_H
#define MINIVET_CORE_EVLOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

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

/* As evloop_drain(), until finished(ctx): what is out with others may take as long as they like. */
void evloop_run_until(struct evloop *loop, bool (*finished)(void *ctx), void *ctx);

/* ---- file descriptors ---- */
struct ev_fd {
    void (*cb)(void *ctx, uint32_t events); /* events: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP */
    void *ctx;
    int fd;
    bool armed;
    bool is_event; /* set by evloop_event_add() */
    unsigned slot; /* the loop's own */
};

/*
 * Level-triggered: what a callback leaves it is called for again. The fd stays the caller's, to be
 * closed after evloop_fd_del(), which nothing follows. -EPERM: a plain file, which is always ready.
 */
int evloop_fd_add(struct evloop *loop, struct ev_fd *ev, int fd, uint32_t events);
int evloop_fd_set(struct evloop *loop, struct ev_fd *ev, uint32_t events);
void evloop_fd_del(struct evloop *loop, struct ev_fd *ev);

/*
 * An eventfd: cb is called after it has been written to, once for what came together. Its count
 * may be left there (a read costs more than the rest), so that adding the eventfd once more, or
 * running the loop from another thread, may call cb without a new write. No write is lost.
 */
int evloop_event_add(struct evloop *loop, struct ev_fd *ev, int eventfd);

/* ---- timers ---- */
struct ev_timer {
    void (*cb)(void *ctx);
    void *ctx;
    uint64_t when_ns; /* on the loop's clock */
    TAILQ_ENTRY(ev_timer) link;
    bool armed;
};

/* Arms, or moves, a one-shot timer. */
void evloop_timer_set(struct evloop *loop, struct ev_timer *t, uint64_t when_ns);
void evloop_timer_cancel(struct evloop *loop, struct ev_timer *t);

/* ---- later, in this loop ---- */
struct ev_defer {
    void (*cb)(void *ctx);
    void *ctx;
    TAILQ_ENTRY(ev_defer) link;
    bool queued;
};

/* Once, after the current callbacks; queueing twice runs it once. Owner thread only. */
void evloop_defer(struct evloop *loop, struct ev_defer *d);
void evloop_defer_cancel(struct evloop *loop, struct ev_defer *d);
/* Runs the oldest, of a loop that does not run; false: there is none. For replays. */
bool evloop_run_deferred(struct evloop *loop);

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
    TAILQ_ENTRY(ev_post) link;
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
    TAILQ_ENTRY(ev_work) link;
    bool waits; /* for a helper; the pool's */
};

void evloop_work(struct evloop *loop, struct ev_work *w);
/* Owner. Takes back a work that no helper has begun: neither call comes. False: both do. */
bool evloop_work_cancel(struct evloop *loop, struct ev_work *w);

/* ---- works in order, which may wait for other processes ---- */
/*
 * A lane is one more thread, which runs the works that it is given one after the other: for a
 * conversation with another process, which may answer when it likes. done() of each comes on the
 * loop, and evloop_drain() waits for it.
 */
struct evloop_lane;

/* Owner, as are submit and destroy. A negative errno, not reported: no memory, or no thread. */
int evloop_lane_create(struct evloop_lane **out, struct evloop *loop, const char *name);
/* No work of it may be out any more. NULL is allowed. */
void evloop_lane_destroy(struct evloop_lane *lane);

/* Never blocks. */
void evloop_lane_submit(struct evloop_lane *lane, struct ev_work *w);

/*
 * Any thread but the loop's: waits until the lane has run all its works (done() may still have to
 * come); false: so long it has not. Negative: as long as it takes, which the works must bound.
 */
bool evloop_lane_wait(struct evloop_lane *lane, int timeout_ms);

/*
 * For tests that need the same order each time: lanes that are created from now on have no thread,
 * and evloop_drain() and evloop_lane_wait() run their works.
 */
void evloop_lanes_by_hand(struct evloop *loop);

/* ---- I/O on files and block devices, which completes later ---- */
enum ev_io_op {
    EV_IO_READV, /* fd, iov, iov_count, offset */
    EV_IO_WRITEV,
    EV_IO_FDATASYNC, /* fd */
    EV_IO_FALLOCATE, /* fd, mode (FALLOC_FL_...), offset, bytes */
};

/* Zero-initialized before its first use. It and its vectors stay in place until done(). */
struct ev_io {
    /*
     * Bytes or 0; or a negative errno. On the loop, never inside evloop_io(). Short transfers are
     * reported as such; what was interrupted or asked to try again is tried again before.
     */
    void (*done)(struct ev_io *io, int64_t result);
    enum ev_io_op op;
    int fd;
    const struct iovec *iov;
    unsigned iov_count; /* at most 1024 */
    uint64_t offset_bytes;
    uint64_t bytes;
    int mode;

    /* The loop's own. */
    unsigned char state;
    bool again;  /* it was asked to try again */
    bool cancel; /* atomic: evloop_io_cancel() has asked */
    int64_t result;
    TAILQ_ENTRY(ev_io) link;
    struct ev_work work;
};

/*
 * Never blocks: what there is no room for waits in a list, and one system call submits all that
 * one turn of the loop has asked for. On io_uring, or (where the host refuses it) on the helpers.
 * evloop_drain() waits for it.
 */
void evloop_io(struct evloop *loop, struct ev_io *io);

/*
 * Asks for an early end; done() still comes, with -ECANCELED unless it was too late. Nothing else
 * ends with -ECANCELED.
 */
void evloop_io_cancel(struct evloop *loop, struct ev_io *io);

/*
 * Waits, running nothing of the loop but done() of ev_ios, until finished(ctx). For drains inside
 * a reset: at least one ev_io must be out while finished() says no.
 */
void evloop_io_wait(struct evloop *loop, bool (*finished)(void *ctx), void *ctx);

/* ---- turns are short ---- */
/*
 * Owner: has this turn taken a millisecond, so that what the caller begins now should wait for the
 * next one? The first to ask in a turn, and the first among what was deferred, may always begin:
 * all that is deferred has its turn.
 */
bool evloop_turn_is_over(struct evloop *loop);

/* Owner: may so much be copied now, rather than by a helper? 2 MiB in a turn are. */
bool evloop_may_copy(struct evloop *loop, size_t bytes);

/* ---- looking once more before sleeping ---- */
/*
 * For what can be seen in memory, such as a queue that a guest fills. To sleep and be woken costs
 * more than to look a few times, if work comes soon; so the loop, when it has run dry, looks for a
 * short while, which adapts itself: it grows while sleeps turn out to be short, and shrinks to
 * nothing while they are long.
 *
 * Neither call adds or removes polls; both are called on the loop.
 */
struct ev_poll {
    bool (*look)(void *ctx);  /* there is work, and it has been arranged for (evloop_defer()) */
    bool (*sleep)(void *ctx); /* polling ends: ask for notifications. Returns as look(),
                                 of what came before they were on. */
    void *ctx;
    TAILQ_ENTRY(ev_poll) link;
    bool armed;
};

/*
 * Looks until look() has said yes or sleep() was called, once each. False: there is no window now,
 * and the caller asks for its notifications itself.
 */
bool evloop_poll_add(struct evloop *loop, struct ev_poll *p);
void evloop_poll_del(struct evloop *loop, struct ev_poll *p);

/* The longest window; 0: none, ever. Without it, 50 microseconds. */
void evloop_poll_limit(struct evloop *loop, uint64_t max_ns);

/* ---- how it goes ---- */
/* As it was created; lives as long as the loop. */
const char *evloop_name(const struct evloop *loop);
/* What runs it, for messages and statistics: "io_uring" or "epoll". */
const char *evloop_engine(const struct evloop *loop);

struct evloop_stats {
    uint64_t turns;
    uint64_t system_calls; /* which waited, took or handed in */
    uint64_t sleeps;       /* of those: ready to wait */
    uint64_t poll_hits;    /* windows in which something came */
    uint64_t poll_misses;
    uint64_t poll_window_ns; /* now */
};

/* Owner thread. */
void evloop_stats(struct evloop *loop, struct evloop_stats *out);

#endif
