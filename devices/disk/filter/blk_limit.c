// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/filter/blk_limit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "devices/backend/bucket.h"
#include "devices/disk/filter/blk_filter.h"

struct blk_limit {
    struct blk_filter f;
    const struct clock *clock;
    struct budget budget;
};

static struct blk_limit *limit_of(struct blk_backend *b)
{
    return container_of(b, struct blk_limit, f.b);
}

static void start(struct blk_limit *l, struct blk_req *req, uint64_t now_ns)
{
    bool moves = req->op == BLK_READ || req->op == BLK_WRITE;
    budget_spend(&l->budget, moves ? req->bytes : 0, now_ns);
    blk_filter_pass(&l->f, req);
}

static void on_timer(void *ctx)
{
    struct blk_limit *l = ctx;
    uint64_t now_ns = clock_now_ns(l->clock);
    while (!STAILQ_EMPTY(&l->f.waiting) && budget_opens_ns(&l->budget) <= now_ns)
        start(l, blk_list_take(&l->f.waiting), now_ns);
    if (!STAILQ_EMPTY(&l->f.waiting))
        evloop_timer_set(l->f.loop, &l->f.timer, budget_opens_ns(&l->budget));
}

static void blk_limit_submit(struct blk_backend *b, struct blk_req *req)
{
    struct blk_limit *l = limit_of(b);
    if (blk_filter_refuses(&l->f, req))
        return;
    uint64_t now_ns = clock_now_ns(l->clock);
    bool waits = !STAILQ_EMPTY(&l->f.waiting);
    if (!waits && budget_opens_ns(&l->budget) <= now_ns) {
        start(l, req, now_ns);
        return;
    }
    STAILQ_INSERT_TAIL(&l->f.waiting, req, link);
    if (!waits)
        evloop_timer_set(l->f.loop, &l->f.timer, budget_opens_ns(&l->budget));
}

static const struct blk_backend_ops blk_limit_ops = {
    .submit = blk_limit_submit,
    .drain = blk_filter_drain,
    .destroy = blk_filter_destroy,
};

int blk_limit_create(struct blk_backend **b, struct evloop *loop, const struct clock *clock,
                     const struct budget_config *config)
{
    struct blk_limit *l = calloc(1, sizeof(*l));
    if (!l)
        return fail(-ENOMEM, "disk limit");
    blk_filter_init(&l->f, *b, loop, &blk_limit_ops);
    l->clock = clock;
    l->f.timer = (struct ev_timer){.cb = on_timer, .ctx = l};
    l->budget = budget_init(config);
    *b = &l->f.b;
    return 0;
}
