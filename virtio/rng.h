// SPDX-License-Identifier: BSD-2-Clause
/*
 * Entropy device (VIRTIO 1.4 5.4): fills the guest's buffers with random bytes.
 */
#ifndef MINIVET_VIRTIO_RNG_H
#define MINIVET_VIRTIO_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct entropy;
struct evloop;
struct gmem;
struct virtio_device;
struct virtio_rng;

/* A larger request is filled up to here: VIRTIO 1.4 5.4.6.2 allows it, and the loop goes on. */
#define VIRTIO_RNG_REQUEST_BYTES 65536u

struct virtio_rng_config {
    const char *name;
    struct evloop *loop;
    const struct gmem *gmem;
    const struct entropy *entropy;      /* outlives the device */
    uint64_t features_on, features_off; /* see struct virtio_device_config */
    uint32_t queue_size_max;            /* 0: the default */
    bool strict;                        /* say what the driver does wrong */
};

/* Errors are reported. */
int virtio_rng_create(struct virtio_rng **out, const struct virtio_rng_config *config);
void virtio_rng_destroy(struct virtio_rng *rng); /* after its transport */

struct virtio_device *virtio_rng_device(struct virtio_rng *rng);

#endif
