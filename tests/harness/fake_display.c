// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/fake_display.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"

#define PIXEL_BYTES 4u

static struct fake_screen *screen(struct display_backend *b, unsigned scanout)
{
    struct fake_display *d = container_of(b, struct fake_display, backend);
    BUG_ON(scanout >= DISPLAY_SCANOUTS_MAX);
    return &d->screens[scanout];
}

static void look(struct fake_screen *s, const struct display_rect *r)
{
    for (uint32_t y = r->y; y < r->y + r->height; y++)
        memcpy(s->seen + ((size_t)y * s->surface.width + r->x) * PIXEL_BYTES,
               s->surface.pixels + y * s->surface.stride_bytes + (size_t)r->x * PIXEL_BYTES,
               (size_t)r->width * PIXEL_BYTES);
}

static void set_surface(struct display_backend *b, unsigned scanout,
                        const struct display_surface *surface)
{
    struct fake_screen *s = screen(b, scanout);
    free(s->seen);
    s->seen = NULL;
    s->shows = surface != NULL;
    s->surfaces++;
    if (surface == NULL)
        return;
    s->surface = *surface;
    BUG_ON(surface->pixels == NULL || surface->width == 0 || surface->height == 0);
    BUG_ON(surface->width > DISPLAY_SIDE_MAX || surface->height > DISPLAY_SIDE_MAX);
    BUG_ON(surface->stride_bytes < (size_t)surface->width * PIXEL_BYTES);
    s->seen = malloc((size_t)surface->width * surface->height * PIXEL_BYTES);
    BUG_ON(s->seen == NULL);
    look(s, &(struct display_rect){0, 0, surface->width, surface->height});
}

static void damage(struct display_backend *b, unsigned scanout, const struct display_rect *rect)
{
    struct fake_screen *s = screen(b, scanout);
    BUG_ON(!s->shows || rect->width == 0 || rect->height == 0);
    BUG_ON(!range_within(rect->x, rect->width, 0, s->surface.width));
    BUG_ON(!range_within(rect->y, rect->height, 0, s->surface.height));
    look(s, rect);
    s->damage = *rect;
    s->damages++;
}

static void set_cursor(struct display_backend *b, unsigned scanout,
                       const struct display_cursor *cursor)
{
    struct fake_screen *s = screen(b, scanout);
    free(s->cursor);
    s->cursor = NULL;
    s->cursors++;
    if (cursor == NULL)
        return;
    BUG_ON(cursor->hot_x >= DISPLAY_CURSOR_SIDE || cursor->hot_y >= DISPLAY_CURSOR_SIDE);
    s->cursor = malloc(sizeof(*cursor));
    BUG_ON(s->cursor == NULL);
    *s->cursor = *cursor;
}

static void move_cursor(struct display_backend *b, unsigned scanout, uint32_t x, uint32_t y)
{
    struct fake_screen *s = screen(b, scanout);
    s->cursor_x = x;
    s->cursor_y = y;
    s->moves++;
}

static const struct display_backend_ops ops = {
    .set_surface = set_surface,
    .damage = damage,
    .set_cursor = set_cursor,
    .move_cursor = move_cursor,
};

void fake_display_init(struct fake_display *display)
{
    *display = (struct fake_display){.backend.ops = &ops};
}

void fake_display_fini(struct fake_display *display)
{
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++) {
        free(display->screens[i].seen);
        free(display->screens[i].cursor);
    }
    *display = (struct fake_display){.backend.ops = &ops};
}

uint32_t fake_display_pixel(const struct fake_display *display, unsigned scanout, uint32_t x,
                            uint32_t y)
{
    const struct fake_screen *s = &display->screens[scanout];
    BUG_ON(!s->shows || x >= s->surface.width || y >= s->surface.height);
    return le32_get(s->seen + ((size_t)y * s->surface.width + x) * PIXEL_BYTES);
}
