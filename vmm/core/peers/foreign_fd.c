// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/foreign_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/loop/workpool.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* since Debian 12's kernel headers */
#endif

static struct {
    pthread_mutex_t lock;
    unsigned threads, waiting;
    int fds[FOREIGN_FDS_WAITING]; /* each for the next thread that is done with its own */
} closes = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool foreign_fd_is_memory(int fd)
{
    return fcntl(fd, F_GET_SEALS) >= 0;
}

unsigned foreign_fds_left(void)
{
    pthread_mutex_lock(&closes.lock);
    unsigned left = closes.threads + closes.waiting;
    pthread_mutex_unlock(&closes.lock);
    return left;
}

static void *close_them(void *arg)
{
    int fd = (int)(intptr_t)arg;
    thread_role_enter(THREAD_WORK);
    while (fd >= 0) {
        close(fd);
        pthread_mutex_lock(&closes.lock);
        fd = closes.waiting > 0 ? closes.fds[--closes.waiting] : -1;
        closes.threads -= fd < 0 ? 1 : 0;
        pthread_mutex_unlock(&closes.lock);
    }
    return NULL;
}

void foreign_fd_close(int fd)
{
    pthread_t thread;
    pthread_mutex_lock(&closes.lock);
    if (closes.threads < FOREIGN_FDS_MAX &&
        thread_start(&thread, "close", close_them, (void *)(intptr_t)fd) == 0) {
        pthread_detach(thread);
        closes.threads++;
    } else if (closes.waiting < FOREIGN_FDS_WAITING) {
        closes.fds[closes.waiting++] = fd;
    }
    pthread_mutex_unlock(&closes.lock);
}

void foreign_socket_open(int fd)
{
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

void foreign_socket_refuse(int fd)
{
    const int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
}

bool foreign_socket_is_refusing(int fd)
{
    int passes = 1;
    socklen_t bytes = sizeof(passes);
    return getsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &passes, &bytes) == 0 && passes == 0;
}

/*
 * Looks, and takes what was seen. A look copies descriptors: none is closed for the last time where
 * there is no room for it, and what is taken then has another user, too.
 */
static ssize_t look_and_take(int fd, struct msghdr *msg, int *sent_fd)
{
    ssize_t n = recvmsg(fd, msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(msg) : NULL;
    int got = -1;
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&got, CMSG_DATA(c), sizeof(got));
    bool unwanted = (msg->msg_flags & MSG_CTRUNC) != 0 || (got >= 0 && *sent_fd >= 0);
    if (unwanted && got >= 0)
        foreign_fd_close(got);
    if (unwanted)
        return -EPROTO;
    if (got >= 0)
        *sent_fd = got;
    n = n > 0 ? recv(fd, msg->msg_iov->iov_base, (size_t)n, MSG_DONTWAIT) : 0;
    return n < 0 ? -errno : n;
}

ssize_t foreign_socket_receive(int fd, void *dst, size_t bytes, int *sent_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space;
    struct iovec iov = {dst, bytes};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    int no_more = 0;
    if (sent_fd != NULL) {
        msg.msg_control = &space;
        msg.msg_controllen = CMSG_LEN(sizeof(int)); /* CMSG_SPACE() would be room for two */
    }
    return look_and_take(fd, &msg, sent_fd != NULL ? sent_fd : &no_more);
}

void foreign_socket_close(int fd)
{
    char bytes[4096];
    size_t left = FOREIGN_CLOSE_BYTES;
    ssize_t n;
    foreign_socket_open(fd); /* of one that was refused nothing has been received */
    shutdown(fd, SHUT_RDWR); /* no more comes: what is not there now will not be */
    do {
        n = foreign_socket_receive(fd, bytes, sizeof(bytes), NULL);
        left -= n > 0 ? (size_t)n : 0;
    } while (n > 0 && left >= sizeof(bytes));
    if (n > 0 || n == -EPROTO)
        foreign_fd_close(fd);
    else
        close(fd);
}
