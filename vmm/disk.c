// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/disk.h"

#include "core/block.h"
#include "core/clock.h"
#include "core/fail.h"
#include "devices/backend/blk_fault.h"
#include "devices/backend/blk_file.h"
#include "devices/backend/blk_limit.h"
#include "devices/backend/blk_null.h"
#include "devices/backend/blk_overlay.h"
#include "vmm/config.h"

#define NS_PER_MS 1000000u

_Static_assert((int)DISK_CACHE_NONE == BLK_FILE_CACHE_NONE &&
                   (int)DISK_CACHE_WRITEBACK == BLK_FILE_CACHE_WRITEBACK &&
                   (int)DISK_CACHE_UNSAFE == BLK_FILE_CACHE_UNSAFE,
               "the same words");

static int create_base(struct blk_backend **out, const struct disk_config *c, struct evloop *loop)
{
    if (c->kind == DISK_NULL)
        return blk_null_create(out, &(struct blk_null_config){.loop = loop,
                                                              .bytes = c->null_bytes,
                                                              .sector_bytes = c->sector_bytes,
                                                              .read_only = c->read_only});
    return blk_file_create(out, &(struct blk_file_config){
                                    .path = c->path,
                                    .read_only = c->read_only || c->snapshot,
                                    .loop = loop,
                                    .cache = (enum blk_file_cache)c->cache,
                                    .sector_bytes = c->sector_bytes,
                                });
}

static int add_overlay(struct blk_backend **b, struct evloop *loop)
{
    return blk_overlay_create(b, &(struct blk_overlay_config){.loop = loop, .base = *b});
}

static int add_fault(struct blk_backend **b, const struct disk_config *c, struct evloop *loop)
{
    struct blk_fault_config config = {.loop = loop, .clock = &clock_host, .base = *b};
    int r = blk_fault_parse(&config.spec, c->path, c->fault);
    return r < 0 ? r : blk_fault_create(b, &config);
}

static int add_limit(struct blk_backend **b, const struct disk_config *c, struct evloop *loop)
{
    uint32_t burst_ms = c->burst_ns != 0 ? (uint32_t)(c->burst_ns / NS_PER_MS) : BLK_LIMIT_BURST_MS;
    return blk_limit_create(b, &(struct blk_limit_config){.loop = loop,
                                                          .clock = &clock_host,
                                                          .base = *b,
                                                          .iops = c->iops,
                                                          .bytes_per_s = c->bytes_per_s,
                                                          .burst_ms = burst_ms});
}

int disk_create(struct blk_backend **out, const struct disk_config *c, struct evloop *loop)
{
    struct blk_backend *b;
    int r = create_base(&b, c, loop);
    if (r < 0)
        return r;
    if (c->snapshot && !c->read_only)
        r = add_overlay(&b, loop);
    if (r == 0 && c->fault[0] != '\0')
        r = add_fault(&b, c, loop);
    if (r == 0 && (c->iops != 0 || c->bytes_per_s != 0))
        r = add_limit(&b, c, loop);
    if (r < 0) {
        b->ops->destroy(b);
        return r;
    }
    *out = b;
    return 0;
}
