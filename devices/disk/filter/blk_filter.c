// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/filter/blk_filter.h"

#include <stdlib.h>

#include "core/base/xmath.h"

static void base_resized(void *ctx)
{
    struct blk_filter *f = ctx;
    blk_set_capacity(&f->b, f->base->info.capacity_bytes);
}

void blk_filter_init(struct blk_filter *f, struct blk_backend *base, struct evloop *loop,
                     const struct blk_backend_ops *ops)
{
    f->b.ops = ops;
    f->b.info = base->info;
    f->base = base;
    f->loop = loop;
    base->handler = (struct blk_handler){.on_resize = base_resized, .ctx = f};
    STAILQ_INIT(&f->waiting);
    blk_ended_init(&f->ended, loop);
}

void blk_filter_fini(struct blk_filter *f)
{
    blk_ended_fini(&f->ended);
    f->base->ops->destroy(f->base);
}

void blk_filter_drain(struct blk_backend *b)
{
    struct blk_filter *f = container_of(b, struct blk_filter, b);
    struct blk_req *req;
    f->draining = true;
    while ((req = blk_list_take(&f->waiting)) != NULL)
        blk_ended_add(&f->ended, req, -ECANCELED);
    f->base->ops->drain(f->base);
    blk_ended_flush(&f->ended);
    evloop_timer_cancel(f->loop, &f->timer);
    f->draining = false;
}

void blk_filter_destroy(struct blk_backend *b)
{
    struct blk_filter *f = container_of(b, struct blk_filter, b);
    blk_filter_drain(b);
    blk_filter_fini(f);
    free(f);
}
