// SPDX-License-Identifier: BSD-2-Clause
/*
 * libslirp's descriptors and clocks on the loop. It is made to be asked before each sleep what to
 * poll, and told after it what is ready. Here that is a turn, which runs after whatever may have
 * changed its mind: a packet of the guest's, a socket that is ready, a timer, room in the queue.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/xmath.h"
#include "devices/net/user/net_user_impl.h"

#define NS_PER_MS       UINT64_C(1000000)
#define ACCEPT_AGAIN_NS (500 * NS_PER_MS)

/*
 * Otherwise nothing expires, and libslirp's clock may stand still: it counts the turns half a
 * second apart, not the time.
 */
static bool has_clocks(const struct net_user *u)
{
    return u->open > u->idle_open || u->clocks_ns > u->now_ns;
}

bool user_is_full(const struct net_user *u)
{
    return u->open >= u->idle_open + USER_SOCKETS;
}

/* More than half of the queue is taken: what comes in waits in the sockets. */
static bool is_congested(const struct net_user *u)
{
    return u->queue.used > u->queue.size / 2;
}

/* Datagrams may be for an address that libslirp asks for. (Streams of a few addresses stop by
 * themselves.) */
static bool asks(const struct net_user *u)
{
    return u->asks.until_ns > u->now_ns;
}

/* Peers that connect get no more than these: the others are for what the guest begins. */
static bool is_full_for_peers(const struct net_user *u)
{
    return u->open >= u->idle_open + USER_SOCKETS - USER_GUEST_SOCKETS;
}

/* When there are too many, peers from outside stay in the host's queue. */
static bool waits(const struct net_user *u, const struct user_fd *f)
{
    return is_congested(u) || ((f->datagrams || u->asks.strict) && asks(u)) ||
           (f->listens && (is_full_for_peers(u) || u->accepts_ns > u->now_ns));
}

static struct user_fd *fd_of(struct net_user *u, int fd)
{
    return fd >= 0 && (unsigned)fd < DESCRIPTORS_MAX ? &u->fds[fd] : NULL;
}

static void on_ready(void *ctx, uint32_t events)
{
    struct user_fd *f = ctx;
    f->ready |= events;
    evloop_defer(f->user->loop, &f->user->turn);
}

static void stop_polling(struct user_fd *f)
{
    if (f->polled != 0)
        evloop_fd_del(f->user->loop, &f->ev);
    f->polled = f->ready = f->held = 0;
}

/*
 * Its UDP sockets block, where a full buffer would hold up the loop. And it asks for ICMPv6 errors,
 * which come from any host and are of any type, and aborts at a type that it does not know.
 */
void user_register_fd(int fd, void *opaque)
{
    struct net_user *u = opaque;
    struct user_fd *f = fd_of(u, fd);
    if (f && f->open)
        return;
    user_outlet_lead(u, fd);
    const int off = 0;
    int listens = 0, type = 0;
    socklen_t len = sizeof(int);
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &off, sizeof(off));
    if (!f)
        return;
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    f->open = true;
    f->datagrams = type == SOCK_DGRAM;
    f->listens = listens != 0;
    f->user = u;
    u->open++;
}

/* Comes before the descriptor is closed. */
void user_unregister_fd(int fd, void *opaque)
{
    struct net_user *u = opaque;
    struct user_fd *f = fd_of(u, fd);
    if (!f || !f->open)
        return;
    stop_polling(f);
    f->open = false;
    f->turn = 0;
    u->open--;
}

static int add_poll(int fd, int events, void *opaque)
{
    struct net_user *u = opaque;
    struct user_fd *f = fd_of(u, fd);
    if (!f)
        return -1;
    user_register_fd(fd, u);
    f->turn = u->turns;
    f->reads = (events & SLIRP_POLL_IN) != 0;
    /*
     * Not SLIRP_POLL_PRI: a socket's wakeup names EPOLLPRI whatever has come, io_uring passes that
     * on, and libslirp would send all of it as urgent, of which a guest takes a byte out of the
     * stream. What is urgent comes with the rest.
     */
    f->wanted = ((events & SLIRP_POLL_IN) && !waits(u, f) ? EPOLLIN : 0u) |
                ((events & SLIRP_POLL_OUT) && !(u->asks.strict && asks(u)) ? EPOLLOUT : 0u);
    if (!f->listed) {
        f->listed = true;
        u->polled[u->polled_count++] = fd;
    }
    return fd;
}

/*
 * libslirp tells the guest when nothing can be received, and quotes what the guest has sent before
 * without asking whether there is such a thing: at a forwarded port a datagram with a wrong
 * checksum, which the kernel drops when it is read, would end it.
 */
static bool has_datagram(int fd)
{
    return recv(fd, NULL, 0, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

/* Without one for a peer's connection, libslirp would be told of that peer again and again. */
static bool has_descriptor(struct net_user *u, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0)
        close(copy);
    else
        u->accepts_ns = u->now_ns + ACCEPT_AGAIN_NS;
    return copy >= 0;
}

/*
 * libslirp reads at any event but EPOLLOUT, and aborts if its buffer is full: only a socket that
 * was asked for EPOLLIN is read, once. It notices the end of another one when it writes.
 */
static uint32_t to_tell(struct user_fd *f, int fd)
{
    uint32_t ready = f->ready;
    if ((ready & EPOLLIN) != 0 && f->datagrams && !has_datagram(fd))
        ready &= ~(uint32_t)EPOLLIN;
    if ((ready & EPOLLIN) != 0 && f->listens && !has_descriptor(f->user, fd))
        return 0;
    if (f->reads)
        f->reads = (ready & ~(uint32_t)EPOLLOUT) == 0;
    else if (ready != 0)
        ready = f->wanted & EPOLLOUT;
    return ready;
}

/*
 * What libslirp hears in a later turn: all, while it waits for an answer; and what it would read,
 * once this turn has filled the queue. Peers may make each of the sockets ready at once, and a
 * guest may have the data of each cut into segments of 32 bytes.
 */
static uint32_t to_hold(const struct net_user *u, uint32_t ready)
{
    if (u->asks.strict && asks(u))
        return ready;
    return is_congested(u) ? ready & ~(uint32_t)EPOLLOUT : 0;
}

static int get_ready(int fd, void *opaque)
{
    struct net_user *u = opaque;
    struct user_fd *f = &u->fds[fd];
    f->held = to_hold(u, f->ready);
    f->ready &= ~f->held;
    uint32_t ready = to_tell(f, fd);
    return ((ready & EPOLLIN) ? SLIRP_POLL_IN : 0) | ((ready & EPOLLOUT) ? SLIRP_POLL_OUT : 0) |
           ((ready & EPOLLERR) ? SLIRP_POLL_ERR : 0) | ((ready & EPOLLHUP) ? SLIRP_POLL_HUP : 0);
}

/* Polls what was asked for in this turn, and only that. */
static void apply(struct net_user *u, struct user_fd *f, int fd)
{
    uint32_t wanted = f->turn == u->turns ? f->wanted : 0;
    if (wanted == f->polled)
        return;
    if (wanted != 0 && f->polled != 0 && evloop_fd_set(u->loop, &f->ev, wanted) == 0) {
        f->polled = wanted;
        return;
    }
    stop_polling(f);
    f->ev = (struct ev_fd){.cb = on_ready, .ctx = f};
    if (wanted != 0 && evloop_fd_add(u->loop, &f->ev, fd, wanted) == 0)
        f->polled = wanted;
}

static void fill(struct net_user *u)
{
    uint32_t wait_ms = UINT32_MAX;
    unsigned kept = 0;
    u->turns++;
    u->call.pollfds_fill(u->slirp, &wait_ms, add_poll, u);
    for (unsigned i = 0; i < u->polled_count; i++) {
        int fd = u->polled[i];
        struct user_fd *f = &u->fds[fd];
        apply(u, f, fd);
        f->listed = f->turn == u->turns;
        if (f->listed)
            u->polled[kept++] = fd;
    }
    u->polled_count = kept;
    uint64_t due_ns = asks(u) ? u->asks.until_ns : UINT64_MAX;
    if (u->accepts_ns > u->now_ns)
        due_ns = min_u64(due_ns, u->accepts_ns);
    if (has_clocks(u))
        due_ns = min_u64(due_ns, u->now_ns + wait_ms * NS_PER_MS);
    if (due_ns != UINT64_MAX)
        evloop_timer_set(u->loop, &u->timer, due_ns);
    else
        evloop_timer_cancel(u->loop, &u->timer);
}

/* libslirp knows the time only from here: with an old one a new socket would expire at once. */
static void poll_all(struct net_user *u)
{
    u->call.pollfds_poll(u->slirp, 0, get_ready, u);
    for (unsigned i = 0; i < u->polled_count; i++) {
        struct user_fd *f = &u->fds[u->polled[i]];
        f->ready = f->held;
        f->held = 0;
    }
}

uint64_t user_catch_up(struct net_user *u)
{
    uint64_t polled_ms = u->now_ns / NS_PER_MS;
    u->now_ns = clock_now_ns(u->clock);
    if (u->now_ns / NS_PER_MS != polled_ms)
        poll_all(u);
    return u->now_ns;
}

void user_turn(struct net_user *u)
{
    u->now_ns = clock_now_ns(u->clock);
    poll_all(u);
    fill(u);
}

void user_poll_end(struct net_user *u)
{
    for (unsigned i = 0; i < u->polled_count; i++)
        stop_polling(&u->fds[u->polled[i]]);
    u->polled_count = 0;
}
