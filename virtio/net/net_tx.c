// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/net/net_impl.h"

/* ---- what the driver says about a frame, VIRTIO 1.4 5.1.6.2 ---- */

unsigned net_gso_offloads(uint8_t gso_type)
{
    unsigned ecn = gso_type & VIRTIO_NET_HDR_GSO_ECN ? NET_ECN : 0;
    switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
        return NET_TSO4 | ecn;
    case VIRTIO_NET_HDR_GSO_TCPV6:
        return NET_TSO6 | ecn;
    case VIRTIO_NET_HDR_GSO_UDP:
        return NET_UFO | ecn;
    case VIRTIO_NET_HDR_GSO_UDP_L4:
        return NET_USO | ecn;
    default:
        return ~0u;
    }
}

/* Both fields are inside of the frame. */
static bool csum_makes_sense(const struct virtio_net *net, const uint8_t *header, uint64_t bytes)
{
    uint32_t field = (uint32_t)le16_get(header + VIRTIO_NET_HDR_csum_start) +
                     le16_get(header + VIRTIO_NET_HDR_csum_offset);
    return (net->to_host & NET_CSUM) && field + 2 <= bytes;
}

static bool gso_makes_sense(const struct virtio_net *net, const uint8_t *header, bool needs_csum)
{
    unsigned offloads = net_gso_offloads(header[VIRTIO_NET_HDR_gso_type]);
    return (net->to_host & offloads) == offloads && needs_csum &&
           le16_get(header + VIRTIO_NET_HDR_gso_size) != 0;
}

/*
 * Checks the copied header of a frame, and takes out of it what does not count: flags that the
 * device does not know, and fields that no flag asks for. hdr_len is a hint that may be wrong.
 */
static bool check_header(const struct virtio_net *net, uint8_t *header, uint64_t bytes)
{
    bool needs_csum = header[VIRTIO_NET_HDR_flags] & VIRTIO_NET_HDR_F_NEEDS_CSUM;
    bool gso = header[VIRTIO_NET_HDR_gso_type] & ~VIRTIO_NET_HDR_GSO_ECN;
    if ((needs_csum && !csum_makes_sense(net, header, bytes)) ||
        (gso && !gso_makes_sense(net, header, needs_csum)))
        return false;
    header[VIRTIO_NET_HDR_flags] = needs_csum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
    if (!needs_csum) {
        le16_put(header + VIRTIO_NET_HDR_csum_start, 0);
        le16_put(header + VIRTIO_NET_HDR_csum_offset, 0);
    }
    if (!gso) {
        header[VIRTIO_NET_HDR_gso_type] = VIRTIO_NET_HDR_GSO_NONE;
        le16_put(header + VIRTIO_NET_HDR_gso_size, 0);
    }
    uint64_t hint = gso ? min_u64(le16_get(header + VIRTIO_NET_HDR_hdr_len), bytes) : 0;
    le16_put(header + VIRTIO_NET_HDR_hdr_len, (uint16_t)hint);
    return true;
}

/* ---- a packet ---- */

/*
 * 0: done with, sent or lost; -EAGAIN: the backend is full. Only what was sent moves the chain's
 * cursor.
 */
static int send_packet(struct virtio_net *net, unsigned pair, struct vq_chain *chain)
{
    struct iovec *iov = net->tx[pair].iov;
    uint8_t header[VIRTIO_NET_HDR_HASH_BYTES] = {0};
    struct iobuf rd = chain->rd;
    if (!net_is_up(net))
        return 0;
    iobuf_get(&rd, header, net->header_bytes);
    int count = -E2BIG;
    if (rd.left >= NET_ETHERNET_BYTES && rd.left <= NET_PACKET_MAX - NET_HEADER_BYTES &&
        check_header(net, header, rd.left))
        count = iobuf_iov(&rd, rd.left, iov + 1, VQ_IOV_MAX - 1);
    if (count < 0) {
        net->drops.tx_invalid++;
        return 0;
    }
    iov[0] = (struct iovec){header, NET_HEADER_BYTES};
    int r = net->backend->ops->send(net->backend, pair, iov, (unsigned)count + 1);
    if (r == 0)
        iobuf_skip(&chain->rd, chain->rd.left);
    return r;
}

/* ---- the queue ---- */

int net_tx_start(struct virtio_net *net, unsigned pair)
{
    net->tx[pair].iov = calloc(VQ_IOV_MAX, sizeof(struct iovec));
    return net->tx[pair].iov != NULL ? 0 : -ENOMEM;
}

void net_tx_stop(struct virtio_net *net, unsigned pair)
{
    free(net->tx[pair].iov);
    net->tx[pair] = (struct net_tx){0};
}

void net_tx_serve(struct virtio_net *net, unsigned pair)
{
    struct net_tx *tx = &net->tx[pair];
    const unsigned queue = net_tx_queue(pair);
    struct vq_chain *chain = tx->chain;
    bool sent = false;
    tx->chain = NULL;
    while (chain != NULL || (chain = virtio_queue_next(&net->dev, queue)) != NULL) {
        if (send_packet(net, pair, chain) == -EAGAIN) {
            tx->chain = chain;
            break;
        }
        sent = true;
        virtio_queue_push(&net->dev, queue, chain);
        chain = NULL;
    }
    if (sent && net->backend->ops->flush != NULL)
        net->backend->ops->flush(net->backend, pair);
}
