// SPDX-License-Identifier: BSD-2-Clause
/*
 * A network that is no faster than it may be: a filter in front of another backend. Two budgets in
 * each direction, packets and bytes a second, which all pairs share. What is not used is kept for
 * `burst_ns`. Nothing is lost: packets wait where they are, with the guest or with the base.
 */
#ifndef MINIVET_DEVICES_NET_LIMIT_H
#define MINIVET_DEVICES_NET_LIMIT_H

struct budget_config;
struct clock;
struct evloop;
struct net_backend;

/*
 * In front of *b, which has at most 64 pairs, and which it owns then and whose place it takes. The
 * clock is the loop's. Errors are reported.
 */
int net_limit_create(struct net_backend **b, struct evloop *loop, const struct clock *clock,
                     const struct budget_config *config);

#endif
