// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/filter/net_filter.h"

#include "core/base/xmath.h"

static struct net_filter *filter_of(struct net_backend *b)
{
    return container_of(b, struct net_filter, b);
}

static void base_rx(void *ctx, unsigned pair)
{
    const struct net_filter *f = ctx;
    net_tell_rx(&f->b, pair);
}

static void base_writable(void *ctx, unsigned pair)
{
    const struct net_filter *f = ctx;
    net_tell_writable(&f->b, pair);
}

static void base_link(void *ctx)
{
    struct net_filter *f = ctx;
    net_set_link(&f->b, f->base->info.link_up);
}

void net_filter_init(struct net_filter *f, struct net_backend *base, struct evloop *loop,
                     const struct net_backend_ops *ops)
{
    f->b.ops = ops;
    f->b.info = base->info;
    f->base = base;
    f->loop = loop;
    base->handler = (struct net_handler){
        .on_rx = base_rx, .on_writable = base_writable, .on_link = base_link, .ctx = f};
}

void net_filter_fini(struct net_filter *f)
{
    f->base->ops->destroy(f->base);
}

int net_filter_send(struct net_backend *b, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct net_backend *base = filter_of(b)->base;
    return base->ops->send(base, pair, iov, count);
}

void net_filter_flush(struct net_backend *b, unsigned pair)
{
    struct net_backend *base = filter_of(b)->base;
    if (base->ops->flush)
        base->ops->flush(base, pair);
}

ssize_t net_filter_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                           unsigned count)
{
    struct net_backend *base = filter_of(b)->base;
    return base->ops->receive(base, pair, iov, count);
}

void net_filter_set_offloads(struct net_backend *b, unsigned to_guest)
{
    struct net_backend *base = filter_of(b)->base;
    base->ops->set_offloads(base, to_guest);
}

int net_filter_set_pairs(struct net_backend *b, unsigned pairs)
{
    struct net_backend *base = filter_of(b)->base;
    return base->ops->set_pairs ? base->ops->set_pairs(base, pairs) : 0;
}
