// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/tap/net_tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "devices/net/tap/net_tap_impl.h"

/* More than the queue of a tap ever holds (txqueuelen is 1000). */
#define STALE_MAX 4096u

static struct net_tap *of(struct net_backend *b)
{
    return container_of(b, struct net_tap, b);
}

/* ---- waiting ---- */

/*
 * A descriptor stays with the loop all the time, if only for EPOLLERR. What it waits for is changed
 * as seldom as possible: outside of a callback that costs a system call.
 */
static void want(struct net_tap_pair *p, uint32_t event)
{
    p->wanted |= event;
    if ((p->polled & event) != 0)
        return;
    p->polled |= event;
    (void)evloop_fd_set(p->tap->loop, &p->ev, p->polled);
}

static void lose(struct net_tap *tap)
{
    tap->gone = true;
    for (unsigned i = 0; i < tap->b.info.pairs; i++)
        evloop_fd_del(tap->loop, &tap->pairs[i].ev);
    log_warn("tap %s: the interface has gone; the guest's link is down", tap->link.name);
    net_set_link(&tap->b, false);
}

static void on_ready(void *ctx, uint32_t events)
{
    struct net_tap_pair *p = ctx;
    uint32_t due = events & p->wanted;
    if ((events & EPOLLERR) != 0) {
        lose(p->tap);
        return;
    }
    p->wanted &= ~due;
    if ((due & EPOLLIN) != 0)
        net_tell_rx(&p->tap->b, p->index);
    if ((due & EPOLLOUT) != 0)
        net_tell_writable(&p->tap->b, p->index);
    if (p->wanted != p->polled)
        (void)evloop_fd_set(p->tap->loop, &p->ev, p->polled = p->wanted);
}

static void on_link(void *ctx)
{
    struct net_tap *tap = ctx;
    net_set_link(&tap->b, tap->link.up && !tap->gone);
}

/* ---- packets ---- */

static int tap_send(struct net_backend *b, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct net_tap *tap = of(b);
    struct net_tap_pair *p = &tap->pairs[pair];
    if (tap->batch != NULL && b->handler.keeps && net_tap_batch_add(tap->batch, p, iov, count))
        return 0;
    /* The kernel refuses what makes no sense, and all while the interface is down. */
    if (writev(p->fd, iov, (int)count) >= 0 || errno != EAGAIN)
        return 0;
    want(p, EPOLLOUT);
    return -EAGAIN;
}

static void tap_flush(struct net_backend *b, unsigned pair)
{
    struct net_tap *tap = of(b);
    (void)pair;
    if (tap->batch != NULL)
        net_tap_batch_flush(tap->batch);
}

/*
 * A tap cuts what is too long and does not say so. Vectors that could hold any packet need no
 * care; others get a byte more than they have, which is only ever written to by what is too long.
 */
static ssize_t read_short(struct net_tap *tap, int fd, const struct iovec *iov, unsigned count,
                          size_t room)
{
    uint8_t beyond;
    count = (unsigned)min_u64(count, IOV_MAX - 1);
    memcpy(tap->iov, iov, count * sizeof(*iov));
    tap->iov[count] = (struct iovec){.iov_base = &beyond, .iov_len = 1};
    ssize_t n = readv(fd, tap->iov, (int)count + 1);
    if (n > (ssize_t)room || (n < 0 && errno == EINVAL)) /* ... or shorter than a header */
        return -EMSGSIZE;
    return n;
}

/* Any error says that there is no packet, or no interface, which EPOLLERR tells too. */
static int nothing(struct net_tap_pair *p)
{
    if (!p->tap->gone)
        want(p, EPOLLIN);
    return -EAGAIN;
}

static ssize_t tap_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                           unsigned count)
{
    struct net_tap *tap = of(b);
    struct net_tap_pair *p = &tap->pairs[pair];
    if (net_tap_ahead_wants(p->ahead)) {
        ssize_t n = net_tap_ahead_receive(p, iov, count);
        return n != -EAGAIN ? n : nothing(p);
    }
    size_t room = 0;
    for (unsigned i = 0; i < min_u64(count, IOV_MAX - 1) && room < NET_PACKET_MAX; i++)
        room += iov[i].iov_len;
    ssize_t n = room < NET_PACKET_MAX ? read_short(tap, p->fd, iov, count, room)
                                      : readv(p->fd, iov, (int)count);
    if (n >= 0)
        net_tap_ahead_note(p->ahead, (size_t)n);
    return n >= 0 || n == -EMSGSIZE ? n : nothing(p);
}

/* Packets that were made for more offloads than there are now. */
static void drop_stale(struct net_tap_pair *p)
{
    uint8_t start[NET_HEADER_BYTES];
    net_tap_ahead_drop(p->ahead);
    for (unsigned i = 0; i < STALE_MAX && read(p->fd, start, sizeof(start)) > 0; i++)
        ;
}

static void tap_set_offloads(struct net_backend *b, unsigned to_guest)
{
    struct net_tap *tap = of(b);
    bool fewer = (tap->offloads & ~to_guest) != 0;
    if (tap->gone || tap->offloads == to_guest)
        return;
    if (ioctl(tap->pairs[0].fd, TUNSETOFFLOAD, net_tap_offload_flags(to_guest)) != 0)
        log_warn("tap %s: offloads: %s", tap->link.name, strerror(errno));
    tap->offloads = to_guest;
    for (unsigned i = 0; fewer && i < tap->attached; i++)
        drop_stale(&tap->pairs[i]);
}

/* ---- pairs ---- */

static int attach(struct net_tap_pair *p, bool on)
{
    struct ifreq ifr = {.ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};
    net_tap_ahead_drop(p->ahead);
    return ioctl(p->fd, TUNSETQUEUE, &ifr) == 0 ? 0 : -errno;
}

static int attach_first(struct net_tap *tap, unsigned pairs)
{
    int err = 0;
    for (; err == 0 && tap->attached < pairs; tap->attached += err == 0)
        err = attach(&tap->pairs[tap->attached], true);
    for (; err == 0 && tap->attached > pairs; tap->attached -= err == 0)
        err = attach(&tap->pairs[tap->attached - 1], false);
    return err;
}

/* If it fails nothing has changed: packets that came to more queues would not be read. */
static int tap_set_pairs(struct net_backend *b, unsigned pairs)
{
    struct net_tap *tap = of(b);
    unsigned before = tap->attached;
    if (pairs == 0 || pairs > b->info.pairs)
        return -EINVAL;
    int err = attach_first(tap, pairs);
    if (err != 0)
        (void)attach_first(tap, before);
    return err;
}

/* ---- life ---- */

static void close_all(struct net_tap *tap)
{
    net_link_fini(&tap->link);
    net_tap_batch_destroy(tap->batch);
    for (unsigned i = 0; i < NET_TAP_PAIRS_MAX; i++) {
        evloop_fd_del(tap->loop, &tap->pairs[i].ev);
        if (tap->pairs[i].fd >= 0)
            close(tap->pairs[i].fd);
        free(tap->pairs[i].ahead);
    }
    free(tap);
}

static void tap_destroy(struct net_backend *b)
{
    close_all(of(b));
}

static const struct net_backend_ops tap_ops = {
    .send = tap_send,
    .flush = tap_flush,
    .receive = tap_receive,
    .set_offloads = tap_set_offloads,
    .set_pairs = tap_set_pairs,
    .destroy = tap_destroy,
};

/* An interface that is not in this network namespace is only known by its descriptor: it is up. */
static void watch_link(struct net_tap *tap)
{
    struct net_info *info = &tap->b.info;
    struct ifreq ours = {0}, theirs = {0};
    memcpy(theirs.ifr_name, tap->link.name, IF_NAMESIZE);
    info->link_up = true;
    if (net_link_init(&tap->link) != 0)
        return;
    if (ioctl(tap->pairs[0].fd, SIOCGIFHWADDR, &ours) != 0 ||
        ioctl(tap->link.events.fd, SIOCGIFHWADDR, &theirs) != 0 ||
        memcmp(&ours.ifr_hwaddr, &theirs.ifr_hwaddr, sizeof(ours.ifr_hwaddr)) != 0) {
        net_link_fini(&tap->link);
        return;
    }
    info->link_up = tap->link.up;
    info->mtu_bytes = tap->link.mtu_bytes;
    if (!info->link_up)
        log_warn("tap %s: the interface is down (sudo ip link set %s up)", tap->link.name,
                 tap->link.name);
}

/* All pairs are with the interface when they have been opened, and the first is wanted. */
static int start(struct net_tap *tap)
{
    tap->attached = tap->b.info.pairs;
    for (unsigned i = 0; i < tap->b.info.pairs; i++) {
        tap->pairs[i].ahead = net_tap_ahead_create();
        if (tap->pairs[i].ahead == NULL)
            return fail(-ENOMEM, "tap %s", tap->link.name);
    }
    int err = tap_set_pairs(&tap->b, 1);
    if (err != 0)
        return fail(err, "tap %s: queues", tap->link.name);
    for (unsigned i = 0; i < tap->b.info.pairs; i++) {
        struct net_tap_pair *p = &tap->pairs[i];
        p->ev = (struct ev_fd){.cb = on_ready, .ctx = p};
        err = evloop_fd_add(tap->loop, &p->ev, p->fd, 0);
        if (err != 0)
            return fail(err, "tap %s", tap->link.name);
    }
    tap->batch = net_tap_batch_create(tap);
    watch_link(tap);
    return 0;
}

int net_tap_create(struct net_backend **out, const struct net_tap_config *config)
{
    if (config->pairs == 0 || config->pairs > NET_TAP_PAIRS_MAX)
        return fail_msg(-EINVAL, "tap: it has 1 to %u queues", NET_TAP_PAIRS_MAX);
    struct net_tap *tap = calloc(1, sizeof(*tap));
    if (tap == NULL)
        return fail(-ENOMEM, "tap");
    tap->b = (struct net_backend){.ops = &tap_ops, .info.pairs = config->pairs};
    tap->loop = config->loop;
    tap->link = (struct net_link){.loop = config->loop, .on_change = on_link, .ctx = tap};
    for (unsigned i = 0; i < NET_TAP_PAIRS_MAX; i++)
        tap->pairs[i] = (struct net_tap_pair){.tap = tap, .index = i, .fd = -1};
    int err = config->name != NULL ? net_tap_open_name(tap, config->name, config->pairs)
                                   : net_tap_open_fds(tap, config->fds, config->pairs);
    if (err == 0)
        err = net_tap_set_up(tap);
    if (err == 0)
        err = start(tap);
    if (err == 0) {
        *out = &tap->b;
        return 0;
    }
    for (unsigned i = 0; config->name == NULL && i < config->pairs; i++)
        tap->pairs[i].fd = -1; /* still the caller's */
    close_all(tap);
    return err;
}

int net_tap_fd(const struct net_backend *b, unsigned pair)
{
    return container_of(b, const struct net_tap, b)->pairs[pair].fd;
}
