// SPDX-License-Identifier: BSD-2-Clause
/* A window that shows a scanout: its picture, scaled and with its shape kept, and its cursor. */
#ifndef MINIVET_DEVICES_SDL_WINDOW_H
#define MINIVET_DEVICES_SDL_WINDOW_H

#include <stdbool.h>

#include "devices/display/sdl_calls.h"

struct screen_frame;

/* Of the thread that called SDL_Init(). Zeroed: there is no window. */
struct sdl_window {
    const struct sdl_calls *sdl;
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *picture; /* NULL: nothing is shown */
    SDL_Texture *sprite;  /* the cursor that the window draws; NULL: none */
    SDL_Cursor *cursor;   /* the cursor that the window system draws; NULL: none */
    int width, height;    /* of the picture, in pixels */
    int sprite_x, sprite_y;
    bool draws_cursor;               /* the guest's pointer is not where the host's is */
    bool is_stale;                   /* what the window shows is not the latest */
    int agreed_width, agreed_height; /* of the window, in its units: what it was given last, or
                                        what the guest has taken over */
    bool is_changing;                /* its size may be in the middle of a change */
    bool is_chosen;                  /* a person has given it its size, which it keeps */
};

/* False: SDL_GetError() says why. draws_cursor: see above. */
bool sdl_window_open(struct sdl_window *w, const struct sdl_calls *sdl, bool draws_cursor);
void sdl_window_close(struct sdl_window *w);

/* Copies what has changed. False: there is no memory for the picture. */
bool sdl_window_take(struct sdl_window *w, const struct screen_frame *frame);
void sdl_window_draw(struct sdl_window *w);

/* In the picture's coordinates, 0 to INPUT_AXIS_MAX, from the window's; what is beside it counts as
 * its edge. */
void sdl_window_place(const struct sdl_window *w, double x, double y, unsigned *out_x,
                      unsigned *out_y);
/*
 * The window has had one size for a while. True: it is a person's choice, and not the late news of
 * a size that it was given here.
 */
bool sdl_window_settle(struct sdl_window *w);
/* In pixels, of the screen's and not the window system's units. */
void sdl_window_size(const struct sdl_window *w, int *width, int *height);

#endif
