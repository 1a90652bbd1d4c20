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

extern const struct vdrv_transport vdrv_pci_modern, vdrv_pci_legacy;

void vdrv_ready_to_start(struct vdrv *d); /* between FEATURES_OK and the queues */
void vdrv_find_notify(struct vdrv *d, struct vdrv_queue *q);
void vdrv_write_queue(struct vdrv *d, const struct vdrv_queue *q);
bool vdrv_reset_queue(struct vdrv *d, uint32_t queue);
bool vdrv_pci_shm(struct vdrv *d, uint8_t id, uint64_t *gpa, uint64_t *bytes);

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
