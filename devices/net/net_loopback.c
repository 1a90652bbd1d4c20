// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/net_loopback.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/net.h"
#include "devices/net/net_frame.h"
#include "devices/net/net_queue.h"

#define QUEUE_BYTES (512 * KIB)

struct net_loopback {
    struct net_backend b;
    struct evloop *loop;
    struct net_queue queue;
    struct ev_defer tell;
    unsigned to_guest;
    bool starved; /* receive() had nothing */
    bool full;    /* send() had no room */
};

static struct net_loopback *loopback_of(struct net_backend *b)
{
    return container_of(b, struct net_loopback, b);
}

static void tell(void *ctx)
{
    struct net_loopback *l = ctx;
    if (l->starved && l->queue.count > 0) {
        l->starved = false;
        net_tell_rx(&l->b, 0);
    }
    if (l->full && l->queue.count == 0) {
        l->full = false;
        net_tell_writable(&l->b, 0);
    }
}

/* Whether the driver takes the packet, once its checksum is filled in if it has to be. */
static bool suits(const struct net_loopback *l, uint8_t *packet, size_t bytes)
{
    unsigned type = packet[NET_HDR_GSO_TYPE] & ~NET_GSO_ECN;
    unsigned needs = type == NET_GSO_TCPV4 ? NET_TSO4 : type == NET_GSO_TCPV6 ? NET_TSO6 : 0;
    if (type != NET_GSO_NONE && (needs == 0 || (l->to_guest & needs) == 0))
        return false;
    if ((packet[NET_HDR_GSO_TYPE] & NET_GSO_ECN) != 0 && (l->to_guest & NET_ECN) == 0)
        return false;
    return (l->to_guest & NET_CSUM) != 0 || net_frame_fill_csum(packet, bytes) == 0;
}

static int net_loopback_send(struct net_backend *b, unsigned pair, const struct iovec *iov,
                             unsigned count)
{
    struct net_loopback *l = loopback_of(b);
    (void)pair;
    uint8_t *packet = net_queue_reserve(&l->queue, NET_PACKET_MAX);
    if (!packet) {
        l->full = true;
        return -EAGAIN;
    }
    ssize_t bytes = net_frame_copy(packet, iov, count);
    if (bytes < 0 || !suits(l, packet, (size_t)bytes))
        return 0;
    net_queue_commit(&l->queue, (uint32_t)bytes, 0);
    if (l->starved)
        evloop_defer(l->loop, &l->tell);
    return 0;
}

static ssize_t net_loopback_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                                    unsigned count)
{
    struct net_loopback *l = loopback_of(b);
    (void)pair;
    ssize_t bytes = net_queue_receive(&l->queue, iov, count);
    if (bytes == -EAGAIN)
        l->starved = true;
    if (l->full && l->queue.count == 0)
        evloop_defer(l->loop, &l->tell);
    return bytes;
}

static void net_loopback_set_offloads(struct net_backend *b, unsigned to_guest)
{
    loopback_of(b)->to_guest = to_guest;
}

static void net_loopback_destroy(struct net_backend *b)
{
    struct net_loopback *l = loopback_of(b);
    evloop_defer_cancel(l->loop, &l->tell);
    net_queue_fini(&l->queue);
    free(l);
}

static const struct net_backend_ops net_loopback_ops = {
    .send = net_loopback_send,
    .receive = net_loopback_receive,
    .set_offloads = net_loopback_set_offloads,
    .destroy = net_loopback_destroy,
};

int net_loopback_create(struct net_backend **out, struct evloop *loop)
{
    const unsigned offloads = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN;
    struct net_loopback *l = calloc(1, sizeof(*l));
    if (!l || net_queue_init(&l->queue, QUEUE_BYTES) < 0) {
        free(l);
        return fail(-ENOMEM, "network loopback");
    }
    l->b.ops = &net_loopback_ops;
    l->b.info =
        (struct net_info){.to_host = offloads, .to_guest = offloads, .pairs = 1, .link_up = true};
    l->loop = loop;
    l->tell = (struct ev_defer){.cb = tell, .ctx = l};
    *out = &l->b;
    return 0;
}
