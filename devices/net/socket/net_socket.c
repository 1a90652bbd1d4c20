// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/socket/net_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/memory/iobuf.h"
#include "core/peers/foreign_fd.h"
#include "devices/net/host_port.h"
#include "devices/net/net_frame.h"
#include "devices/net/socket/net_socket_impl.h"

#define SEND_IOV 64u /* a frame in more pieces is copied first */

static struct net_socket *socket_of(struct net_backend *b)
{
    return container_of(b, struct net_socket, b);
}

static bool is_linked(const struct net_socket *s)
{
    return s->fd >= 0 && !s->connecting && !s->lost.queued;
}

void socket_forget(struct net_socket *s)
{
    s->tx_bytes = s->tx_sent = 0;
    s->rx_from = s->rx_to = 0;
    s->told_full = false;
}

/* ---- to the other end ---- */

/* What is left of a frame must go before the next. 0, or -EAGAIN. */
static int send_rest(struct net_socket *s)
{
    while (s->tx_sent < s->tx_bytes) {
        ssize_t n = send(s->fd, s->tx + s->tx_sent, s->tx_bytes - s->tx_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return -EAGAIN;
        if (n < 0) {
            socket_lost(s);
            return 0;
        }
        s->tx_sent += (size_t)n;
    }
    s->tx_bytes = s->tx_sent = 0;
    return 0;
}

/* The length and the frame's pieces; how many, or 0: more than fit. */
static unsigned gather(const struct net_socket *s, struct iovec *out, uint32_t *length,
                       const struct iovec *iov, unsigned count)
{
    struct iobuf buf = iobuf_init(iov, count);
    iobuf_skip(&buf, s->tx_skip);
    *length = htonl((uint32_t)buf.left);
    out[0] = (struct iovec){length, sizeof(*length)};
    int n = iobuf_iov(&buf, buf.left, out + 1, SEND_IOV - 1);
    return n < 0 ? 0 : (unsigned)n + 1;
}

/*
 * Keeps all of a frame behind its length, so that what has not been sent can follow: the guest's
 * own may change by then.
 */
static void send_later(struct net_socket *s, const struct iovec *iov, unsigned count, size_t sent)
{
    struct iobuf buf = iobuf_init(iov, count);
    iobuf_skip(&buf, s->tx_skip);
    uint32_t length = htonl((uint32_t)buf.left);
    memcpy(s->tx, &length, sizeof(length));
    s->tx_bytes = sizeof(length) + iobuf_get(&buf, s->tx + sizeof(length), SOCKET_PACKET_MAX);
    s->tx_sent = sent;
    if (send_rest(s) == -EAGAIN)
        socket_poll(s, EPOLLOUT, 0);
}

int socket_send(struct net_backend *b, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct net_socket *s = socket_of(b);
    struct iovec out[SEND_IOV];
    uint32_t length;
    uint64_t bytes = iobuf_init(iov, count).left;
    (void)pair;
    if (!is_linked(s) || bytes > NET_PACKET_MAX || bytes < NET_HEADER_BYTES + NET_FRAME_HEADER)
        return 0;
    if (s->tx_bytes > 0) {
        s->told_full = true;
        return -EAGAIN;
    }
    unsigned n = gather(s, out, &length, iov, count);
    const struct msghdr msg = {.msg_iov = out, .msg_iovlen = n};
    ssize_t sent = n > 0 ? sendmsg(s->fd, &msg, MSG_NOSIGNAL) : 0;
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        socket_lost(s);
    else if (sent < (ssize_t)(SOCKET_LENGTH_BYTES + bytes - s->tx_skip))
        send_later(s, iov, count, sent < 0 ? 0 : (size_t)sent);
    return 0;
}

/* ---- from the other end ---- */

/* The bytes of the next frame, or -EAGAIN if it is not all there. */
static ssize_t next_frame(const struct net_socket *s)
{
    uint32_t length;
    if (s->rx_to - s->rx_from < sizeof(length))
        return -EAGAIN;
    memcpy(&length, s->rx + s->rx_from, sizeof(length));
    length = ntohl(length);
    if (length > NET_PACKET_MAX - s->rx_skip)
        return -EPROTO;
    return s->rx_to - s->rx_from - sizeof(length) >= length ? (ssize_t)length : -EAGAIN;
}

/* Over a UNIX socket descriptors may come along; to look for them costs a second copy. */
static ssize_t receive(const struct net_socket *s, void *dst, size_t room)
{
    if (!s->plain)
        return foreign_socket_receive(s->fd, dst, room, NULL);
    ssize_t n = recv(s->fd, dst, room, MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

/* Reads as much as there is room for: many small frames come with one call. */
static int read_more(struct net_socket *s)
{
    memmove(s->rx, s->rx + s->rx_from, s->rx_to - s->rx_from);
    s->rx_to -= s->rx_from;
    s->rx_from = 0;
    ssize_t n = receive(s, s->rx + s->rx_to, sizeof(s->rx) - s->rx_to);
    if (n > 0) {
        s->heard = true;
        s->rx_to += (size_t)n;
        return 0;
    }
    if (n == -EAGAIN || n == -EINTR) {
        socket_poll(s, EPOLLIN, 0);
        return -EAGAIN;
    }
    socket_lost(s);
    return -EAGAIN;
}

static ssize_t give(struct net_socket *s, size_t bytes, const struct iovec *iov, unsigned count)
{
    const uint8_t *frame = s->rx + s->rx_from + SOCKET_LENGTH_BYTES;
    struct iobuf buf = iobuf_init(iov, count);
    s->rx_from += SOCKET_LENGTH_BYTES + bytes;
    if (buf.left < s->rx_skip + bytes)
        return -EMSGSIZE;
    uint8_t header[NET_HEADER_BYTES] = {0};
    if ((s->to_guest & NET_CSUM) != 0 && s->tx_skip == 0)
        header[NET_HDR_FLAGS] = NET_HDR_DATA_VALID;
    iobuf_put(&buf, header, s->rx_skip);
    iobuf_put(&buf, frame, bytes);
    return (ssize_t)(s->rx_skip + bytes);
}

ssize_t socket_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                       unsigned count)
{
    struct net_socket *s = socket_of(b);
    bool has_read = false;
    (void)pair;
    for (;;) {
        if (!is_linked(s))
            return -EAGAIN;
        ssize_t bytes = next_frame(s);
        if (bytes == -EPROTO) {
            if (!s->complained)
                log_warn("network %s: the other end sends no frames; is it another program?",
                         s->name);
            s->complained = true;
            socket_lost(s);
        } else if (bytes >= (ssize_t)(NET_HEADER_BYTES - s->rx_skip + NET_FRAME_HEADER)) {
            return give(s, (size_t)bytes, iov, count);
        } else if (bytes >= 0) { /* too short to be a frame */
            s->rx_from += SOCKET_LENGTH_BYTES + (size_t)bytes;
        } else if (has_read) { /* once: the other end may send what is too short for ever */
            socket_poll(s, EPOLLIN, 0);
            return -EAGAIN;
        } else if (read_more(s) < 0) {
            return -EAGAIN;
        } else {
            has_read = true;
        }
    }
}

void socket_ready(struct net_socket *s, uint32_t events)
{
    if ((events & EPOLLOUT) != 0 && send_rest(s) == 0) {
        socket_poll(s, 0, EPOLLOUT);
        bool was_full = s->told_full;
        s->told_full = false;
        if (was_full)
            net_tell_writable(&s->b, 0);
    }
    if ((events & EPOLLIN) != 0) {
        socket_poll(s, 0, EPOLLIN); /* until it has been read dry again */
        net_tell_rx(&s->b, 0);
    }
}

static void socket_set_offloads(struct net_backend *b, unsigned to_guest)
{
    socket_of(b)->to_guest = to_guest;
}

static void socket_destroy(struct net_backend *b)
{
    struct net_socket *s = socket_of(b);
    socket_link_end(s);
    if (s->close)
        s->close(s->ctx);
    free(s->name);
    free(s);
}

static const struct net_backend_ops net_socket_ops = {
    .send = socket_send,
    .receive = socket_receive,
    .set_offloads = socket_set_offloads,
    .destroy = socket_destroy,
};

/* ---- making it ---- */

static int resolve_path(struct net_socket *s)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strlen(s->name) >= sizeof(un.sun_path))
        return fail_msg(-ENAMETOOLONG, "network %s: a socket's path has at most %zu bytes", s->name,
                        sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, s->name, strlen(s->name) + 1);
    memcpy(&s->addr, &un, sizeof(un));
    s->addr_bytes = sizeof(un);
    return 0;
}

/* What will not be better by itself. */
static bool is_final(const struct net_socket *s, int err)
{
    if (s->open)
        return err < 0;
    if (err == -EAGAIN || err == -ECONNREFUSED || err == -EINTR)
        return false;
    if (!s->may_listen)
        return err == -EAFNOSUPPORT || err == -EACCES || err == -EPERM || err == -EMFILE;
    return err < 0;
}

static int report(const struct net_socket *s, int err, const char *what)
{
    if (err == -ENOTSOCK)
        return fail_msg(err, "network %s: there is a file of that name, and it is no socket",
                        s->name);
    if (err == -EKEYREJECTED || s->open)
        return err; /* it has been told */
    if (err == -EADDRINUSE)
        return fail_msg(err, "network %s: another program has that port; take another", s->name);
    return fail(err, "network %s: %s", s->name, what);
}

static int init(struct net_socket *s, const struct net_socket_config *config)
{
    const char *name = config->open     ? config->name
                       : config->path   ? config->path
                       : config->listen ? config->listen
                                        : config->connect;
    s->b.ops = &net_socket_ops;
    s->b.info = (struct net_info){.pairs = 1, .mtu_bytes = config->mtu};
    s->loop = config->loop;
    s->clock = config->clock;
    s->any_peer = config->any_peer;
    s->close = config->close;
    s->ctx = config->ctx;
    s->tx_skip = config->headers_out ? 0 : NET_HEADER_BYTES;
    s->rx_skip = config->headers_in ? 0 : NET_HEADER_BYTES;
    if (config->headers_out) {
        s->b.info.to_host = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN;
        s->b.info.to_guest = NET_CSUM;
    }
    s->may_listen = config->path || config->listen;
    s->may_connect = config->path || config->connect;
    socket_link_init(s);
    s->name = strdup(name);
    if (!s->name)
        return fail(-ENOMEM, "network socket");
    int err = config->open   ? 0
              : config->path ? resolve_path(s)
                             : host_port(&s->addr, &s->addr_bytes, s->name, config->cancel);
    if (err < 0)
        return err;
    s->open = config->open_first;
    err = socket_link_start(s);
    s->open = config->open;
    if (err == -EACCES && config->path && access(config->path, F_OK) == 0)
        return fail(err,
                    "network %s: connect (another user's machine has that wire: give "
                    "peers=any to both, and let this user write to the socket)",
                    s->name);
    if (is_final(s, err))
        return report(s, err, config->connect ? "connect" : "listen");
    if (err < 0)
        socket_tell_waiting(s, strerror(-err));
    return 0;
}

int net_socket_create(struct net_backend **out, const struct net_socket_config *config)
{
    BUG_ON(!config->path + !config->listen + !config->connect + !config->open != 3);
    struct net_socket *s = calloc(1, sizeof(*s));
    if (!s && config->close)
        config->close(config->ctx);
    if (!s)
        return fail(-ENOMEM, "network socket");
    int err = init(s, config);
    if (err < 0)
        socket_destroy(&s->b);
    else
        *out = &s->b;
    return err;
}
