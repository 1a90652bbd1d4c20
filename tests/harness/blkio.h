// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests to a block backend, as a device makes them: counted when they are done, and checked to
 * end once, and never inside submit().
 */
#ifndef MINIVET_TESTS_HARNESS_BLKIO_H
#define MINIVET_TESTS_HARNESS_BLKIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/ports/block.h"

struct blkio {
    struct blk_req req;
    struct iovec iov; /* for those with one vector */
    unsigned done;
    int result;
};

/* Prepares a request; of several vectors the caller sets req.iov and req.iov_count afterwards. */
void blkio_init(struct blkio *io, enum blk_op op, uint64_t offset, void *data, uint64_t bytes);
void blkio_submit(struct blk_backend *b, struct blkio *io);

/* Submits, lets the loop run until nothing happens any more, and returns the result. */
int blkio_run(struct evloop *loop, struct blk_backend *b, enum blk_op op, uint64_t offset,
              void *data, uint64_t bytes);

#endif
