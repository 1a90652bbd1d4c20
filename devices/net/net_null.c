// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/net_null.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/ports/net.h"

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
    (void)b;
    (void)pair;
    (void)iov;
    (void)count;
    return -EAGAIN;
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
    free(b);
}

static const struct net_backend_ops net_null_ops = {
    .send = net_null_send,
    .receive = net_null_receive,
    .set_offloads = net_null_set_offloads,
    .set_pairs = net_null_set_pairs,
    .destroy = net_null_destroy,
};

int net_null_create(struct net_backend **out, unsigned pairs)
{
    struct net_backend *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return fail(-ENOMEM, "null network");
    b->ops = &net_null_ops;
    b->info = (struct net_info){
        .to_host = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN | NET_UFO | NET_USO,
        .pairs = pairs,
        .link_up = true,
    };
    *out = b;
    return 0;
}
