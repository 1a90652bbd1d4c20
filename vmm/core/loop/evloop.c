// SPDX-License-Identifier: BSD-2-Clause
#include "core/loop/evloop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/evloop_impl.h"

#define TURN_NS     UINT64_C(1000000)
#define TURN_COPIES (2 * MIB)

/* ---- file descriptors ---- */

static int source_add(struct evloop *loop, struct ev_fd *ev, int fd, uint32_t events, bool is_event)
{
    evloop_assert_owner(loop);
    ev->fd = fd;
    ev->is_event = is_event;
    int err = loop->engine->add(loop, ev, events);
    ev->armed = err == 0;
    return err;
}

int evloop_fd_add(struct evloop *loop, struct ev_fd *ev, int fd, uint32_t events)
{
    return source_add(loop, ev, fd, events, false);
}

int evloop_event_add(struct evloop *loop, struct ev_fd *ev, int eventfd)
{
    return source_add(loop, ev, eventfd, EPOLLIN, true);
}

int evloop_fd_set(struct evloop *loop, struct ev_fd *ev, uint32_t events)
{
    evloop_assert_owner(loop);
    return ev->armed ? loop->engine->set(loop, ev, events) : -ENOENT;
}

void evloop_fd_del(struct evloop *loop, struct ev_fd *ev)
{
    if (!ev->armed)
        return;
    evloop_assert_owner(loop);
    ev->armed = false;
    loop->engine->del(loop, ev);
}

/* ---- I/O ---- */

void evloop_io(struct evloop *loop, struct ev_io *io)
{
    evloop_assert_owner(loop);
    io->cancel = false;
    loop->engine->io(loop, io);
}

void evloop_io_cancel(struct evloop *loop, struct ev_io *io)
{
    evloop_assert_owner(loop);
    loop->engine->io_cancel(loop, io);
}

void evloop_io_wait(struct evloop *loop, bool (*finished)(void *ctx), void *ctx)
{
    bool nested = evloop_is_owner(loop);
    if (!nested)
        evloop_own(loop);
    while (!finished(ctx)) {
        BUG_ON(loop->works_out == 0);
        int err = loop->engine->io_turn(loop);
        if (err < 0) /* done() has been told */
            fail(err, "event loop %s: wait by %s", loop->name, loop->engine->name);
    }
    if (!nested)
        evloop_disown(loop, false);
}

/* ---- timers ---- */

void evloop_timer_set(struct evloop *loop, struct ev_timer *t, uint64_t when_ns)
{
    evloop_timer_cancel(loop, t);
    t->when_ns = when_ns;
    t->armed = true;
    /* From the end: thousands of connections may each set one to the same time from now. */
    struct ev_timer *earlier = TAILQ_LAST(&loop->timers, ev_timers);
    while (earlier && earlier->when_ns > when_ns)
        earlier = TAILQ_PREV(earlier, ev_timers, link);
    if (earlier)
        TAILQ_INSERT_AFTER(&loop->timers, earlier, t, link);
    else
        TAILQ_INSERT_HEAD(&loop->timers, t, link);
}

void evloop_timer_cancel(struct evloop *loop, struct ev_timer *t)
{
    evloop_assert_owner(loop);
    if (!t->armed)
        return;
    TAILQ_REMOVE(&loop->timers, t, link);
    t->armed = false;
}

static int64_t timer_wait_ns(struct evloop *loop)
{
    const struct ev_timer *first = TAILQ_FIRST(&loop->timers);
    if (!first)
        return WAIT_FOREVER;
    uint64_t now = clock_now_ns(loop->clock), when = first->when_ns;
    return when <= now ? WAIT_NONE : (int64_t)min_u64(when - now, INT64_MAX);
}

static bool timers_run(struct evloop *loop)
{
    if (TAILQ_EMPTY(&loop->timers))
        return false;
    uint64_t now = clock_now_ns(loop->clock);
    unsigned due = 0;
    struct ev_timer *t;
    for (t = TAILQ_FIRST(&loop->timers); t && t->when_ns <= now; t = TAILQ_NEXT(t, link))
        due++;
    bool any = due > 0;
    /* Counted first: a timer that sets itself into the past waits for the next round. */
    for (; due > 0 && (t = TAILQ_FIRST(&loop->timers)) && t->when_ns <= now; due--) {
        evloop_timer_cancel(loop, t);
        t->cb(t->ctx);
    }
    return any;
}

/* ---- deferred ---- */

void evloop_defer(struct evloop *loop, struct ev_defer *d)
{
    evloop_assert_owner(loop);
    if (d->queued)
        return;
    d->queued = true;
    TAILQ_INSERT_TAIL(&loop->defers, d, link);
    loop->defer_count++;
}

void evloop_defer_cancel(struct evloop *loop, struct ev_defer *d)
{
    evloop_assert_owner(loop);
    if (!d->queued)
        return;
    TAILQ_REMOVE(&loop->defers, d, link);
    d->queued = false;
    loop->defer_count--;
}

static bool defers_run(struct evloop *loop)
{
    unsigned budget = loop->defer_count;
    bool any = budget > 0;
    struct ev_defer *d;
    for (; budget > 0 && (d = TAILQ_FIRST(&loop->defers)); budget--) {
        evloop_defer_cancel(loop, d);
        d->cb(d->ctx);
    }
    return any;
}

bool evloop_run_deferred(struct evloop *loop)
{
    struct ev_defer *d = TAILQ_FIRST(&loop->defers);
    if (!d)
        return false;
    evloop_defer_cancel(loop, d);
    d->cb(d->ctx);
    return true;
}

/* ---- turns are short ---- */

bool evloop_turn_is_over(struct evloop *loop)
{
    evloop_assert_owner(loop);
    if (loop->turn_asked++ == 0)
        return false;
    uint64_t now = clock_now_ns(loop->clock);
    if (loop->turn_asked == 2)
        loop->turn_over_ns = now + TURN_NS;
    return now >= loop->turn_over_ns;
}

bool evloop_may_copy(struct evloop *loop, size_t bytes)
{
    evloop_assert_owner(loop);
    if (bytes > TURN_COPIES - loop->turn_copied)
        return false;
    loop->turn_copied += bytes;
    return true;
}

/* ---- running ---- */

/* One round. Returns whether anything happened, or a negative errno. */
static int step(struct evloop *loop, int64_t wait_ns)
{
    bool polls = evloop_poll_look(loop);
    loop->stats.turns++;
    if (polls || !TAILQ_EMPTY(&loop->defers) || loop->inbox_left)
        wait_ns = WAIT_NONE;
    uint64_t since_ns = wait_ns != WAIT_NONE ? evloop_poll_sleeps(loop) : 0;
    int err = loop->engine->wait(loop, wait_ns);
    evloop_poll_slept(loop, since_ns);
    if (err < 0)
        return fail(err, "event loop %s: wait by %s", loop->name, loop->engine->name);
    loop->turn_asked = 0;
    loop->turn_copied = 0;
    int n = loop->engine->dispatch(loop);
    bool timers = timers_run(loop);
    bool inbox = evloop_inbox_run(loop);
    loop->turn_asked = 0;
    bool defers = defers_run(loop);
    return n > 0 || polls || timers || inbox || defers;
}

/* A round that may take some time: it polls before it sleeps, if polling is wanted. */
static int step_or_wait(struct evloop *loop)
{
    if (!TAILQ_EMPTY(&loop->polls)) {
        int progress = step(loop, WAIT_NONE);
        if (progress != 0 || evloop_poll_run(loop, timer_wait_ns(loop)))
            return progress;
    }
    return step(loop, timer_wait_ns(loop));
}

/* `last`: by a thread that is for this alone. */
static int run_owned(struct evloop *loop, bool last)
{
    int err = 0;
    while (err >= 0 && !atomic_load_explicit(&loop->stop, memory_order_acquire))
        err = step_or_wait(loop);
    evloop_disown(loop, last);
    return err < 0 ? err : 0;
}

int evloop_run(struct evloop *loop)
{
    BUG_ON(evloop_is_owner(loop));
    evloop_own(loop);
    int err = run_owned(loop, false);
    atomic_store_explicit(&loop->stop, false, memory_order_relaxed);
    return err;
}

void evloop_stop(struct evloop *loop)
{
    /* Release: pairs with run_owned(), which then sees what led to the stop. */
    atomic_store_explicit(&loop->stop, true, memory_order_release);
    evloop_wake(loop);
}

static void *thread_main(void *arg)
{
    struct evloop *loop = arg;
    evloop_own_as_thread(loop);
    (void)loop->engine->wait(loop,
                             WAIT_NONE); /* takes the ring that is this thread's, before ... */
    thread_role_enter(THREAD_WORK);      /* ... a sandbox lets it make none */
    run_owned(loop, true);
    return NULL;
}

/* The loop is owned before its thread runs, so that no call slips in between as a plain call. */
int evloop_start_thread(struct evloop *loop)
{
    evloop_own_for_thread(loop);
    int err = thread_start(&loop->thread, loop->name, thread_main, loop);
    loop->has_thread = err == 0;
    if (err < 0) {
        evloop_own_as_thread(loop);
        evloop_disown(loop, false);
        return fail(err, "event loop %s: start a thread", loop->name);
    }
    return 0;
}

void evloop_stop_thread(struct evloop *loop)
{
    if (!loop->has_thread)
        return;
    evloop_stop(loop);
    pthread_join(loop->thread, NULL);
    loop->has_thread = false;
    atomic_store_explicit(&loop->stop, false, memory_order_relaxed);
}

void evloop_drain(struct evloop *loop)
{
    bool nested = evloop_is_owner(loop);
    int progress;
    BUG_ON(!nested && loop->has_thread);
    if (!nested)
        evloop_own(loop);
    while (
        (progress = step(loop, WAIT_NONE)) > 0 ||
        (progress == 0 && (evloop_lanes_run(loop) || evloop_poll_end(loop) || loop->works_out > 0)))
        if (progress == 0)
            step(loop, loop->works_out > 0 ? WAIT_FOREVER : WAIT_NONE);
    if (!nested)
        evloop_disown(loop, false);
}

void evloop_run_until(struct evloop *loop, bool (*finished)(void *ctx), void *ctx)
{
    bool nested = evloop_is_owner(loop);
    BUG_ON(!nested && loop->has_thread);
    if (!nested)
        evloop_own(loop);
    while (!finished(ctx) && step(loop, WAIT_FOREVER) >= 0)
        ;
    if (!nested)
        evloop_disown(loop, false);
}

/* ---- life ---- */

static void wake_nothing(void *ctx, uint32_t events)
{
    (void)ctx;
    (void)events;
}

/* io_uring, unless the host refuses it or MINIVET_NO_URING is set, which the tests do. */
static int open_engine(struct evloop *loop)
{
    int err = -EPERM;
    if (getenv("MINIVET_NO_URING") == NULL) {
        loop->engine = &evloop_uring_engine;
        err = loop->engine->open(loop);
        if (err == 0)
            return 0;
        loop->engine->close(loop);
    }
    log_info("event loop %s: no io_uring (%s): epoll and helper threads instead", loop->name,
             strerror(-err));
    loop->engine = &evloop_epoll_engine;
    return loop->engine->open(loop);
}

static int loop_open(struct evloop *loop)
{
    int err = open_engine(loop);
    if (err < 0)
        return err;
    loop->wake.cb = wake_nothing;
    loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake.fd < 0)
        return -errno;
    return evloop_event_add(loop, &loop->wake, loop->wake.fd);
}

int evloop_create(struct evloop **out, const char *name, const struct clock *clock)
{
    struct evloop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return fail(-ENOMEM, "event loop %s", name);
    snprintf(loop->name, sizeof(loop->name), "%s", name);
    loop->clock = clock;
    loop->poll_max_ns = EVLOOP_POLL_MAX_NS;
    loop->wake.fd = -1;
    TAILQ_INIT(&loop->timers);
    TAILQ_INIT(&loop->defers);
    TAILQ_INIT(&loop->polls);
    TAILQ_INIT(&loop->lanes);
    evloop_inbox_init(loop);
    int err = loop_open(loop);
    if (err < 0) {
        evloop_destroy(loop);
        return fail(err, "event loop %s", name);
    }
    *out = loop;
    return 0;
}

void evloop_destroy(struct evloop *loop)
{
    if (!loop)
        return;
    evloop_stop_thread(loop);
    if (loop->wake.armed)
        evloop_drain(loop);
    evloop_inbox_end(loop);
    if (loop->engine)
        loop->engine->close(loop);
    if (loop->wake.fd >= 0)
        close(loop->wake.fd);
    free(loop);
}

void evloop_stats(struct evloop *loop, struct evloop_stats *out)
{
    evloop_assert_owner(loop);
    *out = loop->stats;
}

const char *evloop_name(const struct evloop *loop)
{
    return loop->name;
}

const char *evloop_engine(const struct evloop *loop)
{
    return loop->engine->name;
}
