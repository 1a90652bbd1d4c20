// SPDX-License-Identifier: BSD-2-Clause
/* What is seen of a GPU device that was saved and loaded. */
#include "core/state/state.h"
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

static const struct display_rect all = {0, 0, W, H};

/* Saves the device, and loads it into a fresh one. */
static int move(struct rig *rig)
{
    struct state s, loaded;
    virtio_device_hold(rig->dev);
    while (!virtio_device_is_idle(rig->dev))
        rig_step(rig);
    state_save(&s);
    rig_state(rig, &s);
    cr_assert_eq(state_error(&s), 0);
    rig_renew(rig);
    cr_expect_not(rig->display.screens[0].shows, "the old one has gone");
    state_load(&loaded, s.bytes, s.len);
    rig_state(rig, &loaded);
    int err = state_error(&loaded);
    state_fini(&loaded);
    state_fini(&s);
    return err;
}

OnEachRig(virtio_gpu_state, a_loaded_device_shows_what_was_seen, open_gpu(rig, on))
{
    const char *name = rig_config_name(&rig->cfg);
    const struct gpureq_frame frame = {W, H, GPUREQ_FORMAT, W * 4, 0};
    struct gpureq_pointer p = {1, 5, 6, 3, 7, 8};
    uint64_t gpa = gpureq_show(rig, 0, 1, W, H, 5), other = gpureq_picture(rig, W, H, 6);
    struct gpureq_entry entry = {other, W * H * 4};
    gpureq_show(rig, 1, 3, 64, 64, 7);
    cr_assert_eq(gpureq_blob(rig, 2, W * H * 4, &entry, 1), GPUREQ_OK);
    cr_assert_eq(gpureq_scanout_blob(rig, 1, 2, &all, &frame), GPUREQ_OK);
    cr_assert_eq(gpureq_cursor(rig, VIRTIO_GPU_CMD_UPDATE_CURSOR, &p), GPUREQ_OK);
    memset(vdrv_ptr(&rig->drv, gpa, W * H * 4), 0, W * H * 4); /* the host has a copy */
    cr_assert_eq(move(rig), 0, "%s", name);
    cr_expect(gpureq_sees(rig, 0, W, H, 5), "%s", name);
    cr_expect(gpureq_sees(rig, 1, W, H, 6), "%s", name);
    const struct fake_screen *s = &rig->display.screens[1];
    cr_assert_not_null(s->cursor, "%s", name);
    cr_expect_eq(le32_get(s->cursor->pixels + 4), gpureq_pixel(7, 1, 0) | 0xff000000, "%s", name);
    cr_expect(s->cursor->hot_x == 7 && s->cursor->hot_y == 8, "%s", name);
    cr_expect(s->cursor_x == 5 && s->cursor_y == 6, "%s", name);
    /* And it goes on. */
    cr_expect_eq(gpureq_transfer(rig, 1, &all, 0), GPUREQ_OK, "%s", name);
    cr_expect_eq(gpureq_flush(rig, 1, &all), GPUREQ_OK, "%s", name);
    cr_expect_eq(fake_display_pixel(&rig->display, 0, 3, 3), 0, "%s", name);
    vdrv_reset(&rig->drv);
    cr_expect_not(rig->display.screens[1].shows, "%s", name);
    cr_expect_null(rig->display.screens[1].cursor, "%s", name);
}

/* A copy that has begun begins again. */
OnRig(virtio_gpu_state, a_long_copy_is_not_waited_for,
      open_gpu(rig, &(struct rig_config){.ram_bytes = 64 * MIB, .hole_gpa = RIG_HOLE_END_GPA}))
{
    uint8_t request[VIRTIO_GPU_TRANSFER_BYTES];
    const struct display_rect hd = {0, 0, 1920, 1080};
    uint64_t gpa = gpureq_show(rig, 0, 1, 1920, 1080, 1);
    memset(vdrv_ptr(&rig->drv, gpa, 1920 * 1080 * 4), 0x55, 1920 * 1080 * 4);
    gpureq_send(rig, 0, request, gpureq_make_transfer(request, 1, &hd, 0), 24);
    evloop_run_deferred(rig->loop);
    virtio_queue_serve(rig->dev, 0);
    cr_assert_not(vdrv_has_used(&rig->drv.q[0]));
    cr_assert_eq(move(rig), 0);
    rig_step(rig);
    uint32_t head, len;
    cr_expect(vdrv_used(&rig->drv.q[0], &head, &len));
    cr_expect_eq(gpureq_flush(rig, 1, &hd), GPUREQ_OK);
    cr_expect_eq(fake_display_pixel(&rig->display, 0, 1919, 1079), 0x55555555);
}

/* A machine with less memory for pictures, or fewer outputs, is another machine. */
OnRig(virtio_gpu_state, a_smaller_budget_refuses, open_gpu(rig, rig_variants))
{
    listen_to_log(LOG_ERROR);
    cr_assert_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 512, 512), GPUREQ_OK);
    rig->cfg.gpu_bytes = MIB;
    cr_expect_eq(move(rig), -EINVAL);
    cr_expect_not_null(strstr(logged_line, "does not fit"));
}
