// SPDX-License-Identifier: BSD-2-Clause
/*
 * A device type (VIRTIO 1.4 5) as data: what transports, the driver monitor, recordings and
 * messages know of it. Each type is one table, virtio_<type>_type, in virtio/<type>/<type>_type.c,
 * and named in virtio/devices.def. What a device does is in its operations, see device.h.
 */
#ifndef MINIVET_VIRTIO_TYPE_H
#define MINIVET_VIRTIO_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/memory/iobuf.h"
#include "core/tape/tape.h"

struct virtio_device;

/* Spelled as in the specification, in small letters and without VIRTIO_F_ or VIRTIO_NET_F_. */
struct virtio_feature_name {
    const char *name;
    unsigned bit;
};

/* Fields of one width in the configuration space. */
struct virtio_field {
    uint16_t offset;
    uint8_t bytes, count;
    uint64_t features; /* the field is there with one of these; 0: always */
    bool writable;     /* by the driver: device.c passes on nothing else */
};

/* What a queue is for. */
struct virtio_queue_role {
    const char *name; /* as the specification calls it */
    /* What a chain may hold: the monitor reports `rule` for the other. */
    bool writable_only, readable_only;
    uint16_t rule;
    /* What a recording keeps of the bytes that the device reads, and writes; zeroes: most of them.
     */
    struct tape_keep kept_read, kept_written;
};

/* A rule of the driver monitor: the section of VIRTIO 1.4, and the requirement in our words. */
struct virtio_rule {
    const char *section, *text;
};

/* A chain as the device is going to see it. */
struct virtio_request {
    struct virtio_device *dev;
    unsigned queue;
    struct iobuf rd, wr;
};

struct virtio_device_type {
    const char *name;
    uint32_t id;
    uint32_t pci_class;
    uint16_t
        pci_transitional; /* VIRTIO 1.4 4.1.2.1: that device ID; 0: no legacy interface exists */

    const struct virtio_feature_name *features; /* its own; the last has no name. NULL: none */

    const struct virtio_field *fields; /* NULL: the layout is not known, and not checked */
    unsigned field_count;

    /* Queues in order. `group_size` of them, from `group_first` on, come `groups_max` times. */
    const struct virtio_queue_role *roles;
    unsigned role_count, group_first, group_size, groups_max;

    /* Of the driver monitor. Rules are numbered from STRICT_RULES on (observe/strict_rules.h). */
    const struct virtio_rule *rules;
    unsigned rule_count;
    void (*check_features)(struct virtio_device *dev, uint64_t accepted); /* may be NULL */
    void (*check_request)(struct virtio_request *r); /* [queue] before the device; may be NULL */
};

/* NULL: the type has no name for that feature. */
const char *virtio_type_feature(const struct virtio_device_type *type, unsigned bit);

/* The field at an offset, or NULL. */
const struct virtio_field *virtio_type_field(const struct virtio_device_type *type,
                                             uint64_t offset);

/* May the driver write the byte at that offset? */
bool virtio_type_is_writable(const struct virtio_device_type *type, uint64_t offset);

/* The role of one of `queues` queues. */
const struct virtio_queue_role *virtio_type_role(const struct virtio_device_type *type,
                                                 unsigned queues, unsigned queue);

/* How many queues a device has with so many groups (0: one); -EINVAL: too many, which is reported.
 */
int virtio_type_queues(const struct virtio_device_type *type, const char *name, unsigned groups);

#endif
