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
#define RING_PARTS     3u /* descriptors of a request */

struct ring_part {
    const void *at;
    uint32_t bytes;
    bool device_writes;
};

struct ring {
    bool packed, indirect, event_idx;
    uint16_t size;
    void *descs, *driver, *device; /* the three areas */

    uint16_t next;      /* split: the available index; packed: the place of the next descriptor */
    uint16_t published; /* `next` when the device was last told */
    uint16_t seen;      /* split: the used index; packed: the place looked at next */
    bool wrap, seen_wrap;
    uint16_t held_flags; /* packed: of the first descriptor of what is not published yet */
    uint16_t held_place;
    bool held;
};

/* There is one ring: its memory is static. */
void ring_init(struct ring *r, uint16_t size, uint64_t features);

/* How many slots there may be. */
unsigned ring_slots(const struct ring *r);

void ring_describe(struct ring *r, unsigned slot, const struct ring_part parts[RING_PARTS]);

/* Adds the slot's request; the device sees it no sooner than ring_publish(). */
void ring_add(struct ring *r, unsigned slot);

/* Shows the device what was added; true if it wants to be told. */
bool ring_publish(struct ring *r);

/* The slot of a request that is done, or -1. */
int ring_take(struct ring *r);

#endif
