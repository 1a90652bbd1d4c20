// SPDX-License-Identifier: BSD-2-Clause
/*
 * Block device (VIRTIO 1.4 5.2) with one queue, in front of whatever stores the bytes.
 *
 * Requests are streams of bytes: 16 bytes of header first, one byte of status last, however the
 * driver cut them. Without FLUSH negotiated a write is complete when it is on stable storage
 * (5.2.6.2). A request without room for a status is given back with nothing written.
 */
#ifndef MINIVET_VIRTIO_BLK_H
#define MINIVET_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

struct blk_backend;
struct evloop;
struct gmem;
struct virtio_blk;
struct virtio_device;

struct virtio_blk_config {
    const char *name;
    const char *serial; /* at most 20 bytes count; NULL: none */
    struct evloop *loop;
    const struct gmem *gmem;
    struct blk_backend *backend;        /* the caller's; outlives the device */
    uint64_t features_on, features_off; /* see struct virtio_device_config */
    uint32_t queue_size_max;            /* 0: the default */
    bool strict;                        /* say what the driver does wrong */
};

/* Errors are reported. */
int virtio_blk_create(struct virtio_blk **out, const struct virtio_blk_config *config);
void virtio_blk_destroy(struct virtio_blk *blk); /* after its transport */

struct virtio_device *virtio_blk_device(struct virtio_blk *blk);

#endif
