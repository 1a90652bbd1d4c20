// SPDX-License-Identifier: BSD-2-Clause
/* What a block device is (VIRTIO 1.4 5.2), and what its drivers have to do. */
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/blk/blk.h"
#include "virtio/blk/blk_rules.h"
#include "virtio/observe/strict.h"
#include "virtio/spec.h"

#define SECTOR_BYTES 512u

#define BIT(feature) VIRTIO_BIT(VIRTIO_BLK_F_##feature)

static const struct virtio_feature_name features[] = {
    {"size_max", VIRTIO_BLK_F_SIZE_MAX},
    {"seg_max", VIRTIO_BLK_F_SEG_MAX},
    {"geometry", VIRTIO_BLK_F_GEOMETRY},
    {"ro", VIRTIO_BLK_F_RO},
    {"blk_size", VIRTIO_BLK_F_BLK_SIZE},
    {"flush", VIRTIO_BLK_F_FLUSH},
    {"topology", VIRTIO_BLK_F_TOPOLOGY},
    {"config_wce", VIRTIO_BLK_F_CONFIG_WCE},
    {"mq", VIRTIO_BLK_F_MQ},
    {"discard", VIRTIO_BLK_F_DISCARD},
    {"write_zeroes", VIRTIO_BLK_F_WRITE_ZEROES},
    {NULL, 0},
};

static const struct virtio_field fields[] = {
    {VIRTIO_BLK_CONFIG_capacity, 8, 1, 0, false},
    {8, 4, 1, BIT(SIZE_MAX), false},
    {VIRTIO_BLK_CONFIG_seg_max, 4, 1, BIT(SEG_MAX), false},
    {16, 2, 1, BIT(GEOMETRY), false},
    {18, 1, 2, BIT(GEOMETRY), false},
    {VIRTIO_BLK_CONFIG_blk_size, 4, 1, BIT(BLK_SIZE), false},
    {VIRTIO_BLK_CONFIG_physical_block_exp, 1, 2, BIT(TOPOLOGY), false},
    {VIRTIO_BLK_CONFIG_min_io_size, 2, 1, BIT(TOPOLOGY), false},
    {VIRTIO_BLK_CONFIG_opt_io_size, 4, 1, BIT(TOPOLOGY), false},
    {VIRTIO_BLK_CONFIG_writeback, 1, 1, BIT(CONFIG_WCE), true},
    {33, 1, 1, 0, false},
    {VIRTIO_BLK_CONFIG_num_queues, 2, 1, BIT(MQ), false},
    {VIRTIO_BLK_CONFIG_max_discard_sectors, 4, 3, BIT(DISCARD), false},
    {VIRTIO_BLK_CONFIG_max_write_zeroes_sectors, 4, 2, BIT(WRITE_ZEROES), false},
    {VIRTIO_BLK_CONFIG_write_zeroes_may_unmap, 1, 1, BIT(WRITE_ZEROES), false},
    {57, 1, 3, 0, false},
    {60, 4, 3, BIT(SECURE_ERASE), false},
    {72, 4, 5, BIT(ZONED), false},
    {92, 1, 1, BIT(ZONED), false},
};

static const struct virtio_queue_role roles[] = {
    /* A disk's data are on the tape already, where they come from. */
    {.name = "requestq", .kept_read = {1024, 16}, .kept_written = {64, 0}},
};

/* ---- the driver monitor ---- */

static const struct virtio_rule rules[] = {BLK_RULE_LIST(STRICT_TYPE_INFO)};

#define report(r, rule, ...) strict_report((r)->dev, (int)(r)->queue, rule, __VA_ARGS__)

static uint64_t capacity_bytes(const struct virtio_request *r)
{
    uint64_t bytes;
    /* The queue's loop may be another than the device's, which changes it. */
    const uint8_t *at = r->dev->cfg.config + VIRTIO_BLK_CONFIG_capacity;
    uint64_t sectors =
        le64toh(__atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED));
    return checked_mul_u64(sectors, SECTOR_BYTES, &bytes) ? bytes : UINT64_MAX;
}

static void check_transfer(const struct virtio_request *r, uint64_t sector, uint64_t bytes)
{
    uint64_t offset;
    if (bytes % SECTOR_BYTES != 0)
        report(r, STRICT_BLK_LENGTH, "%llu bytes", (unsigned long long)bytes);
    if (!checked_mul_u64(sector, SECTOR_BYTES, &offset) ||
        !range_within(offset, bytes, 0, capacity_bytes(r)))
        report(r, STRICT_BLK_CAPACITY, "sector %llu, %llu bytes", (unsigned long long)sector,
               (unsigned long long)bytes);
}

static void check_flush(const struct virtio_request *r, uint64_t sector)
{
    if (!virtio_device_has(r->dev, VIRTIO_BLK_F_FLUSH))
        report(r, STRICT_BLK_TYPE, "FLUSH without its feature");
    if (sector != 0)
        report(r, STRICT_BLK_FLUSH_SECTOR, "%llu", (unsigned long long)sector);
    if (r->rd.left + r->wr.left > 0)
        report(r, STRICT_BLK_FLUSH_DATA, "%llu bytes",
               (unsigned long long)(r->rd.left + r->wr.left));
}

/* max_sectors_at: of the limit in the configuration space, which the most segments follow. */
static void check_ranges(struct virtio_request *r, unsigned feature, unsigned max_sectors_at,
                         uint32_t known_flags)
{
    const uint8_t *config = r->dev->cfg.config;
    uint32_t max_sectors = le32_get(config + max_sectors_at);
    uint64_t max_bytes = (uint64_t)le32_get(config + max_sectors_at + 4) * VIRTIO_BLK_RANGE_BYTES;
    uint8_t raw[VIRTIO_BLK_RANGE_BYTES];
    if (!virtio_device_has(r->dev, feature)) {
        report(r, STRICT_BLK_TYPE, "without feature %u", feature);
        return;
    }
    if (r->rd.left % sizeof(raw) != 0 || r->rd.left > max_bytes) {
        report(r, STRICT_BLK_RANGES, "%llu bytes", (unsigned long long)r->rd.left);
        return;
    }
    while (iobuf_get(&r->rd, raw, sizeof(raw)) == sizeof(raw)) {
        uint64_t sector = le64_get(raw + VIRTIO_BLK_RANGE_sector);
        uint32_t sectors = le32_get(raw + VIRTIO_BLK_RANGE_num_sectors);
        uint32_t flags = le32_get(raw + VIRTIO_BLK_RANGE_flags);
        if ((flags & ~known_flags) != 0)
            report(r, STRICT_BLK_RANGE_FLAGS, "%#x", flags);
        if (sectors > max_sectors)
            report(r, STRICT_BLK_RANGES, "%u sectors", sectors);
        if (!range_within(sector, sectors, 0, capacity_bytes(r) / SECTOR_BYTES))
            report(r, STRICT_BLK_CAPACITY, "sector %llu, %u sectors", (unsigned long long)sector,
                   sectors);
    }
}

static void check_request(struct virtio_request *r)
{
    struct iobuf status;
    uint8_t header[VIRTIO_BLK_REQ_HEADER_BYTES];
    if (!iobuf_split_tail(&r->wr, 1, &status))
        report(r, STRICT_BLK_STATUS, "nothing is writable");
    size_t got = iobuf_get(&r->rd, header, sizeof(header));
    if (got < sizeof(header)) {
        report(r, STRICT_BLK_HEADER, "%u bytes", (unsigned)got);
        return;
    }
    /* The reserved field was a priority once, and Linux still puts one there: no rule forbids it.
     */
    uint32_t type = le32_get(header + VIRTIO_BLK_REQ_type);
    uint64_t sector = le64_get(header + VIRTIO_BLK_REQ_sector);
    switch (type) {
    case VIRTIO_BLK_T_IN:
        check_transfer(r, sector, r->wr.left);
        break;
    case VIRTIO_BLK_T_OUT:
        if (r->dev->offered[0] & VIRTIO_BIT(VIRTIO_BLK_F_RO))
            report(r, STRICT_BLK_READ_ONLY, "sector %llu", (unsigned long long)sector);
        check_transfer(r, sector, r->rd.left);
        break;
    case VIRTIO_BLK_T_FLUSH:
        check_flush(r, sector);
        break;
    case VIRTIO_BLK_T_DISCARD:
        check_ranges(r, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_CONFIG_max_discard_sectors, 0);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        check_ranges(r, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_CONFIG_max_write_zeroes_sectors,
                     VIRTIO_BLK_RANGE_F_UNMAP);
        break;
    case VIRTIO_BLK_T_GET_ID:
        if (r->wr.left != VIRTIO_BLK_ID_BYTES)
            report(r, STRICT_BLK_ID_LENGTH, "%llu", (unsigned long long)r->wr.left);
        break;
    default:
        report(r, STRICT_BLK_TYPE, "%u", type);
        break;
    }
}

static void check_features(struct virtio_device *dev, uint64_t accepted)
{
    if ((dev->offered[0] & BIT(RO)) && !(accepted & BIT(RO)))
        strict_report(dev, STRICT_NO_QUEUE, STRICT_BLK_RO_REFUSED, "features %#llx",
                      (unsigned long long)accepted);
}

const struct virtio_device_type virtio_blk_type = {
    .name = "blk",
    .id = VIRTIO_ID_BLOCK,
    .pci_class = 0x018000, /* mass storage, other */
    .pci_transitional = 0x1001,
    .features = features,
    .fields = fields,
    .field_count = ARRAY_SIZE(fields),
    .roles = roles,
    .role_count = ARRAY_SIZE(roles),
    .group_size = 1,
    .groups_max = VIRTIO_QUEUES_MAX,
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
    .check_features = check_features,
    .check_request = check_request,
};
