// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/blk_null.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/block.h"
#include "devices/disk/filter/blk_list.h"

struct blk_null {
    struct blk_backend b;
    struct blk_ended ended;
};

static void blk_null_submit(struct blk_backend *b, struct blk_req *req)
{
    struct blk_null *n = container_of(b, struct blk_null, b);
    blk_ended_add(&n->ended, req, blk_check(&b->info, req));
}

static void blk_null_drain(struct blk_backend *b)
{
    blk_ended_flush(&container_of(b, struct blk_null, b)->ended);
}

static void blk_null_destroy(struct blk_backend *b)
{
    struct blk_null *n = container_of(b, struct blk_null, b);
    blk_null_drain(b);
    blk_ended_fini(&n->ended);
    free(n);
}

static int blk_null_view(struct blk_backend *b, struct evloop *loop, struct blk_backend **out);

static const struct blk_backend_ops blk_null_ops = {
    .submit = blk_null_submit,
    .drain = blk_null_drain,
    .destroy = blk_null_destroy,
    .view = blk_null_view,
};

static int create(struct blk_backend **out, struct evloop *loop, const struct blk_info *info)
{
    struct blk_null *n = calloc(1, sizeof(*n));
    if (!n)
        return fail(-ENOMEM, "null disk");
    n->b.ops = &blk_null_ops;
    n->b.info = *info;
    blk_ended_init(&n->ended, loop);
    *out = &n->b;
    return 0;
}

static int blk_null_view(struct blk_backend *b, struct evloop *loop, struct blk_backend **out)
{
    return create(out, loop, &b->info);
}

int blk_null_create(struct blk_backend **out, const struct blk_null_config *config)
{
    const struct blk_info info = {
        .capacity_bytes = config->bytes,
        .logical_bytes = config->sector_bytes,
        .read_only = config->read_only,
        .can_discard = !config->read_only,
        .can_zero = !config->read_only,
        .discard_bytes = BLK_SECTOR_BYTES,
    };
    if (config->bytes == 0 || config->bytes % blk_logical_bytes(&info) != 0)
        return fail_msg(-EINVAL, "null disk: %llu bytes are not whole sectors",
                        (unsigned long long)config->bytes);
    return create(out, config->loop, &info);
}
