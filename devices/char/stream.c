// SPDX-License-Identifier: BSD-2-Clause
#include "devices/char/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/reopen.h"
#include "core/base/xmath.h"
#include "core/peers/foreign_fd.h"

/* A write that others may overtake between poll(2) and write(2): small. */
#define GUARDED_BYTES 512u

struct stream stream_open(int fd, int flags)
{
    struct stream s = {.kind = STREAM_NONE, .fd = -1};
    struct stat st;
    if (fstat(fd, &st) < 0)
        return s;
    s.fd = reopen_nonblocking(fd, flags);
    s.kind = STREAM_OWN;
    if (s.fd < 0) { /* also if that is not allowed */
        s.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        s.kind = S_ISSOCK(st.st_mode)   ? STREAM_SOCKET
                 : S_ISFIFO(st.st_mode) ? STREAM_PIPE
                                        : STREAM_GUARDED;
    }
    if (s.kind == STREAM_SOCKET)
        foreign_socket_open(s.fd);
    if (s.fd < 0)
        s.kind = STREAM_NONE;
    return s;
}

void stream_close(struct stream *s)
{
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct stream){.kind = STREAM_NONE, .fd = -1};
}

bool stream_is_in_background(int fd)
{
    pid_t foreground = tcgetpgrp(fd);
    return foreground >= 0 && foreground != getpgrp();
}

bool stream_wait(const struct stream *s, short events, int wait_ms)
{
    struct pollfd p = {.fd = s->fd, .events = events};
    return poll(&p, 1, wait_ms) > 0;
}

/* The other end may send descriptors along: that ends the stream. */
static ssize_t receive(int fd, void *data, size_t len)
{
    ssize_t n = foreign_socket_receive(fd, data, len, NULL);
    if (n < 0)
        errno = (int)-n;
    return n < 0 ? -1 : n;
}

/* True: read(2) or write(2) may be called now; where others come first, it waits none the less. */
static bool guard(const struct stream *s, short events)
{
    bool is_shared = s->kind == STREAM_PIPE || s->kind == STREAM_GUARDED;
    if (!is_shared || stream_wait(s, events, 0))
        return true;
    errno = EAGAIN;
    return false;
}

ssize_t stream_read(const struct stream *s, void *data, size_t len)
{
    struct iovec iov = {data, len};
    ssize_t n = -1;
    if (s->kind == STREAM_SOCKET)
        return receive(s->fd, data, len);
    if (s->kind == STREAM_PIPE)
        n = preadv2(s->fd, &iov, 1, -1, RWF_NOWAIT);
    if (s->kind == STREAM_PIPE && (n >= 0 || errno != EOPNOTSUPP))
        return n;
    return guard(s, POLLIN) ? read(s->fd, data, len) : -1;
}

static ssize_t put(const struct stream *s, const void *data, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)data, len};
    ssize_t n = -1;
    if (s->kind == STREAM_SOCKET)
        return send(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (s->kind == STREAM_PIPE)
        n = pwritev2(s->fd, &iov, 1, -1, RWF_NOWAIT);
    if (s->kind == STREAM_PIPE && (n >= 0 || errno != EOPNOTSUPP))
        return n;
    if (!guard(s, POLLOUT))
        return -1;
    return write(s->fd, data, s->kind == STREAM_OWN ? len : min_u64(len, GUARDED_BYTES));
}

/* The server of a file system may say that it took nothing: to try again at once would be for ever.
 */
ssize_t stream_write(const struct stream *s, const void *data, size_t len)
{
    ssize_t n = put(s, data, len);
    if (n != 0 || len == 0)
        return n;
    errno = EIO;
    return -1;
}
