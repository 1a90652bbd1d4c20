// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the VIRTIO 1.4 specification says in numbers of virtqueues, named as it names them. Offsets
 * are in bytes; F_ names are feature bit numbers.
 */
#ifndef MINIVET_VIRTIO_RING_SPEC_H
#define MINIVET_VIRTIO_RING_SPEC_H

#include <stdint.h>

/* ---- 6 Reserved Feature Bits: what concerns the rings ---- */
enum {
    VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_RING_PACKED = 34,
    VIRTIO_F_IN_ORDER = 35,
};

#define VIRTIO_BIT(feature) (UINT64_C(1) << (feature))

/* ---- 2.7 Split Virtqueues ---- */
#define VIRTQ_MAX_SIZE 32768u

enum {
    VIRTQ_DESC_F_NEXT = 1,
    VIRTQ_DESC_F_WRITE = 2,
    VIRTQ_DESC_F_INDIRECT = 4,
    VIRTQ_AVAIL_F_NO_INTERRUPT = 1,
    VIRTQ_USED_F_NO_NOTIFY = 1,
};

enum {
    VIRTQ_DESC_BYTES = 16,
    VIRTQ_DESC_ALIGN = 16,
    VIRTQ_AVAIL_ALIGN = 2,
    VIRTQ_USED_ALIGN = 4,
    VIRTQ_AVAIL_FLAGS = 0,
    VIRTQ_AVAIL_IDX = 2,
    VIRTQ_AVAIL_RING = 4,
    VIRTQ_USED_FLAGS = 0,
    VIRTQ_USED_IDX = 2,
    VIRTQ_USED_RING = 4,
    VIRTQ_USED_ELEM_BYTES = 8,
};

/* used_event ends the available ring, avail_event the used ring. */
#define VIRTQ_AVAIL_USED_EVENT(size) (VIRTQ_AVAIL_RING + 2u * (size))
#define VIRTQ_AVAIL_BYTES(size)      (VIRTQ_AVAIL_USED_EVENT(size) + 2u)
#define VIRTQ_USED_AVAIL_EVENT(size) (VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * (size))
#define VIRTQ_USED_BYTES(size)       (VIRTQ_USED_AVAIL_EVENT(size) + 2u)

/* ---- 2.8 Packed Virtqueues ---- */
enum {
    VIRTQ_DESC_F_AVAIL = 1 << 7,
    VIRTQ_DESC_F_USED = 1 << 15,
};

enum { /* struct pvirtq_desc */
       PVIRTQ_DESC_addr = 0,
       PVIRTQ_DESC_len = 8,
       PVIRTQ_DESC_id = 12,
       PVIRTQ_DESC_flags = 14,
       PVIRTQ_DESC_BYTES = 16,
       PVIRTQ_DESC_ALIGN = 16,
};

enum {                        /* struct pvirtq_event_suppress */
       PVIRTQ_EVENT_desc = 0, /* offset, and the wrap counter in bit 15 */
       PVIRTQ_EVENT_flags = 2,
       PVIRTQ_EVENT_BYTES = 4,
       PVIRTQ_EVENT_ALIGN = 4,
       PVIRTQ_EVENT_WRAP_SHIFT = 15,
};

enum {
    RING_EVENT_FLAGS_ENABLE = 0,
    RING_EVENT_FLAGS_DISABLE = 1,
    RING_EVENT_FLAGS_DESC = 2,
};

#endif
