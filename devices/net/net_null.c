// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/net_null.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/iobuf.h"
#include "core/ports/net.h"
#include "devices/net/net_frame.h"

struct net_null {
    struct net_backend b;
    uint32_t packet_bytes; /* of the source, with the header; 0: there is none */
    uint8_t packet[NET_PACKET_MAX];
};

static int net_null_send(struct net_backend *b, unsigned pair, const struct iovec *iov,
                         unsigned count)
{
    (void)b;
    (void)pair;
    (void)iov;
    (void)count;
    return 0;
}

static ssize_t net_null_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                                unsigned count)
{
    const struct net_null *n = container_of(b, struct net_null, b);
    struct iobuf buf = iobuf_init(iov, count);
    (void)pair;
    if (n->packet_bytes == 0)
        return -EAGAIN;
    if (buf.left < n->packet_bytes)
        return -EMSGSIZE;
    return (ssize_t)iobuf_put(&buf, n->packet, n->packet_bytes);
}

static void net_null_set_offloads(struct net_backend *b, unsigned to_guest)
{
    (void)b;
    (void)to_guest;
}

static int net_null_set_pairs(struct net_backend *b, unsigned pairs)
{
    (void)b;
    (void)pairs;
    return 0;
}

static void net_null_destroy(struct net_backend *b)
{
    free(container_of(b, struct net_null, b));
}

static const struct net_backend_ops net_null_ops = {
    .send = net_null_send,
    .receive = net_null_receive,
    .set_offloads = net_null_set_offloads,
    .set_pairs = net_null_set_pairs,
    .destroy = net_null_destroy,
};

int net_null_create(struct net_backend **out, const struct net_null_config *config)
{
    /* A broadcast frame from a local address, of the type for experiments. */
    static const uint8_t start[NET_FRAME_HEADER] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1, 0x88, 0xb5,
    };
    uint32_t bytes = config->source_bytes;
    if (bytes != 0 && (bytes < NET_FRAME_HEADER || bytes > NET_PACKET_MAX - NET_HEADER_BYTES))
        return fail_msg(-EINVAL, "null network: source=%u: frames have %u to %u bytes", bytes,
                        NET_FRAME_HEADER, NET_PACKET_MAX - NET_HEADER_BYTES);
    struct net_null *n = calloc(1, sizeof(*n));
    if (!n)
        return fail(-ENOMEM, "null network");
    n->b.ops = &net_null_ops;
    n->b.info = (struct net_info){
        .to_host = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN | NET_UFO | NET_USO,
        .pairs = config->pairs ? config->pairs : 1,
        .link_up = true,
    };
    n->packet_bytes = bytes ? NET_HEADER_BYTES + bytes : 0;
    memcpy(n->packet + NET_HEADER_BYTES, start, sizeof(start));
    *out = &n->b;
    return 0;
}
