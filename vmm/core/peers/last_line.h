// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a child process writes to its standard error, which is a pipe: the child gets no descriptor
 * of the user's terminal or log, and its text is read when it is reported on.
 */
#ifndef MINIVET_CORE_LAST_LINE_H
#define MINIVET_CORE_LAST_LINE_H

#include <stddef.h>

#define LAST_LINE_MAX 1024u

/*
 * Reads what the nonblocking pipe holds, and at most as much as a pipe can hold. The last line of
 * it, without control characters; an empty string: there is none, or fd is negative.
 */
void last_line_read(int fd, char out[LAST_LINE_MAX]);

#endif
