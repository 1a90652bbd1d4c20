// SPDX-License-Identifier: BSD-2-Clause
#ifndef MINIVET_CORE_FOREIGN_CONNECT_H
#define MINIVET_CORE_FOREIGN_CONNECT_H

/*
 * A UNIX stream socket that is connected to what listens at the path; or a negative errno: -EAGAIN
 * if its queue is full, -ECANCELED once cancel_fd is readable (-1: never).
 *
 * A server that may write where its socket is can make the path lead into a file system that does
 * not answer, and no signal ends connect() then. So a thread of its own connects, and
 * is left behind by a caller that is cancelled.
 */
int foreign_connect(const char *path, int cancel_fd);

/*
 * For a loop: connects fd, a UNIX socket that does not block; 0 or a negative errno, -ENOTSOCK if
 * there is something else. A link is not followed: it may lead into such a file system.
 */
int foreign_connect_now(int fd, const char *path);

#endif
