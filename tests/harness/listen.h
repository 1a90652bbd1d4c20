// SPDX-License-Identifier: BSD-2-Clause
/* The log, as a test reads it: the last line, and how many lines there were. */
#ifndef MINIVET_TESTS_HARNESS_LISTEN_H
#define MINIVET_TESTS_HARNESS_LISTEN_H

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/log.h"

extern char logged_line[4096];
extern _Atomic unsigned logged_lines;

/* From now on lines of that level and worse are kept, and not printed; forgets what there was. */
void listen_to_log(enum log_level level);

/* Fails the test, and shows the line, unless it holds that text. */
#define expect_logged(text) \
    cr_expect_not_null(strstr(logged_line, (text)), "%s", (const char *)logged_line)

#endif
