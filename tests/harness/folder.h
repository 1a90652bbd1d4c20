// SPDX-License-Identifier: BSD-2-Clause
/* A test's own folder, in which it works, and the last line that was logged meanwhile. */
#ifndef MINIVET_TESTS_HARNESS_FOLDER_H
#define MINIVET_TESTS_HARNESS_FOLDER_H

extern char folder_line[1100]; /* the longest that there is */

/* For a suite's .init and .fini. */
void folder_enter(void);
void folder_leave(void);

const char *folder_path(void);

#endif
