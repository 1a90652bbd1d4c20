// SPDX-License-Identifier: BSD-2-Clause
/* devices/display/turns.c: which of two devices has the display, and what the other is told. */
#include "devices/display/turns.h"

#include "tests/harness/fake_display.h"
#include "tests/harness/test.h"

#define BOOT_PIXEL    0x11111111u
#define ADAPTER_PIXEL 0x22222222u

struct scene {
    struct fake_display display;
    struct display_backend_ops ops;
    struct display_backend *framebuffer, *adapter;
    uint32_t boot[4], drawn[4];
    int wanted[2]; /* what each was told last; -1: nothing */
    uint32_t width;
};

static unsigned destroyed;

static void count_destroy(struct display_backend *b)
{
    (void)b;
    destroyed++;
}

static void framebuffer_wanted(void *ctx, unsigned scanout, bool wanted)
{
    struct scene *s = ctx;
    cr_assert_eq(scanout, 0);
    s->wanted[0] = wanted;
}

static void adapter_wanted(void *ctx, unsigned scanout, bool wanted)
{
    struct scene *s = ctx;
    (void)scanout;
    s->wanted[1] = wanted;
}

static void adapter_resize(void *ctx, unsigned scanout, uint32_t width, uint32_t height)
{
    struct scene *s = ctx;
    (void)scanout;
    (void)height;
    s->width = width;
}

static void open_scene(struct scene *s)
{
    *s = (struct scene){.wanted = {-1, -1}};
    for (unsigned i = 0; i < 4; i++) {
        s->boot[i] = BOOT_PIXEL;
        s->drawn[i] = ADAPTER_PIXEL;
    }
    fake_display_init(&s->display);
    s->ops = *s->display.backend.ops;
    s->ops.destroy = count_destroy;
    s->display.backend.ops = &s->ops;
    cr_assert_eq(display_turns_create(&s->framebuffer, &s->adapter, &s->display.backend), 0);
    s->framebuffer->handler = (struct display_handler){.on_wanted = framebuffer_wanted, .ctx = s};
    s->adapter->handler = (struct display_handler){
        .on_resize = adapter_resize, .on_wanted = adapter_wanted, .ctx = s};
    destroyed = 0;
}

static void close_scene(struct scene *s)
{
    s->framebuffer->ops->destroy(s->framebuffer);
    cr_expect_eq(destroyed, 0, "the adapter is still there");
    s->adapter->ops->destroy(s->adapter);
    cr_expect_eq(destroyed, 1);
    fake_display_fini(&s->display);
}

#define OnTurns(name) TestWith(display_turns, name, struct scene, s, open_scene(s), close_scene(s))

static void show(struct display_backend *b, unsigned scanout, const uint32_t *pixels)
{
    b->ops->set_surface(b, scanout,
                        &(struct display_surface){.pixels = (const uint8_t *)pixels,
                                                  .width = 2,
                                                  .height = 2,
                                                  .stride_bytes = 8,
                                                  .format = DISPLAY_BGRX});
}

static void damage(struct display_backend *b, unsigned scanout)
{
    b->ops->damage(b, scanout, &(struct display_rect){1, 1, 1, 1});
}

static void expect_pixel(const struct scene *s, uint32_t pixel)
{
    cr_expect_eq(fake_display_pixel(&s->display, 0, 1, 1), pixel);
}

OnTurns(the_framebuffer_is_first)
{
    show(s->framebuffer, 0, s->boot);
    expect_pixel(s, BOOT_PIXEL);
    s->boot[3] = 5;
    damage(s->framebuffer, 0);
    expect_pixel(s, 5);
    cr_expect_eq(s->wanted[0], -1);
}

OnTurns(the_adapter_takes_over_by_its_first_surface)
{
    const struct fake_screen *seen = &s->display.screens[0];
    show(s->framebuffer, 0, s->boot);
    show(s->adapter, 0, s->drawn);
    expect_pixel(s, ADAPTER_PIXEL);
    cr_expect_eq(seen->surfaces, 2, "no empty picture in between");
    cr_expect_eq(s->wanted[0], false);

    /* What comes of the framebuffer all the same is not seen. */
    s->boot[3] = 5;
    damage(s->framebuffer, 0);
    show(s->framebuffer, 0, s->boot);
    s->framebuffer->ops->set_surface(s->framebuffer, 0, NULL);
    cr_expect_eq(seen->surfaces, 2);
    cr_expect_eq(seen->damages, 0);

    s->wanted[0] = -1;
    s->drawn[3] = 6;
    damage(s->adapter, 0);
    expect_pixel(s, 6);
    show(s->adapter, 0, s->drawn);
    cr_expect_eq(s->wanted[0], -1, "it was told once");
}

OnTurns(an_adapter_without_a_picture_leaves_the_framebuffer)
{
    show(s->framebuffer, 0, s->boot);
    s->adapter->ops->set_surface(s->adapter, 0, NULL);
    expect_pixel(s, BOOT_PIXEL);
    cr_expect_eq(s->display.screens[0].surfaces, 1);
    cr_expect_eq(s->wanted[0], -1);
}

OnTurns(a_reset_adapter_makes_room_for_what_is_drawn_next)
{
    const struct fake_screen *seen = &s->display.screens[0];
    show(s->framebuffer, 0, s->boot);
    show(s->adapter, 0, s->drawn);
    s->adapter->ops->set_surface(s->adapter, 0, NULL);
    cr_expect_not(seen->shows, "a monitor that is switched off is no old picture");
    cr_expect_eq(s->wanted[0], true);

    s->boot[0] = 5;
    damage(s->framebuffer, 0);
    expect_pixel(s, BOOT_PIXEL);
    cr_expect_eq(fake_display_pixel(&s->display, 0, 0, 0), 5, "all of it, not only the damage");
    damage(s->framebuffer, 0);
    cr_expect_eq(seen->surfaces, 4);
    cr_expect_eq(seen->damages, 1);

    show(s->adapter, 0, s->drawn);
    expect_pixel(s, ADAPTER_PIXEL);
    cr_expect_eq(s->wanted[0], false);
}

OnTurns(the_framebuffer_may_come_last)
{
    show(s->adapter, 0, s->drawn);
    show(s->framebuffer, 0, s->boot);
    expect_pixel(s, ADAPTER_PIXEL);
    s->adapter->ops->set_surface(s->adapter, 0, NULL);
    damage(s->framebuffer, 0);
    expect_pixel(s, BOOT_PIXEL);
    s->framebuffer->ops->set_surface(s->framebuffer, 0, NULL);
    cr_expect_not(s->display.screens[0].shows);
}

OnTurns(other_scanouts_cursors_and_sizes_are_the_adapters)
{
    static const struct display_cursor arrow = {.hot_x = 1};
    show(s->framebuffer, 0, s->boot);
    show(s->adapter, 1, s->drawn);
    expect_pixel(s, BOOT_PIXEL);
    cr_expect_eq(fake_display_pixel(&s->display, 1, 0, 0), ADAPTER_PIXEL);
    s->adapter->ops->set_surface(s->adapter, 1, NULL);
    cr_expect_not(s->display.screens[1].shows);
    cr_expect_eq(s->wanted[0], -1);

    s->adapter->ops->set_cursor(s->adapter, 0, &arrow);
    s->adapter->ops->move_cursor(s->adapter, 0, 7, 8);
    s->framebuffer->ops->set_cursor(s->framebuffer, 0, NULL);
    s->framebuffer->ops->move_cursor(s->framebuffer, 0, 1, 1);
    cr_assert_not_null(s->display.screens[0].cursor);
    cr_expect_eq(s->display.screens[0].cursor_x, 7);
    display_tell_size(&s->display.backend, 0, 640, 480);
    cr_expect_eq(s->width, 640);
}

OnTurns(a_display_that_is_not_looked_at_wants_nothing)
{
    show(s->framebuffer, 0, s->boot);
    display_tell_wanted(&s->display.backend, 1, false);
    cr_expect_eq(s->wanted[0], -1, "another scanout");
    display_tell_wanted(&s->display.backend, 0, false);
    cr_expect_eq(s->wanted[0], false);
    display_tell_wanted(&s->display.backend, 0, true);
    cr_expect_eq(s->wanted[0], true);

    show(s->adapter, 0, s->drawn);
    display_tell_wanted(&s->display.backend, 0, false);
    cr_expect_eq(s->wanted[1], false);
    s->adapter->ops->set_surface(s->adapter, 0, NULL);
    cr_expect_eq(s->wanted[0], false, "nor is a display that is not looked at");
}
