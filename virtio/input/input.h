// SPDX-License-Identifier: BSD-2-Clause
/*
 * Input device (VIRTIO 1.4 5.8): a keyboard, a mouse, a tablet or a touch screen.
 *
 * A report goes to the driver when there are buffers for all of its events and the SYN_REPORT that
 * ends it; one that is longer than the queue goes in pieces as long as the queue. Until then
 * reports wait (core/ports/input_queue.h). What comes while the driver does not run is dropped.
 */
#ifndef MINIVET_VIRTIO_INPUT_H
#define MINIVET_VIRTIO_INPUT_H

#include "core/ports/input.h"
#include "virtio/observe/strict_rules.h"

struct virtio_device;
struct virtio_device_type;
struct virtio_input;
struct virtio_setup;

extern const struct virtio_device_type virtio_input_type;

/* Rules of the driver monitor. */
enum {
    STRICT_INPUT_EVENT_READABLE = STRICT_RULES,
    STRICT_INPUT_STATUS_WRITABLE,
    STRICT_INPUT_SHORT,
};

/* ---- the specification's numbers ---- */

enum {
    VIRTIO_INPUT_EVENTS = 0, /* queues */
    VIRTIO_INPUT_STATUS = 1,
};

enum { /* struct virtio_input_config */
       VIRTIO_INPUT_CONFIG_select = 0,
       VIRTIO_INPUT_CONFIG_subsel = 1,
       VIRTIO_INPUT_CONFIG_size = 2,
       VIRTIO_INPUT_CONFIG_data = 8,
       VIRTIO_INPUT_CONFIG_BYTES = 136,
       VIRTIO_INPUT_DATA_BYTES = VIRTIO_INPUT_CONFIG_BYTES - VIRTIO_INPUT_CONFIG_data,
};

enum { /* select */
       VIRTIO_INPUT_CFG_UNSET = 0,
       VIRTIO_INPUT_CFG_ID_NAME = 1,
       VIRTIO_INPUT_CFG_ID_SERIAL = 2,
       VIRTIO_INPUT_CFG_ID_DEVIDS = 3,
       VIRTIO_INPUT_CFG_PROP_BITS = 0x10,
       VIRTIO_INPUT_CFG_EV_BITS = 0x11,
       VIRTIO_INPUT_CFG_ABS_INFO = 0x12,
};

/* ---- the device ---- */

/* The backend outlives the device, and gets it as its handler. Errors are reported. */
int virtio_input_create(struct virtio_input **out, const struct virtio_setup *setup,
                        struct input_backend *backend);
void virtio_input_destroy(struct virtio_input *input); /* after its transport */

struct virtio_device *virtio_input_device(struct virtio_input *input);

/* ---- input_config.c ---- */

/* What the driver reads after it has written these two; returns how much of it there is. */
unsigned virtio_input_query(enum input_kind kind, const char *serial, uint8_t select,
                            uint8_t subsel, uint8_t data[VIRTIO_INPUT_DATA_BYTES]);

#endif
