// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arithmetic of the rings, without the rings: pure functions of numbers, which the tests check for
 * all values there are.
 */
#ifndef MINIVET_VIRTIO_VQ_MATH_H
#define MINIVET_VIRTIO_VQ_MATH_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/ring/ring_spec.h"

/* ---- split: an index runs freely modulo 65536 ---- */

/* The place of an index in a ring whose size is a power of two. */
static inline uint32_t split_place(uint32_t size, uint16_t index)
{
    return index & (size - 1);
}

/* Can a driver be at index `avail` when the device is at `next`? At most the size is between. */
static inline bool split_index_possible(uint32_t size, uint16_t avail, uint16_t next)
{
    return (uint16_t)(avail - next) <= size;
}

/* VIRTIO 1.4 2.7.7.2. Was the index `event` passed on the way from old to now? */
static inline bool split_event_passed(uint16_t event, uint16_t now, uint16_t old)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

/* ---- packed: a position counts to twice the size, see vq_packed.c ---- */

#define PACKED_AVAIL_USED (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

static inline bool packed_wrap(uint32_t size, uint32_t position)
{
    return position < size;
}

static inline uint32_t packed_place(uint32_t size, uint32_t position)
{
    return packed_wrap(size, position) ? position : position - size;
}

/* The position that is `by`, at most twice the size, further on. */
static inline uint32_t packed_ahead(uint32_t size, uint32_t position, uint32_t by)
{
    position += by;
    return position < 2 * size ? position : position - 2 * size;
}

/* The driver has flipped AVAIL to its wrap counter, and USED is what it was: the opposite. */
static inline bool packed_is_available(uint16_t flags, bool wrap)
{
    return (flags & PACKED_AVAIL_USED) == (wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED);
}

/*
 * VIRTIO 1.4 2.8.10: does the driver, whose event suppression is `event`, want to hear of the
 * positions from old up to now? by_place: EVENT_IDX was negotiated.
 */
static inline bool packed_wants_interrupt(uint32_t size, bool by_place, uint32_t event,
                                          uint32_t old, uint32_t now)
{
    uint32_t flags = event >> 16 & 3;
    if (flags == RING_EVENT_FLAGS_DISABLE)
        return false;
    if (flags != RING_EVENT_FLAGS_DESC || !by_place)
        return true;
    uint32_t place = event & ((1u << PVIRTQ_EVENT_WRAP_SHIFT) - 1);
    if (place >= size) /* nowhere: better too many than none */
        return true;
    uint32_t position = event >> PVIRTQ_EVENT_WRAP_SHIFT & 1 ? place : place + size;
    return packed_ahead(size, position, 2 * size - old) < packed_ahead(size, now, 2 * size - old);
}

#endif
