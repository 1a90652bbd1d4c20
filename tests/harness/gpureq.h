// SPDX-License-Identifier: BSD-2-Clause
/*
 * Commands to a GPU device. Each is sent and answered before the call returns; what is returned is
 * the response's type, or 0 if none came.
 */
#ifndef MINIVET_TESTS_HARNESS_GPUREQ_H
#define MINIVET_TESTS_HARNESS_GPUREQ_H

#include "core/ports/display.h"
#include "tests/harness/rig.h"
#include "virtio/gpu/gpu.h"
#include "virtio/gpu/gpu_codes.h"
#include "virtio/spec.h"

#define GPUREQ_FEATURES                                                       \
    (VIRTIO_BIT(VIRTIO_GPU_F_EDID) | VIRTIO_BIT(VIRTIO_GPU_F_RESOURCE_UUID) | \
     VIRTIO_BIT(VIRTIO_GPU_F_RESOURCE_BLOB))
#define GPUREQ_OK     VIRTIO_GPU_RESP_OK_NODATA
#define GPUREQ_FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define GPUREQ_SIZE   16 /* of the queues */

struct gpureq_entry {
    uint64_t gpa;
    uint32_t bytes;
};

/* The whole of a resource or a screen. */
#define GPUREQ_RECT(x, y, w, h) (&(struct display_rect){x, y, w, h})

void gpureq_start(struct rig *rig);

/* A request of any bytes; the response, of up to `room` bytes, follows in memory. */
uint32_t gpureq_call(struct rig *rig, unsigned queue, const void *request, uint32_t bytes,
                     uint32_t room);
/* That of the last call; how long it was. */
const uint8_t *gpureq_response(const struct rig *rig);
uint32_t gpureq_response_bytes(void);
/* The same without a step of the loop. */
void gpureq_send(struct rig *rig, unsigned queue, const void *request, uint32_t bytes,
                 uint32_t room);

/* Requests, without being sent; returned is their length. */
uint32_t gpureq_make(uint8_t *to, uint32_t type, uint32_t bytes);
uint32_t gpureq_make_transfer(uint8_t *to, uint32_t id, const struct display_rect *r,
                              uint64_t offset);
uint32_t gpureq_make_flush(uint8_t *to, uint32_t id, const struct display_rect *r);
void gpureq_put_rect(uint8_t *to, const struct display_rect *r);

uint32_t gpureq_simple(struct rig *rig, uint32_t type, uint32_t id); /* names a resource, at most */
uint32_t gpureq_create(struct rig *rig, uint32_t id, uint32_t format, uint32_t width,
                       uint32_t height);
uint32_t gpureq_attach(struct rig *rig, uint32_t id, const struct gpureq_entry *entries,
                       uint32_t count);
uint32_t gpureq_transfer(struct rig *rig, uint32_t id, const struct display_rect *r,
                         uint64_t offset);
uint32_t gpureq_flush(struct rig *rig, uint32_t id, const struct display_rect *r);
uint32_t gpureq_scanout(struct rig *rig, uint32_t scanout, uint32_t id,
                        const struct display_rect *r);
uint32_t gpureq_blob(struct rig *rig, uint32_t id, uint64_t bytes,
                     const struct gpureq_entry *entries, uint32_t count);

struct gpureq_frame {
    uint32_t width, height, format, stride, offset;
};

uint32_t gpureq_scanout_blob(struct rig *rig, uint32_t scanout, uint32_t id,
                             const struct display_rect *r, const struct gpureq_frame *frame);

struct gpureq_pointer {
    uint32_t scanout, x, y, id, hot_x, hot_y;
};

uint32_t gpureq_cursor(struct rig *rig, uint32_t type, const struct gpureq_pointer *p);

/*
 * Guest memory that is a picture: the pixel at (x, y) is gpureq_pixel(). Returns where it is.
 */
uint64_t gpureq_picture(struct rig *rig, uint32_t width, uint32_t height, uint32_t seed);
uint32_t gpureq_pixel(uint32_t seed, uint32_t x, uint32_t y);

/* A resource with such a picture as its backing, all of it on the scanout; everything must work. */
uint64_t gpureq_show(struct rig *rig, uint32_t scanout, uint32_t id, uint32_t width,
                     uint32_t height, uint32_t seed);
/* Is that picture all that is seen? */
bool gpureq_sees(const struct rig *rig, unsigned scanout, uint32_t width, uint32_t height,
                 uint32_t seed);

#endif
