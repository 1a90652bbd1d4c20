// SPDX-License-Identifier: BSD-2-Clause
#include "devices/backend/blk_mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/block.h"
#include "core/fail.h"
#include "core/iobuf.h"
#include "core/xmath.h"

struct blk_mem {
    struct blk_backend b;
    struct evloop *loop;
    struct ev_defer complete_later;
    uint8_t *bytes;
    struct blk_req *done, **done_tail; /* the bytes have moved; done() is still to be called */
};

static struct blk_mem *mem_of(struct blk_backend *b)
{
    return container_of(b, struct blk_mem, b);
}

static int transfer(struct blk_mem *m, const struct blk_req *req)
{
    struct iobuf buf = iobuf_init(req->iov, req->iov_count);
    uint8_t *at = m->bytes + req->offset_bytes;
    if (req->op == BLK_FLUSH)
        return 0;
    if (!range_within(req->offset_bytes, req->bytes, 0, m->b.info.capacity_bytes))
        return -EIO;
    if (req->op == BLK_WRITE && m->b.info.read_only)
        return -EROFS;
    size_t moved =
        req->op == BLK_READ ? iobuf_put(&buf, at, req->bytes) : iobuf_get(&buf, at, req->bytes);
    return moved == req->bytes ? 0 : -EIO;
}

static void complete(void *ctx)
{
    struct blk_mem *m = ctx;
    struct blk_req *req = m->done;
    m->done = NULL;
    m->done_tail = &m->done;
    while (req) {
        struct blk_req *next = req->next; /* done() may submit req again */
        req->done(req, req->result);
        req = next;
    }
}

static void blk_mem_submit(struct blk_backend *b, struct blk_req *req)
{
    struct blk_mem *m = mem_of(b);
    req->result = transfer(m, req);
    req->next = NULL;
    *m->done_tail = req;
    m->done_tail = &req->next;
    evloop_defer(m->loop, &m->complete_later);
}

static void blk_mem_drain(struct blk_backend *b)
{
    struct blk_mem *m = mem_of(b);
    while (m->done)
        complete(m);
}

static void blk_mem_destroy(struct blk_backend *b)
{
    struct blk_mem *m = mem_of(b);
    blk_mem_drain(b);
    evloop_defer_cancel(m->loop, &m->complete_later);
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
    };
    m->loop = config->loop;
    m->complete_later = (struct ev_defer){.cb = complete, .ctx = m};
    m->done_tail = &m->done;
    *out = &m->b;
    return 0;
}

uint8_t *blk_mem_bytes(struct blk_backend *b)
{
    return mem_of(b)->bytes;
}
