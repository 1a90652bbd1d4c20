/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest `remote` does what a host asks it to: what they share, in the guest's memory. */
#ifndef MINIVET_BARE_METAL_REMOTE_H
#define MINIVET_BARE_METAL_REMOTE_H

#include <stdint.h>

#define REMOTE_GPA 0x1ff000 /* the guest's memory ends a page later */

/* Interrupts: the wired one, and as many messages. */
#define REMOTE_GSI         5
#define REMOTE_LINE_VECTOR 62
#define REMOTE_MSI_VECTOR  32
#define REMOTE_MSI_VECTORS 30

/* Written to while there is nothing to do, now and then: the host may have one processor. */
#define REMOTE_IDLE_PORT  0x80
#define REMOTE_IDLE_LOOKS 256

enum remote_op {
    REMOTE_READ,
    REMOTE_WRITE,
    REMOTE_IN,
    REMOTE_OUT,
};

/* Asked and answered in turn: the guest does what is in here when `asked` is not `done`. */
struct remote {
    volatile uint32_t asked, done;
    volatile uint32_t op, width;
    volatile uint64_t addr, value;
    volatile uint32_t interrupts[64]; /* that were taken, by vector */
};

#endif
