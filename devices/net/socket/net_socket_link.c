// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finding the other end, and finding it again.
 *
 *   alone ---connect--> connecting --> linked       (a path: listens if no peer does)
 *      |                    |            |
 *      +--listen--> accept -+----------->+
 *      ^                                 |
 *      +------- it has gone, a moment ---+
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/peers/foreign_connect.h"
#include "core/peers/foreign_fd.h"
#include "core/peers/peer.h"
#include "devices/net/socket/net_socket_impl.h"

#define RETRY_NS UINT64_C(500000000)

/* What another end can have logged: ten lines at once, then one in half a minute. */
#define LINE_S   30u
#define LINES_NS (10 * LINE_S * UINT64_C(1000000000))

static const struct sockaddr *addr_of(const struct net_socket *s)
{
    return (const struct sockaddr *)&s->addr;
}

static const char *path_of(const struct net_socket *s)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&s->addr;
    return s->addr.ss_family == AF_UNIX ? un->sun_path : NULL;
}

static void retry_later(struct net_socket *s)
{
    evloop_timer_set(s->loop, &s->retry, clock_now_ns(s->clock) + RETRY_NS);
}

static bool may_tell(struct net_socket *s)
{
    uint64_t now_ns = clock_now_ns(s->clock);
    if (bucket_opens_ns(&s->lines, LINES_NS - 1) > now_ns)
        return false;
    bucket_spend(&s->lines, LINE_S, now_ns);
    return true;
}

/* ---- the link ---- */

static void set_link(struct net_socket *s, bool up)
{
    if (net_set_link(&s->b, up) && may_tell(s))
        log_info("network %s: %s", s->name, up ? "a peer is connected" : "the peer is gone");
}

static void linked(struct net_socket *s)
{
    int one = 1;
    if (s->addr.ss_family != AF_UNIX)
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    foreign_socket_open(s->fd);
    bool is_tcp = s->addr.ss_family == AF_INET || s->addr.ss_family == AF_INET6;
    s->plain = is_tcp || foreign_socket_is_refusing(s->fd);
    s->connecting = s->heard = false;
    if (s->open) /* the end is seen at once, though nothing reads */
        socket_poll(s, EPOLLRDHUP, 0);
    set_link(s, true);
    /* The device may have asked for packets before a peer was connected. */
    net_tell_rx(&s->b, 0);
}

/* A third peer is refused, and told why. */
static void wonder(struct net_socket *s)
{
    s->unheard = s->heard || s->listener >= 0 ? 0 : s->unheard + 1;
    if (s->unheard == 3 && may_tell(s))
        log_warn("network %s: the other end hangs up at once; are there two machines already?",
                 s->name);
}

static void drop_fd(struct net_socket *s)
{
    socket_poll(s, 0, s->events);
    if (s->fd >= 0)
        foreign_socket_close(s->fd);
    s->fd = -1;
    s->connecting = false;
}

static void on_lost(void *ctx)
{
    struct net_socket *s = ctx;
    bool was_full = s->told_full;
    wonder(s);
    drop_fd(s);
    socket_forget(s);
    set_link(s, false);
    if (was_full)
        net_tell_writable(&s->b, 0);
    retry_later(s);
}

void socket_lost(struct net_socket *s)
{
    if (s->fd >= 0)
        shutdown(s->fd, SHUT_RDWR);
    evloop_defer(s->loop, &s->lost);
}

/* ---- connecting ---- */

void socket_tell_waiting(struct net_socket *s, const char *why)
{
    if (s->told_waiting || s->may_listen || !s->may_connect)
        return;
    s->told_waiting = true;
    log_warn("network %s: connect: %s; it is tried until a peer listens there", s->name, why);
}

static void connected(struct net_socket *s)
{
    int err = 0;
    socklen_t len = sizeof(err);
    socket_poll(s, 0, EPOLLOUT);
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err == 0) {
        linked(s);
        return;
    }
    socket_tell_waiting(s, strerror(err));
    drop_fd(s);
    retry_later(s);
}

static void on_event(void *ctx, uint32_t events)
{
    struct net_socket *s = ctx;
    if (s->connecting)
        connected(s);
    else if (s->open && (events & (EPOLLRDHUP | EPOLLHUP)) != 0)
        socket_lost(s);
    else
        socket_ready(s, events & (EPOLLERR | EPOLLHUP) ? s->events : events);
}

/* One descriptor is polled by one source. */
void socket_poll(struct net_socket *s, uint32_t more, uint32_t less)
{
    uint32_t events = (s->events | more) & ~less;
    int err = 0;
    if (events == s->events)
        return;
    if (s->events == 0)
        err = evloop_fd_add(s->loop, &s->ev, s->fd, events);
    else if (events == 0)
        evloop_fd_del(s->loop, &s->ev);
    else
        err = evloop_fd_set(s->loop, &s->ev, events);
    s->events = err < 0 ? 0 : events;
    if (err < 0)
        socket_lost(s);
}

/* 0, or -EKEYREJECTED: another user has opened the other end; reported. */
static int check_peer(struct net_socket *s, int fd)
{
    uid_t uid = 0;
    int err = path_of(s) == NULL || s->any_peer ? 0 : peer_check(fd, &uid);
    if (err == 0)
        return 0;
    if (may_tell(s))
        log_error("network %s: the other end is user %u's, and refused; peers=any allows that",
                  s->name, (unsigned)uid);
    return -EKEYREJECTED;
}

static int connect_fd(const struct net_socket *s)
{
    if (path_of(s) != NULL)
        return foreign_connect_now(s->fd, path_of(s));
    return connect(s->fd, addr_of(s), s->addr_bytes) < 0 ? -errno : 0;
}

/* 0 if there is, or may soon be, a connection. */
static int try_connect(struct net_socket *s)
{
    if (s->open) {
        int fd = s->open(s->ctx);
        s->fd = fd < 0 ? -1 : fd;
        if (fd >= 0)
            linked(s);
        return fd < 0 ? fd : 0;
    }
    s->fd = socket(s->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return -errno;
    foreign_socket_refuse(s->fd);
    s->connecting = true;
    int err = connect_fd(s);
    if (err == 0 || err == -EINPROGRESS)
        err = check_peer(s, s->fd);
    if (err != 0) {
        drop_fd(s);
        return err;
    }
    socket_poll(s, EPOLLOUT, 0);
    return 0;
}

/* ---- listening ---- */

static void on_accept(void *ctx, uint32_t events)
{
    struct net_socket *s = ctx;
    (void)events;
    bool full = foreign_fds_left() >= FOREIGN_FDS_MAX;
    int fd = full ? -1 : accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (full || (fd < 0 && errno != EAGAIN && errno != EINTR)) {
        /* No descriptor is free, say: it is ready until there is one. */
        evloop_fd_del(s->loop, &s->accept_ev);
        s->deaf = true;
        retry_later(s);
    }
    if (fd < 0)
        return;
    if (s->fd >= 0 || check_peer(s, fd) != 0) { /* a wire has two ends */
        foreign_socket_close(fd);
        return;
    }
    s->fd = fd;
    linked(s);
}

/* Has another process put another socket where ours was? */
static bool is_ours(const struct net_socket *s)
{
    struct stat st;
    const char *path = path_of(s);
    return path == NULL ||
           (lstat(path, &st) == 0 && st.st_dev == s->path_dev && st.st_ino == s->path_ino);
}

static void stop_listening(struct net_socket *s)
{
    if (s->listener < 0)
        return;
    if (path_of(s) && is_ours(s))
        unlink(path_of(s));
    if (!s->deaf)
        evloop_fd_del(s->loop, &s->accept_ev);
    s->deaf = false;
    /* With it goes what connections that were not accepted have sent. */
    if (path_of(s))
        foreign_fd_close(s->listener);
    else
        close(s->listener);
    s->listener = -1;
}

static int try_listen(struct net_socket *s)
{
    int one = 1;
    struct stat st;
    int fd = socket(s->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    foreign_socket_refuse(fd);
    if (s->addr.ss_family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    else if (!s->any_peer)
        (void)fchmod(fd, 0600); /* what bind() makes has the socket's own mode */
    if (bind(fd, addr_of(s), s->addr_bytes) < 0 || listen(fd, 4) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    if (path_of(s) && lstat(path_of(s), &st) == 0) {
        s->path_dev = st.st_dev;
        s->path_ino = st.st_ino;
    }
    s->listener = fd;
    return evloop_fd_add(s->loop, &s->accept_ev, fd, EPOLLIN);
}

/* ---- either ---- */

/* A socket that a process has left behind when it died; never anything else. */
static int remove_stale(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    unlink(path);
    return 0;
}

/*
 * On a path: connects, or listens if no peer does. Two peers that start at once may both find a
 * stale socket; one then removes the other's new socket, and the other sees that at its next try.
 */
static int either(struct net_socket *s)
{
    int err = try_connect(s);
    if (err == -ECONNREFUSED)
        err = remove_stale(path_of(s));
    if (err != 0 && err != -ENOENT)
        return err;
    if (s->fd >= 0)
        return 0;
    err = try_listen(s);
    return err == -EADDRINUSE ? -EAGAIN : err;
}

int socket_link_start(struct net_socket *s)
{
    int err = 0;
    if (s->listener >= 0 && !is_ours(s))
        stop_listening(s);
    if (s->listener < 0 && s->fd < 0)
        err = s->may_listen && s->may_connect ? either(s)
              : s->may_listen                 ? try_listen(s)
                                              : try_connect(s);
    if (s->connecting || (s->fd < 0 && (s->may_connect || s->listener < 0)))
        retry_later(s);
    return err;
}

static void on_retry(void *ctx)
{
    struct net_socket *s = ctx;
    if (foreign_fds_left() >= FOREIGN_FDS_MAX) { /* each end that comes may bring more */
        retry_later(s);
        return;
    }
    if (s->connecting)
        socket_tell_waiting(s, "no answer yet");
    if (s->deaf)
        s->deaf = evloop_fd_add(s->loop, &s->accept_ev, s->listener, EPOLLIN) < 0;
    if (s->deaf)
        retry_later(s);
    socket_link_start(s);
}

void socket_link_init(struct net_socket *s)
{
    s->listener = s->fd = -1;
    s->accept_ev = (struct ev_fd){.cb = on_accept, .ctx = s};
    s->ev = (struct ev_fd){.cb = on_event, .ctx = s};
    s->retry = (struct ev_timer){.cb = on_retry, .ctx = s};
    s->lost = (struct ev_defer){.cb = on_lost, .ctx = s};
    s->lines.per_s = 1;
}

void socket_link_end(struct net_socket *s)
{
    evloop_timer_cancel(s->loop, &s->retry);
    evloop_defer_cancel(s->loop, &s->lost);
    drop_fd(s);
    stop_listening(s);
}
