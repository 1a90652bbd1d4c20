// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/loop/evloop_impl.h"
#include "core/loop/may_block.h"

struct evloop_lane {
    struct evloop *loop;
    char name[16];
    struct workpool pool;
    TAILQ_ENTRY(evloop_lane) link;
};

int evloop_lane_create(struct evloop_lane **out, struct evloop *loop, const char *name)
{
    struct evloop_lane *lane = calloc(1, sizeof(*lane));
    if (!lane)
        return -ENOMEM;
    lane->loop = loop;
    snprintf(lane->name, sizeof(lane->name), "%s", name);
    workpool_init(&lane->pool, lane->name, 1, evloop_inbox_work_finished, loop);
    lane->pool.role = THREAD_LANE;
    lane->pool.by_hand = loop->lanes_by_hand;
    int err = workpool_start(&lane->pool);
    if (err < 0) {
        workpool_end(&lane->pool);
        free(lane);
        return err;
    }
    evloop_assert_owner(loop);
    TAILQ_INSERT_TAIL(&loop->lanes, lane, link);
    *out = lane;
    return 0;
}

void evloop_lane_destroy(struct evloop_lane *lane)
{
    if (!lane)
        return;
    evloop_assert_owner(lane->loop);
    TAILQ_REMOVE(&lane->loop->lanes, lane, link);
    workpool_end(&lane->pool);
    free(lane);
}

void evloop_lane_submit(struct evloop_lane *lane, struct ev_work *w)
{
    evloop_assert_owner(lane->loop);
    lane->loop->works_out++;
    workpool_submit(&lane->pool, w);
}

static bool run_by_hand(struct evloop_lane *lane)
{
    unsigned forbidden = may_block_lift();
    bool ran = workpool_run_by_hand(&lane->pool);
    may_block_restore(forbidden);
    return ran;
}

bool evloop_lane_wait(struct evloop_lane *lane, int timeout_ms)
{
    if (lane->pool.by_hand) {
        while (run_by_hand(lane))
            ;
        return true;
    }
    return workpool_wait(&lane->pool, timeout_ms);
}

void evloop_lanes_by_hand(struct evloop *loop)
{
    loop->lanes_by_hand = true;
}

bool evloop_lanes_run(struct evloop *loop)
{
    bool ran = false;
    struct evloop_lane *lane;
    TAILQ_FOREACH(lane, &loop->lanes, link)
    ran |= lane->pool.by_hand && run_by_hand(lane);
    return ran;
}
