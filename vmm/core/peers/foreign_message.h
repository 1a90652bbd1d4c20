// SPDX-License-Identifier: BSD-2-Clause
/*
 * UNIX sockets of messages (SOCK_SEQPACKET) that are connected to a stranger; foreign_fd.h is about
 * sockets of bytes, and says why descriptors that come along are not taken.
 */
#ifndef MINIVET_CORE_FOREIGN_MESSAGE_H
#define MINIVET_CORE_FOREIGN_MESSAGE_H

#include <sys/types.h>

/* First of all: from now on a message of no bytes and the end can be told apart. */
void foreign_messages_open(int fd);

/*
 * The bytes of the next message, which may be 0, and which recv() takes then; -ENODATA: no more
 * come, -EAGAIN: not now, -EPROTO: it has descriptors, or another negative errno.
 */
ssize_t foreign_message_bytes(int fd);

/* As foreign_socket_close(). */
void foreign_messages_close(int fd);

#endif
