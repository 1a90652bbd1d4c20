// SPDX-License-Identifier: BSD-2-Clause
/* Where in guest memory a resource lies, and how it is copied from there. */
#include <stdlib.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "virtio/gpu/gpu_impl.h"

uint64_t gpu_range_bytes(const struct gpu_backing *backing, unsigned index)
{
    uint64_t end = index + 1 < backing->count ? backing->ranges[index + 1].begin : backing->bytes;
    return end - backing->ranges[index].begin;
}

bool gpu_backing_add(struct virtio_gpu *gpu, struct gpu_backing *backing, uint64_t gpa,
                     uint64_t bytes)
{
    const uint8_t *hva = gmem_ptr(gpu->dev.setup.gmem, gpa, bytes, 1);
    if (hva == NULL)
        return false;
    if (bytes == 0)
        return true;
    unsigned last = backing->count - 1;
    if (backing->count == 0 || backing->ranges[last].hva + gpu_range_bytes(backing, last) != hva)
        backing->ranges[backing->count++] =
            (struct gpu_range){.begin = backing->bytes, .gpa = gpa, .hva = hva};
    backing->bytes += bytes;
    return true;
}

bool gpu_backing_alloc(struct virtio_gpu *gpu, struct gpu_backing *backing, uint32_t count)
{
    uint64_t bytes = max_u64(count, 1) * sizeof(struct gpu_range);
    uint32_t max = gpu->is_recorded ? VIRTIO_GPU_TAPED_ENTRIES : VIRTIO_GPU_ENTRIES_MAX;
    if (count > max || !gpu_charge(gpu, bytes))
        return false;
    *backing = (struct gpu_backing){.ranges = malloc(bytes), .room = bytes};
    if (backing->ranges == NULL)
        gpu_refund(gpu, bytes);
    return backing->ranges != NULL;
}

void gpu_backing_free(struct virtio_gpu *gpu, struct gpu_backing *backing)
{
    gpu_refund(gpu, backing->room);
    free(backing->ranges);
    *backing = (struct gpu_backing){0};
}

uint32_t gpu_backing_read(struct virtio_gpu *gpu, struct gpu_backing *backing, struct iobuf *rd,
                          uint32_t count)
{
    if (rd->left / VIRTIO_GPU_MEM_ENTRY_BYTES < count)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (!gpu_backing_alloc(gpu, backing, count))
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    gpu_spend(gpu, count * (uint64_t)GPU_STEP_BYTES); /* whether the last is wrong or not */
    for (uint32_t i = 0; i < count; i++) {
        uint8_t entry[VIRTIO_GPU_MEM_ENTRY_BYTES];
        iobuf_get(rd, entry, sizeof(entry));
        if (!gpu_backing_add(gpu, backing, le64_get(entry + VIRTIO_GPU_MEM_ENTRY_addr),
                             le32_get(entry + VIRTIO_GPU_MEM_ENTRY_length))) {
            gpu_backing_free(gpu, backing);
            return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
        }
    }
    return VIRTIO_GPU_RESP_OK_NODATA;
}

/* The range that holds the byte at `at`, which lies inside. */
static unsigned find(const struct gpu_backing *backing, uint64_t at)
{
    unsigned low = 0, high = backing->count;
    while (high - low > 1) {
        unsigned middle = low + (high - low) / 2;
        if (backing->ranges[middle].begin <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

const uint8_t *gpu_backing_whole(const struct gpu_backing *backing, uint64_t at, uint64_t bytes)
{
    unsigned i = find(backing, at);
    uint64_t skip = at - backing->ranges[i].begin;
    return bytes <= gpu_range_bytes(backing, i) - skip ? backing->ranges[i].hva + skip : NULL;
}

unsigned gpu_backing_pieces(const struct gpu_backing *backing, uint64_t bytes)
{
    return find(backing, bytes - 1) + 1;
}

/*
 * What copying so much from there takes: a page that was not read just before may have to be made,
 * and where a row goes the host may make pages of up to a stride.
 */
static uint64_t cost_of(struct gpu_copy *copy, uint64_t gpa, uint64_t bytes)
{
    bool is_new = gpa / GPU_PAGE_BYTES != copy->page;
    uint64_t row_bytes = copy->row_done == 0 ? copy->to_stride : 0;
    copy->page = (gpa + bytes - 1) / GPU_PAGE_BYTES;
    return max_u64(max_u64(bytes, row_bytes), is_new ? GPU_PAGE_BYTES : GPU_STEP_BYTES);
}

/* Copies of the row what is in one piece, and is no more than that. */
static uint64_t copy_piece(struct gpu_copy *copy, uint64_t bytes, uint64_t *turn_bytes)
{
    const struct gpu_backing *from = copy->from;
    uint64_t at = copy->at + copy->row_done;
    unsigned next = copy->range + 1;
    if (next < from->count && from->ranges[next].begin == at) /* as of neighbours */
        copy->range = next;
    else
        copy->range = find(from, at);
    uint64_t skip = at - from->ranges[copy->range].begin;
    bytes = min_u64(bytes, gpu_range_bytes(from, copy->range) - skip);
    if (!copy->is_counted_only)
        memcpy(copy->to + copy->row_done, from->ranges[copy->range].hva + skip, bytes);
    *turn_bytes -= min_u64(cost_of(copy, from->ranges[copy->range].gpa + skip, bytes), *turn_bytes);
    return bytes;
}

bool gpu_copy_run(struct gpu_copy *copy, uint64_t *turn_bytes)
{
    if (copy->rows > 1 && copy->row_bytes == copy->stride && copy->row_bytes == copy->to_stride) {
        copy->row_bytes *= copy->rows;
        copy->rows = 1;
    }
    while (copy->rows > 0) {
        if (*turn_bytes == 0)
            return false;
        uint64_t left = min_u64(copy->row_bytes - copy->row_done, *turn_bytes);
        copy->row_done += copy_piece(copy, left, turn_bytes);
        if (copy->row_done < copy->row_bytes)
            continue;
        copy->row_done = 0;
        copy->rows--;
        copy->at += copy->stride;
        copy->to += copy->to_stride;
    }
    return true;
}
