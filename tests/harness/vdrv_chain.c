// SPDX-License-Identifier: BSD-2-Clause
/* Chains of either ring: what is free, what is in flight, in which order it comes back. */
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

static void *array(uint32_t count, size_t bytes)
{
    void *p = calloc(count, bytes);
    BUG_ON(p == NULL);
    return p;
}

void vdrv_queue_fini(struct vdrv_queue *q)
{
    free(q->ring.ids);
    free(q->ring.next);
    free(q->ring.descs);
    free(q->room);
    free(q->given);
    free(q->order);
    *q = (struct vdrv_queue){0};
}

void vdrv_queue_init(struct vdrv_queue *q, struct vdrv *d, unsigned index, uint32_t size)
{
    BUG_ON(size == 0 || size > VDRV_MAX_SIZE);
    vdrv_queue_fini(q);
    *q = (struct vdrv_queue){
        .drv = d,
        .index = index,
        .size = size,
        .packed = (d->features & VIRTIO_BIT(VIRTIO_F_RING_PACKED)) != 0,
        .in_order = (d->features & VIRTIO_BIT(VIRTIO_F_IN_ORDER)) != 0,
        .notify_id = (uint16_t)index,
    };
    q->ring = (struct vdrv_ring){
        .size = size,
        .packed = q->packed,
        .event_idx = (d->features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)) != 0,
        .ids = array(size, sizeof(uint16_t)),
        .next = array(size, sizeof(uint16_t)),
        .descs = array(size, sizeof(uint16_t)),
    };
    vdrv_ring_init(&q->ring);
    q->room = array(size, sizeof(*q->room));
    q->given = array(size, sizeof(*q->given));
    q->order = array(size, sizeof(*q->order));
}

static void note_writable(struct vdrv_queue *q, uint16_t head, const struct vdrv_buf *b)
{
    struct vdrv_range *all = &q->given[head].all;
    uint64_t end = max_u64(b->gpa + b->len, all->gpa + all->bytes);
    if (q->room[head] == 0)
        end = b->gpa + b->len;
    all->gpa = q->room[head] == 0 ? b->gpa : min_u64(b->gpa, all->gpa);
    all->bytes = end - all->gpa;
    q->room[head] += b->len;
    if (b->len > q->given[head].largest.bytes)
        q->given[head].largest = (struct vdrv_range){b->gpa, b->len};
}

static int add(struct vdrv_queue *q, const struct vdrv_chain *chain)
{
    uint16_t head = vdrv_ring_add(&q->ring, chain);
    q->room[head] = 0;
    q->given[head] = (struct vdrv_given){0};
    for (unsigned i = 0; i < chain->count; i++)
        if (chain->bufs[i].write)
            note_writable(q, head, &chain->bufs[i]);
    q->order[q->order_end] = head;
    q->order_end = (q->order_end + 1) % q->size;
    return head;
}

int vdrv_add(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    if (count == 0 || q->ring.free_descs < count)
        return -1;
    return add(q, &(struct vdrv_chain){.bufs = bufs, .count = count, .direct = count});
}

int vdrv_add_indirect(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    if (count == 0 || q->ring.free_descs == 0)
        return -1;
    uint64_t bytes = (uint64_t)count * VIRTQ_DESC_BYTES;
    struct vdrv_chain chain = {.bufs = bufs, .count = count};
    chain.table_gpa = vdrv_alloc(q->drv, bytes, VIRTQ_DESC_ALIGN);
    chain.table = vdrv_ptr(q->drv, chain.table_gpa, bytes);
    return add(q, &chain);
}

int vdrv_send(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    int head = vdrv_add(q, bufs, count);
    vdrv_kick(q);
    return head;
}

void vdrv_publish(struct vdrv_queue *q)
{
    vdrv_ring_publish(&q->ring);
}

bool vdrv_kick_wanted(struct vdrv_queue *q)
{
    return vdrv_ring_kick_wanted(&q->ring);
}

/* What is not published yet the device shall not be told of. */
static uint16_t next_off(const struct vdrv_ring *r)
{
    return r->packed ? vdrv_ring_off_wrap(r, r->published) : (uint16_t)r->published;
}

/* VIRTIO 1.4 2.9. */
void vdrv_notify(struct vdrv_queue *q)
{
    uint32_t value = q->notify_id;
    if (q->drv->features & VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA))
        value |= (uint32_t)next_off(&q->ring) << VIRTIO_NOTIFY_OFF_SHIFT;
    vdrv_notify_value(q, value);
}

void vdrv_kick(struct vdrv_queue *q)
{
    vdrv_publish(q);
    vdrv_notify(q);
}

/* With IN_ORDER one element stands for all buffers up to its own, which were filled (2.7.9). */
static void next_in_order(struct vdrv_queue *q, uint32_t *head, uint32_t *len)
{
    *head = q->order[q->order_at];
    q->order_at = (q->order_at + 1) % q->size;
    BUG_ON(q->ring.descs[*head] == 0); /* an id that is not in flight */
    *len = q->room[*head];
    if (*head == q->batch_id) {
        *len = q->batch_len;
        q->batch = false;
    }
}

bool vdrv_used(struct vdrv_queue *q, uint32_t *head, uint32_t *len)
{
    if (q->batch) {
        next_in_order(q, head, len);
    } else {
        if (!vdrv_ring_peek(&q->ring, head, len))
            return false;
        BUG_ON(*head >= q->size);
        if (q->in_order) {
            q->batch = true;
            q->batch_id = *head;
            q->batch_len = *len;
            next_in_order(q, head, len);
        }
    }
    vdrv_ring_free(&q->ring, (uint16_t)*head);
    return true;
}

bool vdrv_has_used(struct vdrv_queue *q)
{
    return q->batch || vdrv_ring_has_used(&q->ring);
}

void vdrv_irq_off(struct vdrv_queue *q)
{
    vdrv_ring_irq_off(&q->ring);
}

void vdrv_irq_on(struct vdrv_queue *q)
{
    vdrv_ring_irq_on(&q->ring, 0);
}

/* ---- raw, split ring ---- */

void vdrv_desc_put(uint8_t *table, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
                   unsigned next)
{
    uint8_t *at = table + (size_t)i * VIRTQ_DESC_BYTES;
    vdrv_desc_fill(at, addr, len, flags);
    le16_put(at + 14, (uint16_t)next);
}

void vdrv_avail_put(struct vdrv_queue *q, uint16_t head)
{
    q->raw = true;
    vdrv_ring_avail_put(&q->ring, head);
}

/* A halfword of one of the ring's areas: what it is, or written. */
#define READS(name, area, offset)               \
    uint16_t name(const struct vdrv_queue *q)   \
    {                                           \
        return vdrv_load16(q->area + (offset)); \
    }
#define WRITES(name, area, offset)                  \
    void name(struct vdrv_queue *q, uint16_t value) \
    {                                               \
        vdrv_store16(q->area + (offset), value);    \
    }

READS(vdrv_used_idx, used, VIRTQ_USED_IDX)
READS(vdrv_used_flags, used, VIRTQ_USED_FLAGS)
READS(vdrv_avail_event, used, VIRTQ_USED_AVAIL_EVENT(q->size))
WRITES(vdrv_used_event, avail, VIRTQ_AVAIL_USED_EVENT(q->size))
WRITES(vdrv_avail_flags, avail, VIRTQ_AVAIL_FLAGS)

/* ---- raw, packed ring ---- */

static uint8_t *desc_at(const struct vdrv_queue *q, unsigned i)
{
    return q->desc + (size_t)i * PVIRTQ_DESC_BYTES;
}

uint16_t vdrv_pavail_flags(bool wrap)
{
    return wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

void vdrv_pdesc_put(struct vdrv_queue *q, unsigned i, uint64_t addr, uint32_t len, uint16_t id,
                    uint16_t flags)
{
    q->raw = true;
    vdrv_desc_fill(desc_at(q, i), addr, len, id);
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

READS(vdrv_driver_event_off, avail, PVIRTQ_EVENT_desc)
READS(vdrv_driver_event_flags, avail, PVIRTQ_EVENT_flags)
READS(vdrv_device_event_off, used, PVIRTQ_EVENT_desc)
READS(vdrv_device_event_flags, used, PVIRTQ_EVENT_flags)
