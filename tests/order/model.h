// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine as weak as C17 allows, for a few threads. Code is compiled once more for it, so that
 * its accesses come here: the rings' by the macros below, other code's by instrumented.h. A load
 * may return any value that the orders of the accesses let it return, not only the last one.
 * model_explore() goes through all that the threads may do and see.
 *
 * A cell is an atomic object, in guest memory two bytes. Each store leaves a message in its cell,
 * at any place behind those that its thread knows of, with what its thread knew if it releases; a
 * load takes one that is no older than what its thread knows, and learns what is in it if it
 * acquires. A sequentially consistent access takes none that is older than what such accesses to
 * its cell left or took before; a sequentially consistent fence does that for all cells at once.
 *
 * Two accesses of different threads to one byte, one a write and one not atomic, are an error
 * unless one is known to the thread of the other: a data race. That also stands for the one thing
 * which C17 allows and this machine never does, a store that is seen before an earlier load of its
 * thread is done.
 */
#ifndef MINIVET_TESTS_ORDER_MODEL_H
#define MINIVET_TESTS_ORDER_MODEL_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_THREADS 4u

/* order: __ATOMIC_RELAXED ... Outside of model_explore() these are plain accesses. */
uint64_t model_load(const void *at, unsigned bytes, int order);
void model_store(void *at, unsigned bytes, uint64_t value, int order);
/* Returns what was there. */
uint64_t model_change(void *at, unsigned bytes, uint64_t (*change)(uint64_t was, uint64_t by),
                      uint64_t by, int order);
/* Was it *expected, and is it `value` now? Else *expected is what is there. */
bool model_compare_exchange(void *at, unsigned bytes, uint64_t *expected, uint64_t value, int order,
                            int failed_order);
void model_fence(int order);

/* Not atomic. */
void model_touch(const void *at, size_t bytes, bool write);

/* Guest memory: in cells of two bytes; bytes: 2 or 4, aligned. What the guest or the device may be
 * at work on alone is plain. */
uint32_t model_guest_load(const void *at, unsigned bytes, int order);
void model_guest_store(void *at, unsigned bytes, uint32_t value, int order);
uint32_t model_guest_read(const void *at, unsigned bytes);
void model_guest_write(void *at, unsigned bytes, uint32_t value);
/* From guest memory as plain reads; from elsewhere as memcpy(). */
void *model_copy(void *dst, const void *src, size_t len);

/* What a thread can wait for: go on when may_go() says so. */
void model_wait(bool (*may_go)(void *ctx), void *ctx);
/* A loop that waits for another thread: executions in which it turns often are left out. */
void model_spin(void);
/* Has that thread ended? Then what it knew is known here. */
bool model_ended(unsigned thread);
unsigned model_thread(void);
/* One of so many: each is tried. */
unsigned model_choose(unsigned count);
/* This execution is wrong, and why. */
void model_fail(const char *why);

/* Locks: what holds one knows what those before it knew. */
void model_lock(void *lock);
bool model_try_lock(void *lock);
void model_unlock(void *lock);

/*
 * Where in the source the thread's next access is, for what needs its order: the macros say it.
 * model_weaken() makes all accesses there weaker, from then on: to release and acquire, or to
 * relaxed; NULL: none.
 */
struct model_site {
    const char *file, *function;
    unsigned line;
    int order; /* the strongest that was asked for */
};
void model_at(const char *file, const char *function, unsigned line);
const struct model_site *model_site(unsigned i); /* NULL: there are no more */
void model_weaken(const struct model_site *site, int order);

struct model_case {
    uint8_t *guest; /* memory in which the macros below find their cells, if any */
    size_t guest_bytes;
    unsigned interrupts; /* how often a thread that can go on has to wait; 0: any number */
    unsigned fences_of;  /* with this bit set the thread of that number orders by fences instead */
    void (*prepare)(void *ctx); /* before the threads, each time, at the same addresses */
    void (*threads[MODEL_THREADS])(void *ctx);
    const char *(*judge)(void *ctx); /* after all: what is wrong, or NULL */
    void *ctx;
};

/* All executions, until one is wrong: what judge() said of that, or NULL. count: how many. */
const char *model_explore(const struct model_case *c, unsigned *count);

#ifdef MODEL_RINGS
#undef memcpy
#define memcpy(dst, src, len)              model_copy(dst, src, len)
#define __atomic_load_n(at, order)         model_guest_load(at, sizeof(*(at)), order)
#define __atomic_store_n(at, value, order) model_guest_store(at, sizeof(*(at)), value, order)

#include "virtio/ring/vq_ops.h"
#define MODEL_AT                        model_at(__FILE__, __func__, __LINE__)
#define ring_load16_acquire(at)         (MODEL_AT, ring_load16_acquire(at))
#define ring_load16_seq_cst(at)         (MODEL_AT, ring_load16_seq_cst(at))
#define ring_load32_seq_cst(at)         (MODEL_AT, ring_load32_seq_cst(at))
#define ring_store16_seq_cst(at, value) (MODEL_AT, ring_store16_seq_cst(at, value))
#define ring_store32_seq_cst(at, value) (MODEL_AT, ring_store32_seq_cst(at, value))
#endif

#endif
