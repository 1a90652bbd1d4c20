// SPDX-License-Identifier: BSD-2-Clause
/*
 * The rings' arithmetic against models that count by one: all values of small rings and of one
 * operand, and those next to a power of two of the others.
 */
#include <errno.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/ring/vq_math.h"
#include "virtio_ring.h"

/* 0, 1, 2, 3, ... 65535: all indices next to a power of two. */
#define GRID (17 * 3)
static unsigned grid(uint16_t values[GRID])
{
    unsigned n = 0;
    for (unsigned bit = 0; bit <= 16; bit++)
        for (unsigned d = 0; d < 3; d++)
            values[n++] = (uint16_t)((1u << bit) + d - 1);
    return n;
}

Test(vq_math, split_places)
{
    for (uint32_t size = 1; size <= VIRTQ_MAX_SIZE; size *= 2)
        for (uint32_t i = 0; i <= UINT16_MAX; i++)
            cr_assert(split_place(size, (uint16_t)i) == i % size, "%u of %u", i, size);
}

/* From each index of the grid on: the first `size` steps are possible, and no others. */
Test(vq_math, split_indices_that_a_driver_can_be_at)
{
    uint16_t from[GRID];
    unsigned n = grid(from);
    for (uint32_t size = 1; size <= VIRTQ_MAX_SIZE; size *= 2)
        for (unsigned i = 0; i < n; i++) {
            uint16_t avail = from[i];
            for (uint32_t steps = 0; steps <= UINT16_MAX; steps++, avail++)
                cr_assert(split_index_possible(size, avail, from[i]) == (steps <= size),
                          "%u to %u of %u", from[i], avail, size);
        }
}

/* The index goes from old all the way round; the event is passed by the step away from it. */
Test(vq_math, split_events)
{
    uint16_t v[GRID];
    unsigned n = grid(v);
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < n; j++) {
            const uint16_t old = v[i], event = v[j];
            uint16_t now = old;
            bool passed = false;
            do {
                cr_assert(split_event_passed(event, now, old) == passed, "%u from %u to %u", event,
                          old, now);
                passed |= now == event;
            } while (++now != old);
        }
}

/* All events of eight bits against all pairs of indices within eight bits of the wrap. */
Test(vq_math, split_events_around_the_wrap)
{
    for (unsigned o = 0; o < 256; o++)
        for (unsigned e = 0; e < 256; e++) {
            const uint16_t old = (uint16_t)(o - 128), event = (uint16_t)(e - 128);
            bool passed = false;
            for (unsigned now = o; now < 256; now++) {
                cr_assert(split_event_passed(event, (uint16_t)(now - 128), old) == passed,
                          "%u from %u to %u", e, o, now);
                passed |= now == e;
            }
        }
}

/* ---- packed ---- */

/* A position as the specification has it: an offset, and a counter that flips at the end. */
struct spot {
    uint32_t place;
    bool wrap;
};

static struct spot step(struct spot s, uint32_t size)
{
    return s.place + 1 < size ? (struct spot){s.place + 1, s.wrap} : (struct spot){0, !s.wrap};
}

static bool same(struct spot s, uint32_t size, uint32_t position)
{
    return s.place == packed_place(size, position) && s.wrap == packed_wrap(size, position);
}

/* For each size of 1 to 48 every start and every number of steps, two laps of each. */
Test(vq_math, packed_positions)
{
    for (uint32_t size = 1; size <= 48; size++) {
        struct spot start = {0, true};
        for (uint32_t from = 0; from < 2 * size; from++, start = step(start, size)) {
            struct spot s = start;
            for (uint32_t by = 0; by <= 2 * size; by++, s = step(s, size))
                cr_assert(same(s, size, packed_ahead(size, from, by)), "%u + %u of %u", from, by,
                          size);
        }
    }
}

Test(vq_math, packed_positions_of_large_rings)
{
    static const uint32_t sizes[] = {255, 256, 257, 32766, 32767, 32768};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        const uint32_t size = sizes[i], from[] = {0, 1, size - 1, size, size + 1, 2 * size - 1};
        for (unsigned f = 0; f < ARRAY_SIZE(from); f++) {
            struct spot s = {from[f] % size, from[f] < size};
            for (uint32_t by = 0; by <= 2 * size; by++, s = step(s, size))
                cr_assert(same(s, size, packed_ahead(size, from[f], by)), "%u + %u of %u", from[f],
                          by, size);
        }
    }
}

/* All flags there are: VIRTIO 1.4 2.8.1. */
Test(vq_math, packed_availability)
{
    for (unsigned flags = 0; flags <= UINT16_MAX; flags++)
        for (unsigned wrap = 0; wrap < 2; wrap++) {
            bool avail = flags >> 7 & 1, used = flags >> 15 & 1;
            cr_assert(packed_is_available((uint16_t)flags, wrap) == (avail == wrap && used != wrap),
                      "%x lap %u", flags, wrap);
        }
}

/* Of a driver that asks for a place: its step is among those from old up to now. */
static void check_events(uint32_t size, uint32_t old, uint32_t place, unsigned wrap)
{
    const uint32_t event = (uint32_t)RING_EVENT_FLAGS_DESC << 16 | wrap << 15 | place;
    struct spot s = {packed_place(size, old), packed_wrap(size, old)};
    bool passed = place >= size; /* no place at all: always */
    for (uint32_t by = 0; by < 2 * size; by++, s = step(s, size)) {
        uint32_t now = (old + by) % (2 * size);
        cr_assert(packed_wants_interrupt(size, true, event, old, now) == passed,
                  "place %u lap %u of %u, from %u to %u", place, wrap, size, old, now);
        cr_assert(packed_wants_interrupt(size, false, event, old, now));
        passed |= s.place == place && s.wrap == wrap;
    }
}

Test(vq_math, packed_events)
{
    for (uint32_t size = 1; size <= 32; size++)
        for (uint32_t old = 0; old < 2 * size; old++)
            for (uint32_t place = 0; place < size + 2; place++)
                for (unsigned wrap = 0; wrap < 2; wrap++)
                    check_events(size, old, place, wrap);
}

Test(vq_math, packed_events_of_large_rings)
{
    static const uint32_t sizes[] = {256, 32767, 32768};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        const uint32_t size = sizes[i], old[] = {0, 1, size - 1, size, size + 1, 2 * size - 1};
        const uint32_t place[] = {0, 1, size / 2, size - 2, size - 1, size, 0x7fff};
        for (unsigned o = 0; o < ARRAY_SIZE(old); o++)
            for (unsigned p = 0; p < ARRAY_SIZE(place); p++)
                for (unsigned wrap = 0; wrap < 2; wrap++)
                    if (place[p] <= 0x7fff)
                        check_events(size, old[o], place[p], wrap);
    }
}

/* All 16 bits of the flags field with every offset: two bits count, the others are reserved. */
Test(vq_math, packed_event_flags)
{
    for (uint32_t flags = 0; flags <= UINT16_MAX; flags++)
        for (uint32_t place = 0; place < 4; place++)
            for (unsigned by_place = 0; by_place < 2; by_place++) {
                /* From 1 to 3 of the first lap of a ring of four. */
                uint32_t event = flags << 16 | 1u << 15 | place;
                bool among = place == 1 || place == 2;
                bool expected = (flags & 3) != 1 && ((flags & 3) != 2 || !by_place || among);
                cr_assert(packed_wants_interrupt(4, by_place, event, 1, 3) == expected,
                          "flags %x place %u", flags, place);
            }
}

/* ---- through the queue ---- */

/* Every available index that a driver can write, against a device anywhere in its ring. */
Test(vq_math, split_queue_at_every_available_index)
{
    static const uint32_t sizes[] = {1, 2, 16, 256};
    for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++) {
        const uint32_t size = sizes[s];
        const uint16_t at[] = {0, 1, (uint16_t)size, 0x7fff, 0x8000, 0xffff};
        struct ring r;
        ring_open(&r, size, RING_FEATURES);
        for (unsigned a = 0; a < ARRAY_SIZE(at); a++)
            for (uint32_t steps = 0; steps <= UINT16_MAX; steps++) {
                uint16_t idx = (uint16_t)(at[a] + steps);
                struct vq_chain *chain = NULL;
                le16_put(r.q->avail + VIRTQ_AVAIL_IDX, idx);
                r.vq.split.next_avail = r.vq.split.avail_seen = at[a];
                r.vq.broken = false;
                int expected = steps == 0 ? 0 : steps <= size ? 1 : -EPROTO;
                cr_assert(vq_pop(&r.vq, &chain) == expected, "%u to %u of %u", at[a], idx, size);
                if (expected == 1)
                    vq_push(&r.vq, chain);
            }
        ring_close(&r);
    }
}

/* Every flags field that a driver can write, at the places where the laps change. */
Test(vq_math, packed_queue_at_every_flags)
{
    enum { SIZE = 5 };
    static const unsigned at[] = {0, SIZE - 1, SIZE, 2 * SIZE - 1};
    struct ring r;
    ring_open(&r, SIZE, RING_FEATURES | VIRTIO_BIT(VIRTIO_F_RING_PACKED));
    for (unsigned a = 0; a < ARRAY_SIZE(at); a++)
        for (uint32_t flags = 0; flags <= UINT16_MAX; flags++) {
            struct vq_chain *chain = NULL;
            bool wrap = at[a] < SIZE;
            bool there = (flags >> 7 & 1) == wrap && (flags >> 15 & 1) != wrap;
            /* The next one is used; and address 0, length 0 is no indirect table. */
            bool bad = flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT);
            for (unsigned i = 0; i < SIZE; i++)
                vdrv_pdesc_put(r.q, i, 0, 0, 0, wrap ? 0x8080 : 0);
            vdrv_pdesc_put(r.q, at[a] % SIZE, 0, 0, 0, (uint16_t)flags);
            r.vq.packed.next_avail = at[a];
            r.vq.broken = false;
            int expected = !there ? 0 : bad ? -EPROTO : 1;
            int got = vq_pop(&r.vq, &chain);
            cr_assert(got == expected, "flags %x at %u: %d", flags, at[a], got);
            if (got == 1)
                vq_push(&r.vq, chain);
        }
    ring_close(&r);
}
