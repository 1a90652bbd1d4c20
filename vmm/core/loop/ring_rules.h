// SPDX-License-Identifier: BSD-2-Clause
/*
 * A ring of io_uring is no way around a filter of system calls, which cannot look into it: it
 * opens, connects and makes nothing.
 */
#ifndef MINIVET_CORE_RING_RULES_H
#define MINIVET_CORE_RING_RULES_H

#include <stdint.h>

struct io_uring;

/*
 * Of a ring that is not enabled yet (IORING_SETUP_R_DISABLED), once: it reads, writes, flushes,
 * allocates, polls and cancels, with those flags (IOSQE_...). 0 or a negative errno.
 */
int ring_restrict(struct io_uring *ring, uint8_t flags);

#endif
