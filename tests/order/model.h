// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine as weak as C17 allows, for two threads: the device's and the driver's. The rings' code
 * (virtio/ring/vq_*.c) is compiled once more with this header before it, so that its accesses to
 * guest memory come here: a load may return any value that the orders of the accesses let it
 * return, not only the last one. model_explore() goes through all that the two threads may do and
 * see.
 *
 * A cell is two bytes. Each store leaves a message in its cell, with what its thread knew if it
 * releases; a load takes one that is no older than what its thread knows, and learns what is in it
 * if it acquires. A sequentially consistent load takes none that is older than what such accesses
 * to its cell left or took before.
 */
#ifndef MINIVET_TESTS_ORDER_MODEL_H
#define MINIVET_TESTS_ORDER_MODEL_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* bytes: 2 or 4, aligned; order: __ATOMIC_RELAXED ... Outside of model_explore() plain accesses. */
uint32_t model_load(const void *at, unsigned bytes, int order);
void model_store(void *at, unsigned bytes, uint32_t value, int order);
/* From guest memory by relaxed loads; from elsewhere as memcpy(). */
void *model_copy(void *dst, const void *src, size_t len);

struct model_case {
    uint8_t *memory; /* of the guest: what is modelled */
    size_t bytes;
    void (*prepare)(void *ctx); /* before the two, each time */
    void (*device)(void *ctx);
    void (*driver)(void *ctx);
    const char *(*judge)(void *ctx); /* after both: what is wrong, or NULL */
    void *ctx;
};

/* All executions, until one is wrong: what judge() said of that, or NULL. count: how many. */
const char *model_explore(const struct model_case *c, unsigned *count);

#ifdef MODEL_RINGS
#undef memcpy
#define memcpy(dst, src, len)              model_copy(dst, src, len)
#define __atomic_load_n(at, order)         model_load(at, sizeof(*(at)), order)
#define __atomic_store_n(at, value, order) model_store(at, sizeof(*(at)), value, order)
#endif

#endif
