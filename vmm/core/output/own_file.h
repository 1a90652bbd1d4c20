// SPDX-License-Identifier: BSD-2-Clause
/*
 * Files to be written whose place another user may have taken before, in a folder that both may
 * write to: by a link to a file of this user's, which would be overwritten, or by a file, a FIFO or
 * a link to one, from which that user would read what is written.
 */
#ifndef MINIVET_CORE_OWN_FILE_H
#define MINIVET_CORE_OWN_FILE_H

#include <sys/types.h>

/*
 * As openat(2) with O_CREAT. What is there already has to be this user's or root's, or the answer
 * is -EPERM; a link, and what it leads to. O_TRUNC empties a file. The open does not wait for the
 * reader of a FIFO, and neither do writes. Returns a negative errno, and reports nothing.
 */
int own_file_open(int dir_fd, const char *path, int flags, mode_t mode);

#endif
