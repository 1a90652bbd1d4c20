// SPDX-License-Identifier: BSD-2-Clause
/*
 * Display port: what a device that makes pictures needs of what shows them. The device knows this
 * table and never a window; the backend never hears of resources or queues. (Implementations:
 * devices/display.)
 *
 * A display has scanouts, as a computer has sockets for monitors. Each shows a surface: pixels in
 * memory of the device's, which reports as damage what it has changed. A backend that shows them in
 * a thread of its own copies them first. It reads a surface on the loop alone, inside a call of
 * this table or a callback of its own: so it never sees half of a device's step, and the device may
 * change the pixels at any time between.
 *
 * Everything is called on the loop that the backend was created for, and nothing blocks.
 */
#ifndef MINIVET_CORE_DISPLAY_H
#define MINIVET_CORE_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISPLAY_SCANOUTS_MAX 16u
#define DISPLAY_SIDE_MAX     16384u /* pixels, of a surface */
#define DISPLAY_CURSOR_SIDE  64u

struct display_backend;

/* Four bytes a pixel, named in the order in which they lie in memory; X is ignored. */
enum display_format {
    DISPLAY_BGRX,
    DISPLAY_XRGB,
    DISPLAY_RGBX,
    DISPLAY_XBGR,
};

struct display_rect {
    uint32_t x, y, width, height; /* pixels */
};

struct display_surface {
    const uint8_t *pixels;
    uint32_t width, height; /* pixels, 1 to DISPLAY_SIDE_MAX */
    size_t stride_bytes;    /* from a row to the next, at least 4 * width */
    enum display_format format;
};

/* Rows of BGRA without gaps; alpha is not multiplied in. */
struct display_cursor {
    uint8_t pixels[DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE * 4];
    uint32_t hot_x, hot_y; /* the pixel that points, below DISPLAY_CURSOR_SIDE */
};

/* Of the device that uses the backend. */
struct display_handler {
    /* A person has made the window that large; 0, 0: closed it. The device may follow, or not. */
    void (*on_resize)(void *ctx, unsigned scanout, uint32_t width, uint32_t height);
    /*
     * Is damage of use from now on? It is at first. A device that has to look for damage stops
     * meanwhile; NULL: it does not have to. May come inside a call that another device makes.
     */
    void (*on_wanted)(void *ctx, unsigned scanout, bool wanted);
    void *ctx;
};

struct display_backend_ops {
    /*
     * What a scanout shows from now on; all of it is damage. The structure is copied, the pixels
     * stay where they are until the next call for the scanout has returned. NULL: nothing is shown.
     */
    void (*set_surface)(struct display_backend *b, unsigned scanout,
                        const struct display_surface *surface);
    /* The surface's pixels have changed in here. The rectangle lies inside of the surface. */
    void (*damage)(struct display_backend *b, unsigned scanout, const struct display_rect *rect);
    /* The picture is copied; NULL hides it. Where its pointing pixel is: move_cursor(). */
    void (*set_cursor)(struct display_backend *b, unsigned scanout,
                       const struct display_cursor *cursor);
    void (*move_cursor)(struct display_backend *b, unsigned scanout, uint32_t x, uint32_t y);
    void (*destroy)(struct display_backend *b);
};

/*
 * A backend may stand on others (two devices that take turns): it owns them. Calls of the handler
 * come from the loop, never inside a call of the table.
 */
struct display_backend {
    const struct display_backend_ops *ops;
    struct display_handler handler; /* the device's; zeroed while there is none */
};

static inline void display_tell_size(const struct display_backend *b, unsigned scanout,
                                     uint32_t width, uint32_t height)
{
    if (b->handler.on_resize != NULL)
        b->handler.on_resize(b->handler.ctx, scanout, width, height);
}

static inline void display_tell_wanted(const struct display_backend *b, unsigned scanout,
                                       bool wanted)
{
    if (b->handler.on_wanted != NULL)
        b->handler.on_wanted(b->handler.ctx, scanout, wanted);
}

#endif
