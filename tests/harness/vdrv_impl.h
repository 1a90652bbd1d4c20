// SPDX-License-Identifier: BSD-2-Clause
/*
 * Between the files of the driver: for them alone.
 */
#ifndef MINIVET_TESTS_HARNESS_VDRV_IMPL_H
#define MINIVET_TESTS_HARNESS_VDRV_IMPL_H

#include <stddef.h>
#include <stdint.h>

#include "tests/harness/vdrv.h"

/* Everything but the transport. */
void vdrv_init_memory(struct vdrv *d, const struct gmem *gmem, struct bus *bus);

/* A queue's arrays; what they were before is freed. */
void vdrv_queue_init(struct vdrv_queue *q, struct vdrv *d, unsigned index, uint32_t size);
void vdrv_queue_fini(struct vdrv_queue *q);

/* One look later: see struct vdrv. */
static inline void vdrv_wait(struct vdrv *d)
{
    if (d->wait != NULL)
        d->wait(d->wait_ctx);
}

/* ---- what guest and device touch at the same time ---- */

static inline uint16_t vdrv_load16(const uint8_t *at)
{
    return vdrv_ring_load16(at, __ATOMIC_SEQ_CST);
}

static inline void vdrv_store16(uint8_t *at, uint16_t value)
{
    vdrv_ring_store16(at, value, __ATOMIC_SEQ_CST);
}

static inline uint32_t vdrv_load32(const uint8_t *at)
{
    return vdrv_ring_load32(at, __ATOMIC_RELAXED);
}

#endif
