// SPDX-License-Identifier: BSD-2-Clause
/*
 * The driver's half of a virtqueue, split or packed (VIRTIO 1.4 2.7, 2.8), with the barriers that
 * the specification asks of a driver and no others. It takes back everything it gives out,
 * allocates nothing and needs no libc, so that tests, benchmarks and bare-metal guests share it.
 * vdrv.h is a whole driver on top of it.
 *
 * One thread at a time; the device's half may run in another.
 */
#ifndef MINIVET_TESTS_HARNESS_VDRV_RING_H
#define MINIVET_TESTS_HARNESS_VDRV_RING_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>

struct vdrv_buf {
    uint64_t gpa;
    uint32_t len;
    bool write; /* for the device to write */
};

/* The first `direct` buffers get descriptors of the ring, the others are in an indirect table. */
struct vdrv_chain {
    const struct vdrv_buf *bufs;
    unsigned count, direct;
    uint64_t table_gpa;
    uint8_t *table; /* the same place; NULL: the table is filled already */
};

struct vdrv_ring {
    /* For vdrv_ring_init(). */
    uint32_t size;
    bool packed, event_idx;
    bool latest_first;               /* mix descriptors; IN_ORDER forbids it */
    uint8_t *desc, *driver, *device; /* the areas, zeroed */
    uint16_t *ids;                   /* arrays of `size`: free descriptors (split), buffer ids */
    uint16_t *next;                  /* within a chain in flight; a split ring's alone */
    uint16_t *descs;                 /* of a chain in flight, by head or id; 0: none is */

    uint32_t free_descs, in_flight; /* descriptors; chains */
    uint32_t ids_at, ids_end;

    /* Split: indices of 16 bits. Packed: positions below twice the size, of which the upper half is
     * the laps with wrap counter 0. */
    uint32_t next_avail, next_used, published, published_before;
    uint16_t held_flags; /* packed: of the descriptor at `published`, for vdrv_ring_publish() */
};

void vdrv_ring_init(struct vdrv_ring *r);

/* What the next vdrv_ring_add() will return: its buffers may be placed by that. */
uint16_t vdrv_ring_next_id(const struct vdrv_ring *r);
/* Fills descriptors, for which there must be room, and a ring entry: the head, or the buffer id. */
uint16_t vdrv_ring_add(struct vdrv_ring *r, const struct vdrv_chain *chain);
/* An entry that names this head, whatever it is. */
void vdrv_ring_avail_put(struct vdrv_ring *r, uint16_t head);
void vdrv_ring_table(bool packed, uint8_t *table, const struct vdrv_buf *bufs, unsigned count);

/* Shows the device all that was added; false if that is nothing. */
bool vdrv_ring_publish(struct vdrv_ring *r);
/* Does the device want a kick for what the last vdrv_ring_publish() showed? */
bool vdrv_ring_kick_wanted(const struct vdrv_ring *r);

bool vdrv_ring_has_used(const struct vdrv_ring *r);
/* The next used element; false: there is none. */
bool vdrv_ring_peek(const struct vdrv_ring *r, uint32_t *id, uint32_t *len);
/* Goes on behind the used chain `id`; frees its descriptors, too. */
void vdrv_ring_pass(struct vdrv_ring *r, uint16_t id);
void vdrv_ring_free(struct vdrv_ring *r, uint16_t id);
/* All of it: the id of the next chain that came back, and what the device says it wrote; -1: none.
 */
int vdrv_ring_used(struct vdrv_ring *r, uint32_t *len);

void vdrv_ring_irq_off(struct vdrv_ring *r);
/*
 * An interrupt when more than `skip` have come back: chains (split) or descriptors (packed), and
 * fewer than are in flight. Returns false if some came back before the device could know.
 */
bool vdrv_ring_irq_on(struct vdrv_ring *r, uint32_t skip);

/* A descriptor but for its last halfword, a split ring's `next` and a packed ring's flags. */
void vdrv_desc_fill(uint8_t *at, uint64_t addr, uint32_t len, unsigned flags_or_id);
/* A packed ring's offset and wrap counter in one, as events and notifications have them. */
uint16_t vdrv_ring_off_wrap(const struct vdrv_ring *r, uint32_t position);

/* ---- a packed ring's positions: place and wrap counter ---- */

static inline bool vdrv_ring_wrap(const struct vdrv_ring *r, uint32_t position)
{
    return position < r->size;
}

static inline uint32_t vdrv_ring_place(const struct vdrv_ring *r, uint32_t position)
{
    return position < r->size ? position : position - r->size;
}

/* ---- what both sides touch at the same time ---- */

static inline uint16_t vdrv_ring_load16(const uint8_t *at, int order)
{
    return le16toh(__atomic_load_n((const uint16_t *)(const void *)at, order));
}

static inline uint32_t vdrv_ring_load32(const uint8_t *at, int order)
{
    return le32toh(__atomic_load_n((const uint32_t *)(const void *)at, order));
}

static inline void vdrv_ring_store16(uint8_t *at, unsigned value, int order)
{
    __atomic_store_n((uint16_t *)(void *)at, htole16((uint16_t)value), order);
}

static inline void vdrv_ring_store32(uint8_t *at, uint32_t value, int order)
{
    __atomic_store_n((uint32_t *)(void *)at, htole32(value), order);
}

#endif
