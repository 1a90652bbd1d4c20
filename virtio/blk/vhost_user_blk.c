// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/blk/vhost_user_blk.h"

#include "core/base/le.h"
#include "virtio/blk/blk.h"
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

/* The server may have more queues than the driver is given. */
static void fix_config(struct vhost_user_device *v)
{
    le16_put(v->config + VIRTIO_BLK_CONFIG_num_queues, (uint16_t)v->dev.cfg.queue_count);
    v->config[VIRTIO_BLK_CONFIG_writeback] = (uint8_t)v->setting;
}

/* The setting is the cache mode (VIRTIO 1.4 5.2.5), which is ours to say: see tell(). */
static void set_writeback(struct vhost_user_device *v, bool on)
{
    v->setting = on;
    v->config[VIRTIO_BLK_CONFIG_writeback] = on;
}

/* A driver that does not flush relies on every write. */
static void set_default_cache_mode(struct vhost_user_device *v)
{
    set_writeback(v, virtio_device_negotiated(&v->dev, VIRTIO_BLK_F_FLUSH));
}

/* VIRTIO 1.4 5.2.6.2: writeback is all that a driver may write. */
static void write_config(struct vhost_user_device *v, unsigned offset, const void *src,
                         unsigned len)
{
    (void)offset;
    (void)len;
    if (!virtio_device_has(&v->dev, VIRTIO_BLK_F_CONFIG_WCE))
        return;
    set_writeback(v, (*(const uint8_t *)src) & 1);
    vhost_user_device_changed(v);
}

static void activate(struct vhost_user_device *v)
{
    if (!virtio_device_has(&v->dev, VIRTIO_BLK_F_CONFIG_WCE))
        set_default_cache_mode(v);
}

/*
 * The server is told the mode instead of asked: qemu-storage-daemon says that it writes through,
 * and does not. A driver that believed it would never flush.
 */
static int tell(struct vhost_user *vu, uint32_t setting)
{
    uint8_t writeback = (uint8_t)setting;
    if ((vu->features & VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE)) == 0)
        return 0;
    return vhost_user_set_config(vu, VIRTIO_BLK_CONFIG_writeback, &writeback, 1);
}

static const struct vhost_user_type blk_type = {
    .bytes = sizeof(struct vhost_user_device),
    .device_type = &virtio_blk_type,
    .features = PASSED_FEATURES,
    .config_bytes = CONFIG_BYTES,
    .config_fix = fix_config,
    .config_write = write_config,
    .features_ok = set_default_cache_mode,
    .activate = activate,
    .tell = tell,
};

int vhost_user_blk_create(struct vhost_user_device **out, const struct vhost_user_setup *config)
{
    int err;
    *out = vhost_user_device_create(&blk_type, config, &err);
    if (*out != NULL)
        set_writeback(*out, true);
    return err;
}
