// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk that is no faster than it may be: a filter in front of another backend.
 *
 * Two budgets, each refilled evenly: requests a second, and bytes that are read and written a
 * second. What is not used is kept for `burst_ns` and can be spent at once. Requests start in the
 * order in which they came, so that none is overtaken for ever; a request is never cut, and one
 * that is larger than the budget makes those after it wait longer. Every request counts as one,
 * flushes too.
 */
#ifndef MINIVET_DEVICES_BLK_LIMIT_H
#define MINIVET_DEVICES_BLK_LIMIT_H

struct blk_backend;
struct budget_config;
struct clock;
struct evloop;

/*
 * In front of *b, which it owns then and whose place it takes. The clock is the loop's. Errors are
 * reported. A drain cancels what still waits for its turn.
 */
int blk_limit_create(struct blk_backend **b, struct evloop *loop, const struct clock *clock,
                     const struct budget_config *config);

#endif
