// SPDX-License-Identifier: BSD-2-Clause
/*
 * The parts of the GPU device:
 *
 *     gpu.c            queues, commands and answers, configuration, life
 *     gpu_resource.c   resources: made, ended, and copied from guest memory
 *     gpu_backing.c    a resource's place in guest memory
 *     gpu_scanout.c    what the display shows
 *     gpu_cursor.c     the pointer's picture
 *     gpu_info.c       what the driver is told of the display: sizes, EDID
 *     gpu_state.c      saved and loaded
 *     gpu_type.c       what is known of the type
 *
 * A command function reads its request, which was copied once, does what it says, and returns the
 * type of the response. What remains to be copied it leaves in `request.copy`, and in
 * `request.then` what comes after that; the response waits for both.
 */
#ifndef MINIVET_VIRTIO_GPU_IMPL_H
#define MINIVET_VIRTIO_GPU_IMPL_H

#include <sys/queue.h>

#include "core/ports/display.h"
#include "virtio/base/device.h"
#include "virtio/gpu/gpu.h"
#include "virtio/gpu/gpu_codes.h"

struct state;

#define GPU_PIXEL_BYTES   4u
#define GPU_RESOURCES_MAX 4096u
#define GPU_BUCKETS       256u
#define GPU_REQUEST_BYTES VIRTIO_GPU_SCANOUT_BLOB_BYTES /* the longest */
#define GPU_EDID_BYTES    128u

/* Of all that a driver has the device do in one turn of the loop, in bytes copied. */
#define GPU_TURN_BYTES (UINT64_C(2) << 20)
/* To find the next row, or a guest's range, takes as long as to copy so much. */
#define GPU_STEP_BYTES 256u
/* To read a page that the host has not given the guest yet, as long as so much at least. */
#define GPU_PAGE_BYTES 4096u

/* In a driver's list; neighbours that are one range of guest memory become one. */
struct gpu_range {
    uint64_t begin; /* where it lies in the resource */
    uint64_t gpa;
    const uint8_t *hva;
};

struct gpu_backing {
    struct gpu_range *ranges; /* NULL: none is attached */
    unsigned count;
    uint64_t bytes;
    uint64_t room; /* of the ranges, in bytes */
};

/* Rows of guest memory, to be copied to host memory. */
struct gpu_copy {
    const struct gpu_backing *from;
    uint64_t at, stride; /* of the next row, in `from` */
    uint8_t *to;
    size_t to_stride;
    uint64_t row_bytes, row_done;
    uint32_t rows;
    unsigned range; /* of the last piece */
    uint64_t page;  /* of guest memory, that was read last */
    bool is_counted_only;
};

struct gpu_resource {
    LIST_ENTRY(gpu_resource) link; /* of its bucket */
    uint32_t id;
    uint32_t format;        /* of 2D: VIRTIO_GPU_FORMAT_ */
    uint32_t width, height; /* likewise, pixels */
    uint8_t *pixels;        /* of 2D, rows without gaps; NULL: it is a blob */
    uint64_t bytes;         /* of the pixels, or of the blob */
    uint64_t uuid;          /* counted from 1; 0: it has none */
    struct gpu_backing backing;
};

/* What of a resource a scanout shows. */
struct gpu_frame {
    uint32_t resource_id; /* 0: it shows nothing */
    struct display_rect rect;
    uint32_t format; /* VIRTIO_GPU_FORMAT_ */
    uint32_t stride; /* of 2D as of blobs */
    uint32_t offset; /* likewise, of the pixel above and left of all */
};

struct gpu_scanout {
    bool enabled;           /* the display has it open, */
    uint32_t width, height; /* and asks for that size */
    struct gpu_frame frame;
    uint8_t
        *shadow; /* a copy of what is shown, of a blob that is scattered; NULL: none is needed */
    size_t shadow_bytes;
    struct display_cursor *cursor; /* NULL: none is shown */
    uint32_t cursor_x, cursor_y;
};

/* Of the control queue: the one that is being carried out. */
struct gpu_request {
    struct vq_chain *chain; /* NULL: none */
    uint8_t bytes[GPU_REQUEST_BYTES];
    uint8_t response[VIRTIO_GPU_RESP_EDID_BYTES];
    uint32_t response_type;
    uint32_t response_bytes; /* with its header */
    struct gpu_copy copy;
    void (*then)(struct virtio_gpu *gpu); /* NULL: the response */
    unsigned scanout;                     /* for then() */
    bool is_copied;                       /* likewise, of that scanout */
};

struct virtio_gpu {
    struct virtio_device dev;
    struct display_backend *display; /* or NULL */
    bool is_recorded, is_replayed;
    uint64_t memory_bytes, memory_used;
    uint64_t turn_bytes; /* may still be copied in this turn */
    uint64_t uuids;      /* given out, ever */
    unsigned scanout_count;
    struct gpu_scanout scanouts[VIRTIO_GPU_MAX_SCANOUTS];
    unsigned resource_count;
    LIST_HEAD(gpu_bucket, gpu_resource) buckets[GPU_BUCKETS];
    struct gpu_request request;
    uint8_t config[VIRTIO_GPU_CONFIG_BYTES];
};

/* ---- gpu.c ---- */
/* Memory of the budget; false: it is used up. */
bool gpu_charge(struct virtio_gpu *gpu, uint64_t bytes);
void gpu_refund(struct virtio_gpu *gpu, uint64_t bytes);
/* Work that is no copying: a turn may have that many steps less. */
void gpu_spend(struct virtio_gpu *gpu, uint64_t bytes);

struct display_rect gpu_get_rect(const uint8_t *at);

/* ---- gpu_backing.c ---- */
/* Takes `count` entries from what the driver gave. VIRTIO_GPU_RESP_OK_NODATA, or an error. */
uint32_t gpu_backing_read(struct virtio_gpu *gpu, struct gpu_backing *backing, struct iobuf *rd,
                          uint32_t count);
/* Adds a range of guest memory; false: it is none. There must be room. */
bool gpu_backing_add(struct virtio_gpu *gpu, struct gpu_backing *backing, uint64_t gpa,
                     uint64_t bytes);
bool gpu_backing_alloc(struct virtio_gpu *gpu, struct gpu_backing *backing, uint32_t count);
void gpu_backing_free(struct virtio_gpu *gpu, struct gpu_backing *backing);
uint64_t gpu_range_bytes(const struct gpu_backing *backing, unsigned index);
/* Where all of it is in one piece; NULL: nowhere. It lies inside. */
const uint8_t *gpu_backing_whole(const struct gpu_backing *backing, uint64_t at, uint64_t bytes);
/* In how many pieces the first bytes are, which are there. */
unsigned gpu_backing_pieces(const struct gpu_backing *backing, uint64_t bytes);
/* Goes on; false: the turn is used up. */
bool gpu_copy_run(struct gpu_copy *copy, uint64_t *turn_bytes);

/* ---- gpu_resource.c ---- */
struct gpu_format {
    uint32_t code;
    enum display_format shown;
    bool has_alpha;
};

/* NULL: there is none of that number. */
const struct gpu_format *gpu_format(uint32_t code);
struct gpu_resource *gpu_resource_find(struct virtio_gpu *gpu, uint32_t id);
/* 2D of a known format and with all of its pixels; or a blob. */
bool gpu_resource_is_possible(const struct gpu_resource *like);
/* VIRTIO_GPU_RESP_OK_NODATA, or an error; as `like`, of which what is owned does not count. */
uint32_t gpu_resource_make(struct virtio_gpu *gpu, const struct gpu_resource *like,
                           struct gpu_resource **out);
void gpu_resource_free(struct virtio_gpu *gpu, struct gpu_resource *res);
void gpu_resources_forget(struct virtio_gpu *gpu);

uint32_t gpu_create_2d(struct virtio_gpu *gpu, const uint8_t *request);
uint32_t gpu_create_blob(struct virtio_gpu *gpu, const uint8_t *request);
uint32_t gpu_unref(struct virtio_gpu *gpu, const uint8_t *request);
uint32_t gpu_attach(struct virtio_gpu *gpu, const uint8_t *request);
uint32_t gpu_detach(struct virtio_gpu *gpu, const uint8_t *request);
uint32_t gpu_transfer(struct virtio_gpu *gpu, const uint8_t *request);
uint32_t gpu_assign_uuid(struct virtio_gpu *gpu, const uint8_t *request);

/* ---- gpu_scanout.c ---- */
uint32_t gpu_set_scanout(struct virtio_gpu *gpu, const uint8_t *request);
uint32_t gpu_set_scanout_blob(struct virtio_gpu *gpu, const uint8_t *request);
uint32_t gpu_flush(struct virtio_gpu *gpu, const uint8_t *request);
/*
 * Sets a frame, of a resource and a format that exist, or returns an error. `copy` is what has to
 * be copied before gpu_scanout_show().
 */
uint32_t gpu_scanout_set(struct virtio_gpu *gpu, unsigned scanout, const struct gpu_frame *frame,
                         struct gpu_copy *copy);
void gpu_scanout_show(struct virtio_gpu *gpu, unsigned scanout);
/* Shows nothing any more where the resource is shown. */
void gpu_scanouts_drop(struct virtio_gpu *gpu, uint32_t resource_id);
/* The request that is being carried out will not be: what it has set is not shown. */
void gpu_scanout_abandon(struct virtio_gpu *gpu);
void gpu_scanout_clear(struct virtio_gpu *gpu, unsigned scanout);

/* ---- gpu_cursor.c ---- */
uint32_t gpu_cursor(struct virtio_gpu *gpu, const uint8_t *request);
void gpu_cursor_show(struct virtio_gpu *gpu, unsigned scanout); /* picture and place */
void gpu_cursor_hide(struct virtio_gpu *gpu, unsigned scanout);

/* ---- gpu_info.c ---- */
uint32_t gpu_display_info(struct virtio_gpu *gpu, const uint8_t *request);
uint32_t gpu_get_edid(struct virtio_gpu *gpu, const uint8_t *request);
/* Of struct display_handler. */
void gpu_on_resize(void *ctx, unsigned scanout, uint32_t width, uint32_t height);

/* ---- gpu_state.c ---- */
void gpu_state(struct virtio_device *dev, struct state *s);

#endif
