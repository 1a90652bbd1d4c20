// SPDX-License-Identifier: BSD-2-Clause
/*
 * Descriptors that another process sent. The last close of a file may wait for as long as the
 * process that made it likes (a TCP socket that lingers, a file of a FUSE server), and the close of
 * a UNIX socket closes the descriptors that are queued there. These never wait: a thread of its own
 * closes what may.
 */
#ifndef MINIVET_CORE_FOREIGN_FD_H
#define MINIVET_CORE_FOREIGN_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Is it memory (memfd, tmpfs)? Only such a file can be sealed, and its close never waits. */
bool foreign_fd_is_memory(int fd);

/* Any thread. */
void foreign_fd_close(int fd);

/* A UNIX stream socket that is connected to a stranger: nothing comes or goes any more. */
void foreign_socket_close(int fd);

/*
 * As recv() with MSG_DONTWAIT, a negative errno in place of -1; -EPROTO if descriptors come along
 * that nothing asked for: they stay in the socket's queue, for foreign_socket_close().
 */
ssize_t foreign_socket_receive(int fd, void *dst, size_t bytes);

/*
 * Closes that are not over. Beyond FOREIGN_FDS_MAX none is begun, and what is closed stays open
 * instead: no more is to be taken from strangers then.
 */
#define FOREIGN_FDS_MAX 32u
unsigned foreign_fds_left(void);

#endif
