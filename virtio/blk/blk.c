// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/blk/blk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "core/ports/block.h"
#include "core/state/state.h"
#include "virtio/base/device.h"
#include "virtio/blk/blk_impl.h"
#include "virtio/spec.h"

static struct virtio_blk *blk_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_blk, dev);
}

/* ---- the queues come and go ---- */

static int blk_queue_start(struct virtio_device *dev, unsigned queue)
{
    return blk_slots_alloc(&blk_of(dev)->queues[queue].slots, &dev->queues[queue].vq,
                           sizeof(struct blk_request));
}

static void blk_queue_stop(struct virtio_device *dev, unsigned queue)
{
    struct blk_queue *q = &blk_of(dev)->queues[queue];
    /* All of the lane's requests end; those of queues that go on come again. */
    q->lane->backend->ops->drain(q->lane->backend);
    blk_requests_forget(q);
    blk_slots_free(&q->slots);
}

/* ---- cache mode: the writeback byte of the configuration space, VIRTIO 1.4 5.2.5 ---- */

static void set_writeback(struct virtio_blk *blk, bool on)
{
    __atomic_store_n(&blk->config[VIRTIO_BLK_CONFIG_writeback], on, __ATOMIC_RELAXED);
}

static void set_default_cache_mode(struct virtio_blk *blk)
{
    /* A driver that does not flush relies on every write. */
    bool flushes = virtio_device_negotiated(&blk->dev, VIRTIO_BLK_F_FLUSH);
    set_writeback(blk, flushes && !blk->write_through);
}

static void blk_features_ok(struct virtio_device *dev)
{
    set_default_cache_mode(blk_of(dev));
}

/* A legacy driver may have chosen the mode by now: with CONFIG_WCE it stays (5.2.5.3). */
static int blk_activate(struct virtio_device *dev)
{
    if (!virtio_device_has(dev, VIRTIO_BLK_F_CONFIG_WCE))
        set_default_cache_mode(blk_of(dev));
    return 0;
}

static void blk_reset(struct virtio_device *dev)
{
    struct virtio_blk *blk = blk_of(dev);
    set_writeback(blk, !blk->write_through);
}

/* All that is writable is that byte. */
static void blk_config_write(struct virtio_device *dev, unsigned offset, const void *src,
                             unsigned len)
{
    (void)offset;
    (void)len;
    if (virtio_device_negotiated(dev, VIRTIO_BLK_F_CONFIG_WCE) || (dev->legacy && !dev->active))
        set_writeback(blk_of(dev), *(const uint8_t *)src != 0);
}

static void blk_state(struct virtio_device *dev, struct state *s)
{
    struct virtio_blk *blk = blk_of(dev);
    bool writeback = blk->config[VIRTIO_BLK_CONFIG_writeback];
    set_writeback(blk, state_number(s, "writeback", writeback, true));
}

static void blk_describe(struct virtio_device *dev, struct facts *f)
{
    struct virtio_blk *blk = blk_of(dev);
    const struct blk_info *info = &blk->backend->info;
    facts_number(f, "capacity_bytes", info->capacity_bytes);
    facts_number(f, "block_bytes", blk_logical_bytes(info));
    facts_flag(f, "read_only", info->read_only);
    facts_flag(f, "write_back",
               __atomic_load_n(&blk->config[VIRTIO_BLK_CONFIG_writeback], __ATOMIC_RELAXED));
}

static const struct virtio_device_ops blk_ops = {
    .config_write = blk_config_write,
    .features_ok = blk_features_ok,
    .activate = blk_activate,
    .queue_start = blk_queue_start,
    .queue_ready = blk_queue_ready,
    .queue_stop = blk_queue_stop,
    .reset = blk_reset,
    .state = blk_state,
    .describe = blk_describe,
};

/* ---- configuration space ---- */

static void show_capacity(struct virtio_blk *blk)
{
    const struct blk_info *info = &blk->backend->info;
    uint64_t sectors = align_down(info->capacity_bytes, blk_logical_bytes(info)) / BLK_SECTOR_BYTES;
    uint64_t *at = (uint64_t *)(void *)(blk->config + VIRTIO_BLK_CONFIG_capacity);
    __atomic_store_n(at, htole64(sectors), __ATOMIC_RELAXED);
}

static void on_resize(void *ctx)
{
    struct virtio_blk *blk = ctx;
    blk_lanes_resize(blk); /* before the driver asks for what is new */
    show_capacity(blk);
    virtio_device_config_changed(&blk->dev);
}

/* In logical blocks, all of it. */
static void show_topology(struct virtio_blk *blk, const struct blk_info *info)
{
    uint32_t logical = blk_logical_bytes(info);
    uint32_t physical = (uint32_t)max_u64(info->physical_bytes / logical, 1);
    blk->config[VIRTIO_BLK_CONFIG_physical_block_exp] = (uint8_t)__builtin_ctz(physical);
    le16_put(blk->config + VIRTIO_BLK_CONFIG_min_io_size, (uint16_t)min_u64(physical, 1u << 15));
    le32_put(blk->config + VIRTIO_BLK_CONFIG_opt_io_size, info->optimal_bytes / logical);
}

static void show_ranges(struct virtio_blk *blk, const struct blk_info *info)
{
    uint8_t *config = blk->config;
    if (blk->dev.offered[0] & VIRTIO_BIT(VIRTIO_BLK_F_DISCARD)) {
        le32_put(config + VIRTIO_BLK_CONFIG_max_discard_sectors,
                 BLK_RANGE_MAX_BYTES / BLK_SECTOR_BYTES);
        le32_put(config + VIRTIO_BLK_CONFIG_max_discard_seg, BLK_RANGES_MAX);
        le32_put(config + VIRTIO_BLK_CONFIG_discard_sector_alignment,
                 (uint32_t)max_u64(info->discard_bytes, blk_logical_bytes(info)) /
                     BLK_SECTOR_BYTES);
    }
    if (blk->dev.offered[0] & VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES)) {
        le32_put(config + VIRTIO_BLK_CONFIG_max_write_zeroes_sectors,
                 BLK_RANGE_MAX_BYTES / BLK_SECTOR_BYTES);
        le32_put(config + VIRTIO_BLK_CONFIG_max_write_zeroes_seg, BLK_RANGES_MAX);
        config[VIRTIO_BLK_CONFIG_write_zeroes_may_unmap] = info->can_discard;
    }
}

/* ---- life ---- */

static uint64_t features_of(const struct blk_info *info, unsigned queues)
{
    uint64_t features = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
                        VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);
    if (info->read_only)
        features |= VIRTIO_BIT(VIRTIO_BLK_F_RO);
    if (info->physical_bytes != 0 || info->optimal_bytes != 0)
        features |= VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY);
    if (queues > 1)
        features |= VIRTIO_BIT(VIRTIO_BLK_F_MQ);
    if (info->can_discard && !info->read_only)
        features |= VIRTIO_BIT(VIRTIO_BLK_F_DISCARD);
    if (info->can_zero && !info->read_only)
        features |= VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
    return features;
}

static int init_device(struct virtio_blk *blk, const struct virtio_setup *setup,
                       const struct virtio_blk_config *config, unsigned queues)
{
    struct virtio_setup own = *setup;
    if (own.features_off & VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)) /* VIRTIO 1.4 5.2.5.2: it needs that */
        own.features_off |= VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);
    return virtio_device_init(&blk->dev, &own,
                              &(struct virtio_device_config){
                                  .type = &virtio_blk_type,
                                  .ops = &blk_ops,
                                  .features = features_of(&blk->backend->info, queues),
                                  .config = blk->config,
                                  .config_bytes = sizeof(blk->config),
                                  .queue_count = queues,
                                  .queue_loops = config->queue_loops,
                              });
}

static void show(struct virtio_blk *blk, unsigned queues)
{
    show_capacity(blk);
    le32_put(blk->config + VIRTIO_BLK_CONFIG_seg_max, virtio_device_seg_max(&blk->dev));
    le32_put(blk->config + VIRTIO_BLK_CONFIG_blk_size, blk_logical_bytes(&blk->backend->info));
    le16_put(blk->config + VIRTIO_BLK_CONFIG_num_queues, (uint16_t)queues);
    show_topology(blk, &blk->backend->info);
    show_ranges(blk, &blk->backend->info);
    blk_reset(&blk->dev);
}

static void free_device(struct virtio_blk *blk)
{
    blk_lanes_fini(blk);
    virtio_device_fini(&blk->dev);
    free(blk);
}

int virtio_blk_create(struct virtio_blk **out, const struct virtio_setup *setup,
                      const struct virtio_blk_config *config)
{
    int count = virtio_type_queues(&virtio_blk_type, setup->name, config->queues);
    if (count < 0)
        return count;
    unsigned queues = (unsigned)count;
    struct virtio_blk *blk = calloc(1, sizeof(*blk));
    if (blk == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    blk->backend = config->backend;
    blk->write_through = config->write_through;
    if (config->serial != NULL)
        memcpy(blk->serial, config->serial, strnlen(config->serial, sizeof(blk->serial)));
    int err = init_device(blk, setup, config, queues);
    if (err == 0)
        err = blk_lanes_init(blk, config->queue_loops, queues);
    if (err != 0) {
        free_device(blk);
        return err;
    }
    show(blk, queues);
    blk->backend->handler = (struct blk_handler){.on_resize = on_resize, .ctx = blk};
    *out = blk;
    return 0;
}

void virtio_blk_destroy(struct virtio_blk *blk)
{
    if (blk == NULL)
        return;
    blk->backend->handler = (struct blk_handler){0};
    free_device(blk);
}

struct virtio_device *virtio_blk_device(struct virtio_blk *blk)
{
    return &blk->dev;
}
