// SPDX-License-Identifier: BSD-2-Clause
/* What a GPU device is (VIRTIO 1.4 5.7), and what its drivers have to do. */
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/gpu/gpu.h"
#include "virtio/gpu/gpu_codes.h"
#include "virtio/observe/strict.h"
#include "virtio/spec.h"

static const struct virtio_feature_name features[] = {
    {"virgl", VIRTIO_GPU_F_VIRGL},
    {"edid", VIRTIO_GPU_F_EDID},
    {"resource_uuid", VIRTIO_GPU_F_RESOURCE_UUID},
    {"resource_blob", VIRTIO_GPU_F_RESOURCE_BLOB},
    {"context_init", VIRTIO_GPU_F_CONTEXT_INIT},
    {"blob_alignment", VIRTIO_GPU_F_BLOB_ALIGNMENT},
    {NULL, 0},
};

static const struct virtio_field fields[] = {
    {VIRTIO_GPU_CONFIG_events_read, 4, 1, 0, false},
    {VIRTIO_GPU_CONFIG_events_clear, 4, 1, 0, true},
    {VIRTIO_GPU_CONFIG_num_scanouts, 4, 2, 0, false},
    {VIRTIO_GPU_CONFIG_blob_alignment, 4, 1, VIRTIO_BIT(VIRTIO_GPU_F_BLOB_ALIGNMENT), false},
};

static const struct virtio_queue_role roles[] = {
    /* Lists of guest memory are kept whole, as far as VIRTIO_GPU_TAPED_ENTRIES go. */
    [VIRTIO_GPU_CONTROLQ] = {.name = "controlq",
                             .kept_read = {UINT32_C(96) << 10, UINT32_C(48) << 10},
                             .kept_written = {2048, 32}},
    [VIRTIO_GPU_CURSORQ] = {.name = "cursorq"},
};

/* ---- the driver monitor ---- */

static const struct virtio_rule rules[] = {
    [STRICT_GPU_HEADER - STRICT_RULES] = {"5.7.6.7", "a request begins with a header of 24 bytes"},
    [STRICT_GPU_RESPONSE -
        STRICT_RULES] = {"5.7.6.7", "a control request has room for a response of 24 bytes"},
    [STRICT_GPU_FEATURE -
        STRICT_RULES] = {"5.7.3", "a command is used if its feature was negotiated"},
    [STRICT_GPU_QUEUE - STRICT_RULES] =
        {"5.7.2", "the cursor queue is for cursor commands, the control queue for all others"},
};

/* The feature that a command needs, or -1. */
static int needed(uint32_t type)
{
    switch (type) {
    case VIRTIO_GPU_CMD_GET_EDID:
        return VIRTIO_GPU_F_EDID;
    case VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID:
        return VIRTIO_GPU_F_RESOURCE_UUID;
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
    case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
        return VIRTIO_GPU_F_RESOURCE_BLOB;
    default:
        if (type >= VIRTIO_GPU_CMD_CTX_CREATE && type <= VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB)
            return VIRTIO_GPU_F_VIRGL;
        return -1;
    }
}

static void check_request(struct virtio_request *r)
{
    uint8_t header[VIRTIO_GPU_HDR_BYTES];
    bool is_cursors = r->queue == VIRTIO_GPU_CURSORQ;
    if (!is_cursors && r->wr.left < VIRTIO_GPU_HDR_BYTES)
        strict_report(r->dev, (int)r->queue, STRICT_GPU_RESPONSE, "%llu bytes",
                      (unsigned long long)r->wr.left);
    size_t got = iobuf_get(&r->rd, header, sizeof(header));
    if (got < sizeof(header)) {
        strict_report(r->dev, (int)r->queue, STRICT_GPU_HEADER, "%u bytes", (unsigned)got);
        return;
    }
    uint32_t type = le32_get(header + VIRTIO_GPU_HDR_type);
    int feature = needed(type);
    if (feature >= 0 && !virtio_device_has(r->dev, (unsigned)feature))
        strict_report(r->dev, (int)r->queue, STRICT_GPU_FEATURE, "command %#x", type);
    if (is_cursors != (type >= VIRTIO_GPU_CMD_UPDATE_CURSOR))
        strict_report(r->dev, (int)r->queue, STRICT_GPU_QUEUE, "command %#x", type);
}

const struct virtio_device_type virtio_gpu_type = {
    .name = "gpu",
    .id = VIRTIO_ID_GPU,
    .pci_class = 0x038000, /* display controller, other */
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
