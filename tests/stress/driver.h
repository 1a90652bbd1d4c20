// SPDX-License-Identifier: BSD-2-Clause
/*
 * The driver's half of a ring, written for speed and for two threads: it has the barriers that the
 * specification asks of a driver and no others, takes back everything it gives out, and allocates
 * nothing while it runs. tests/harness/vdrv.h is the one for everything else.
 *
 * One thread at a time; the device's half may run in another.
 */
#ifndef MINIVET_TESTS_STRESS_DRIVER_H
#define MINIVET_TESTS_STRESS_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#define DRV_MAX_SIZE  1024u /* of a ring */
#define DRV_MAX_DESCS 8u    /* in a chain */

struct drv_buf {
    uint64_t gpa;
    uint32_t len;
    bool write; /* for the device to write */
};

/* The first `direct` buffers get descriptors of the ring, the others are in a table behind them. */
struct drv_chain {
    struct drv_buf bufs[DRV_MAX_DESCS];
    unsigned count, direct;
    uint64_t table_gpa; /* of the table, and */
    uint8_t *table;     /* the same place */
};

struct drv_config {
    uint32_t size;
    bool packed, event_idx, in_order;
    uint8_t *desc, *driver, *device; /* the ring's areas, zeroed */
};

struct drv {
    struct drv_config cfg;
    uint32_t free_descs;
    uint32_t in_flight; /* chains */
    uint32_t ids_at, ids_end;
    uint16_t ids[DRV_MAX_SIZE];   /* free: descriptors, or buffer ids */
    uint16_t next[DRV_MAX_SIZE];  /* split: of descriptors in flight */
    uint16_t descs[DRV_MAX_SIZE]; /* of a chain in flight, by id; 0: none is */

    /* Split: indices. Packed: positions below twice the size, of which the upper half is the
     * laps with wrap counter 0. */
    uint32_t next_avail, next_used, published;
    uint16_t held_flags; /* packed: of the descriptor at `published`, for drv_publish() */
};

void drv_init(struct drv *d, const struct drv_config *config);

/* What the next drv_add() will return: its buffers may be placed by that. */
unsigned drv_next_id(const struct drv *d);
/* Whether there is room for a chain of that many descriptors of the ring. */
bool drv_has_room(const struct drv *d, unsigned descs);
unsigned drv_add(struct drv *d, const struct drv_chain *chain);

/* Shows the device all that was added. Returns whether it wants a kick for that. */
bool drv_publish(struct drv *d);

/* The id of the next chain that came back, and what the device says it wrote; -1: none. */
int drv_used(struct drv *d, uint32_t *len);
bool drv_has_used(const struct drv *d);

/* No interrupts. */
void drv_irq_off(struct drv *d);
/*
 * An interrupt when more than `skip` have come back: chains (split) or descriptors (packed), and
 * fewer than are in flight. Returns false if some came back before the device could know.
 */
bool drv_irq_on(struct drv *d, uint32_t skip);

/* Descriptors, or for a split ring chains, that the device has: the limit of `skip`. */
uint32_t drv_outstanding(const struct drv *d);

#endif
