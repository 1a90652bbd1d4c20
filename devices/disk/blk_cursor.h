// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where a transfer is in a request's vectors, for backends that move a request in pieces.
 */
#ifndef MINIVET_DEVICES_BACKEND_BLK_CURSOR_H
#define MINIVET_DEVICES_BACKEND_BLK_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct blk_cursor {
    const struct iovec *iov;
    unsigned count;
    size_t offset; /* in the first */
};

/* At the first byte; empty vectors are skipped here and in blk_cursor_advance(). */
struct blk_cursor blk_cursor_init(const struct iovec *iov, unsigned count);
void blk_cursor_advance(struct blk_cursor *c, uint64_t bytes);

/* Describes up to `bytes` of what is ahead in up to `max` vectors; returns how many bytes. */
uint64_t blk_cursor_fill(const struct blk_cursor *c, uint64_t bytes, struct iovec *out,
                         unsigned max, unsigned *out_count);

/* Does each vector ahead start at a multiple of `start` and have a multiple of `len` bytes? */
bool blk_cursor_is_aligned(const struct blk_cursor *c, uint32_t start, uint32_t len);

#endif
