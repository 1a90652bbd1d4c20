// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/blk_mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/iobuf.h"
#include "core/ports/block.h"
#include "devices/disk/filter/blk_list.h"

#define PAGE_BYTES 4096u

struct blk_mem {
    struct blk_backend b;
    struct blk_ended ended; /* their bytes have moved */
    uint8_t *bytes;
};

static struct blk_mem *mem_of(struct blk_backend *b)
{
    return container_of(b, struct blk_mem, b);
}

/* Zeroes; whole pages go back to the host. */
static void give_up(struct blk_mem *m, uint64_t offset, uint64_t bytes)
{
    uint64_t first = align_up(offset, PAGE_BYTES), end = align_down(offset + bytes, PAGE_BYTES);
    if (first < end && madvise(m->bytes + first, end - first, MADV_DONTNEED) == 0) {
        memset(m->bytes + offset, 0, first - offset);
        memset(m->bytes + end, 0, offset + bytes - end);
    } else {
        memset(m->bytes + offset, 0, bytes);
    }
}

static int transfer(struct blk_mem *m, const struct blk_req *req)
{
    struct iobuf buf = iobuf_init(req->iov, req->iov_count);
    int err = blk_check(&m->b.info, req);
    if (err < 0)
        return err;
    uint8_t *at = m->bytes + req->offset_bytes;
    switch (req->op) {
    case BLK_READ:
        return iobuf_put(&buf, at, req->bytes) == req->bytes ? 0 : -EIO;
    case BLK_WRITE:
        return iobuf_get(&buf, at, req->bytes) == req->bytes ? 0 : -EIO;
    case BLK_DISCARD:
    case BLK_ZERO:
        give_up(m, req->offset_bytes, req->bytes);
        return 0;
    case BLK_FLUSH:
        return 0;
    }
    return -EOPNOTSUPP;
}

static void blk_mem_submit(struct blk_backend *b, struct blk_req *req)
{
    struct blk_mem *m = mem_of(b);
    blk_ended_add(&m->ended, req, transfer(m, req));
}

static void blk_mem_drain(struct blk_backend *b)
{
    blk_ended_flush(&mem_of(b)->ended);
}

static void blk_mem_destroy(struct blk_backend *b)
{
    struct blk_mem *m = mem_of(b);
    blk_mem_drain(b);
    blk_ended_fini(&m->ended);
    munmap(m->bytes, m->b.info.capacity_bytes);
    free(m);
}

static const struct blk_backend_ops blk_mem_ops = {
    .submit = blk_mem_submit,
    .drain = blk_mem_drain,
    .destroy = blk_mem_destroy,
};

int blk_mem_create(struct blk_backend **out, const struct blk_mem_config *config)
{
    if (config->bytes == 0 || config->bytes % BLK_SECTOR_BYTES != 0)
        return fail_msg(-EINVAL, "memory disk: %llu bytes are not whole sectors",
                        (unsigned long long)config->bytes);
    struct blk_mem *m = calloc(1, sizeof(*m));
    if (!m)
        return fail(-ENOMEM, "memory disk");
    m->bytes = mmap(NULL, config->bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m->bytes == MAP_FAILED) {
        int err = -errno;
        free(m);
        return fail(err, "memory disk: %llu bytes", (unsigned long long)config->bytes);
    }
    m->b.ops = &blk_mem_ops;
    m->b.info = (struct blk_info){
        .capacity_bytes = config->bytes,
        .read_only = config->read_only,
        .can_discard = !config->read_only,
        .can_zero = !config->read_only,
        .discard_bytes = PAGE_BYTES,
    };
    blk_ended_init(&m->ended, config->loop);
    *out = &m->b;
    return 0;
}

uint8_t *blk_mem_bytes(struct blk_backend *b)
{
    return mem_of(b)->bytes;
}
