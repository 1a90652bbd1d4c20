// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk that is no faster than it may be: a filter in front of another backend.
 *
 * Two budgets, each refilled evenly: requests a second, and bytes that are read and written a
 * second. What is not used is kept for `burst_ms` and can be spent at once. Requests start in the
 * order in which they came, so that none is overtaken for ever; a request is never cut, and one
 * that is larger than the budget makes those after it wait longer. Every request counts as one,
 * flushes too.
 */
#ifndef MINIVET_DEVICES_BACKEND_BLK_LIMIT_H
#define MINIVET_DEVICES_BACKEND_BLK_LIMIT_H

#include <stdint.h>

struct blk_backend;
struct clock;
struct evloop;

#define BLK_LIMIT_BURST_MS 100u /* when it is not said */

struct blk_limit_config {
    struct evloop *loop;
    const struct clock *clock; /* the loop's */
    struct blk_backend *base;  /* taken over if the call succeeds */
    uint64_t iops;             /* 0: any number */
    uint64_t bytes_per_s;      /* 0: any number */
    uint32_t burst_ms;         /* 0: nothing is kept */
};

/* Errors are reported. A drain cancels what still waits for its turn. */
int blk_limit_create(struct blk_backend **out, const struct blk_limit_config *config);

#endif
