// SPDX-License-Identifier: BSD-2-Clause
/* What a driver does to a split ring (VIRTIO 1.4 2.7). */
#include "core/base/le.h"
#include "core/memory/gmem.h"
#include "virtio/observe/strict_impl.h"
#include "virtio/ring/vq_ops.h"
#include "virtio/spec.h"

#define KNOWN_FLAGS (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT)

void strict_split_look(struct strict_queue *q, const struct gmem *gmem, uint64_t used_gpa)
{
    uint8_t raw[4];
    if (gmem_read(gmem, used_gpa, raw, sizeof(raw)) != 0)
        return;
    unsigned flags = le16_get(raw + VIRTQ_USED_FLAGS), idx = le16_get(raw + VIRTQ_USED_IDX);
    if (flags != 0)
        strict_ring_report(q, STRICT_SPLIT_USED_FLAGS, "%#x", flags);
    if (idx != 0)
        strict_ring_report(q, STRICT_SPLIT_USED_IDX, "%u", idx);
}

void strict_split_check(struct strict_queue *q, const struct virtqueue *vq)
{
    const uint8_t *avail = vq->split.avail;
    uint16_t flags = ring_load16_relaxed(avail + VIRTQ_AVAIL_FLAGS);
    if (flags != q->last_event && flags > (vq->event_idx ? 0 : VIRTQ_AVAIL_F_NO_INTERRUPT))
        strict_ring_report(q, STRICT_SPLIT_AVAIL_FLAGS, "%#x", flags);
    q->last_event = flags;

    uint16_t idx = ring_load16_acquire(avail + VIRTQ_AVAIL_IDX), last = q->last_idx;
    if (idx == last)
        return;
    q->last_idx = idx;
    if ((uint16_t)(idx - last) > VIRTQ_MAX_SIZE)
        strict_ring_report(q, STRICT_SPLIT_IDX_BACK, "from %u to %u", last, idx);
    else if ((uint16_t)(idx - vq->split.next_avail) + q->out > vq->size)
        strict_ring_report(q, STRICT_SPLIT_IDX_AHEAD, "from %u to %u, with %u in flight", last, idx,
                           q->out + (uint16_t)(last - vq->split.next_avail));
}

static void walk_table(struct strict_walk *w, struct strict_fields ref)
{
    if (ref.flags & VIRTQ_DESC_F_NEXT)
        strict_ring_report(w->q, STRICT_SPLIT_INDIRECT_NEXT, "descriptor %u", w->last);
    const uint8_t *table = strict_walk_table(w, ref);
    uint32_t count = ref.len / VIRTQ_DESC_BYTES;
    for (uint32_t i = 0; table != NULL;) {
        struct strict_fields d = strict_table_desc(w, table, i);
        if (d.flags & VIRTQ_DESC_F_INDIRECT) {
            strict_ring_report(w->q, STRICT_SPLIT_INDIRECT_NESTED, "descriptor %u of a table", i);
            return;
        }
        if (d.flags & ~KNOWN_FLAGS)
            strict_ring_report(w->q, STRICT_SPLIT_FLAGS, "%#x in a table", d.flags);
        if (!strict_walk_buffer(w, d) || !(d.flags & VIRTQ_DESC_F_NEXT))
            return;
        if (d.link >= count) {
            strict_ring_report(w->q, STRICT_SPLIT_NEXT, "%u in a table of %u", d.link, count);
            return;
        }
        if (w->vq->in_order && d.link != i + 1)
            strict_ring_report(w->q, STRICT_SPLIT_INDIRECT_ORDER, "%u after %u", d.link, i);
        i = d.link;
    }
}

/* One descriptor of the ring's own table; false: the chain ends here. */
static bool walk_one(struct strict_walk *w, uint16_t place, uint16_t *next)
{
    const struct strict_desc *known = &w->q->descs[place];
    if (w->slots > 0 && known->walk == w->q->walks) {
        strict_ring_report(w->q, STRICT_SPLIT_LOOP, "at descriptor %u", place);
        return false;
    }
    if (known->busy) {
        strict_ring_report(w->q, STRICT_SPLIT_BUSY, "descriptor %u is in flight", place);
        return false;
    }
    struct strict_fields d = strict_walk_copy(w, place);
    if (d.flags & ~KNOWN_FLAGS)
        strict_ring_report(w->q, STRICT_SPLIT_FLAGS, "%#x in descriptor %u", d.flags, place);
    if (d.flags & VIRTQ_DESC_F_INDIRECT) {
        walk_table(w, d);
        return false;
    }
    if (!strict_walk_buffer(w, d) || !(d.flags & VIRTQ_DESC_F_NEXT))
        return false;
    if (d.link >= w->vq->size) {
        strict_ring_report(w->q, STRICT_SPLIT_NEXT, "%u in descriptor %u", d.link, place);
        return false;
    }
    if (w->vq->in_order && d.link != (place + 1u) % w->vq->size)
        strict_ring_report(w->q, STRICT_SPLIT_IN_ORDER, "%u after %u", d.link, place);
    *next = d.link;
    return true;
}

bool strict_split_walk(struct strict_walk *w)
{
    const uint8_t *avail = w->vq->split.avail;
    if (ring_load16_acquire(avail + VIRTQ_AVAIL_IDX) == (uint16_t)w->start)
        return false;
    size_t entry = w->start & (w->vq->size - 1);
    uint16_t place = ring_load16_relaxed(avail + VIRTQ_AVAIL_RING + 2 * entry);
    if (place >= w->vq->size) {
        strict_ring_report(w->q, STRICT_SPLIT_HEAD, "%u in a table of %u", place, w->vq->size);
        return false;
    }
    while (walk_one(w, place, &place))
        ;
    return true;
}
