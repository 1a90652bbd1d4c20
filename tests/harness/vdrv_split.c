// SPDX-License-Identifier: BSD-2-Clause
/* The driver's half of the split ring, VIRTIO 1.4 2.7. */
#include "core/base/le.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

void vdrv_desc_put(uint8_t *table, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
                   unsigned next)
{
    uint8_t *at = table + (size_t)i * VIRTQ_DESC_BYTES;
    le64_put(at, addr);
    le32_put(at + 8, len);
    le16_put(at + 12, (uint16_t)flags);
    le16_put(at + 14, (uint16_t)next);
}

static void avail_put(struct vdrv_queue *q, uint16_t head)
{
    size_t place = q->avail_idx % q->size;
    vdrv_store16(q->avail + VIRTQ_AVAIL_RING + 2 * place, head);
    q->avail_idx++;
}

void vdrv_avail_put(struct vdrv_queue *q, uint16_t head)
{
    q->raw = true;
    avail_put(q, head);
}

static unsigned flags_of(const struct vdrv_buf *bufs, unsigned i, unsigned count)
{
    return (bufs[i].write ? VIRTQ_DESC_F_WRITE : 0) | (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0);
}

/*
 * IN_ORDER fixes `next` by the descriptor's place in the table, whether or not the chain goes on
 * (VIRTIO 1.4 2.7.9.1): the order of the free list makes it so where it does.
 */
static int split_add(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    uint16_t head = vdrv_free_take(q), at = head;
    for (unsigned i = 0; i < count; i++) {
        uint16_t next = i + 1 < count ? vdrv_free_take(q) : 0;
        vdrv_desc_put(q->desc, at, bufs[i].gpa, bufs[i].len, flags_of(bufs, i, count), next);
        q->next[at] = next;
        at = next;
    }
    q->free_count -= count;
    vdrv_in_flight(q, head, count, bufs, count);
    avail_put(q, head);
    return head;
}

static int split_add_indirect(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    uint64_t table = vdrv_alloc(q->drv, (uint64_t)count * VIRTQ_DESC_BYTES, VIRTQ_DESC_ALIGN);
    uint8_t *at = vdrv_ptr(q->drv, table, (uint64_t)count * VIRTQ_DESC_BYTES);
    for (unsigned i = 0; i < count; i++)
        vdrv_desc_put(at, i, bufs[i].gpa, bufs[i].len, flags_of(bufs, i, count), i + 1);
    uint16_t head = vdrv_free_take(q);
    q->free_count--;
    vdrv_desc_put(q->desc, head, table, count * VIRTQ_DESC_BYTES, VIRTQ_DESC_F_INDIRECT, 0);
    vdrv_in_flight(q, head, 1, bufs, count);
    avail_put(q, head);
    return head;
}

static void split_publish(struct vdrv_queue *q)
{
    q->published = vdrv_load16(q->avail + VIRTQ_AVAIL_IDX);
    vdrv_store16(q->avail + VIRTQ_AVAIL_IDX, q->avail_idx);
}

static bool has_event_idx(const struct vdrv_queue *q)
{
    return (q->drv->features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)) != 0;
}

static bool split_kick_wanted(struct vdrv_queue *q)
{
    if (!has_event_idx(q))
        return !(vdrv_used_flags(q) & VIRTQ_USED_F_NO_NOTIFY);
    return vdrv_event_passed(vdrv_avail_event(q), q->avail_idx, q->published);
}

static bool split_peek(struct vdrv_queue *q, uint32_t *head, uint32_t *len)
{
    if (vdrv_used_idx(q) == q->used_idx)
        return false;
    const uint8_t *elem =
        q->used + VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * (size_t)(q->used_idx % q->size);
    *head = vdrv_load32(elem);
    *len = vdrv_load32(elem + 4);
    return true;
}

static void split_pass(struct vdrv_queue *q, uint16_t head)
{
    (void)head;
    q->used_idx++;
}

static void split_free(struct vdrv_queue *q, uint16_t head)
{
    uint16_t at = head;
    for (unsigned n = q->count[head]; n > 0; n--, at = q->next[at])
        vdrv_free_put(q, at);
    q->free_count += q->count[head];
}

static void split_irq_off(struct vdrv_queue *q)
{
    /* An index that lies behind is not passed for a whole round of 65536. */
    if (has_event_idx(q))
        vdrv_used_event(q, (uint16_t)(q->used_idx - 1));
    else
        vdrv_avail_flags(q, VIRTQ_AVAIL_F_NO_INTERRUPT);
}

static void split_irq_on(struct vdrv_queue *q)
{
    if (has_event_idx(q))
        vdrv_used_event(q, q->used_idx);
    else
        vdrv_avail_flags(q, 0);
}

static uint16_t split_next_off(const struct vdrv_queue *q)
{
    return vdrv_load16(q->avail + VIRTQ_AVAIL_IDX);
}

const struct vdrv_ring vdrv_split_ring = {
    .add = split_add,
    .add_indirect = split_add_indirect,
    .publish = split_publish,
    .kick_wanted = split_kick_wanted,
    .peek = split_peek,
    .pass = split_pass,
    .free = split_free,
    .irq_off = split_irq_off,
    .irq_on = split_irq_on,
    .next_off = split_next_off,
};

/* ---- raw ---- */

uint16_t vdrv_used_idx(const struct vdrv_queue *q)
{
    return vdrv_load16(q->used + VIRTQ_USED_IDX);
}

void vdrv_used_event(struct vdrv_queue *q, uint16_t index)
{
    vdrv_store16(q->avail + VIRTQ_AVAIL_USED_EVENT(q->size), index);
}

uint16_t vdrv_avail_event(const struct vdrv_queue *q)
{
    return vdrv_load16(q->used + VIRTQ_USED_AVAIL_EVENT(q->size));
}

void vdrv_avail_flags(struct vdrv_queue *q, uint16_t flags)
{
    vdrv_store16(q->avail + VIRTQ_AVAIL_FLAGS, flags);
}

uint16_t vdrv_used_flags(const struct vdrv_queue *q)
{
    return vdrv_load16(q->used + VIRTQ_USED_FLAGS);
}
