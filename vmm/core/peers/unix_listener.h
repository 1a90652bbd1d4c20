// SPDX-License-Identifier: BSD-2-Clause
/* A UNIX socket that listens on a path, for the processes of this user and of root. */
#ifndef MINIVET_CORE_UNIX_LISTENER_H
#define MINIVET_CORE_UNIX_LISTENER_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/* Zeroed, with fd -1, before the first call. */
struct unix_listener {
    int fd;
    struct sockaddr_un addr;
    dev_t dev; /* of the socket's file */
    ino_t ino;
};

/*
 * Replaces a socket that a process has left behind when it died; a file that is none, and a socket
 * at which a process listens, stay: -EADDRINUSE. The socket does not block, its mode is 0600.
 * Nothing is reported.
 */
int unix_listen_as(struct unix_listener *l, int type, const char *path, int backlog);
static inline int unix_listen(struct unix_listener *l, const char *path, int backlog)
{
    return unix_listen_as(l, SOCK_STREAM, path, backlog);
}
/* Removes the path, if no other socket is there meanwhile. */
void unix_unlisten(struct unix_listener *l);

#endif
