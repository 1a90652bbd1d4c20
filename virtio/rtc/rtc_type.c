// SPDX-License-Identifier: BSD-2-Clause
/* What a real-time clock is (VIRTIO 1.4 5.23). */
#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/observe/strict.h"
#include "virtio/rtc/rtc.h"
#include "virtio/spec.h"

static const struct virtio_feature_name features[] = {
    {"alarm", VIRTIO_RTC_F_ALARM},
    {NULL, 0},
};

static const struct virtio_queue_role roles[] = {
    [VIRTIO_RTC_REQUESTS] = {.name = "requestq"},
    [VIRTIO_RTC_ALARMS] = {.name = "alarmq", .writable_only = true, .rule = STRICT_RTC_READABLE},
};

static const struct virtio_rule rules[] = {
    [STRICT_RTC_READABLE - STRICT_RULES] = {"5.23.2", "a buffer for alarms is device-writable"},
};

const struct virtio_device_type virtio_rtc_type = {
    .name = "rtc",
    .id = VIRTIO_ID_RTC,
    .pci_class = 0x088000, /* system peripheral, other */
    .features = features,
    .roles = roles,
    .role_count = ARRAY_SIZE(roles),
    .groups_max = 1,
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};
