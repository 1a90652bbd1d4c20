// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk whose queues are served by several threads has a lane for each: a view of the backend, and
 * what of the queues' requests must wait. Lanes share nothing, so that they need no lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "virtio/blk/blk.h"
#include "virtio/blk/blk_impl.h"

static struct blk_lane *find(const struct virtio_blk *blk, const struct evloop *loop)
{
    for (unsigned i = 0; i < blk->lane_count; i++) {
        if (blk->lanes[i].loop == loop)
            return &blk->lanes[i];
    }
    return NULL;
}

/* NULL: reported. */
static struct blk_lane *add(struct virtio_blk *blk, struct evloop *loop, bool view)
{
    struct blk_backend *backend = blk->backend;
    if (view && backend->ops->view(blk->backend, loop, &backend) < 0)
        return NULL;
    struct blk_lane *lane = &blk->lanes[blk->lane_count++];
    *lane = (struct blk_lane){.loop = loop, .backend = backend};
    blk_again_init(&lane->again, loop);
    return lane;
}

int blk_lanes_init(struct virtio_blk *blk, struct evloop *const *queue_loops, unsigned queues)
{
    const char *name = blk->dev.setup.name;
    if (queue_loops != NULL && blk->backend->ops->view == NULL)
        return fail_msg(-ENOTSUP, "virtio %s: this disk needs one thread for all its requests",
                        name);
    blk->queues = calloc(queues, sizeof(*blk->queues));
    blk->lanes = calloc(queues, sizeof(*blk->lanes));
    if (blk->queues == NULL || blk->lanes == NULL)
        return fail(-ENOMEM, "virtio %s", name);
    for (unsigned i = 0; i < queues; i++) {
        struct evloop *loop = blk->dev.queues[i].loop;
        struct blk_lane *lane = find(blk, loop);
        if (lane == NULL)
            lane = add(blk, loop, queue_loops != NULL);
        if (lane == NULL)
            return -EIO;
        blk->queues[i] = (struct blk_queue){.blk = blk, .lane = lane, .index = i};
    }
    return 0;
}

void blk_lanes_fini(struct virtio_blk *blk)
{
    for (unsigned i = 0; i < blk->lane_count; i++) {
        struct blk_backend *backend = blk->lanes[i].backend;
        if (backend != blk->backend)
            backend->ops->destroy(backend);
    }
    free(blk->lanes);
    free(blk->queues);
}

struct resize {
    struct blk_backend *view;
    uint64_t capacity_bytes;
};

static int resize_on_loop(void *arg)
{
    const struct resize *resize = arg;
    resize->view->info.capacity_bytes = resize->capacity_bytes;
    return 0;
}

void blk_lanes_resize(struct virtio_blk *blk)
{
    for (unsigned i = 0; i < blk->lane_count; i++) {
        struct resize resize = {blk->lanes[i].backend, blk->backend->info.capacity_bytes};
        evloop_call(blk->lanes[i].loop, resize_on_loop, &resize);
    }
}

static int drain_on_loop(void *arg)
{
    struct blk_backend *backend = arg;
    backend->ops->drain(backend);
    return 0;
}

void virtio_blk_drain(struct virtio_blk *blk)
{
    for (unsigned i = 0; i < blk->lane_count; i++)
        evloop_call(blk->lanes[i].loop, drain_on_loop, blk->lanes[i].backend);
}
