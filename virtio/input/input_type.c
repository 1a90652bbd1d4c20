// SPDX-License-Identifier: BSD-2-Clause
/* What an input device is (VIRTIO 1.4 5.8), and what its drivers have to do. */
#include "core/base/xmath.h"
#include "virtio/base/type.h"
#include "virtio/input/input.h"
#include "virtio/observe/strict.h"
#include "virtio/spec.h"

static const struct virtio_field fields[] = {
    {VIRTIO_INPUT_CONFIG_select, 1, 2, 0, true},
    {VIRTIO_INPUT_CONFIG_size, 1, 1, 0, false},
    {3, 1, 5, 0, false},
    {VIRTIO_INPUT_CONFIG_data, 1, VIRTIO_INPUT_DATA_BYTES, 0, false},
};

static const struct virtio_queue_role roles[] = {
    [VIRTIO_INPUT_EVENTS] = {.name = "eventq",
                             .writable_only = true,
                             .rule = STRICT_INPUT_EVENT_READABLE},
    [VIRTIO_INPUT_STATUS] = {.name = "statusq",
                             .readable_only = true,
                             .rule = STRICT_INPUT_STATUS_WRITABLE},
};

static const struct virtio_rule rules[] = {
    [STRICT_INPUT_EVENT_READABLE -
     STRICT_RULES] = {"5.8.6.1", "buffers of the event queue are device-writable"},
    [STRICT_INPUT_STATUS_WRITABLE -
        STRICT_RULES] = {"5.8.6.1", "buffers of the status queue are device-readable"},
    [STRICT_INPUT_SHORT - STRICT_RULES] = {"5.8.6.1", "a buffer is at least as long as an event"},
};

/* Of buffers that go the right way. */
static void check_request(struct virtio_request *r)
{
    bool is_event = r->queue == VIRTIO_INPUT_EVENTS;
    uint64_t bytes = is_event ? r->wr.left : r->rd.left;
    if (bytes < INPUT_EVENT_BYTES && (is_event ? r->rd.left : r->wr.left) == 0)
        strict_report(r->dev, (int)r->queue, STRICT_INPUT_SHORT, "%llu bytes",
                      (unsigned long long)bytes);
}

const struct virtio_device_type virtio_input_type = {
    .name = "input",
    .id = VIRTIO_ID_INPUT,
    .pci_class = 0x098000, /* input device, other */
    .fields = fields,
    .field_count = ARRAY_SIZE(fields),
    .roles = roles,
    .role_count = ARRAY_SIZE(roles),
    .groups_max = 1,
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
    .check_request = check_request,
};
