// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/base/features.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"

const struct virtio_feature_name virtio_feature_names[] = {
    {"indirect_desc", VIRTIO_F_INDIRECT_DESC},
    {"event_idx", VIRTIO_F_EVENT_IDX},
    {"ring_packed", VIRTIO_F_RING_PACKED},
    {"in_order", VIRTIO_F_IN_ORDER},
    {"notification_data", VIRTIO_F_NOTIFICATION_DATA},
    {"ring_reset", VIRTIO_F_RING_RESET},
    {NULL, 0},
};

int virtio_feature_by_name(const char *name)
{
    for (const struct virtio_feature_name *f = virtio_feature_names; f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0)
            return (int)f->bit;
    }
    return -1;
}

/* ---- what was negotiated ---- */

/* Those that nobody switches: of all devices (0), and of types. */
static const struct {
    uint32_t device_id;
    unsigned bit;
    const char *name;
} other_names[] = {
    {0, VIRTIO_F_ANY_LAYOUT, "any_layout"},
    {0, VIRTIO_F_VERSION_1, "version_1"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_CSUM, "csum"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_CSUM, "guest_csum"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, "ctrl_guest_offloads"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_MTU, "mtu"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_MAC, "mac"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_TSO4, "guest_tso4"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_TSO6, "guest_tso6"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_ECN, "guest_ecn"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_UFO, "guest_ufo"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_HOST_TSO4, "host_tso4"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_HOST_TSO6, "host_tso6"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_HOST_ECN, "host_ecn"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_HOST_UFO, "host_ufo"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_MRG_RXBUF, "mrg_rxbuf"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_STATUS, "status"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_VQ, "ctrl_vq"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_RX, "ctrl_rx"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_VLAN, "ctrl_vlan"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_RX_EXTRA, "ctrl_rx_extra"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_ANNOUNCE, "guest_announce"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_MQ, "mq"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_MAC_ADDR, "ctrl_mac_addr"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_USO4, "guest_uso4"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_USO6, "guest_uso6"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_HOST_USO, "host_uso"},
    {VIRTIO_ID_NET, VIRTIO_NET_F_SPEED_DUPLEX, "speed_duplex"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_SIZE_MAX, "size_max"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_SEG_MAX, "seg_max"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_GEOMETRY, "geometry"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_RO, "ro"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_BLK_SIZE, "blk_size"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_FLUSH, "flush"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_TOPOLOGY, "topology"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_CONFIG_WCE, "config_wce"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_MQ, "mq"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_DISCARD, "discard"},
    {VIRTIO_ID_BLOCK, VIRTIO_BLK_F_WRITE_ZEROES, "write_zeroes"},
    {VIRTIO_ID_CONSOLE, VIRTIO_CONSOLE_F_SIZE, "size"},
    {VIRTIO_ID_SCSI, VIRTIO_SCSI_F_HOTPLUG, "hotplug"},
    {VIRTIO_ID_SCSI, VIRTIO_SCSI_F_CHANGE, "change"},
};

static const char *name_of(uint32_t device_id, unsigned bit)
{
    for (const struct virtio_feature_name *f = virtio_feature_names; f->name != NULL; f++) {
        if (f->bit == bit)
            return f->name;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(other_names); i++) {
        uint32_t id = other_names[i].device_id;
        if (other_names[i].bit == bit && (id == 0 || id == device_id))
            return other_names[i].name;
    }
    return NULL;
}

/* What does not fit in is left out: the log cuts lines there as well. */
struct text {
    char bytes[1024];
    size_t used;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->bytes + t->used, sizeof(t->bytes) - t->used, fmt, args);
    va_end(args);
    t->used = (size_t)min_u64(t->used + (uint64_t)n, sizeof(t->bytes) - 1);
}

static void add_features(struct text *t, const struct virtio_device *dev)
{
    for (unsigned bit = 0; bit < 128; bit++) {
        const char *name = name_of(dev->cfg.device_id, bit);
        if (virtio_device_has(dev, bit) && name != NULL)
            add(t, " %s", name);
        else if (virtio_device_has(dev, bit))
            add(t, " %u", bit);
    }
}

static void add_queues(struct text *t, const struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->cfg.queue_count; i++) {
        const struct vq_config *config = &dev->queues[i].config;
        if (!virtio_device_queue_ready(dev, i))
            continue;
        add(t, " %u:%u", i, config->size);
        int vector = -1;
        if (dev->host.ops->queue_vector != NULL)
            vector = dev->host.ops->queue_vector(dev->host.ctx, i);
        if (vector >= 0)
            add(t, "/%d", vector);
    }
}

void virtio_features_say(struct virtio_device *dev)
{
    struct text t = {.used = 0};
    if (!log_enabled(LOG_INFO))
        return;
    add_features(&t, dev);
    add(&t, "; queues (number:size/vector)");
    add_queues(&t, dev);
    log_guest(&dev->activations, "virtio %s runs, %s%s ring; features%s", dev->setup.name,
              dev->legacy ? "legacy, " : "",
              virtio_device_has(dev, VIRTIO_F_RING_PACKED) ? "packed" : "split", t.bytes);
}
