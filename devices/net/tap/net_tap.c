// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/tap/net_tap.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/ring_rules.h"
#include "core/memory/iobuf.h"
#include "devices/net/tap/net_tap_impl.h"

/* More than the queue of a tap ever holds (txqueuelen is 1000). */
#define STALE_MAX 4096u

/* Several packets for one system call: see struct net_tap_batch. */
#define BATCH_PACKETS 16u /* see VIRTIO_TURN_CHAINS */
#define BATCH_WORTH   4u  /* fewer are as fast without the ring */
#define BATCH_VECTORS 320u
#define SHORT_BYTES   256u /* to copy so much costs less than to have the kernel take two vectors */

/* Packets before they are asked for: see struct net_tap_ahead. */
#define SMALL_BYTES 2048u
#define DOUBTS      4u /* so many after a large one */

/* Not a multiple of a page, which would have them compete for places in the cache. */
#define PLACE_BYTES ((NET_PACKET_MAX + 127u) & ~63u)

#define TUN_MAJOR 10u
#define TUN_MINOR 200u

/*
 * A list of packets that were sent and have not left yet, all of one pair. To enter the kernel
 * costs as much as a small packet does there. An io_uring takes the packets of a turn of the
 * device's at once; what it is given is done, in order, when the call returns.
 */
struct net_tap_batch {
    struct io_uring ring;
    const struct net_tap_pair *pair; /* of the packets in the list */
    unsigned count, vectors;
    struct {
        uint8_t start[SHORT_BYTES]; /* the header, or all of it */
        unsigned first, count;      /* vectors */
    } packets[BATCH_PACKETS];
    struct iovec iov[BATCH_VECTORS];
};

/*
 * Packets of a pair that have been read and not been asked for. While packets are small, to copy
 * one costs less than to enter the kernel for it with as many vectors as the largest would need: so
 * several are read at once, to places of ours. Large ones go where they belong.
 *
 *   packets come small, and more of them than were read      twice as many the next time
 *   the host has no more                                     one at a time
 *   a large one comes                                        none, until some have been small
 */
struct net_tap_ahead {
    unsigned first, count; /* places with packets, or without */
    unsigned next;         /* how many to read then */
    unsigned doubts;
    int bytes[BATCH_PACKETS]; /* negative: no packet */
    uint8_t places[BATCH_PACKETS][PLACE_BYTES];
};

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

/* ---- packets to the host ---- */

/* Hands in what is in the ring, and waits for it. A caller that wants results has numbered them
 * from 1. */
static void run(struct net_tap_batch *batch, unsigned left, int *results)
{
    while (left > 0) {
        int n = io_uring_submit_and_wait(&batch->ring, left);
        struct io_uring_cqe *cqe;
        unsigned head, done = 0;
        io_uring_for_each_cqe(&batch->ring, head, cqe)
        {
            done++;
            if (results != NULL && cqe->user_data > 0)
                results[cqe->user_data - 1] = cqe->res;
        }
        io_uring_cq_advance(&batch->ring, done);
        left -= done < left ? done : left;
        if (n < 0 && n != -EINTR && n != -EAGAIN && n != -EBUSY)
            break;
    }
}

/* What the kernel refuses is lost, as it is by tap_send(). */
static void batch_flush(struct net_tap_batch *batch)
{
    bool worth = batch->count >= BATCH_WORTH;
    for (unsigned i = 0; i < batch->count; i++) {
        const struct iovec *iov = batch->iov + batch->packets[i].first;
        unsigned count = batch->packets[i].count;
        struct io_uring_sqe *sqe = worth ? io_uring_get_sqe(&batch->ring) : NULL;
        if (sqe == NULL) {
            (void)!writev(batch->pair->fd, iov, (int)count);
            continue;
        }
        if (count == 1)
            io_uring_prep_write(sqe, (int)batch->pair->index, iov->iov_base, (unsigned)iov->iov_len,
                                0);
        else
            io_uring_prep_writev(sqe, (int)batch->pair->index, iov, count, 0);
        sqe->flags = IOSQE_FIXED_FILE;
    }
    if (worth)
        run(batch, batch->count, NULL);
    batch->count = batch->vectors = 0;
}

/* False: nothing is in the list now, and the packet does not fit there. */
static bool batch_add(struct net_tap_batch *batch, const struct net_tap_pair *pair,
                      const struct iovec *iov, unsigned count)
{
    bool fits = count > 0 && count <= BATCH_VECTORS && iov[0].iov_len == NET_HEADER_BYTES;
    if (!fits || batch->pair != pair || batch->count == BATCH_PACKETS ||
        batch->vectors + count > BATCH_VECTORS)
        batch_flush(batch);
    if (!fits)
        return false;
    unsigned i = batch->count++;
    struct iovec *at = batch->iov + batch->vectors;
    struct iobuf packet = iobuf_init(iov, count);
    memcpy(at, iov, count * sizeof(*iov));
    at[0].iov_base = batch->packets[i].start;
    if (packet.left <= SHORT_BYTES) {
        at[0].iov_len = packet.left;
        count = 1;
    }
    iobuf_get(&packet, at[0].iov_base, at[0].iov_len);
    batch->packets[i].first = batch->vectors;
    batch->packets[i].count = count;
    batch->vectors += count;
    batch->pair = pair;
    return true;
}

static int tap_send(struct net_backend *b, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct net_tap *tap = of(b);
    struct net_tap_pair *p = &tap->pairs[pair];
    if (tap->batch != NULL && b->handler.keeps && batch_add(tap->batch, p, iov, count))
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
        batch_flush(tap->batch);
}

/* ---- packets from the host ---- */

/*
 * A process that has the descriptor, too, may clear its O_NONBLOCK at any time. By name a tap is
 * Minivet's alone; and kernels before Linux 6.4 would take two calls.
 */
static ssize_t read_now(const struct net_tap_pair *p, const struct iovec *iov, int count)
{
    ssize_t n = p->tap->is_shared ? preadv2(p->fd, iov, count, -1, RWF_NOWAIT) : -1;
    bool is_refused = !p->tap->is_shared || (n < 0 && errno == EOPNOTSUPP);
    return is_refused ? readv(p->fd, iov, count) : n;
}

/* Reads a packet to each place, and notes its length or a negative errno. */
static void read_many(struct net_tap_batch *batch, const struct net_tap_pair *pair,
                      struct net_tap_ahead *a)
{
    for (unsigned i = 0; i < a->count; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&batch->ring);
        a->bytes[i] = -EAGAIN;
        if (sqe == NULL)
            continue;
        io_uring_prep_read(sqe, (int)pair->index, a->places[i], PLACE_BYTES, 0);
        sqe->flags = IOSQE_FIXED_FILE;
        sqe->rw_flags = RWF_NOWAIT; /* O_NONBLOCK alone would not do */
        io_uring_sqe_set_data64(sqe, i + 1);
    }
    run(batch, a->count, a->bytes);
}

static void fill(struct net_tap_ahead *a, const struct net_tap_pair *p)
{
    struct net_tap_batch *batch = p->tap->batch;
    bool many = batch != NULL && a->next >= BATCH_WORTH;
    a->first = 0;
    a->count = many ? a->next : 1;
    if (many)
        read_many(batch, p, a);
    else
        a->bytes[0] = (int)read_now(p, &(struct iovec){a->places[0], PLACE_BYTES}, 1);
    bool dry = a->bytes[a->count - 1] < 0;
    a->next = dry ? 1 : (unsigned)min_u64(2 * a->next, BATCH_PACKETS);
}

static void note(struct net_tap_ahead *a, size_t bytes)
{
    if (bytes > SMALL_BYTES)
        a->doubts = DOUBTS;
    else if (a->doubts > 0)
        a->doubts--;
}

/* The next packet that was read ahead, or is now. */
static ssize_t read_ahead(const struct net_tap_pair *p, const struct iovec *iov, unsigned count)
{
    struct net_tap_ahead *a = p->ahead;
    for (bool filled = false; a->first == a->count || a->bytes[a->first] < 0;) {
        if (a->first < a->count) {
            a->first++;
            continue;
        }
        if (filled)
            return -EAGAIN;
        fill(a, p);
        filled = true;
    }
    struct iobuf buf = iobuf_init(iov, count);
    size_t bytes = (size_t)a->bytes[a->first];
    const uint8_t *place = a->places[a->first++];
    note(a, bytes);
    return buf.left >= bytes ? (ssize_t)iobuf_put(&buf, place, bytes) : -EMSGSIZE;
}

/*
 * A tap cuts what is too long and does not say so. Vectors that could hold any packet need no
 * care; others get a byte more than they have, which is only ever written to by what is too long.
 */
static ssize_t read_one(const struct net_tap_pair *p, const struct iovec *iov, unsigned count)
{
    struct net_tap *tap = p->tap;
    uint8_t beyond;
    size_t room = 0;
    for (unsigned i = 0; i < min_u64(count, IOV_MAX - 1) && room < NET_PACKET_MAX; i++)
        room += iov[i].iov_len;
    if (room >= NET_PACKET_MAX)
        return read_now(p, iov, (int)count);
    count = (unsigned)min_u64(count, IOV_MAX - 1);
    memcpy(tap->iov, iov, count * sizeof(*iov));
    tap->iov[count] = (struct iovec){.iov_base = &beyond, .iov_len = 1};
    ssize_t n = read_now(p, tap->iov, (int)count + 1);
    if (n > (ssize_t)room || (n < 0 && errno == EINVAL)) /* ... or shorter than a header */
        return -EMSGSIZE;
    return n;
}

static ssize_t tap_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                           unsigned count)
{
    struct net_tap_pair *p = &of(b)->pairs[pair];
    struct net_tap_ahead *a = p->ahead;
    ssize_t n;
    if (a->first < a->count || a->doubts == 0) {
        n = read_ahead(p, iov, count);
    } else {
        n = read_one(p, iov, count);
        if (n >= 0)
            note(a, (size_t)n);
    }
    if (n >= 0 || n == -EMSGSIZE)
        return n;
    /* Any error says that there is no packet, or no interface, which EPOLLERR tells too. */
    if (!p->tap->gone)
        want(p, EPOLLIN);
    return -EAGAIN;
}

/* Packets that were made for more offloads than there are now. */
static void drop_stale(struct net_tap_pair *p)
{
    uint8_t start[NET_HEADER_BYTES];
    const struct iovec iov = {start, sizeof(start)};
    p->ahead->first = p->ahead->count = 0;
    for (unsigned i = 0; i < STALE_MAX && read_now(p, &iov, 1) > 0; i++)
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
    p->ahead->first = p->ahead->count = 0;
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

/*
 * Other kinds of taps would be written to by several of the kernel's threads, in any order; and one
 * that is ever full could not say so in time.
 */
static bool is_suitable(const struct net_tap *tap)
{
    for (unsigned i = 0; i < tap->b.info.pairs; i++) {
        struct stat st;
        int room;
        int fd = tap->pairs[i].fd;
        if (fstat(fd, &st) != 0 || st.st_rdev != makedev(TUN_MAJOR, TUN_MINOR) ||
            ioctl(fd, TUNGETSNDBUF, &room) != 0 || room != INT_MAX)
            return false;
    }
    return strcmp(evloop_engine(tap->loop), "io_uring") == 0;
}

static void batch_destroy(struct net_tap_batch *batch)
{
    if (batch == NULL)
        return;
    (void)io_uring_unregister_files(&batch->ring); /* a ring ends later than this call */
    io_uring_queue_exit(&batch->ring);
    free(batch);
}

/* NULL where the host cannot: then packets leave one by one. */
static struct net_tap_batch *batch_create(const struct net_tap *tap)
{
    struct net_tap_batch *batch = is_suitable(tap) ? calloc(1, sizeof(*batch)) : NULL;
    if (batch == NULL)
        return NULL;
    int fds[NET_TAP_PAIRS_MAX];
    for (unsigned i = 0; i < tap->b.info.pairs; i++)
        fds[i] = tap->pairs[i].fd;
    if (io_uring_queue_init(BATCH_PACKETS, &batch->ring,
                            IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED) != 0) {
        free(batch);
        return NULL;
    }
    if (io_uring_register_files(&batch->ring, fds, tap->b.info.pairs) != 0 ||
        ring_restrict(&batch->ring, IOSQE_FIXED_FILE) != 0 ||
        io_uring_enable_rings(&batch->ring) != 0) {
        batch_destroy(batch);
        return NULL;
    }
    return batch;
}

static void close_all(struct net_tap *tap)
{
    net_link_fini(&tap->link);
    batch_destroy(tap->batch);
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
        tap->pairs[i].ahead = calloc(1, sizeof(*tap->pairs[i].ahead));
        if (tap->pairs[i].ahead == NULL)
            return fail(-ENOMEM, "tap %s", tap->link.name);
        tap->pairs[i].ahead->next = 1;
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
    tap->batch = batch_create(tap);
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
    tap->is_shared = config->name == NULL;
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
