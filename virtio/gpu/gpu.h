// SPDX-License-Identifier: BSD-2-Clause
/*
 * GPU device (VIRTIO 1.4 5.7) without 3D: the driver draws in guest memory, and says what a display
 * (core/ports/display.h) shows of it.
 *
 *   resource      2D: pixels in host memory, copied from its backing by TRANSFER_TO_HOST_2D
 *                 blob: its backing in guest memory itself
 *   scanout       a rectangle of a resource; RESOURCE_FLUSH is damage of what shows that resource
 *
 * Offered: EDID, RESOURCE_UUID, RESOURCE_BLOB. Not offered: VIRGL, CONTEXT_INIT, BLOB_ALIGNMENT.
 * Commands of 3D are answered with ERR_UNSPEC.
 *
 * All memory that the driver makes the host spend counts in one budget. What copies more than a
 * turn of the loop should take goes on in the next turn; requests are answered in their order.
 */
#ifndef MINIVET_VIRTIO_GPU_H
#define MINIVET_VIRTIO_GPU_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/observe/strict_rules.h"

struct display_backend;
struct virtio_device;
struct virtio_device_type;
struct virtio_gpu;
struct virtio_setup;

extern const struct virtio_device_type virtio_gpu_type;

/* Rules of the driver monitor. */
enum {
    STRICT_GPU_HEADER = STRICT_RULES,
    STRICT_GPU_RESPONSE,
    STRICT_GPU_FEATURE,
    STRICT_GPU_QUEUE,
};

/* What an EDID can say of a mode, and what Linux takes. */
#define VIRTIO_GPU_SIDE_MIN 64u
#define VIRTIO_GPU_SIDE_MAX 4095u

#define VIRTIO_GPU_WIDTH_DEFAULT  1280u
#define VIRTIO_GPU_HEIGHT_DEFAULT 800u
#define VIRTIO_GPU_MEMORY_DEFAULT (UINT64_C(256) << 20)

/* In a resource's backing: a list of pages that is 256 MiB, or 24 MiB. */
#define VIRTIO_GPU_ENTRIES_MAX   65536u
#define VIRTIO_GPU_TAPED_ENTRIES 6000u

struct virtio_gpu_config {
    /* The caller's: it outlives the device, and is the loop's. NULL: no picture is seen. */
    struct display_backend *display;
    unsigned scanouts;      /* 1 to 16 */
    uint32_t width, height; /* that the driver is asked for, until the display asks for another */
    uint64_t memory_bytes;  /* that resources may take */
    /* It is on a tape: what the display asks for is not, so it does not count; and lists of guest
     * memory are no longer than a tape keeps. */
    bool is_recorded;
    bool is_replayed; /* no pixels are on the tape: copies take no memory, and turns as ever */
};

/* Errors are reported. */
int virtio_gpu_create(struct virtio_gpu **out, const struct virtio_setup *setup,
                      const struct virtio_gpu_config *config);
void virtio_gpu_destroy(struct virtio_gpu *gpu); /* after its transport; NULL is allowed */

struct virtio_device *virtio_gpu_device(struct virtio_gpu *gpu);

#endif
