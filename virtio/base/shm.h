// SPDX-License-Identifier: BSD-2-Clause
/*
 * Shared memory regions (VIRTIO 1.4 2.10) on a bus: plain memory of the device, which both sides
 * read and write at any time.
 */
#ifndef MINIVET_VIRTIO_SHM_H
#define MINIVET_VIRTIO_SHM_H

#include "core/ports/bus.h"

struct virtio_device;

/* Where a region begins: one behind the other, each from a page's start; and where the last ends.
 */
uint64_t virtio_shm_offset(const struct virtio_device *dev, unsigned region);
uint64_t virtio_shm_bytes(const struct virtio_device *dev);

/* `dev` is the virtio_device. Any width; what is in no region reads as all ones. */
extern const struct bus_ops virtio_shm_ops;

#endif
