// SPDX-License-Identifier: BSD-2-Clause
/*
 * A kind of virtio device, from the user's options to the device and what is behind it. Each has a
 * file (disk.c, net.c, console.c, rng.c, input.c) and a line in virtio/devices.def;
 * virtio_devices.c does what is the same for all.
 */
#ifndef MINIVET_VMM_DEVICE_KIND_H
#define MINIVET_VMM_DEVICE_KIND_H

#include "virtio/base/device.h"

struct blk_file;
struct blk_file_config;
struct facts;
struct io_threads;
struct stats;
struct virtio_devices_config;
struct virtio_keys;
struct vm_config;

/* A device of some kind. */
struct device_slot {
    const struct virtio_devices_config *cfg;
    struct io_threads *threads;
    const struct virtio_keys *keys; /* the user's, from create() on */
    unsigned index;                 /* of its kind */
    struct evloop *loop;            /* the device's, likewise */
    struct virtio_device *dev;      /* likewise */
    uint32_t pci_class;             /* likewise; 0: the device type's */
    void *own;                      /* the kind's: what destroy() ends, unless it is NULL */
};

struct device_kind {
    unsigned (*count)(const struct vm_config *vm);
    /* The index-th of them. Errors are reported; what was made by then stays in `own`. */
    int (*create)(struct device_slot *s, unsigned index);
    /* After the device's transport. */
    void (*destroy)(void *own);
    /* On the main loop; may be NULL. */
    void (*drain)(const struct device_slot *s);
    void (*stats)(const struct device_slot *s, struct stats *out);
    /* Any thread: names what is behind the device, as the user said it. May be NULL. */
    void (*describe)(const struct device_slot *s, struct facts *f);
    /* virtio_devices_resize(). NULL: it is no disk */
    int (*resize)(const struct device_slot *s, uint64_t bytes, bool is_done);
    /* virtio_devices_begin_swap() and virtio_devices_swap(), likewise */
    int (*begin_swap)(const struct device_slot *s, struct blk_file_config *out);
    int (*swap)(const struct device_slot *s, struct blk_file *spare);
    int (*set_link)(const struct device_slot *s, bool up); /* NULL: it is no network card */
};

#define VIRTIO_KIND(kind) extern const struct device_kind kind##_kind;
#include "virtio/devices.def"

/*
 * For create(). Sets the keys, and the loop: one thread has the device and all its queues, or (if
 * more are asked for) the main one has it and others the queues alone, since the main loop waits
 * for others, and none waits for it. Returns how many loops the queues have, or a negative errno.
 */
int device_slot_loops(struct device_slot *s, const struct virtio_keys *keys,
                      struct evloop **queue_loops, unsigned queues);

/* After that. The name outlives the device. */
struct virtio_setup device_slot_setup(const struct device_slot *s, const char *name);

#endif
