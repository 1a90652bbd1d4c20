// SPDX-License-Identifier: BSD-2-Clause
#include "core/memory/iobuf.h"

#include <errno.h>
#include <string.h>

#include "core/base/xmath.h"

/*
 * The contiguous bytes at the cursor, at most len: 0 only if nothing is left or len is 0. `left`
 * may end inside a vector (after a split), so it bounds every step.
 */
static size_t contiguous(struct iobuf *b, uint64_t len, uint8_t **at)
{
    len = min_u64(len, b->left);
    if (len == 0)
        return 0;
    while (b->offset == b->iov->iov_len) {
        b->iov++;
        b->offset = 0;
    }
    *at = (uint8_t *)b->iov->iov_base + b->offset;
    return (size_t)min_u64(len, b->iov->iov_len - b->offset);
}

static void advance(struct iobuf *b, size_t n)
{
    b->offset += n;
    b->left -= n;
    b->done += n;
}

size_t iobuf_get(struct iobuf *b, void *dst, size_t len)
{
    uint8_t *at;
    size_t n, got = 0;
    while ((n = contiguous(b, len - got, &at)) > 0) {
        memcpy((uint8_t *)dst + got, at, n);
        advance(b, n);
        got += n;
    }
    return got;
}

size_t iobuf_put(struct iobuf *b, const void *src, size_t len)
{
    uint8_t *at;
    size_t n, put = 0;
    while ((n = contiguous(b, len - put, &at)) > 0) {
        memcpy(at, (const uint8_t *)src + put, n);
        advance(b, n);
        put += n;
    }
    return put;
}

size_t iobuf_put_zero(struct iobuf *b, size_t len)
{
    uint8_t *at;
    size_t n, put = 0;
    while ((n = contiguous(b, len - put, &at)) > 0) {
        memset(at, 0, n);
        advance(b, n);
        put += n;
    }
    return put;
}

uint64_t iobuf_skip(struct iobuf *b, uint64_t len)
{
    uint8_t *at;
    size_t n;
    uint64_t skipped = 0;
    while ((n = contiguous(b, len - skipped, &at)) > 0) {
        advance(b, n);
        skipped += n;
    }
    return skipped;
}

bool iobuf_split_tail(struct iobuf *b, uint64_t len, struct iobuf *tail)
{
    if (len > b->left)
        return false;
    *tail = *b;
    iobuf_skip(tail, b->left - len);
    tail->done = 0;
    b->left -= len;
    return true;
}

int iobuf_iov(const struct iobuf *b, uint64_t bytes, struct iovec *out, unsigned max)
{
    unsigned count;
    if (bytes > b->left)
        return -ENODATA;
    return iobuf_fill(b, bytes, out, max, &count) == bytes ? (int)count : -E2BIG;
}

uint64_t iobuf_fill(const struct iobuf *b, uint64_t bytes, struct iovec *out, unsigned max,
                    unsigned *count)
{
    struct iobuf walk = *b;
    uint8_t *at;
    size_t n;
    for (*count = 0; *count < max && (n = contiguous(&walk, bytes, &at)) > 0; bytes -= n) {
        out[(*count)++] = (struct iovec){.iov_base = at, .iov_len = n};
        advance(&walk, n);
    }
    return walk.done - b->done;
}

bool iobuf_is_aligned(const struct iobuf *b, uint32_t start, uint32_t len)
{
    struct iobuf walk = *b;
    uint64_t starts = 0, lens = 0;
    uint8_t *at;
    for (size_t n; (n = contiguous(&walk, walk.left, &at)) > 0; advance(&walk, n)) {
        starts |= (uintptr_t)at;
        lens |= n;
    }
    return is_aligned(starts, start) && is_aligned(lens, len);
}
