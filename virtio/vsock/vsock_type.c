// SPDX-License-Identifier: BSD-2-Clause
/* What a socket device is (VIRTIO 1.4 5.10), and what its drivers have to do. */
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/observe/strict.h"
#include "virtio/spec.h"
#include "virtio/vsock/vsock.h"

static const struct virtio_feature_name features[] = {
    {"stream", VIRTIO_VSOCK_F_STREAM},
    {"seqpacket", VIRTIO_VSOCK_F_SEQPACKET},
    {"no_implied_stream", VIRTIO_VSOCK_F_NO_IMPLIED_STREAM},
    {NULL, 0},
};

static const struct virtio_field fields[] = {
    {0, VIRTIO_VSOCK_CONFIG_BYTES, 1, 0, false},
};

static const struct virtio_queue_role roles[] = {
    [VIRTIO_VSOCK_RX] = {.name = "rx", .writable_only = true, .rule = STRICT_VSOCK_RX},
    [VIRTIO_VSOCK_TX] = {.name = "tx", .readable_only = true, .rule = STRICT_VSOCK_TX},
    [VIRTIO_VSOCK_EVENT] = {.name = "event"},
};

/* ---- the driver monitor ---- */

#define RULE(name) [STRICT_VSOCK_##name - STRICT_RULES]

static const struct virtio_rule rules[] = {
    RULE(RX) = {"5.10.2", "a receive buffer is device-writable"},
    RULE(TX) = {"5.10.2", "a packet to be sent is device-readable"},
    RULE(CID) = {"5.10.6.2", "a packet comes from the guest's CID, and goes to the host's"},
    RULE(LENGTH) = {"5.10.6", "a packet has a header, and as many bytes after it as that says"},
};

static void check_request(struct virtio_request *r)
{
    uint8_t h[VIRTIO_VSOCK_HDR_BYTES];
    if (r->queue != VIRTIO_VSOCK_TX || r->rd.left == 0)
        return;
    if (iobuf_get(&r->rd, h, sizeof(h)) < sizeof(h) ||
        r->rd.left < le32_get(h + VIRTIO_VSOCK_HDR_len)) {
        strict_report(r->dev, (int)r->queue, STRICT_VSOCK_LENGTH, "%llu bytes follow the header",
                      (unsigned long long)r->rd.left);
        return;
    }
    uint64_t from = le64_get(h + VIRTIO_VSOCK_HDR_src_cid);
    uint64_t to = le64_get(h + VIRTIO_VSOCK_HDR_dst_cid);
    if (from != le64_get(r->dev->cfg.config) || to != VIRTIO_VSOCK_CID_HOST)
        strict_report(r->dev, (int)r->queue, STRICT_VSOCK_CID, "from %llu to %llu",
                      (unsigned long long)from, (unsigned long long)to);
}

const struct virtio_device_type virtio_vsock_type = {
    .name = "vsock",
    .id = VIRTIO_ID_VSOCK,
    .pci_class = 0x028000, /* network, other */
    .features = features,
    .fields = fields,
    .field_count = ARRAY_SIZE(fields),
    .roles = roles,
    .role_count = ARRAY_SIZE(roles),
    .groups_max = 1,
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
    .check_request = check_request,
};
