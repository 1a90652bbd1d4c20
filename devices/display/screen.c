// SPDX-License-Identifier: BSD-2-Clause
#include "devices/display/screen.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "devices/display/pixels.h"

/* To find a row takes as long as to copy so much: it may lie in pages of its own. */
#define ROW_BYTES 4096u

/* Of a scanout's front buffer and what else a frame has. */
enum front_state {
    FRONT_FREE,  /* the loop's */
    FRONT_READY, /* the viewer's, which has not taken it yet */
    FRONT_TAKEN, /* the viewer's */
};

struct scanout {
    /* The loop's. */
    struct display_surface surface; /* width 0: none */
    struct display_rect rects[SCREEN_RECTS];
    unsigned rect_count;
    bool changed; /* beside the rectangles: the surface, the cursor */
    struct display_cursor next_cursor;
    bool next_hidden, cursor_changed;
    uint32_t x, y;
    bool refused; /* a surface for which there was no room, once: that is said only then */

    /* While the loop copies to the front buffer: the next row of frame.rects[rect]. */
    bool is_copying;
    unsigned rect;
    uint32_t row;

    _Atomic enum front_state state; /* whose the following is */
    struct screen_frame frame;
    uint8_t *front;
    uint64_t front_bytes;
    struct display_cursor cursor;

    /* What a person wants: under the screen's lock. */
    uint32_t wanted_width, wanted_height;
    bool wants;
};

struct screen {
    struct display_backend b;
    struct screen_config cfg;
    uint64_t bytes;      /* of all front buffers */
    uint64_t turn_bytes; /* may still be copied in this turn */
    struct ev_defer next_turn;
    struct ev_post again, resize;
    pthread_mutex_t lock;
    struct scanout scanouts[DISPLAY_SCANOUTS_MAX];
};

static struct screen *screen_of(struct display_backend *b)
{
    return container_of(b, struct screen, b);
}

/* ---- damage ---- */

static uint32_t right_of(const struct display_rect *r)
{
    return r->x + r->width;
}

static uint32_t bottom_of(const struct display_rect *r)
{
    return r->y + r->height;
}

static struct display_rect around(const struct display_rect *a, const struct display_rect *b)
{
    uint32_t x = a->x < b->x ? a->x : b->x, y = a->y < b->y ? a->y : b->y;
    uint32_t right = right_of(a) > right_of(b) ? right_of(a) : right_of(b);
    uint32_t bottom = bottom_of(a) > bottom_of(b) ? bottom_of(a) : bottom_of(b);
    return (struct display_rect){x, y, right - x, bottom - y};
}

static uint64_t area_of(const struct display_rect *r)
{
    return (uint64_t)r->width * r->height;
}

/* How many pixels a merger adds that neither has. Negative: they overlap. */
static int64_t cost_of_merging(const struct display_rect *a, const struct display_rect *b)
{
    struct display_rect both = around(a, b);
    return (int64_t)area_of(&both) - (int64_t)area_of(a) - (int64_t)area_of(b);
}

/* Merges with the rectangle to which it adds least, if that costs nothing or there is no room. */
static void note(struct scanout *s, const struct display_rect *rect)
{
    int64_t least = INT64_MAX;
    unsigned best = 0;
    for (unsigned i = 0; i < s->rect_count; i++) {
        int64_t cost = cost_of_merging(&s->rects[i], rect);
        if (cost < least) {
            least = cost;
            best = i;
        }
    }
    if (least <= 0 || s->rect_count == SCREEN_RECTS)
        s->rects[best] = around(&s->rects[best], rect);
    else
        s->rects[s->rect_count++] = *rect;
}

/* ---- copies ---- */

/* A buffer of the surface's size, another one for all of it; false: there is no room for it. */
static bool fit(struct screen *screen, struct scanout *s)
{
    uint64_t bytes = (uint64_t)s->surface.width * s->surface.height * 4;
    if (bytes == s->front_bytes)
        return true;
    screen->bytes -= s->front_bytes;
    free(s->front);
    s->front = screen->bytes + bytes <= SCREEN_BYTES ? malloc(bytes) : NULL;
    s->front_bytes = s->front != NULL ? bytes : 0;
    screen->bytes += s->front_bytes;
    s->rects[0] = (struct display_rect){0, 0, s->surface.width, s->surface.height};
    s->rect_count = 1;
    return s->front != NULL;
}

static bool has_room(struct screen *screen, struct scanout *s)
{
    if (s->surface.width == 0 || fit(screen, s))
        return true;
    if (!s->refused)
        log_warn("display: a picture of %u x %u pixels is not shown: all pictures may have %u MiB",
                 s->surface.width, s->surface.height, (unsigned)(SCREEN_BYTES / MIB));
    s->refused = true;
    return false;
}

static void begin_copy(struct screen *screen, struct scanout *s)
{
    struct screen_frame *f = &s->frame;
    f->rect_count = has_room(screen, s) ? s->rect_count : 0;
    memcpy(f->rects, s->rects, sizeof(f->rects));
    s->rect_count = s->rect = s->row = 0;
    s->is_copying = true;
}

/* False: the turn is used up. */
static bool go_on_copying(struct screen *screen, struct scanout *s)
{
    for (; s->rect < s->frame.rect_count; s->rect++, s->row = 0) {
        const struct display_rect *r = &s->frame.rects[s->rect];
        uint64_t row_bytes = max_u64((uint64_t)r->width * 4, ROW_BYTES);
        while (s->row < r->height) {
            uint64_t rows = min_u64(r->height - s->row, screen->turn_bytes / row_bytes);
            evloop_defer(screen->cfg.loop, &screen->next_turn);
            if (rows == 0)
                return false;
            pixels_copy(s->front, &s->surface,
                        &(struct display_rect){r->x, r->y + s->row, r->width, (uint32_t)rows});
            screen->turn_bytes -= rows * row_bytes;
            s->row += (uint32_t)rows;
        }
    }
    return true;
}

static void end_copy(struct scanout *s)
{
    struct screen_frame *f = &s->frame;
    bool shown = s->surface.width > 0 && s->front != NULL;
    uint32_t width = shown ? s->surface.width : 0, height = shown ? s->surface.height : 0;
    f->is_new = f->width != width || f->height != height;
    f->width = width;
    f->height = height;
    f->pixels = s->front;
    f->cursor_is_new = s->cursor_changed;
    if (s->cursor_changed && !s->next_hidden)
        s->cursor = s->next_cursor;
    f->cursor = s->next_hidden ? NULL : &s->cursor;
    f->cursor_x = s->x;
    f->cursor_y = s->y;
    s->is_copying = s->changed = s->cursor_changed = false;
}

/* Hands the viewer what has changed, unless it has a frame. True: it is to be woken. */
static bool offer(struct screen *screen, struct scanout *s)
{
    if ((!s->is_copying && !s->changed && s->rect_count == 0) ||
        atomic_load_explicit(&s->state, memory_order_acquire) != FRONT_FREE)
        return false;
    if (!s->is_copying)
        begin_copy(screen, s);
    if (!go_on_copying(screen, s))
        return false;
    end_copy(s);
    atomic_store_explicit(&s->state, FRONT_READY, memory_order_release);
    return true;
}

static void offer_and_wake(struct screen *screen, struct scanout *s)
{
    if (offer(screen, s))
        screen->cfg.wake(screen->cfg.ctx);
}

static void on_done(void *ctx)
{
    struct screen *screen = ctx;
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++)
        offer_and_wake(screen, &screen->scanouts[i]);
}

static void on_next_turn(void *ctx)
{
    struct screen *screen = ctx;
    screen->turn_bytes = SCREEN_TURN_BYTES;
    on_done(screen);
}

/* ---- the backend ---- */

static void set_surface(struct display_backend *b, unsigned scanout,
                        const struct display_surface *surface)
{
    struct screen *screen = screen_of(b);
    struct scanout *s = &screen->scanouts[scanout];
    s->surface = surface != NULL ? *surface : (struct display_surface){0};
    s->rect_count = 0;
    s->is_copying = false; /* of a surface that may be gone */
    s->changed = true;
    if (surface != NULL)
        note(s, &(struct display_rect){0, 0, surface->width, surface->height});
    offer_and_wake(screen, s);
}

static void damage(struct display_backend *b, unsigned scanout, const struct display_rect *rect)
{
    struct screen *screen = screen_of(b);
    struct scanout *s = &screen->scanouts[scanout];
    note(s, rect);
    offer_and_wake(screen, s);
}

static void set_cursor(struct display_backend *b, unsigned scanout,
                       const struct display_cursor *cursor)
{
    struct screen *screen = screen_of(b);
    struct scanout *s = &screen->scanouts[scanout];
    if (cursor != NULL)
        s->next_cursor = *cursor;
    s->next_hidden = cursor == NULL;
    s->changed = s->cursor_changed = true;
    offer_and_wake(screen, s);
}

static void move_cursor(struct display_backend *b, unsigned scanout, uint32_t x, uint32_t y)
{
    struct screen *screen = screen_of(b);
    struct scanout *s = &screen->scanouts[scanout];
    s->x = x;
    s->y = y;
    s->changed = true;
    offer_and_wake(screen, s);
}

static void destroy(struct display_backend *b)
{
    (void)b;
}

static const struct display_backend_ops ops = {
    .set_surface = set_surface,
    .damage = damage,
    .set_cursor = set_cursor,
    .move_cursor = move_cursor,
    .destroy = destroy,
};

/* ---- the viewer's thread ---- */

bool screen_take(struct screen *screen, unsigned scanout, struct screen_frame *out)
{
    struct scanout *s = &screen->scanouts[scanout];
    if (atomic_load_explicit(&s->state, memory_order_acquire) != FRONT_READY)
        return false;
    atomic_store_explicit(&s->state, FRONT_TAKEN, memory_order_relaxed);
    *out = s->frame;
    return true;
}

void screen_done(struct screen *screen, unsigned scanout)
{
    struct scanout *s = &screen->scanouts[scanout];
    BUG_ON(atomic_load_explicit(&s->state, memory_order_relaxed) != FRONT_TAKEN);
    atomic_store_explicit(&s->state, FRONT_FREE, memory_order_release);
    evloop_post(screen->cfg.loop, &screen->again);
}

void screen_resize(struct screen *screen, unsigned scanout, uint32_t width, uint32_t height)
{
    struct scanout *s = &screen->scanouts[scanout];
    pthread_mutex_lock(&screen->lock);
    s->wanted_width = width;
    s->wanted_height = height;
    s->wants = true;
    pthread_mutex_unlock(&screen->lock);
    evloop_post(screen->cfg.loop, &screen->resize);
}

static void on_resize(void *ctx)
{
    struct screen *screen = ctx;
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++) {
        struct scanout *s = &screen->scanouts[i];
        pthread_mutex_lock(&screen->lock);
        uint32_t width = s->wanted_width, height = s->wanted_height;
        bool wants = s->wants;
        s->wants = false;
        pthread_mutex_unlock(&screen->lock);
        if (wants)
            display_tell_size(&screen->b, i, width, height);
    }
}

/* ---- life ---- */

int screen_create(struct screen **out, const struct screen_config *config)
{
    struct screen *screen = calloc(1, sizeof(*screen));
    if (screen == NULL)
        return fail(-ENOMEM, "display");
    screen->b.ops = &ops;
    screen->cfg = *config;
    screen->turn_bytes = SCREEN_TURN_BYTES;
    screen->next_turn = (struct ev_defer){.cb = on_next_turn, .ctx = screen};
    screen->again = (struct ev_post){.cb = on_done, .ctx = screen};
    screen->resize = (struct ev_post){.cb = on_resize, .ctx = screen};
    pthread_mutex_init(&screen->lock, NULL);
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++)
        screen->scanouts[i].next_hidden = true;
    *out = screen;
    return 0;
}

void screen_destroy(struct screen *screen)
{
    if (screen == NULL)
        return;
    evloop_drain(screen->cfg.loop); /* what the viewer has posted */
    evloop_defer_cancel(screen->cfg.loop, &screen->next_turn);
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++)
        free(screen->scanouts[i].front);
    pthread_mutex_destroy(&screen->lock);
    free(screen);
}

struct display_backend *screen_backend(struct screen *screen)
{
    return &screen->b;
}
