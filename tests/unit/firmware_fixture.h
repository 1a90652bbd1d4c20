// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the firmware's tests share: files that are only in memory, the last error line, and the
 * kernels of tests/harness/kernel_file.h.
 */
#ifndef MINIVET_TESTS_UNIT_FIRMWARE_FIXTURE_H
#define MINIVET_TESTS_UNIT_FIRMWARE_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "tests/harness/kernel_file.h"

struct gmem;

/* From now on error lines are kept instead of printed; fx_error() is the only one there was. */
void fx_capture_errors(void);
const char *fx_error(void);

/* Fails the test unless the one error line is this one. "%" in it stands for a path of fx_file().
 */
void fx_expect_error(const char *line);

/* The same behind "kernel PATH: ", of a case with that name, and no guest memory was touched. */
void fx_expect_refused(const char *name, const char *error, const struct gmem *g);

/* Guest memory as the x86-64 machine has it. */
struct gmem *fx_memory(uint64_t bytes);

/*
 * The path of a file with these bytes, followed by zeros (a hole) up to total. Two of them exist at
 * a time: the third replaces the first.
 */
const char *fx_file(const void *bytes, size_t len, uint64_t total);

/* Fails the test unless guest memory is as it was made: not a page of it was touched. */
void fx_expect_untouched(const struct gmem *g);

/* Fails the test unless guest memory holds these bytes. */
void fx_expect_bytes(const struct gmem *g, uint64_t gpa, const void *bytes, size_t len);
uint32_t fx_u32(const struct gmem *g, uint64_t gpa);
uint64_t fx_u64(const struct gmem *g, uint64_t gpa);

#endif
