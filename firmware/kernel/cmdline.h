// SPDX-License-Identifier: BSD-2-Clause
/* The command line of a Linux kernel. */
#ifndef MINIVET_FIRMWARE_CMDLINE_H
#define MINIVET_FIRMWARE_CMDLINE_H

#include <stdbool.h>

/*
 * What a kernel is told by default, then the user's words, which win; words that the user has, too,
 * are left out. console: what is the terminal, as "ttyS0", NULL: nothing. has_picture: messages are
 * on the display, too. To be freed; NULL: out of memory.
 */
char *linux_cmdline_make(const char *console, bool has_picture, bool kaslr_off, const char *user);

/* Does a word of the command line begin so? */
bool linux_cmdline_has(const char *cmdline, const char *start);

#endif
