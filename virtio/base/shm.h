// SPDX-License-Identifier: BSD-2-Clause
/*
 * Shared memory regions (VIRTIO 1.4 2.10) on a bus: plain memory of the device, which both sides
 * read and write at any time.
 */
#ifndef MINIVET_VIRTIO_SHM_H
#define MINIVET_VIRTIO_SHM_H

#include "core/ports/bus.h"

/* `dev` is the const struct virtio_shm, which the region of the bus is as large as. Any width. */
extern const struct bus_ops virtio_shm_ops;

#endif
