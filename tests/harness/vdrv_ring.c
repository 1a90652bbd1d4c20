// SPDX-License-Identifier: BSD-2-Clause
/* Chains of either ring: what is free, what is in flight, in which order it comes back. */
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

static const struct vdrv_ring *ring_of(const struct vdrv_queue *q)
{
    return q->packed ? &vdrv_packed_ring : &vdrv_split_ring;
}

static void *array(uint32_t count, size_t bytes)
{
    void *p = calloc(count, bytes);
    BUG_ON(p == NULL);
    return p;
}

void vdrv_queue_fini(struct vdrv_queue *q)
{
    free(q->free);
    free(q->next);
    free(q->count);
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
        .avail_wrap = true,
        .used_wrap = true,
        .free_count = size,
        .notify_id = (uint16_t)index,
    };
    q->free = array(size, sizeof(*q->free));
    q->next = array(size, sizeof(*q->next));
    q->count = array(size, sizeof(*q->count));
    q->room = array(size, sizeof(*q->room));
    q->given = array(size, sizeof(*q->given));
    q->order = array(size, sizeof(*q->order));
    for (uint32_t i = 0; i < size; i++)
        q->free[i] = (uint16_t)i;
}

/*
 * First in, first out: a device that uses buffers in order is then given its descriptors in the
 * order of the table, as IN_ORDER asks (VIRTIO 1.4 2.7.9).
 */
uint16_t vdrv_free_take(struct vdrv_queue *q)
{
    uint16_t what = q->free[q->free_at];
    q->free_at = (q->free_at + 1) % q->size;
    return what;
}

void vdrv_free_put(struct vdrv_queue *q, uint16_t what)
{
    q->free[q->free_end] = what;
    q->free_end = (q->free_end + 1) % q->size;
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

void vdrv_in_flight(struct vdrv_queue *q, uint16_t head, unsigned descs,
                    const struct vdrv_buf *bufs, unsigned count)
{
    q->count[head] = (uint16_t)descs;
    q->room[head] = 0;
    q->given[head] = (struct vdrv_given){0};
    for (unsigned i = 0; i < count; i++)
        if (bufs[i].write)
            note_writable(q, head, &bufs[i]);
    q->order[q->order_end] = head;
    q->order_end = (q->order_end + 1) % q->size;
}

int vdrv_add(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    if (count == 0 || q->free_count < count)
        return -1;
    return ring_of(q)->add(q, bufs, count);
}

int vdrv_add_indirect(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    if (count == 0 || q->free_count == 0)
        return -1;
    return ring_of(q)->add_indirect(q, bufs, count);
}

int vdrv_send(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    int head = vdrv_add(q, bufs, count);
    vdrv_kick(q);
    return head;
}

void vdrv_publish(struct vdrv_queue *q)
{
    ring_of(q)->publish(q);
}

bool vdrv_kick_wanted(struct vdrv_queue *q)
{
    return ring_of(q)->kick_wanted(q);
}

/* VIRTIO 1.4 2.9. */
void vdrv_notify(struct vdrv_queue *q)
{
    uint32_t value = q->notify_id;
    if (q->drv->features & VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA))
        value |= (uint32_t)ring_of(q)->next_off(q) << VIRTIO_NOTIFY_OFF_SHIFT;
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
    BUG_ON(q->count[*head] == 0); /* an id that is not in flight */
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
        if (!ring_of(q)->peek(q, head, len))
            return false;
        BUG_ON(*head >= q->size);
        if (q->in_order) {
            q->batch = true;
            q->batch_id = *head;
            q->batch_len = *len;
            next_in_order(q, head, len);
        }
    }
    ring_of(q)->pass(q, (uint16_t)*head);
    ring_of(q)->free(q, (uint16_t)*head);
    q->count[*head] = 0;
    return true;
}

bool vdrv_has_used(struct vdrv_queue *q)
{
    uint32_t head, len;
    return q->batch || ring_of(q)->peek(q, &head, &len);
}

void vdrv_irq_off(struct vdrv_queue *q)
{
    ring_of(q)->irq_off(q);
}

void vdrv_irq_on(struct vdrv_queue *q)
{
    ring_of(q)->irq_on(q);
}
