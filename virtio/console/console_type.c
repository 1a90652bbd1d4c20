// SPDX-License-Identifier: BSD-2-Clause
/* What a console is (VIRTIO 1.4 5.3), and what its drivers have to do. */
#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/console/console.h"
#include "virtio/spec.h"

static const struct virtio_feature_name features[] = {
    {"size", VIRTIO_CONSOLE_F_SIZE},
    {"multiport", VIRTIO_CONSOLE_F_MULTIPORT},
    {"emerg_write", VIRTIO_CONSOLE_F_EMERG_WRITE},
    {NULL, 0},
};

static const struct virtio_field fields[] = {
    {VIRTIO_CONSOLE_CONFIG_cols, 2, 2, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), false},
    {VIRTIO_CONSOLE_CONFIG_max_nr_ports, 4, 1, VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT), false},
    {VIRTIO_CONSOLE_CONFIG_emerg_wr, 4, 1, VIRTIO_BIT(VIRTIO_CONSOLE_F_EMERG_WRITE), true},
};

#define TO_DRIVER   .writable_only = true, .rule = STRICT_CONSOLE_RX
#define FROM_DRIVER .readable_only = true, .rule = STRICT_CONSOLE_TX

static const struct virtio_queue_role roles[] = {
    [VIRTIO_CONSOLE_RX] = {.name = "receiveq", TO_DRIVER},
    [VIRTIO_CONSOLE_TX] = {.name = "transmitq", FROM_DRIVER},
    [VIRTIO_CONSOLE_CONTROL_RX] = {.name = "control receiveq", TO_DRIVER},
    [VIRTIO_CONSOLE_CONTROL_TX] = {.name = "control transmitq", FROM_DRIVER},
    [VIRTIO_CONSOLE_PORT_1] = {.name = "receiveq", TO_DRIVER},
    [VIRTIO_CONSOLE_PORT_1 + 1] = {.name = "transmitq", FROM_DRIVER},
};

static const struct virtio_rule rules[] = {
    [STRICT_CONSOLE_RX - STRICT_RULES] = {"5.3.6.1",
                                          "a receive queue gets no device-readable buffer"},
    [STRICT_CONSOLE_TX -
        STRICT_RULES] = {"5.3.6.1", "a transmit queue gets no device-writable buffer"},
};

const struct virtio_device_type virtio_console_type = {
    .name = "console",
    .id = VIRTIO_ID_CONSOLE,
    .pci_class = 0x078000, /* communication, other */
    .pci_transitional = 0x1003,
    .features = features,
    .fields = fields,
    .field_count = ARRAY_SIZE(fields),
    .roles = roles,
    .role_count = ARRAY_SIZE(roles),
    .group_first = VIRTIO_CONSOLE_PORT_1,
    .group_size = 2,
    .groups_max = VIRTIO_CONSOLE_PORTS_MAX,
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};
