// SPDX-License-Identifier: BSD-2-Clause
/*
 * Entropy device (VIRTIO 1.4 5.4): fills the guest's buffers with random bytes.
 */
#ifndef MINIVET_VIRTIO_RNG_H
#define MINIVET_VIRTIO_RNG_H

#include "virtio/observe/strict_rules.h"

struct entropy;
struct virtio_device;
struct virtio_device_type;
struct virtio_rng;
struct virtio_setup;

extern const struct virtio_device_type virtio_rng_type;

/* Rules of the driver monitor. */
enum {
    STRICT_RNG_READABLE = STRICT_RULES,
};

/* A larger request is filled up to here: VIRTIO 1.4 5.4.6.2 allows it, and the loop goes on. */
#define VIRTIO_RNG_REQUEST_BYTES 65536u

/* The source of randomness outlives the device. Errors are reported. */
int virtio_rng_create(struct virtio_rng **out, const struct virtio_setup *setup,
                      const struct entropy *entropy);
void virtio_rng_destroy(struct virtio_rng *rng); /* after its transport */

struct virtio_device *virtio_rng_device(struct virtio_rng *rng);

#endif
