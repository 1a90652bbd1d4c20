// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk that fails: a filter in front of another backend, for tests of what a guest does then.
 *
 * Faults are words in a row, "eio:1%,lat:5ms":
 *   eio:WHEN     a request ends with -EIO and does nothing
 *   enospc:WHEN  a write (or zeroing) ends with -ENOSPC and does nothing
 *   short:WHEN   a read or write moves a part of its bytes, then ends with -EIO
 *   lat:TIME     every request waits so long before it starts: 500us, 5ms, 1s
 *   at:N         the first N - 1 requests come to no harm
 *   seed:N       of the chances; the same seed and the same requests give the same faults
 * WHEN is a chance (0.5%) or a number: 10 is every tenth of the requests that it concerns.
 */
#ifndef MINIVET_DEVICES_BLK_FAULT_H
#define MINIVET_DEVICES_BLK_FAULT_H

#include <stdint.h>

#include "devices/backend/fault.h"

struct blk_backend;
struct clock;
struct evloop;

struct blk_fault_spec {
    struct fault_when eio, enospc, cut;
    uint64_t latency_ns;
    uint64_t at;
    uint64_t seed;
};

/* Reads the words. What is wrong is reported, behind `what` ("disk foo.img"): -EINVAL. */
int blk_fault_parse(struct blk_fault_spec *out, const char *what, const char *words);

/*
 * In front of *b, which it owns then and whose place it takes. The clock is the loop's. Errors are
 * reported. A drain cancels what still waits for its latency.
 */
int blk_fault_create(struct blk_backend **b, struct evloop *loop, const struct clock *clock,
                     const struct blk_fault_spec *spec);

#endif
