// SPDX-License-Identifier: BSD-2-Clause
/* What a driver does to a packed ring (VIRTIO 1.4 2.8). For positions see vq_packed.c. */
#include "virtio/observe/strict_impl.h"
#include "virtio/ring/vq_ops.h"
#include "virtio/spec.h"

#define AVAIL_USED  (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)
#define KNOWN_FLAGS (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT | AVAIL_USED)

static uint16_t place_of(const struct virtqueue *vq, uint32_t position)
{
    return (uint16_t)(position % vq->size);
}

/* Available to a device that has come to this position? */
static bool is_available(const struct virtqueue *vq, uint32_t position, uint16_t flags)
{
    bool wrap = position / vq->size % 2 == 0;
    return (flags & AVAIL_USED) == (wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED);
}

static uint16_t load_flags(const struct virtqueue *vq, uint32_t position)
{
    const uint8_t *at = vq->packed.desc + (size_t)place_of(vq, position) * PVIRTQ_DESC_BYTES;
    return ring_load16_acquire(at + PVIRTQ_DESC_flags);
}

static void check_event(struct strict_queue *q, const struct virtqueue *vq, uint32_t event)
{
    unsigned flags = event >> 16;
    unsigned offset = event & ((1u << PVIRTQ_EVENT_WRAP_SHIFT) - 1);
    if (flags > RING_EVENT_FLAGS_DESC)
        strict_ring_report(q, STRICT_PACKED_EVENT_FLAGS, "%#x", flags);
    else if (flags == RING_EVENT_FLAGS_DESC && !vq->event_idx)
        strict_ring_report(q, STRICT_PACKED_EVENT_DESC, "flags %#x", flags);
    else if (flags == RING_EVENT_FLAGS_DESC && offset >= vq->size)
        strict_ring_report(q, STRICT_PACKED_EVENT_OFFSET, "%u in a ring of %u", offset, vq->size);
}

void strict_packed_check(struct strict_queue *q, const struct virtqueue *vq)
{
    uint32_t event = ring_load32_seq_cst(vq->packed.driver_event);
    if (event != q->last_event)
        check_event(q, vq, event);
    q->last_event = event;
    uint32_t next = vq->packed.next_avail;
    if (vq->packed.out == vq->size && is_available(vq, next, load_flags(vq, next)))
        strict_ring_report(q, STRICT_PACKED_BUSY, "all descriptors are in flight");
}

static void walk_table(struct strict_walk *w, struct strict_fields ref)
{
    if ((ref.flags & VIRTQ_DESC_F_NEXT) || w->slots > 1)
        strict_ring_report(w->q, STRICT_PACKED_INDIRECT_NEXT, "descriptor %u", w->last);
    const uint8_t *table = strict_walk_table(w, ref);
    for (uint32_t i = 0; table != NULL && i < ref.len / PVIRTQ_DESC_BYTES; i++) {
        struct strict_fields d = strict_table_desc(w, table, i);
        if (d.flags & ~VIRTQ_DESC_F_WRITE)
            strict_ring_report(w->q, STRICT_PACKED_INDIRECT_FLAGS, "%#x in descriptor %u", d.flags,
                               i);
        if (!strict_walk_buffer(w, d))
            return;
    }
}

static void check_id(struct strict_walk *w, unsigned id)
{
    if (id >= w->vq->size)
        strict_ring_report(w->q, STRICT_PACKED_ID, "%u, and the size is %u", id, w->vq->size);
    else if (w->vq->in_flight[id])
        strict_ring_report(w->q, STRICT_PACKED_ID_BUSY, "%u is in flight", id);
}

/* One descriptor; false: the list ends here. */
static bool walk_one(struct strict_walk *w, uint32_t position)
{
    uint16_t place = place_of(w->vq, position);
    if (w->slots == w->room) {
        strict_ring_report(w->q, STRICT_PACKED_BUSY, "descriptor %u is in flight", place);
        return false;
    }
    struct strict_fields d = strict_walk_copy(w, place);
    if (w->slots > 1 && !is_available(w->vq, position, d.flags)) {
        strict_ring_report(w->q, STRICT_PACKED_PARTIAL, "descriptor %u is not available", place);
        return false;
    }
    if (d.flags & ~KNOWN_FLAGS)
        strict_ring_report(w->q, STRICT_PACKED_FLAGS, "%#x in descriptor %u", d.flags, place);
    if (d.flags & VIRTQ_DESC_F_INDIRECT)
        walk_table(w, d);
    else if (!strict_walk_buffer(w, d))
        return false;
    if (d.flags & VIRTQ_DESC_F_NEXT)
        return !(d.flags & VIRTQ_DESC_F_INDIRECT);
    check_id(w, d.link);
    return false;
}

bool strict_packed_walk(struct strict_walk *w)
{
    uint32_t position = w->start;
    if (!is_available(w->vq, position, load_flags(w->vq, position)))
        return false;
    while (walk_one(w, position))
        position++;
    return true;
}

/* The used descriptor goes where the ring's used part ends, and the driver gets as many from there
 * on as the chain had: they may be another chain's. */
void strict_packed_give_back(struct strict_queue *q, const struct virtqueue *vq,
                             const struct vq_chain *chain)
{
    for (uint32_t i = 0; i < chain->slots; i++)
        q->descs[place_of(vq, vq->packed.next_used + i)].busy = false;
}
