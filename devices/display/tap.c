// SPDX-License-Identifier: BSD-2-Clause
#include "devices/display/tap.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "devices/display/pixels.h"

struct display_tap {
    struct display_backend b;
    struct display_backend *behind;                     /* or NULL */
    struct display_surface shown[DISPLAY_SCANOUTS_MAX]; /* width 0: nothing */
};

static struct display_tap *tap_of(struct display_backend *b)
{
    return container_of(b, struct display_tap, b);
}

static void set_surface(struct display_backend *b, unsigned scanout,
                        const struct display_surface *surface)
{
    struct display_tap *t = tap_of(b);
    t->shown[scanout] = surface != NULL ? *surface : (struct display_surface){0};
    if (t->behind != NULL)
        t->behind->ops->set_surface(t->behind, scanout, surface);
}

static void damage(struct display_backend *b, unsigned scanout, const struct display_rect *rect)
{
    struct display_backend *behind = tap_of(b)->behind;
    if (behind != NULL)
        behind->ops->damage(behind, scanout, rect);
}

static void set_cursor(struct display_backend *b, unsigned scanout,
                       const struct display_cursor *cursor)
{
    struct display_backend *behind = tap_of(b)->behind;
    if (behind != NULL)
        behind->ops->set_cursor(behind, scanout, cursor);
}

static void move_cursor(struct display_backend *b, unsigned scanout, uint32_t x, uint32_t y)
{
    struct display_backend *behind = tap_of(b)->behind;
    if (behind != NULL)
        behind->ops->move_cursor(behind, scanout, x, y);
}

static void destroy(struct display_backend *b)
{
    (void)b; /* display_tap_destroy() */
}

static const struct display_backend_ops ops = {
    .set_surface = set_surface,
    .damage = damage,
    .set_cursor = set_cursor,
    .move_cursor = move_cursor,
    .destroy = destroy,
};

static void on_resize(void *ctx, unsigned scanout, uint32_t width, uint32_t height)
{
    const struct display_tap *t = ctx;
    display_tell_size(&t->b, scanout, width, height);
}

static void on_wanted(void *ctx, unsigned scanout, bool wanted)
{
    const struct display_tap *t = ctx;
    display_tell_wanted(&t->b, scanout, wanted);
}

int display_tap_create(struct display_tap **out, struct display_backend *behind)
{
    struct display_tap *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return fail(-ENOMEM, "display");
    t->b.ops = &ops;
    t->behind = behind;
    if (behind != NULL)
        behind->handler = (struct display_handler){on_resize, on_wanted, t};
    *out = t;
    return 0;
}

void display_tap_destroy(struct display_tap *t)
{
    if (t != NULL && t->behind != NULL)
        t->behind->handler = (struct display_handler){0};
    free(t);
}

struct display_backend *display_tap_backend(struct display_tap *t)
{
    return &t->b;
}

static int begin(const struct display_surface *s, struct display_picture *out)
{
    uint64_t bytes = (uint64_t)s->width * s->height * 4;
    if (s->width == 0)
        return -ENOENT;
    if (bytes > DISPLAY_PICTURE_BYTES)
        return -EFBIG;
    *out = (struct display_picture){malloc(bytes), s->width, s->height, 0};
    return out->pixels != NULL ? 0 : -ENOMEM;
}

int display_tap_copy(const struct display_tap *t, unsigned scanout, struct display_picture *out)
{
    const struct display_surface *s = &t->shown[scanout];
    int err = 0;
    if (out->pixels == NULL)
        err = begin(s, out);
    else if (s->width != out->width || s->height != out->height)
        err = -EAGAIN;
    if (err < 0) {
        free(out->pixels);
        out->pixels = NULL;
        return err;
    }
    uint64_t rows = max_u64(DISPLAY_PICTURE_TURN / 4 / s->width, 1);
    rows = min_u64(rows, s->height - out->rows);
    pixels_copy(out->pixels, s, &(struct display_rect){0, out->rows, s->width, (uint32_t)rows});
    out->rows += (uint32_t)rows;
    return out->rows < out->height;
}
