// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/types.h"

#include <stddef.h>

#define VIRTIO_TYPE(name) extern const struct virtio_device_type virtio_##name##_type;
#include "virtio/devices.def"

const struct virtio_device_type *const virtio_types[] = {
#define VIRTIO_TYPE(name) &virtio_##name##_type,
#include "virtio/devices.def"
    NULL,
};
