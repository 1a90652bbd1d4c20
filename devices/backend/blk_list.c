// SPDX-License-Identifier: BSD-2-Clause
#include "devices/backend/blk_list.h"

#include <errno.h>
#include <stddef.h>

#include "core/block.h"
#include "core/xmath.h"

void blk_list_init(struct blk_list *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

void blk_list_append(struct blk_list *list, struct blk_req *req)
{
    req->next = NULL;
    *list->tail = req;
    list->tail = &req->next;
}

struct blk_req *blk_list_take(struct blk_list *list)
{
    struct blk_req *req = list->head;
    if (req) {
        list->head = req->next;
        if (!list->head)
            list->tail = &list->head;
    }
    return req;
}

/* Those that are there now: what a done() submits again waits for the next turn. */
static void ended_run(void *ctx)
{
    struct blk_ended *ended = ctx;
    struct blk_req *req = ended->list.head;
    blk_list_init(&ended->list);
    while (req) {
        struct blk_req *next = req->next; /* done() may submit req again */
        req->done(req, req->result);
        req = next;
    }
}

void blk_ended_init(struct blk_ended *ended, struct evloop *loop)
{
    ended->loop = loop;
    ended->later = (struct ev_defer){.cb = ended_run, .ctx = ended};
    blk_list_init(&ended->list);
}

void blk_ended_add(struct blk_ended *ended, struct blk_req *req, int result)
{
    req->result = result;
    blk_list_append(&ended->list, req);
    evloop_defer(ended->loop, &ended->later);
}

void blk_ended_flush(struct blk_ended *ended)
{
    while (ended->list.head)
        ended_run(ended);
}

void blk_ended_fini(struct blk_ended *ended)
{
    evloop_defer_cancel(ended->loop, &ended->later);
}

int blk_check(const struct blk_info *info, const struct blk_req *req)
{
    if (req->op == BLK_FLUSH)
        return 0;
    if (req->op != BLK_READ && info->read_only)
        return -EROFS;
    if (!range_within(req->offset_bytes, req->bytes, 0, info->capacity_bytes))
        return -EIO;
    if ((req->op == BLK_DISCARD && !info->can_discard) || (req->op == BLK_ZERO && !info->can_zero))
        return -EOPNOTSUPP;
    return 0;
}
