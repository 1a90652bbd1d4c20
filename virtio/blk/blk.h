// SPDX-License-Identifier: BSD-2-Clause
/*
 * Block device (VIRTIO 1.4 5.2) in front of whatever stores the bytes.
 *
 * Requests are streams of bytes: 16 bytes of header first, one byte of status last, however the
 * driver cut them. A request without room for a status is given back with nothing written.
 *
 * Offered: SEG_MAX, BLK_SIZE, FLUSH, CONFIG_WCE; TOPOLOGY, DISCARD, WRITE_ZEROES and RO as the
 * backend's blk_info says; MQ with more than one queue. Not offered: SECURE_ERASE (no backend can
 * promise it), LIFETIME, ZONED.
 *
 * What a request is answered with, where the specification leaves it open: UNSUPP for a type or a
 * flag that the device does not know or that was not negotiated, and for what the backend cannot
 * do; IOERR for all else.
 */
#ifndef MINIVET_VIRTIO_BLK_H
#define MINIVET_VIRTIO_BLK_H

#include <stdbool.h>

struct blk_backend;
struct evloop;
struct virtio_blk;
struct virtio_device;
struct virtio_device_type;
struct virtio_setup;

extern const struct virtio_device_type virtio_blk_type;

struct virtio_blk_config {
    const char *serial; /* at most 20 bytes count; NULL: none */
    /* See struct virtio_device_config. The backend must know views. */
    struct evloop *const *queue_loops;
    struct blk_backend *backend; /* the caller's; outlives the device, its one user */
    unsigned queues;             /* 0: one */
    bool write_through;          /* unless the driver says otherwise: no volatile cache */
};

/* Errors are reported. */
int virtio_blk_create(struct virtio_blk **out, const struct virtio_setup *setup,
                      const struct virtio_blk_config *config);
/* After its transport; no thread runs the loops. */
void virtio_blk_destroy(struct virtio_blk *blk);

/* [loop] Waits for all that its queues have in flight. */
void virtio_blk_drain(struct virtio_blk *blk);

struct virtio_device *virtio_blk_device(struct virtio_blk *blk);

#endif
