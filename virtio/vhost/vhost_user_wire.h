// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages of vhost-user as they are on the socket: numbers in the host's byte order. Names are
 * the protocol's. For vhost_user.c, and for the server of the tests.
 */
#ifndef MINIVET_VIRTIO_VHOST_USER_WIRE_H
#define MINIVET_VIRTIO_VHOST_USER_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "virtio/vhost/vhost_user.h"

#define VHOST_USER_VERSION     0x1u
#define VHOST_USER_REPLY       0x4u
#define VHOST_USER_NEED_REPLY  0x8u
#define VHOST_USER_FLAGS_MASK  0x7u /* of a reply: its version, and that it is one */
#define VHOST_USER_MEM_REGIONS 8u
#define VHOST_USER_FDS_MAX     8u

enum vhost_user_request {
    VHOST_USER_GET_FEATURES = 1,
    VHOST_USER_SET_FEATURES = 2,
    VHOST_USER_SET_OWNER = 3,
    VHOST_USER_SET_MEM_TABLE = 5,
    VHOST_USER_SET_VRING_NUM = 8,
    VHOST_USER_SET_VRING_ADDR = 9,
    VHOST_USER_SET_VRING_BASE = 10,
    VHOST_USER_GET_VRING_BASE = 11,
    VHOST_USER_SET_VRING_KICK = 12,
    VHOST_USER_SET_VRING_CALL = 13,
    VHOST_USER_SET_VRING_ERR = 14,
    VHOST_USER_GET_PROTOCOL_FEATURES = 15,
    VHOST_USER_SET_PROTOCOL_FEATURES = 16,
    VHOST_USER_GET_QUEUE_NUM = 17,
    VHOST_USER_SET_VRING_ENABLE = 18,
    VHOST_USER_NET_SET_MTU = 20,
    VHOST_USER_SET_BACKEND_REQ_FD = 21,
    VHOST_USER_GET_CONFIG = 24,
    VHOST_USER_SET_CONFIG = 25,
    VHOST_USER_GET_INFLIGHT_FD = 31,
    VHOST_USER_SET_INFLIGHT_FD = 32,
};

/* From the server, on the socket of SET_BACKEND_REQ_FD. */
enum vhost_user_backend_request {
    VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2,
};

struct vhost_user_header {
    uint32_t request;
    uint32_t flags;
    uint32_t size; /* of what follows */
};

struct vhost_user_vring_state {
    uint32_t index;
    uint32_t num;
};

/* A packed ring's base: 15 bits of place and a wrap counter, for available and for used (<< 16). */
#define VHOST_USER_BASE_WRAP 0x8000u

struct vhost_user_vring_addr {
    uint32_t index;
    uint32_t flags;
    uint64_t desc;
    uint64_t used;
    uint64_t avail;
    uint64_t log;
};

struct vhost_user_region {
    uint64_t gpa;
    uint64_t bytes;
    uint64_t user;
    uint64_t mmap_offset;
};

struct vhost_user_memory {
    uint32_t count;
    uint32_t padding;
    struct vhost_user_region regions[VHOST_USER_MEM_REGIONS];
};

struct vhost_user_config {
    uint32_t offset;
    uint32_t size;
    uint32_t flags;
    uint8_t bytes[VHOST_USER_CONFIG_MAX_BYTES];
};

#define VHOST_USER_CONFIG_HEADER_BYTES offsetof(struct vhost_user_config, bytes)

struct vhost_user_inflight_message {
    uint64_t mmap_size;
    uint64_t mmap_offset;
    uint16_t queues;
    uint16_t queue_size;
    uint32_t padding; /* the text has none; every implementation has it */
};

_Static_assert(sizeof(struct vhost_user_header) == 12, "as on the socket");
_Static_assert(sizeof(struct vhost_user_vring_state) == 8, "as on the socket");
_Static_assert(sizeof(struct vhost_user_vring_addr) == 40, "as on the socket");
_Static_assert(sizeof(struct vhost_user_region) == 32, "as on the socket");
_Static_assert(sizeof(struct vhost_user_memory) == 264, "as on the socket");
_Static_assert(sizeof(struct vhost_user_inflight_message) == 24, "as on the socket");

#endif
