// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/net/net_impl.h"

/* A flood of packets that are dropped must not hold up the loop. */
#define TURN_PACKETS 64u

/* When a queue starts: so many of the packets that came before are dropped at most. */
#define DISCARD_PACKETS 1024u

/* A chain has a vector at least, and one more chain is taken while there are fewer vectors. */
#define VECTORS(vq) (VQ_IOV_MAX + (vq)->iov_max)

#define VLAN_TPID 0x8100u

/* An address is a group's if its first byte is odd. */
#define GROUP_BIT 1u

static struct virtqueue *vq_of(struct virtio_net *net, unsigned pair)
{
    return &net->dev.queues[net_rx_queue(pair)].vq;
}

/* ---- chains at hand ---- */

/* Takes the vectors of the first chain's header out; that chain has enough. */
static void strip_header(const struct virtio_net *net, struct net_rx *rx)
{
    size_t left = net->header_bytes;
    while (left > 0) {
        struct iovec *v = &rx->iov[rx->first];
        size_t n = (size_t)min_u64(left, v->iov_len);
        *v = (struct iovec){(uint8_t *)v->iov_base + n, v->iov_len - n};
        left -= n;
        if (v->iov_len == 0)
            rx->first++;
    }
}

/* Moves all to the front, but for the header's vector. */
static void compact(struct net_rx *rx)
{
    unsigned chains = rx->chain_end - rx->chain_first, vectors = rx->end - rx->base;
    memmove(rx->chains, rx->chains + rx->chain_first, chains * sizeof(struct vq_chain *));
    memmove(rx->iov + 1, rx->iov + rx->base, vectors * sizeof(struct iovec));
    rx->first -= rx->base - 1;
    rx->base = 1;
    rx->end = vectors + 1;
    rx->chain_first = 0;
    rx->chain_end = chains;
}

/*
 * A driver that once gave enough for the largest packet, and has more than half of its buffers now,
 * is about to give them back: until then packets are safe in the host. A driver that gives or
 * keeps few gets what fits. (Linux refills a queue of which half, or 32, are missing.)
 */
static bool will_refill(struct virtio_net *net, unsigned pair)
{
    const struct net_rx *rx = &net->rx[pair];
    return rx->had_enough && rx->chain_end - rx->chain_first < vq_of(net, pair)->size / 2;
}

/* Has enough at hand for the largest packet, or all that there is. False: nothing now. */
static bool collect(struct virtio_net *net, unsigned pair)
{
    struct net_rx *rx = &net->rx[pair];
    const unsigned queue = net_rx_queue(pair);
    while (rx->room < net->room_min && rx->end - rx->base < VQ_IOV_MAX) {
        struct vq_chain *chain = virtio_queue_next(&net->dev, queue);
        if (chain == NULL) /* there is more, but the turn was used up: it comes again */
            return rx->room > 0 && !virtio_queue_has_next(&net->dev, queue) &&
                   !will_refill(net, pair);
        if (chain->wr.left < net->header_bytes) {
            virtio_queue_push(&net->dev, queue, chain);
            continue;
        }
        unsigned vectors = chain->iov_count - chain->rd_iov;
        if (rx->end + vectors > 2 * VECTORS(vq_of(net, pair)))
            compact(rx);
        memcpy(rx->iov + rx->end, chain->wr.iov, vectors * sizeof(struct iovec));
        rx->chains[rx->chain_end++] = chain;
        rx->end += vectors;
        rx->room += chain->wr.left;
        if (rx->chain_end == rx->chain_first + 1)
            strip_header(net, rx);
    }
    rx->had_enough = true;
    return true;
}

/* ---- which frames the driver wants, VIRTIO 1.4 5.1.6.5 ---- */

static bool in_table(const struct net_macs *macs, const uint8_t *mac)
{
    for (unsigned i = 0; i < macs->count; i++) {
        if (memcmp(macs->mac[i], mac, NET_MAC_BYTES) == 0)
            return true;
    }
    return macs->too_many;
}

static bool takes_mac(const struct virtio_net *net, const uint8_t *mac)
{
    static const uint8_t broadcast[NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const struct net_filter *f = &net->filter;
    if (f->mode[VIRTIO_NET_CTRL_RX_PROMISC])
        return true;
    if (memcmp(mac, broadcast, NET_MAC_BYTES) == 0)
        return !f->mode[VIRTIO_NET_CTRL_RX_NOBCAST];
    if (mac[0] & GROUP_BIT)
        return !f->mode[VIRTIO_NET_CTRL_RX_NOMULTI] &&
               (f->mode[VIRTIO_NET_CTRL_RX_ALLMULTI] || in_table(&f->multicast, mac));
    return !f->mode[VIRTIO_NET_CTRL_RX_NOUNI] &&
           (f->mode[VIRTIO_NET_CTRL_RX_ALLUNI] ||
            memcmp(mac, net->config + VIRTIO_NET_CONFIG_mac, NET_MAC_BYTES) == 0 ||
            in_table(&f->unicast, mac));
}

static bool takes_vlan(const struct net_filter *f, const uint8_t *head)
{
    unsigned id = (head[14] << 8 | head[15]) % NET_VLANS;
    return (f->vlans[id / 64] >> id % 64 & 1) != 0;
}

/* ---- a packet, VIRTIO 1.4 5.1.6.4 ---- */

/* Does the driver take this header? Clears what says more than was negotiated. */
static bool check_header(const struct virtio_net *net, uint8_t *header)
{
    uint8_t type = header[VIRTIO_NET_HDR_gso_type];
    bool gso = type & ~VIRTIO_NET_HDR_GSO_ECN;
    bool needs_csum = header[VIRTIO_NET_HDR_flags] & VIRTIO_NET_HDR_F_NEEDS_CSUM;
    unsigned offloads = (needs_csum ? NET_CSUM : 0) | (gso ? net_gso_offloads(type) : 0);
    if ((offloads & ~net->wanted) != 0 ||
        (gso && (!needs_csum || le16_get(header + VIRTIO_NET_HDR_gso_size) == 0)))
        return false;
    uint8_t flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;
    header[VIRTIO_NET_HDR_flags] &= net->wanted & NET_CSUM ? flags : 0;
    if (!gso)
        header[VIRTIO_NET_HDR_gso_type] = VIRTIO_NET_HDR_GSO_NONE;
    return true;
}

/* Behind the header, whether the driver gets to see it there or not. */
static void put_hash(const struct virtio_net *net, uint8_t *header, struct iobuf frame)
{
    struct net_hash hash = {0};
    if (net->rss.hash.types != 0) {
        uint8_t head[NET_HASH_HEAD];
        hash = net_hash_of(&net->rss.hash, head, iobuf_get(&frame, head, sizeof(head)));
    }
    le32_put(header + VIRTIO_NET_HDR_hash_value, hash.value);
    le32_put(header + VIRTIO_NET_HDR_hash_report, hash.report); /* and padding */
}

/* A driver that cannot say what it wants gets all. */
static bool check_frame(struct virtio_net *net, uint8_t *header, struct iobuf frame)
{
    uint8_t head[NET_ETHERNET_BYTES + NET_VLAN_TAG_BYTES] = {0};
    const struct iobuf whole_frame = frame;
    uint64_t bytes = frame.left;
    bool whole = iobuf_get(&frame, head, sizeof(head)) >= NET_ETHERNET_BYTES;
    bool tagged = (head[12] << 8 | head[13]) == VLAN_TPID;
    uint64_t max = NET_ETHERNET_BYTES + net->mtu_bytes + (tagged ? NET_VLAN_TAG_BYTES : 0);
    if (!whole || !check_header(net, header) ||
        (net->limits_mtu && bytes > max &&
         header[VIRTIO_NET_HDR_gso_type] == VIRTIO_NET_HDR_GSO_NONE)) {
        net->drops.rx_invalid++;
        return false;
    }
    if ((net->filters_macs && !takes_mac(net, head)) ||
        (net->filters_vlans && tagged && !takes_vlan(&net->filter, head))) {
        net->drops.rx_filtered++;
        return false;
    }
    if (net->rss.steers || net->header_bytes == VIRTIO_NET_HDR_HASH_BYTES)
        put_hash(net, header, whole_frame);
    return true;
}

/* The frame is in place: writes the header, and gives back what both have taken. */
static void deliver(struct virtio_net *net, unsigned pair, uint8_t *header, uint64_t frame_bytes)
{
    struct net_rx *rx = &net->rx[pair];
    uint64_t left = net->header_bytes + frame_bytes, sum = 0;
    unsigned chains = 0;
    while (sum < left)
        sum += rx->chains[rx->chain_first + chains++]->wr.left;
    rx->room -= sum;
    le16_put(header + VIRTIO_NET_HDR_num_buffers, (uint16_t)chains);
    left -= iobuf_put(&rx->chains[rx->chain_first]->wr, header, net->header_bytes);
    for (; chains > 0; chains--) {
        struct vq_chain *chain = rx->chains[rx->chain_first++];
        left -= iobuf_skip(&chain->wr, left);
        rx->base += chain->iov_count - chain->rd_iov;
        rx->first = rx->base;
        virtio_queue_push(&net->dev, net_rx_queue(pair), chain);
    }
    if (rx->chain_first < rx->chain_end)
        strip_header(net, rx);
}

/* Straight into buffers of the pair. */
static void receive(struct virtio_net *net, unsigned source, unsigned pair)
{
    struct net_rx *rx = &net->rx[pair];
    uint8_t header[VIRTIO_NET_HDR_HASH_BYTES];
    struct iovec *iov = &rx->iov[rx->first - 1];
    unsigned count = (unsigned)min_u64(rx->end - rx->first + 1, VQ_IOV_MAX);
    iov[0] = (struct iovec){header, NET_HEADER_BYTES};
    ssize_t got = net->backend->ops->receive(net->backend, source, iov, count);
    if (got == -EMSGSIZE) {
        net->drops.rx_no_room++;
    } else if (got < (ssize_t)NET_HEADER_BYTES) {
        net->rx[source].ready = false;
    } else {
        uint64_t bytes = (uint64_t)got - NET_HEADER_BYTES;
        if (check_frame(net, header, (struct iobuf){.iov = iov + 1, .left = bytes}))
            deliver(net, pair, header, bytes);
    }
}

/* ---- which queue ---- */

static bool runs(const struct virtio_net *net, unsigned pair)
{
    return net->rx[pair].chains != NULL;
}

/* Its own pair, or while that is in reset the first that is not (VIRTIO 1.4 5.1.6.5). */
unsigned net_rx_pair_for(const struct virtio_net *net, unsigned source)
{
    unsigned pair = source;
    if (!runs(net, source))
        for (pair = 0; pair < net->pairs_used && !runs(net, pair); pair++)
            ;
    return pair;
}

/* A pair of the backend that may have something for that queue; net->pairs_used: none. */
static unsigned source_for(const struct virtio_net *net, unsigned pair)
{
    unsigned source = pair;
    if (!net->rx[pair].ready)
        for (source = 0; source < net->pairs_used; source++)
            if (net->rx[source].ready && net_rx_pair_for(net, source) == pair)
                break;
    return source;
}

static unsigned pair_by_hash(const struct net_rss *rss)
{
    bool hashed = le16_get(rss->packet + VIRTIO_NET_HDR_hash_report) != 0;
    uint32_t hash = le32_get(rss->packet + VIRTIO_NET_HDR_hash_value);
    return hashed ? rss->pairs[hash & rss->mask] : rss->unclassified;
}

/* The backend's next packet, and the pair that gets it. False: there is none. */
static bool fetch(struct virtio_net *net)
{
    struct net_rss *rss = &net->rss;
    uint8_t *frame = rss->packet + VIRTIO_NET_HDR_HASH_BYTES;
    struct iovec iov[] = {{rss->packet, NET_HEADER_BYTES},
                          {frame, NET_PACKET_MAX - NET_HEADER_BYTES}};
    for (unsigned n = 0; n < net->pairs_used; n++) {
        unsigned source = rss->source++ % net->pairs_used;
        if (!net->rx[source].ready)
            continue;
        ssize_t got = net->backend->ops->receive(net->backend, source, iov, 2);
        if (got >= (ssize_t)NET_HEADER_BYTES) {
            struct iobuf buf = {.iov = iov + 1, .left = (uint64_t)got - NET_HEADER_BYTES};
            rss->waiting = check_frame(net, rss->packet, buf) ? (uint32_t)buf.left : 0;
            rss->pair = pair_by_hash(rss);
            return true;
        }
        net->rx[source].ready = false;
    }
    return false;
}

/*
 * False: it waits. One for a queue that does not run is lost (5.1.6.5), and so is one that came
 * before the driver wanted fewer offloads.
 */
static bool place(struct virtio_net *net)
{
    struct net_rss *rss = &net->rss;
    struct net_rx *rx = &net->rx[rss->pair];
    if (rss->waiting > 0 && runs(net, rss->pair) && check_header(net, rss->packet)) {
        if (!collect(net, rss->pair))
            return false;
        if (rx->room >= net->header_bytes + rss->waiting) {
            struct iobuf to = {.iov = rx->iov + rx->first, .left = rss->waiting};
            iobuf_put(&to, rss->packet + VIRTIO_NET_HDR_HASH_BYTES, rss->waiting);
            deliver(net, rss->pair, rss->packet, rss->waiting);
            rss->waiting = 0;
        }
    }
    net->drops.rx_no_room += rss->waiting > 0;
    rss->waiting = 0;
    return true;
}

/* ---- the queue ---- */

/* Drops what came before the queue ran or while the link was down. False: that was all. */
static bool discard(struct virtio_net *net)
{
    uint8_t packet[2048];
    struct iovec iov = {packet, sizeof(packet)};
    bool more = false;
    net->rss.waiting = 0;
    for (unsigned source = 0; source < net->pairs_used; source++) {
        bool *ready = &net->rx[source].ready;
        for (unsigned n = 0; *ready && n < DISCARD_PACKETS; n++) {
            ssize_t got = net->backend->ops->receive(net->backend, source, &iov, 1);
            *ready = got >= 0 || got == -EMSGSIZE;
        }
        more |= *ready;
    }
    return more;
}

/* With RSS, packets for any queue. */
void net_rx_serve(struct virtio_net *net, unsigned pair)
{
    if (!net_is_up(net) && !discard(net))
        return;
    for (unsigned n = 0; n < TURN_PACKETS && net_is_up(net); n++) {
        if (net->rss.steers) {
            if ((net->rss.waiting == 0 && !fetch(net)) || !place(net))
                return;
            continue;
        }
        unsigned source = source_for(net, pair);
        if (source == net->pairs_used || !collect(net, pair))
            return;
        receive(net, source, pair);
    }
    virtio_queue_serve_later(&net->dev, net_rx_queue(pair));
}

int net_rx_start(struct virtio_net *net, unsigned pair)
{
    struct net_rx *rx = &net->rx[pair];
    size_t places = 2 * VECTORS(vq_of(net, pair)) + 1;
    bool first = net_rx_pair_for(net, pair) == net->pairs_used;
    rx->chains = calloc(places, sizeof(struct vq_chain *));
    rx->iov = calloc(places, sizeof(struct iovec));
    rx->base = rx->first = rx->end = 1; /* behind the first header's place */
    if (rx->chains == NULL || rx->iov == NULL) {
        net_rx_stop(net, pair);
        return -ENOMEM;
    }
    if (first)
        (void)discard(net);
    return 0;
}

/* Packets for this queue go to another. */
void net_rx_stop(struct virtio_net *net, unsigned pair)
{
    struct net_rx *rx = &net->rx[pair];
    free(rx->chains);
    free(rx->iov);
    *rx = (struct net_rx){.ready = rx->ready};
    unsigned other = net_rx_pair_for(net, pair);
    if (other < net->pairs_used)
        virtio_queue_serve_later(&net->dev, net_rx_queue(other));
}
