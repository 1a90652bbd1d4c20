// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds guests that hang: a vCPU that has run with interrupts disabled, and has used no device, at
 * each of several looks for as long as the user said; or vCPUs that have all halted for ever. A
 * guest that takes interrupts and does nothing useful is not found: that is a watchdog's work.
 *
 * A look makes each vCPU leave the guest once; there are some eight of them in that time.
 */
#ifndef MINIVET_VMM_HANG_H
#define MINIVET_VMM_HANG_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/machine/vcpu.h"

struct clock;
struct evloop;
struct hang;

struct hang_config {
    struct evloop *loop;
    const struct clock *clock; /* the loop's */
    struct vcpus *vcpus;       /* watched ones; they outlive it */
    unsigned count;
    uint64_t time_ns;
    /* On the loop, once: the guest hangs. */
    void (*on_hang)(void *ctx);
    void *ctx;
};

/* Begins to look. Not on the loop. -ENOMEM; reported. */
int hang_create(struct hang **out, const struct hang_config *config);
/* Not on the loop. NULL is allowed. */
void hang_destroy(struct hang *h);

#endif
