// SPDX-License-Identifier: BSD-2-Clause
/*
 * What libFuzzer calls, and AFL++ by its driver for that: one program for each target, FUZZ_TARGET.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len,
                                 uint8_t *out, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);

static const struct fuzz_target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_count_lines(LOG_ERROR);
    target = fuzz_target_find(FUZZ_TARGET);
    if (target == NULL) {
        fprintf(stderr, "no target is called %s\n", FUZZ_TARGET);
        exit(1);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return target->run(target, data, len);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
    if (target->mutate == NULL)
        return LLVMFuzzerMutate(data, len, max);
    return target->mutate(target, data, len, max, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len,
                                 uint8_t *out, size_t max, unsigned seed)
{
    return target->mutate == NULL ? 0 : fuzz_cross(a, a_len, b, b_len, out, max, seed);
}
