// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/features.h"

#include <stddef.h>
#include <string.h>

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
