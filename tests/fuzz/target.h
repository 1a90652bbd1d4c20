// SPDX-License-Identifier: BSD-2-Clause
/*
 * Targets: what is fuzzed, each a function of some bytes. A target is deterministic, keeps nothing
 * from input to input that the next could see, and ends the process by abort() at a finding.
 */
#ifndef MINIVET_TESTS_FUZZ_TARGET_H
#define MINIVET_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_input;

struct fuzz_target {
    const char *name;
    /* 0, or -1: the input is of no use for a corpus. */
    int (*run)(const struct fuzz_target *target, const uint8_t *data, size_t len);
    /* NULL: as the fuzzer likes. */
    size_t (*mutate)(const struct fuzz_target *target, uint8_t *data, size_t len, size_t max,
                     unsigned seed);
    unsigned device;                      /* of scripts: enum fuzz_device */
    void (*bytes)(struct fuzz_input *in); /* of what fuzz_run_bytes runs */
};

extern const struct fuzz_target *const fuzz_targets[];
extern const unsigned fuzz_target_count;

int fuzz_run_bytes(const struct fuzz_target *target, const uint8_t *data, size_t len);

/* NULL: there is none of that name. */
const struct fuzz_target *fuzz_target_find(const char *name);

#endif
