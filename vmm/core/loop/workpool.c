// SPDX-License-Identifier: BSD-2-Clause
#include "core/loop/workpool.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "core/base/thread_role.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"

/*
 * libslirp has packets of 64 KiB on the stack, more than one at a time, and its functions do not
 * touch each page on their way: the guard is wider than such a function's frame. Memory costs only
 * what is touched.
 */
#define STACK_BYTES MIB
#define GUARD_BYTES (256 * KIB)

int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *arg), void *arg)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setguardsize(&attr, GUARD_BYTES);
    sigfillset(&all);
    sigdelset(&all, SIGSYS); /* of a sandbox: the kernel asks for an answer */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(thread, &attr, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (err == 0)
        pthread_setname_np(*thread, name);
    return -err;
}

void workpool_init(struct workpool *pool, const char *name, unsigned limit,
                   void (*finished)(void *ctx, struct ev_work *w), void *ctx)
{
    pthread_condattr_t monotonic;
    *pool = (struct workpool){
        .name = name, .role = THREAD_WORK, .limit = limit, .finished = finished, .ctx = ctx};
    TAILQ_INIT(&pool->works);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->quiet, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void workpool_end(struct workpool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->quiet);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
}

static struct ev_work *take_locked(struct workpool *pool)
{
    struct ev_work *w = TAILQ_FIRST(&pool->works);
    TAILQ_REMOVE(&pool->works, w, link);
    w->waits = false;
    pool->waiting--;
    return w;
}

/* Drops the lock for the time of the work. */
static void run_unlocked(struct workpool *pool, struct ev_work *w)
{
    pthread_mutex_unlock(&pool->lock);
    w->run(w->ctx);
    pool->finished(pool->ctx, w);
    pthread_mutex_lock(&pool->lock);
    if (--pool->out == 0)
        pthread_cond_broadcast(&pool->quiet);
}

static void *helper_main(void *arg)
{
    struct workpool *pool = arg;
    thread_role_enter(pool->role);
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (TAILQ_EMPTY(&pool->works) && !pool->quit) {
            pool->idle++;
            pthread_cond_wait(&pool->wake, &pool->lock);
            pool->idle--;
        }
        if (TAILQ_EMPTY(&pool->works))
            break;
        struct ev_work *w = take_locked(pool);
        run_unlocked(pool, w);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static int grow_locked(struct workpool *pool)
{
    char name[16];
    snprintf(name, sizeof(name), "%.11s/%u", pool->name, pool->threads);
    int err = thread_start(&pool->thread[pool->threads], name, helper_main, pool);
    if (err == 0)
        pool->threads++;
    return err;
}

int workpool_start(struct workpool *pool)
{
    pthread_mutex_lock(&pool->lock);
    int err = pool->by_hand ? 0 : grow_locked(pool);
    pthread_mutex_unlock(&pool->lock);
    return err;
}

void workpool_submit(struct workpool *pool, struct ev_work *w)
{
    pthread_mutex_lock(&pool->lock);
    TAILQ_INSERT_TAIL(&pool->works, w, link);
    w->waits = true;
    pool->waiting++;
    pool->out++;
    if (pool->waiting > pool->idle && pool->threads < pool->limit && !pool->by_hand)
        (void)grow_locked(pool);
    if (pool->threads > 0)
        pthread_cond_signal(&pool->wake);
    else if (!pool->by_hand) /* slow beats never */
        run_unlocked(pool, take_locked(pool));
    pthread_mutex_unlock(&pool->lock);
}

bool workpool_cancel(struct workpool *pool, struct ev_work *w)
{
    pthread_mutex_lock(&pool->lock);
    bool waits = w->waits;
    if (waits) {
        TAILQ_REMOVE(&pool->works, w, link);
        w->waits = false;
        pool->waiting--;
        if (--pool->out == 0)
            pthread_cond_broadcast(&pool->quiet);
    }
    pthread_mutex_unlock(&pool->lock);
    return waits;
}

bool workpool_run_by_hand(struct workpool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool any = !TAILQ_EMPTY(&pool->works);
    if (any)
        run_unlocked(pool, take_locked(pool));
    pthread_mutex_unlock(&pool->lock);
    return any;
}

bool workpool_wait(struct workpool *pool, int timeout_ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    uint64_t ns = (uint64_t)end.tv_nsec + (uint64_t)timeout_ms * 1000000;
    end.tv_sec += (time_t)(ns / 1000000000);
    end.tv_nsec = (long)(ns % 1000000000);
    int err = 0;
    pthread_mutex_lock(&pool->lock);
    while (pool->out > 0 && err == 0)
        err = timeout_ms < 0 ? pthread_cond_wait(&pool->quiet, &pool->lock)
                             : pthread_cond_timedwait(&pool->quiet, &pool->lock, &end);
    bool quiet = pool->out == 0;
    pthread_mutex_unlock(&pool->lock);
    return quiet;
}
