// SPDX-License-Identifier: BSD-2-Clause
#ifdef HAVE_SDL2

#include "devices/display/sdl_window.h"

#include "core/ports/display.h"
#include "core/ports/input.h"
#include "devices/display/screen.h"

#define FIRST_WIDTH  1024
#define FIRST_HEIGHT 768

/* Names of SDL's are those of a number, so that these are BGRX and BGRA in memory. */
#define BGRX SDL_PIXELFORMAT_RGB888
#define BGRA SDL_PIXELFORMAT_ARGB8888

bool sdl_window_open(struct sdl_window *w, const struct sdl_calls *sdl, bool draws_cursor)
{
    *w = (struct sdl_window){.sdl = sdl,
                             .agreed_width = FIRST_WIDTH,
                             .agreed_height = FIRST_HEIGHT,
                             .draws_cursor = draws_cursor,
                             .is_stale = true};
    w->window =
        sdl->CreateWindow("minivet", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, FIRST_WIDTH,
                          FIRST_HEIGHT, SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI);
    if (w->window != NULL)
        w->renderer = sdl->CreateRenderer(w->window, -1, 0);
    if (w->renderer == NULL)
        sdl_window_close(w);
    return w->window != NULL;
}

void sdl_window_close(struct sdl_window *w)
{
    if (w->sprite != NULL)
        w->sdl->DestroyTexture(w->sprite);
    if (w->picture != NULL)
        w->sdl->DestroyTexture(w->picture);
    if (w->renderer != NULL)
        w->sdl->DestroyRenderer(w->renderer);
    if (w->cursor != NULL)
        w->sdl->FreeCursor(w->cursor);
    if (w->window != NULL)
        w->sdl->DestroyWindow(w->window);
    *w = (struct sdl_window){0};
}

/* ---- sizes ---- */

void sdl_window_size(const struct sdl_window *w, int *width, int *height)
{
    if (w->sdl->GetRendererOutputSize(w->renderer, width, height) < 0)
        w->sdl->GetWindowSize(w->window, width, height);
}

/* The largest place of the picture's shape, in the middle. */
static SDL_Rect place_of(const struct sdl_window *w)
{
    int width = 0, height = 0;
    sdl_window_size(w, &width, &height);
    SDL_Rect r = {0, 0, width, height};
    if ((int64_t)width * w->height > (int64_t)height * w->width)
        r.w = (int)((int64_t)height * w->width / w->height);
    else
        r.h = (int)((int64_t)width * w->height / w->width);
    r.x = (width - r.w) / 2;
    r.y = (height - r.h) / 2;
    return r;
}

static unsigned axis(double at, int size)
{
    double place = size > 1 ? at * INPUT_AXIS_MAX / (size - 1) : 0;
    return place <= 0 ? 0 : place >= INPUT_AXIS_MAX ? INPUT_AXIS_MAX : (unsigned)(place + 0.5);
}

void sdl_window_place(const struct sdl_window *w, double x, double y, unsigned *out_x,
                      unsigned *out_y)
{
    int width = 0, height = 0, units_x = 0, units_y = 0;
    *out_x = *out_y = 0;
    if (w->picture == NULL)
        return;
    SDL_Rect r = place_of(w);
    sdl_window_size(w, &width, &height);
    w->sdl->GetWindowSize(w->window, &units_x, &units_y);
    if (units_x > 0 && units_y > 0) {
        *out_x = axis(x * width / units_x - r.x, r.w);
        *out_y = axis(y * height / units_y - r.y, r.h);
    }
}

/* A window has the picture's size until a person gives it another, and again when both are the
 * same. */
static void follow(struct sdl_window *w)
{
    const uint32_t kept = SDL_WINDOW_FULLSCREEN | SDL_WINDOW_MAXIMIZED;
    int width = 0, height = 0, units_x = 0, units_y = 0;
    sdl_window_size(w, &width, &height);
    if (width <= 0 || height <= 0 || w->picture == NULL || w->is_changing)
        return;
    w->sdl->GetWindowSize(w->window, &units_x, &units_y);
    bool is_same = width == w->width && height == w->height;
    if (!is_same && (w->is_chosen || (w->sdl->GetWindowFlags(w->window) & kept)))
        return;
    w->is_chosen = false;
    w->agreed_width = (int)((int64_t)w->width * units_x / width);
    w->agreed_height = (int)((int64_t)w->height * units_y / height);
    if (!is_same)
        w->sdl->SetWindowSize(w->window, w->agreed_width, w->agreed_height);
}

bool sdl_window_settle(struct sdl_window *w)
{
    int units_x = 0, units_y = 0;
    w->sdl->GetWindowSize(w->window, &units_x, &units_y);
    w->is_changing = false;
    bool is_persons = w->is_chosen || units_x != w->agreed_width || units_y != w->agreed_height;
    w->is_chosen = is_persons;
    follow(w);
    return is_persons;
}

/* ---- pictures ---- */

static bool resize(struct sdl_window *w, const struct screen_frame *frame)
{
    if (w->picture != NULL)
        w->sdl->DestroyTexture(w->picture);
    w->picture = NULL;
    if (frame->width == 0)
        return true;
    w->width = (int)frame->width;
    w->height = (int)frame->height;
    w->picture =
        w->sdl->CreateTexture(w->renderer, BGRX, SDL_TEXTUREACCESS_STATIC, w->width, w->height);
    follow(w);
    return w->picture != NULL;
}

static void set_sprite(struct sdl_window *w, const struct display_cursor *from)
{
    const int side = DISPLAY_CURSOR_SIDE;
    if (w->sprite != NULL)
        w->sdl->DestroyTexture(w->sprite);
    w->sprite = NULL;
    if (from != NULL)
        w->sprite = w->sdl->CreateTexture(w->renderer, BGRA, SDL_TEXTUREACCESS_STATIC, side, side);
    if (w->sprite == NULL)
        return;
    w->sdl->SetTextureBlendMode(w->sprite, SDL_BLENDMODE_BLEND);
    w->sdl->UpdateTexture(w->sprite, NULL, from->pixels, side * 4);
}

static void set_cursor(struct sdl_window *w, const struct display_cursor *from)
{
    const int side = DISPLAY_CURSOR_SIDE;
    SDL_Cursor *old = w->cursor;
    w->cursor = NULL;
    if (from != NULL) {
        SDL_Surface *surface = w->sdl->CreateRGBSurfaceWithFormatFrom((void *)from->pixels, side,
                                                                      side, 32, side * 4, BGRA);
        if (surface != NULL)
            w->cursor = w->sdl->CreateColorCursor(surface, (int)from->hot_x, (int)from->hot_y);
        if (surface != NULL)
            w->sdl->FreeSurface(surface);
    }
    if (old != NULL)
        w->sdl->FreeCursor(old);
}

static void take_cursor(struct sdl_window *w, const struct screen_frame *frame)
{
    if (frame->cursor_is_new && w->draws_cursor)
        set_sprite(w, frame->cursor);
    else if (frame->cursor_is_new)
        set_cursor(w, frame->cursor);
    if (frame->cursor == NULL)
        return;
    w->sprite_x = (int)(frame->cursor_x - frame->cursor->hot_x);
    w->sprite_y = (int)(frame->cursor_y - frame->cursor->hot_y);
}

bool sdl_window_take(struct sdl_window *w, const struct screen_frame *frame)
{
    bool has_room = !frame->is_new || resize(w, frame);
    for (unsigned i = 0; w->picture != NULL && i < frame->rect_count; i++) {
        const struct display_rect *r = &frame->rects[i];
        const SDL_Rect rect = {(int)r->x, (int)r->y, (int)r->width, (int)r->height};
        w->sdl->UpdateTexture(w->picture, &rect,
                              frame->pixels + ((size_t)r->y * frame->width + r->x) * 4,
                              (int)frame->width * 4);
    }
    take_cursor(w, frame);
    w->is_stale = true;
    return has_room;
}

/*
 * Of one axis: the sprite's pixels that are in the picture, and where they are in the window.
 * False: none. What is scaled and reaches out of the window, SDL makes all of first.
 */
static bool clip(int at, int pixels, int place, int *from, int *count, int *to, int *size)
{
    int64_t begin = at > 0 ? at : 0, end = (int64_t)at + DISPLAY_CURSOR_SIDE;
    if (end > pixels)
        end = pixels;
    if (begin >= end)
        return false;
    int left = (int)(begin * place / pixels), right = (int)(end * place / pixels);
    *from = (int)(begin - at);
    *count = (int)(end - begin);
    *to += left;
    *size = right - left;
    return true;
}

static void draw_sprite(const struct sdl_window *w, const SDL_Rect *place)
{
    SDL_Rect from, to = *place;
    if (clip(w->sprite_x, w->width, place->w, &from.x, &from.w, &to.x, &to.w) &&
        clip(w->sprite_y, w->height, place->h, &from.y, &from.h, &to.y, &to.h))
        w->sdl->RenderCopy(w->renderer, w->sprite, &from, &to);
}

void sdl_window_draw(struct sdl_window *w)
{
    w->is_stale = false;
    w->sdl->RenderClear(w->renderer);
    if (w->picture != NULL) {
        SDL_Rect place = place_of(w);
        w->sdl->RenderCopy(w->renderer, w->picture, NULL, &place);
        if (w->sprite != NULL)
            draw_sprite(w, &place);
    }
    w->sdl->RenderPresent(w->renderer);
}

#else

typedef int sdl_window_is_not_built; /* a file has to declare something */

#endif
