// SPDX-License-Identifier: BSD-2-Clause
/* What the display shows, and what of it has changed. */
#include <stdlib.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/gpu/gpu_impl.h"

/* Where the frame's first pixel is in its resource; each factor has 32 bits. */
static uint64_t frame_begin(const struct gpu_frame *f)
{
    return f->offset + (uint64_t)f->stride * f->rect.y + (uint64_t)f->rect.x * GPU_PIXEL_BYTES;
}

/* From there to behind its last one. */
static uint64_t frame_span(const struct gpu_frame *f)
{
    return (uint64_t)f->stride * (f->rect.height - 1) + (uint64_t)f->rect.width * GPU_PIXEL_BYTES;
}

/* Its bytes, without the gaps between rows. */
static uint64_t frame_pixels(const struct gpu_frame *f)
{
    return (uint64_t)f->rect.width * f->rect.height * GPU_PIXEL_BYTES;
}

/* A copy of part of a blob's frame, in the frame's own pixels, to the shadow. */
static struct gpu_copy copy_of(struct virtio_gpu *gpu, const struct gpu_scanout *s,
                               const struct display_rect *part)
{
    const struct gpu_frame *f = &s->frame;
    uint64_t to_stride = (uint64_t)f->rect.width * GPU_PIXEL_BYTES;
    uint64_t column = (uint64_t)part->x * GPU_PIXEL_BYTES;
    return (struct gpu_copy){
        .from = &gpu_resource_find(gpu, f->resource_id)->backing,
        .at = frame_begin(f) + (uint64_t)f->stride * part->y + column,
        .stride = f->stride,
        .to = s->shadow + to_stride * part->y + column,
        .to_stride = to_stride,
        .row_bytes = (uint64_t)part->width * GPU_PIXEL_BYTES,
        .rows = part->height,
    };
}

/* ---- shown and not ---- */

void gpu_scanout_show(struct virtio_gpu *gpu, unsigned scanout)
{
    const struct gpu_scanout *s = &gpu->scanouts[scanout];
    const struct gpu_frame *f = &s->frame;
    struct gpu_resource *res = gpu_resource_find(gpu, f->resource_id);
    struct display_surface surface = {
        .pixels = s->shadow,
        .width = f->rect.width,
        .height = f->rect.height,
        .stride_bytes = f->stride,
        .format = gpu_format(f->format)->shown,
    };
    if (gpu->display == NULL)
        return;
    if (s->shadow != NULL)
        surface.stride_bytes = (size_t)f->rect.width * GPU_PIXEL_BYTES;
    else if (res->pixels != NULL)
        surface.pixels = res->pixels + frame_begin(f);
    else
        surface.pixels = gpu_backing_whole(&res->backing, frame_begin(f), frame_span(f));
    gpu->display->ops->set_surface(gpu->display, scanout, &surface);
}

/* Of 0 bytes: none. */
static bool alloc_shadow(struct virtio_gpu *gpu, struct gpu_scanout *s, uint64_t bytes)
{
    if (bytes == 0)
        return true;
    if (!gpu_charge(gpu, bytes))
        return false;
    s->shadow = malloc(bytes);
    if (s->shadow != NULL)
        s->shadow_bytes = bytes;
    else
        gpu_refund(gpu, bytes);
    return s->shadow != NULL;
}

static void free_shadow(struct virtio_gpu *gpu, struct gpu_scanout *s)
{
    gpu_refund(gpu, s->shadow_bytes);
    free(s->shadow);
    s->shadow = NULL;
    s->shadow_bytes = 0;
}

void gpu_scanout_clear(struct virtio_gpu *gpu, unsigned scanout)
{
    struct gpu_scanout *s = &gpu->scanouts[scanout];
    if (s->frame.resource_id != 0 && gpu->display != NULL)
        gpu->display->ops->set_surface(gpu->display, scanout, NULL);
    s->frame = (struct gpu_frame){0};
    free_shadow(gpu, s);
}

void gpu_scanouts_drop(struct virtio_gpu *gpu, uint32_t resource_id)
{
    for (unsigned i = 0; i < gpu->scanout_count; i++)
        if (gpu->scanouts[i].frame.resource_id == resource_id)
            gpu_scanout_clear(gpu, i);
}

/* ---- frames ---- */

/* Is all of the frame in the resource? */
static bool is_inside(const struct gpu_resource *res, const struct gpu_frame *f)
{
    uint64_t bytes = res->bytes;
    if (res->pixels == NULL)
        bytes = min_u64(bytes, res->backing.bytes);
    return f->rect.width > 0 && f->rect.width <= DISPLAY_SIDE_MAX && f->rect.height > 0 &&
           f->rect.height <= DISPLAY_SIDE_MAX &&
           range_within(frame_begin(f), frame_span(f), 0, bytes);
}

uint32_t gpu_scanout_set(struct virtio_gpu *gpu, unsigned scanout, const struct gpu_frame *frame,
                         struct gpu_copy *copy)
{
    struct gpu_scanout *s = &gpu->scanouts[scanout];
    struct gpu_resource *res = gpu_resource_find(gpu, frame->resource_id);
    if (!is_inside(res, frame))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    bool is_scattered = res->pixels == NULL && gpu_backing_whole(&res->backing, frame_begin(frame),
                                                                 frame_span(frame)) == NULL;
    uint64_t bytes = is_scattered ? frame_pixels(frame) : 0;
    if (s->shadow_bytes != bytes) {
        if (s->shadow != NULL)
            gpu_scanout_clear(gpu, scanout); /* before another copy takes memory */
        if (!alloc_shadow(gpu, s, bytes))
            return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    s->frame = *frame;
    *copy = (struct gpu_copy){0};
    if (is_scattered)
        *copy =
            copy_of(gpu, s, &(struct display_rect){0, 0, frame->rect.width, frame->rect.height});
    return VIRTIO_GPU_RESP_OK_NODATA;
}

/* ---- commands ---- */

static void then_show(struct virtio_gpu *gpu)
{
    gpu->request.then = NULL;
    gpu_scanout_show(gpu, gpu->request.scanout);
}

void gpu_scanout_abandon(struct virtio_gpu *gpu)
{
    if (gpu->request.then == then_show)
        gpu_scanout_clear(gpu, gpu->request.scanout);
}

static uint32_t set(struct virtio_gpu *gpu, uint32_t scanout, const struct gpu_frame *frame)
{
    uint32_t answer = gpu_scanout_set(gpu, scanout, frame, &gpu->request.copy);
    if (answer == VIRTIO_GPU_RESP_OK_NODATA) {
        gpu->request.then = then_show;
        gpu->request.scanout = scanout;
    }
    return answer;
}

uint32_t gpu_set_scanout(struct virtio_gpu *gpu, const uint8_t *request)
{
    uint32_t scanout = le32_get(request + VIRTIO_GPU_SET_SCANOUT_scanout_id);
    struct gpu_frame frame = {
        .resource_id = le32_get(request + VIRTIO_GPU_SET_SCANOUT_resource_id),
        .rect = gpu_get_rect(request + VIRTIO_GPU_SET_SCANOUT_r),
    };
    if (scanout >= gpu->scanout_count)
        return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    if (frame.resource_id == 0) {
        gpu_scanout_clear(gpu, scanout);
        return VIRTIO_GPU_RESP_OK_NODATA;
    }
    const struct gpu_resource *res = gpu_resource_find(gpu, frame.resource_id);
    if (res == NULL)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (res->pixels == NULL || !range_within(frame.rect.x, frame.rect.width, 0, res->width) ||
        !range_within(frame.rect.y, frame.rect.height, 0, res->height))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    frame.format = res->format;
    frame.stride = res->width * GPU_PIXEL_BYTES;
    return set(gpu, scanout, &frame);
}

uint32_t gpu_set_scanout_blob(struct virtio_gpu *gpu, const uint8_t *request)
{
    uint32_t scanout = le32_get(request + VIRTIO_GPU_SCANOUT_BLOB_scanout_id);
    uint32_t width = le32_get(request + VIRTIO_GPU_SCANOUT_BLOB_width);
    uint32_t height = le32_get(request + VIRTIO_GPU_SCANOUT_BLOB_height);
    struct gpu_frame frame = {
        .resource_id = le32_get(request + VIRTIO_GPU_SCANOUT_BLOB_resource_id),
        .rect = gpu_get_rect(request + VIRTIO_GPU_SCANOUT_BLOB_r),
        .format = le32_get(request + VIRTIO_GPU_SCANOUT_BLOB_format),
        .stride = le32_get(request + VIRTIO_GPU_SCANOUT_BLOB_strides), /* of plane 0 */
        .offset = le32_get(request + VIRTIO_GPU_SCANOUT_BLOB_offsets),
    };
    if (scanout >= gpu->scanout_count)
        return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    if (frame.resource_id == 0) {
        gpu_scanout_clear(gpu, scanout);
        return VIRTIO_GPU_RESP_OK_NODATA;
    }
    const struct gpu_resource *res = gpu_resource_find(gpu, frame.resource_id);
    if (res == NULL)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (res->pixels != NULL || gpu_format(frame.format) == NULL ||
        frame.stride / GPU_PIXEL_BYTES < width ||
        !range_within(frame.rect.x, frame.rect.width, 0, width) ||
        !range_within(frame.rect.y, frame.rect.height, 0, height))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return set(gpu, scanout, &frame);
}

/* ---- flushes ---- */

/* What of the flushed rectangle is in the frame, in its own pixels; false: nothing. */
static bool clip(const struct display_rect *frame, const struct display_rect *flushed,
                 struct display_rect *part)
{
    uint64_t left = max_u64(frame->x, flushed->x), top = max_u64(frame->y, flushed->y);
    uint64_t right =
        min_u64((uint64_t)frame->x + frame->width, (uint64_t)flushed->x + flushed->width);
    uint64_t bottom =
        min_u64((uint64_t)frame->y + frame->height, (uint64_t)flushed->y + flushed->height);
    if (left >= right || top >= bottom)
        return false;
    *part = (struct display_rect){(uint32_t)(left - frame->x), (uint32_t)(top - frame->y),
                                  (uint32_t)(right - left), (uint32_t)(bottom - top)};
    return true;
}

/* One scanout after the other; what has to be copied first ends a call, and the next goes on. */
static void then_damage(struct virtio_gpu *gpu)
{
    struct gpu_request *r = &gpu->request;
    struct display_rect flushed = gpu_get_rect(r->bytes + VIRTIO_GPU_FLUSH_r), part;
    uint32_t id = le32_get(r->bytes + VIRTIO_GPU_FLUSH_resource_id);
    for (; r->scanout < gpu->scanout_count; r->scanout++) {
        const struct gpu_scanout *s = &gpu->scanouts[r->scanout];
        if (s->frame.resource_id != id || !clip(&s->frame.rect, &flushed, &part))
            continue;
        if (s->shadow != NULL && !r->is_copied) {
            r->copy = copy_of(gpu, s, &part);
            r->is_copied = true;
            return;
        }
        r->is_copied = false;
        if (gpu->display != NULL)
            gpu->display->ops->damage(gpu->display, r->scanout, &part);
    }
    r->then = NULL;
}

uint32_t gpu_flush(struct virtio_gpu *gpu, const uint8_t *request)
{
    struct display_rect r = gpu_get_rect(request + VIRTIO_GPU_FLUSH_r);
    uint32_t id = le32_get(request + VIRTIO_GPU_FLUSH_resource_id);
    const struct gpu_resource *res = gpu_resource_find(gpu, id);
    if (res == NULL)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (res->pixels != NULL && (!range_within(r.x, r.width, 0, res->width) ||
                                !range_within(r.y, r.height, 0, res->height)))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    gpu->request.then = then_damage;
    gpu->request.scanout = 0;
    gpu->request.is_copied = false;
    return VIRTIO_GPU_RESP_OK_NODATA;
}
