// SPDX-License-Identifier: BSD-2-Clause
/* Slips in rings and requests: see virtio_strict.c, which runs them. */
#include "tests/harness/blkreq.h"
#include "tests/harness/test.h"
#include "tests/unit/virtio_strict_cases.h"
#include "virtio/console/console.h"
#include "virtio/spec.h"

#define SIZE     8u
#define LEN      16u
#define INDIRECT VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)
#define BUFFERS  65u /* one more than the device takes */

static struct vdrv_queue *start(struct rig *rig, uint64_t features, uint32_t size)
{
    cr_assert(vdrv_start(&rig->drv, features, rig->dev->cfg.queue_count, size));
    return &rig->drv.q[0];
}

static uint64_t buffer(struct rig *rig)
{
    return vdrv_alloc(&rig->drv, LEN, 16);
}

static void go(struct rig *rig, struct vdrv_queue *q)
{
    vdrv_kick(q);
    rig_step(rig);
}

/* A chain of one descriptor that the device takes and keeps. */
static struct vdrv_queue *hold_one(struct rig *rig, uint32_t size)
{
    struct vdrv_queue *q = start(rig, 0, size);
    struct vdrv_buf buf = {buffer(rig), LEN, false};
    rig->echo.hold = true;
    vdrv_send(q, &buf, 1);
    rig_step(rig);
    cr_assert_not_null(rig->echo.held);
    return q;
}

/* ---- split ---- */

static void put_split(struct rig *rig, struct vdrv_queue *q, uint64_t addr, uint32_t len,
                      unsigned flags, unsigned next)
{
    vdrv_desc_put(q->desc, 0, addr, len, flags, next);
    vdrv_desc_put(q->desc, 1, buffer(rig), LEN, 0, 0);
    vdrv_avail_put(q, 0);
    go(rig, q);
}

static void used_not_zero(struct rig *rig, size_t at)
{
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    vdrv_queue_alloc(&rig->drv, 0, SIZE);
    le16_put(rig->drv.q[0].used + at, 1);
    vdrv_queue_write(&rig->drv, 0);
    vdrv_driver_ok(&rig->drv);
}

static void used_flags(struct rig *rig)
{
    used_not_zero(rig, VIRTQ_USED_FLAGS);
}

static void used_idx(struct rig *rig)
{
    used_not_zero(rig, VIRTQ_USED_IDX);
}

static void avail_flags(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, SIZE);
    vdrv_avail_flags(q, 2);
    go(rig, q);
}

static void avail_flags_with_event_idx(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, VIRTIO_BIT(VIRTIO_F_EVENT_IDX), SIZE);
    vdrv_avail_flags(q, VIRTQ_AVAIL_F_NO_INTERRUPT);
    go(rig, q);
}

static void idx_back(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, SIZE);
    struct vdrv_buf buf = {buffer(rig), LEN, false};
    vdrv_send(q, &buf, 1);
    rig_step(rig);
    q->avail_idx--;
    go(rig, q);
}

static void idx_ahead(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, SIZE);
    q->avail_idx += SIZE + 1;
    go(rig, q);
}

static void head_outside(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, SIZE);
    vdrv_avail_put(q, SIZE);
    go(rig, q);
}

static void busy_head(struct rig *rig)
{
    struct vdrv_queue *q = hold_one(rig, SIZE);
    vdrv_avail_put(q, rig->echo.held->head);
    go(rig, q);
}

static void next_outside(struct rig *rig)
{
    put_split(rig, start(rig, 0, SIZE), buffer(rig), LEN, VIRTQ_DESC_F_NEXT, SIZE);
}

static void split_flags(struct rig *rig)
{
    put_split(rig, start(rig, 0, SIZE), buffer(rig), LEN, 0x10, 0);
}

static void split_address(struct rig *rig)
{
    put_split(rig, start(rig, 0, SIZE), RIG_HOLE_GPA, LEN, 0, 0);
}

static void split_order(struct rig *rig)
{
    put_split(rig, start(rig, 0, SIZE), buffer(rig), LEN, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT,
              1);
}

static void split_loop(struct rig *rig)
{
    put_split(rig, start(rig, 0, SIZE), buffer(rig), LEN, VIRTQ_DESC_F_NEXT, 0);
}

/* Of which three are more than a chain may have. */
#define LARGE_BYTES UINT32_C(0x60000000)

static void split_bytes(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, SIZE);
    for (uint16_t i = 0; i < 3; i++)
        vdrv_desc_put(q->desc, i, RIG_HOLE_END_GPA, LARGE_BYTES, VIRTQ_DESC_F_NEXT,
                      (uint16_t)(i + 1));
    vdrv_avail_put(q, 0);
    go(rig, q);
}

static void split_out_of_order(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, SIZE);
    vdrv_desc_put(q->desc, 2, buffer(rig), LEN, 0, 0);
    put_split(rig, q, buffer(rig), LEN, VIRTQ_DESC_F_NEXT, 2);
}

/* A table of three, of which the first one's flags and next are told. */
static uint64_t split_table(struct rig *rig, unsigned flags, unsigned next)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 3ull * VIRTQ_DESC_BYTES, 16);
    uint8_t *table = vdrv_ptr(&rig->drv, gpa, 3ull * VIRTQ_DESC_BYTES);
    vdrv_desc_put(table, 0, buffer(rig), LEN, flags, next);
    vdrv_desc_put(table, 2, buffer(rig), LEN, 0, 0);
    return gpa;
}

static void split_indirect(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, SIZE);
    put_split(rig, q, split_table(rig, 0, 0), VIRTQ_DESC_BYTES, VIRTQ_DESC_F_INDIRECT, 0);
}

static void split_indirect_next(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, INDIRECT, SIZE);
    put_split(rig, q, split_table(rig, 0, 0), VIRTQ_DESC_BYTES,
              VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT, 1);
}

static void split_nested(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, INDIRECT, SIZE);
    put_split(rig, q, split_table(rig, VIRTQ_DESC_F_INDIRECT, 0), VIRTQ_DESC_BYTES,
              VIRTQ_DESC_F_INDIRECT, 0);
}

static void split_indirect_order(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, INDIRECT, SIZE);
    put_split(rig, q, split_table(rig, VIRTQ_DESC_F_NEXT, 2), 3 * VIRTQ_DESC_BYTES,
              VIRTQ_DESC_F_INDIRECT, 0);
}

static void split_table_next(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, INDIRECT, SIZE);
    put_split(rig, q, split_table(rig, VIRTQ_DESC_F_NEXT, 3), 3 * VIRTQ_DESC_BYTES,
              VIRTQ_DESC_F_INDIRECT, 0);
}

static void split_part_of_table(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, INDIRECT, SIZE);
    put_split(rig, q, split_table(rig, 0, 0), VIRTQ_DESC_BYTES - 1, VIRTQ_DESC_F_INDIRECT, 0);
}

static void split_changed(struct rig *rig)
{
    struct vdrv_queue *q = hold_one(rig, SIZE);
    vdrv_desc_put(q->desc, rig->echo.held->head, buffer(rig), LEN, 0, 0);
    echo_release(&rig->echo);
    rig_step(rig);
}

static void table_changed(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, INDIRECT, SIZE);
    uint64_t table = split_table(rig, 0, 0);
    rig->echo.hold = true;
    put_split(rig, q, table, VIRTQ_DESC_BYTES, VIRTQ_DESC_F_INDIRECT, 0);
    vdrv_desc_put(vdrv_ptr(&rig->drv, table, VIRTQ_DESC_BYTES), 0, buffer(rig), LEN, 0, 0);
    echo_release(&rig->echo);
    rig_step(rig);
}

/* ---- both ---- */

static void add_many(struct rig *rig, unsigned count, uint64_t features, uint32_t size)
{
    struct vdrv_queue *q = start(rig, features, size);
    struct vdrv_buf bufs[BUFFERS];
    for (unsigned i = 0; i < count; i++)
        bufs[i] = (struct vdrv_buf){buffer(rig), LEN, false};
    if (features & INDIRECT)
        vdrv_add_indirect(q, bufs, count);
    else
        vdrv_add(q, bufs, count);
    go(rig, q);
}

static void excessive(struct rig *rig)
{
    add_many(rig, BUFFERS, 0, 128);
}

static void too_long(struct rig *rig)
{
    add_many(rig, SIZE + 1, INDIRECT, SIZE);
}

/* ---- packed ---- */

static void put_packed(struct rig *rig, struct vdrv_queue *q, unsigned place, uint16_t id,
                       unsigned flags)
{
    vdrv_pdesc_put(q, place, buffer(rig), LEN, id, (uint16_t)(flags | vdrv_pavail_flags(true)));
    go(rig, q);
}

static void event_flags(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, SIZE);
    vdrv_driver_event(q, 0, 3);
    go(rig, q);
}

static void event_desc(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, SIZE);
    vdrv_driver_event(q, 0, RING_EVENT_FLAGS_DESC);
    go(rig, q);
}

static void event_offset(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, VIRTIO_BIT(VIRTIO_F_EVENT_IDX), SIZE);
    vdrv_driver_event(q, SIZE, RING_EVENT_FLAGS_DESC);
    go(rig, q);
}

static void id_outside(struct rig *rig)
{
    put_packed(rig, start(rig, 0, SIZE), 0, SIZE, 0);
}

static void busy_id(struct rig *rig)
{
    struct vdrv_queue *q = hold_one(rig, SIZE);
    put_packed(rig, q, 1, rig->echo.held->head, 0);
}

static void busy_descriptor(struct rig *rig)
{
    struct vdrv_queue *q = hold_one(rig, 2);
    put_packed(rig, q, 1, 1, VIRTQ_DESC_F_NEXT);
}

static void partial_list(struct rig *rig)
{
    put_packed(rig, start(rig, 0, SIZE), 0, 0, VIRTQ_DESC_F_NEXT);
}

static void packed_flags(struct rig *rig)
{
    put_packed(rig, start(rig, 0, SIZE), 0, 0, 0x10);
}

static void put_packed_at(struct rig *rig, uint64_t features, uint64_t addr, uint32_t len,
                          unsigned flags)
{
    struct vdrv_queue *q = start(rig, features, SIZE);
    vdrv_pdesc_put(q, 0, addr, len, 0, (uint16_t)(flags | vdrv_pavail_flags(true)));
    go(rig, q);
}

static void packed_address(struct rig *rig)
{
    put_packed_at(rig, 0, RIG_HOLE_GPA, LEN, 0);
}

static void packed_order(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, SIZE);
    vdrv_pdesc_put(q, 1, buffer(rig), LEN, 0, vdrv_pavail_flags(true));
    put_packed(rig, q, 0, 0, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT);
}

static uint64_t packed_table(struct rig *rig, uint16_t flags)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, PVIRTQ_DESC_BYTES, 16);
    uint8_t *table = vdrv_ptr(&rig->drv, gpa, PVIRTQ_DESC_BYTES);
    le64_put(table + PVIRTQ_DESC_addr, buffer(rig));
    le32_put(table + PVIRTQ_DESC_len, LEN);
    le16_put(table + PVIRTQ_DESC_flags, flags);
    return gpa;
}

static void packed_indirect(struct rig *rig)
{
    put_packed_at(rig, 0, 0x8000, PVIRTQ_DESC_BYTES, VIRTQ_DESC_F_INDIRECT);
}

static void packed_indirect_next(struct rig *rig)
{
    put_packed_at(rig, INDIRECT, 0x8000, PVIRTQ_DESC_BYTES,
                  VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT);
}

static void packed_indirect_flags(struct rig *rig)
{
    start(rig, INDIRECT, SIZE);
    uint64_t table = packed_table(rig, VIRTQ_DESC_F_NEXT);
    struct vdrv_queue *q = &rig->drv.q[0];
    vdrv_pdesc_put(q, 0, table, PVIRTQ_DESC_BYTES, 0,
                   VIRTQ_DESC_F_INDIRECT | vdrv_pavail_flags(true));
    go(rig, q);
}

static void packed_part_of_table(struct rig *rig)
{
    put_packed_at(rig, INDIRECT, 0x8000, PVIRTQ_DESC_BYTES + 1, VIRTQ_DESC_F_INDIRECT);
}

static void packed_changed(struct rig *rig)
{
    struct vdrv_queue *q = hold_one(rig, SIZE);
    vdrv_pdesc_put(q, 0, buffer(rig), LEN, rig->echo.held->head, vdrv_pavail_flags(true));
    echo_release(&rig->echo);
    rig_step(rig);
}

#define ORDERED                                                                               \
    {                                                                                         \
        .features_on = VIRTIO_BIT(VIRTIO_F_IN_ORDER), .always = VIRTIO_BIT(VIRTIO_F_IN_ORDER) \
    }
#define LARGE                                   \
    {                                           \
        .ram_bytes = LARGE_BYTES + RIG_HOLE_GPA \
    }
#define PACKED         \
    {                  \
        .packed = true \
    }

const struct strict_case strict_ring_cases[] = {
    {.rule = STRICT_SPLIT_USED_FLAGS, .slip = used_flags},
    {.rule = STRICT_SPLIT_USED_IDX, .slip = used_idx},
    {.rule = STRICT_SPLIT_AVAIL_FLAGS, .slip = avail_flags},
    {.rule = STRICT_SPLIT_AVAIL_FLAGS, .slip = avail_flags_with_event_idx},
    {.rule = STRICT_SPLIT_IDX_BACK, .slip = idx_back},
    {.rule = STRICT_SPLIT_IDX_AHEAD, .slip = idx_ahead},
    {.rule = STRICT_SPLIT_HEAD, .slip = head_outside},
    {.rule = STRICT_SPLIT_BUSY, .slip = busy_head},
    {.rule = STRICT_SPLIT_NEXT, .slip = next_outside},
    {.rule = STRICT_SPLIT_NEXT, .slip = split_table_next},
    {.rule = STRICT_SPLIT_FLAGS, .slip = split_flags},
    {.rule = STRICT_SPLIT_ADDRESS, .slip = split_address},
    {.rule = STRICT_SPLIT_ORDER, .slip = split_order},
    {.rule = STRICT_SPLIT_EXCESSIVE, .slip = excessive},
    {.rule = STRICT_SPLIT_LOOP, .slip = split_loop},
    {.rule = STRICT_SPLIT_LONG, .slip = too_long},
    {.rule = STRICT_SPLIT_BYTES, .slip = split_bytes, .config = LARGE},
    {.rule = STRICT_SPLIT_IN_ORDER, .slip = split_out_of_order, .config = ORDERED},
    {.rule = STRICT_SPLIT_INDIRECT, .slip = split_indirect},
    {.rule = STRICT_SPLIT_INDIRECT_NEXT, .slip = split_indirect_next},
    {.rule = STRICT_SPLIT_INDIRECT_NESTED, .slip = split_nested},
    {.rule = STRICT_SPLIT_INDIRECT_ORDER, .slip = split_indirect_order, .config = ORDERED},
    {.rule = STRICT_SPLIT_TABLE, .slip = split_part_of_table},
    {.rule = STRICT_SPLIT_CHANGED, .slip = split_changed},
    {.rule = STRICT_SPLIT_CHANGED, .slip = table_changed},
    {.rule = STRICT_SPLIT_HEAD, .slip = head_outside, .config = {.transport = RIG_MMIO_LEGACY}},
    {.rule = STRICT_PACKED_EVENT_FLAGS, .slip = event_flags, .config = PACKED},
    {.rule = STRICT_PACKED_EVENT_DESC, .slip = event_desc, .config = PACKED},
    {.rule = STRICT_PACKED_EVENT_OFFSET, .slip = event_offset, .config = PACKED},
    {.rule = STRICT_PACKED_ID, .slip = id_outside, .config = PACKED},
    {.rule = STRICT_PACKED_ID_BUSY, .slip = busy_id, .config = PACKED},
    {.rule = STRICT_PACKED_BUSY, .slip = busy_descriptor, .config = PACKED},
    {.rule = STRICT_PACKED_PARTIAL, .slip = partial_list, .config = PACKED},
    {.rule = STRICT_PACKED_FLAGS, .slip = packed_flags, .config = PACKED},
    {.rule = STRICT_PACKED_ADDRESS, .slip = packed_address, .config = PACKED},
    {.rule = STRICT_PACKED_ORDER, .slip = packed_order, .config = PACKED},
    {.rule = STRICT_PACKED_EXCESSIVE, .slip = excessive, .config = PACKED},
    {.rule = STRICT_PACKED_LONG, .slip = too_long, .config = PACKED},
    {.rule = STRICT_PACKED_INDIRECT, .slip = packed_indirect, .config = PACKED},
    {.rule = STRICT_PACKED_INDIRECT_NEXT, .slip = packed_indirect_next, .config = PACKED},
    {.rule = STRICT_PACKED_INDIRECT_FLAGS, .slip = packed_indirect_flags, .config = PACKED},
    {.rule = STRICT_PACKED_TABLE, .slip = packed_part_of_table, .config = PACKED},
    {.rule = STRICT_PACKED_CHANGED, .slip = packed_changed, .config = PACKED},
};
const unsigned strict_ring_count = ARRAY_SIZE(strict_ring_cases);

/* ---- requests ---- */

static void request(struct rig *rig, uint64_t features, struct blkreq req)
{
    start(rig, features, 64);
    cr_assert(blkreq_send(rig, &req));
    rig_step(rig);
}

static void beyond_capacity(struct rig *rig)
{
    request(rig, 0,
            (struct blkreq){.type = VIRTIO_BLK_T_IN,
                            .sector = RIG_DISK_BYTES / 512,
                            .bytes = 512,
                            .data_write = true});
}

static void part_of_sector(struct rig *rig)
{
    request(rig, 0, (struct blkreq){.type = VIRTIO_BLK_T_OUT, .bytes = 100});
}

static void write_read_only(struct rig *rig)
{
    request(rig, VIRTIO_BIT(VIRTIO_BLK_F_RO),
            (struct blkreq){.type = VIRTIO_BLK_T_OUT, .bytes = 512});
}

static void refuse_ro(struct rig *rig)
{
    cr_assert(vdrv_negotiate(&rig->drv, 0));
}

static void flush_sector(struct rig *rig)
{
    request(rig, VIRTIO_BIT(VIRTIO_BLK_F_FLUSH),
            (struct blkreq){.type = VIRTIO_BLK_T_FLUSH, .sector = 1});
}

static void flush_data(struct rig *rig)
{
    request(rig, VIRTIO_BIT(VIRTIO_BLK_F_FLUSH),
            (struct blkreq){.type = VIRTIO_BLK_T_FLUSH, .bytes = 512});
}

static void flush_without_feature(struct rig *rig)
{
    request(rig, 0, (struct blkreq){.type = VIRTIO_BLK_T_FLUSH});
}

/* Of one segment, and as long as it says. */
static void range(struct rig *rig, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags,
                  uint32_t bytes)
{
    uint64_t gpa = RIG_HOLE_END_GPA;
    uint8_t *raw = vdrv_ptr(&rig->drv, gpa, 64 * VIRTIO_BLK_RANGE_BYTES);
    le64_put(raw + VIRTIO_BLK_RANGE_sector, sector);
    le32_put(raw + VIRTIO_BLK_RANGE_num_sectors, sectors);
    le32_put(raw + VIRTIO_BLK_RANGE_flags, flags);
    request(rig, VIRTIO_BIT(VIRTIO_BLK_F_DISCARD),
            (struct blkreq){.type = type, .bytes = bytes, .data_gpa = gpa});
}

static void discard_beyond_capacity(struct rig *rig)
{
    range(rig, VIRTIO_BLK_T_DISCARD, RIG_DISK_BYTES / 512 - 1, 2, 0, 16);
}

static void part_of_range(struct rig *rig)
{
    range(rig, VIRTIO_BLK_T_DISCARD, 1, 1, 0, 17);
}

static void too_many_ranges(struct rig *rig)
{
    range(rig, VIRTIO_BLK_T_DISCARD, 1, 1, 0, 33 * 16);
}

static void range_too_long(struct rig *rig)
{
    rig->disk.backend.info.capacity_bytes = UINT64_C(1) << 40;
    le64_put(rig->dev->cfg.config + VIRTIO_BLK_CONFIG_capacity, UINT64_C(1) << 31);
    range(rig, VIRTIO_BLK_T_DISCARD, 0, (1u << 21) + 1, 0, 16);
}

static void discard_with_unmap(struct rig *rig)
{
    range(rig, VIRTIO_BLK_T_DISCARD, 1, 1, VIRTIO_BLK_RANGE_F_UNMAP, 16);
}

static void zeroes_without_feature(struct rig *rig)
{
    range(rig, VIRTIO_BLK_T_WRITE_ZEROES, 1, 1, 0, 16);
}

static void short_id(struct rig *rig)
{
    request(rig, 0, (struct blkreq){.type = VIRTIO_BLK_T_GET_ID, .bytes = 19, .data_write = true});
}

static void unknown_type(struct rig *rig)
{
    request(rig, 0, (struct blkreq){.type = 77});
}

static void short_header(struct rig *rig)
{
    request(rig, 0, (struct blkreq){.header_bytes = 15});
}

static void no_status(struct rig *rig)
{
    request(rig, VIRTIO_BIT(VIRTIO_BLK_F_FLUSH),
            (struct blkreq){.type = VIRTIO_BLK_T_FLUSH, .no_status = true});
}

static void send_one(struct rig *rig, unsigned queue, bool write)
{
    start(rig, 0, SIZE);
    struct vdrv_buf buf = {buffer(rig), LEN, write};
    vdrv_send(&rig->drv.q[queue], &buf, 1);
    rig_step(rig);
}

static void readable_rx(struct rig *rig)
{
    send_one(rig, VIRTIO_CONSOLE_RX, false);
}

static void writable_tx(struct rig *rig)
{
    send_one(rig, VIRTIO_CONSOLE_TX, true);
}

static void readable_rng(struct rig *rig)
{
    send_one(rig, 0, false);
}

const struct strict_case strict_type_cases[] = {
    {.rule = STRICT_BLK_CAPACITY, .slip = beyond_capacity, .device = ON_BLK},
    {.rule = STRICT_BLK_LENGTH, .slip = part_of_sector, .device = ON_BLK},
    {.rule = STRICT_BLK_LENGTH, .slip = part_of_sector, .config = PACKED, .device = ON_BLK},
    {.rule = STRICT_BLK_READ_ONLY,
     .slip = write_read_only,
     .config = {.read_only = true},
     .device = ON_BLK},
    {.rule = STRICT_BLK_RO_REFUSED,
     .slip = refuse_ro,
     .config = {.read_only = true},
     .device = ON_BLK},
    {.rule = STRICT_BLK_FLUSH_SECTOR, .slip = flush_sector, .device = ON_BLK},
    {.rule = STRICT_BLK_FLUSH_DATA, .slip = flush_data, .device = ON_BLK},
    {.rule = STRICT_BLK_TYPE, .slip = flush_without_feature, .device = ON_BLK},
    {.rule = STRICT_BLK_CAPACITY, .slip = discard_beyond_capacity, .device = ON_BLK},
    {.rule = STRICT_BLK_RANGES, .slip = part_of_range, .device = ON_BLK},
    {.rule = STRICT_BLK_RANGES, .slip = too_many_ranges, .device = ON_BLK},
    {.rule = STRICT_BLK_RANGES, .slip = range_too_long, .device = ON_BLK},
    {.rule = STRICT_BLK_RANGE_FLAGS, .slip = discard_with_unmap, .device = ON_BLK},
    {.rule = STRICT_BLK_TYPE, .slip = zeroes_without_feature, .device = ON_BLK},
    {.rule = STRICT_BLK_TYPE, .slip = unknown_type, .device = ON_BLK},
    {.rule = STRICT_BLK_ID_LENGTH, .slip = short_id, .device = ON_BLK},
    {.rule = STRICT_BLK_HEADER, .slip = short_header, .device = ON_BLK},
    {.rule = STRICT_BLK_STATUS, .slip = no_status, .device = ON_BLK},
    {.rule = STRICT_CONSOLE_RX, .slip = readable_rx, .device = ON_CONSOLE},
    {.rule = STRICT_CONSOLE_TX, .slip = writable_tx, .device = ON_CONSOLE},
    {.rule = STRICT_RNG_READABLE, .slip = readable_rng, .device = ON_RNG},
};
const unsigned strict_type_count = ARRAY_SIZE(strict_type_cases);
