// SPDX-License-Identifier: BSD-2-Clause
/*
 * What every backend needs: requests in order, and requests that are done but whose done() has to
 * wait for the loop. Both are linked through the requests themselves.
 */
#ifndef MINIVET_DEVICES_BLK_LIST_H
#define MINIVET_DEVICES_BLK_LIST_H

#include <stdint.h>
#include <sys/queue.h>

#include "core/loop/evloop.h"
#include "core/ports/block.h"

STAILQ_HEAD(blk_list, blk_req);

struct blk_req *blk_list_take(struct blk_list *list); /* the oldest, or NULL */

/* Requests whose done() is due. */
struct blk_ended {
    struct evloop *loop;
    struct ev_defer later;
    struct blk_list list;
};

void blk_ended_init(struct blk_ended *ended, struct evloop *loop);

/* The loop calls done() with that result, soon; no system call is made for it. */
void blk_ended_add(struct blk_ended *ended, struct blk_req *req, int result);

/* Calls done() of all of them now, also of those that a done() adds. For drains. */
void blk_ended_flush(struct blk_ended *ended);

/* Nothing may be left. */
void blk_ended_fini(struct blk_ended *ended);

#endif
