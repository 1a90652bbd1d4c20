// SPDX-License-Identifier: BSD-2-Clause
/*
 * Between the files of the virtio-mmio transport, for them alone:
 *
 *   mmio.c           the window, what both versions have, life
 *   mmio_queues.c    the selected queue: registers of version 2
 *   mmio_legacy.c    the same of version 1
 */
#ifndef MINIVET_VIRTIO_MMIO_IMPL_H
#define MINIVET_VIRTIO_MMIO_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ports/bus.h"
#include "virtio/base/device.h"
#include "virtio/transport/mmio.h"

struct virtio_mmio {
    struct virtio_mmio_config cfg;
    struct virtio_device *dev;
    struct bus_region region;
    struct bus_region *shm; /* a region on the bus for each of the device's */
    unsigned shm_count;
    _Atomic uint32_t isr;
    _Atomic uint32_t queue_sel; /* written under the lock */

    pthread_mutex_t lock; /* over all below, and the [registers] side of the device */
    uint32_t device_features_sel, driver_features_sel, shm_sel;
    uint64_t bound; /* queues whose doorbell is bound, by bit */

    uint32_t page_bytes;               /* legacy: GuestPageSize, which a reset leaves */
    uint32_t align[VIRTIO_QUEUES_MAX]; /* legacy: QueueAlign */
    uint32_t pfn[VIRTIO_QUEUES_MAX];   /* legacy: QueuePFN */
};

/* All under the lock. Doorbells ring for the queues that run: after whatever starts one, and
 * before a queue stops. */
void virtio_mmio_bells_bind(struct virtio_mmio *m);
void virtio_mmio_bell_unbind(struct virtio_mmio *m, unsigned queue);

/* Registers of the selected queue. What is not there reads as 0 and is ignored. */
uint32_t virtio_mmio_queue_read(struct virtio_mmio *m, uint64_t reg);
void virtio_mmio_queue_write(struct virtio_mmio *m, uint64_t reg, uint32_t value);
uint32_t virtio_mmio_legacy_read(struct virtio_mmio *m, uint64_t reg);
void virtio_mmio_legacy_write(struct virtio_mmio *m, uint64_t reg, uint32_t value);
/* The device has been reset. */
void virtio_mmio_legacy_reset(struct virtio_mmio *m);

#endif
