// SPDX-License-Identifier: BSD-2-Clause
/*
 * A device for tests of what all devices share: copies what it reads to where it may write. Its
 * configuration space is 10 bytes, 1 to 10, which the guest may write.
 */
#ifndef MINIVET_TESTS_HARNESS_ECHO_H
#define MINIVET_TESTS_HARNESS_ECHO_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/base/device.h"

#define ECHO_DEVICE_ID 42u
#define ECHO_SHM_ID    7u

struct echo {
    struct virtio_device dev;
    uint8_t config[10];
    unsigned activations, resets, stops, served;
    int refuse; /* a negative errno for activate() */
    bool hold;  /* takes chains and keeps them */
    struct vq_chain *held;
    unsigned held_queue;
    struct virtio_shm shm;
};

struct echo_config {
    struct virtio_setup setup; /* queue_size_max 0: 1024 */
    bool transitional;         /* it has a legacy interface, as a 9P device */
    unsigned queues;           /* 0: two */
    uint64_t shm_bytes;        /* of a shared memory region; 0: none */
};

void echo_init(struct echo *echo, const struct echo_config *config);
/* After its transport. A zeroed one is allowed. */
void echo_fini(struct echo *echo);

/* On the loop: ends the chain that it holds, and holds no more. */
void echo_release(struct echo *echo);

#endif
