// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/blkio.h"

#include "core/base/fail.h"
#include "core/base/xmath.h"

#define NOT_DONE 1 /* no result is positive */

static void on_done(struct blk_req *req, int result)
{
    struct blkio *io = container_of(req, struct blkio, req);
    BUG_ON(io->done > 0);
    io->done++;
    io->result = result;
}

void blkio_init(struct blkio *io, enum blk_op op, uint64_t offset, void *data, uint64_t bytes)
{
    bool vectors = op == BLK_READ || op == BLK_WRITE;
    *io = (struct blkio){
        .req = {.op = op, .offset_bytes = offset, .bytes = bytes, .done = on_done},
        .iov = {data, bytes},
        .result = NOT_DONE,
    };
    io->req.iov = &io->iov;
    io->req.iov_count = vectors ? 1 : 0;
}

void blkio_submit(struct blk_backend *b, struct blkio *io)
{
    b->ops->submit(b, &io->req);
    BUG_ON(io->done > 0);
}

int blkio_run(struct evloop *loop, struct blk_backend *b, enum blk_op op, uint64_t offset,
              void *data, uint64_t bytes)
{
    struct blkio io;
    blkio_init(&io, op, offset, data, bytes);
    blkio_submit(b, &io);
    evloop_drain(loop);
    BUG_ON(io.done != 1);
    return io.result;
}
