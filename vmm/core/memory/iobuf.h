// SPDX-License-Identifier: BSD-2-Clause
/*
 * A cursor over bytes that are scattered in guest memory: the only way in which a device touches
 * a request's data. Devices see a stream and cannot tell how the driver cut it into buffers
 * (VIRTIO 1.4 2.7.4.1).
 *
 * The vectors are borrowed and must outlive the cursor. One thread at a time.
 */
#ifndef MINIVET_CORE_IOBUF_H
#define MINIVET_CORE_IOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct iobuf {
    const struct iovec *iov; /* the vector that the cursor is in */
    size_t offset;           /* bytes of it that are behind the cursor */
    uint64_t left;           /* bytes ahead of the cursor */
    uint64_t done;           /* bytes behind it */
};

/* A cursor at the start of count vectors; their lengths' sum must fit in 64 bits. */
static inline struct iobuf iobuf_init(const struct iovec *iov, unsigned count)
{
    struct iobuf b = {.iov = iov};
    for (unsigned i = 0; i < count; i++)
        b.left += iov[i].iov_len;
    return b;
}

/* Move the cursor; they copy what is there, up to len bytes, and return how much that was. */
size_t iobuf_get(struct iobuf *b, void *dst, size_t len);
size_t iobuf_put(struct iobuf *b, const void *src, size_t len);
size_t iobuf_put_zero(struct iobuf *b, size_t len);

/* Moves the cursor over bytes that were moved by other means (preadv into iobuf_iov()'s vectors).
 */
uint64_t iobuf_skip(struct iobuf *b, uint64_t len);

/* Cuts the last len bytes off b and gives them as a cursor of their own; false if b is shorter. */
bool iobuf_split_tail(struct iobuf *b, uint64_t len, struct iobuf *tail);

/*
 * Describes the next `bytes` bytes without moving the cursor. Returns the number of vectors
 * written to out, or -E2BIG if max is too small, -ENODATA if fewer bytes are left.
 */
int iobuf_iov(const struct iobuf *b, uint64_t bytes, struct iovec *out, unsigned max);

/* The same for a transfer in pieces: as many of the bytes as `max` vectors hold; returns how many.
 */
uint64_t iobuf_fill(const struct iobuf *b, uint64_t bytes, struct iovec *out, unsigned max,
                    unsigned *count);

/* Does each vector ahead start at a multiple of `start` and have a multiple of `len` bytes? */
bool iobuf_is_aligned(const struct iobuf *b, uint32_t start, uint32_t len);

#endif
