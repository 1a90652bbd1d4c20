// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/gpureq.h"

#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/memory/gmem.h"

#define ROOM VIRTIO_GPU_RESP_EDID_BYTES

static uint64_t response_gpa;
static uint32_t response_bytes;

void gpureq_start(struct rig *rig)
{
    rig_start(rig, GPUREQ_FEATURES, VIRTIO_GPU_QUEUES, GPUREQ_SIZE);
}

void gpureq_send(struct rig *rig, unsigned queue, const void *request, uint32_t bytes,
                 uint32_t room)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, bytes + room, 8);
    memcpy(vdrv_ptr(&rig->drv, gpa, bytes), request, bytes);
    struct vdrv_buf bufs[] = {{gpa, bytes, false}, {gpa + bytes, room, true}};
    int sent = vdrv_send(&rig->drv.q[queue], bufs, room > 0 ? 2 : 1);
    BUG_ON(sent < 0);
    response_gpa = gpa + bytes;
}

uint32_t gpureq_call(struct rig *rig, unsigned queue, const void *request, uint32_t bytes,
                     uint32_t room)
{
    uint64_t heap_gpa = rig->drv.heap_gpa;
    uint32_t head;
    gpureq_send(rig, queue, request, bytes, room);
    rig_step(rig);
    rig->drv.heap_gpa = heap_gpa;
    response_bytes = 0;
    if (!vdrv_used(&rig->drv.q[queue], &head, &response_bytes) || response_bytes < 4)
        return 0;
    return le32_get(gpureq_response(rig));
}

const uint8_t *gpureq_response(const struct rig *rig)
{
    return gmem_ptr(rig->gmem, response_gpa, ROOM, 1);
}

uint32_t gpureq_response_bytes(void)
{
    return response_bytes;
}

/* ---- requests ---- */

uint32_t gpureq_make(uint8_t *to, uint32_t type, uint32_t bytes)
{
    memset(to, 0, bytes);
    le32_put(to, type);
    return bytes;
}

void gpureq_put_rect(uint8_t *to, const struct display_rect *r)
{
    le32_put(to + VIRTIO_GPU_RECT_x, r->x);
    le32_put(to + VIRTIO_GPU_RECT_y, r->y);
    le32_put(to + VIRTIO_GPU_RECT_width, r->width);
    le32_put(to + VIRTIO_GPU_RECT_height, r->height);
}

uint32_t gpureq_make_transfer(uint8_t *to, uint32_t id, const struct display_rect *r,
                              uint64_t offset)
{
    gpureq_make(to, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, VIRTIO_GPU_TRANSFER_BYTES);
    gpureq_put_rect(to + VIRTIO_GPU_TRANSFER_r, r);
    le64_put(to + VIRTIO_GPU_TRANSFER_offset, offset);
    le32_put(to + VIRTIO_GPU_TRANSFER_resource_id, id);
    return VIRTIO_GPU_TRANSFER_BYTES;
}

uint32_t gpureq_make_flush(uint8_t *to, uint32_t id, const struct display_rect *r)
{
    gpureq_make(to, VIRTIO_GPU_CMD_RESOURCE_FLUSH, VIRTIO_GPU_FLUSH_BYTES);
    gpureq_put_rect(to + VIRTIO_GPU_FLUSH_r, r);
    le32_put(to + VIRTIO_GPU_FLUSH_resource_id, id);
    return VIRTIO_GPU_FLUSH_BYTES;
}

static uint32_t control(struct rig *rig, const uint8_t *request, uint32_t bytes)
{
    return gpureq_call(rig, VIRTIO_GPU_CONTROLQ, request, bytes, ROOM);
}

uint32_t gpureq_simple(struct rig *rig, uint32_t type, uint32_t id)
{
    uint8_t request[VIRTIO_GPU_RESOURCE_BYTES];
    gpureq_make(request, type, sizeof(request));
    le32_put(request + VIRTIO_GPU_RESOURCE_resource_id, id);
    return control(rig, request, sizeof(request));
}

uint32_t gpureq_create(struct rig *rig, uint32_t id, uint32_t format, uint32_t width,
                       uint32_t height)
{
    uint8_t request[VIRTIO_GPU_CREATE_2D_BYTES];
    gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, sizeof(request));
    le32_put(request + VIRTIO_GPU_CREATE_2D_resource_id, id);
    le32_put(request + VIRTIO_GPU_CREATE_2D_format, format);
    le32_put(request + VIRTIO_GPU_CREATE_2D_width, width);
    le32_put(request + VIRTIO_GPU_CREATE_2D_height, height);
    return control(rig, request, sizeof(request));
}

/* A request and the entries behind it, in guest memory at once: there may be many. */
static uint32_t send_entries(struct rig *rig, const uint8_t *request, uint32_t bytes,
                             const struct gpureq_entry *entries, uint32_t count)
{
    uint64_t heap_gpa = rig->drv.heap_gpa;
    uint32_t all = bytes + count * VIRTIO_GPU_MEM_ENTRY_BYTES;
    uint64_t gpa = vdrv_alloc(&rig->drv, all, 8);
    uint8_t *to = vdrv_ptr(&rig->drv, gpa, all);
    memcpy(to, request, bytes);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *entry = to + bytes + i * VIRTIO_GPU_MEM_ENTRY_BYTES;
        le64_put(entry + VIRTIO_GPU_MEM_ENTRY_addr, entries[i].gpa);
        le32_put(entry + VIRTIO_GPU_MEM_ENTRY_length, entries[i].bytes);
        le32_put(entry + VIRTIO_GPU_MEM_ENTRY_length + 4, 0);
    }
    uint32_t answer = control(rig, to, all);
    rig->drv.heap_gpa = heap_gpa;
    return answer;
}

uint32_t gpureq_attach(struct rig *rig, uint32_t id, const struct gpureq_entry *entries,
                       uint32_t count)
{
    uint8_t request[VIRTIO_GPU_ATTACH_BYTES];
    gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, sizeof(request));
    le32_put(request + VIRTIO_GPU_ATTACH_resource_id, id);
    le32_put(request + VIRTIO_GPU_ATTACH_nr_entries, count);
    return send_entries(rig, request, sizeof(request), entries, count);
}

uint32_t gpureq_blob(struct rig *rig, uint32_t id, uint64_t bytes,
                     const struct gpureq_entry *entries, uint32_t count)
{
    uint8_t request[VIRTIO_GPU_CREATE_BLOB_BYTES];
    gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, sizeof(request));
    le32_put(request + VIRTIO_GPU_CREATE_BLOB_resource_id, id);
    le32_put(request + VIRTIO_GPU_CREATE_BLOB_blob_mem, VIRTIO_GPU_BLOB_MEM_GUEST);
    le32_put(request + VIRTIO_GPU_CREATE_BLOB_nr_entries, count);
    le64_put(request + VIRTIO_GPU_CREATE_BLOB_size, bytes);
    return send_entries(rig, request, sizeof(request), entries, count);
}

uint32_t gpureq_transfer(struct rig *rig, uint32_t id, const struct display_rect *r,
                         uint64_t offset)
{
    uint8_t request[VIRTIO_GPU_TRANSFER_BYTES];
    return control(rig, request, gpureq_make_transfer(request, id, r, offset));
}

uint32_t gpureq_flush(struct rig *rig, uint32_t id, const struct display_rect *r)
{
    uint8_t request[VIRTIO_GPU_FLUSH_BYTES];
    return control(rig, request, gpureq_make_flush(request, id, r));
}

uint32_t gpureq_scanout(struct rig *rig, uint32_t scanout, uint32_t id,
                        const struct display_rect *r)
{
    uint8_t request[VIRTIO_GPU_SET_SCANOUT_BYTES];
    gpureq_make(request, VIRTIO_GPU_CMD_SET_SCANOUT, sizeof(request));
    gpureq_put_rect(request + VIRTIO_GPU_SET_SCANOUT_r, r);
    le32_put(request + VIRTIO_GPU_SET_SCANOUT_scanout_id, scanout);
    le32_put(request + VIRTIO_GPU_SET_SCANOUT_resource_id, id);
    return control(rig, request, sizeof(request));
}

uint32_t gpureq_scanout_blob(struct rig *rig, uint32_t scanout, uint32_t id,
                             const struct display_rect *r, const struct gpureq_frame *frame)
{
    uint8_t request[VIRTIO_GPU_SCANOUT_BLOB_BYTES];
    gpureq_make(request, VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, sizeof(request));
    gpureq_put_rect(request + VIRTIO_GPU_SCANOUT_BLOB_r, r);
    le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_scanout_id, scanout);
    le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_resource_id, id);
    le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_width, frame->width);
    le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_height, frame->height);
    le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_format, frame->format);
    le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_strides, frame->stride);
    le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_offsets, frame->offset);
    return control(rig, request, sizeof(request));
}

uint32_t gpureq_cursor(struct rig *rig, uint32_t type, const struct gpureq_pointer *p)
{
    uint8_t request[VIRTIO_GPU_CURSOR_BYTES];
    gpureq_make(request, type, sizeof(request));
    le32_put(request + VIRTIO_GPU_CURSOR_scanout_id, p->scanout);
    le32_put(request + VIRTIO_GPU_CURSOR_x, p->x);
    le32_put(request + VIRTIO_GPU_CURSOR_y, p->y);
    le32_put(request + VIRTIO_GPU_CURSOR_resource_id, p->id);
    le32_put(request + VIRTIO_GPU_CURSOR_hot_x, p->hot_x);
    le32_put(request + VIRTIO_GPU_CURSOR_hot_y, p->hot_y);
    return gpureq_call(rig, VIRTIO_GPU_CURSORQ, request, sizeof(request), VIRTIO_GPU_HDR_BYTES);
}

/* ---- pictures ---- */

uint32_t gpureq_pixel(uint32_t seed, uint32_t x, uint32_t y)
{
    return (seed + x * 0x01000193u + y * 0x00810001u) * 0x9e3779b1u;
}

uint64_t gpureq_picture(struct rig *rig, uint32_t width, uint32_t height, uint32_t seed)
{
    uint32_t bytes = width * height * 4;
    uint64_t gpa = vdrv_alloc(&rig->drv, bytes, 4);
    uint8_t *to = vdrv_ptr(&rig->drv, gpa, bytes);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++, to += 4)
            le32_put(to, gpureq_pixel(seed, x, y));
    return gpa;
}

uint64_t gpureq_show(struct rig *rig, uint32_t scanout, uint32_t id, uint32_t width,
                     uint32_t height, uint32_t seed)
{
    uint64_t gpa = gpureq_picture(rig, width, height, seed);
    struct gpureq_entry entry = {gpa, width * height * 4};
    const struct display_rect *all = GPUREQ_RECT(0, 0, width, height);
    bool works = gpureq_create(rig, id, GPUREQ_FORMAT, width, height) == GPUREQ_OK &&
                 gpureq_attach(rig, id, &entry, 1) == GPUREQ_OK &&
                 gpureq_transfer(rig, id, all, 0) == GPUREQ_OK &&
                 gpureq_scanout(rig, scanout, id, all) == GPUREQ_OK &&
                 gpureq_flush(rig, id, all) == GPUREQ_OK;
    BUG_ON(!works);
    return gpa;
}

bool gpureq_sees(const struct rig *rig, unsigned scanout, uint32_t width, uint32_t height,
                 uint32_t seed)
{
    const struct fake_screen *s = &rig->display.screens[scanout];
    if (!s->shows || s->surface.width != width || s->surface.height != height)
        return false;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            if (fake_display_pixel(&rig->display, scanout, x, y) != gpureq_pixel(seed, x, y))
                return false;
    return true;
}
