// SPDX-License-Identifier: BSD-2-Clause
#include "driver/ring.h"

#include "rt.h"
#include "virtio/spec.h"

_Static_assert(sizeof(((struct ring_memory *)0)->driver) == VIRTQ_AVAIL_BYTES(RING_SIZE_MAX) &&
                   sizeof(((struct ring_memory *)0)->device) == VIRTQ_USED_BYTES(RING_SIZE_MAX),
               "room for the largest ring");

unsigned ring_slots(const struct ring *r)
{
    unsigned slots = r->ring.size / (r->indirect ? 1 : r->parts);
    return slots < RING_SLOTS_MAX ? slots : RING_SLOTS_MAX;
}

void ring_init(struct ring *r, struct ring_memory *memory, uint32_t size, unsigned parts,
               uint64_t features)
{
    CHECK(size > 0 && size <= RING_SIZE_MAX && parts > 0 && parts <= RING_PARTS_MAX);
    *r = (struct ring){
        .ring = {.size = size,
                 .packed = (features & VIRTIO_BIT(VIRTIO_F_RING_PACKED)) != 0,
                 .event_idx = (features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)) != 0,
                 .desc = memory->descs,
                 .driver = memory->driver,
                 .device = memory->device,
                 .ids = memory->ids,
                 .next = memory->next,
                 .descs = memory->counts},
        .indirect = (features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)) != 0,
        .parts = parts,
        .memory = memory,
    };
    vdrv_ring_init(&r->ring);
    vdrv_ring_irq_off(&r->ring);
}

void ring_describe(struct ring *r, unsigned slot, const struct ring_part *parts)
{
    CHECK(slot < ring_slots(r));
    struct vdrv_buf *bufs = r->memory->slot_parts[slot];
    for (unsigned i = 0; i < r->parts; i++)
        bufs[i] = (struct vdrv_buf){(uintptr_t)parts[i].at, parts[i].bytes, parts[i].device_writes};
    if (r->indirect)
        vdrv_ring_table(r->ring.packed, r->memory->tables[slot], bufs, r->parts);
}

uint16_t ring_add(struct ring *r, unsigned slot)
{
    return ring_add_chain(r, slot,
                          &(struct vdrv_chain){
                              .bufs = r->memory->slot_parts[slot],
                              .count = r->parts,
                              .direct = r->indirect ? 0 : r->parts,
                              .table_gpa = (uintptr_t)r->memory->tables[slot],
                          });
}

uint16_t ring_add_chain(struct ring *r, unsigned slot, const struct vdrv_chain *chain)
{
    uint16_t id = vdrv_ring_add(&r->ring, chain);
    r->memory->slots[id] = (uint16_t)slot;
    return id;
}

bool ring_publish(struct ring *r)
{
    return vdrv_ring_publish(&r->ring) && vdrv_ring_kick_wanted(&r->ring);
}

int ring_take(struct ring *r, uint32_t *written)
{
    uint32_t ignored;
    int id = vdrv_ring_used(&r->ring, written != NULL ? written : &ignored);
    if (id < 0)
        return -1;
    if (r->ring.event_idx && !r->ring.packed)
        vdrv_ring_irq_off(&r->ring); /* of a later index */
    return r->memory->slots[id];
}
