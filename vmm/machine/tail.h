// SPDX-License-Identifier: BSD-2-Clause
/*
 * The last bytes that the guest's console has printed, for a report of how its run ended; and
 * whether Linux said there that it panicked. Zero-initialized; all calls are the loop's, or come
 * when it no longer runs.
 */
#ifndef MINIVET_VMM_TAIL_H
#define MINIVET_VMM_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TAIL_BYTES 4096u
#define TAIL_LINES 24u

struct tail {
    bool printed_panic;
    unsigned panic_bytes; /* of its text, that were the last ones to be printed */
    uint64_t printed;     /* bytes, all of them */
    uint8_t bytes[TAIL_BYTES];
};

void tail_add(struct tail *t, const uint8_t *data, size_t len);

/* The last lines, at most TAIL_LINES, with `before` before each; how many there were. */
unsigned tail_print(const struct tail *t, const char *before, FILE *out);

#endif
