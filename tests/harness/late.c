// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/late.h"

#include "core/base/xmath.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/ring/virtqueue.h"
#include "virtio/spec.h"

static void split_late(struct vq_split *s, struct vdrv_queue *q, uint16_t index)
{
    s->avail_seen = s->next_avail = s->next_used = s->published = index;
    q->ring.next_avail = q->ring.published = q->ring.next_used = index;
    vdrv_store16(q->avail + VIRTQ_AVAIL_IDX, index);
    vdrv_store16(q->used + VIRTQ_USED_IDX, index);
    vdrv_used_event(q, index);
    vdrv_store16(q->used + VIRTQ_USED_AVAIL_EVENT(q->size), index);
    q->ring.ids_at = q->ring.ids_end = index % q->size;
}

/* In the second lap both wrap counters are 0. What is behind was used in it, the rest in the first.
 */
static void packed_late(struct vq_packed *p, struct vdrv_queue *q, uint32_t left)
{
    uint32_t place = q->size - left;
    p->next_avail = p->next_used = p->published = q->size + place;
    q->ring.next_avail = q->ring.published = q->ring.next_used = q->size + place;
    for (uint32_t i = 0; i < q->size; i++)
        vdrv_store16(q->desc + (uint64_t)i * PVIRTQ_DESC_BYTES + PVIRTQ_DESC_flags,
                     i < place ? 0 : VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED);
}

void late_begin(struct virtqueue *vq, struct vdrv_queue *q, uint32_t left)
{
    if (q->packed)
        packed_late(&vq->packed, q, (uint32_t)min_u64(left, q->size));
    else
        split_late(&vq->split, q, (uint16_t)-left);
}
