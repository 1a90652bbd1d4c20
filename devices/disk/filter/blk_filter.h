// SPDX-License-Identifier: BSD-2-Clause
/*
 * What backends that stand on another one have in common: the base's description and changes of
 * its size are passed on, and with the filter the base is destroyed.
 *
 * A request that a filter does not need to see again is handed to the base as it is, with the
 * members that are a backend's own; its done() is then the base's to call.
 */
#ifndef MINIVET_DEVICES_BLK_FILTER_H
#define MINIVET_DEVICES_BLK_FILTER_H

#include <errno.h>
#include <stdbool.h>

#include "core/ports/block.h"
#include "devices/disk/filter/blk_list.h"

struct blk_filter {
    struct blk_backend b;
    struct blk_backend *base;
    struct evloop *loop;
    struct blk_list waiting; /* not handed to the base yet */
    struct blk_ended ended;  /* answered without the base */
    struct ev_timer timer;   /* of filters that wait for a time, while one waits */
    bool draining;
};

/* The base has no handler of its own: it gets the filter's. */
void blk_filter_init(struct blk_filter *f, struct blk_backend *base, struct evloop *loop,
                     const struct blk_backend_ops *ops);

/* Destroys the base, too. Nothing is out. */
void blk_filter_fini(struct blk_filter *f);

/* First in submit(): while a drain goes on, what a done() submits is cancelled. */
static inline bool blk_filter_refuses(struct blk_filter *f, struct blk_req *req)
{
    if (f->draining)
        blk_ended_add(&f->ended, req, -ECANCELED);
    return f->draining;
}

/* Hands a request to the base. */
static inline void blk_filter_pass(struct blk_filter *f, struct blk_req *req)
{
    f->base->ops->submit(f->base, req);
}

/*
 * Operations. What waits is cancelled, what the base has is drained there; destroyed is a filter
 * that is the first member of what malloc() gave, and all of that.
 */
void blk_filter_drain(struct blk_backend *b);
void blk_filter_destroy(struct blk_backend *b);

#endif
