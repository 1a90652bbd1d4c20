// SPDX-License-Identifier: BSD-2-Clause
/*
 * A virtqueue as the driver has it, split or packed (VIRTIO 1.4 2.7, 2.8), for a guest that polls:
 * it asks for no interrupts.
 *
 * Every request has a slot, a number below `slots`, whose buffers stay where they are. So its
 * descriptors are written once; only a packed ring takes them up anew each time.
 */
#ifndef MINIVET_BARE_METAL_RING_H
#define MINIVET_BARE_METAL_RING_H

#include <stdbool.h>
#include <stdint.h>

#define RING_SIZE_MAX  1024u
#define RING_SLOTS_MAX 256u
#define RING_PARTS_MAX 4u /* descriptors of a request */

struct ring_part {
    const void *at;
    uint32_t bytes;
    bool device_writes;
};

/* Room for the largest ring: static memory of the caller's. */
struct ring_memory {
    _Alignas(4096) uint8_t descs[RING_SIZE_MAX * 16];
    _Alignas(4096) uint8_t driver[6 + 2 * RING_SIZE_MAX];
    _Alignas(4096) uint8_t device[6 + 8 * RING_SIZE_MAX];
    _Alignas(4096) uint8_t tables[RING_SLOTS_MAX][RING_PARTS_MAX * 16];
    struct ring_part slot_parts[RING_SLOTS_MAX][RING_PARTS_MAX]; /* packed, not indirect */
};

struct ring {
    bool packed, indirect, event_idx;
    uint16_t size;
    unsigned parts; /* of each request */
    struct ring_memory *memory;

    uint16_t next;      /* split: the available index; packed: the place of the next descriptor */
    uint16_t published; /* `next` when the device was last told */
    uint16_t seen;      /* split: the used index; packed: the place looked at next */
    bool wrap, seen_wrap;
    uint16_t held_flags; /* packed: of the first descriptor of what is not published yet */
    uint16_t held_place;
    bool held;
};

/* For requests of that many parts. */
void ring_init(struct ring *r, struct ring_memory *memory, uint32_t size, unsigned parts,
               uint64_t features);

/* How many slots there may be. */
unsigned ring_slots(const struct ring *r);

void ring_describe(struct ring *r, unsigned slot, const struct ring_part *parts);

/* Adds the slot's request; the device sees it no sooner than ring_publish(). */
void ring_add(struct ring *r, unsigned slot);

/* Shows the device what was added; true if it wants to be told. */
bool ring_publish(struct ring *r);

/* The slot of a request that is done, or -1; `written` (or NULL): bytes, as the device says. */
int ring_take(struct ring *r, uint32_t *written);

#endif
