// SPDX-License-Identifier: BSD-2-Clause
/* Slips in rings and requests: see virtio_strict.c, which runs them. */
#include <linux/input-event-codes.h>

#include "tests/harness/fsreq.h"
#include "tests/harness/gpureq.h"
#include "tests/harness/test.h"
#include "tests/unit/virtio_strict_cases.h"
#include "virtio/balloon/balloon.h"
#include "virtio/console/console.h"
#include "virtio/rtc/rtc.h"
#include "virtio/spec.h"
#include "virtio/vsock/vsock.h"

#define INDIRECT  VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)
#define EVENT_IDX VIRTIO_BIT(VIRTIO_F_EVENT_IDX)
#define BUFFERS   65u /* one more than the device takes */

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

static void release(struct rig *rig)
{
    echo_release(&rig->echo);
    rig_step(rig);
}

static void used_not_zero(struct rig *rig, size_t at)
{
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    vdrv_queue_alloc(&rig->drv, 0, STRICT_SIZE);
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

static void idx_back(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, STRICT_SIZE);
    struct vdrv_buf buf = {buffer(rig), LEN, false};
    vdrv_send(q, &buf, 1);
    rig_step(rig);
    q->ring.next_avail--;
    go(rig, q);
}

static void busy_head(struct rig *rig)
{
    struct vdrv_queue *q = hold_one(rig, STRICT_SIZE);
    vdrv_avail_put(q, rig->echo.held->head);
    go(rig, q);
}

/* Of which three are more than a chain may have. */
#define LARGE_BYTES UINT32_C(0x60000000)

static void split_bytes(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, 0, STRICT_SIZE);
    for (uint16_t i = 0; i < 3; i++)
        vdrv_desc_put(q->desc, i, RIG_HOLE_END_GPA, LARGE_BYTES, VIRTQ_DESC_F_NEXT,
                      (uint16_t)(i + 1));
    vdrv_avail_put(q, 0);
    go(rig, q);
}

static void split_changed(struct rig *rig)
{
    struct vdrv_queue *q = hold_one(rig, STRICT_SIZE);
    vdrv_desc_put(q->desc, rig->echo.held->head, buffer(rig), LEN, 0, 0);
    release(rig);
}

/* The table of a chain that the device holds, which is the first that was allocated after it. */
static void table_changed(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, INDIRECT, STRICT_SIZE);
    uint64_t table = vdrv_alloc(&rig->drv, VIRTQ_DESC_BYTES, 16);
    uint8_t *desc = vdrv_ptr(&rig->drv, table, VIRTQ_DESC_BYTES);
    rig->echo.hold = true;
    vdrv_desc_put(desc, 0, buffer(rig), LEN, 0, 0);
    vdrv_desc_put(q->desc, 0, table, VIRTQ_DESC_BYTES, VIRTQ_DESC_F_INDIRECT, 0);
    vdrv_avail_put(q, 0);
    go(rig, q);
    vdrv_desc_put(desc, 0, buffer(rig), LEN, 0, 0);
    release(rig);
}

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
    add_many(rig, STRICT_SIZE + 1, INDIRECT, STRICT_SIZE);
}

static void put_packed(struct rig *rig, struct vdrv_queue *q, unsigned place, uint16_t id,
                       unsigned flags)
{
    vdrv_pdesc_put(q, place, buffer(rig), LEN, id, (uint16_t)(flags | vdrv_pavail_flags(true)));
    go(rig, q);
}

static void busy_id(struct rig *rig)
{
    struct vdrv_queue *q = hold_one(rig, STRICT_SIZE);
    put_packed(rig, q, 1, rig->echo.held->head, 0);
}

static void busy_descriptor(struct rig *rig)
{
    struct vdrv_queue *q = hold_one(rig, 2);
    put_packed(rig, q, 1, 1, VIRTQ_DESC_F_NEXT);
}

static void packed_indirect_flags(struct rig *rig)
{
    struct vdrv_queue *q = start(rig, INDIRECT, STRICT_SIZE);
    uint64_t gpa = vdrv_alloc(&rig->drv, PVIRTQ_DESC_BYTES, 16);
    uint8_t *table = vdrv_ptr(&rig->drv, gpa, PVIRTQ_DESC_BYTES);
    le64_put(table + PVIRTQ_DESC_addr, buffer(rig));
    le32_put(table + PVIRTQ_DESC_len, LEN);
    le16_put(table + PVIRTQ_DESC_flags, VIRTQ_DESC_F_NEXT);
    vdrv_pdesc_put(q, 0, gpa, PVIRTQ_DESC_BYTES, 0,
                   VIRTQ_DESC_F_INDIRECT | vdrv_pavail_flags(true));
    go(rig, q);
}

static void packed_changed(struct rig *rig)
{
    struct vdrv_queue *q = hold_one(rig, STRICT_SIZE);
    vdrv_pdesc_put(q, 0, buffer(rig), LEN, rig->echo.held->head, vdrv_pavail_flags(true));
    release(rig);
}

#define ORDERED                                          \
    .config.features_on = VIRTIO_BIT(VIRTIO_F_IN_ORDER), \
    .config.always = VIRTIO_BIT(VIRTIO_F_IN_ORDER)
#define PACKED     .config.packed = true
#define NEXT       VIRTQ_DESC_F_NEXT
#define WRITE      VIRTQ_DESC_F_WRITE
#define IN_TABLE   VIRTQ_DESC_F_INDIRECT
#define DESC_BYTES VIRTQ_DESC_BYTES
#define FROM_FIRST \
    {AVAIL, 0},    \
    {              \
        KICK       \
    }
#define SECOND                \
    {                         \
        DESC, 1, 0, LEN, 0, 0 \
    }

/* Descriptor 0, whose next one is a good one, is all that there is. */
#define ONE(features, addr, len, flags, next)                                        \
    {                                                                                \
        {START_ALL, features}, {DESC, 0, addr, len, flags, next}, SECOND, FROM_FIRST \
    }
/* A chain that is in a table, of which the first flags and next are given. */
#define IN(table_flags, table_next, len, flags)                        \
    {                                                                  \
        {START_ALL, INDIRECT}, {SPLIT_TABLE, table_flags, table_next}, \
            {DESC, 0, TABLE, len, flags, 1}, SECOND, FROM_FIRST        \
    }
#define ONE_PACKED(features, addr, len, flags, id)               \
    {                                                            \
        {START_ALL, features}, {PDESC, 0, addr, len, flags, id}, \
        {                                                        \
            KICK                                                 \
        }                                                        \
    }

const struct strict_case strict_ring_cases[] = {
    {STRICT_SPLIT_USED_FLAGS, {{NO_STEP}}, used_flags},
    {STRICT_SPLIT_USED_IDX, {{NO_STEP}}, used_idx},
    {STRICT_SPLIT_AVAIL_FLAGS, {{START_ALL}, {AVAIL_FLAGS, 2}, {KICK}}},
    {STRICT_SPLIT_AVAIL_FLAGS,
     {{START_ALL, EVENT_IDX}, {AVAIL_FLAGS, VIRTQ_AVAIL_F_NO_INTERRUPT}, {KICK}}},
    {STRICT_SPLIT_IDX_BACK, {{NO_STEP}}, idx_back},
    {STRICT_SPLIT_IDX_AHEAD, {{START_ALL}, {AVAIL_AHEAD, STRICT_SIZE + 1}, {KICK}}},
    {STRICT_SPLIT_HEAD, {{START_ALL}, {AVAIL, STRICT_SIZE}, {KICK}}},
    {STRICT_SPLIT_BUSY, {{NO_STEP}}, busy_head},
    {STRICT_SPLIT_NEXT, ONE(0, 0, LEN, NEXT, STRICT_SIZE)},
    {STRICT_SPLIT_NEXT, IN(NEXT, 3, 3 * DESC_BYTES, IN_TABLE)},
    {STRICT_SPLIT_FLAGS, ONE(0, 0, LEN, 0x10, 0)},
    {STRICT_SPLIT_ADDRESS, ONE(0, RIG_HOLE_GPA, LEN, 0, 0)},
    {STRICT_SPLIT_ORDER, ONE(0, 0, LEN, WRITE | NEXT, 1)},
    {STRICT_SPLIT_EXCESSIVE, {{NO_STEP}}, excessive},
    {STRICT_SPLIT_LOOP, ONE(0, 0, LEN, NEXT, 0)},
    {STRICT_SPLIT_LONG, {{NO_STEP}}, too_long},
    {STRICT_SPLIT_BYTES, {{NO_STEP}}, split_bytes, .config.ram_bytes = LARGE_BYTES + RIG_HOLE_GPA},
    {STRICT_SPLIT_IN_ORDER,
     {{START_ALL}, {DESC, 0, 0, LEN, NEXT, 2}, {DESC, 2, 0, LEN, 0, 0}, FROM_FIRST},
     ORDERED},
    {STRICT_SPLIT_INDIRECT,
     {{START_ALL}, {SPLIT_TABLE, 0, 0}, {DESC, 0, TABLE, DESC_BYTES, IN_TABLE, 0}, FROM_FIRST}},
    {STRICT_SPLIT_INDIRECT_NEXT, IN(0, 0, DESC_BYTES, IN_TABLE | NEXT)},
    {STRICT_SPLIT_INDIRECT_NESTED, IN(IN_TABLE, 0, DESC_BYTES, IN_TABLE)},
    {STRICT_SPLIT_INDIRECT_ORDER, IN(NEXT, 2, 3 * DESC_BYTES, IN_TABLE), ORDERED},
    {STRICT_SPLIT_TABLE, IN(0, 0, DESC_BYTES - 1, IN_TABLE)},
    {STRICT_SPLIT_CHANGED, {{NO_STEP}}, split_changed},
    {STRICT_SPLIT_CHANGED, {{NO_STEP}}, table_changed},
    {STRICT_SPLIT_HEAD,
     {{START_ALL}, {AVAIL, STRICT_SIZE}, {KICK}},
     .config.transport = RIG_MMIO_LEGACY},
    {STRICT_PACKED_EVENT_FLAGS, {{START_ALL}, {EVENT, 0, 3}, {KICK}}, PACKED},
    {STRICT_PACKED_EVENT_DESC, {{START_ALL}, {EVENT, 0, RING_EVENT_FLAGS_DESC}, {KICK}}, PACKED},
    {STRICT_PACKED_EVENT_OFFSET,
     {{START_ALL, EVENT_IDX}, {EVENT, STRICT_SIZE, RING_EVENT_FLAGS_DESC}, {KICK}},
     PACKED},
    {STRICT_PACKED_ID, ONE_PACKED(0, 0, LEN, 0, STRICT_SIZE), PACKED},
    {STRICT_PACKED_ID_BUSY, {{NO_STEP}}, busy_id, PACKED},
    {STRICT_PACKED_BUSY, {{NO_STEP}}, busy_descriptor, PACKED},
    {STRICT_PACKED_PARTIAL, ONE_PACKED(0, 0, LEN, NEXT, 0), PACKED},
    {STRICT_PACKED_FLAGS, ONE_PACKED(0, 0, LEN, 0x10, 0), PACKED},
    {STRICT_PACKED_ADDRESS, ONE_PACKED(0, RIG_HOLE_GPA, LEN, 0, 0), PACKED},
    {STRICT_PACKED_ORDER,
     {{START_ALL}, {PDESC, 1, 0, LEN, 0, 0}, {PDESC, 0, 0, LEN, WRITE | NEXT, 0}, {KICK}},
     PACKED},
    {STRICT_PACKED_EXCESSIVE, {{NO_STEP}}, excessive, PACKED},
    {STRICT_PACKED_LONG, {{NO_STEP}}, too_long, PACKED},
    {STRICT_PACKED_INDIRECT, ONE_PACKED(0, 0x8000, DESC_BYTES, IN_TABLE, 0), PACKED},
    {STRICT_PACKED_INDIRECT_NEXT, ONE_PACKED(INDIRECT, 0x8000, DESC_BYTES, IN_TABLE | NEXT, 0),
     PACKED},
    {STRICT_PACKED_INDIRECT_FLAGS, {{NO_STEP}}, packed_indirect_flags, PACKED},
    {STRICT_PACKED_TABLE, ONE_PACKED(INDIRECT, 0x8000, DESC_BYTES + 1, IN_TABLE, 0), PACKED},
    {STRICT_PACKED_CHANGED, {{NO_STEP}}, packed_changed, PACKED},
};
const unsigned strict_ring_count = ARRAY_SIZE(strict_ring_cases);

/* ---- requests ---- */

/* Of one segment, and as long as it says. */
static void range(struct rig *rig, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags,
                  uint32_t bytes)
{
    struct blkreq req = {.type = type, .bytes = bytes, .data_gpa = RIG_HOLE_END_GPA};
    uint8_t *raw = vdrv_ptr(&rig->drv, req.data_gpa, 64 * VIRTIO_BLK_RANGE_BYTES);
    le64_put(raw + VIRTIO_BLK_RANGE_sector, sector);
    le32_put(raw + VIRTIO_BLK_RANGE_num_sectors, sectors);
    le32_put(raw + VIRTIO_BLK_RANGE_flags, flags);
    start(rig, VIRTIO_BIT(VIRTIO_BLK_F_DISCARD), 64);
    cr_assert(blkreq_send(rig, &req));
    rig_step(rig);
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

static void send_one(struct rig *rig, unsigned queue, bool write)
{
    start(rig, 0, STRICT_SIZE);
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

static void readable_event(struct rig *rig)
{
    send_one(rig, VIRTIO_INPUT_EVENTS, false);
    fake_input_key(&rig->person, KEY_A, true); /* buffers are looked at when they are needed */
    rig_step(rig);
}

static void writable_status(struct rig *rig)
{
    send_one(rig, VIRTIO_INPUT_STATUS, true);
}

static void short_event(struct rig *rig)
{
    start(rig, 0, STRICT_SIZE);
    inputio_give(rig, 1, INPUT_EVENT_BYTES - 1);
    fake_input_key(&rig->person, KEY_A, true);
    rig_step(rig);
}

static void readable_rng(struct rig *rig)
{
    send_one(rig, 0, false);
}

static void writable_numbers(struct rig *rig)
{
    send_one(rig, 0, true);
}

static void page_outside_memory(struct rig *rig)
{
    start(rig, 0, STRICT_SIZE);
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 4), 8, false};
    memcpy(vdrv_ptr(&rig->drv, buf.gpa, 8), (const uint32_t[]){0, 0xfffff}, 8);
    vdrv_send(&rig->drv.q[0], &buf, 1);
    rig_step(rig);
}

/* Likewise with alarms. */
static void readable_alarm(struct rig *rig)
{
    const uint8_t request[VIRTIO_RTC_SET_ALARM_BYTES] = {0x04, 0x10, [18] = 1};
    start(rig, VIRTIO_BIT(VIRTIO_RTC_F_ALARM), STRICT_SIZE);
    struct vdrv_buf buf = {buffer(rig), 16, false};
    vdrv_send(&rig->drv.q[VIRTIO_RTC_ALARMS], &buf, 1);
    struct vdrv_buf bufs[] = {{buffer(rig), sizeof(request), false}, {buffer(rig), 8, true}};
    memcpy(vdrv_ptr(&rig->drv, bufs[0].gpa, sizeof(request)), request, sizeof(request));
    vdrv_send(&rig->drv.q[VIRTIO_RTC_REQUESTS], bufs, 2);
    rig_step(rig);
}

static void short_fuse_header(struct rig *rig)
{
    start(rig, 0, STRICT_SIZE);
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, FSREQ_HEADER, 8), FSREQ_HEADER - 1, false};
    vdrv_send(&rig->drv.q[VIRTIO_FS_REQUESTS], &buf, 1);
    rig_step(rig);
}

static void lookup_by_the_hiprio_queue(struct rig *rig)
{
    start(rig, 0, STRICT_SIZE);
    fsreq_serves(rig, VIRTIO_FS_HIPRIO);
}

static void forget_by_a_request_queue(struct rig *rig)
{
    start(rig, 0, STRICT_SIZE);
    fsreq_send(rig, &(struct fsreq){.queue = VIRTIO_FS_REQUESTS, .opcode = FUSE_FORGET});
    rig_step(rig);
}

/* Such a buffer is looked at when there is something to put into it. */
static void readable_vsock_rx(struct rig *rig)
{
    send_one(rig, VIRTIO_VSOCK_RX, false);
    fake_vsock_ask(&rig->sockets, 1000);
    rig_step(rig);
}

static void writable_vsock_tx(struct rig *rig)
{
    send_one(rig, VIRTIO_VSOCK_TX, true);
}

/* A packet of so many bytes behind a header that says one. */
static void send_vsock(struct rig *rig, uint32_t bytes, uint64_t to)
{
    start(rig, 0, STRICT_SIZE);
    struct vdrv_buf buf = {buffer(rig), VIRTIO_VSOCK_HDR_BYTES + bytes, false};
    uint8_t *header = vdrv_ptr(&rig->drv, buf.gpa, VIRTIO_VSOCK_HDR_BYTES);
    memset(header, 0, VIRTIO_VSOCK_HDR_BYTES);
    le64_put(header + VIRTIO_VSOCK_HDR_src_cid, RIG_CID);
    le64_put(header + VIRTIO_VSOCK_HDR_dst_cid, to);
    le32_put(header + VIRTIO_VSOCK_HDR_len, 1);
    vdrv_send(&rig->drv.q[VIRTIO_VSOCK_TX], &buf, 1);
    rig_step(rig);
}

static void short_vsock(struct rig *rig)
{
    send_vsock(rig, 0, VIRTIO_VSOCK_CID_HOST);
}

static void vsock_to_another(struct rig *rig)
{
    send_vsock(rig, 1, VIRTIO_VSOCK_CID_HOST + 1);
}

/* A command without its features, of that length and with that room for the response. */
static void send_gpu(struct rig *rig, uint32_t type, uint32_t bytes, uint32_t room)
{
    uint8_t request[VIRTIO_GPU_CURSOR_BYTES];
    start(rig, 0, STRICT_SIZE);
    gpureq_make(request, type, sizeof(request));
    gpureq_send(rig, VIRTIO_GPU_CONTROLQ, request, bytes, room);
    rig_step(rig);
}

static void short_gpu_header(struct rig *rig)
{
    send_gpu(rig, VIRTIO_GPU_CMD_GET_DISPLAY_INFO, 23, 408);
}

static void no_gpu_response(struct rig *rig)
{
    send_gpu(rig, VIRTIO_GPU_CMD_GET_DISPLAY_INFO, 24, 23);
}

static void edid_without_feature(struct rig *rig)
{
    send_gpu(rig, VIRTIO_GPU_CMD_GET_EDID, VIRTIO_GPU_GET_EDID_BYTES, 1056);
}

static void context_without_feature(struct rig *rig)
{
    send_gpu(rig, VIRTIO_GPU_CMD_CTX_CREATE, 32, 24);
}

static void cursor_by_the_control_queue(struct rig *rig)
{
    send_gpu(rig, VIRTIO_GPU_CMD_MOVE_CURSOR, VIRTIO_GPU_CURSOR_BYTES, 24);
}

#define FLUSH VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)
/* A request of one type to a disk, with features and other members of struct blkreq. */
#define ASKS(features, type_, ...) \
    {{REQUEST, features}}, .device = ON_BLK, .request = {.type = VIRTIO_BLK_T_##type_, __VA_ARGS__}
#define READS(bytes_) .bytes = (bytes_), .data_write = true

const struct strict_case strict_type_cases[] = {
    {STRICT_BLK_CAPACITY, ASKS(0, IN, .sector = RIG_DISK_BYTES / 512, READS(512))},
    {STRICT_BLK_LENGTH, ASKS(0, OUT, .bytes = 100)},
    {STRICT_BLK_LENGTH, ASKS(0, OUT, .bytes = 100), PACKED},
    {STRICT_BLK_READ_ONLY, ASKS(VIRTIO_BIT(VIRTIO_BLK_F_RO), OUT, .bytes = 512),
     .config.read_only = true},
    {STRICT_BLK_RO_REFUSED, {{NEGOTIATE}}, .config.read_only = true, .device = ON_BLK},
    {STRICT_BLK_FLUSH_SECTOR, ASKS(FLUSH, FLUSH, .sector = 1)},
    {STRICT_BLK_FLUSH_DATA, ASKS(FLUSH, FLUSH, .bytes = 512)},
    {STRICT_BLK_TYPE, ASKS(0, FLUSH)},
    {STRICT_BLK_CAPACITY, {{NO_STEP}}, discard_beyond_capacity, .device = ON_BLK},
    {STRICT_BLK_RANGES, {{NO_STEP}}, part_of_range, .device = ON_BLK},
    {STRICT_BLK_RANGES, {{NO_STEP}}, too_many_ranges, .device = ON_BLK},
    {STRICT_BLK_RANGES, {{NO_STEP}}, range_too_long, .device = ON_BLK},
    {STRICT_BLK_RANGE_FLAGS, {{NO_STEP}}, discard_with_unmap, .device = ON_BLK},
    {STRICT_BLK_TYPE, {{NO_STEP}}, zeroes_without_feature, .device = ON_BLK},
    {STRICT_BLK_TYPE, {{REQUEST}}, .device = ON_BLK, .request.type = 77},
    {STRICT_BLK_ID_LENGTH, ASKS(0, GET_ID, READS(19))},
    {STRICT_BLK_HEADER, {{REQUEST}}, .device = ON_BLK, .request.header_bytes = 15},
    {STRICT_BLK_STATUS, ASKS(FLUSH, FLUSH, .no_status = true)},
    {STRICT_CONSOLE_RX, {{NO_STEP}}, readable_rx, .device = ON_CONSOLE},
    {STRICT_CONSOLE_TX, {{NO_STEP}}, writable_tx, .device = ON_CONSOLE},
    {STRICT_INPUT_EVENT_READABLE, {{NO_STEP}}, readable_event, .device = ON_INPUT},
    {STRICT_INPUT_STATUS_WRITABLE, {{NO_STEP}}, writable_status, .device = ON_INPUT},
    {STRICT_INPUT_SHORT, {{NO_STEP}}, short_event, .device = ON_INPUT},
    {STRICT_RNG_READABLE, {{NO_STEP}}, readable_rng, .device = ON_RNG},
    {STRICT_BALLOON_WRITABLE, {{NO_STEP}}, writable_numbers, .device = ON_BALLOON},
    {STRICT_BALLOON_PAGE, {{NO_STEP}}, page_outside_memory, .device = ON_BALLOON},
    {STRICT_RTC_READABLE, {{NO_STEP}}, readable_alarm, .device = ON_RTC},
    {STRICT_FS_HEADER, {{NO_STEP}}, short_fuse_header, .device = ON_FS},
    {STRICT_FS_HIPRIO, {{NO_STEP}}, lookup_by_the_hiprio_queue, .device = ON_FS},
    {STRICT_FS_REQUEST, {{NO_STEP}}, forget_by_a_request_queue, .device = ON_FS},
    {STRICT_VSOCK_RX, {{NO_STEP}}, readable_vsock_rx, .device = ON_VSOCK},
    {STRICT_VSOCK_TX, {{NO_STEP}}, writable_vsock_tx, .device = ON_VSOCK},
    {STRICT_VSOCK_CID, {{NO_STEP}}, vsock_to_another, .device = ON_VSOCK},
    {STRICT_VSOCK_LENGTH, {{NO_STEP}}, short_vsock, .device = ON_VSOCK},
    {STRICT_GPU_HEADER, {{NO_STEP}}, short_gpu_header, .device = ON_GPU},
    {STRICT_GPU_RESPONSE, {{NO_STEP}}, no_gpu_response, .device = ON_GPU},
    {STRICT_GPU_FEATURE, {{NO_STEP}}, edid_without_feature, .device = ON_GPU},
    {STRICT_GPU_FEATURE, {{NO_STEP}}, context_without_feature, .device = ON_GPU},
    {STRICT_GPU_QUEUE, {{NO_STEP}}, cursor_by_the_control_queue, .device = ON_GPU},
};
const unsigned strict_type_count = ARRAY_SIZE(strict_type_cases);
