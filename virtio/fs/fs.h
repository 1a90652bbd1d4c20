// SPDX-License-Identifier: BSD-2-Clause
/*
 * File system device (VIRTIO 1.4 5.11): FUSE messages between the guest and what serves a directory
 * (core/ports/share.h). A message is the readable part of a chain, its answer goes into the
 * writable one; the device looks at neither. Whatever their content and length, they are the
 * server's.
 *
 * Answers come in any order, on each queue: a request that waits for a lock must not hold up the
 * one that frees it. So IN_ORDER is not offered. Nor is NOTIFICATION, or a DAX window.
 */
#ifndef MINIVET_VIRTIO_FS_H
#define MINIVET_VIRTIO_FS_H

#include <stdint.h>

#include "virtio/observe/strict_rules.h"

struct evloop;
struct share;
struct virtio_device;
struct virtio_device_type;
struct virtio_fs;
struct virtio_setup;

extern const struct virtio_device_type virtio_fs_type;

/* ---- the specification's numbers ---- */

enum {
    VIRTIO_FS_F_NOTIFICATION,
};

enum {
    VIRTIO_FS_HIPRIO, /* the first request queue follows */
    VIRTIO_FS_REQUESTS,
};

enum { /* struct virtio_fs_config */
       VIRTIO_FS_CONFIG_tag = 0,
       VIRTIO_FS_CONFIG_num_request_queues = 36,
       VIRTIO_FS_CONFIG_notify_buf_size = 40,
       VIRTIO_FS_CONFIG_BYTES = 44,
};

#define VIRTIO_FS_TAG_BYTES 36u /* of the name that the driver mounts it by */
#define VIRTIO_FS_QUEUE_SIZE \
    1024u /* in descriptors: Linux sends as many pages at once, and headers */

/* Rules of the driver monitor. */
enum {
    STRICT_FS_HEADER = STRICT_RULES,
    STRICT_FS_HIPRIO,
    STRICT_FS_REQUEST,
};

/* ---- the device ---- */

struct virtio_fs_config {
    const char *tag;     /* UTF-8, of 1 to VIRTIO_FS_TAG_BYTES bytes */
    struct share *share; /* the caller's; outlives the device, its one user */
    /* One for the first queue and each request queue; see struct virtio_device_config. */
    struct evloop *const *queue_loops;
    unsigned queues; /* for requests; 0: one */
};

/* Errors are reported. */
int virtio_fs_create(struct virtio_fs **out, const struct virtio_setup *setup,
                     const struct virtio_fs_config *config);
/* After its transport; no thread runs the loops. */
void virtio_fs_destroy(struct virtio_fs *fs);

struct virtio_device *virtio_fs_device(struct virtio_fs *fs);

/* The configuration space, zeroed before: of VIRTIO_FS_CONFIG_BYTES. */
void virtio_fs_fill_config(uint8_t *config, const char *tag, unsigned queues);

#endif
