// SPDX-License-Identifier: BSD-2-Clause
#include "devices/display/turns.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/display.h"

struct turns {
    struct display_backend framebuffer, adapter;
    struct display_backend *display;
    unsigned left; /* of the two */
    bool is_drawn; /* the framebuffer has a surface: */
    struct display_surface drawn;
    bool adapter_shows; /* ... and so has the adapter, on scanout 0 */
    bool drawn_shows;   /* the framebuffer's is what the display has */
    bool is_wanted;     /* by the display, of scanout 0: damage */
};

/* ---- the framebuffer's half ---- */

static struct turns *of_framebuffer(struct display_backend *b)
{
    return container_of(b, struct turns, framebuffer);
}

static void show_drawn(struct turns *t)
{
    t->drawn_shows = t->is_drawn;
    t->display->ops->set_surface(t->display, 0, t->is_drawn ? &t->drawn : NULL);
}

static void framebuffer_set_surface(struct display_backend *b, unsigned scanout,
                                    const struct display_surface *surface)
{
    struct turns *t = of_framebuffer(b);
    (void)scanout;
    t->is_drawn = surface != NULL;
    if (surface != NULL)
        t->drawn = *surface;
    if (!t->adapter_shows)
        show_drawn(t);
}

static void framebuffer_damage(struct display_backend *b, unsigned scanout,
                               const struct display_rect *rect)
{
    struct turns *t = of_framebuffer(b);
    if (t->drawn_shows)
        t->display->ops->damage(t->display, scanout, rect);
    else if (!t->adapter_shows)
        show_drawn(t);
}

static void framebuffer_set_cursor(struct display_backend *b, unsigned scanout,
                                   const struct display_cursor *cursor)
{
    (void)b, (void)scanout, (void)cursor;
}

static void framebuffer_move_cursor(struct display_backend *b, unsigned scanout, uint32_t x,
                                    uint32_t y)
{
    (void)b, (void)scanout, (void)x, (void)y;
}

static void tell_wanted(const struct turns *t)
{
    display_tell_wanted(&t->framebuffer, 0, t->is_wanted && !t->adapter_shows);
}

/* ---- the adapter's half ---- */

static struct turns *of_adapter(struct display_backend *b)
{
    return container_of(b, struct turns, adapter);
}

static void adapter_set_surface(struct display_backend *b, unsigned scanout,
                                const struct display_surface *surface)
{
    struct turns *t = of_adapter(b);
    if (scanout == 0 && surface == NULL && !t->adapter_shows)
        return; /* it is the framebuffer's turn */
    t->display->ops->set_surface(t->display, scanout, surface);
    if (scanout != 0 || t->adapter_shows == (surface != NULL))
        return;
    t->adapter_shows = surface != NULL;
    t->drawn_shows = false;
    tell_wanted(t);
}

static void adapter_damage(struct display_backend *b, unsigned scanout,
                           const struct display_rect *rect)
{
    struct turns *t = of_adapter(b);
    t->display->ops->damage(t->display, scanout, rect);
}

static void adapter_set_cursor(struct display_backend *b, unsigned scanout,
                               const struct display_cursor *cursor)
{
    struct turns *t = of_adapter(b);
    t->display->ops->set_cursor(t->display, scanout, cursor);
}

static void adapter_move_cursor(struct display_backend *b, unsigned scanout, uint32_t x, uint32_t y)
{
    struct turns *t = of_adapter(b);
    t->display->ops->move_cursor(t->display, scanout, x, y);
}

/* ---- what the display says ---- */

static void on_resize(void *ctx, unsigned scanout, uint32_t width, uint32_t height)
{
    const struct turns *t = ctx;
    display_tell_size(&t->adapter, scanout, width, height);
}

static void on_wanted(void *ctx, unsigned scanout, bool wanted)
{
    struct turns *t = ctx;
    display_tell_wanted(&t->adapter, scanout, wanted);
    if (scanout != 0)
        return;
    t->is_wanted = wanted;
    tell_wanted(t);
}

/* ---- life ---- */

static void leave(struct turns *t)
{
    if (--t->left > 0)
        return;
    t->display->ops->destroy(t->display);
    free(t);
}

static void framebuffer_destroy(struct display_backend *b)
{
    leave(of_framebuffer(b));
}

static void adapter_destroy(struct display_backend *b)
{
    leave(of_adapter(b));
}

static const struct display_backend_ops framebuffer_ops = {
    .set_surface = framebuffer_set_surface,
    .damage = framebuffer_damage,
    .set_cursor = framebuffer_set_cursor,
    .move_cursor = framebuffer_move_cursor,
    .destroy = framebuffer_destroy,
};

static const struct display_backend_ops adapter_ops = {
    .set_surface = adapter_set_surface,
    .damage = adapter_damage,
    .set_cursor = adapter_set_cursor,
    .move_cursor = adapter_move_cursor,
    .destroy = adapter_destroy,
};

int display_turns_create(struct display_backend **framebuffer, struct display_backend **adapter,
                         struct display_backend *display)
{
    struct turns *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        display->ops->destroy(display);
        return fail(-ENOMEM, "display");
    }
    *t = (struct turns){.framebuffer.ops = &framebuffer_ops,
                        .adapter.ops = &adapter_ops,
                        .display = display,
                        .left = 2,
                        .is_wanted = true};
    display->handler = (struct display_handler){on_resize, on_wanted, t};
    *framebuffer = &t->framebuffer;
    *adapter = &t->adapter;
    return 0;
}
