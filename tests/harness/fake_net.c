// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/fake_net.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/iobuf.h"

static struct fake_net *net_of(struct net_backend *b)
{
    return container_of(b, struct fake_net, backend);
}

static struct fake_packet *make_packet(uint64_t bytes)
{
    struct fake_packet *packet = calloc(1, sizeof(*packet) + bytes);
    BUG_ON(packet == NULL);
    packet->bytes = (uint32_t)bytes;
    return packet;
}

static int net_send(struct net_backend *b, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct fake_net_pair *p = &net_of(b)->pairs[pair];
    BUG_ON(pair >= net_of(b)->pairs_used);
    p->sends++;
    p->vectors = count;
    if (p->room == 0) {
        p->owes_writable = true;
        return -EAGAIN;
    }
    p->room--;
    struct iobuf from = iobuf_init(iov, count);
    struct fake_packet *packet = make_packet(from.left);
    iobuf_get(&from, packet->data, packet->bytes);
    *p->sent_tail = packet;
    p->sent_tail = &packet->next;
    p->sent_count++;
    return 0;
}

static void net_flush(struct net_backend *b, unsigned pair)
{
    net_of(b)->pairs[pair].flushes++;
}

static ssize_t net_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                           unsigned count)
{
    struct fake_net_pair *p = &net_of(b)->pairs[pair];
    BUG_ON(pair >= net_of(b)->pairs_used || count > IOV_MAX);
    p->receives++;
    p->vectors = count;
    struct fake_packet *packet = p->waiting;
    if (packet == NULL) {
        p->owes_rx = true;
        return -EAGAIN;
    }
    p->waiting = packet->next;
    if (p->waiting == NULL)
        p->waiting_tail = &p->waiting;
    p->waiting_count--;
    struct iobuf to = iobuf_init(iov, count);
    ssize_t got = to.left < packet->bytes ? -EMSGSIZE : (ssize_t)packet->bytes;
    iobuf_put(&to, packet->data, packet->bytes);
    free(packet);
    return got;
}

static void net_set_offloads(struct net_backend *b, unsigned to_guest)
{
    net_of(b)->offloads = to_guest;
}

static int net_set_pairs(struct net_backend *b, unsigned pairs)
{
    struct fake_net *net = net_of(b);
    BUG_ON(pairs == 0 || pairs > FAKE_NET_PAIRS);
    if (net->refuse_pairs == 0)
        net->pairs_used = pairs;
    return net->refuse_pairs;
}

/* It is a part of something else, which ends it by fake_net_fini(). */
static void net_destroy(struct net_backend *b)
{
    (void)b;
}

static const struct net_backend_ops ops = {
    .send = net_send,
    .flush = net_flush,
    .receive = net_receive,
    .set_offloads = net_set_offloads,
    .set_pairs = net_set_pairs,
    .destroy = net_destroy,
};

void fake_net_init(struct fake_net *net)
{
    const unsigned all = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN | NET_UFO | NET_USO;
    *net = (struct fake_net){
        .backend =
            {
                .ops = &ops,
                .info =
                    {
                        .to_host = all,
                        .to_guest = all,
                        .pairs = FAKE_NET_PAIRS,
                        .mtu_bytes = 1500,
                        .speed_mbps = 10000,
                        .link_up = true,
                    },
            },
        .pairs_used = 1,
    };
    for (unsigned i = 0; i < FAKE_NET_PAIRS; i++) {
        net->pairs[i].sent_tail = &net->pairs[i].sent;
        net->pairs[i].waiting_tail = &net->pairs[i].waiting;
        net->pairs[i].room = UINT_MAX;
    }
}

static void free_packets(struct fake_packet *packet)
{
    while (packet != NULL) {
        struct fake_packet *next = packet->next;
        free(packet);
        packet = next;
    }
}

void fake_net_fini(struct fake_net *net)
{
    for (unsigned i = 0; i < FAKE_NET_PAIRS; i++) {
        free_packets(net->pairs[i].sent);
        free_packets(net->pairs[i].waiting);
    }
}

void fake_net_arrive(struct fake_net *net, unsigned pair, const void *packet, uint32_t bytes)
{
    struct fake_net_pair *p = &net->pairs[pair];
    struct fake_packet *copy = make_packet(bytes);
    memcpy(copy->data, packet, bytes);
    *p->waiting_tail = copy;
    p->waiting_tail = &copy->next;
    p->waiting_count++;
    if (!p->owes_rx || net->backend.handler.on_rx == NULL)
        return;
    p->owes_rx = false;
    net->backend.handler.on_rx(net->backend.handler.ctx, pair);
}

void fake_net_open(struct fake_net *net, unsigned pair, unsigned packets)
{
    struct fake_net_pair *p = &net->pairs[pair];
    p->room = packets;
    if (!p->owes_writable || net->backend.handler.on_writable == NULL)
        return;
    p->owes_writable = false;
    net->backend.handler.on_writable(net->backend.handler.ctx, pair);
}

void fake_net_link(struct fake_net *net, bool up)
{
    net->backend.info.link_up = up;
    if (net->backend.handler.on_link != NULL)
        net->backend.handler.on_link(net->backend.handler.ctx);
}

struct fake_packet *fake_net_take(struct fake_net *net, unsigned pair)
{
    struct fake_net_pair *p = &net->pairs[pair];
    struct fake_packet *packet = p->sent;
    if (packet == NULL)
        return NULL;
    p->sent = packet->next;
    if (p->sent == NULL)
        p->sent_tail = &p->sent;
    p->sent_count--;
    return packet;
}
