// SPDX-License-Identifier: BSD-2-Clause
/* Descriptors that other processes share, whose flags are not Minivet's to change. */
#ifndef MINIVET_CORE_REOPEN_H
#define MINIVET_CORE_REOPEN_H

/*
 * Opens fd's terminal or pipe anew (flags: O_RDONLY or O_WRONLY), so that reads and writes of the
 * new descriptor never wait. A negative errno: it is neither, or that is not allowed.
 */
int reopen_nonblocking(int fd, int flags);

#endif
