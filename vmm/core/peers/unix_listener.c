// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/unix_listener.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/peers/foreign_fd.h"

/* A socket that a process has left behind when it died; never anything else. */
static void remove_stale(const struct sockaddr_un *addr)
{
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (lstat(addr->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
        connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 && errno == ECONNREFUSED)
        unlink(addr->sun_path);
    close(fd);
}

int unix_listen_as(struct unix_listener *l, int type, const char *path, int backlog)
{
    struct stat st;
    size_t len = strlen(path);
    int err = 0;
    if (len == 0 || len >= sizeof(l->addr.sun_path))
        return -ENAMETOOLONG;
    l->addr.sun_family = AF_UNIX;
    memcpy(l->addr.sun_path, path, len + 1);
    remove_stale(&l->addr);
    l->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return -errno;
    foreign_socket_refuse(l->fd);
    (void)fchmod(l->fd, 0600); /* what bind() makes has the socket's own mode */
    if (bind(l->fd, (struct sockaddr *)&l->addr, sizeof(l->addr)) < 0) {
        err = -errno;
        unix_unlisten(l);
        return err;
    }
    if (lstat(path, &st) == 0) {
        l->dev = st.st_dev;
        l->ino = st.st_ino;
    }
    if (listen(l->fd, backlog) < 0) {
        err = -errno;
        unix_unlisten(l);
    }
    return err;
}

void unix_unlisten(struct unix_listener *l)
{
    struct stat st;
    if (l->ino != 0 && lstat(l->addr.sun_path, &st) == 0 && st.st_dev == l->dev &&
        st.st_ino == l->ino)
        unlink(l->addr.sun_path);
    if (l->fd >= 0) /* with it goes what connections that were not accepted have sent */
        foreign_fd_close(l->fd);
    *l = (struct unix_listener){.fd = -1};
}
