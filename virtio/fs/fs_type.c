// SPDX-License-Identifier: BSD-2-Clause
/* What a file system device is (VIRTIO 1.4 5.11), and what its drivers have to do. */
#include <endian.h>
#include <linux/fuse.h>

#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/fs/fs.h"
#include "virtio/observe/strict.h"
#include "virtio/spec.h"

static const struct virtio_feature_name features[] = {
    {"notification", VIRTIO_FS_F_NOTIFICATION},
    {NULL, 0},
};

static const struct virtio_field fields[] = {
    {VIRTIO_FS_CONFIG_tag, 1, VIRTIO_FS_TAG_BYTES, 0, false},
    {VIRTIO_FS_CONFIG_num_request_queues, 4, 1, 0, false},
    {VIRTIO_FS_CONFIG_notify_buf_size, 4, 1, VIRTIO_BIT(VIRTIO_FS_F_NOTIFICATION), false},
};

static const struct virtio_queue_role roles[] = {
    [VIRTIO_FS_HIPRIO] = {.name = "hiprio"},
    [VIRTIO_FS_REQUESTS] = {.name = "requestq"},
};

static const struct virtio_rule rules[] = {
    [STRICT_FS_HEADER - STRICT_RULES] = {"5.11.6.1", "a request begins with a header of FUSE"},
    [STRICT_FS_HIPRIO - STRICT_RULES] = {"5.11.6.2", "the hiprio queue gets INTERRUPT, FORGET and "
                                                     "BATCH_FORGET only"},
    [STRICT_FS_REQUEST - STRICT_RULES] = {"5.11.6.2",
                                          "INTERRUPT, FORGET and BATCH_FORGET go to the hiprio "
                                          "queue"},
};

static void check_request(struct virtio_request *r)
{
    struct fuse_in_header header;
    size_t got = iobuf_get(&r->rd, &header, sizeof(header));
    if (got < sizeof(header)) {
        strict_report(r->dev, (int)r->queue, STRICT_FS_HEADER, "%u bytes", (unsigned)got);
        return;
    }
    uint32_t opcode = le32toh(header.opcode);
    bool is_prior =
        opcode == FUSE_FORGET || opcode == FUSE_INTERRUPT || opcode == FUSE_BATCH_FORGET;
    bool is_hiprio = r->queue == VIRTIO_FS_HIPRIO;
    if (is_prior != is_hiprio)
        strict_report(r->dev, (int)r->queue, is_hiprio ? STRICT_FS_HIPRIO : STRICT_FS_REQUEST,
                      "opcode %u", opcode);
}

const struct virtio_device_type virtio_fs_type = {
    .name = "fs",
    .id = VIRTIO_ID_FS,
    .pci_class = 0x018000, /* mass storage, other */
    .features = features,
    .fields = fields,
    .field_count = ARRAY_SIZE(fields),
    .roles = roles,
    .role_count = ARRAY_SIZE(roles),
    .group_first = VIRTIO_FS_REQUESTS,
    .group_size = 1,
    .groups_max = VIRTIO_QUEUES_MAX - VIRTIO_FS_REQUESTS,
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
    .check_request = check_request,
};
