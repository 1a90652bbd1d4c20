// SPDX-License-Identifier: BSD-2-Clause
/*
 * Between the files of the driver: for them alone.
 */
#ifndef MINIVET_TESTS_HARNESS_VDRV_IMPL_H
#define MINIVET_TESTS_HARNESS_VDRV_IMPL_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/harness/vdrv.h"

/* Everything but the transport. */
void vdrv_init_memory(struct vdrv *d, const struct gmem *gmem, struct bus *bus);

/* A queue's arrays; what they were before is freed. */
void vdrv_queue_init(struct vdrv_queue *q, struct vdrv *d, unsigned index, uint32_t size);
void vdrv_queue_fini(struct vdrv_queue *q);

/* Descriptors (split) or buffer ids (packed) that are free, in the order in which they came. */
uint16_t vdrv_free_take(struct vdrv_queue *q);
void vdrv_free_put(struct vdrv_queue *q, uint16_t what);

/* Notes a chain that goes to the device. */
void vdrv_in_flight(struct vdrv_queue *q, uint16_t head, unsigned descs,
                    const struct vdrv_buf *bufs, unsigned count);

/* ---- a ring format: the contracts are those of the vdrv_ functions ---- */
struct vdrv_ring {
    int (*add)(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count);
    int (*add_indirect)(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count);
    void (*publish)(struct vdrv_queue *q);
    bool (*kick_wanted)(struct vdrv_queue *q);
    /* Is there a used element at the driver's place? Then what it says. */
    bool (*peek)(struct vdrv_queue *q, uint32_t *head, uint32_t *len);
    /* Moves the driver's place behind the chain; and frees its descriptors. */
    void (*pass)(struct vdrv_queue *q, uint16_t head);
    void (*free)(struct vdrv_queue *q, uint16_t head);
    void (*irq_off)(struct vdrv_queue *q);
    void (*irq_on)(struct vdrv_queue *q);
    uint16_t (*next_off)(const struct vdrv_queue *q); /* bits 16 to 31 of NOTIFICATION_DATA */
};

extern const struct vdrv_ring vdrv_split_ring, vdrv_packed_ring;

/* One look later: see struct vdrv. */
static inline void vdrv_wait(struct vdrv *d)
{
    if (d->wait != NULL)
        d->wait(d->wait_ctx);
}

/* ---- what guest and device touch at the same time ---- */

static inline uint16_t vdrv_load16(const uint8_t *at)
{
    return le16toh(__atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_SEQ_CST));
}

static inline void vdrv_store16(uint8_t *at, uint16_t value)
{
    __atomic_store_n((uint16_t *)(void *)at, htole16(value), __ATOMIC_SEQ_CST);
}

static inline uint32_t vdrv_load32(const uint8_t *at)
{
    return le32toh(__atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_RELAXED));
}

/* Was the place `event` passed on the way from old to now? VIRTIO 1.4 2.7.7.2. */
static inline bool vdrv_event_passed(uint16_t event, uint16_t now, uint16_t old)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

#endif
