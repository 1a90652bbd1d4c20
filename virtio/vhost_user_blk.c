// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vhost_user_blk.h"

#include <errno.h>

#include "core/le.h"
#include "core/xmath.h"
#include "virtio/spec.h"

/* SIZE_MAX to WRITE_ZEROES: what their fields in the configuration space are for. */
#define PASSED_FEATURES                                                        \
    (VIRTIO_BIT(VIRTIO_BLK_F_SIZE_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) |    \
     VIRTIO_BIT(VIRTIO_BLK_F_GEOMETRY) | VIRTIO_BIT(VIRTIO_BLK_F_RO) |         \
     VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) |      \
     VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) | \
     VIRTIO_BIT(VIRTIO_BLK_F_MQ) | VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) |          \
     VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES))

/* Up to the fields of these features: not every server knows more. */
#define CONFIG_BYTES 60u

struct vhost_user_blk {
    struct vhost_user_device v;
    uint8_t writeback; /* the cache mode, VIRTIO 1.4 5.2.5: ours to say, see prepare() */
};

static struct vhost_user_blk *of(struct vhost_user_device *v)
{
    return container_of(v, struct vhost_user_blk, v);
}

/* The server may have more queues than the driver is given. */
static void fix_config(struct vhost_user_device *v)
{
    struct vhost_user_blk *blk = of(v);
    le16_put(blk->v.config + VIRTIO_BLK_CONFIG_num_queues, (uint16_t)v->dev.cfg.queue_count);
    blk->v.config[VIRTIO_BLK_CONFIG_writeback] = blk->writeback;
}

static void set_writeback(struct vhost_user_blk *blk, bool on)
{
    blk->writeback = on;
    blk->v.config[VIRTIO_BLK_CONFIG_writeback] = on;
}

/* A driver that does not flush relies on every write. */
static void set_default_cache_mode(struct vhost_user_device *v)
{
    set_writeback(of(v), virtio_device_negotiated(&v->dev, VIRTIO_BLK_F_FLUSH));
}

/* A server that refuses keeps its cache as it was. */
static int send_writeback(struct vhost_user_blk *blk)
{
    int err = vhost_user_set_config(&blk->v.vu, VIRTIO_BLK_CONFIG_writeback, &blk->writeback, 1);
    return err == -EREMOTEIO ? 0 : err;
}

/* VIRTIO 1.4 5.2.6.2: writeback is all that a driver may write. */
static int write_config(struct vhost_user_device *v, unsigned offset, const void *src, unsigned len)
{
    struct vhost_user_blk *blk = of(v);
    if (offset != VIRTIO_BLK_CONFIG_writeback || len != 1 ||
        !virtio_device_has(&v->dev, VIRTIO_BLK_F_CONFIG_WCE))
        return 0;
    set_writeback(blk, (*(const uint8_t *)src) & 1);
    return v->connected ? send_writeback(blk) : 0; /* the next server is told by prepare() */
}

/*
 * The server is told the mode instead of asked: qemu-storage-daemon says that it writes through,
 * and does not. A driver that believed it would never flush.
 */
static int prepare(struct vhost_user_device *v)
{
    if (!virtio_device_has(&v->dev, VIRTIO_BLK_F_CONFIG_WCE))
        set_default_cache_mode(v);
    return (v->vu.features & VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE)) != 0 ? send_writeback(of(v)) : 0;
}

static const struct vhost_user_type blk_type = {
    .bytes = sizeof(struct vhost_user_blk),
    .device_id = VIRTIO_ID_BLOCK,
    .features = PASSED_FEATURES,
    .config_bytes = CONFIG_BYTES,
    .config_fix = fix_config,
    .config_write = write_config,
    .features_ok = set_default_cache_mode,
    .prepare = prepare,
};

int vhost_user_blk_create(struct vhost_user_device **out, const struct vhost_user_setup *config)
{
    int err;
    *out = vhost_user_device_create(&blk_type, config, &err);
    if (*out != NULL)
        set_writeback(of(*out), true);
    return err;
}
