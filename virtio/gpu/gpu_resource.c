// SPDX-License-Identifier: BSD-2-Clause
/* Resources: pixels in host memory, or blobs in the guest's. */
#include <stdlib.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/gpu/gpu_impl.h"

const struct gpu_format *gpu_format(uint32_t code)
{
    static const struct gpu_format formats[] = {
        {VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, DISPLAY_BGRX, true},
        {VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, DISPLAY_BGRX, false},
        {VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, DISPLAY_XRGB, true},
        {VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, DISPLAY_XRGB, false},
        {VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, DISPLAY_RGBX, true},
        {VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, DISPLAY_XBGR, false},
        {VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, DISPLAY_XBGR, true},
        {VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, DISPLAY_RGBX, false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
        if (formats[i].code == code)
            return &formats[i];
    return NULL;
}

/* ---- they come and go ---- */

struct gpu_resource *gpu_resource_find(struct virtio_gpu *gpu, uint32_t id)
{
    struct gpu_resource *res;
    LIST_FOREACH(res, &gpu->buckets[id % GPU_BUCKETS], link)
    {
        if (res->id == id)
            break;
    }
    return res;
}

/* What a resource takes of the budget, beside its backing. */
static uint64_t cost(const struct gpu_resource *res)
{
    return sizeof(*res) + (res->format != 0 ? res->bytes : 0);
}

bool gpu_resource_is_possible(const struct gpu_resource *like)
{
    uint64_t bytes;
    if (like->format == 0)
        return like->bytes > 0;
    return gpu_format(like->format) != NULL && like->width > 0 && like->height > 0 &&
           checked_mul_u64((uint64_t)like->width * like->height, GPU_PIXEL_BYTES, &bytes) &&
           like->bytes == bytes;
}

uint32_t gpu_resource_make(struct virtio_gpu *gpu, const struct gpu_resource *like,
                           struct gpu_resource **out)
{
    if (like->id == 0 || gpu_resource_find(gpu, like->id) != NULL)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (gpu->resource_count == GPU_RESOURCES_MAX || !gpu_charge(gpu, cost(like)))
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    struct gpu_resource *res = malloc(sizeof(*res));
    uint8_t *pixels = res != NULL && like->format != 0 ? calloc(1, like->bytes) : NULL;
    if (res == NULL || (like->format != 0 && pixels == NULL)) {
        free(res);
        gpu_refund(gpu, cost(like));
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    *res = *like;
    res->pixels = pixels;
    res->backing = (struct gpu_backing){0};
    LIST_INSERT_HEAD(&gpu->buckets[res->id % GPU_BUCKETS], res, link);
    gpu->resource_count++;
    if (pixels != NULL)
        gpu_spend(gpu, like->bytes); /* memory that is used again has to be zeroed */
    *out = res;
    return VIRTIO_GPU_RESP_OK_NODATA;
}

void gpu_resource_free(struct virtio_gpu *gpu, struct gpu_resource *res)
{
    LIST_REMOVE(res, link);
    gpu->resource_count--;
    gpu_backing_free(gpu, &res->backing);
    gpu_refund(gpu, cost(res));
    free(res->pixels);
    free(res);
}

void gpu_resources_forget(struct virtio_gpu *gpu)
{
    for (unsigned i = 0; i < GPU_BUCKETS; i++)
        while (!LIST_EMPTY(&gpu->buckets[i]))
            gpu_resource_free(gpu, LIST_FIRST(&gpu->buckets[i]));
}

/* ---- commands ---- */

uint32_t gpu_create_2d(struct virtio_gpu *gpu, const uint8_t *request)
{
    struct gpu_resource *res;
    struct gpu_resource like = {
        .id = le32_get(request + VIRTIO_GPU_CREATE_2D_resource_id),
        .format = le32_get(request + VIRTIO_GPU_CREATE_2D_format),
        .width = le32_get(request + VIRTIO_GPU_CREATE_2D_width),
        .height = le32_get(request + VIRTIO_GPU_CREATE_2D_height),
    };
    if (gpu_format(like.format) == NULL || like.width == 0 || like.height == 0)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    uint64_t pixels = (uint64_t)like.width * like.height;
    if (!checked_mul_u64(pixels, GPU_PIXEL_BYTES, &like.bytes))
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    return gpu_resource_make(gpu, &like, &res);
}

uint32_t gpu_create_blob(struct virtio_gpu *gpu, const uint8_t *request)
{
    struct gpu_resource *res;
    struct gpu_resource like = {
        .id = le32_get(request + VIRTIO_GPU_CREATE_BLOB_resource_id),
        .bytes = le64_get(request + VIRTIO_GPU_CREATE_BLOB_size),
    };
    uint32_t entries = le32_get(request + VIRTIO_GPU_CREATE_BLOB_nr_entries);
    if (le32_get(request + VIRTIO_GPU_CREATE_BLOB_blob_mem) != VIRTIO_GPU_BLOB_MEM_GUEST ||
        like.bytes == 0)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    uint32_t answer = gpu_resource_make(gpu, &like, &res);
    if (answer != VIRTIO_GPU_RESP_OK_NODATA || entries == 0)
        return answer;
    answer = gpu_backing_read(gpu, &res->backing, &gpu->request.chain->rd, entries);
    if (answer != VIRTIO_GPU_RESP_OK_NODATA)
        gpu_resource_free(gpu, res);
    return answer;
}

/* The resource of a request that names one and no more. */
static struct gpu_resource *named(struct virtio_gpu *gpu, const uint8_t *request)
{
    return gpu_resource_find(gpu, le32_get(request + VIRTIO_GPU_RESOURCE_resource_id));
}

uint32_t gpu_unref(struct virtio_gpu *gpu, const uint8_t *request)
{
    struct gpu_resource *res = named(gpu, request);
    if (res == NULL)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    gpu_scanouts_drop(gpu, res->id);
    gpu_resource_free(gpu, res);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t gpu_attach(struct virtio_gpu *gpu, const uint8_t *request)
{
    struct gpu_resource *res = named(gpu, request);
    if (res == NULL)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (res->backing.ranges != NULL)
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    return gpu_backing_read(gpu, &res->backing, &gpu->request.chain->rd,
                            le32_get(request + VIRTIO_GPU_ATTACH_nr_entries));
}

uint32_t gpu_detach(struct virtio_gpu *gpu, const uint8_t *request)
{
    struct gpu_resource *res = named(gpu, request);
    if (res == NULL)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (res->backing.ranges == NULL)
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (res->pixels == NULL)
        gpu_scanouts_drop(gpu, res->id);
    gpu_backing_free(gpu, &res->backing);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t gpu_assign_uuid(struct virtio_gpu *gpu, const uint8_t *request)
{
    /* Version 8, which says that the other bits are Minivet's: its name, and a number. */
    static const uint8_t uuid[] = {'m', 'i', 'n', 'i', 'v', 'e', 0x80, 't', 0x80, 'g', 'p', 'u'};
    struct gpu_resource *res = named(gpu, request);
    uint8_t *to = gpu->request.response + VIRTIO_GPU_RESP_UUID_uuid;
    if (res == NULL)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (res->uuid == 0)
        res->uuid = ++gpu->uuids;
    memcpy(to, uuid, sizeof(uuid));
    le32_put(to + sizeof(uuid), (uint32_t)res->uuid);
    gpu->request.response_bytes = VIRTIO_GPU_RESP_UUID_BYTES;
    return VIRTIO_GPU_RESP_OK_RESOURCE_UUID;
}

/* The rectangle's pixels lie in the backing in rows as long as the resource's, from `offset` on. */
uint32_t gpu_transfer(struct virtio_gpu *gpu, const uint8_t *request)
{
    struct display_rect r = gpu_get_rect(request + VIRTIO_GPU_TRANSFER_r);
    uint64_t offset = le64_get(request + VIRTIO_GPU_TRANSFER_offset);
    uint32_t id = le32_get(request + VIRTIO_GPU_TRANSFER_resource_id);
    struct gpu_resource *res = gpu_resource_find(gpu, id);
    if (res == NULL)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (res->pixels == NULL) /* as Linux has it: the host has no copy of a guest's blob */
        return VIRTIO_GPU_RESP_OK_NODATA;
    if (!range_within(r.x, r.width, 0, res->width) || !range_within(r.y, r.height, 0, res->height))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (r.width == 0 || r.height == 0)
        return VIRTIO_GPU_RESP_OK_NODATA;
    /* The budget bounds both: these fit. */
    uint64_t stride = (uint64_t)res->width * GPU_PIXEL_BYTES;
    uint64_t row_bytes = (uint64_t)r.width * GPU_PIXEL_BYTES;
    if (!range_within(offset, stride * (r.height - 1) + row_bytes, 0, res->backing.bytes))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    gpu->request.copy = (struct gpu_copy){
        .from = &res->backing,
        .at = offset,
        .stride = stride,
        .to = res->pixels + stride * r.y + (uint64_t)r.x * GPU_PIXEL_BYTES,
        .to_stride = stride,
        .row_bytes = row_bytes,
        .rows = r.height,
    };
    return VIRTIO_GPU_RESP_OK_NODATA;
}
