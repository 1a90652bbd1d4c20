// SPDX-License-Identifier: BSD-2-Clause
#include "core/loop/evloop_impl.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/loop/may_block.h"

/* A call that waits for its turn; it lives on the stack of the thread that waits. */
struct call {
    int (*fn)(void *arg);
    void *arg;
    int result;
    bool done;
    TAILQ_ENTRY(call) link;
};

/* ---- ownership ---- */

/* The kernel is asked once: registers are accessed by threads that cross over many times. */
static pid_t this_thread(void)
{
    static _Thread_local pid_t tid;
    if (tid == 0)
        tid = gettid();
    return tid;
}

bool evloop_is_owner(struct evloop *loop)
{
    return atomic_load_explicit(&loop->owner, memory_order_relaxed) == this_thread();
}

pid_t evloop_owner(const struct evloop *loop)
{
    pid_t owner = atomic_load_explicit(&loop->owner, memory_order_relaxed);
    return owner != 0 ? owner : this_thread();
}

void evloop_assert_owner(struct evloop *loop)
{
#ifdef MINIVET_DEBUG
    pid_t owner = atomic_load_explicit(&loop->owner, memory_order_relaxed);
    BUG_ON(owner != 0 && owner != this_thread());
#else
    (void)loop;
#endif
}

void evloop_own_as_thread(struct evloop *loop)
{
    atomic_store_explicit(&loop->owner, this_thread(), memory_order_relaxed);
    may_block_forbid();
}

static void own_locked(struct evloop *loop)
{
    loop->owned = true;
    evloop_own_as_thread(loop);
}

void evloop_own(struct evloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    while (loop->owned)
        pthread_cond_wait(&loop->changed, &loop->lock);
    own_locked(loop);
    pthread_mutex_unlock(&loop->lock);
}

static unsigned inbox_count_locked(const struct evloop *loop)
{
    return loop->post_count + loop->finished_count + loop->call_count;
}

void evloop_disown(struct evloop *loop, bool last)
{
    for (;;) {
        evloop_inbox_run(loop);
        loop->engine->release(loop, last);
        pthread_mutex_lock(&loop->lock);
        if (inbox_count_locked(loop) == 0)
            break;
        pthread_mutex_unlock(&loop->lock);
    }
    loop->owned = false;
    atomic_store_explicit(&loop->owner, 0, memory_order_relaxed);
    pthread_cond_broadcast(&loop->changed);
    pthread_mutex_unlock(&loop->lock);
    may_block_allow();
}

void evloop_own_for_thread(struct evloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    while (loop->owned)
        pthread_cond_wait(&loop->changed, &loop->lock);
    loop->owned = true;
    loop->had_thread = true;
    pthread_mutex_unlock(&loop->lock);
}

/* ---- the inbox ---- */

void evloop_wake(struct evloop *loop)
{
    (void)eventfd_write(loop->wake.fd, 1); /* a full counter wakes as well */
}

/* After appending to a list of the inbox; drops the lock. */
static void appended_unlock(struct evloop *loop, unsigned *count)
{
    bool was_empty = inbox_count_locked(loop) == 0;
    (*count)++;
    if (was_empty)
        evloop_wake(loop);
    pthread_mutex_unlock(&loop->lock);
}

static void run_post(struct evloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct ev_post *p = TAILQ_FIRST(&loop->posts);
    if (p) {
        TAILQ_REMOVE(&loop->posts, p, link);
        loop->post_count--;
        p->queued = false;
    }
    pthread_mutex_unlock(&loop->lock);
    if (p)
        p->cb(p->ctx);
}

static void run_finished(struct evloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct ev_work *w = TAILQ_FIRST(&loop->finished);
    if (w) {
        TAILQ_REMOVE(&loop->finished, w, link);
        loop->finished_count--;
    }
    pthread_mutex_unlock(&loop->lock);
    if (w) {
        loop->works_out--;
        w->done(w->ctx);
    }
}

static struct ev_work *take_finished_locked(struct evloop *loop, void (*run)(void *ctx))
{
    struct ev_work *w = TAILQ_FIRST(&loop->finished);
    while (w && w->run != run)
        w = TAILQ_NEXT(w, link);
    if (w) {
        TAILQ_REMOVE(&loop->finished, w, link);
        loop->finished_count--;
    }
    return w;
}

void evloop_inbox_finish(struct evloop *loop, void (*run)(void *ctx))
{
    struct ev_work *w;
    pthread_mutex_lock(&loop->lock);
    loop->waits = true;
    while ((w = take_finished_locked(loop, run)) == NULL)
        pthread_cond_wait(&loop->changed, &loop->lock);
    loop->waits = false;
    pthread_mutex_unlock(&loop->lock);
    loop->works_out--;
    w->done(w->ctx);
}

static void run_call(struct evloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct call *c = TAILQ_FIRST(&loop->calls);
    if (c) {
        TAILQ_REMOVE(&loop->calls, c, link);
        loop->call_count--;
    }
    pthread_mutex_unlock(&loop->lock);
    if (!c)
        return;
    int result = c->fn(c->arg);
    pthread_mutex_lock(&loop->lock);
    c->result = result;
    c->done = true; /* after the unlock it is gone */
    pthread_cond_broadcast(&loop->changed);
    pthread_mutex_unlock(&loop->lock);
}

/*
 * Runs as many of each as were there at the start: what a callback adds waits for the next round
 * (a nested round may have run some of them: then there are fewer). Posts before calls, so that a
 * thread can post and then call to wait for it.
 */
bool evloop_inbox_run(struct evloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    unsigned posts = loop->post_count, finished = loop->finished_count, calls = loop->call_count;
    loop->inbox_left = false;
    pthread_mutex_unlock(&loop->lock);
    if (posts + finished + calls == 0)
        return false;

    while (posts-- > 0)
        run_post(loop);
    while (finished-- > 0)
        run_finished(loop);
    while (calls-- > 0)
        run_call(loop);
    pthread_mutex_lock(&loop->lock);
    loop->inbox_left = inbox_count_locked(loop) > 0;
    pthread_mutex_unlock(&loop->lock);
    return true;
}

void evloop_inbox_work_finished(void *ctx, struct ev_work *w)
{
    struct evloop *loop = ctx;
    pthread_mutex_lock(&loop->lock);
    TAILQ_INSERT_TAIL(&loop->finished, w, link);
    if (loop->waits)
        pthread_cond_broadcast(&loop->changed);
    appended_unlock(loop, &loop->finished_count);
}

int evloop_call(struct evloop *loop, int (*fn)(void *arg), void *arg)
{
    struct call c = {.fn = fn, .arg = arg};
    if (evloop_is_owner(loop))
        return fn(arg);

    pthread_mutex_lock(&loop->lock);
    if (!loop->owned) {
        own_locked(loop);
        pthread_mutex_unlock(&loop->lock);
        evloop_inbox_run(loop); /* what was posted before goes first */
        int result = fn(arg);
        evloop_disown(loop, false);
        return result;
    }
    TAILQ_INSERT_TAIL(&loop->calls, &c, link);
    appended_unlock(loop, &loop->call_count);

    pthread_mutex_lock(&loop->lock);
    while (!c.done)
        pthread_cond_wait(&loop->changed, &loop->lock);
    pthread_mutex_unlock(&loop->lock);
    return c.result;
}

void evloop_post(struct evloop *loop, struct ev_post *p)
{
    pthread_mutex_lock(&loop->lock);
    if (p->queued) {
        pthread_mutex_unlock(&loop->lock);
        return;
    }
    p->queued = true;
    TAILQ_INSERT_TAIL(&loop->posts, p, link);
    bool mine = !loop->owned && loop->had_thread;
    if (mine)
        own_locked(loop);
    appended_unlock(loop, &loop->post_count);
    if (mine)
        evloop_disown(loop, false);
}

void evloop_work(struct evloop *loop, struct ev_work *w)
{
    evloop_assert_owner(loop);
    loop->works_out++;
    workpool_submit(&loop->pool, w);
}

bool evloop_work_cancel(struct evloop *loop, struct ev_work *w)
{
    evloop_assert_owner(loop);
    bool is_back = workpool_cancel(&loop->pool, w);
    loop->works_out -= is_back;
    return is_back;
}

void evloop_inbox_init(struct evloop *loop)
{
    TAILQ_INIT(&loop->posts);
    TAILQ_INIT(&loop->finished);
    TAILQ_INIT(&loop->calls);
    pthread_mutex_init(&loop->lock, NULL);
    pthread_cond_init(&loop->changed, NULL);
    workpool_init(&loop->pool, loop->name, WORKPOOL_THREADS, evloop_inbox_work_finished, loop);
}

void evloop_inbox_end(struct evloop *loop)
{
    workpool_end(&loop->pool);
    pthread_cond_destroy(&loop->changed);
    pthread_mutex_destroy(&loop->lock);
}
