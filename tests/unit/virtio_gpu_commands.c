// SPDX-License-Identifier: BSD-2-Clause
/* Commands one by one: answers, errors, sizes, the cursor, what a resource costs. */
#include "tests/harness/gpureq.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"

#define W         40u
#define H         30u
#define NO_MEMORY VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define NO_ID     VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define NO_SCREEN VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
#define WRONG     VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define UNSPEC    VIRTIO_GPU_RESP_ERR_UNSPEC

static void open_gpu(struct rig *rig, const struct rig_config *config)
{
    rig_open_gpu_on(rig, config);
    gpureq_start(rig);
}

#define OnGpu(name, ...) \
    OnRig(virtio_gpu_commands, name, open_gpu(rig, &(struct rig_config){__VA_ARGS__}))

static const struct display_rect all = {0, 0, W, H};

/* ---- requests and responses ---- */

OnEachRig(virtio_gpu_commands, a_fence_comes_back, open_gpu(rig, on))
{
    const char *name = rig_config_name(&rig->cfg);
    uint8_t request[VIRTIO_GPU_CURSOR_BYTES];
    for (unsigned queue = 0; queue < 2; queue++)
        for (unsigned good = 0; good < 2; good++) {
            uint32_t type =
                queue == 0 ? VIRTIO_GPU_CMD_GET_DISPLAY_INFO : VIRTIO_GPU_CMD_UPDATE_CURSOR;
            gpureq_make(request, good ? type : 0x999, sizeof(request));
            le32_put(request + VIRTIO_GPU_HDR_flags, VIRTIO_GPU_FLAG_FENCE);
            le64_put(request + VIRTIO_GPU_HDR_fence_id, 0x123456789abcdef);
            le32_put(request + VIRTIO_GPU_HDR_ctx_id, 77);
            gpureq_call(rig, queue, request, sizeof(request), 408);
            const uint8_t *response = gpureq_response(rig);
            cr_expect_eq(le32_get(response + VIRTIO_GPU_HDR_flags), VIRTIO_GPU_FLAG_FENCE, "%s",
                         name);
            cr_expect_eq(le64_get(response + VIRTIO_GPU_HDR_fence_id), 0x123456789abcdef, "%s",
                         name);
            cr_expect_eq(le32_get(response + VIRTIO_GPU_HDR_ctx_id), 77, "%s", name);
        }
    le32_put(request + VIRTIO_GPU_HDR_flags, VIRTIO_GPU_FLAG_INFO_RING_IDX);
    gpureq_call(rig, 0, request, sizeof(request), 408);
    cr_expect_eq(le32_get(gpureq_response(rig) + VIRTIO_GPU_HDR_flags), 0, "%s: no fence", name);
    cr_expect_eq(le64_get(gpureq_response(rig) + VIRTIO_GPU_HDR_fence_id), 0, "%s", name);
}

OnGpu(what_is_too_short_is_refused, .strict = false)
{
    uint8_t request[VIRTIO_GPU_CREATE_2D_BYTES];
    gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, sizeof(request));
    cr_expect_eq(gpureq_call(rig, 0, request, 39, 24), WRONG);
    cr_expect_eq(gpureq_call(rig, 0, request, 24, 24), WRONG);
    cr_expect_eq(gpureq_call(rig, 0, request, 23, 24), UNSPEC);
    cr_expect_eq(gpureq_call(rig, 1, request, 4, 24), UNSPEC);
    gpureq_make(request, VIRTIO_GPU_CMD_GET_DISPLAY_INFO, 24);
    cr_expect_eq(gpureq_call(rig, 0, request, 24, 407), UNSPEC, "no half of an answer");
    cr_expect_eq(gpureq_response_bytes(), 24);
    cr_expect_eq(gpureq_call(rig, 0, request, 24, 23), 0);
    cr_expect_eq(gpureq_response_bytes(), 0);
    cr_expect_eq(gpureq_call(rig, 0, request, 24, 0), 0);
    cr_expect_eq(gpureq_call(rig, 0, request, 24, 408), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
}

OnGpu(each_queue_has_its_commands, .strict = false)
{
    uint8_t request[VIRTIO_GPU_SCANOUT_BLOB_BYTES];
    for (uint32_t type = 0; type < 0x310; type++) {
        bool is_control = type >= 0x100 && type <= VIRTIO_GPU_CMD_SET_SCANOUT_BLOB;
        bool is_cursor = type >= 0x300 && type <= VIRTIO_GPU_CMD_MOVE_CURSOR;
        gpureq_make(request, type, sizeof(request));
        uint32_t control = gpureq_call(rig, 0, request, sizeof(request), 1056);
        cr_expect_eq(control != UNSPEC, is_control, "%#x: %#x", type, control);
        uint32_t cursor = gpureq_call(rig, 1, request, sizeof(request), 24);
        cr_expect_eq(cursor != UNSPEC, is_cursor, "%#x: %#x", type, cursor);
    }
}

OnRig(virtio_gpu_commands, a_command_needs_its_feature, rig_open_gpu_on(rig, rig_variants))
{
    static const uint32_t types[] = {VIRTIO_GPU_CMD_GET_EDID, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID,
                                     VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
                                     VIRTIO_GPU_CMD_SET_SCANOUT_BLOB};
    uint8_t request[VIRTIO_GPU_SCANOUT_BLOB_BYTES];
    rig_start(rig, 0, VIRTIO_GPU_QUEUES, GPUREQ_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        gpureq_make(request, types[i], sizeof(request));
        cr_expect_eq(gpureq_call(rig, 0, request, sizeof(request), 1056), UNSPEC, "%#x", types[i]);
    }
    gpureq_show(rig, 0, 1, W, H, 1);
    cr_expect(gpureq_sees(rig, 0, W, H, 1));
}

/* ---- sizes ---- */

static uint32_t mode(struct rig *rig, unsigned scanout, unsigned field)
{
    uint8_t request[VIRTIO_GPU_HDR_BYTES];
    gpureq_make(request, VIRTIO_GPU_CMD_GET_DISPLAY_INFO, sizeof(request));
    cr_assert_eq(gpureq_call(rig, 0, request, sizeof(request), VIRTIO_GPU_DISPLAY_INFO_BYTES),
                 VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
    return le32_get(gpureq_response(rig) + VIRTIO_GPU_DISPLAY_INFO_pmodes +
                    scanout * VIRTIO_GPU_DISPLAY_ONE_BYTES + field);
}

static bool is_mode(struct rig *rig, unsigned scanout, uint32_t x, uint32_t w, uint32_t h)
{
    return mode(rig, scanout, VIRTIO_GPU_RECT_x) == x &&
           mode(rig, scanout, VIRTIO_GPU_RECT_y) == 0 &&
           mode(rig, scanout, VIRTIO_GPU_RECT_width) == w &&
           mode(rig, scanout, VIRTIO_GPU_RECT_height) == h &&
           mode(rig, scanout, VIRTIO_GPU_DISPLAY_ONE_enabled) == (w != 0);
}

static uint32_t config(struct rig *rig, unsigned offset)
{
    uint8_t bytes[4];
    vdrv_config_read(&rig->drv, offset, bytes, sizeof(bytes));
    return le32_get(bytes);
}

OnEachRig(virtio_gpu_commands, follows_the_window, open_gpu(rig, on))
{
    const char *name = rig_config_name(&rig->cfg);
    const uint8_t clear[] = {1, 0, 0, 0};
    rig_config_irqs(rig);
    cr_expect_eq(config(rig, VIRTIO_GPU_CONFIG_num_scanouts), 2, "%s", name);
    cr_expect_eq(config(rig, VIRTIO_GPU_CONFIG_num_capsets), 0, "%s", name);
    cr_expect_eq(config(rig, VIRTIO_GPU_CONFIG_events_read), 0, "%s", name);
    cr_expect(is_mode(rig, 0, 0, RIG_GPU_WIDTH, RIG_GPU_HEIGHT), "%s", name);
    cr_expect(is_mode(rig, 1, RIG_GPU_WIDTH, RIG_GPU_WIDTH, RIG_GPU_HEIGHT), "%s", name);
    cr_expect(is_mode(rig, 2, 0, 0, 0), "%s", name);
    uint32_t generation = vdrv_generation(&rig->drv);
    display_tell_size(&rig->display.backend, 0, 800, 600);
    cr_expect_neq(vdrv_generation(&rig->drv), generation, "%s", name);
    cr_expect_eq(rig_config_irqs(rig), 1, "%s", name);
    cr_expect_eq(config(rig, VIRTIO_GPU_CONFIG_events_read), VIRTIO_GPU_EVENT_DISPLAY, "%s", name);
    cr_expect(is_mode(rig, 0, 0, 800, 600), "%s", name);
    cr_expect(is_mode(rig, 1, 800, RIG_GPU_WIDTH, RIG_GPU_HEIGHT), "%s", name);
    vdrv_config_write(&rig->drv, VIRTIO_GPU_CONFIG_events_read, "\0\0\0", 4);
    cr_expect_eq(config(rig, VIRTIO_GPU_CONFIG_events_read), 1, "%s: not the driver's", name);
    vdrv_config_write(&rig->drv, VIRTIO_GPU_CONFIG_events_clear, clear, sizeof(clear));
    cr_expect_eq(config(rig, VIRTIO_GPU_CONFIG_events_read), 0, "%s", name);
    cr_expect_eq(config(rig, VIRTIO_GPU_CONFIG_events_clear), 0, "%s", name);
    display_tell_size(&rig->display.backend, 0, 800, 600);
    cr_expect_eq(rig_config_irqs(rig), 0, "%s: it is so already", name);
    display_tell_size(&rig->display.backend, 0, 0, 0);
    cr_expect_eq(rig_config_irqs(rig), 1, "%s: closed", name);
    cr_expect(is_mode(rig, 0, 0, 0, 0), "%s", name);
    cr_expect(is_mode(rig, 1, 0, RIG_GPU_WIDTH, RIG_GPU_HEIGHT), "%s", name);
    display_tell_size(&rig->display.backend, 0, 1, 100000);
    cr_expect(is_mode(rig, 0, 0, VIRTIO_GPU_SIDE_MIN, VIRTIO_GPU_SIDE_MAX), "%s", name);
    display_tell_size(&rig->display.backend, 2, 800, 600);
    display_tell_size(&rig->display.backend, UINT32_MAX, 800, 600);
    cr_expect_eq(rig_config_irqs(rig), 1, "%s: no such scanouts", name);
    vdrv_reset(&rig->drv);
    cr_expect_eq(config(rig, VIRTIO_GPU_CONFIG_events_read), 0, "%s", name);
}

OnRig(virtio_gpu_commands, keeps_its_size_on_a_tape, rig_open_host(rig, rig_variants))
{
    struct virtio_gpu *gpu;
    struct virtio_setup setup = rig_setup(rig, "gpu");
    fake_display_init(&rig->display);
    cr_assert_eq(virtio_gpu_create(&gpu, &setup,
                                   &(struct virtio_gpu_config){.display = &rig->display.backend,
                                                               .scanouts = 1,
                                                               .width = 700,
                                                               .height = 500,
                                                               .memory_bytes = MIB,
                                                               .is_recorded = true}),
                 0);
    rig_plug(rig, virtio_gpu_device(gpu));
    gpureq_start(rig);
    display_tell_size(&rig->display.backend, 0, 800, 600);
    cr_expect(is_mode(rig, 0, 0, 700, 500));
    cr_expect_eq(rig_config_irqs(rig), 0);
    static struct gpureq_entry entries[VIRTIO_GPU_TAPED_ENTRIES + 1];
    cr_assert_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 1, 1), GPUREQ_OK);
    cr_expect_eq(gpureq_attach(rig, 1, entries, ARRAY_SIZE(entries)), NO_MEMORY);
    cr_expect_eq(gpureq_attach(rig, 1, entries, ARRAY_SIZE(entries) - 1), GPUREQ_OK);
    vdrv_reset(&rig->drv);
    rig_unplug(rig);
    virtio_gpu_destroy(gpu);
    cr_expect_null(rig->display.backend.handler.on_resize);
}

static const uint8_t *edid(struct rig *rig, uint32_t scanout)
{
    uint8_t request[VIRTIO_GPU_GET_EDID_BYTES];
    gpureq_make(request, VIRTIO_GPU_CMD_GET_EDID, sizeof(request));
    le32_put(request + VIRTIO_GPU_GET_EDID_scanout, scanout);
    uint32_t type = gpureq_call(rig, 0, request, sizeof(request), VIRTIO_GPU_RESP_EDID_BYTES);
    if (type != VIRTIO_GPU_RESP_OK_EDID)
        return NULL;
    cr_expect_eq(le32_get(gpureq_response(rig) + VIRTIO_GPU_RESP_EDID_size), 128);
    return gpureq_response(rig) + VIRTIO_GPU_RESP_EDID_edid;
}

/* As a kernel reads it. */
OnGpu(an_edid_names_the_size, .scanouts = 16)
{
    static const uint32_t sizes[][3] = {{64, 64, 60},     {640, 480, 60},   {1366, 768, 60},
                                        {1920, 1080, 60}, {2560, 1600, 60}, {3840, 2160, 60},
                                        {4095, 4095, 30}, {4095, 64, 60}};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        display_tell_size(&rig->display.backend, i, sizes[i][0], sizes[i][1]);
        const uint8_t *e = edid(rig, i);
        cr_assert_not_null(e);
        uint8_t sum = 0;
        for (unsigned k = 0; k < 128; k++)
            sum = (uint8_t)(sum + e[k]);
        cr_expect_eq(sum, 0);
        cr_expect_arr_eq(e, "\0\xff\xff\xff\xff\xff\xff\0", 8);
        cr_expect_eq(e[18] << 8 | e[19], 0x104, "version 1.4");
        cr_expect_eq(e[126], 0, "no extension");
        const uint8_t *d = e + 54;
        uint32_t width = d[2] | (d[4] & 0xf0u) << 4, height = d[5] | (d[7] & 0xf0u) << 4;
        uint32_t h_blank = d[3] | (d[4] & 0xfu) << 8, v_blank = d[6] | (d[7] & 0xfu) << 8;
        cr_expect_eq(width, sizes[i][0]);
        cr_expect_eq(height, sizes[i][1]);
        uint64_t clock_hz = le16_get(d) * UINT64_C(10000);
        uint64_t millihertz = clock_hz * 1000 / ((width + h_blank) * (height + v_blank));
        cr_expect(millihertz > sizes[i][2] * 985 && millihertz < sizes[i][2] * 1015, "%u: %u mHz",
                  i, (unsigned)millihertz);
        cr_expect_arr_eq(e + 72, "\0\0\0\xfc\0Minivet\n     ", 18);
    }
    cr_expect_null(edid(rig, 16));
    cr_expect_null(edid(rig, UINT32_MAX));
}

/* ---- resources ---- */

OnGpu(a_uuid_is_a_resource_s_for_good, .strict = false)
{
    uint8_t first[16], again[16], second[16], *const uuids[] = {first, again, second};
    cr_assert_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, W, H), GPUREQ_OK);
    cr_assert_eq(gpureq_create(rig, 2, GPUREQ_FORMAT, W, H), GPUREQ_OK);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 1 + i / 2),
                     VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
        cr_expect_eq(gpureq_response_bytes(), VIRTIO_GPU_RESP_UUID_BYTES);
        memcpy(uuids[i], gpureq_response(rig) + VIRTIO_GPU_RESP_UUID_uuid, 16);
    }
    cr_expect_arr_eq(first, again, 16);
    cr_expect_arr_neq(first, second, 16);
    cr_expect_eq(first[6] >> 4, 8, "its version");
    cr_expect_eq(first[8] >> 6, 2, "its variant");
    cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 3), NO_ID);
}

OnGpu(ids_are_resources, .strict = false)
{
    struct gpureq_entry entry = {0x180000, 4096};
    static const uint32_t types[] = {
        VIRTIO_GPU_CMD_RESOURCE_UNREF, VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
        VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID};
    cr_expect_eq(gpureq_create(rig, 0, GPUREQ_FORMAT, W, H), NO_ID);
    cr_expect_eq(gpureq_blob(rig, 0, 4096, &entry, 1), NO_ID);
    cr_expect_eq(gpureq_create(rig, 7, GPUREQ_FORMAT, W, H), GPUREQ_OK);
    cr_expect_eq(gpureq_create(rig, 7, GPUREQ_FORMAT, W, H), NO_ID, "twice");
    cr_expect_eq(gpureq_blob(rig, 7, 4096, &entry, 1), NO_ID);
    cr_expect_eq(gpureq_create(rig, 7 + 256, GPUREQ_FORMAT, W, H), GPUREQ_OK, "a neighbour");
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        cr_expect_eq(gpureq_simple(rig, types[i], 8), NO_ID, "%#x", types[i]);
    cr_expect_eq(gpureq_transfer(rig, 8, &all, 0), NO_ID);
    cr_expect_eq(gpureq_scanout(rig, 0, 8, &all), NO_ID);
    cr_expect_eq(gpureq_scanout(rig, 2, 7, &all), NO_SCREEN);
    cr_expect_eq(gpureq_scanout(rig, 2, 0, &all), NO_SCREEN);
    cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 7), UNSPEC);
    cr_expect_eq(gpureq_attach(rig, 7, &entry, 1), GPUREQ_OK);
    cr_expect_eq(gpureq_attach(rig, 7, &entry, 1), UNSPEC, "it has one");
    cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 7), GPUREQ_OK);
    cr_expect_eq(gpureq_attach(rig, 7, NULL, 0), GPUREQ_OK, "of nothing");
    cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 7), GPUREQ_OK);
    cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 7), NO_ID);
    cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 7 + 256), GPUREQ_OK);
}

/* All that is spent comes back: it may be spent again and again. */
OnRig(virtio_gpu_commands, memory_is_a_budget,
      open_gpu(rig, &(struct rig_config){.gpu_bytes = MIB}))
{
    const struct display_rect square = {0, 0, 300, 300};
    const struct gpureq_frame frame = {300, 300, GPUREQ_FORMAT, 1200, 0};
    struct gpureq_entry halves[] = {{0x180000 + 180000, 180000}, {0x180000, 180000}};
    for (unsigned lap = 0; lap < 20; lap++) {
        cr_expect_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 512, 512), NO_MEMORY, "not quite");
        cr_expect_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 512, 500), GPUREQ_OK);
        cr_expect_eq(gpureq_create(rig, 2, GPUREQ_FORMAT, 100, 100), NO_MEMORY);
        cr_expect_eq(gpureq_blob(rig, 3, 360000, halves, 2), GPUREQ_OK);
        cr_expect_eq(gpureq_scanout_blob(rig, 0, 3, &square, &frame), NO_MEMORY, "its copy");
        cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 1), GPUREQ_OK);
        cr_expect_eq(gpureq_scanout_blob(rig, 0, 3, &square, &frame), GPUREQ_OK);
        cr_expect_eq(gpureq_scanout_blob(rig, 1, 3, &square, &frame), GPUREQ_OK);
        cr_expect_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 300, 300), NO_MEMORY, "two copies");
        cr_expect_eq(gpureq_scanout(rig, 0, 0, &square), GPUREQ_OK);
        cr_expect_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 300, 300), GPUREQ_OK);
        cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 1), GPUREQ_OK);
        cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 3), GPUREQ_OK);
    }
}

/* ---- the cursor ---- */

static uint32_t point(struct rig *rig, uint32_t id, uint32_t hot)
{
    struct gpureq_pointer p = {0, 11, 22, id, hot, hot + 1};
    return gpureq_cursor(rig, VIRTIO_GPU_CMD_UPDATE_CURSOR, &p);
}

OnEachRig(virtio_gpu_commands, a_cursor_is_a_copy, open_gpu(rig, on))
{
    const char *name = rig_config_name(&rig->cfg);
    const struct fake_screen *s = &rig->display.screens[0];
    gpureq_show(rig, 1, 1, 64, 64, 6);
    cr_expect_eq(point(rig, 1, 3), GPUREQ_OK, "%s", name);
    cr_assert_not_null(s->cursor);
    cr_expect_eq(le32_get(s->cursor->pixels + 64 * 4 + 8), gpureq_pixel(6, 2, 1) | 0xff000000,
                 "%s: the format has no alpha", name);
    cr_expect(s->cursor->hot_x == 3 && s->cursor->hot_y == 4, "%s", name);
    cr_expect(s->cursor_x == 11 && s->cursor_y == 22, "%s", name);
    cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 1), GPUREQ_OK, "%s", name);
    cr_expect_not_null(s->cursor, "%s", name);
    struct gpureq_pointer p = {0, UINT32_MAX, 5, 99, 0, 0};
    cr_expect_eq(gpureq_cursor(rig, VIRTIO_GPU_CMD_MOVE_CURSOR, &p), GPUREQ_OK, "%s", name);
    cr_expect(s->cursor_x == UINT32_MAX && s->cursor_y == 5, "%s", name);
    cr_expect_eq(s->cursors, 1, "%s: the picture is the same", name);
    cr_expect_eq(point(rig, 0, 0), GPUREQ_OK, "%s", name);
    cr_expect_null(s->cursor, "%s", name);
}

OnGpu(a_cursor_has_each_format, .strict = false)
{
    static const struct {
        uint32_t format;
        uint8_t bytes[4];
        uint8_t alpha;
    } cases[] = {
        {VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, {'B', 'G', 'R', 'A'}, 'A'},
        {VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, {'B', 'G', 'R', 'A'}, 255},
        {VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, {'A', 'R', 'G', 'B'}, 'A'},
        {VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, {'A', 'R', 'G', 'B'}, 255},
        {VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, {'R', 'G', 'B', 'A'}, 'A'},
        {VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, {'R', 'G', 'B', 'A'}, 255},
        {VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, {'A', 'B', 'G', 'R'}, 'A'},
        {VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, {'A', 'B', 'G', 'R'}, 255},
    };
    uint64_t gpa = vdrv_alloc(&rig->drv, 64 * 64 * 4, 4);
    struct gpureq_entry entry = {gpa, 64 * 64 * 4};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        for (unsigned k = 0; k < 64 * 64; k++)
            memcpy(vdrv_ptr(&rig->drv, gpa + k * 4, 4), cases[i].bytes, 4);
        cr_assert_eq(gpureq_create(rig, i + 1, cases[i].format, 64, 64), GPUREQ_OK);
        cr_assert_eq(gpureq_attach(rig, i + 1, &entry, 1), GPUREQ_OK);
        cr_assert_eq(gpureq_transfer(rig, i + 1, GPUREQ_RECT(0, 0, 64, 64), 0), GPUREQ_OK);
        cr_assert_eq(point(rig, i + 1, 0), GPUREQ_OK);
        const uint8_t *pixel = rig->display.screens[0].cursor->pixels + 64 * 64 * 4 - 4;
        cr_expect_arr_eq(pixel, "BGR", 3, "format %u", cases[i].format);
        cr_expect_eq(pixel[3], cases[i].alpha, "format %u", cases[i].format);
    }
    cr_expect_eq(gpureq_blob(rig, 20, 64 * 64 * 4, &entry, 1), GPUREQ_OK);
    cr_expect_eq(point(rig, 20, 0), GPUREQ_OK);
    cr_expect_arr_eq(rig->display.screens[0].cursor->pixels, "ABGR", 4, "a blob is BGRA");
}

/* A driver may give it no room for a response, as Linux does. */
OnGpu(a_cursor_needs_no_response, .strict = true)
{
    uint8_t request[VIRTIO_GPU_CURSOR_BYTES];
    gpureq_make(request, VIRTIO_GPU_CMD_MOVE_CURSOR, sizeof(request));
    le32_put(request + VIRTIO_GPU_CURSOR_x, 9);
    cr_expect_eq(gpureq_call(rig, 1, request, sizeof(request), 0), 0);
    cr_expect_eq(rig->display.screens[0].cursor_x, 9);
}
