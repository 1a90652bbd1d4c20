// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/filter/blk_list.h"

struct blk_req *blk_list_take(struct blk_list *list)
{
    struct blk_req *req = STAILQ_FIRST(list);
    if (req)
        STAILQ_REMOVE_HEAD(list, link);
    return req;
}

/* Requests in the list now: what a done() submits again waits for the next turn. */
static void ended_run(void *ctx)
{
    struct blk_ended *ended = ctx;
    struct blk_list now = STAILQ_HEAD_INITIALIZER(now);
    struct blk_req *req;
    STAILQ_CONCAT(&now, &ended->list);
    while ((req = blk_list_take(&now)))
        req->done(req, req->result);
}

void blk_ended_init(struct blk_ended *ended, struct evloop *loop)
{
    ended->loop = loop;
    ended->later = (struct ev_defer){.cb = ended_run, .ctx = ended};
    STAILQ_INIT(&ended->list);
}

void blk_ended_add(struct blk_ended *ended, struct blk_req *req, int result)
{
    req->result = result;
    STAILQ_INSERT_TAIL(&ended->list, req, link);
    evloop_defer(ended->loop, &ended->later);
}

void blk_ended_flush(struct blk_ended *ended)
{
    while (!STAILQ_EMPTY(&ended->list))
        ended_run(ended);
}

void blk_ended_fini(struct blk_ended *ended)
{
    evloop_defer_cancel(ended->loop, &ended->later);
}
