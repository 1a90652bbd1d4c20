// SPDX-License-Identifier: BSD-2-Clause
/* The pointer: its picture is copied when the driver sets it. */
#include <stdlib.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/gpu/gpu_impl.h"

#define CURSOR_PIXELS (DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE)
#define CURSOR_BYTES  (CURSOR_PIXELS * GPU_PIXEL_BYTES)
#define CURSOR_PIECES DISPLAY_CURSOR_SIDE /* of a blob, at most: it is copied in one turn */

void gpu_cursor_show(struct virtio_gpu *gpu, unsigned scanout)
{
    const struct gpu_scanout *s = &gpu->scanouts[scanout];
    if (gpu->display == NULL)
        return;
    if (s->cursor != NULL)
        gpu->display->ops->set_cursor(gpu->display, scanout, s->cursor);
    gpu->display->ops->move_cursor(gpu->display, scanout, s->cursor_x, s->cursor_y);
}

void gpu_cursor_hide(struct virtio_gpu *gpu, unsigned scanout)
{
    struct gpu_scanout *s = &gpu->scanouts[scanout];
    if (gpu->display != NULL && s->cursor != NULL)
        gpu->display->ops->set_cursor(gpu->display, scanout, NULL);
    free(s->cursor);
    s->cursor = NULL;
}

/* To BGRA, in place; what has no alpha is opaque. */
static void convert(uint8_t *pixels, const struct gpu_format *format)
{
    static const uint8_t places[][GPU_PIXEL_BYTES] = {/* of blue, green, red and alpha */
                                                      [DISPLAY_BGRX] = {0, 1, 2, 3},
                                                      [DISPLAY_XRGB] = {3, 2, 1, 0},
                                                      [DISPLAY_RGBX] = {2, 1, 0, 3},
                                                      [DISPLAY_XBGR] = {1, 2, 3, 0}};
    const uint8_t *place = places[format->shown];
    for (unsigned i = 0; i < CURSOR_PIXELS; i++, pixels += GPU_PIXEL_BYTES) {
        uint8_t from[GPU_PIXEL_BYTES];
        memcpy(from, pixels, sizeof(from));
        for (unsigned k = 0; k < GPU_PIXEL_BYTES; k++)
            pixels[k] = from[place[k]];
        if (!format->has_alpha)
            pixels[3] = 0xff;
    }
}

/* A blob has no format: it is taken for BGRA, which Linux uses. */
static uint32_t take_picture(struct virtio_gpu *gpu, const struct gpu_resource *res,
                             uint8_t *pixels)
{
    if (res->pixels != NULL) {
        if (res->width != DISPLAY_CURSOR_SIDE || res->height != DISPLAY_CURSOR_SIDE)
            return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
        memcpy(pixels, res->pixels, CURSOR_BYTES);
        convert(pixels, gpu_format(res->format));
        return VIRTIO_GPU_RESP_OK_NODATA;
    }
    if (min_u64(res->bytes, res->backing.bytes) < CURSOR_BYTES ||
        gpu_backing_pieces(&res->backing, CURSOR_BYTES) > CURSOR_PIECES)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    uint64_t turn_bytes = UINT64_MAX;
    struct gpu_copy copy = {
        .from = &res->backing, .to = pixels, .row_bytes = CURSOR_BYTES, .rows = 1};
    gpu_copy_run(&copy, &turn_bytes);
    gpu_spend(gpu, UINT64_MAX - turn_bytes);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t set_picture(struct virtio_gpu *gpu, struct gpu_scanout *s, const uint8_t *request)
{
    uint32_t id = le32_get(request + VIRTIO_GPU_CURSOR_resource_id);
    uint32_t hot_x = le32_get(request + VIRTIO_GPU_CURSOR_hot_x);
    uint32_t hot_y = le32_get(request + VIRTIO_GPU_CURSOR_hot_y);
    struct gpu_resource *res = gpu_resource_find(gpu, id);
    if (res == NULL)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (hot_x >= DISPLAY_CURSOR_SIDE || hot_y >= DISPLAY_CURSOR_SIDE)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    struct display_cursor *cursor = malloc(sizeof(*cursor));
    if (cursor == NULL)
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    uint32_t answer = take_picture(gpu, res, cursor->pixels);
    if (answer != VIRTIO_GPU_RESP_OK_NODATA) {
        free(cursor);
        return answer;
    }
    cursor->hot_x = hot_x;
    cursor->hot_y = hot_y;
    free(s->cursor);
    s->cursor = cursor;
    return answer;
}

uint32_t gpu_cursor(struct virtio_gpu *gpu, const uint8_t *request)
{
    uint32_t scanout = le32_get(request + VIRTIO_GPU_CURSOR_scanout_id);
    bool updates = le32_get(request) == VIRTIO_GPU_CMD_UPDATE_CURSOR;
    if (scanout >= gpu->scanout_count)
        return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    struct gpu_scanout *s = &gpu->scanouts[scanout];
    if (updates && le32_get(request + VIRTIO_GPU_CURSOR_resource_id) == 0) {
        gpu_cursor_hide(gpu, scanout);
    } else if (updates) {
        uint32_t answer = set_picture(gpu, s, request);
        if (answer != VIRTIO_GPU_RESP_OK_NODATA)
            return answer;
    }
    s->cursor_x = le32_get(request + VIRTIO_GPU_CURSOR_x);
    s->cursor_y = le32_get(request + VIRTIO_GPU_CURSOR_y);
    if (updates)
        gpu_cursor_show(gpu, scanout);
    else if (gpu->display != NULL)
        gpu->display->ops->move_cursor(gpu->display, scanout, s->cursor_x, s->cursor_y);
    return VIRTIO_GPU_RESP_OK_NODATA;
}
