// SPDX-License-Identifier: BSD-2-Clause
#include "tests/order/threads.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "core/base/xmath.h"

bool cases_hold(const struct model_case *cases, bool says)
{
    for (unsigned i = 0; cases[i].prepare != NULL; i++) {
        unsigned count;
        const char *wrong = model_explore(&cases[i], &count);
        cr_expect(wrong == NULL || !says, "case %u, execution %u: %s", i, count, wrong);
        if (wrong != NULL)
            return false;
    }
    return true;
}

static uint8_t on_loop;
static unsigned calls_within, calls_by; /* the same thread may call again */

/* ---- memory ---- */

static _Alignas(16) uint8_t arena[1 << 20];
static size_t arena_used;

void *order_calloc(size_t count, size_t bytes);

void *order_calloc(size_t count, size_t bytes)
{
    void *at = arena + arena_used;
    arena_used += align_up(count * bytes, 16);
    cr_assert_leq(arena_used, sizeof(arena));
    return memset(at, 0, count * bytes);
}

void forget_memory(void)
{
    arena_used = 0;
    calls_within = 0;
}

/* ---- events ---- */

void event_set(struct event *e)
{
    model_lock(&e->lock);
    e->set = true;
    model_unlock(&e->lock);
}

bool event_take(struct event *e)
{
    model_lock(&e->lock);
    bool was = e->set;
    e->set = false;
    model_unlock(&e->lock);
    return was;
}

static bool is_set(void *ctx)
{
    return ((struct event *)ctx)->set;
}

void event_wait(struct event *e)
{
    while (!event_take(e))
        model_wait(is_set, e);
}

/* ---- threads ---- */

struct event thread_started;
static void *(*thread_fn)(void *arg);
static void *thread_arg;

int order_thread_start(pthread_t *thread, const char *name, void *(*fn)(void *arg), void *arg);
int order_join(pthread_t thread, void **result);

int order_thread_start(pthread_t *thread, const char *name, void *(*fn)(void *arg), void *arg)
{
    (void)name;
    *thread = 1;
    thread_fn = fn;
    thread_arg = arg;
    event_set(&thread_started);
    return 0;
}

void run_started_thread(void *ctx)
{
    (void)ctx;
    event_wait(&thread_started);
    thread_fn(thread_arg);
}

static bool has_ended(void *ctx)
{
    return model_ended((unsigned)*(pthread_t *)ctx);
}

int order_join(pthread_t thread, void **result)
{
    (void)result;
    model_wait(has_ended, &thread);
    return 0;
}

/* ---- the loop: thread 0, but calls are made by their callers, one at a time ---- */

struct evloop;
int order_evloop_call(struct evloop *loop, int (*fn)(void *arg), void *arg);

void loop_lock(void)
{
    if (calls_within == 0 || model_thread() != calls_by)
        model_lock(&on_loop);
    calls_by = model_thread();
    calls_within++;
}

void loop_unlock(void)
{
    if (--calls_within == 0)
        model_unlock(&on_loop);
}

int order_evloop_call(struct evloop *loop, int (*fn)(void *arg), void *arg)
{
    (void)loop;
    loop_lock();
    int result = fn(arg);
    loop_unlock();
    return result;
}
