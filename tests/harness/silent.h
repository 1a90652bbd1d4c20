// SPDX-License-Identifier: BSD-2-Clause
#ifndef MINIVET_TESTS_HARNESS_SILENT_H
#define MINIVET_TESTS_HARNESS_SILENT_H

#include <stdbool.h>

/*
 * Mounts a FUSE file system whose server says nothing, which this process and its children see. It
 * ends when *fd is closed. False: this user cannot have one.
 */
bool silent_mount(const char *dir, int *fd);

/* The same in two steps: mounts of this process's own, before it opens what will see them, and one
 * of these. */
bool silent_begin(void);
bool silent_mount_here(const char *dir, int *fd);

#endif
