// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk in memory: zeros at first, gone at the end. Pages are spent when they are first touched.
 */
#ifndef MINIVET_TESTS_BLK_MEM_H
#define MINIVET_TESTS_BLK_MEM_H

#include <stdbool.h>
#include <stdint.h>

struct blk_backend;
struct evloop;

struct blk_mem_config {
    struct evloop *loop;
    uint64_t bytes; /* a multiple of BLK_SECTOR_BYTES, not 0 */
    bool read_only;
};

/* Errors are reported. Destroyed through its ops; what is out then is completed first. */
int blk_mem_create(struct blk_backend **out, const struct blk_mem_config *config);

/* The disk's bytes, for a test to prepare and to look at. */
uint8_t *blk_mem_bytes(struct blk_backend *b);

#endif
