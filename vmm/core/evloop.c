// SPDX-License-Identifier: BSD-2-Clause
#include "core/evloop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/evloop_impl.h"
#include "core/fail.h"
#include "core/workpool.h"
#include "core/xmath.h"

#define WAIT_NONE    INT64_C(0)
#define WAIT_FOREVER INT64_C(-1)

/* ---- file descriptors ---- */

static int source_ctl(struct evloop *loop, struct ev_fd *ev, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = ev};
    evloop_assert_owner(loop);
    return epoll_ctl(loop->epoll_fd, op, ev->fd, &e) < 0 ? -errno : 0;
}

static int source_add(struct evloop *loop, struct ev_fd *ev, int fd, uint32_t events, bool is_event)
{
    ev->fd = fd;
    ev->is_event = is_event;
    int err = source_ctl(loop, ev, EPOLL_CTL_ADD, events);
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
    return source_ctl(loop, ev, EPOLL_CTL_MOD, events);
}

void evloop_fd_del(struct evloop *loop, struct ev_fd *ev)
{
    if (!ev->armed)
        return;
    source_ctl(loop, ev, EPOLL_CTL_DEL, 0);
    ev->armed = false;
    /* What epoll has already said about it must not reach it any more. */
    for (int i = loop->batch_next; i < loop->batch_count; i++)
        if (loop->batch[i].data.ptr == ev)
            loop->batch[i].data.ptr = NULL;
}

static int epoll_wait_ns(struct evloop *loop, int64_t wait_ns)
{
    struct timespec ts = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    int n = epoll_pwait2(loop->epoll_fd, loop->batch, EVLOOP_BATCH, wait_ns < 0 ? NULL : &ts, NULL);
    if (n < 0 && errno == ENOSYS) { /* Linux before 5.11 */
        int64_t ms = wait_ns < 0 ? -1 : (wait_ns + 999999) / 1000000;
        n = epoll_wait(loop->epoll_fd, loop->batch, EVLOOP_BATCH,
                       ms > INT32_MAX ? INT32_MAX : (int)ms);
    }
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    return n;
}

/*
 * One round of epoll. A callback may come here again through evloop_drain(): that replaces the
 * batch, and what it had left is reported anew, since every source is level-triggered.
 */
static int sources_run(struct evloop *loop, int64_t wait_ns)
{
    int n = epoll_wait_ns(loop, wait_ns);
    loop->batch_next = 0;
    loop->batch_count = n < 0 ? 0 : n;
    while (loop->batch_next < loop->batch_count) {
        struct epoll_event *e = &loop->batch[loop->batch_next++];
        struct ev_fd *ev = e->data.ptr;
        uint64_t dropped;
        if (!ev || (ev->is_event && read(ev->fd, &dropped, sizeof(dropped)) < 0))
            continue;
        ev->cb(ev->ctx, e->events);
    }
    return n;
}

/* ---- timers ---- */

void evloop_timer_set(struct evloop *loop, struct ev_timer *t, uint64_t when_ns)
{
    evloop_timer_cancel(loop, t);
    struct ev_timer **at = &loop->timers;
    while (*at && (*at)->when_ns <= when_ns)
        at = &(*at)->next;
    t->when_ns = when_ns;
    t->next = *at;
    t->armed = true;
    *at = t;
}

void evloop_timer_cancel(struct evloop *loop, struct ev_timer *t)
{
    evloop_assert_owner(loop);
    if (!t->armed)
        return;
    struct ev_timer **at = &loop->timers;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->armed = false;
}

static int64_t timer_wait_ns(struct evloop *loop)
{
    if (!loop->timers)
        return WAIT_FOREVER;
    uint64_t now = clock_now_ns(loop->clock);
    uint64_t when = loop->timers->when_ns;
    return when <= now ? WAIT_NONE : (int64_t)min_u64(when - now, INT64_MAX);
}

static bool timers_run(struct evloop *loop)
{
    if (!loop->timers)
        return false;
    uint64_t now = clock_now_ns(loop->clock);
    unsigned due = 0;
    for (struct ev_timer *t = loop->timers; t && t->when_ns <= now; t = t->next)
        due++;
    bool any = due > 0;
    /* Counted first: a timer that sets itself into the past waits for the next round. */
    for (; due > 0 && loop->timers && loop->timers->when_ns <= now; due--) {
        struct ev_timer *t = loop->timers;
        loop->timers = t->next;
        t->armed = false;
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
    d->next = NULL;
    *loop->defers_tail = d;
    loop->defers_tail = &d->next;
    loop->defer_count++;
}

void evloop_defer_cancel(struct evloop *loop, struct ev_defer *d)
{
    evloop_assert_owner(loop);
    if (!d->queued)
        return;
    struct ev_defer **at = &loop->defers;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    if (!d->next)
        loop->defers_tail = at;
    d->queued = false;
    loop->defer_count--;
}

static bool defers_run(struct evloop *loop)
{
    unsigned budget = loop->defer_count;
    bool any = budget > 0;
    for (; budget > 0 && loop->defers; budget--) {
        struct ev_defer *d = loop->defers;
        evloop_defer_cancel(loop, d);
        d->cb(d->ctx);
    }
    return any;
}

/* ---- running ---- */

/* One round. Returns whether anything happened, or a negative errno. */
static int step(struct evloop *loop, int64_t wait_ns)
{
    if (loop->defers || loop->inbox_left)
        wait_ns = WAIT_NONE;
    int n = sources_run(loop, wait_ns);
    if (n < 0)
        return fail(n, "event loop %s: epoll_wait", loop->name);
    bool timers = timers_run(loop);
    bool inbox = evloop_inbox_run(loop);
    bool defers = defers_run(loop);
    return n > 0 || timers || inbox || defers;
}

static int run_owned(struct evloop *loop)
{
    int err = 0;
    while (err >= 0 && !atomic_load_explicit(&loop->stop, memory_order_acquire))
        err = step(loop, timer_wait_ns(loop));
    evloop_disown(loop);
    return err < 0 ? err : 0;
}

int evloop_run(struct evloop *loop)
{
    BUG_ON(evloop_is_owner(loop));
    evloop_own(loop);
    int err = run_owned(loop);
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
    run_owned(loop);
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
        evloop_disown(loop);
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
    while ((progress = step(loop, WAIT_NONE)) > 0 || (progress == 0 && loop->works_out > 0))
        if (progress == 0)
            step(loop, WAIT_FOREVER);
    if (!nested)
        evloop_disown(loop);
}

/* ---- life ---- */

static void wake_nothing(void *ctx, uint32_t events)
{
    (void)ctx;
    (void)events;
}

static int loop_open(struct evloop *loop)
{
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return -errno;
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
    loop->epoll_fd = loop->wake.fd = -1;
    loop->defers_tail = &loop->defers;
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
    if (loop->wake.fd >= 0)
        close(loop->wake.fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    free(loop);
}
