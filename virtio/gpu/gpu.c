// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/gpu/gpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "virtio/gpu/gpu_impl.h"
#include "virtio/spec.h"

static struct virtio_gpu *gpu_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_gpu, dev);
}

/* ---- what the driver makes the host spend ---- */

bool gpu_charge(struct virtio_gpu *gpu, uint64_t bytes)
{
    if (bytes > gpu->memory_bytes - gpu->memory_used)
        return false;
    gpu->memory_used += bytes;
    return true;
}

void gpu_refund(struct virtio_gpu *gpu, uint64_t bytes)
{
    gpu->memory_used -= bytes;
}

void gpu_spend(struct virtio_gpu *gpu, uint64_t bytes)
{
    gpu->turn_bytes -= min_u64(bytes, gpu->turn_bytes);
}

/* ---- commands ---- */

struct display_rect gpu_get_rect(const uint8_t *at)
{
    return (struct display_rect){
        .x = le32_get(at + VIRTIO_GPU_RECT_x),
        .y = le32_get(at + VIRTIO_GPU_RECT_y),
        .width = le32_get(at + VIRTIO_GPU_RECT_width),
        .height = le32_get(at + VIRTIO_GPU_RECT_height),
    };
}

static uint32_t no_capset(struct virtio_gpu *gpu, const uint8_t *request)
{
    (void)gpu;
    (void)request;
    return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER; /* num_capsets is 0 */
}

struct verb {
    uint32_t type;
    uint32_t bytes;   /* of its request */
    uint64_t feature; /* without which there is no such command; 0: there is always */
    uint32_t (*run)(struct virtio_gpu *gpu, const uint8_t *request);
};

#define VERB(name, bytes, feature, run)                         \
    {                                                           \
        VIRTIO_GPU_CMD_##name, VIRTIO_GPU_##bytes, feature, run \
    }
#define EDID VIRTIO_BIT(VIRTIO_GPU_F_EDID)
#define UUID VIRTIO_BIT(VIRTIO_GPU_F_RESOURCE_UUID)
#define BLOB VIRTIO_BIT(VIRTIO_GPU_F_RESOURCE_BLOB)

static const struct verb control_verbs[] = {
    VERB(GET_DISPLAY_INFO, HDR_BYTES, 0, gpu_display_info),
    VERB(RESOURCE_CREATE_2D, CREATE_2D_BYTES, 0, gpu_create_2d),
    VERB(RESOURCE_UNREF, RESOURCE_BYTES, 0, gpu_unref),
    VERB(SET_SCANOUT, SET_SCANOUT_BYTES, 0, gpu_set_scanout),
    VERB(RESOURCE_FLUSH, FLUSH_BYTES, 0, gpu_flush),
    VERB(TRANSFER_TO_HOST_2D, TRANSFER_BYTES, 0, gpu_transfer),
    VERB(RESOURCE_ATTACH_BACKING, ATTACH_BYTES, 0, gpu_attach),
    VERB(RESOURCE_DETACH_BACKING, RESOURCE_BYTES, 0, gpu_detach),
    VERB(GET_CAPSET_INFO, HDR_BYTES, 0, no_capset),
    VERB(GET_CAPSET, HDR_BYTES, 0, no_capset),
    VERB(GET_EDID, GET_EDID_BYTES, EDID, gpu_get_edid),
    VERB(RESOURCE_ASSIGN_UUID, RESOURCE_BYTES, UUID, gpu_assign_uuid),
    VERB(RESOURCE_CREATE_BLOB, CREATE_BLOB_BYTES, BLOB, gpu_create_blob),
    VERB(SET_SCANOUT_BLOB, SCANOUT_BLOB_BYTES, BLOB, gpu_set_scanout_blob),
};

static const struct verb cursor_verbs[] = {
    VERB(UPDATE_CURSOR, CURSOR_BYTES, 0, gpu_cursor),
    VERB(MOVE_CURSOR, CURSOR_BYTES, 0, gpu_cursor),
};

/* Reads the request's fixed part once, and does what it says. */
static uint32_t carry_out(struct virtio_gpu *gpu, struct iobuf *rd, uint8_t *request,
                          const struct verb *verbs, unsigned count)
{
    memset(request, 0, GPU_REQUEST_BYTES);
    if (iobuf_get(rd, request, VIRTIO_GPU_HDR_BYTES) < VIRTIO_GPU_HDR_BYTES)
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    for (unsigned i = 0; i < count; i++) {
        const struct verb *v = &verbs[i];
        size_t rest = v->bytes - VIRTIO_GPU_HDR_BYTES;
        if (v->type != le32_get(request))
            continue;
        if (v->feature != 0 && (gpu->dev.features[0] & v->feature) == 0)
            return VIRTIO_GPU_RESP_ERR_UNSPEC;
        if (iobuf_get(rd, request + VIRTIO_GPU_HDR_BYTES, rest) < rest)
            return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
        return v->run(gpu, request);
    }
    return VIRTIO_GPU_RESP_ERR_UNSPEC;
}

/* A fence is answered when all is done, as each command is. */
static void answer(struct virtio_gpu *gpu, unsigned queue, struct vq_chain *chain,
                   const uint8_t *request, uint8_t *response, uint32_t bytes)
{
    uint32_t fence = le32_get(request + VIRTIO_GPU_HDR_flags) & VIRTIO_GPU_FLAG_FENCE;
    if (chain->wr.left < bytes) { /* no half of an answer */
        bytes = VIRTIO_GPU_HDR_BYTES;
        le32_put(response, VIRTIO_GPU_RESP_ERR_UNSPEC);
    }
    le32_put(response + VIRTIO_GPU_HDR_flags, fence);
    if (fence != 0) {
        memcpy(response + VIRTIO_GPU_HDR_fence_id, request + VIRTIO_GPU_HDR_fence_id, 8);
        memcpy(response + VIRTIO_GPU_HDR_ctx_id, request + VIRTIO_GPU_HDR_ctx_id, 4);
    }
    if (chain->wr.left >= bytes)
        iobuf_put(&chain->wr, response, bytes);
    virtio_queue_push(&gpu->dev, queue, chain);
}

/* ---- the control queue ---- */

static void begin(struct virtio_gpu *gpu, struct vq_chain *chain)
{
    struct gpu_request *r = &gpu->request;
    r->chain = chain;
    r->copy = (struct gpu_copy){0};
    r->then = NULL;
    r->response_bytes = VIRTIO_GPU_HDR_BYTES;
    memset(r->response, 0, sizeof(r->response));
    uint32_t type = carry_out(gpu, &chain->rd, r->bytes, control_verbs, ARRAY_SIZE(control_verbs));
    le32_put(r->response, type);
}

/* False: the turn is used up. */
static bool go_on(struct virtio_gpu *gpu)
{
    struct gpu_request *r = &gpu->request;
    for (;;) {
        r->copy.is_counted_only = gpu->is_replayed;
        if (!gpu_copy_run(&r->copy, &gpu->turn_bytes))
            return false;
        if (r->then == NULL)
            return true;
        r->then(gpu);
    }
}

static void control_ready(struct virtio_gpu *gpu)
{
    struct gpu_request *r = &gpu->request;
    gpu->turn_bytes = GPU_TURN_BYTES;
    while (gpu->turn_bytes > 0) {
        if (r->chain == NULL) {
            struct vq_chain *chain = virtio_queue_next(&gpu->dev, VIRTIO_GPU_CONTROLQ);
            if (chain == NULL)
                return;
            begin(gpu, chain);
        }
        if (!go_on(gpu))
            break;
        answer(gpu, VIRTIO_GPU_CONTROLQ, r->chain, r->bytes, r->response, r->response_bytes);
        r->chain = NULL;
    }
    virtio_queue_serve_later(&gpu->dev, VIRTIO_GPU_CONTROLQ);
}

/* ---- the cursor queue ---- */

static void cursor_ready(struct virtio_gpu *gpu)
{
    uint8_t request[GPU_REQUEST_BYTES];
    gpu->turn_bytes = GPU_TURN_BYTES;
    while (gpu->turn_bytes > 0) {
        uint8_t response[VIRTIO_GPU_HDR_BYTES] = {0};
        struct vq_chain *chain = virtio_queue_next(&gpu->dev, VIRTIO_GPU_CURSORQ);
        if (chain == NULL)
            return;
        le32_put(response,
                 carry_out(gpu, &chain->rd, request, cursor_verbs, ARRAY_SIZE(cursor_verbs)));
        answer(gpu, VIRTIO_GPU_CURSORQ, chain, request, response, sizeof(response));
    }
    virtio_queue_serve_later(&gpu->dev, VIRTIO_GPU_CURSORQ);
}

/* ---- the device's half ---- */

static void gpu_queue_ready(struct virtio_device *dev, unsigned queue)
{
    if (queue == VIRTIO_GPU_CONTROLQ)
        control_ready(gpu_of(dev));
    else
        cursor_ready(gpu_of(dev));
}

static void gpu_queue_stop(struct virtio_device *dev, unsigned queue)
{
    struct virtio_gpu *gpu = gpu_of(dev);
    if (queue != VIRTIO_GPU_CONTROLQ || gpu->request.chain == NULL)
        return;
    gpu_scanout_abandon(gpu);
    gpu->request.chain = NULL;
}

/* What has begun to copy may begin again. */
static unsigned gpu_queue_hold(struct virtio_device *dev, unsigned queue)
{
    return queue == VIRTIO_GPU_CONTROLQ && gpu_of(dev)->request.chain != NULL;
}

/* What is set in events_clear is cleared in events_read (VIRTIO 1.4 5.7.4). */
static void gpu_config_write(struct virtio_device *dev, unsigned offset, const void *src,
                             unsigned len)
{
    uint8_t *events = gpu_of(dev)->config + VIRTIO_GPU_CONFIG_events_read;
    const uint8_t *clear = src;
    for (unsigned i = 0; i < len; i++)
        events[offset - VIRTIO_GPU_CONFIG_events_clear + i] &= (uint8_t)~clear[i];
}

static void forget(struct virtio_gpu *gpu)
{
    for (unsigned i = 0; i < gpu->scanout_count; i++) {
        gpu_scanout_clear(gpu, i);
        gpu_cursor_hide(gpu, i);
        gpu->scanouts[i].cursor_x = gpu->scanouts[i].cursor_y = 0;
    }
    gpu_resources_forget(gpu);
}

static void gpu_reset(struct virtio_device *dev)
{
    struct virtio_gpu *gpu = gpu_of(dev);
    forget(gpu);
    le32_put(gpu->config + VIRTIO_GPU_CONFIG_events_read, 0);
}

static void gpu_describe(struct virtio_device *dev, struct facts *f)
{
    const struct virtio_gpu *gpu = gpu_of(dev);
    facts_number(f, "scanouts", gpu->scanout_count);
    facts_number(f, "resources", gpu->resource_count);
    facts_number(f, "memory_bytes", gpu->memory_bytes);
    facts_number(f, "memory_used_bytes", gpu->memory_used);
}

static const struct virtio_device_ops gpu_ops = {
    .config_write = gpu_config_write,
    .queue_ready = gpu_queue_ready,
    .queue_stop = gpu_queue_stop,
    .queue_hold = gpu_queue_hold,
    .reset = gpu_reset,
    .state = gpu_state,
    .describe = gpu_describe,
};

/* ---- life ---- */

static void set_up(struct virtio_gpu *gpu, const struct virtio_gpu_config *config)
{
    gpu->display = config->display;
    gpu->is_recorded = config->is_recorded;
    gpu->is_replayed = config->is_replayed;
    gpu->memory_bytes = config->memory_bytes;
    gpu->scanout_count = config->scanouts;
    for (unsigned i = 0; i < config->scanouts; i++)
        gpu->scanouts[i] =
            (struct gpu_scanout){.enabled = true, .width = config->width, .height = config->height};
    for (unsigned i = 0; i < GPU_BUCKETS; i++)
        LIST_INIT(&gpu->buckets[i]);
    le32_put(gpu->config + VIRTIO_GPU_CONFIG_num_scanouts, config->scanouts);
    if (gpu->display != NULL)
        gpu->display->handler = (struct display_handler){.on_resize = gpu_on_resize, .ctx = gpu};
}

int virtio_gpu_create(struct virtio_gpu **out, const struct virtio_setup *setup,
                      const struct virtio_gpu_config *config)
{
    BUG_ON(config->scanouts == 0 || config->scanouts > VIRTIO_GPU_MAX_SCANOUTS);
    struct virtio_gpu *gpu = calloc(1, sizeof(*gpu));
    if (gpu == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    int err = virtio_device_init(&gpu->dev, setup,
                                 &(struct virtio_device_config){
                                     .type = &virtio_gpu_type,
                                     .ops = &gpu_ops,
                                     .features = EDID | UUID | BLOB,
                                     .config = gpu->config,
                                     .config_bytes = sizeof(gpu->config),
                                     .queue_count = VIRTIO_GPU_QUEUES,
                                 });
    if (err != 0) {
        free(gpu);
        return err;
    }
    set_up(gpu, config);
    *out = gpu;
    return 0;
}

void virtio_gpu_destroy(struct virtio_gpu *gpu)
{
    if (gpu == NULL)
        return;
    forget(gpu);
    if (gpu->display != NULL)
        gpu->display->handler = (struct display_handler){0};
    virtio_device_fini(&gpu->dev);
    free(gpu);
}

struct virtio_device *virtio_gpu_device(struct virtio_gpu *gpu)
{
    return &gpu->dev;
}
