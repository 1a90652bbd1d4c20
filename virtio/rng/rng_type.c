// SPDX-License-Identifier: BSD-2-Clause
/* What an entropy device is (VIRTIO 1.4 5.4), and what its drivers have to do. */
#include "core/base/xmath.h"
#include "virtio/base/type.h"
#include "virtio/rng/rng.h"
#include "virtio/spec.h"

static const struct virtio_queue_role roles[] = {
    {.name = "requestq", .writable_only = true, .rule = STRICT_RNG_READABLE},
};

static const struct virtio_rule rules[] = {
    [STRICT_RNG_READABLE - STRICT_RULES] = {"5.4.6.1", "the queue gets no device-readable buffer"},
};

const struct virtio_device_type virtio_rng_type = {
    .name = "rng",
    .id = VIRTIO_ID_ENTROPY,
    .pci_class = 0x00ff00, /* unclassified */
    .pci_transitional = 0x1005,
    .roles = roles,
    .role_count = ARRAY_SIZE(roles),
    .groups_max = 1,
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};
