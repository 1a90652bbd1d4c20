// SPDX-License-Identifier: BSD-2-Clause
/*
 * The split ring, VIRTIO 1.4 2.7. Indices run freely modulo 65536, an entry's place is its index
 * modulo the size, which is a power of two.
 */
#include <errno.h>

#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/output/facts.h"
#include "virtio/ring/ring_spec.h"
#include "virtio/ring/vq_math.h"
#include "virtio/ring/vq_ops.h"

void vq_split_indices(const struct virtqueue *vq, uint16_t *avail, uint16_t *used)
{
    *avail = ring_load16_acquire(vq->split.avail + VIRTQ_AVAIL_IDX);
    *used = ring_load16_acquire(vq->split.used + VIRTQ_USED_IDX);
}

static int split_activate(struct virtqueue *vq, const struct vq_config *config)
{
    struct vq_split *s = &vq->split;
    if (!is_pow2(vq->size))
        return vq_error(vq, -EINVAL, "size not a power of two");
    s->desc =
        gmem_ptr(vq->gmem, config->desc, (uint64_t)vq->size * VIRTQ_DESC_BYTES, VIRTQ_DESC_ALIGN);
    s->avail = gmem_ptr(vq->gmem, config->driver, VIRTQ_AVAIL_BYTES(vq->size), VIRTQ_AVAIL_ALIGN);
    s->used = gmem_ptr(vq->gmem, config->device, VIRTQ_USED_BYTES(vq->size), VIRTQ_USED_ALIGN);
    if (s->desc == NULL || s->avail == NULL || s->used == NULL)
        return vq_error(vq, -EINVAL, "ring misaligned or outside of guest memory");
    /* With EVENT_IDX it stays 0 for good: VIRTIO 1.4 2.7.10.2. */
    ring_store16_relaxed(s->used + VIRTQ_USED_FLAGS, 0);
    return 0;
}

static int walk_indirect(struct virtqueue *vq, struct vq_chain *chain, struct ring_desc ref)
{
    if (!vq->indirect)
        return vq_fault(vq, VQ_INDIRECT, ref.addr);
    if (ref.at12 & VIRTQ_DESC_F_NEXT)
        return vq_fault(vq, VQ_INDIRECT_NEXT, ref.addr);
    if (ref.len == 0 || ref.len % VIRTQ_DESC_BYTES != 0)
        return vq_fault(vq, VQ_TABLE_BYTES, ref.len);
    unsigned count = ref.len / VIRTQ_DESC_BYTES;
    const uint8_t *table = gmem_ptr(vq->gmem, ref.addr, ref.len, 1);
    if (table == NULL)
        return vq_fault(vq, VQ_TABLE_ADDRESS, ref.addr);
    for (unsigned i = 0;;) {
        struct ring_desc d = ring_load_desc(table + (size_t)i * VIRTQ_DESC_BYTES);
        uint16_t flags = d.at12, next = d.at14;
        if (flags & VIRTQ_DESC_F_INDIRECT)
            return vq_fault(vq, VQ_NESTED, i);
        int err = vq_chain_add(vq, chain, d.addr, d.len, flags & VIRTQ_DESC_F_WRITE);
        if (err != 0)
            return err;
        if (!(flags & VIRTQ_DESC_F_NEXT))
            return 0;
        if (next >= count)
            return vq_fault(vq, VQ_TABLE_NEXT, next);
        i = next;
    }
}

static int split_pop(struct virtqueue *vq, struct vq_chain *chain)
{
    struct vq_split *s = &vq->split;
    if (s->next_avail == s->avail_seen) {
        /* Partner: the driver's barrier between filling ring and descriptors and moving idx. */
        s->avail_seen = ring_load16_acquire(s->avail + VIRTQ_AVAIL_IDX);
        if (s->next_avail == s->avail_seen)
            return 0;
    }
    if (!split_index_possible(vq->size, s->avail_seen, s->next_avail))
        return vq_fault(vq, VQ_IDX, s->avail_seen);
    size_t place = split_place(vq->size, s->next_avail);
    uint16_t head = ring_load16_relaxed(s->avail + VIRTQ_AVAIL_RING + 2 * place);
    if (head >= vq->size)
        return vq_fault(vq, VQ_HEAD, head);
    if (vq->in_flight[head])
        return vq_fault(vq, VQ_HEAD_BUSY, head);
    chain->head = head;
    for (unsigned i = head;;) {
        struct ring_desc d = ring_load_desc(s->desc + (size_t)i * VIRTQ_DESC_BYTES);
        uint16_t flags = d.at12, next = d.at14;
        bool indirect = flags & VIRTQ_DESC_F_INDIRECT; /* WRITE means nothing then: 2.7.5.3.2 */
        int err = indirect ? walk_indirect(vq, chain, d)
                           : vq_chain_add(vq, chain, d.addr, d.len, flags & VIRTQ_DESC_F_WRITE);
        if (err != 0) /* all places are in the chain: one is there twice */
            return vq->fault == VQ_LONG && !indirect ? vq_fault(vq, VQ_LOOP, i) : err;
        if (indirect || !(flags & VIRTQ_DESC_F_NEXT))
            break;
        if (next >= vq->size)
            return vq_fault(vq, VQ_NEXT, next);
        i = next;
    }
    s->next_avail++;
    return 1;
}

static void split_push(struct virtqueue *vq, const struct vq_chain *chain, uint32_t written)
{
    size_t place = split_place(vq->size, vq->split.next_used);
    uint8_t *elem = vq->split.used + VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * place;
    ring_store32_relaxed(elem, chain->head);
    ring_store32_relaxed(elem + 4, written);
    vq->split.next_used++;
}

static bool split_flush(struct virtqueue *vq)
{
    struct vq_split *s = &vq->split;
    uint16_t old = s->published, now = s->next_used;
    if (old == now)
        return false;
    s->published = now;
    /*
     * The store of idx releases the entries and the buffers' contents; partner: the driver's
     * barrier between reading idx and the entries. Before the load it is the device's half of the
     * handshake whose other half is the driver's barrier between writing used_event (or the flag)
     * and reading idx again.
     */
    ring_store16_seq_cst(s->used + VIRTQ_USED_IDX, now);
    if (vq->event_idx)
        return split_event_passed(ring_load16_seq_cst(s->avail + VIRTQ_AVAIL_USED_EVENT(vq->size)),
                                  now, old);
    return (ring_load16_seq_cst(s->avail + VIRTQ_AVAIL_FLAGS) & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
}

/* With EVENT_IDX it is enough that the index which was asked for lies behind. */
static void split_notify_off(struct virtqueue *vq)
{
    const struct vq_split *s = &vq->split;
    void *event = s->used + VIRTQ_USED_AVAIL_EVENT(vq->size);
    if (!vq->event_idx)
        ring_store16_relaxed(s->used + VIRTQ_USED_FLAGS, VIRTQ_USED_F_NO_NOTIFY);
    else if (ring_load16_relaxed(event) == s->next_avail)
        ring_store16_relaxed(event, (uint16_t)(s->next_avail - 1));
}

static bool split_notify_on(struct virtqueue *vq)
{
    struct vq_split *s = &vq->split;
    /* Partner: the driver's barrier between moving idx and reading avail_event (or the flag). */
    if (vq->event_idx)
        ring_store16_seq_cst(s->used + VIRTQ_USED_AVAIL_EVENT(vq->size), s->next_avail);
    else
        ring_store16_seq_cst(s->used + VIRTQ_USED_FLAGS, 0);
    return ring_load16_seq_cst(s->avail + VIRTQ_AVAIL_IDX) != s->next_avail;
}

static bool split_available(const struct virtqueue *vq)
{
    const struct vq_split *s = &vq->split;
    return ring_load16_relaxed(s->avail + VIRTQ_AVAIL_IDX) != s->next_avail;
}

static uint32_t split_position(const struct virtqueue *vq)
{
    return vq->split.next_used;
}

static bool split_seek(struct virtqueue *vq, uint32_t position)
{
    struct vq_split *s = &vq->split;
    s->avail_seen = s->next_avail = s->next_used = s->published = (uint16_t)position;
    return position <= UINT16_MAX;
}

/* Of a queue that another process runs, what is in memory counts: it keeps its own indices. */
static void split_describe(const struct virtqueue *vq, struct facts *f)
{
    const struct vq_split *s = &vq->split;
    facts_number(f, "avail_idx", ring_load16_relaxed(s->avail + VIRTQ_AVAIL_IDX));
    facts_number(f, "used_idx", ring_load16_relaxed(s->used + VIRTQ_USED_IDX));
    facts_number(f, "next_avail", s->next_avail);
    facts_number(f, "next_used", s->next_used);
    if (vq->event_idx) {
        facts_number(f, "avail_event",
                     ring_load16_relaxed(s->used + VIRTQ_USED_AVAIL_EVENT(vq->size)));
        facts_number(f, "used_event",
                     ring_load16_relaxed(s->avail + VIRTQ_AVAIL_USED_EVENT(vq->size)));
        return;
    }
    uint16_t used_flags = ring_load16_relaxed(s->used + VIRTQ_USED_FLAGS);
    uint16_t avail_flags = ring_load16_relaxed(s->avail + VIRTQ_AVAIL_FLAGS);
    facts_flag(f, "wants_kicks", (used_flags & VIRTQ_USED_F_NO_NOTIFY) == 0);
    facts_flag(f, "wants_interrupts", (avail_flags & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0);
}

const struct vq_ops vq_split_ops = {
    .activate = split_activate,
    .pop = split_pop,
    .push = split_push,
    .flush = split_flush,
    .notify_off = split_notify_off,
    .notify_on = split_notify_on,
    .available = split_available,
    .position = split_position,
    .seek = split_seek,
    .describe = split_describe,
};
