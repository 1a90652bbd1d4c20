// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/foreign_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/loop/may_block.h"
#include "core/loop/workpool.h"
#include "core/peers/foreign_fd.h"

/* The caller's and the thread's; the last of them frees it. */
struct attempt {
    atomic_uint users;
    struct sockaddr_un addr;
    int fd; /* connected or not */
    atomic_int err;
    int done_fd; /* an eventfd */
};

static void leave(struct attempt *a)
{
    if (atomic_fetch_sub(&a->users, 1) > 1)
        return;
    if (a->fd >= 0) /* connected a moment too late: the other end may have sent descriptors */
        foreign_socket_close(a->fd);
    if (a->done_fd >= 0)
        close(a->done_fd);
    free(a);
}

static void *attempt_main(void *arg)
{
    struct attempt *a = arg;
    thread_role_enter(THREAD_WORK);
    bool connected = connect(a->fd, (const struct sockaddr *)&a->addr, sizeof(a->addr)) == 0;
    atomic_store(&a->err, connected ? 0 : -errno);
    (void)eventfd_write(a->done_fd, 1);
    leave(a);
    return NULL;
}

static int prepare(struct attempt *a, const char *path)
{
    size_t bytes = strlen(path) + 1;
    *a = (struct attempt){.users = 1, .addr.sun_family = AF_UNIX, .fd = -1, .done_fd = -1};
    if (bytes > sizeof(a->addr.sun_path))
        return -ENAMETOOLONG;
    memcpy(a->addr.sun_path, path, bytes);
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->fd < 0)
        return -errno;
    a->done_fd = eventfd(0, EFD_CLOEXEC);
    return a->done_fd < 0 ? -errno : 0;
}

static int start(struct attempt *a)
{
    pthread_t thread;
    atomic_store(&a->users, 2);
    int err = thread_start(&thread, "connect", attempt_main, a);
    if (err == 0)
        pthread_detach(thread);
    else
        atomic_store(&a->users, 1);
    return err;
}

static int wait_done(struct attempt *a, int cancel_fd)
{
    struct pollfd p[] = {{.fd = a->done_fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
    int n;
    do {
        n = poll(p, 2, -1);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return p[0].revents != 0 ? atomic_load(&a->err) : -ECANCELED;
}

int foreign_connect(const char *path, int cancel_fd)
{
    may_block();
    struct attempt *a = malloc(sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    int err = prepare(a, path);
    if (err == 0)
        err = start(a);
    if (err == 0)
        err = wait_done(a, cancel_fd);
    int fd = err;
    if (err == 0) { /* the thread has no use for it any more */
        fd = a->fd;
        a->fd = -1;
    }
    leave(a);
    return fd;
}

int foreign_connect_now(int fd, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct stat st;
    int at = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int err = at < 0 || fstat(at, &st) < 0 ? -errno : S_ISSOCK(st.st_mode) ? 0 : -ENOTSOCK;
    snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d", at);
    if (err == 0 && connect(fd, (const struct sockaddr *)&un, sizeof(un)) < 0)
        err = -errno;
    if (at >= 0)
        close(at);
    return err;
}
