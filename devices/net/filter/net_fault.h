// SPDX-License-Identifier: BSD-2-Clause
/*
 * A bad network: a filter in front of another backend, for tests of what a guest does then.
 *
 * Faults are words in a row, "drop:1%,delay:5ms", and concern both directions:
 *   drop:WHEN     a packet is lost
 *   dup:WHEN      a packet comes twice
 *   corrupt:WHEN  one bit of the frame is wrong
 *   reorder:WHEN  a packet comes after the one behind it, or 10 ms late if there is none
 *   delay:TIME    every packet is so late: 500us, 5ms, 1s
 *   seed:N        of the chances; the same seed and the same packets give the same faults
 * WHEN is a chance (0.5%) or a number: 10 is every tenth packet.
 *
 * A delayed network holds back up to a mebibyte in each direction, then the sender waits. There is
 * one queue pair.
 */
#ifndef MINIVET_DEVICES_NET_FAULT_H
#define MINIVET_DEVICES_NET_FAULT_H

#include <stdint.h>

#include "devices/backend/fault.h"

struct clock;
struct evloop;
struct net_backend;

struct net_fault_spec {
    struct fault_when drop, dup, corrupt, reorder;
    uint64_t delay_ns;
    uint64_t seed;
};

/* Reads the words. What is wrong is reported, behind `what` ("--net user"): -EINVAL. */
int net_fault_parse(struct net_fault_spec *out, const char *what, const char *words);

/* In front of *b, which it owns then and whose place it takes. The clock is the loop's. Errors are
 * reported. */
int net_fault_create(struct net_backend **b, struct evloop *loop, const struct clock *clock,
                     const struct net_fault_spec *spec);

#endif
