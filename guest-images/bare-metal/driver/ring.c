// SPDX-License-Identifier: BSD-2-Clause
#include "driver/ring.h"

#include "rt.h"
#include "virtio/spec.h"

/* virtq_desc and pvirtq_desc have a length and two halfwords behind the address. */
struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags_or_id, next_or_flags;
};

_Static_assert(sizeof(struct desc) == VIRTQ_DESC_BYTES, "one size for both rings");

_Static_assert(sizeof(((struct ring_memory *)0)->driver) == VIRTQ_AVAIL_BYTES(RING_SIZE_MAX) &&
                   sizeof(((struct ring_memory *)0)->device) == VIRTQ_USED_BYTES(RING_SIZE_MAX),
               "room for the largest ring");

static struct desc *descs_of(const struct ring *r)
{
    return (struct desc *)(void *)r->memory->descs;
}

static struct desc *table_of(const struct ring *r, unsigned slot)
{
    return (struct desc *)(void *)r->memory->tables[slot];
}

static volatile uint16_t *at16(void *area, unsigned offset)
{
    return (volatile uint16_t *)((uint8_t *)area + offset);
}

static volatile uint32_t *at32(void *area, unsigned offset)
{
    return (volatile uint32_t *)((uint8_t *)area + offset);
}

/* x86 keeps loads in order, and stores; only a store before a load needs help. */
static void compiler_barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

static void store_before_load(void)
{
    __asm__ volatile("mfence" : : : "memory");
}

/* VIRTIO 1.4 2.7.10: has the index `event` been passed on the way from `old` to `new`? */
static bool passed(uint16_t event, uint16_t new, uint16_t old)
{
    return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static unsigned descs_per_slot(const struct ring *r)
{
    return r->indirect ? 1 : r->parts;
}

unsigned ring_slots(const struct ring *r)
{
    unsigned slots = r->size / descs_per_slot(r);
    return slots < RING_SLOTS_MAX ? slots : RING_SLOTS_MAX;
}

/* An index as far ahead as can be. */
static void want_no_interrupt(struct ring *r)
{
    if (r->event_idx && !r->packed)
        *at16(r->memory->driver, VIRTQ_AVAIL_USED_EVENT(r->size)) = (uint16_t)(r->seen + 0x8000);
}

void ring_init(struct ring *r, struct ring_memory *memory, uint32_t size, unsigned parts,
               uint64_t features)
{
    CHECK(size > 0 && size <= RING_SIZE_MAX && parts > 0 && parts <= RING_PARTS_MAX);
    *r = (struct ring){
        .packed = (features & VIRTIO_BIT(VIRTIO_F_RING_PACKED)) != 0,
        .indirect = (features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)) != 0,
        .event_idx = (features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)) != 0,
        .size = (uint16_t)size,
        .parts = parts,
        .memory = memory,
        .wrap = true,
        .seen_wrap = true,
    };
    if (r->packed)
        *at16(r->memory->driver, PVIRTQ_EVENT_flags) = RING_EVENT_FLAGS_DISABLE;
    else if (!r->event_idx) /* VIRTIO 1.4 2.7.7.1: 0 with it */
        *at16(r->memory->driver, VIRTQ_AVAIL_FLAGS) = VIRTQ_AVAIL_F_NO_INTERRUPT;
    want_no_interrupt(r);
}

/* ---- what a slot's request consists of ---- */

static void split_describe(const struct ring *r, struct desc *d, unsigned first,
                           const struct ring_part *parts)
{
    for (unsigned i = 0; i < r->parts; i++) {
        bool last = i + 1 == r->parts;
        d[i] = (struct desc){
            .addr = (uintptr_t)parts[i].at,
            .len = parts[i].bytes,
            .flags_or_id = (uint16_t)((parts[i].device_writes ? VIRTQ_DESC_F_WRITE : 0) |
                                      (last ? 0 : VIRTQ_DESC_F_NEXT)),
            .next_or_flags = (uint16_t)(last ? 0 : first + i + 1),
        };
    }
}

/* A packed ring's indirect descriptors have neither an id nor an order but their own (2.8.7). */
static void packed_describe(const struct ring *r, struct desc *d, const struct ring_part *parts)
{
    for (unsigned i = 0; i < r->parts; i++)
        d[i] = (struct desc){.addr = (uintptr_t)parts[i].at,
                             .len = parts[i].bytes,
                             .next_or_flags = parts[i].device_writes ? VIRTQ_DESC_F_WRITE : 0};
}

void ring_describe(struct ring *r, unsigned slot, const struct ring_part *parts)
{
    CHECK(slot < ring_slots(r));
    if (r->packed && !r->indirect) {
        for (unsigned i = 0; i < r->parts; i++)
            r->memory->slot_parts[slot][i] = parts[i];
    } else if (r->packed) {
        packed_describe(r, table_of(r, slot), parts);
    } else if (r->indirect) {
        split_describe(r, table_of(r, slot), 0, parts);
        descs_of(r)[slot] = (struct desc){.addr = (uintptr_t)table_of(r, slot),
                                          .len = r->parts * VIRTQ_DESC_BYTES,
                                          .flags_or_id = VIRTQ_DESC_F_INDIRECT};
    } else {
        split_describe(r, descs_of(r) + slot * r->parts, slot * r->parts, parts);
    }
}

/* ---- to the device ---- */

static void split_add(struct ring *r, unsigned slot)
{
    unsigned place = VIRTQ_AVAIL_RING + 2u * (r->next % r->size);
    *at16(r->memory->driver, place) = (uint16_t)(slot * descs_per_slot(r));
    r->next++;
}

/* The first descriptor of all that is added keeps its old flags until the rest is there. */
static void packed_put(struct ring *r, const struct ring_part *part, unsigned slot, uint16_t flags)
{
    struct desc *d = &descs_of(r)[r->next];
    flags |= r->wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
    d->addr = (uintptr_t)part->at;
    d->len = part->bytes;
    d->flags_or_id = (uint16_t)slot;
    if (r->held) {
        compiler_barrier();
        *(volatile uint16_t *)&d->next_or_flags = flags;
    } else {
        r->held = true;
        r->held_place = r->next;
        r->held_flags = flags;
    }
    if (++r->next == r->size) {
        r->next = 0;
        r->wrap = !r->wrap;
    }
}

static void packed_add(struct ring *r, unsigned slot)
{
    if (r->indirect) {
        struct ring_part table = {.at = table_of(r, slot), .bytes = r->parts * VIRTQ_DESC_BYTES};
        packed_put(r, &table, slot, VIRTQ_DESC_F_INDIRECT);
        return;
    }
    for (unsigned i = 0; i < r->parts; i++) {
        const struct ring_part *part = &r->memory->slot_parts[slot][i];
        unsigned flags = (part->device_writes ? VIRTQ_DESC_F_WRITE : 0) |
                         (i + 1 < r->parts ? VIRTQ_DESC_F_NEXT : 0);
        packed_put(r, part, slot, (uint16_t)flags);
    }
}

void ring_add(struct ring *r, unsigned slot)
{
    if (r->packed)
        packed_add(r, slot);
    else
        split_add(r, slot);
}

static bool split_publish(struct ring *r)
{
    uint16_t old = r->published;
    compiler_barrier(); /* ring entries before the index */
    *at16(r->memory->driver, VIRTQ_AVAIL_IDX) = r->next;
    r->published = r->next;
    store_before_load(); /* the index before the device's wish; the device does the reverse */
    if (r->event_idx)
        return passed(*at16(r->memory->device, VIRTQ_USED_AVAIL_EVENT(r->size)), r->next, old);
    return (*at16(r->memory->device, VIRTQ_USED_FLAGS) & VIRTQ_USED_F_NO_NOTIFY) == 0;
}

static bool packed_publish(struct ring *r)
{
    uint16_t old = r->published;
    if (!r->held)
        return false;
    compiler_barrier(); /* all the others before the first */
    *(volatile uint16_t *)&descs_of(r)[r->held_place].next_or_flags = r->held_flags;
    r->held = false;
    r->published = r->next;
    store_before_load();
    uint32_t event = *at32(r->memory->device, PVIRTQ_EVENT_desc);
    uint16_t flags = (uint16_t)(event >> 16);
    if (flags != RING_EVENT_FLAGS_DESC)
        return flags == RING_EVENT_FLAGS_ENABLE;
    unsigned place = event & 0x7fff;
    bool wrap = (event >> PVIRTQ_EVENT_WRAP_SHIFT & 1) != 0;
    if (wrap != r->wrap) /* of the round before */
        place -= r->size;
    if (old >= r->next) /* equal: a whole round */
        old = (uint16_t)(old - r->size);
    return passed((uint16_t)place, r->next, old);
}

bool ring_publish(struct ring *r)
{
    return r->packed ? packed_publish(r) : split_publish(r);
}

/* ---- from the device ---- */

static int split_take(struct ring *r, uint32_t *written)
{
    if (*at16(r->memory->device, VIRTQ_USED_IDX) == r->seen)
        return -1;
    compiler_barrier(); /* the index before the entry */
    unsigned place = VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * (r->seen % r->size);
    uint32_t head = *at32(r->memory->device, place);
    *written = *at32(r->memory->device, place + 4);
    r->seen++;
    want_no_interrupt(r);
    return (int)(head / descs_per_slot(r));
}

static int packed_take(struct ring *r, uint32_t *written)
{
    uint16_t flags = *(volatile uint16_t *)&descs_of(r)[r->seen].next_or_flags;
    bool avail = (flags & VIRTQ_DESC_F_AVAIL) != 0, used = (flags & VIRTQ_DESC_F_USED) != 0;
    if (avail != used || used != r->seen_wrap)
        return -1;
    compiler_barrier(); /* the flags before the rest */
    int slot = descs_of(r)[r->seen].flags_or_id;
    *written = descs_of(r)[r->seen].len;
    r->seen = (uint16_t)(r->seen + descs_per_slot(r));
    if (r->seen >= r->size) {
        r->seen = (uint16_t)(r->seen - r->size);
        r->seen_wrap = !r->seen_wrap;
    }
    return slot;
}

int ring_take(struct ring *r, uint32_t *written)
{
    uint32_t ignored;
    if (written == NULL)
        written = &ignored;
    int slot = r->packed ? packed_take(r, written) : split_take(r, written);
    CHECK(slot < (int)ring_slots(r));
    return slot;
}
