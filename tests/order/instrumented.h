// SPDX-License-Identifier: BSD-2-Clause
/*
 * Before a source file that is compiled for the model: its atomics, locks and threads are the
 * model's. What is not atomic comes to instrumented.c, since the file is compiled as for
 * ThreadSanitizer.
 */
#ifndef MINIVET_TESTS_ORDER_INSTRUMENTED_H
#define MINIVET_TESTS_ORDER_INSTRUMENTED_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/loop/evloop.h"
#include "tests/order/model.h"

/* ---- atomics ---- */

static inline uint64_t model_put(uint64_t was, uint64_t by)
{
    (void)was;
    return by;
}

static inline uint64_t model_or(uint64_t was, uint64_t by)
{
    return was | by;
}

static inline uint64_t model_and(uint64_t was, uint64_t by)
{
    return was & by;
}

static inline uint64_t model_add(uint64_t was, uint64_t by)
{
    return was + by;
}

#define MODEL_AT         model_at(__FILE__, __func__, __LINE__)
#define MODEL_VALUE(at)  __typeof__((void)0, *(at))
#define MODEL_OBJECT(at) ((void *)(uintptr_t)(at)), sizeof(*(at))
#define MODEL_CHANGE(at, change, by, order)                            \
    (MODEL_AT, (MODEL_VALUE(at))model_change(MODEL_OBJECT(at), change, \
                                             (uint64_t)(MODEL_VALUE(at))(by), order))

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_fetch_or
#undef atomic_fetch_and
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_fetch_add_explicit
#undef atomic_compare_exchange_strong
#undef atomic_thread_fence
#define atomic_load_explicit(at, order) \
    (MODEL_AT, (MODEL_VALUE(at))model_load(MODEL_OBJECT(at), order))
#define atomic_store_explicit(at, value, order) \
    (MODEL_AT, model_store(MODEL_OBJECT(at), (uint64_t)(MODEL_VALUE(at))(value), order))
#define atomic_load(at)                          atomic_load_explicit(at, __ATOMIC_SEQ_CST)
#define atomic_store(at, value)                  atomic_store_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_exchange(at, value)               MODEL_CHANGE(at, model_put, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_or(at, by)                  MODEL_CHANGE(at, model_or, by, __ATOMIC_SEQ_CST)
#define atomic_fetch_and(at, by)                 MODEL_CHANGE(at, model_and, by, __ATOMIC_SEQ_CST)
#define atomic_fetch_add(at, by)                 MODEL_CHANGE(at, model_add, by, __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(at, by)                 MODEL_CHANGE(at, model_add, -(by), __ATOMIC_SEQ_CST)
#define atomic_fetch_add_explicit(at, by, order) MODEL_CHANGE(at, model_add, by, order)
#define atomic_compare_exchange_strong(at, expected, value)                                  \
    __extension__({                                                                          \
        uint64_t model_expected = *(expected);                                               \
        MODEL_AT;                                                                            \
        bool model_same = model_compare_exchange(MODEL_OBJECT(at), &model_expected, (value), \
                                                 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);        \
        *(expected) = (MODEL_VALUE(at))model_expected;                                       \
        model_same;                                                                          \
    })
#define atomic_thread_fence(order)         (MODEL_AT, model_fence(order))
#define __atomic_load_n(at, order)         atomic_load_explicit(at, order)
#define __atomic_store_n(at, value, order) atomic_store_explicit(at, value, order)

/* ---- locks, threads ---- */

#define pthread_mutex_lock(lock)    (model_lock(lock), 0)
#define pthread_mutex_trylock(lock) (model_try_lock(lock) ? 0 : EBUSY)
#define pthread_mutex_unlock(lock)  (model_unlock(lock), 0)
#define sched_yield()               (model_spin(), 0)

/* ---- what the files of a case have of the host and of other files: that case's own ---- */

void *order_calloc(size_t count, size_t bytes);
int order_ioctl(int fd, unsigned long request, ...);
long order_syscall(long number, ...);
int order_join(pthread_t thread, void **result);
int order_evloop_call(struct evloop *loop, int (*fn)(void *arg), void *arg);
void order_evloop_post(struct evloop *loop, struct ev_post *post);

#define eventfd(value, flags)          1000 /* that nobody reads */
#define close(fd)                      0
#define calloc(count, bytes)           order_calloc(count, bytes)
#define malloc(bytes)                  order_calloc(1, bytes)
#define free(at)                       (void)(at)
#define thread_start                   order_thread_start
#define pthread_join                   order_join
#define pthread_detach(t)              0
#define pthread_sigmask(how, set, old) 0
#define ioctl                          order_ioctl
#define syscall                        order_syscall
#define evloop_call                    order_evloop_call
#define evloop_post                    order_evloop_post
#define evloop_defer(loop, d)          (void)(d)
#define evloop_defer_cancel(loop, d)   (void)(d)
#define evloop_fd_del(loop, ev)        (void)(ev)
#define evloop_event_add(loop, ev, fd) 0
#define evloop_poll_add(loop, poll)    false
#define evloop_poll_del(loop, poll)    (void)(poll)
#define evloop_turn_is_over(loop)      false
#define pixels_copy                    order_pixels_copy

#endif
