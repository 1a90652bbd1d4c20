// SPDX-License-Identifier: BSD-2-Clause
/* What the driver is told of the display: how large each scanout is, by a list and by EDIDs. */
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/gpu/gpu_impl.h"

/* ---- EDID 1.4 (VESA E-EDID A.2): one block ---- */

enum {
    EDID_VENDOR = 8,
    EDID_PRODUCT = 10,
    EDID_SERIAL = 12,
    EDID_WEEK = 16,
    EDID_YEAR = 17,
    EDID_VERSION = 18,
    EDID_INPUT = 20,
    EDID_SIZE_CM = 21,
    EDID_GAMMA = 23,
    EDID_FEATURES = 24,
    EDID_COLORS = 25,
    EDID_STANDARD_TIMINGS = 38,
    EDID_DESCRIPTORS = 54,
    EDID_CHECKSUM = 127,
    EDID_DESCRIPTOR_BYTES = 18,
    EDID_TAG_DUMMY = 0x10,
    EDID_TAG_NAME = 0xfc,
};

/* Blanking as of VESA's CVT with reduced blanking: no beam goes back. */
#define H_BLANK        160u
#define H_FRONT        48u
#define H_SYNC         32u
#define V_FRONT        3u
#define V_SYNC         6u
#define CLOCK_HZ       10000u /* a pixel clock's unit */
#define PIXELS_PER_DM  378u   /* 96 a inch, in 100 mm */
#define REFRESH_HZ     60u
#define REFRESH_LOW_HZ 30u /* where the clock would not fit */

static uint32_t pixel_clock(uint32_t h_total, uint32_t v_total)
{
    uint32_t clock = (uint32_t)((uint64_t)h_total * v_total * REFRESH_HZ / CLOCK_HZ);
    return clock <= UINT16_MAX ? clock : clock / (REFRESH_HZ / REFRESH_LOW_HZ);
}

static uint8_t high(uint32_t first, uint32_t second)
{
    return (uint8_t)((first >> 8 & 0xf) << 4 | (second >> 8 & 0xf));
}

static void put_timing(uint8_t *d, uint32_t width, uint32_t height)
{
    uint32_t v_blank = V_FRONT + V_SYNC + 6 + height / 32; /* more than 460 us of 1/60 s */
    uint32_t width_mm = width * 100 / PIXELS_PER_DM, height_mm = height * 100 / PIXELS_PER_DM;
    le16_put(d, (uint16_t)pixel_clock(width + H_BLANK, height + v_blank));
    d[2] = (uint8_t)width;
    d[3] = H_BLANK;
    d[4] = high(width, H_BLANK);
    d[5] = (uint8_t)height;
    d[6] = (uint8_t)v_blank;
    d[7] = high(height, v_blank);
    d[8] = H_FRONT;
    d[9] = H_SYNC;
    d[10] = V_FRONT << 4 | V_SYNC;
    d[12] = (uint8_t)width_mm;
    d[13] = (uint8_t)height_mm;
    d[14] = high(width_mm, height_mm);
    d[17] = 0x1a; /* digital, separate sync, horizontal positive */
}

static void put_name(uint8_t *d)
{
    static const char name[] = "Minivet\n     ";
    d[3] = EDID_TAG_NAME;
    memcpy(d + 5, name, sizeof(name) - 1);
}

static void make_edid(uint8_t *edid, unsigned scanout, uint32_t width, uint32_t height)
{
    static const uint8_t header[] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    static const uint8_t srgb[] = {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};
    memset(edid, 0, GPU_EDID_BYTES);
    memcpy(edid, header, sizeof(header));
    edid[EDID_VENDOR] = 0x35; /* "MNV", five bits each */
    edid[EDID_VENDOR + 1] = 0xd6;
    le16_put(edid + EDID_PRODUCT, 1);
    le32_put(edid + EDID_SERIAL, scanout + 1);
    edid[EDID_WEEK] = 0xff; /* what follows is the model's year */
    edid[EDID_YEAR] = 2026 - 1990;
    edid[EDID_VERSION] = 1;
    edid[EDID_VERSION + 1] = 4;
    edid[EDID_INPUT] = 0xa0; /* digital, 8 bits a color */
    edid[EDID_SIZE_CM] = (uint8_t)min_u64(width * 10 / PIXELS_PER_DM, UINT8_MAX);
    edid[EDID_SIZE_CM + 1] = (uint8_t)min_u64(height * 10 / PIXELS_PER_DM, UINT8_MAX);
    edid[EDID_GAMMA] = 120;     /* 2.2 */
    edid[EDID_FEATURES] = 0x06; /* sRGB; the first timing is the display's own */
    memcpy(edid + EDID_COLORS, srgb, sizeof(srgb));
    memset(edid + EDID_STANDARD_TIMINGS, 1, EDID_DESCRIPTORS - EDID_STANDARD_TIMINGS);
    uint8_t *d = edid + EDID_DESCRIPTORS;
    put_timing(d, width, height);
    put_name(d + EDID_DESCRIPTOR_BYTES);
    d[2 * EDID_DESCRIPTOR_BYTES + 3] = EDID_TAG_DUMMY;
    d[3 * EDID_DESCRIPTOR_BYTES + 3] = EDID_TAG_DUMMY;
    for (unsigned i = 0; i < EDID_CHECKSUM; i++)
        edid[EDID_CHECKSUM] = (uint8_t)(edid[EDID_CHECKSUM] - edid[i]);
}

/* ---- commands ---- */

uint32_t gpu_get_edid(struct virtio_gpu *gpu, const uint8_t *request)
{
    uint8_t *response = gpu->request.response;
    uint32_t scanout = le32_get(request + VIRTIO_GPU_GET_EDID_scanout);
    if (scanout >= gpu->scanout_count)
        return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    const struct gpu_scanout *s = &gpu->scanouts[scanout];
    le32_put(response + VIRTIO_GPU_RESP_EDID_size, GPU_EDID_BYTES);
    make_edid(response + VIRTIO_GPU_RESP_EDID_edid, scanout, s->width, s->height);
    gpu->request.response_bytes = VIRTIO_GPU_RESP_EDID_BYTES;
    return VIRTIO_GPU_RESP_OK_EDID;
}

/* Side by side, in their order. */
uint32_t gpu_display_info(struct virtio_gpu *gpu, const uint8_t *request)
{
    uint8_t *mode = gpu->request.response + VIRTIO_GPU_DISPLAY_INFO_pmodes;
    uint32_t x = 0;
    (void)request;
    for (unsigned i = 0; i < gpu->scanout_count; i++, mode += VIRTIO_GPU_DISPLAY_ONE_BYTES) {
        const struct gpu_scanout *s = &gpu->scanouts[i];
        if (!s->enabled)
            continue;
        le32_put(mode + VIRTIO_GPU_RECT_x, x);
        le32_put(mode + VIRTIO_GPU_RECT_width, s->width);
        le32_put(mode + VIRTIO_GPU_RECT_height, s->height);
        le32_put(mode + VIRTIO_GPU_DISPLAY_ONE_enabled, true);
        x += s->width;
    }
    gpu->request.response_bytes = VIRTIO_GPU_DISPLAY_INFO_BYTES;
    return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

/* ---- the display changes ---- */

static uint32_t side(uint32_t pixels)
{
    return (uint32_t)min_u64(max_u64(pixels, VIRTIO_GPU_SIDE_MIN), VIRTIO_GPU_SIDE_MAX);
}

void gpu_on_resize(void *ctx, unsigned scanout, uint32_t width, uint32_t height)
{
    struct virtio_gpu *gpu = ctx;
    if (gpu->is_recorded || scanout >= gpu->scanout_count)
        return;
    struct gpu_scanout *s = &gpu->scanouts[scanout];
    bool enabled = width != 0 && height != 0;
    if (enabled == s->enabled &&
        (!enabled || (side(width) == s->width && side(height) == s->height)))
        return;
    s->enabled = enabled;
    if (enabled) {
        s->width = side(width);
        s->height = side(height);
    }
    if (gpu->dev.active)
        gpu->config[VIRTIO_GPU_CONFIG_events_read] |= VIRTIO_GPU_EVENT_DISPLAY;
    virtio_device_config_changed(&gpu->dev);
}
