// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/vdrv_ring.h"

#include <stddef.h>

#include "virtio/spec.h"

#define AVAIL_USED (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

/* What a field holds that the device must not look at. */
#define POISON_ID 0xdead

_Static_assert((int)VIRTQ_DESC_BYTES == (int)PVIRTQ_DESC_BYTES,
               "one size of descriptors for both rings");

/* ---- free descriptors and ids ---- */

void vdrv_ring_init(struct vdrv_ring *r)
{
    for (uint32_t i = 0; i < r->size; i++) {
        r->ids[i] = (uint16_t)i;
        r->descs[i] = 0;
    }
    r->free_descs = r->size;
    r->in_flight = r->ids_at = r->ids_end = 0;
    r->next_avail = r->next_used = r->published = r->published_before = 0;
}

static uint32_t next_place(const struct vdrv_ring *r)
{
    if (!r->latest_first)
        return r->ids_at;
    return (r->ids_end == 0 ? r->size : r->ids_end) - 1;
}

uint16_t vdrv_ring_next_id(const struct vdrv_ring *r)
{
    return r->ids[next_place(r)];
}

/*
 * First in, first out: a device that uses buffers in order is then given its descriptors in the
 * order of the table, as IN_ORDER asks (VIRTIO 1.4 2.7.9).
 */
static uint16_t id_take(struct vdrv_ring *r)
{
    uint32_t place = next_place(r);
    if (r->latest_first)
        r->ids_end = place;
    else
        r->ids_at = place + 1 < r->size ? place + 1 : 0;
    return r->ids[place];
}

static void id_put(struct vdrv_ring *r, uint16_t id)
{
    r->ids[r->ids_end] = id;
    if (++r->ids_end == r->size)
        r->ids_end = 0;
}

/* ---- descriptors ---- */

static uint8_t *desc_at(const struct vdrv_ring *r, uint32_t position)
{
    return r->desc + (size_t)vdrv_ring_place(r, position) * PVIRTQ_DESC_BYTES;
}

static uint32_t advance(const struct vdrv_ring *r, uint32_t position, uint32_t by)
{
    position += by;
    return position < 2 * r->size ? position : position - 2 * r->size;
}

uint16_t vdrv_ring_off_wrap(const struct vdrv_ring *r, uint32_t position)
{
    unsigned wrap = vdrv_ring_wrap(r, position);
    return (uint16_t)(vdrv_ring_place(r, position) | wrap << PVIRTQ_EVENT_WRAP_SHIFT);
}

void vdrv_desc_fill(uint8_t *at, uint64_t addr, uint32_t len, unsigned flags_or_id)
{
    vdrv_ring_store32(at, (uint32_t)addr, __ATOMIC_RELAXED);
    vdrv_ring_store32(at + 4, (uint32_t)(addr >> 32), __ATOMIC_RELAXED);
    vdrv_ring_store32(at + 8, len, __ATOMIC_RELAXED);
    vdrv_ring_store16(at + 12, flags_or_id, __ATOMIC_RELAXED);
}

/* A packed ring's indirect descriptors have neither an id nor an order but their own (2.8.7). */
void vdrv_ring_table(bool packed, uint8_t *table, const struct vdrv_buf *bufs, unsigned count)
{
    for (unsigned i = 0; i < count; i++, table += VIRTQ_DESC_BYTES) {
        unsigned flags = bufs[i].write ? VIRTQ_DESC_F_WRITE : 0;
        unsigned next = packed || i + 1 == count ? 0 : VIRTQ_DESC_F_NEXT;
        vdrv_desc_fill(table, bufs[i].gpa, bufs[i].len, packed ? POISON_ID : flags | next);
        vdrv_ring_store16(table + 14, packed ? flags : i + 1, __ATOMIC_RELAXED);
    }
}

void vdrv_ring_avail_put(struct vdrv_ring *r, uint16_t head)
{
    size_t place = (uint16_t)r->next_avail % r->size;
    vdrv_ring_store16(r->driver + VIRTQ_AVAIL_RING + 2 * place, head, __ATOMIC_RELAXED);
    r->next_avail = (uint16_t)(r->next_avail + 1);
}

/* Returns the chain's next descriptor. IN_ORDER fixes `next` by the descriptor's place (2.7.9.1):
 * the order of the free ones makes it so. */
static uint16_t split_put(struct vdrv_ring *r, uint16_t at, const struct vdrv_buf *buf,
                          unsigned flags)
{
    uint8_t *desc = r->desc + (size_t)at * VIRTQ_DESC_BYTES;
    uint16_t next = flags & VIRTQ_DESC_F_NEXT ? id_take(r) : 0;
    vdrv_desc_fill(desc, buf->gpa, buf->len, flags);
    vdrv_ring_store16(desc + 14, next, __ATOMIC_RELAXED);
    return r->next[at] = next;
}

/* The flags of the first since vdrv_ring_publish() wait there: behind them the device, which goes
 * in order, does not look. */
static void packed_put(struct vdrv_ring *r, const struct vdrv_buf *buf, uint16_t id, unsigned flags)
{
    uint8_t *desc = desc_at(r, r->next_avail);
    vdrv_desc_fill(desc, buf->gpa, buf->len, flags & VIRTQ_DESC_F_NEXT ? POISON_ID : id);
    flags |= vdrv_ring_wrap(r, r->next_avail) ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
    if (r->next_avail == r->published)
        r->held_flags = (uint16_t)flags;
    else
        vdrv_ring_store16(desc + PVIRTQ_DESC_flags, flags, __ATOMIC_RELAXED);
    r->next_avail = advance(r, r->next_avail, 1);
}

uint16_t vdrv_ring_add(struct vdrv_ring *r, const struct vdrv_chain *c)
{
    unsigned rest = c->count - c->direct, count = c->direct + (rest > 0);
    struct vdrv_buf ref = {c->table_gpa, rest * VIRTQ_DESC_BYTES, false};
    uint16_t id = id_take(r), at = id;
    if (rest > 0 && c->table != NULL)
        vdrv_ring_table(r->packed, c->table, c->bufs + c->direct, rest);
    for (unsigned i = 0; i < count; i++) {
        const struct vdrv_buf *buf = i < c->direct ? &c->bufs[i] : &ref;
        unsigned flags = (buf->write ? VIRTQ_DESC_F_WRITE : 0) |
                         (buf == &ref ? VIRTQ_DESC_F_INDIRECT : 0) |
                         (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0);
        if (r->packed)
            packed_put(r, buf, id, flags);
        else
            at = split_put(r, at, buf, flags);
    }
    if (!r->packed)
        vdrv_ring_avail_put(r, id);
    r->descs[id] = (uint16_t)count;
    r->free_descs -= count;
    r->in_flight++;
    return id;
}

/* ---- to the device ---- */

bool vdrv_ring_publish(struct vdrv_ring *r)
{
    uint32_t old = r->published;
    bool fresh = old != r->next_avail;
    r->published_before = old;
    r->published = r->next_avail;
    /* Releases entries and descriptors; and is stored before the event is loaded. */
    if (!r->packed)
        vdrv_ring_store16(r->driver + VIRTQ_AVAIL_IDX, r->next_avail, __ATOMIC_SEQ_CST);
    else if (fresh)
        vdrv_ring_store16(desc_at(r, old) + PVIRTQ_DESC_flags, r->held_flags, __ATOMIC_SEQ_CST);
    return fresh;
}

/* VIRTIO 1.4 2.7.10: was `event` passed? */
static bool split_kick_wanted(const struct vdrv_ring *r)
{
    if (!r->event_idx)
        return !(vdrv_ring_load16(r->device + VIRTQ_USED_FLAGS, __ATOMIC_SEQ_CST) &
                 VIRTQ_USED_F_NO_NOTIFY);
    uint16_t event =
        vdrv_ring_load16(r->device + VIRTQ_USED_AVAIL_EVENT(r->size), __ATOMIC_SEQ_CST);
    return (uint16_t)(r->published - event - 1) < (uint16_t)(r->published - r->published_before);
}

static uint32_t distance(const struct vdrv_ring *r, uint32_t from, uint32_t to)
{
    return (to + 2 * r->size - from) % (2 * r->size);
}

static bool packed_kick_wanted(const struct vdrv_ring *r)
{
    uint32_t event = vdrv_ring_load32(r->device, __ATOMIC_SEQ_CST), flags = event >> 16;
    if (flags != RING_EVENT_FLAGS_DESC)
        return flags != RING_EVENT_FLAGS_DISABLE;
    uint32_t old = r->published_before, place = event & 0x7fff;
    uint32_t position = event & 1u << PVIRTQ_EVENT_WRAP_SHIFT ? place : place + r->size;
    return distance(r, old, position) < distance(r, old, r->published);
}

bool vdrv_ring_kick_wanted(const struct vdrv_ring *r)
{
    return r->packed ? packed_kick_wanted(r) : split_kick_wanted(r);
}

/* ---- from the device ---- */

static bool has_used(const struct vdrv_ring *r, int order)
{
    if (!r->packed)
        return vdrv_ring_load16(r->device + VIRTQ_USED_IDX, order) != (uint16_t)r->next_used;
    unsigned flags = vdrv_ring_load16(desc_at(r, r->next_used) + PVIRTQ_DESC_flags, order);
    return (flags & AVAIL_USED) == (vdrv_ring_wrap(r, r->next_used) ? AVAIL_USED : 0);
}

bool vdrv_ring_has_used(const struct vdrv_ring *r)
{
    return has_used(r, __ATOMIC_ACQUIRE);
}

bool vdrv_ring_peek(const struct vdrv_ring *r, uint32_t *id, uint32_t *len)
{
    if (!vdrv_ring_has_used(r))
        return false;
    if (r->packed) {
        const uint8_t *desc = desc_at(r, r->next_used);
        *id = vdrv_ring_load16(desc + PVIRTQ_DESC_id, __ATOMIC_RELAXED);
        *len = vdrv_ring_load32(desc + PVIRTQ_DESC_len, __ATOMIC_RELAXED);
    } else {
        size_t place = (uint16_t)r->next_used % r->size;
        const uint8_t *elem = r->device + VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * place;
        *id = vdrv_ring_load32(elem, __ATOMIC_RELAXED);
        *len = vdrv_ring_load32(elem + 4, __ATOMIC_RELAXED);
    }
    return true;
}

void vdrv_ring_pass(struct vdrv_ring *r, uint16_t id)
{
    r->next_used =
        r->packed ? advance(r, r->next_used, r->descs[id]) : (uint16_t)(r->next_used + 1);
}

void vdrv_ring_free(struct vdrv_ring *r, uint16_t id)
{
    uint16_t at = id;
    vdrv_ring_pass(r, id);
    for (unsigned n = r->packed ? 1 : r->descs[id]; n > 0; n--, at = r->next[at])
        id_put(r, at);
    r->free_descs += r->descs[id];
    r->in_flight -= r->descs[id] > 0;
    r->descs[id] = 0;
}

int vdrv_ring_used(struct vdrv_ring *r, uint32_t *len)
{
    uint32_t id;
    if (r->in_flight == 0 || !vdrv_ring_peek(r, &id, len))
        return -1;
    if (id >= r->size || r->descs[id] == 0)
        __builtin_trap(); /* not in flight */
    vdrv_ring_free(r, (uint16_t)id);
    return (int)id;
}

/* ---- interrupts ---- */

/* With EVENT_IDX a split ring has no "off": an index that lies behind is not passed for a whole
 * round of 65536. */
void vdrv_ring_irq_off(struct vdrv_ring *r)
{
    if (r->packed)
        vdrv_ring_store16(r->driver + PVIRTQ_EVENT_flags, RING_EVENT_FLAGS_DISABLE,
                          __ATOMIC_RELAXED);
    else if (r->event_idx)
        vdrv_ring_store16(r->driver + VIRTQ_AVAIL_USED_EVENT(r->size), r->next_used - 1,
                          __ATOMIC_RELAXED);
    else
        vdrv_ring_store16(r->driver + VIRTQ_AVAIL_FLAGS, VIRTQ_AVAIL_F_NO_INTERRUPT,
                          __ATOMIC_RELAXED);
}

bool vdrv_ring_irq_on(struct vdrv_ring *r, uint32_t skip)
{
    if (!r->packed && r->event_idx) {
        vdrv_ring_store16(r->driver + VIRTQ_AVAIL_USED_EVENT(r->size), r->next_used + skip,
                          __ATOMIC_SEQ_CST);
    } else if (!r->packed) {
        vdrv_ring_store16(r->driver + VIRTQ_AVAIL_FLAGS, 0, __ATOMIC_SEQ_CST);
    } else {
        uint32_t at = vdrv_ring_off_wrap(r, advance(r, r->next_used, skip));
        uint32_t event = r->event_idx ? at | (uint32_t)RING_EVENT_FLAGS_DESC << 16
                                      : (uint32_t)RING_EVENT_FLAGS_ENABLE << 16;
        vdrv_ring_store32(r->driver, event, __ATOMIC_SEQ_CST);
    }
    return !has_used(r, __ATOMIC_SEQ_CST);
}
