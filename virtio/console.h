// SPDX-License-Identifier: BSD-2-Clause
/*
 * Console device (VIRTIO 1.4 5.3), port 0: a stream of bytes both ways.
 *
 * Flow control: what the backend does not take stays in the guest's chain until it takes more; what
 * comes from outside is asked for only while the guest has given a buffer for it.
 */
#ifndef MINIVET_VIRTIO_CONSOLE_H
#define MINIVET_VIRTIO_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

struct chr_backend;
struct evloop;
struct gmem;
struct virtio_console;
struct virtio_device;

enum {
    VIRTIO_CONSOLE_RX = 0,
    VIRTIO_CONSOLE_TX = 1,
};

/* How much the backend is given in one turn of the loop, so that other devices get theirs. */
#define VIRTIO_CONSOLE_TURN_BYTES 65536u

struct virtio_console_config {
    const char *name;
    struct evloop *loop;
    const struct gmem *gmem;
    struct chr_backend *backend; /* the caller's; outlives the device, which becomes its handler */
    uint64_t features_on, features_off; /* see struct virtio_device_config */
    uint32_t queue_size_max;            /* 0: the default */
    bool strict;                        /* say what the driver does wrong */
};

/* Errors are reported. */
int virtio_console_create(struct virtio_console **out, const struct virtio_console_config *config);
void virtio_console_destroy(struct virtio_console *console); /* after its transport */

struct virtio_device *virtio_console_device(struct virtio_console *console);

#endif
