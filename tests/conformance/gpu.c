// SPDX-License-Identifier: BSD-2-Clause
/* The GPU device: VIRTIO 1.4 5.7. */
#include "conformance.h"

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/harness/gpureq.h"

#define FRAME_BYTES (1280u * 720u * 4u) /* more than a turn copies */

/* No shared memory region has another id than 0 or 1: there is none at all. */
Requirement(gpu_init_1, GPU, MODERN)
{
    uint64_t gpa, bytes;
    start(rig, GPUREQ_FEATURES, 8);
    for (unsigned id = 0; id < 256; id++)
        expect(!vdrv_shm(&rig->drv, (uint8_t)id, &gpa, &bytes));
}

/* A request with FLAG_FENCE and that fence_id is sent, and not waited for. */
static void send_fenced(struct rig *rig, uint8_t *request, uint32_t bytes, uint64_t fence)
{
    le32_put(request + VIRTIO_GPU_HDR_flags, VIRTIO_GPU_FLAG_FENCE);
    le64_put(request + VIRTIO_GPU_HDR_fence_id, fence);
    gpureq_send(rig, VIRTIO_GPU_CONTROLQ, request, bytes, VIRTIO_GPU_HDR_BYTES);
}

/* Of a picture on the scanout that the driver draws anew; the copy of it takes several turns. */
static void start_long_transfer(struct rig *rig, uint64_t fence)
{
    uint8_t request[VIRTIO_GPU_TRANSFER_BYTES];
    const struct display_rect all = {0, 0, 1280, 720};
    start(rig, GPUREQ_FEATURES, 8);
    uint64_t gpa = gpureq_show(rig, 0, 1, 1280, 720, 1);
    heard(rig);
    fill(rig, gpa, FRAME_BYTES, 0x5a);
    send_fenced(rig, request, gpureq_make_transfer(request, 1, &all, 0), fence);
}

/* While the response is not there, turns go by; when it is, all pixels are. */
static bool ends_with_its_work(struct rig *rig)
{
    unsigned turns = 0;
    virtio_queue_serve(rig->dev, VIRTIO_GPU_CONTROLQ);
    for (; !has_used(rig, VIRTIO_GPU_CONTROLQ) && turns < 100; turns++)
        demand(evloop_run_deferred(rig->loop));
    const struct fake_screen *s = &rig->display.screens[0];
    for (uint64_t at = 0; at < FRAME_BYTES; at++)
        if (s->surface.pixels[at] != 0x5a)
            return false;
    return turns > 1;
}

/* A fenced command comes back when its work is done. */
Requirement(gpu_fence_2, GPU, MODERN, .ram_bytes = 64 * MIB, .hole_gpa = RIG_HOLE_END_GPA)
{
    start_long_transfer(rig, 1);
    expect(ends_with_its_work(rig));
}

/* Its response has the flag and the fence_id. */
Requirement(gpu_header_1, GPU, MODERN, .ram_bytes = 64 * MIB, .hole_gpa = RIG_HOLE_END_GPA)
{
    uint32_t len;
    start_long_transfer(rig, 0x123456789abcdef0);
    expect(ends_with_its_work(rig));
    take_one(rig, VIRTIO_GPU_CONTROLQ, &len);
    const uint8_t *response = gpureq_response(rig);
    expect(len == VIRTIO_GPU_HDR_BYTES);
    expect(le32_get(response) == VIRTIO_GPU_RESP_OK_NODATA);
    expect(le32_get(response + VIRTIO_GPU_HDR_flags) == VIRTIO_GPU_FLAG_FENCE);
    expect(le64_get(response + VIRTIO_GPU_HDR_fence_id) == 0x123456789abcdef0);
    /* A command that fails is answered in the same way. */
    uint8_t request[VIRTIO_GPU_FLUSH_BYTES];
    send_fenced(rig, request, gpureq_make_flush(request, 99, GPUREQ_RECT(0, 0, 1, 1)), 7);
    rig_step(rig);
    take_one(rig, VIRTIO_GPU_CONTROLQ, &len);
    response = gpureq_response(rig);
    expect(le32_get(response) == VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    expect(le32_get(response + VIRTIO_GPU_HDR_flags) == VIRTIO_GPU_FLAG_FENCE);
    expect(le64_get(response + VIRTIO_GPU_HDR_fence_id) == 7);
}

/* There is no capset, as num_capsets says: no CAPSET_INFO comes, with whatever capset_id. */
Requirement(gpu_ctrl_1, GPU, MODERN)
{
    uint8_t request[VIRTIO_GPU_RESOURCE_BYTES], count[4];
    start(rig, GPUREQ_FEATURES, 8);
    vdrv_config_read(&rig->drv, VIRTIO_GPU_CONFIG_num_capsets, count, sizeof(count));
    expect(le32_get(count) == 0);
    for (uint32_t index = 0; index < 8; index++) {
        gpureq_make(request, VIRTIO_GPU_CMD_GET_CAPSET_INFO, sizeof(request));
        le32_put(request + VIRTIO_GPU_HDR_BYTES, index);
        expect(gpureq_call(rig, 0, request, sizeof(request), 40) ==
               VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
    }
}

/* Without contexts there is no blob of host memory, whatever object blob_id names. */
Requirement(gpu_ctrl_2, GPU, MODERN)
{
    uint8_t request[VIRTIO_GPU_CREATE_BLOB_BYTES];
    start(rig, GPUREQ_FEATURES, 8);
    for (uint32_t memory = 0; memory < 6; memory++) {
        if (memory == VIRTIO_GPU_BLOB_MEM_GUEST)
            continue;
        gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, sizeof(request));
        le32_put(request + VIRTIO_GPU_CREATE_BLOB_resource_id, 1);
        le32_put(request + VIRTIO_GPU_CREATE_BLOB_blob_mem, memory);
        le64_put(request + VIRTIO_GPU_CREATE_BLOB_blob_id, 1);
        le64_put(request + VIRTIO_GPU_CREATE_BLOB_size, 4096);
        expect(gpureq_call(rig, 0, request, sizeof(request), 24) ==
               VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
    }
    expect(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 1) ==
           VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}
