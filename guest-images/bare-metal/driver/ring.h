// SPDX-License-Identifier: BSD-2-Clause
/*
 * A virtqueue for a guest that polls: it asks for no interrupts. tests/harness/vdrv_ring.h, which
 * unit tests have as well, drives the ring.
 *
 * Every request has a slot, a number below `slots`, whose buffers stay where they are, so that its
 * indirect table is written once.
 */
#ifndef MINIVET_BARE_METAL_RING_H
#define MINIVET_BARE_METAL_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/harness/vdrv_ring.h"

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
    struct vdrv_buf slot_parts[RING_SLOTS_MAX][RING_PARTS_MAX];
    uint16_t ids[RING_SIZE_MAX], next[RING_SIZE_MAX], counts[RING_SIZE_MAX];
    uint16_t slots[RING_SIZE_MAX]; /* of requests in flight, by id */
};

struct ring {
    struct vdrv_ring ring;
    bool indirect;
    unsigned parts; /* of each request */
    struct ring_memory *memory;
};

/* For requests of that many parts. */
void ring_init(struct ring *r, struct ring_memory *memory, uint32_t size, unsigned parts,
               uint64_t features);

/* How many slots there may be. */
unsigned ring_slots(const struct ring *r);

void ring_describe(struct ring *r, unsigned slot, const struct ring_part *parts);

/* Adds the slot's request, which the device sees no sooner than ring_publish(). Its id. */
uint16_t ring_add(struct ring *r, unsigned slot);

/* The same of a chain that ring_describe() does not know. */
uint16_t ring_add_chain(struct ring *r, unsigned slot, const struct vdrv_chain *chain);

/* Shows the device what was added; true if it wants to be told. */
bool ring_publish(struct ring *r);

/* The slot of a request that is done, or -1; `written` (or NULL): bytes, as the device says. */
int ring_take(struct ring *r, uint32_t *written);

#endif
