// SPDX-License-Identifier: BSD-2-Clause
/*
 * Resources with their pixels and backings, scanouts and cursors. What the display asks for is the
 * display's: the driver is told of another size as ever.
 */
#include <stdlib.h>

#include "core/base/xmath.h"
#include "core/state/state.h"
#include "virtio/gpu/gpu_impl.h"

/* ---- resources ---- */

static void ranges_state(struct virtio_gpu *gpu, struct state *s, struct gpu_backing *b,
                         uint32_t count)
{
    struct gpu_backing saved = *b;
    if (s->loads && !gpu_backing_alloc(gpu, b, count)) {
        state_refuse(s, "there is no memory for a resource's backing");
        return;
    }
    for (uint32_t i = 0; i < count && s->err == 0; i++) {
        uint64_t gpa = 0, bytes = 0;
        if (!s->loads) {
            gpa = saved.ranges[i].gpa;
            bytes = gpu_range_bytes(&saved, i);
        }
        if (!state_begin(s, "range", i, 1))
            return;
        gpa = state_number(s, "gpa", gpa, UINT64_MAX);
        bytes = state_number(s, "bytes", bytes, UINT64_MAX);
        if (s->loads && s->err == 0 && !gpu_backing_add(gpu, b, gpa, bytes))
            state_refuse(s, "a resource's backing is outside of guest memory");
        state_end(s);
    }
}

/* NULL: refused. */
static struct gpu_resource *load_resource(struct virtio_gpu *gpu, struct state *s,
                                          const struct gpu_resource *like)
{
    struct gpu_resource *res = NULL;
    if (!gpu_resource_is_possible(like))
        state_refuse(s, "there can be no such resource");
    else if (gpu_resource_make(gpu, like, &res) != VIRTIO_GPU_RESP_OK_NODATA)
        state_refuse(s, "a resource does not fit beside the others");
    return res;
}

/* Of a resource that is saved, or (NULL) of one to be made. */
static void resource_state(struct virtio_gpu *gpu, struct state *s, unsigned index,
                           struct gpu_resource *res)
{
    struct gpu_resource like = res != NULL ? *res : (struct gpu_resource){0};
    if (!state_begin(s, "resource", index, 1))
        return;
    like.id = (uint32_t)state_number(s, "id", like.id, UINT32_MAX);
    like.format = (uint32_t)state_number(s, "format", like.format, UINT32_MAX);
    like.width = (uint32_t)state_number(s, "width", like.width, UINT32_MAX);
    like.height = (uint32_t)state_number(s, "height", like.height, UINT32_MAX);
    like.bytes = state_number(s, "bytes", like.bytes, UINT64_MAX);
    like.uuid = state_number(s, "uuid", like.uuid, UINT32_MAX);
    bool has_backing = state_number(s, "has_backing", like.backing.ranges != NULL, true);
    uint32_t ranges = (uint32_t)state_number(s, "ranges", like.backing.count, UINT32_MAX);
    if (s->loads && s->err == 0)
        res = load_resource(gpu, s, &like);
    if (res != NULL && s->err == 0 && has_backing)
        ranges_state(gpu, s, &res->backing, ranges);
    if (res != NULL && s->err == 0 && res->pixels != NULL)
        state_bytes(s, "pixels", res->pixels, res->bytes);
    state_end(s);
}

static void resources_state(struct virtio_gpu *gpu, struct state *s)
{
    unsigned count = (unsigned)state_number(s, "resources", gpu->resource_count, GPU_RESOURCES_MAX);
    unsigned index = 0;
    if (s->loads) {
        for (; index < count && s->err == 0; index++)
            resource_state(gpu, s, index, NULL);
        return;
    }
    for (unsigned i = 0; i < GPU_BUCKETS; i++) {
        struct gpu_resource *res;
        LIST_FOREACH(res, &gpu->buckets[i], link)
        resource_state(gpu, s, index++, res);
    }
}

/* ---- scanouts ---- */

static void frame_state(struct virtio_gpu *gpu, struct state *s, unsigned scanout)
{
    struct gpu_frame f = gpu->scanouts[scanout].frame;
    struct gpu_copy copy;
    uint64_t turn_bytes = UINT64_MAX;
    f.resource_id = (uint32_t)state_number(s, "resource", f.resource_id, UINT32_MAX);
    f.rect.x = (uint32_t)state_number(s, "x", f.rect.x, UINT32_MAX);
    f.rect.y = (uint32_t)state_number(s, "y", f.rect.y, UINT32_MAX);
    f.rect.width = (uint32_t)state_number(s, "width", f.rect.width, UINT32_MAX);
    f.rect.height = (uint32_t)state_number(s, "height", f.rect.height, UINT32_MAX);
    f.format = (uint32_t)state_number(s, "format", f.format, UINT32_MAX);
    f.stride = (uint32_t)state_number(s, "stride", f.stride, UINT32_MAX);
    f.offset = (uint32_t)state_number(s, "offset", f.offset, UINT32_MAX);
    if (!s->loads || s->err != 0 || f.resource_id == 0)
        return;
    if (gpu_resource_find(gpu, f.resource_id) == NULL || gpu_format(f.format) == NULL ||
        f.stride / GPU_PIXEL_BYTES < f.rect.width ||
        gpu_scanout_set(gpu, scanout, &f, &copy) != VIRTIO_GPU_RESP_OK_NODATA) {
        state_refuse(s, "a scanout cannot show its resource");
        return;
    }
    gpu_copy_run(&copy, &turn_bytes);
    gpu_scanout_show(gpu, scanout);
}

static void cursor_state(struct virtio_gpu *gpu, struct state *s, unsigned scanout)
{
    struct gpu_scanout *to = &gpu->scanouts[scanout];
    bool shown = state_number(s, "cursor", to->cursor != NULL, true);
    to->cursor_x = (uint32_t)state_number(s, "cursor_x", to->cursor_x, UINT32_MAX);
    to->cursor_y = (uint32_t)state_number(s, "cursor_y", to->cursor_y, UINT32_MAX);
    if (shown && to->cursor == NULL)
        to->cursor = calloc(1, sizeof(*to->cursor));
    if (!shown || s->err != 0)
        return;
    if (to->cursor == NULL) {
        state_refuse(s, "there is no memory for a cursor");
        return;
    }
    struct display_cursor *c = to->cursor;
    state_bytes(s, "cursor_pixels", c->pixels, sizeof(c->pixels));
    c->hot_x = (uint32_t)state_number(s, "hot_x", c->hot_x, DISPLAY_CURSOR_SIDE - 1);
    c->hot_y = (uint32_t)state_number(s, "hot_y", c->hot_y, DISPLAY_CURSOR_SIDE - 1);
    if (s->loads && s->err == 0)
        gpu_cursor_show(gpu, scanout);
}

void gpu_state(struct virtio_device *dev, struct state *s)
{
    struct virtio_gpu *gpu = container_of(dev, struct virtio_gpu, dev);
    uint8_t *events = gpu->config + VIRTIO_GPU_CONFIG_events_read;
    *events = (uint8_t)state_number(s, "events", *events, VIRTIO_GPU_EVENT_DISPLAY);
    gpu->uuids = state_number(s, "uuids", gpu->uuids, UINT32_MAX);
    resources_state(gpu, s);
    for (unsigned i = 0; i < gpu->scanout_count && s->err == 0; i++) {
        if (!state_begin(s, "scanout", i, 1))
            return;
        frame_state(gpu, s, i);
        cursor_state(gpu, s, i);
        state_end(s);
    }
}
