// SPDX-License-Identifier: BSD-2-Clause
/*
 * Descriptors that another process sent. The last close of a file may wait for as long as the
 * process that made it likes (a TCP socket that lingers, a file of a FUSE server), or takes the
 * time that its memory takes to be given back, with all of its file system if that was unmounted
 * before; and the close of a UNIX socket closes the descriptors that are queued there. These never
 * wait: a thread of its own closes what may.
 */
#ifndef MINIVET_CORE_FOREIGN_FD_H
#define MINIVET_CORE_FOREIGN_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Is it memory (memfd, tmpfs)? Only such a file can be sealed, and a read of it never waits. */
bool foreign_fd_is_memory(int fd);

/* Any thread. */
void foreign_fd_close(int fd);

/*
 * A UNIX stream socket that is connected to a stranger. First of all: out-of-band bytes (MSG_OOB)
 * are among the others from now on. Beside them they would make the socket readable where there is
 * nothing to read, and a read would drop them and close their descriptors.
 */
void foreign_socket_open(int fd);

/*
 * A UNIX socket, before it connects, listens or has a peer: the kernel lets no peer send
 * descriptors (Linux 6.16), also not to what is accepted there. is_refusing: no descriptor is in
 * its queue or comes, so that recv() does as well as foreign_socket_receive(), which copies twice.
 */
void foreign_socket_refuse(int fd);
bool foreign_socket_is_refusing(int fd);

/* Nothing comes or goes any more. Another thread closes a socket in which there is more than so
 * much: root's peers can let any amount wait in one. */
#define FOREIGN_CLOSE_BYTES ((size_t)1 << 20)
void foreign_socket_close(int fd);

/*
 * As recv() with MSG_DONTWAIT, a negative errno in place of -1. A descriptor that comes along
 * becomes *sent_fd, which is -1 before; -EPROTO if there are more than that (sent_fd NULL: any).
 * Those stay in the socket's queue, for foreign_socket_close(), as do all if it happens again.
 */
ssize_t foreign_socket_receive(int fd, void *dst, size_t bytes, int *sent_fd);

/*
 * Closes that are not over: so many at a time, and so many more that wait for one of them. Once
 * FOREIGN_FDS_MAX are not over, nothing more is to be taken from strangers.
 */
#define FOREIGN_FDS_MAX     32u
#define FOREIGN_FDS_WAITING 512u
unsigned foreign_fds_left(void);

#endif
