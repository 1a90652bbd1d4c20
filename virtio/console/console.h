// SPDX-License-Identifier: BSD-2-Clause
/*
 * Console device (VIRTIO 1.4 5.3): port 0, a console, and up to 30 ports more, each a stream of
 * bytes both ways.
 *
 * Flow control: what the backend does not take stays in the guest's chain until it takes more; what
 * comes from outside is asked for only while the guest has given a buffer for it. No port waits for
 * another. What a guest writes to a port with nobody at its other end is dropped.
 *
 * With further ports there are control queues (console_control.c). What the driver has yet to be
 * told is a bit a port, so that one which takes no messages makes the device keep no more of them.
 */
#ifndef MINIVET_VIRTIO_CONSOLE_H
#define MINIVET_VIRTIO_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

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
    VIRTIO_CONSOLE_CONTROL_RX = 2, /* to the driver */
    VIRTIO_CONSOLE_CONTROL_TX = 3,
    VIRTIO_CONSOLE_PORT_1 = 4, /* its receive queue; then its transmit queue, then port 2 */
};

/* Beside port 0: two queues each, of VIRTIO_QUEUES_MAX. */
#define VIRTIO_CONSOLE_PORTS_MAX 30u
/* A name's longest, with its end. */
#define VIRTIO_CONSOLE_NAME_BYTES 64u

/* How much the backend is given in one turn of the loop, so that other devices get theirs. */
#define VIRTIO_CONSOLE_TURN_BYTES 65536u

/* name outlives the device; it is shorter than VIRTIO_CONSOLE_NAME_BYTES. */
struct virtio_console_port {
    const char *name;
    struct chr_backend *backend;
    bool is_console; /* for the guest to make a terminal of (hvc1) */
};

struct virtio_console_config {
    struct chr_backend *backend; /* of port 0 */
    const struct virtio_console_port *ports;
    unsigned port_count;
    unsigned ports_max; /* how many there may be at a time; 0: port 0 alone, and no MULTIPORT */
};

/* Backends are the caller's, and get the device as their handler. Errors are reported. */
int virtio_console_create(struct virtio_console **out, const struct virtio_setup *setup,
                          const struct virtio_console_config *config);
void virtio_console_destroy(struct virtio_console *console); /* after its transport */

struct virtio_device *virtio_console_device(struct virtio_console *console);

/*
 * [loop] Adds a port, in the first place that is free, and tells the driver: its backend gets the
 * device as its handler. -ENOSPC: ports_max are there; -EEXIST: one of them has that name.
 */
int virtio_console_add_port(struct virtio_console *console, const struct virtio_console_port *port);

/*
 * [loop] Tells the driver that the port has gone, and gives back the buffers that it has; what the
 * driver writes there from now on is dropped. The backend, which is the caller's again, or NULL:
 * there is no port of that name.
 */
struct chr_backend *virtio_console_remove_port(struct virtio_console *console, const char *name);

/*
 * [loop] The port's terminal has that size, which the driver is told (no RESIZE goes to one that
 * does not take SIZE). -ENODEV: there is no port of that name (port 0 has none, and the size of its
 * backend); -ENOTTY: it is no console.
 */
int virtio_console_resize_port(struct virtio_console *console, const char *name, uint16_t columns,
                               uint16_t rows);

#endif
