// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/filter/net_limit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/memory/iobuf.h"
#include "devices/backend/bucket.h"
#include "devices/net/filter/net_filter.h"

#define PAIRS_MAX 64u

struct net_limit;

/* One direction. */
struct lane {
    struct net_limit *limit;
    void (*tell)(const struct net_backend *b, unsigned pair);
    struct budget budget;
    struct ev_timer timer;
    uint64_t waiting; /* pairs that were told to, a bit each */
};

struct net_limit {
    struct net_filter f;
    const struct clock *clock;
    struct lane out, in;
};

static struct net_limit *limit_of(struct net_backend *b)
{
    return container_of(b, struct net_limit, f.b);
}

/* Whether a packet may pass now; else its pair is told when. */
static bool may_pass(struct lane *lane, unsigned pair, uint64_t now_ns)
{
    uint64_t at_ns = budget_opens_ns(&lane->budget);
    if (at_ns <= now_ns)
        return true;
    if (lane->waiting == 0)
        evloop_timer_set(lane->limit->f.loop, &lane->timer, at_ns);
    lane->waiting |= UINT64_C(1) << pair;
    return false;
}

static void spend(struct lane *lane, uint64_t packet_bytes, uint64_t now_ns)
{
    budget_spend(&lane->budget, packet_bytes - min_u64(packet_bytes, NET_HEADER_BYTES), now_ns);
}

static void on_timer(void *ctx)
{
    struct lane *lane = ctx;
    uint64_t waiting = lane->waiting;
    lane->waiting = 0;
    for (unsigned pair = 0; pair < PAIRS_MAX; pair++)
        if (waiting >> pair & 1)
            lane->tell(&lane->limit->f.b, pair);
}

static int net_limit_send(struct net_backend *b, unsigned pair, const struct iovec *iov,
                          unsigned count)
{
    struct net_limit *l = limit_of(b);
    uint64_t now_ns = clock_now_ns(l->clock);
    if (!may_pass(&l->out, pair, now_ns))
        return -EAGAIN;
    int r = net_filter_send(b, pair, iov, count);
    if (r == 0)
        spend(&l->out, iobuf_init(iov, count).left, now_ns);
    return r;
}

static ssize_t net_limit_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                                 unsigned count)
{
    struct net_limit *l = limit_of(b);
    uint64_t now_ns = clock_now_ns(l->clock);
    if (!may_pass(&l->in, pair, now_ns))
        return -EAGAIN;
    ssize_t r = net_filter_receive(b, pair, iov, count);
    if (r >= 0)
        spend(&l->in, (uint64_t)r, now_ns);
    return r;
}

static void net_limit_destroy(struct net_backend *b)
{
    struct net_limit *l = limit_of(b);
    evloop_timer_cancel(l->f.loop, &l->out.timer);
    evloop_timer_cancel(l->f.loop, &l->in.timer);
    net_filter_fini(&l->f);
    free(l);
}

static const struct net_backend_ops net_limit_ops = {
    .send = net_limit_send,
    .flush = net_filter_flush,
    .receive = net_limit_receive,
    .set_offloads = net_filter_set_offloads,
    .set_pairs = net_filter_set_pairs,
    .destroy = net_limit_destroy,
};

static void lane_init(struct net_limit *l, struct lane *lane, const struct budget_config *config)
{
    lane->limit = l;
    lane->tell = lane == &l->out ? net_tell_writable : net_tell_rx;
    lane->budget = budget_init(config);
    lane->timer = (struct ev_timer){.cb = on_timer, .ctx = lane};
}

int net_limit_create(struct net_backend **b, struct evloop *loop, const struct clock *clock,
                     const struct budget_config *config)
{
    BUG_ON((*b)->info.pairs > PAIRS_MAX);
    struct net_limit *l = calloc(1, sizeof(*l));
    if (!l)
        return fail(-ENOMEM, "network limit");
    net_filter_init(&l->f, *b, loop, &net_limit_ops);
    l->clock = clock;
    lane_init(l, &l->out, config);
    lane_init(l, &l->in, config);
    *b = &l->f.b;
    return 0;
}
