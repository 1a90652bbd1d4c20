// SPDX-License-Identifier: BSD-2-Clause
/*
 * The packed ring, VIRTIO 1.4 2.8. Both sides write to the same descriptors: the driver makes
 * them available, the device overwrites them with what it used.
 *
 * A position runs from 0 to twice the size and then starts over. In the first lap a side's wrap
 * counter is 1, in the second 0: so a position is a place in the ring and a wrap counter at once.
 */
#include <errno.h>

#include "core/memory/gmem.h"
#include "core/output/facts.h"
#include "virtio/ring/ring_spec.h"
#include "virtio/ring/vq_math.h"
#include "virtio/ring/vq_ops.h"

static uint8_t *desc_at(const struct virtqueue *vq, uint32_t position)
{
    return vq->packed.desc + (size_t)packed_place(vq->size, position) * PVIRTQ_DESC_BYTES;
}

static int packed_activate(struct virtqueue *vq, const struct vq_config *config)
{
    struct vq_packed *p = &vq->packed;
    p->desc =
        gmem_ptr(vq->gmem, config->desc, (uint64_t)vq->size * PVIRTQ_DESC_BYTES, PVIRTQ_DESC_ALIGN);
    p->driver_event = gmem_ptr(vq->gmem, config->driver, PVIRTQ_EVENT_BYTES, PVIRTQ_EVENT_ALIGN);
    p->device_event = gmem_ptr(vq->gmem, config->device, PVIRTQ_EVENT_BYTES, PVIRTQ_EVENT_ALIGN);
    if (p->desc == NULL || p->driver_event == NULL || p->device_event == NULL)
        return vq_error(vq, -EINVAL, "ring misaligned or outside of guest memory");
    ring_store32_relaxed(p->device_event, RING_EVENT_FLAGS_ENABLE);
    return 0;
}

/* ---- from the driver ---- */

/* In the table the flag WRITE alone has a meaning, and all of the table is the chain: 2.8.7. */
static int walk_indirect(struct virtqueue *vq, struct vq_chain *chain, const struct ring_desc *ref)
{
    if (ref->len == 0 || ref->len % PVIRTQ_DESC_BYTES != 0)
        return vq_fault(vq, VQ_TABLE_BYTES, ref->len);
    const uint8_t *table = gmem_ptr(vq->gmem, ref->addr, ref->len, 1);
    if (table == NULL)
        return vq_fault(vq, VQ_TABLE_ADDRESS, ref->addr);
    for (uint32_t i = 0; i < ref->len / PVIRTQ_DESC_BYTES; i++) {
        struct ring_desc d = ring_load_desc(table + (size_t)i * PVIRTQ_DESC_BYTES);
        int err = vq_chain_add(vq, chain, d.addr, d.len, d.at14 & VIRTQ_DESC_F_WRITE);
        if (err != 0)
            return err;
    }
    return 0;
}

static int add_indirect(struct virtqueue *vq, struct vq_chain *chain, uint16_t flags,
                        const struct ring_desc *ref)
{
    if (!vq->indirect)
        return vq_fault(vq, VQ_INDIRECT, ref->addr);
    if ((flags & VIRTQ_DESC_F_NEXT) || chain->slots > 1)
        return vq_fault(vq, VQ_INDIRECT_NEXT, ref->addr);
    return walk_indirect(vq, chain, ref);
}

/*
 * The driver sets the first descriptor's flags last, so all of a chain is there when its first is.
 * Of each one's flags the reading counts that made it available. Returns the chain's id, which its
 * last descriptor holds, or a negative errno.
 */
static int walk(struct virtqueue *vq, struct vq_chain *chain, uint32_t position, uint16_t flags)
{
    const uint32_t room = vq->size - vq->packed.out;
    while (chain->slots < room) {
        chain->slots++;
        struct ring_desc d = ring_load_desc(desc_at(vq, position));
        int err = flags & VIRTQ_DESC_F_INDIRECT
                      ? add_indirect(vq, chain, flags, &d)
                      : vq_chain_add(vq, chain, d.addr, d.len, flags & VIRTQ_DESC_F_WRITE);
        if (err != 0)
            return err;
        if (!(flags & VIRTQ_DESC_F_NEXT))
            return d.at12;
        position = packed_ahead(vq->size, position, 1);
        flags = ring_load16_relaxed(desc_at(vq, position) + PVIRTQ_DESC_flags);
        if (!packed_is_available(flags, packed_wrap(vq->size, position)) && chain->slots < room)
            return vq_fault(vq, VQ_PARTIAL, chain->slots);
    }
    return vq_fault(vq, VQ_BUSY, chain->slots);
}

/* Partner: the driver's barrier between writing descriptors and the first one's flags. */
static bool next_is_available(const struct virtqueue *vq, uint16_t *flags)
{
    uint32_t position = vq->packed.next_avail;
    *flags = ring_load16_acquire(desc_at(vq, position) + PVIRTQ_DESC_flags);
    return packed_is_available(*flags, packed_wrap(vq->size, position));
}

static int packed_pop(struct virtqueue *vq, struct vq_chain *chain)
{
    struct vq_packed *p = &vq->packed;
    uint16_t flags;
    if (!next_is_available(vq, &flags))
        return 0;
    int id = walk(vq, chain, p->next_avail, flags);
    if (id < 0)
        return id;
    if ((uint32_t)id >= vq->size)
        return vq_fault(vq, VQ_ID, (unsigned)id);
    if (vq->in_flight[id])
        return vq_fault(vq, VQ_ID_BUSY, (unsigned)id);
    chain->head = (uint16_t)id;
    p->out += chain->slots;
    p->next_avail = packed_ahead(vq->size, p->next_avail, chain->slots);
    return 1;
}

/* ---- to the driver ---- */

/*
 * The driver takes used descriptors in their order, so it sees none of a batch before the first
 * one's flags: these are written by packed_flush().
 */
static void packed_push(struct virtqueue *vq, const struct vq_chain *chain, uint32_t written)
{
    struct vq_packed *p = &vq->packed;
    uint8_t *at = desc_at(vq, p->next_used);
    unsigned flags = packed_wrap(vq->size, p->next_used) ? PACKED_AVAIL_USED : 0;
    if (written > 0)
        flags |= VIRTQ_DESC_F_WRITE;
    ring_store16_relaxed(at + PVIRTQ_DESC_id, chain->head);
    ring_store32_relaxed(at + PVIRTQ_DESC_len, written);
    if (p->next_used == p->published)
        p->first_flags = (uint16_t)flags;
    else
        ring_store16_relaxed(at + PVIRTQ_DESC_flags, (uint16_t)flags);
    p->next_used = packed_ahead(vq->size, p->next_used, chain->slots);
    p->out -= chain->slots;
}

static bool packed_flush(struct virtqueue *vq)
{
    struct vq_packed *p = &vq->packed;
    uint32_t old = p->published, now = p->next_used;
    if (old == now)
        return false;
    p->published = now;
    /*
     * The store releases all of the batch; partner: the driver's barrier between reading the flags
     * and the rest. Before the load it is the device's half of the handshake whose other half is
     * the driver's barrier between writing its event suppression and reading the flags again.
     */
    ring_store16_seq_cst(desc_at(vq, old) + PVIRTQ_DESC_flags, p->first_flags);
    return packed_wants_interrupt(vq->size, vq->event_idx, ring_load32_seq_cst(p->driver_event),
                                  old, now);
}

/* ---- kicks ---- */

static void packed_notify_off(struct virtqueue *vq)
{
    ring_store32_relaxed(vq->packed.device_event, RING_EVENT_FLAGS_DISABLE << 16);
}

static bool packed_notify_on(struct virtqueue *vq)
{
    const struct vq_packed *p = &vq->packed;
    uint32_t event = RING_EVENT_FLAGS_ENABLE << 16;
    if (vq->event_idx) {
        bool wrap = packed_wrap(vq->size, p->next_avail);
        uint32_t place = packed_place(vq->size, p->next_avail);
        event = RING_EVENT_FLAGS_DESC << 16 | (uint32_t)wrap << PVIRTQ_EVENT_WRAP_SHIFT | place;
    }
    /* Partner: the driver's barrier between the first descriptor's flags and the event's. */
    ring_store32_seq_cst(p->device_event, event);
    uint16_t flags = ring_load16_seq_cst(desc_at(vq, p->next_avail) + PVIRTQ_DESC_flags);
    return packed_is_available(flags, packed_wrap(vq->size, p->next_avail));
}

static bool packed_available(const struct virtqueue *vq)
{
    uint16_t flags;
    return next_is_available(vq, &flags);
}

static uint32_t packed_position(const struct virtqueue *vq)
{
    return vq->packed.next_used;
}

static bool packed_seek(struct virtqueue *vq, uint32_t position)
{
    struct vq_packed *p = &vq->packed;
    if (position >= 2 * vq->size)
        return false;
    p->next_avail = p->next_used = p->published = position;
    return true;
}

/* A place in the ring, with its wrap counter. */
static void describe_place(struct facts *f, const char *name, uint32_t place, bool wrap)
{
    facts_text(f, name, "%u wrap %u", place, wrap);
}

static void describe_position(const struct virtqueue *vq, struct facts *f, const char *name,
                              uint32_t position)
{
    describe_place(f, name, packed_place(vq->size, position), packed_wrap(vq->size, position));
}

static void describe_event(struct facts *f, const char *name, const uint8_t *at)
{
    static const char *const words[] = {"always", "never", NULL, "3"};
    uint16_t where = ring_load16_relaxed(at + PVIRTQ_EVENT_desc);
    unsigned flags = ring_load16_relaxed(at + PVIRTQ_EVENT_flags) & 3;
    if (flags == RING_EVENT_FLAGS_DESC)
        describe_place(f, name, where & ((1u << PVIRTQ_EVENT_WRAP_SHIFT) - 1),
                       where >> PVIRTQ_EVENT_WRAP_SHIFT);
    else
        facts_word(f, name, words[flags]);
}

static void packed_describe(const struct virtqueue *vq, struct facts *f)
{
    const struct vq_packed *p = &vq->packed;
    describe_position(vq, f, "next_avail", p->next_avail);
    describe_position(vq, f, "next_used", p->next_used);
    facts_flag(f, "available", packed_available(vq));
    describe_event(f, "wants_kicks", p->device_event);
    describe_event(f, "wants_interrupts", p->driver_event);
}

const struct vq_ops vq_packed_ops = {
    .activate = packed_activate,
    .pop = packed_pop,
    .push = packed_push,
    .flush = packed_flush,
    .notify_off = packed_notify_off,
    .notify_on = packed_notify_on,
    .available = packed_available,
    .position = packed_position,
    .seek = packed_seek,
    .describe = packed_describe,
};
