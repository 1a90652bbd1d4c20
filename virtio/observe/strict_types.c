// SPDX-License-Identifier: BSD-2-Clause
/* What the device types require of their drivers (VIRTIO 1.4 5): fields and requests. */
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/iobuf.h"
#include "virtio/observe/strict_impl.h"
#include "virtio/spec.h"

#define SECTOR_BYTES 512u
#define ALWAYS       STRICT_NO_FEATURE

/* ---- configuration spaces ---- */

enum { /* features that this project's devices do not have, but their layout does */
       BLK_F_SIZE_MAX = 1,
       BLK_F_GEOMETRY = 4,
       BLK_F_SECURE_ERASE = 16,
       BLK_F_ZONED = 17,
       CONSOLE_F_MULTIPORT = 1,
       CONSOLE_F_EMERG_WRITE = 2,
};

static const struct strict_field blk_fields[] = {
    {0, 8, 1, ALWAYS},
    {8, 4, 1, BLK_F_SIZE_MAX},
    {12, 4, 1, VIRTIO_BLK_F_SEG_MAX},
    {16, 2, 1, BLK_F_GEOMETRY},
    {18, 1, 2, BLK_F_GEOMETRY},
    {20, 4, 1, VIRTIO_BLK_F_BLK_SIZE},
    {24, 1, 2, VIRTIO_BLK_F_TOPOLOGY},
    {26, 2, 1, VIRTIO_BLK_F_TOPOLOGY},
    {28, 4, 1, VIRTIO_BLK_F_TOPOLOGY},
    {32, 1, 1, VIRTIO_BLK_F_CONFIG_WCE},
    {33, 1, 1, ALWAYS},
    {34, 2, 1, VIRTIO_BLK_F_MQ},
    {36, 4, 3, VIRTIO_BLK_F_DISCARD},
    {48, 4, 2, VIRTIO_BLK_F_WRITE_ZEROES},
    {56, 1, 1, VIRTIO_BLK_F_WRITE_ZEROES},
    {57, 1, 3, ALWAYS},
    {60, 4, 3, BLK_F_SECURE_ERASE},
    {72, 4, 5, BLK_F_ZONED},
    {92, 1, 1, BLK_F_ZONED},
};

static const struct strict_field console_fields[] = {
    {VIRTIO_CONSOLE_CONFIG_cols, 2, 2, VIRTIO_CONSOLE_F_SIZE},
    {4, 4, 1, CONSOLE_F_MULTIPORT},
    {8, 4, 1, CONSOLE_F_EMERG_WRITE},
};

/* ---- requests ---- */

/* What a device sees of a chain. */
struct request {
    struct strict_queue *q;
    struct virtio_device *dev;
    struct iobuf rd, wr;
};

static uint64_t blk_capacity_bytes(const struct request *r)
{
    uint64_t bytes;
    /* The queue's loop may be another than the device's, which changes it. */
    const uint8_t *at = r->dev->cfg.config + VIRTIO_BLK_CONFIG_capacity;
    uint64_t sectors =
        le64toh(__atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED));
    return checked_mul_u64(sectors, SECTOR_BYTES, &bytes) ? bytes : UINT64_MAX;
}

static void blk_transfer(const struct request *r, uint64_t sector, uint64_t bytes)
{
    uint64_t offset;
    if (bytes % SECTOR_BYTES != 0)
        strict_ring_report(r->q, STRICT_BLK_LENGTH, "%llu bytes", (unsigned long long)bytes);
    if (!checked_mul_u64(sector, SECTOR_BYTES, &offset) ||
        !range_within(offset, bytes, 0, blk_capacity_bytes(r)))
        strict_ring_report(r->q, STRICT_BLK_CAPACITY, "sector %llu, %llu bytes",
                           (unsigned long long)sector, (unsigned long long)bytes);
}

static void blk_flush(const struct request *r, uint64_t sector)
{
    if (!virtio_device_has(r->dev, VIRTIO_BLK_F_FLUSH))
        strict_ring_report(r->q, STRICT_BLK_TYPE, "FLUSH without its feature");
    if (sector != 0)
        strict_ring_report(r->q, STRICT_BLK_FLUSH_SECTOR, "%llu", (unsigned long long)sector);
    if (r->rd.left + r->wr.left > 0)
        strict_ring_report(r->q, STRICT_BLK_FLUSH_DATA, "%llu bytes",
                           (unsigned long long)(r->rd.left + r->wr.left));
}

/* max_sectors_at: of the limit in the configuration space, which the most segments follow. */
static void blk_ranges(struct request *r, unsigned feature, unsigned max_sectors_at,
                       uint32_t known_flags)
{
    const uint8_t *config = r->dev->cfg.config;
    uint32_t max_sectors = le32_get(config + max_sectors_at);
    uint64_t max_bytes = (uint64_t)le32_get(config + max_sectors_at + 4) * VIRTIO_BLK_RANGE_BYTES;
    uint8_t raw[VIRTIO_BLK_RANGE_BYTES];
    if (!virtio_device_has(r->dev, feature)) {
        strict_ring_report(r->q, STRICT_BLK_TYPE, "without feature %u", feature);
        return;
    }
    if (r->rd.left % sizeof(raw) != 0 || r->rd.left > max_bytes) {
        strict_ring_report(r->q, STRICT_BLK_RANGES, "%llu bytes", (unsigned long long)r->rd.left);
        return;
    }
    while (iobuf_get(&r->rd, raw, sizeof(raw)) == sizeof(raw)) {
        uint64_t sector = le64_get(raw + VIRTIO_BLK_RANGE_sector);
        uint32_t sectors = le32_get(raw + VIRTIO_BLK_RANGE_num_sectors);
        uint32_t flags = le32_get(raw + VIRTIO_BLK_RANGE_flags);
        if ((flags & ~known_flags) != 0)
            strict_ring_report(r->q, STRICT_BLK_RANGE_FLAGS, "%#x", flags);
        if (sectors > max_sectors)
            strict_ring_report(r->q, STRICT_BLK_RANGES, "%u sectors", sectors);
        if (!range_within(sector, sectors, 0, blk_capacity_bytes(r) / SECTOR_BYTES))
            strict_ring_report(r->q, STRICT_BLK_CAPACITY, "sector %llu, %u sectors",
                               (unsigned long long)sector, sectors);
    }
}

static void blk_request(struct request *r)
{
    struct iobuf status;
    uint8_t header[VIRTIO_BLK_REQ_HEADER_BYTES];
    if (!iobuf_split_tail(&r->wr, 1, &status))
        strict_ring_report(r->q, STRICT_BLK_STATUS, "nothing is writable");
    size_t got = iobuf_get(&r->rd, header, sizeof(header));
    if (got < sizeof(header)) {
        strict_ring_report(r->q, STRICT_BLK_HEADER, "%u bytes", (unsigned)got);
        return;
    }
    /* The reserved field was a priority once, and Linux still puts one there: no rule forbids it.
     */
    uint32_t type = le32_get(header + VIRTIO_BLK_REQ_type);
    uint64_t sector = le64_get(header + VIRTIO_BLK_REQ_sector);
    switch (type) {
    case VIRTIO_BLK_T_IN:
        blk_transfer(r, sector, r->wr.left);
        break;
    case VIRTIO_BLK_T_OUT:
        if (r->dev->offered[0] & VIRTIO_BIT(VIRTIO_BLK_F_RO))
            strict_ring_report(r->q, STRICT_BLK_READ_ONLY, "sector %llu",
                               (unsigned long long)sector);
        blk_transfer(r, sector, r->rd.left);
        break;
    case VIRTIO_BLK_T_FLUSH:
        blk_flush(r, sector);
        break;
    case VIRTIO_BLK_T_DISCARD:
        blk_ranges(r, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_CONFIG_max_discard_sectors, 0);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        blk_ranges(r, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_CONFIG_max_write_zeroes_sectors,
                   VIRTIO_BLK_RANGE_F_UNMAP);
        break;
    case VIRTIO_BLK_T_GET_ID:
        if (r->wr.left != VIRTIO_BLK_ID_BYTES)
            strict_ring_report(r->q, STRICT_BLK_ID_LENGTH, "%llu", (unsigned long long)r->wr.left);
        break;
    default:
        strict_ring_report(r->q, STRICT_BLK_TYPE, "%u", type);
        break;
    }
}

/* Queues go by pairs, the even ones are for receiving: 5.3.2. */
static void console_request(struct request *r)
{
    if (r->q->index % 2 == 0 && r->rd.left > 0)
        strict_ring_report(r->q, STRICT_CONSOLE_RX, "%llu bytes", (unsigned long long)r->rd.left);
    if (r->q->index % 2 != 0 && r->wr.left > 0)
        strict_ring_report(r->q, STRICT_CONSOLE_TX, "%llu bytes", (unsigned long long)r->wr.left);
}

static void rng_request(struct request *r)
{
    if (r->rd.left > 0)
        strict_ring_report(r->q, STRICT_RNG_READABLE, "%llu bytes", (unsigned long long)r->rd.left);
}

/* ---- by type ---- */

static const struct type {
    uint32_t id;
    void (*request)(struct request *r);
    const struct strict_field *fields;
    unsigned field_count;
} types[] = {
    {VIRTIO_ID_BLOCK, blk_request, blk_fields, ARRAY_SIZE(blk_fields)},
    {VIRTIO_ID_CONSOLE, console_request, console_fields, ARRAY_SIZE(console_fields)},
    {VIRTIO_ID_ENTROPY, rng_request, NULL, 0},
};

static const struct type *type_of(const struct virtio_device *dev)
{
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        if (types[i].id == dev->cfg.device_id)
            return &types[i];
    return NULL;
}

void strict_request(struct strict_queue *q, const struct vq_chain *chain)
{
    const struct type *type = type_of(q->dev);
    if (type == NULL)
        return;
    struct request r = {
        .q = q,
        .dev = q->dev,
        .rd = iobuf_init(chain->iov, chain->rd_iov),
        .wr = iobuf_init(chain->iov + chain->rd_iov, chain->iov_count - chain->rd_iov),
    };
    type->request(&r);
}

void strict_type_features(struct virtio_device *dev, uint64_t accepted)
{
    uint64_t ro = VIRTIO_BIT(VIRTIO_BLK_F_RO);
    if (dev->cfg.device_id == VIRTIO_ID_BLOCK && (dev->offered[0] & ro) && !(accepted & ro))
        strict_report(dev, STRICT_NO_QUEUE, STRICT_BLK_RO_REFUSED, "features %#llx",
                      (unsigned long long)accepted);
}

const struct strict_field *strict_type_field(const struct virtio_device *dev, uint64_t offset,
                                             bool *known)
{
    const struct type *type = type_of(dev);
    *known = type != NULL && type->fields != NULL;
    for (unsigned i = 0; *known && i < type->field_count; i++) {
        const struct strict_field *f = &type->fields[i];
        if (offset >= f->offset && offset - f->offset < f->bytes * f->count)
            return f;
    }
    return NULL;
}
