// SPDX-License-Identifier: BSD-2-Clause
/* What targets that read bytes share: numbers off an input, and how a finding is told. */
#ifndef MINIVET_TESTS_FUZZ_INPUT_H
#define MINIVET_TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* A number of so many bytes (8 at most), lowest first; what is cut off is zeroes. */
uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes);

/* Up to so many bytes, in place; their number is in *len. */
const uint8_t *fuzz_take_bytes(struct fuzz_input *in, size_t max, size_t *len);

/* Ends the process unless it is so. */
void fuzz_check(bool good, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* How many files are open; of the first FUZZ_FDS numbers. */
#define FUZZ_FDS 256u
unsigned fuzz_open_fds(void);

#endif
