// SPDX-License-Identifier: BSD-2-Clause
/*
 * Makes scripts out of scripts: mostly what a driver of that device does, with rare faults.
 */
#ifndef MINIVET_TESTS_FUZZ_MUTATE_H
#define MINIVET_TESTS_FUZZ_MUTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Changes the script in data, of len bytes in max; what is no script becomes a new one. `device` is
 * an enum fuzz_device; a portable script has no steps that are raw. Returns its new length. The
 * same seed does the same.
 */
size_t fuzz_mutate(uint8_t *data, size_t len, size_t max, unsigned seed, unsigned device,
                   bool portable);

/* A beginning of one script and an end of another. */
size_t fuzz_cross(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, uint8_t *out,
                  size_t max, unsigned seed);

#endif
