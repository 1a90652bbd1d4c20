// SPDX-License-Identifier: BSD-2-Clause
/* What a balloon is (VIRTIO 1.4 5.5), and what its drivers have to do. */
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "virtio/balloon/balloon.h"
#include "virtio/base/device.h"
#include "virtio/observe/strict.h"
#include "virtio/spec.h"

static const struct virtio_feature_name features[] = {
    {"must_tell_host", VIRTIO_BALLOON_F_MUST_TELL_HOST},
    {"stats_vq", VIRTIO_BALLOON_F_STATS_VQ},
    {"deflate_on_oom", VIRTIO_BALLOON_F_DEFLATE_ON_OOM},
    {"free_page_hint", VIRTIO_BALLOON_F_FREE_PAGE_HINT},
    {"page_poison", VIRTIO_BALLOON_F_PAGE_POISON},
    {"page_reporting", VIRTIO_BALLOON_F_PAGE_REPORTING},
    {NULL, 0},
};

static const struct virtio_field fields[] = {
    {VIRTIO_BALLOON_CONFIG_num_pages, 4, 1, 0, false},
    {VIRTIO_BALLOON_CONFIG_actual, 4, 1, 0, true},
    {VIRTIO_BALLOON_CONFIG_free_page_hint_cmd_id, 4, 1, VIRTIO_BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT),
     false},
    {VIRTIO_BALLOON_CONFIG_poison_val, 4, 1, VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_POISON), true},
};

/* What a free page holds is of no use to a recording. */
static const struct virtio_queue_role roles[] = {
    [VIRTIO_BALLOON_INFLATE] = {.name = "inflateq",
                                .readable_only = true,
                                .rule = STRICT_BALLOON_WRITABLE},
    [VIRTIO_BALLOON_DEFLATE] = {.name = "deflateq",
                                .readable_only = true,
                                .rule = STRICT_BALLOON_WRITABLE},
    [VIRTIO_BALLOON_STATS] = {.name = "statsq",
                              .readable_only = true,
                              .rule = STRICT_BALLOON_WRITABLE},
    [VIRTIO_BALLOON_HINTS] = {.name = "free_page_vq", .kept_written = {0, 1}},
    [VIRTIO_BALLOON_REPORTS] = {.name = "reporting_vq", .kept_written = {0, 1}},
};

/* ---- the driver monitor ---- */

static const struct virtio_rule rules[] = {
    [STRICT_BALLOON_WRITABLE -
     STRICT_RULES] = {"5.5.6", "page numbers and statistics are device-readable buffers"},
    [STRICT_BALLOON_PAGE - STRICT_RULES] = {"5.5.6", "a page of the balloon is one of memory"},
};

#define NUMBERS 1024u /* that are looked at in a request */

static void check_request(struct virtio_request *r)
{
    uint8_t number[4];
    if (r->queue != VIRTIO_BALLOON_INFLATE)
        return;
    for (unsigned i = 0; i < NUMBERS && iobuf_get(&r->rd, number, 4) == 4; i++) {
        uint64_t gpa = (uint64_t)le32_get(number) << VIRTIO_BALLOON_PAGE_BITS;
        if (gmem_find(r->dev->setup.gmem, gpa, 1) != NULL)
            continue;
        strict_report(r->dev, (int)r->queue, STRICT_BALLOON_PAGE, "page 0x%x", le32_get(number));
        return;
    }
}

const struct virtio_device_type virtio_balloon_type = {
    .name = "balloon",
    .id = VIRTIO_ID_BALLOON,
    .pci_class = 0x00ff00, /* unclassified */
    .pci_transitional = 0x1002,
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
