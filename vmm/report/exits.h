// SPDX-License-Identifier: BSD-2-Clause
/*
 * What made a vCPU leave the hypervisor, and how long the answer took: a count and times for each
 * kind of exit, and for each device that was accessed. A vCPU's thread counts, any thread reads; no
 * lock. The table is small and full at some time: what comes then is counted in its last row.
 */
#ifndef MINIVET_VMM_EXITS_H
#define MINIVET_VMM_EXITS_H

#include <stdint.h>

#include "core/ports/hv.h"

#define EXITS_ROWS 64

struct exits_row {
    const char *kind;
    const char *device; /* NULL: none */
    uint64_t count, total_ns, max_ns;
};

struct exits {
    uint64_t inside_ns;  /* in the hypervisor: guest code, what it does for it, a halt's rest */
    uint64_t outside_ns; /* the rest of the thread's time, apart from stops */
    unsigned count;
    struct exits_row rows[EXITS_ROWS];
};

/* On the vCPU's thread. device: what took the access, NULL if none did; it stays in place. */
void exits_count(struct exits *x, const struct hv_exit *exit, const char *device,
                 uint64_t inside_ns, uint64_t outside_ns);

/* Any thread. */
void exits_add(struct exits *sum, const struct exits *x);

#endif
