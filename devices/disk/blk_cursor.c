// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/blk_cursor.h"

#include "core/base/xmath.h"

struct blk_cursor blk_cursor_init(const struct iovec *iov, unsigned count)
{
    struct blk_cursor c = {.iov = iov, .count = count};
    blk_cursor_advance(&c, 0);
    return c;
}

void blk_cursor_advance(struct blk_cursor *c, uint64_t bytes)
{
    c->offset += bytes;
    while (c->count > 0 && c->offset >= c->iov->iov_len) {
        c->offset -= c->iov->iov_len;
        c->iov++;
        c->count--;
    }
}

uint64_t blk_cursor_fill(const struct blk_cursor *c, uint64_t bytes, struct iovec *out,
                         unsigned max, unsigned *out_count)
{
    size_t offset = c->offset;
    uint64_t filled = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < c->count && n < max && filled < bytes; i++, offset = 0) {
        size_t len = min_u64(c->iov[i].iov_len - offset, bytes - filled);
        if (len == 0)
            continue;
        out[n++] = (struct iovec){.iov_base = (char *)c->iov[i].iov_base + offset, .iov_len = len};
        filled += len;
    }
    *out_count = n;
    return filled;
}

bool blk_cursor_is_aligned(const struct blk_cursor *c, uint32_t start, uint32_t len)
{
    size_t offset = c->offset;
    uint64_t starts = 0, lens = 0;
    for (unsigned i = 0; i < c->count; i++, offset = 0) {
        starts |= (uintptr_t)c->iov[i].iov_base + offset;
        lens |= c->iov[i].iov_len - offset;
    }
    return is_aligned(starts, start) && is_aligned(lens, len);
}
