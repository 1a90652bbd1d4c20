// SPDX-License-Identifier: BSD-2-Clause
/*
 * The driver's half of the packed ring, VIRTIO 1.4 2.8. A chain becomes available with the flags
 * of its first descriptor. Those of the first chain since the last vdrv_publish() are kept back
 * until the next: the device, which goes in order, sees nothing behind it either.
 */
#include "core/base/le.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

/* What a field holds that the device must not look at. */
#define POISON_ID 0xdead

static uint8_t *desc_at(const struct vdrv_queue *q, unsigned i)
{
    return q->desc + (size_t)i * PVIRTQ_DESC_BYTES;
}

static void fill(uint8_t *at, uint64_t addr, uint32_t len, uint16_t id)
{
    le64_put(at + PVIRTQ_DESC_addr, addr);
    le32_put(at + PVIRTQ_DESC_len, len);
    le16_put(at + PVIRTQ_DESC_id, id);
}

uint16_t vdrv_pavail_flags(bool wrap)
{
    return wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

/* Puts one descriptor at next_avail, which it moves; the first of a batch is not shown yet. */
static void put_next(struct vdrv_queue *q, const struct vdrv_buf *buf, uint16_t id, uint16_t flags)
{
    uint8_t *at = desc_at(q, q->next_avail);
    flags |= vdrv_pavail_flags(q->avail_wrap);
    fill(at, buf->gpa, buf->len, id);
    if (!q->held) {
        q->held = true;
        q->held_at = q->next_avail;
        q->held_flags = flags;
    } else {
        vdrv_store16(at + PVIRTQ_DESC_flags, flags);
    }
    q->fresh++;
    if (++q->next_avail == q->size) {
        q->next_avail = 0;
        q->avail_wrap = !q->avail_wrap;
    }
}

static int packed_add(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    uint16_t id = vdrv_free_take(q);
    for (unsigned i = 0; i < count; i++) {
        bool last = i + 1 == count;
        unsigned flags = (bufs[i].write ? VIRTQ_DESC_F_WRITE : 0) | (last ? 0 : VIRTQ_DESC_F_NEXT);
        put_next(q, &bufs[i], last ? id : POISON_ID, (uint16_t)flags);
    }
    q->free_count -= count;
    vdrv_in_flight(q, id, count, bufs, count);
    return id;
}

static int packed_add_indirect(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    uint64_t table = vdrv_alloc(q->drv, (uint64_t)count * PVIRTQ_DESC_BYTES, PVIRTQ_DESC_ALIGN);
    uint8_t *at = vdrv_ptr(q->drv, table, (uint64_t)count * PVIRTQ_DESC_BYTES);
    for (unsigned i = 0; i < count; i++, at += PVIRTQ_DESC_BYTES) {
        fill(at, bufs[i].gpa, bufs[i].len, POISON_ID);
        le16_put(at + PVIRTQ_DESC_flags, bufs[i].write ? VIRTQ_DESC_F_WRITE : 0);
    }
    uint16_t id = vdrv_free_take(q);
    struct vdrv_buf ref = {table, count * PVIRTQ_DESC_BYTES, false};
    put_next(q, &ref, id, VIRTQ_DESC_F_INDIRECT);
    q->free_count--;
    vdrv_in_flight(q, id, 1, bufs, count);
    return id;
}

static void packed_publish(struct vdrv_queue *q)
{
    if (q->held) /* releases all that was filled; partner: the device's read of these flags */
        vdrv_store16(desc_at(q, q->held_at) + PVIRTQ_DESC_flags, q->held_flags);
    q->held = false;
    q->added = q->fresh;
    q->fresh = 0;
}

static bool packed_kick_wanted(struct vdrv_queue *q)
{
    /* Flags first: the device writes the place before it says that it counts. */
    uint16_t flags = vdrv_device_event_flags(q);
    if (flags != RING_EVENT_FLAGS_DESC)
        return flags != RING_EVENT_FLAGS_DISABLE;
    uint16_t off_wrap = vdrv_device_event_off(q);
    uint16_t event = off_wrap & 0x7fff;
    if ((off_wrap >> PVIRTQ_EVENT_WRAP_SHIFT) != q->avail_wrap)
        event = (uint16_t)(event - q->size); /* in the round before */
    return vdrv_event_passed(event, (uint16_t)q->next_avail, (uint16_t)(q->next_avail - q->added));
}

static bool packed_peek(struct vdrv_queue *q, uint32_t *head, uint32_t *len)
{
    uint16_t flags = vdrv_pdesc_flags(q, q->next_used);
    bool avail = (flags & VIRTQ_DESC_F_AVAIL) != 0, used = (flags & VIRTQ_DESC_F_USED) != 0;
    if (avail != used || used != q->used_wrap)
        return false;
    *head = vdrv_pdesc_id(q, q->next_used);
    *len = vdrv_pdesc_len(q, q->next_used);
    return true;
}

static void packed_pass(struct vdrv_queue *q, uint16_t id)
{
    q->next_used += q->count[id];
    if (q->next_used >= q->size) {
        q->next_used -= q->size;
        q->used_wrap = !q->used_wrap;
    }
}

static void packed_free(struct vdrv_queue *q, uint16_t id)
{
    q->free_count += q->count[id];
    vdrv_free_put(q, id);
}

static void packed_irq_off(struct vdrv_queue *q)
{
    vdrv_store16(q->avail + PVIRTQ_EVENT_flags, RING_EVENT_FLAGS_DISABLE);
}

static void packed_irq_on(struct vdrv_queue *q)
{
    bool event_idx = (q->drv->features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)) != 0;
    uint32_t off_wrap = q->next_used | (uint32_t)q->used_wrap << PVIRTQ_EVENT_WRAP_SHIFT;
    vdrv_driver_event(q, event_idx ? (uint16_t)off_wrap : 0,
                      event_idx ? RING_EVENT_FLAGS_DESC : RING_EVENT_FLAGS_ENABLE);
}

static uint16_t packed_next_off(const struct vdrv_queue *q)
{
    /* What is not published yet the device shall not be told of. */
    uint32_t at = q->held ? q->held_at : q->next_avail;
    bool wrap = q->held ? (q->held_flags & VIRTQ_DESC_F_AVAIL) != 0 : q->avail_wrap;
    return (uint16_t)(at | (uint32_t)wrap << PVIRTQ_EVENT_WRAP_SHIFT);
}

const struct vdrv_ring vdrv_packed_ring = {
    .add = packed_add,
    .add_indirect = packed_add_indirect,
    .publish = packed_publish,
    .kick_wanted = packed_kick_wanted,
    .peek = packed_peek,
    .pass = packed_pass,
    .free = packed_free,
    .irq_off = packed_irq_off,
    .irq_on = packed_irq_on,
    .next_off = packed_next_off,
};

/* ---- raw ---- */

void vdrv_pdesc_put(struct vdrv_queue *q, unsigned i, uint64_t addr, uint32_t len, uint16_t id,
                    uint16_t flags)
{
    q->raw = true;
    fill(desc_at(q, i), addr, len, id);
    vdrv_store16(desc_at(q, i) + PVIRTQ_DESC_flags, flags);
}

uint16_t vdrv_pdesc_flags(const struct vdrv_queue *q, unsigned i)
{
    return vdrv_load16(desc_at(q, i) + PVIRTQ_DESC_flags);
}

uint16_t vdrv_pdesc_id(const struct vdrv_queue *q, unsigned i)
{
    return vdrv_load16(desc_at(q, i) + PVIRTQ_DESC_id);
}

uint32_t vdrv_pdesc_len(const struct vdrv_queue *q, unsigned i)
{
    return vdrv_load32(desc_at(q, i) + PVIRTQ_DESC_len);
}

void vdrv_driver_event(struct vdrv_queue *q, uint16_t off_wrap, uint16_t flags)
{
    vdrv_store16(q->avail + PVIRTQ_EVENT_desc, off_wrap);
    vdrv_store16(q->avail + PVIRTQ_EVENT_flags, flags);
}

uint16_t vdrv_driver_event_off(const struct vdrv_queue *q)
{
    return vdrv_load16(q->avail + PVIRTQ_EVENT_desc);
}

uint16_t vdrv_driver_event_flags(const struct vdrv_queue *q)
{
    return vdrv_load16(q->avail + PVIRTQ_EVENT_flags);
}

uint16_t vdrv_device_event_off(const struct vdrv_queue *q)
{
    return vdrv_load16(q->used + PVIRTQ_EVENT_desc);
}

uint16_t vdrv_device_event_flags(const struct vdrv_queue *q)
{
    return vdrv_load16(q->used + PVIRTQ_EVENT_flags);
}
