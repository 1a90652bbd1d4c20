// SPDX-License-Identifier: BSD-2-Clause
/* The memory balloon: VIRTIO 1.4 5.5. */
#include "conformance.h"

#include <string.h>

#include "core/base/le.h"
#include "virtio/balloon/balloon.h"

#define PAGE     4096u
#define PAGE_GPA RIG_HOLE_END_GPA /* where no ring is */

static void start_all(struct rig *rig, uint64_t features)
{
    demand(vdrv_start(&rig->drv, features, VIRTIO_BALLOON_QUEUES, 8));
    memset(vdrv_ptr(&rig->drv, PAGE_GPA, 2 * PAGE), 0x5a, 2 * PAGE);
}

static bool is_full(struct rig *rig, unsigned page, uint8_t with)
{
    const uint8_t *bytes = vdrv_ptr(&rig->drv, PAGE_GPA + page * PAGE, PAGE);
    for (unsigned i = 0; i < PAGE; i++)
        if (bytes[i] != with)
            return false;
    return true;
}

static void give(struct rig *rig, unsigned queue, const struct vdrv_buf *bufs, unsigned count)
{
    demand(vdrv_send(&rig->drv.q[queue], bufs, count) >= 0);
    rig_step(rig);
}

static void send_number(struct rig *rig, unsigned queue, uint64_t gpa)
{
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 4, 4), 4, false};
    uint32_t len;
    le32_put(vdrv_ptr(&rig->drv, buf.gpa, 4), (uint32_t)(gpa / PAGE));
    give(rig, queue, &buf, 1);
    take_one(rig, queue, &len);
}

/* Sends a buffer with one entry of each tag, and an unknown one at `at`; true: it was understood.
 */
static bool are_understood(struct rig *rig, unsigned at, bool backwards)
{
    struct virtio_balloon_status status;
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 110, 2), 110, false};
    uint8_t *entry = vdrv_ptr(&rig->drv, buf.gpa, 110);
    uint32_t len;
    for (unsigned i = 0, tag = 0; i < 11; i++, entry += VIRTIO_BALLOON_STAT_BYTES) {
        unsigned n = i == at ? 0 : tag++;
        le16_put(entry, (uint16_t)(i == at ? 0xfff0 : backwards ? 9 - n : n));
        le64_put(entry + 2, i == at ? 1 : 100 + (backwards ? 9 - n : n));
    }
    give(rig, VIRTIO_BALLOON_STATS, &buf, 1);
    virtio_balloon_status(rig->balloon, &status);
    rig_step(rig);
    take_one(rig, VIRTIO_BALLOON_STATS, &len);
    for (unsigned tag = 0; tag < VIRTIO_BALLOON_TAGS; tag++)
        if (status.known != (1u << VIRTIO_BALLOON_TAGS) - 1 || status.stats[tag] != 100 + tag)
            return false;
    return true;
}

Requirement(balloon_stats_1, BALLOON, MODERN)
{
    start_all(rig, VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ));
    for (unsigned at = 0; at < 11; at += 5)
        expect(are_understood(rig, at, false));
}

Requirement(balloon_stats_2, BALLOON, MODERN)
{
    start_all(rig, VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ));
    expect(are_understood(rig, 10, true));
    expect(are_understood(rig, 10, false));
}

/* The device has no use for hints. */
Requirement(balloon_hint_1, BALLOON, MODERN)
{
    uint8_t id[4] = {1};
    start_all(rig, VIRTIO_BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT));
    vdrv_config_read(&rig->drv, VIRTIO_BALLOON_CONFIG_free_page_hint_cmd_id, id, 4);
    expect(le32_get(id) == 0);
}

/* Any command id is outdated. */
Requirement(balloon_hint_3, BALLOON, MODERN)
{
    struct vdrv_buf id = {vdrv_alloc(&rig->drv, 4, 4), 4, false}, page = {PAGE_GPA, PAGE, true};
    uint32_t len;
    start_all(rig, VIRTIO_BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT));
    for (uint32_t value = 0; value < 5; value++) {
        le32_put(vdrv_ptr(&rig->drv, id.gpa, 4), value);
        give(rig, VIRTIO_BALLOON_HINTS, &id, 1);
        take_one(rig, VIRTIO_BALLOON_HINTS, &len);
        give(rig, VIRTIO_BALLOON_HINTS, &page, 1);
        take_one(rig, VIRTIO_BALLOON_HINTS, &len);
        expect(is_full(rig, 0, 0x5a));
    }
}

Requirement(balloon_report_2, BALLOON, MODERN)
{
    static const uint32_t values[] = {0, 0xaaaaaaaa, 1};
    struct vdrv_buf page = {PAGE_GPA, PAGE, true};
    uint32_t len;
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        start_all(rig, VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_REPORTING) |
                           VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_POISON));
        vdrv_config_write(&rig->drv, VIRTIO_BALLOON_CONFIG_poison_val, &values[i], 4);
        give(rig, VIRTIO_BALLOON_REPORTS, &page, 1);
        take_one(rig, VIRTIO_BALLOON_REPORTS, &len);
        expect(is_full(rig, 0, values[i] == 0 ? 0 : 0x5a));
        expect(is_full(rig, 1, 0x5a));
        vdrv_reset(&rig->drv);
    }
}

/* Without MUST_TELL_HOST the balloon works, and its pages may be used before the host hears. */
Requirement(balloon_features_legacy_1, BALLOON, EVERYWHERE)
{
    start_all(rig, 0);
    send_number(rig, VIRTIO_BALLOON_INFLATE, PAGE_GPA);
    expect(is_full(rig, 0, 0));
    send_number(rig, VIRTIO_BALLOON_DEFLATE, PAGE_GPA);
    expect(!rig_is_broken(rig));
}

Requirement(balloon_features_legacy_2, BALLOON, EVERYWHERE)
{
    start_all(rig, 0);
    send_number(rig, VIRTIO_BALLOON_INFLATE, PAGE_GPA);
    memset(vdrv_ptr(&rig->drv, PAGE_GPA, PAGE), 0x77, PAGE);
    rig_step(rig);
    expect(is_full(rig, 0, 0x77));
    send_number(rig, VIRTIO_BALLOON_DEFLATE, PAGE_GPA);
    expect(is_full(rig, 0, 0x77));
}

Requirement(balloon_config_legacy_1, BALLOON, EVERYWHERE)
{
    uint8_t bytes[4];
    start_all(rig, 0);
    virtio_balloon_set_target(rig->balloon, UINT64_C(0x01020304) * PAGE);
    vdrv_config_read(&rig->drv, VIRTIO_BALLOON_CONFIG_num_pages, bytes, 4);
    expect(memcmp(bytes, (const uint8_t[]){4, 3, 2, 1}, 4) == 0);
}

/* The guest's byte order is ours. */
Requirement(balloon_stats_legacy_1, BALLOON, LEGACY)
{
    start_all(rig, VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ));
    expect(!are_understood(rig, 10, false)); /* the first, see below */
    expect(are_understood(rig, 10, false));
}

Requirement(balloon_stats_legacy_2, BALLOON, LEGACY)
{
    struct virtio_balloon_status status;
    for (unsigned i = 0; i < 2; i++) {
        start_all(rig, VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ));
        expect(!are_understood(rig, 10, false));
        virtio_balloon_status(rig->balloon, &status);
        expect(status.known == 0);
        vdrv_reset(&rig->drv);
    }
}
