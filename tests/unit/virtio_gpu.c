// SPDX-License-Identifier: BSD-2-Clause
/* Pictures: from the guest's memory to what is seen. */
#include "core/memory/gmem.h"
#include "tests/harness/gpureq.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"

#define W 40u
#define H 30u

static void open_gpu(struct rig *rig, const struct rig_config *config)
{
    rig_open_gpu_on(rig, config);
    gpureq_start(rig);
}

/* With more memory below the hole than pictures of many turns take. */
static void open_large(struct rig *rig)
{
    open_gpu(rig, &(struct rig_config){.ram_bytes = 64 * MIB, .hole_gpa = RIG_HOLE_END_GPA});
}

static const struct display_rect all = {0, 0, W, H};

static uint32_t seen(const struct rig *rig, unsigned scanout, uint32_t x, uint32_t y)
{
    return fake_display_pixel(&rig->display, scanout, x, y);
}

OnEachRig(virtio_gpu, shows_a_picture, open_gpu(rig, on))
{
    const char *name = rig_config_name(&rig->cfg);
    const struct fake_screen *s = &rig->display.screens[1];
    gpureq_show(rig, 1, 7, W, H, 5);
    cr_expect(gpureq_sees(rig, 1, W, H, 5), "%s", name);
    cr_expect_eq(s->surfaces, 1, "%s", name);
    cr_expect_eq(s->damages, 1, "%s", name);
    cr_expect_not(rig->display.screens[0].shows, "%s", name);
}

OnRig(virtio_gpu, a_driver_s_drawing_is_seen_when_it_is_flushed, open_gpu(rig, rig_variants))
{
    uint64_t gpa = gpureq_show(rig, 0, 1, W, H, 1);
    le32_put(vdrv_ptr(&rig->drv, gpa + (2 * W + 3) * 4, 4), 0x12345678);
    cr_expect_eq(gpureq_flush(rig, 1, &all), GPUREQ_OK);
    cr_expect_eq(seen(rig, 0, 3, 2), gpureq_pixel(1, 3, 2), "it was not transferred");
    cr_expect_eq(gpureq_transfer(rig, 1, &all, 0), GPUREQ_OK);
    cr_expect_eq(seen(rig, 0, 3, 2), gpureq_pixel(1, 3, 2), "it was not flushed");
    cr_expect_eq(gpureq_flush(rig, 1, GPUREQ_RECT(3, 2, 1, 1)), GPUREQ_OK);
    cr_expect_eq(seen(rig, 0, 3, 2), 0x12345678);
    struct display_rect damage = rig->display.screens[0].damage;
    cr_expect(damage.x == 3 && damage.y == 2 && damage.width == 1 && damage.height == 1);
}

/* A rectangle comes from `offset` on, in rows that are as long as the resource's. */
OnEachRig(virtio_gpu, transfers_a_part, open_gpu(rig, on))
{
    const char *name = rig_config_name(&rig->cfg);
    const struct display_rect part = {5, 6, 7, 8};
    uint64_t gpa = gpureq_show(rig, 0, 1, W, H, 1);
    for (uint32_t i = 0; i < W * H; i++)
        le32_put(vdrv_ptr(&rig->drv, gpa + i * 4, 4), i);
    cr_expect_eq(gpureq_transfer(rig, 1, &part, (3 * W + 2) * 4), GPUREQ_OK, "%s", name);
    cr_expect_eq(gpureq_flush(rig, 1, &all), GPUREQ_OK, "%s", name);
    for (uint32_t y = 0; y < H; y++)
        for (uint32_t x = 0; x < W; x++) {
            bool inside = x >= 5 && x < 12 && y >= 6 && y < 14;
            uint32_t from = (y - 6 + 3) * W + (x - 5 + 2);
            cr_expect_eq(seen(rig, 0, x, y), inside ? from : gpureq_pixel(1, x, y), "%s: %u, %u",
                         name, x, y);
        }
}

/* Pages from back to front, cut inside of pixels, one of them twice. */
OnEachRig(virtio_gpu, gathers_what_is_scattered, open_gpu(rig, on))
{
    uint32_t bytes = W * H * 4, cut = 1003;
    struct gpureq_entry entries[8];
    unsigned count = 0;
    for (uint32_t at = 0; at < bytes; at += cut, count++) {
        uint32_t part = (uint32_t)min_u64(cut, bytes - at);
        entries[count] = (struct gpureq_entry){0x180000 - (count + 1) * 4096, part};
        for (uint32_t i = at; i < at + part; i++) {
            uint8_t pixel[4];
            le32_put(pixel, gpureq_pixel(9, i / 4 % W, i / 4 / W));
            memcpy(vdrv_ptr(&rig->drv, entries[count].gpa + i - at, 1), &pixel[i % 4], 1);
        }
    }
    cr_assert_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, W, H), GPUREQ_OK);
    cr_assert_eq(gpureq_attach(rig, 1, entries, count), GPUREQ_OK);
    cr_assert_eq(gpureq_transfer(rig, 1, &all, 0), GPUREQ_OK);
    cr_assert_eq(gpureq_scanout(rig, 0, 1, &all), GPUREQ_OK);
    cr_expect(gpureq_sees(rig, 0, W, H, 9), "%s", rig_config_name(&rig->cfg));
    /* Column by column, which begins each row anew. */
    for (uint32_t x = 0; x < W; x++)
        cr_assert_eq(gpureq_transfer(rig, 1, GPUREQ_RECT(x, 0, 1, H), x * 4), GPUREQ_OK);
    cr_assert_eq(gpureq_flush(rig, 1, &all), GPUREQ_OK);
    cr_expect(gpureq_sees(rig, 0, W, H, 9), "%s", rig_config_name(&rig->cfg));
}

OnRig(virtio_gpu, each_format_is_shown_as_it_lies_in_memory, open_gpu(rig, rig_variants))
{
    static const struct {
        uint32_t code;
        enum display_format format;
    } formats[] = {
        {VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, DISPLAY_BGRX},
        {VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, DISPLAY_BGRX},
        {VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, DISPLAY_XRGB},
        {VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, DISPLAY_XRGB},
        {VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, DISPLAY_RGBX},
        {VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, DISPLAY_RGBX},
        {VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, DISPLAY_XBGR},
        {VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, DISPLAY_XBGR},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        cr_expect_eq(gpureq_create(rig, i + 1, formats[i].code, W, H), GPUREQ_OK);
        cr_expect_eq(gpureq_scanout(rig, 0, i + 1, &all), GPUREQ_OK);
        cr_expect_eq(rig->display.screens[0].surface.format, formats[i].format, "%u",
                     formats[i].code);
    }
    cr_expect_eq(gpureq_create(rig, 99, 5, W, H), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
    cr_expect_eq(gpureq_create(rig, 99, 0, W, H), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
}

/* Two monitors, side by side, of one resource. */
OnRig(virtio_gpu, damage_is_cut_to_each_scanout, open_gpu(rig, rig_variants))
{
    const struct fake_screen *left = &rig->display.screens[0], *right = &rig->display.screens[1];
    gpureq_show(rig, 0, 1, W, H, 3);
    cr_assert_eq(gpureq_scanout(rig, 0, 1, GPUREQ_RECT(0, 0, 20, H)), GPUREQ_OK);
    cr_assert_eq(gpureq_scanout(rig, 1, 1, GPUREQ_RECT(20, 10, 20, 20)), GPUREQ_OK);
    cr_expect_eq(seen(rig, 1, 4, 5), gpureq_pixel(3, 24, 15));
    unsigned before_left = left->damages, before_right = right->damages;
    cr_assert_eq(gpureq_flush(rig, 1, GPUREQ_RECT(15, 5, 10, 10)), GPUREQ_OK);
    cr_expect(left->damage.x == 15 && left->damage.y == 5 && left->damage.width == 5 &&
              left->damage.height == 10);
    cr_expect(right->damage.x == 0 && right->damage.y == 0 && right->damage.width == 5 &&
              right->damage.height == 5);
    cr_assert_eq(gpureq_flush(rig, 1, GPUREQ_RECT(0, 0, 20, 3)), GPUREQ_OK);
    cr_expect_eq(left->damages, before_left + 2);
    cr_expect_eq(right->damages, before_right + 1, "above it");
    cr_assert_eq(gpureq_flush(rig, 1, GPUREQ_RECT(0, 0, 0, 0)), GPUREQ_OK);
    cr_expect_eq(left->damages, before_left + 2, "nothing");
}

OnRig(virtio_gpu, a_scanout_goes_with_its_resource, open_gpu(rig, rig_variants))
{
    gpureq_show(rig, 0, 1, W, H, 3);
    cr_expect_eq(gpureq_scanout(rig, 0, 0, &all), GPUREQ_OK);
    cr_expect_not(rig->display.screens[0].shows);
    cr_expect_eq(gpureq_scanout(rig, 0, 1, &all), GPUREQ_OK);
    cr_expect_eq(gpureq_scanout(rig, 1, 1, &all), GPUREQ_OK);
    cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 1), GPUREQ_OK);
    cr_expect(gpureq_sees(rig, 1, W, H, 3), "the pixels are the host's");
    cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 1), GPUREQ_OK);
    cr_expect_not(rig->display.screens[0].shows);
    cr_expect_not(rig->display.screens[1].shows);
    cr_expect_eq(gpureq_flush(rig, 1, &all), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}

OnRig(virtio_gpu, a_reset_shows_nothing_and_frees_all, open_gpu(rig, rig_variants))
{
    for (unsigned lap = 0; lap < 3; lap++) {
        gpureq_show(rig, 0, 1, W, H, lap);
        cr_expect_eq(gpureq_create(rig, 2, GPUREQ_FORMAT, 1024, 3 * 1024), GPUREQ_OK,
                     "most of the memory");
        vdrv_reset(&rig->drv);
        cr_expect_not(rig->display.screens[0].shows);
        gpureq_start(rig);
        cr_expect_eq(gpureq_flush(rig, 1, &all), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    }
}

/* ---- turns ---- */

/* A frame of full HD takes more than a turn, in which the other queue is served. */
OnRig(virtio_gpu, long_copies_share_the_loop, open_large(rig))
{
    uint8_t request[VIRTIO_GPU_TRANSFER_BYTES];
    const struct display_rect hd = {0, 0, 1920, 1080};
    uint32_t head, len, order[3];
    uint64_t gpa = gpureq_picture(rig, 1920, 1080, 77);
    cr_assert_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 1920, 1080), GPUREQ_OK);
    cr_assert_eq(gpureq_attach(rig, 1, &(struct gpureq_entry){gpa, 1920 * 1080 * 4}, 1), GPUREQ_OK);
    cr_assert_eq(gpureq_scanout(rig, 0, 1, &hd), GPUREQ_OK);
    gpureq_send(rig, 0, request, gpureq_make_transfer(request, 1, &hd, 0), 24);
    gpureq_send(rig, 0, request, gpureq_make_flush(request, 1, &hd), 24);
    gpureq_send(rig, 0, request, gpureq_make(request, VIRTIO_GPU_CMD_GET_DISPLAY_INFO, 24), 408);
    evloop_run_deferred(rig->loop);
    cr_expect_not(vdrv_has_used(&rig->drv.q[0]), "it is not done in the first turn");
    rig_step(rig);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(vdrv_used(&rig->drv.q[0], &head, &len));
        order[i] = len;
    }
    cr_expect(order[0] == 24 && order[1] == 24 && order[2] == 408, "in their order");
    cr_expect(gpureq_sees(rig, 0, 1920, 1080, 77));
}

OnRig(virtio_gpu, a_reset_ends_a_copy, open_large(rig))
{
    uint8_t request[VIRTIO_GPU_TRANSFER_BYTES];
    const struct display_rect hd = {0, 0, 1920, 1080};
    uint64_t gpa = gpureq_picture(rig, 1920, 1080, 77);
    struct gpureq_entry entry = {gpa, 1920 * 1080 * 4};
    cr_assert_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 1920, 1080), GPUREQ_OK);
    cr_assert_eq(gpureq_attach(rig, 1, &entry, 1), GPUREQ_OK);
    gpureq_send(rig, 0, request, gpureq_make_transfer(request, 1, &hd, 0), 24);
    rig_kick(rig, 0);
    vdrv_reset(&rig->drv);
    rig_step(rig);
    gpureq_start(rig);
    gpureq_show(rig, 0, 1, W, H, 4);
    cr_expect(gpureq_sees(rig, 0, W, H, 4));
}

/* ---- blobs ---- */

static const struct gpureq_frame frame = {W, H, GPUREQ_FORMAT, W * 4, 0};

OnEachRig(virtio_gpu, a_blob_in_one_piece_is_shown_where_it_is, open_gpu(rig, on))
{
    const char *name = rig_config_name(&rig->cfg);
    uint64_t gpa = gpureq_picture(rig, W, H, 21);
    struct gpureq_entry entries[] = {{gpa, 1000}, {gpa + 1000, W * H * 4 - 1000}};
    cr_assert_eq(gpureq_blob(rig, 1, W * H * 4, entries, 2), GPUREQ_OK, "%s", name);
    cr_assert_eq(gpureq_scanout_blob(rig, 0, 1, &all, &frame), GPUREQ_OK, "%s", name);
    cr_expect(gpureq_sees(rig, 0, W, H, 21), "%s", name);
    cr_expect_eq(rig->display.screens[0].surface.pixels, vdrv_ptr(&rig->drv, gpa, 4), "%s", name);
    le32_put(vdrv_ptr(&rig->drv, gpa, 4), 0xabcdef);
    cr_expect_eq(gpureq_transfer(rig, 1, &all, 0), GPUREQ_OK, "%s: Linux does so", name);
    cr_expect_eq(gpureq_flush(rig, 1, &all), GPUREQ_OK, "%s", name);
    cr_expect_eq(seen(rig, 0, 0, 0), 0xabcdef, "%s", name);
    cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 1), GPUREQ_OK);
    cr_expect_not(rig->display.screens[0].shows, "%s", name);
}

/* Rows of one page each, from back to front. */
static void make_scattered(struct rig *rig, uint32_t id, uint32_t seed, uint64_t gpa)
{
    struct gpureq_entry entries[H];
    for (uint32_t y = 0; y < H; y++) {
        entries[y] = (struct gpureq_entry){gpa + (H - y) * 4096, W * 4};
        for (uint32_t x = 0; x < W; x++)
            le32_put(vdrv_ptr(&rig->drv, entries[y].gpa + x * 4, 4), gpureq_pixel(seed, x, y));
    }
    cr_assert_eq(gpureq_blob(rig, id, W * H * 4, entries, H), GPUREQ_OK);
}

OnEachRig(virtio_gpu, a_scattered_blob_is_copied_where_it_is_flushed, open_gpu(rig, on))
{
    const char *name = rig_config_name(&rig->cfg);
    make_scattered(rig, 1, 21, 0x100000);
    cr_assert_eq(gpureq_scanout_blob(rig, 0, 1, &all, &frame), GPUREQ_OK, "%s", name);
    cr_assert_eq(gpureq_scanout_blob(rig, 1, 1, GPUREQ_RECT(10, 10, 10, 10), &frame), GPUREQ_OK);
    cr_expect(gpureq_sees(rig, 0, W, H, 21), "%s", name);
    cr_expect_eq(seen(rig, 1, 2, 3), gpureq_pixel(21, 12, 13), "%s", name);
    memset(vdrv_ptr(&rig->drv, 0x100000, (H + 1) * 4096), 0x77, (H + 1) * 4096);
    cr_expect_eq(gpureq_flush(rig, 1, GPUREQ_RECT(0, 0, 11, 11)), GPUREQ_OK, "%s", name);
    for (uint32_t y = 0; y < H; y++)
        for (uint32_t x = 0; x < W; x++)
            cr_expect_eq(seen(rig, 0, x, y), x < 11 && y < 11 ? 0x77777777 : gpureq_pixel(21, x, y),
                         "%s: %u, %u", name, x, y);
    cr_expect_eq(seen(rig, 1, 0, 0), 0x77777777, "%s", name);
    cr_expect_eq(seen(rig, 1, 1, 0), gpureq_pixel(21, 11, 10), "%s", name);
}

/* As a driver that draws into one while the other is shown. */
OnRig(virtio_gpu, scattered_blobs_take_turns_without_a_dark_screen, open_gpu(rig, rig_variants))
{
    make_scattered(rig, 1, 1, 0x100000);
    make_scattered(rig, 2, 2, 0x140000);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(gpureq_scanout_blob(rig, 0, 1 + i % 2, &all, &frame), GPUREQ_OK);
        cr_expect(gpureq_sees(rig, 0, W, H, 1 + i % 2));
        cr_expect_eq(rig->display.screens[0].surfaces, i + 1);
    }
}

OnRig(virtio_gpu, a_blob_s_frame_may_have_gaps, open_gpu(rig, rig_variants))
{
    struct gpureq_frame wide = {20, 10, VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, W * 4, 2 * W * 4 + 12};
    uint64_t gpa = gpureq_picture(rig, W, H, 5);
    struct gpureq_entry entry = {gpa, W * H * 4};
    cr_assert_eq(gpureq_blob(rig, 1, W * H * 4, &entry, 1), GPUREQ_OK);
    cr_assert_eq(gpureq_scanout_blob(rig, 0, 1, GPUREQ_RECT(4, 5, 6, 5), &wide), GPUREQ_OK);
    cr_expect_eq(rig->display.screens[0].surface.format, DISPLAY_XRGB);
    for (uint32_t y = 0; y < 5; y++)
        for (uint32_t x = 0; x < 6; x++)
            cr_expect_eq(seen(rig, 0, x, y), gpureq_pixel(5, x + 3 + 4, y + 2 + 5));
}

/* ---- without ---- */

OnRig(virtio_gpu, works_without_a_display, rig_open_host(rig, rig_variants))
{
    struct virtio_gpu *gpu;
    struct virtio_setup setup = rig_setup(rig, "gpu");
    struct virtio_gpu_config config = {
        .scanouts = 1, .width = 64, .height = 64, .memory_bytes = MIB};
    cr_assert_eq(virtio_gpu_create(&gpu, &setup, &config), 0);
    rig_plug(rig, virtio_gpu_device(gpu));
    gpureq_start(rig);
    gpureq_show(rig, 0, 1, 64, 64, 1);
    struct gpureq_pointer p = {.id = 1};
    cr_expect_eq(gpureq_cursor(rig, VIRTIO_GPU_CMD_UPDATE_CURSOR, &p), GPUREQ_OK);
    cr_expect_eq(gpureq_cursor(rig, VIRTIO_GPU_CMD_MOVE_CURSOR, &p), GPUREQ_OK);
    vdrv_reset(&rig->drv);
    rig_unplug(rig);
    virtio_gpu_destroy(gpu);
}
