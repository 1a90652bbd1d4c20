// SPDX-License-Identifier: BSD-2-Clause
/* What targets that read bytes share: numbers off an input, a host, how a finding is told. */
#ifndef MINIVET_TESTS_FUZZ_INPUT_H
#define MINIVET_TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "tests/harness/fake.h"

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

/* A loop that outlives inputs, with a clock that begins anew. */
struct fuzz_host {
    struct evloop *loop;
    struct clock clock;
    struct fake_clock time;
};
void fuzz_host_open(struct fuzz_host *h);

/* A file without a name, and a path that leads to it. */
int fuzz_make_file(char path[32]);

/* From here on lines of that level or worse are counted, and our own bugs are told. */
void fuzz_count_lines(enum log_level level);
unsigned fuzz_lines(void);

#endif
