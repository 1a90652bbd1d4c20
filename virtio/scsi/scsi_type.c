// SPDX-License-Identifier: BSD-2-Clause
/* What a SCSI host is (VIRTIO 1.4 5.6). */
#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/scsi/scsi.h"
#include "virtio/spec.h"

/* Of commands, which are short: the rest of longer chains is data. */
#define KEEP_COMMANDS \
    {                 \
        1024, 64      \
    }

static const struct virtio_feature_name features[] = {
    {"hotplug", VIRTIO_SCSI_F_HOTPLUG},
    {"change", VIRTIO_SCSI_F_CHANGE},
    {NULL, 0},
};

static const struct virtio_field fields[] = {
    {VIRTIO_SCSI_CONFIG_num_queues, 4, 5, 0, false},
    {VIRTIO_SCSI_CONFIG_sense_size, 4, 2, 0, true},
    {VIRTIO_SCSI_CONFIG_max_channel, 2, 2, 0, false},
    {VIRTIO_SCSI_CONFIG_max_lun, 4, 1, 0, false},
};

static const struct virtio_queue_role roles[] = {
    [VIRTIO_SCSI_CONTROLQ] = {.name = "controlq", .kept_read = KEEP_COMMANDS},
    [VIRTIO_SCSI_EVENTQ] = {.name = "eventq", .kept_read = KEEP_COMMANDS},
    [VIRTIO_SCSI_REQUESTQ] = {.name = "requestq", .kept_read = KEEP_COMMANDS},
};

const struct virtio_device_type virtio_scsi_type = {
    .name = "scsi",
    .id = VIRTIO_ID_SCSI,
    .pci_class = 0x010000, /* mass storage, SCSI */
    .pci_transitional = 0x1004,
    .features = features,
    .fields = fields,
    .field_count = ARRAY_SIZE(fields),
    .roles = roles,
    .role_count = ARRAY_SIZE(roles),
    .group_first = VIRTIO_SCSI_REQUESTQ,
    .group_size = 1,
    .groups_max = VIRTIO_QUEUES_MAX - VIRTIO_SCSI_REQUESTQ,
};
