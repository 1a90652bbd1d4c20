// SPDX-License-Identifier: BSD-2-Clause
/*
 * Console device (VIRTIO 1.4 5.3), port 0: a stream of bytes both ways.
 *
 * Flow control: what the backend does not take stays in the guest's chain until it takes more; what
 * comes from outside is asked for only while the guest has given a buffer for it.
 */
#ifndef MINIVET_VIRTIO_CONSOLE_H
#define MINIVET_VIRTIO_CONSOLE_H

#include "virtio/observe/strict_rules.h"

struct chr_backend;
struct virtio_console;
struct virtio_device;
struct virtio_device_type;
struct virtio_setup;

extern const struct virtio_device_type virtio_console_type;

/* Rules of the driver monitor. */
enum {
    STRICT_CONSOLE_RX = STRICT_RULES,
    STRICT_CONSOLE_TX,
};

enum {
    VIRTIO_CONSOLE_RX = 0,
    VIRTIO_CONSOLE_TX = 1,
};

/* How much the backend is given in one turn of the loop, so that other devices get theirs. */
#define VIRTIO_CONSOLE_TURN_BYTES 65536u

/* The backend is the caller's, and gets the device as its handler. Errors are reported. */
int virtio_console_create(struct virtio_console **out, const struct virtio_setup *setup,
                          struct chr_backend *backend);
void virtio_console_destroy(struct virtio_console *console); /* after its transport */

struct virtio_device *virtio_console_device(struct virtio_console *console);

#endif
