// SPDX-License-Identifier: BSD-2-Clause
#include "devices/vsock/vsock_unix.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/descriptors.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/peers/foreign_connect.h"
#include "core/peers/foreign_fd.h"
#include "core/peers/foreign_message.h"
#include "core/peers/peer.h"
#include "core/peers/unix_listener.h"
#include "core/ports/vsock.h"

#define AGAIN_NS   UINT64_C(500000000)
#define LOOK_NS    UINT64_C(5000000)
#define LOOKS      64u /* streams that are looked at so often; of more each is less often */
#define LINE_BYTES 32u /* "CONNECT PORT\n" */
#define BACKLOG    128
#define EMPTY_MAX  16u /* messages of no bytes, in a row */

/* How long until a process that is slow to accept is asked again: twice as long each time. */
#define JOIN_FIRST_NS UINT64_C(10000000)
#define JOIN_LAST_NS  UINT64_C(640000000)

/*
 * What processes do not read is in the kernel's memory, too: so much of each stream, as soon as
 * there are that many.
 */
#define MANY_STREAMS 256u
#define SMALL_BYTES  (8 * (int)KIB)

enum { BYTES, MESSAGES, DOORS };

/* Where processes connect. */
struct unix_door {
    struct vsock_unix *u;
    bool has_messages;
    struct unix_listener socket;
    struct ev_fd listener;
    struct ev_timer again; /* to listen, when no descriptor was free */
};

struct vsock_unix {
    struct vsock_backend b;
    struct evloop *loop;
    const struct clock *clock;
    const char *path;
    struct unix_door doors[DOORS];
    TAILQ_HEAD(unix_streams, unix_stream) asking;
    struct unix_streams closing; /* of no connection any more */
    struct ev_defer close_more;
    unsigned asking_count, closing_count;
    unsigned count; /* of all streams */
};

struct unix_stream {
    struct vsock_stream s;
    struct vsock_unix *u;
    int fd;
    bool refuses; /* no descriptors come along */
    struct ev_fd ev;
    uint32_t events;       /* that are wanted */
    bool is_half;          /* the process has ended its direction */
    bool waits;            /* for the guest to accept: its end is wanted */
    struct ev_timer again; /* to poll, when the loop cannot */

    /* While it waits for room in the listener's queue. */
    uint64_t join_ns; /* else 0 */
    uint32_t host_port;
    bool is_shut;    /* by the guest, since */
    bool is_refused; /* the process has left instead, or is not one to speak with */

    TAILQ_ENTRY(unix_stream) link; /* while it asks for a port, or waits to be closed */

    /* While it asks for a port. */
    char line[LINE_BYTES];
    unsigned line_bytes;
};

static struct vsock_unix *unix_of(struct vsock_backend *b)
{
    return container_of(b, struct vsock_unix, b);
}

static struct unix_stream *stream_of(struct vsock_stream *s)
{
    return container_of(s, struct unix_stream, s);
}

/* ---- streams ---- */

static void poll_again(void *ctx);
static void join(struct unix_stream *st);
static void on_event(void *ctx, uint32_t events);

static void open_socket(int fd, bool has_messages)
{
    has_messages ? foreign_messages_open(fd) : foreign_socket_open(fd);
}

static void close_socket(int fd, bool has_messages)
{
    has_messages ? foreign_messages_close(fd) : foreign_socket_close(fd);
}

/* The descriptor becomes the stream's, which may be NULL: no memory, or no room for so many. */
static struct unix_stream *new_stream(struct vsock_unix *u, int fd, bool has_messages)
{
    const int small = SMALL_BYTES;
    struct unix_stream *st = descriptors_spare(fd) ? calloc(1, sizeof(*st)) : NULL;
    if (st == NULL) {
        close_socket(fd, has_messages);
        return NULL;
    }
    if (u->count++ >= MANY_STREAMS)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    st->s.has_messages = has_messages;
    st->u = u;
    st->fd = fd;
    st->refuses = foreign_socket_is_refusing(fd);
    st->ev = (struct ev_fd){.cb = on_event, .ctx = st};
    st->again = (struct ev_timer){.cb = poll_again, .ctx = st};
    return st;
}

static void poll_later(struct unix_stream *st, uint64_t ns)
{
    evloop_timer_set(st->u->loop, &st->again, clock_now_ns(st->u->clock) + ns);
}

/*
 * What is not wanted is not polled for: the end of a socket would be told for ever. io_uring tells
 * even of one direction's end, whatever is asked for: then a clock tells when to look for others.
 */
static void poll_for(struct unix_stream *st, uint32_t events)
{
    struct evloop *loop = st->u->loop;
    bool looks = st->is_half && events != 0 && (events & EPOLLIN) == 0;
    int err = 0;
    st->events = events;
    if (st->join_ns > 0) /* later */
        return;
    evloop_timer_cancel(loop, &st->again);
    if (events == 0 || looks)
        evloop_fd_del(loop, &st->ev);
    else if (st->ev.armed)
        err = evloop_fd_set(loop, &st->ev, events);
    else
        err = evloop_fd_add(loop, &st->ev, st->fd, events);
    if (err < 0 || looks)
        poll_later(st, err < 0 ? AGAIN_NS : LOOK_NS * (1 + st->u->count / LOOKS));
}

static void poll_again(void *ctx)
{
    struct unix_stream *st = ctx;
    if (st->join_ns > 0) {
        join(st);
        return;
    }
    struct pollfd p = {.fd = st->fd, .events = (short)st->events};
    if (st->is_half && poll(&p, 1, 0) > 0)
        on_event(st, (uint32_t)p.revents);
    else
        poll_for(st, st->events);
}

/* One of them, since the stream may be gone after it; the other is told in the next turn. */
static void on_event(void *ctx, uint32_t events)
{
    struct unix_stream *st = ctx;
    const struct vsock_handler *handler = st->u->b.handler;
    bool has_ended = (events & (EPOLLERR | EPOLLHUP)) != 0;
    if (!has_ended && (events & st->events) == 0) {
        st->is_half = true;
        poll_for(st, st->events);
        return;
    }
    if (st->waits) {
        handler->on_gone(st->s.conn);
        return;
    }
    if (has_ended)
        events = st->events;
    if (events & st->events & EPOLLOUT)
        handler->on_writable(st->s.conn);
    else if (events & st->events & EPOLLIN)
        handler->on_readable(st->s.conn);
}

static void close_now(struct unix_stream *st)
{
    st->u->count--;
    close_socket(st->fd, st->s.has_messages);
    free(st);
}

static void close_first(struct vsock_unix *u)
{
    struct unix_stream *st = TAILQ_FIRST(&u->closing);
    TAILQ_REMOVE(&u->closing, st, link);
    u->closing_count--;
    close_now(st);
}

static void close_more(void *ctx)
{
    struct vsock_unix *u = ctx;
    do
        close_first(u);
    while (u->closing_count > 0 && !evloop_turn_is_over(u->loop));
    if (u->closing_count > 0)
        evloop_defer(u->loop, &u->close_more);
}

/*
 * To close a socket takes up to a quarter of a millisecond, for all is read that the process has
 * sent. A guest that resets has thousands closed: those that a turn has no time for wait for
 * others.
 */
static void stream_close(struct vsock_stream *s)
{
    struct unix_stream *st = stream_of(s);
    struct vsock_unix *u = st->u;
    st->waits = false;
    st->join_ns = 0;
    poll_for(st, 0);
    if (u->closing_count == 0 && !evloop_turn_is_over(u->loop)) {
        close_now(st);
        return;
    }
    TAILQ_INSERT_TAIL(&u->closing, st, link);
    u->closing_count++;
    evloop_defer(u->loop, &u->close_more);
}

/* The other end may write no more, or has gone and reads nothing either. */
static ssize_t end_of(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0 ? -ECONNRESET : 0;
}

static ssize_t read_message(struct unix_stream *st, void *dst, size_t bytes)
{
    for (unsigned i = 0; i < EMPTY_MAX; i++) {
        ssize_t n = foreign_message_bytes(st->fd);
        if (n == -ENODATA)
            return end_of(st->fd);
        if (n < 0 || (size_t)n > bytes)
            return n == -EINTR ? -EAGAIN : n;
        n = recv(st->fd, dst, (size_t)n, MSG_DONTWAIT);
        if (n != 0)
            return n < 0 ? -errno : n;
    }
    return -EAGAIN;
}

static ssize_t stream_read(struct vsock_stream *s, void *dst, size_t bytes)
{
    struct unix_stream *st = stream_of(s);
    ssize_t n;
    if (st->join_ns > 0)
        return -EAGAIN;
    if (st->is_refused)
        return -ECONNRESET;
    if (s->has_messages)
        return read_message(st, dst, bytes);
    if (st->refuses) {
        n = recv(st->fd, dst, bytes, MSG_DONTWAIT);
        n = n < 0 ? -errno : n;
    } else {
        n = foreign_socket_receive(st->fd, dst, bytes, NULL);
    }
    if (n == 0)
        return end_of(st->fd);
    return n == -EINTR ? -EAGAIN : n;
}

/* The kernel takes no message that is longer than the socket's buffer, of which it says the half.
 */
static bool make_room(int fd, const struct iovec *iov, unsigned count)
{
    int bytes = 0;
    for (unsigned i = 0; i < count; i++)
        bytes += (int)iov[i].iov_len;
    return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0;
}

static ssize_t stream_write(struct vsock_stream *s, const struct iovec *iov, unsigned count)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};
    const struct unix_stream *st = stream_of(s);
    int fd = st->fd;
    if (st->join_ns > 0 || st->is_refused)
        return st->is_refused ? -ECONNRESET : 0;
    ssize_t n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EMSGSIZE && make_room(fd, iov, count))
        n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
}

static void stream_poll(struct vsock_stream *s, bool readable, bool writable)
{
    poll_for(stream_of(s), (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u));
}

static void stream_shut(struct vsock_stream *s)
{
    struct unix_stream *st = stream_of(s);
    if (st->join_ns > 0)
        st->is_shut = true;
    else
        shutdown(st->fd, SHUT_WR);
}

/* ---- the guest connects ---- */

/* -EAGAIN: the process has yet to accept as many as it has room for. */
static int connect_now(const struct vsock_unix *u, int fd, uint32_t host_port, bool has_messages)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    int bytes = snprintf(path, sizeof(path), "%s_%" PRIu32, u->path, host_port);
    if (bytes >= (int)sizeof(path))
        return -ENAMETOOLONG;
    int err = foreign_connect_now(fd, path);
    if (err < 0)
        return err;
    open_socket(fd, has_messages);
    return peer_check(fd, NULL);
}

static void join(struct unix_stream *st)
{
    int err = connect_now(st->u, st->fd, st->host_port, st->s.has_messages);
    if (err == -EAGAIN) {
        poll_later(st, st->join_ns);
        if (st->join_ns < JOIN_LAST_NS)
            st->join_ns *= 2;
        return;
    }
    st->join_ns = 0;
    st->is_refused = err < 0;
    if (st->is_shut || st->is_refused) /* the loop tells of a socket that is shut */
        shutdown(st->fd, st->is_refused ? SHUT_RDWR : SHUT_WR);
    poll_for(st, st->events);
}

static struct vsock_stream *connect_to(struct vsock_backend *b, uint32_t host_port,
                                       bool has_messages, void *conn)
{
    struct vsock_unix *u = unix_of(b);
    int type = has_messages ? SOCK_SEQPACKET : SOCK_STREAM;
    if (foreign_fds_left() >= FOREIGN_FDS_MAX || u->closing_count >= VSOCK_UNIX_CLOSING_MAX)
        return NULL;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return NULL;
    foreign_socket_refuse(fd);
    int err = connect_now(u, fd, host_port, has_messages);
    if (err < 0 && err != -EAGAIN) {
        close_socket(fd, has_messages);
        return NULL;
    }
    struct unix_stream *st = new_stream(u, fd, has_messages);
    if (st == NULL)
        return NULL;
    st->s.conn = conn;
    st->host_port = host_port;
    if (err == -EAGAIN) {
        st->join_ns = JOIN_FIRST_NS;
        poll_later(st, st->join_ns);
    }
    return &st->s;
}

/* ---- a process connects ---- */

static void stop_asking(struct unix_stream *st)
{
    TAILQ_REMOVE(&st->u->asking, st, link);
    st->u->asking_count--;
    poll_for(st, 0);
}

static void drop_asking(struct unix_stream *st)
{
    stop_asking(st);
    stream_close(&st->s);
}

/* "CONNECT PORT", in letters of either case; false: something else. */
static bool parse(const char *line, uint32_t *port)
{
    static const char word[] = "connect ";
    const char *number = line + strlen(word);
    char *end;
    if (strncasecmp(line, word, strlen(word)) != 0 || *number < '0' || *number > '9')
        return false;
    unsigned long value = strtoul(number, &end, 10);
    *port = (uint32_t)value;
    return *end == '\0' && value <= UINT32_MAX;
}

static void ask(struct unix_stream *st)
{
    const struct vsock_handler *handler = st->u->b.handler;
    uint32_t guest_port, host_port;
    st->line[st->line_bytes - 1] = '\0';
    bool is_right = handler != NULL && parse(st->line, &guest_port);
    stop_asking(st);
    st->ev.cb = on_event;
    st->s.conn =
        is_right ? handler->on_connect(handler->ctx, &st->s, guest_port, &host_port) : NULL;
    if (st->s.conn == NULL) {
        stream_close(&st->s);
        return;
    }
    st->waits = true;
    poll_for(st, EPOLLPRI); /* which never comes, but an end does */
}

/* The line is a message. */
static void on_first_message(void *ctx, uint32_t events)
{
    struct unix_stream *st = ctx;
    ssize_t n = foreign_message_bytes(st->fd);
    (void)events;
    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n > 0 && n <= (ssize_t)sizeof(st->line))
        n = recv(st->fd, st->line, (size_t)n, MSG_DONTWAIT);
    st->line_bytes = n > 0 && n <= (ssize_t)sizeof(st->line) ? (unsigned)n : 0;
    if (st->line_bytes > 0 && st->line[st->line_bytes - 1] == '\n')
        ask(st);
    else
        drop_asking(st);
}

/* Takes the line, and no byte of what follows it. */
static void on_line(void *ctx, uint32_t events)
{
    struct unix_stream *st = ctx;
    char *at = st->line + st->line_bytes;
    ssize_t n = recv(st->fd, at, sizeof(st->line) - st->line_bytes, MSG_PEEK | MSG_DONTWAIT);
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    const char *end = n > 0 ? memchr(at, '\n', (size_t)n) : NULL;
    n = n > 0 ? foreign_socket_receive(st->fd, at, end != NULL ? (size_t)(end - at) + 1 : (size_t)n,
                                       NULL)
              : -EPIPE;
    st->line_bytes += n > 0 ? (unsigned)n : 0;
    if (n > 0 && st->line[st->line_bytes - 1] == '\n')
        ask(st);
    else if (n <= 0 || st->line_bytes == sizeof(st->line))
        drop_asking(st);
}

/* The connection is older than the process's first byte of data: both come in order. */
static void accepted(struct vsock_stream *s, uint32_t host_port)
{
    struct unix_stream *st = stream_of(s);
    char line[LINE_BYTES];
    st->waits = false;
    poll_for(st, 0);
    int bytes = snprintf(line, sizeof(line), "OK %" PRIu32 "\n", host_port);
    (void)send(st->fd, line, (size_t)bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_accept(void *ctx, uint32_t events)
{
    struct unix_door *d = ctx;
    struct vsock_unix *u = d->u;
    (void)events;
    bool full = foreign_fds_left() >= FOREIGN_FDS_MAX;
    int fd = full ? -1 : accept4(d->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (full || (fd < 0 && errno != EAGAIN && errno != EINTR)) { /* ready until there is one */
        evloop_fd_del(u->loop, &d->listener);
        evloop_timer_set(u->loop, &d->again, clock_now_ns(u->clock) + AGAIN_NS);
    }
    if (fd < 0)
        return;
    open_socket(fd, d->has_messages);
    if (peer_check(fd, NULL) != 0) {
        close_socket(fd, d->has_messages);
        return;
    }
    struct unix_stream *st = new_stream(u, fd, d->has_messages);
    if (st == NULL)
        return;
    if (u->asking_count == VSOCK_UNIX_ASKING_MAX)
        drop_asking(TAILQ_FIRST(&u->asking));
    TAILQ_INSERT_TAIL(&u->asking, st, link);
    u->asking_count++;
    st->ev.cb = d->has_messages ? on_first_message : on_line;
    poll_for(st, EPOLLIN);
}

static int listen_now(struct unix_door *d)
{
    return evloop_fd_add(d->u->loop, &d->listener, d->socket.fd, EPOLLIN);
}

static void listen_again(void *ctx)
{
    struct unix_door *d = ctx;
    if (listen_now(d) < 0)
        evloop_timer_set(d->u->loop, &d->again, clock_now_ns(d->u->clock) + AGAIN_NS);
}

/* ---- life ---- */

static void destroy(struct vsock_backend *b)
{
    struct vsock_unix *u = unix_of(b);
    struct unix_stream *st, *next;
    for (st = TAILQ_FIRST(&u->asking); st != NULL; st = next) {
        next = TAILQ_NEXT(st, link);
        drop_asking(st);
    }
    while (u->closing_count > 0)
        close_first(u);
    evloop_defer_cancel(u->loop, &u->close_more);
    for (unsigned i = 0; i < DOORS; i++) {
        struct unix_door *d = &u->doors[i];
        evloop_timer_cancel(u->loop, &d->again);
        evloop_fd_del(u->loop, &d->listener);
        unix_unlisten(&d->socket);
    }
    free(u);
}

static const struct vsock_backend_ops unix_ops = {
    .connect = connect_to,
    .accepted = accepted,
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .shut = stream_shut,
    .close = stream_close,
    .destroy = destroy,
};

static int open_door(struct vsock_unix *u, unsigned index)
{
    struct unix_door *d = &u->doors[index];
    char path[sizeof(d->socket.addr.sun_path) + sizeof(VSOCK_UNIX_MESSAGES)];
    int type = d->has_messages ? SOCK_SEQPACKET : SOCK_STREAM;
    snprintf(path, sizeof(path), "%s%s", u->path, d->has_messages ? VSOCK_UNIX_MESSAGES : "");
    int err = unix_listen_as(&d->socket, type, path, BACKLOG);
    if (err == -EADDRINUSE)
        return fail(err, "vsock %s: listen; name another path", path);
    if (err == 0)
        err = listen_now(d);
    return err < 0 ? fail(err, "vsock %s", path) : 0;
}

int vsock_unix_create(struct vsock_backend **out, struct evloop *loop, const struct clock *clock,
                      const char *path)
{
    struct vsock_unix *u = calloc(1, sizeof(*u));
    int err = 0;
    if (u == NULL)
        return fail(-ENOMEM, "vsock %s", path);
    *u = (struct vsock_unix){
        .b.ops = &unix_ops, .b.has_messages = true, .loop = loop, .clock = clock, .path = path};
    TAILQ_INIT(&u->asking);
    TAILQ_INIT(&u->closing);
    u->close_more = (struct ev_defer){.cb = close_more, .ctx = u};
    for (unsigned i = 0; i < DOORS; i++) {
        struct unix_door *d = &u->doors[i];
        *d = (struct unix_door){.u = u, .has_messages = i == MESSAGES, .socket.fd = -1};
        d->listener = (struct ev_fd){.cb = on_accept, .ctx = d};
        d->again = (struct ev_timer){.cb = listen_again, .ctx = d};
    }
    (void)descriptors_allow();
    for (unsigned i = 0; err == 0 && i < DOORS; i++)
        err = open_door(u, i);
    if (err < 0) {
        destroy(&u->b);
        return err;
    }
    *out = &u->b;
    return 0;
}
