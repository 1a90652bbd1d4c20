// SPDX-License-Identifier: BSD-2-Clause
#include "core/foreign_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/workpool.h"

static atomic_uint threads;

bool foreign_fd_is_memory(int fd)
{
    return fcntl(fd, F_GET_SEALS) >= 0;
}

unsigned foreign_fds_left(void)
{
    return atomic_load(&threads);
}

static void *close_it(void *arg)
{
    close((int)(intptr_t)arg);
    atomic_fetch_sub(&threads, 1);
    return NULL;
}

static void close_aside(int fd)
{
    pthread_t thread;
    if (atomic_fetch_add(&threads, 1) < FOREIGN_FDS_MAX &&
        thread_start(&thread, "close", close_it, (void *)(intptr_t)fd) == 0)
        pthread_detach(thread);
    else
        atomic_fetch_sub(&threads, 1);
}

void foreign_fd_close(int fd)
{
    if (foreign_fd_is_memory(fd))
        close(fd);
    else
        close_aside(fd);
}

ssize_t foreign_socket_receive(int fd, void *dst, size_t bytes)
{
    struct iovec iov = {dst, bytes};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    /* A look copies descriptors, and has no room for them: none is closed for the last time. */
    ssize_t n = recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0 && (msg.msg_flags & MSG_CTRUNC) != 0)
        return -EPROTO;
    if (n > 0)
        n = recv(fd, dst, (size_t)n, MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

void foreign_socket_close(int fd)
{
    char bytes[4096];
    ssize_t n;
    shutdown(fd, SHUT_RDWR); /* no more comes: what is not there now will not be */
    do {
        n = foreign_socket_receive(fd, bytes, sizeof(bytes));
    } while (n > 0);
    if (n == -EPROTO)
        close_aside(fd);
    else
        close(fd);
}
