// SPDX-License-Identifier: BSD-2-Clause
/*
 * What all displays share: a display backend (core/ports/display.h) whose pictures a viewer shows,
 * a window or a server with a thread of its own.
 *
 *     device's loop                                      viewer's thread
 *     damage() notes rectangles
 *     copies them into the front buffer ---- wake() ---> screen_take(): what has changed
 *     damage() notes more                                shows it, however long that takes
 *     copies them                     <----- a post ---- screen_done()
 *
 * So neither waits for the other: what a slow viewer misses is merged, it never sees half of an
 * update, and a small change is a small copy. One buffer a scanout; the viewer reads it between
 * take and done, the loop writes it at other times.
 */
#ifndef MINIVET_DEVICES_SCREEN_H
#define MINIVET_DEVICES_SCREEN_H

#include <stdbool.h>

#include "core/ports/display.h"

struct evloop;
struct screen;

#define SCREEN_RECTS 16u /* more are merged */
#define SCREEN_BYTES                                                             \
    (UINT64_C(512) << 20) /* of all front buffers; what has no room is not shown \
                           */

/* That the loop copies in a turn: all of a picture of 3840 x 2160 pixels. */
#define SCREEN_TURN_BYTES (UINT64_C(32) << 20)

/* What a scanout shows. The pointers are the screen's, until screen_done(). */
struct screen_frame {
    const uint8_t *pixels;  /* BGRX, rows without gaps */
    uint32_t width, height; /* 0: nothing is shown */
    bool is_new;            /* another size than before, or nothing before; all of it is damage */
    struct display_rect rects[SCREEN_RECTS]; /* what has changed */
    unsigned rect_count;
    const struct display_cursor *cursor; /* NULL: hidden */
    bool cursor_is_new;                  /* the picture, or whether it is hidden */
    uint32_t cursor_x, cursor_y;         /* of the pixel that points */
};

struct screen_config {
    struct evloop *loop;
    /* On the loop: screen_take() has something, of some scanout. Wakes the viewer's thread. */
    void (*wake)(void *ctx);
    void *ctx;
};

/* Errors are reported. */
int screen_create(struct screen **out, const struct screen_config *config);
/* The viewer's thread is gone; the loop does not run elsewhere. NULL is allowed. */
void screen_destroy(struct screen *s);

/* For the device. Its destroy() does nothing: the screen's owner ends it. */
struct display_backend *screen_backend(struct screen *s);

/* ---- the viewer's thread ---- */

/* False: nothing has changed since the last time. Otherwise screen_done() has to follow. */
bool screen_take(struct screen *s, unsigned scanout, struct screen_frame *out);
void screen_done(struct screen *s, unsigned scanout);

/* A person wants another size; 0, 0: has closed the window. The device may follow, or not. */
void screen_resize(struct screen *s, unsigned scanout, uint32_t width, uint32_t height);

#endif
