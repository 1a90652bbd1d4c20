// SPDX-License-Identifier: BSD-2-Clause
/*
 * Makes an input smaller that a target ends at: steps of a script or, if it is none, bytes are left
 * out, numbers become 0, while it is the same finding.
 */
#ifndef MINIVET_TESTS_FUZZ_SHRINK_H
#define MINIVET_TESTS_FUZZ_SHRINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/target.h"

#define FUZZ_NAME_BYTES 256

/*
 * Runs an input in a process of its own. True: it ended at a finding, and `name` says at which, in
 * the same words for inputs that find the same.
 */
bool fuzz_finds(const struct fuzz_target *target, const uint8_t *data, size_t len,
                char name[FUZZ_NAME_BYTES]);

/* In place; the new length. name: as fuzz_finds() said. */
size_t fuzz_shrink(const struct fuzz_target *target, uint8_t *data, size_t len, const char *name);

#endif
