// SPDX-License-Identifier: BSD-2-Clause
/*
 * The display port, from two devices to a viewer: turns, tap, screen. The input is a list of steps,
 * a byte each, with their numbers: a device sets a surface, draws in it, moves a cursor; the viewer
 * takes a frame, is done with it, asks for a size; the loop runs.
 *
 * The model is what the devices have in memory. Once all are idle the viewer, which copies nothing
 * but damage, has the same pixels, and so has a picture by the tap at any time. A frame does not
 * change while the viewer has it. Pixels that a surface no longer has are spoiled.
 */
#include <stdlib.h>
#include <string.h>

#include "core/loop/evloop.h"
#include "core/ports/display.h"
#include "devices/display/screen.h"
#include "devices/display/tap.h"
#include "devices/display/turns.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

#define STEPS_MAX 400u
#define SIDE      24u
#define GAP       3u /* pixels between rows, at most */
#define SCANOUTS  3u
#define PIXELS    (SIDE * (SIDE + GAP))

/* What a device shows on a scanout. It has two buffers, so that a new surface is elsewhere. */
struct place {
    uint32_t buffers[2][PIXELS];
    unsigned now;
    struct display_surface surface; /* width 0: none */
};

struct model_cursor {
    bool is_shown;
    struct display_cursor picture;
    uint32_t x, y;
};

struct view {
    uint32_t pixels[SIDE * SIDE]; /* BGRX, the last byte is 0 */
    uint32_t width, height;
    struct model_cursor cursor;
    bool has_frame;
    struct screen_frame frame;
    uint64_t sum; /* of the frame's pixels when it was taken */
};

static struct bench {
    struct fuzz_host host;
    struct screen *screen;
    struct display_tap *tap;
    struct display_backend *framebuffer, *adapter;
    struct place drawn, places[SCANOUTS];
    bool is_drawn_shown; /* the framebuffer has scanout 0 */
    bool is_wanted;      /* what the framebuffer was told of damage */
    struct view views[SCANOUTS];
    struct model_cursor cursors[SCANOUTS];
    struct size {
        uint32_t width, height;
    } asked[SCANOUTS], told[SCANOUTS];
    uint32_t next_pixel;
} bench;

/* ---- the devices ---- */

static void draw(struct bench *b, struct place *p, const struct display_rect *r)
{
    for (uint32_t y = r->y; y < r->y + r->height; y++)
        for (uint32_t x = r->x; x < r->x + r->width; x++)
            p->buffers[p->now][y * (p->surface.stride_bytes / 4) + x] = b->next_pixel *=
                2654435761u;
}

static void set_surface(struct bench *b, struct display_backend *to, struct place *p,
                        unsigned scanout, struct fuzz_input *in)
{
    uint32_t width = (uint32_t)fuzz_take(in, 1) % (SIDE + 1);
    uint32_t height = 1 + (uint32_t)fuzz_take(in, 1) % SIDE, how = (uint32_t)fuzz_take(in, 1);
    unsigned before = p->now;
    p->now = !before;
    p->surface = (struct display_surface){0};
    if (width > 0)
        p->surface = (struct display_surface){(const uint8_t *)p->buffers[p->now], width, height,
                                              (width + (how >> 2) % (GAP + 1)) * 4,
                                              (enum display_format)(how & 3)};
    draw(b, p, &(struct display_rect){0, 0, width, height});
    to->ops->set_surface(to, scanout, width > 0 ? &p->surface : NULL);
    memset(p->buffers[before], 0xee, sizeof(p->buffers[before]));
}

static void damage(struct bench *b, struct display_backend *to, struct place *p, unsigned scanout,
                   struct fuzz_input *in)
{
    uint32_t x = (uint32_t)fuzz_take(in, 1), y = (uint32_t)fuzz_take(in, 1);
    uint32_t width = (uint32_t)fuzz_take(in, 1), height = (uint32_t)fuzz_take(in, 1);
    if (p->surface.width == 0)
        return;
    struct display_rect r = {x % p->surface.width, y % p->surface.height, 0, 0};
    r.width = 1 + width % (p->surface.width - r.x);
    r.height = 1 + height % (p->surface.height - r.y);
    draw(b, p, &r);
    to->ops->damage(to, scanout, &r);
}

static void set_cursor(struct bench *b, unsigned scanout, struct fuzz_input *in)
{
    struct model_cursor *c = &b->cursors[scanout];
    unsigned how = (unsigned)fuzz_take(in, 1);
    c->is_shown = how != 0;
    if (c->is_shown) {
        memset(c->picture.pixels, (int)how, sizeof(c->picture.pixels));
        c->picture.hot_x = how % DISPLAY_CURSOR_SIDE;
        c->picture.hot_y = how / 4;
    }
    b->adapter->ops->set_cursor(b->adapter, scanout, c->is_shown ? &c->picture : NULL);
}

static void on_resize(void *ctx, unsigned scanout, uint32_t width, uint32_t height)
{
    struct bench *b = ctx;
    b->told[scanout] = (struct size){width, height};
}

static void on_wanted(void *ctx, unsigned scanout, bool wanted)
{
    struct bench *b = ctx;
    fuzz_check(scanout == 0, "the framebuffer is told of scanout %u", scanout);
    b->is_wanted = wanted;
}

/* ---- the viewer ---- */

static void on_wake(void *ctx)
{
    (void)ctx;
}

static uint64_t sum_of(const struct screen_frame *f)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < (size_t)f->width * f->height * 4; i++)
        sum = sum * 31 + f->pixels[i];
    return sum;
}

static void take(struct bench *b, unsigned scanout)
{
    struct view *v = &b->views[scanout];
    if (v->has_frame || !screen_take(b->screen, scanout, &v->frame))
        return;
    v->has_frame = true;
    v->sum = sum_of(&v->frame);
}

static uint32_t frame_pixel(const struct screen_frame *f, uint32_t x, uint32_t y)
{
    uint32_t pixel = 0;
    memcpy(&pixel, f->pixels + ((size_t)y * f->width + x) * 4, 3);
    return pixel;
}

static void copy_damage(struct view *v, const struct display_rect *r)
{
    fuzz_check(r->x + r->width <= v->width && r->y + r->height <= v->height,
               "damage of %ux%u at %u,%u in a frame of %ux%u", r->width, r->height, r->x, r->y,
               v->width, v->height);
    for (uint32_t y = r->y; y < r->y + r->height; y++)
        for (uint32_t x = r->x; x < r->x + r->width; x++)
            v->pixels[y * SIDE + x] = frame_pixel(&v->frame, x, y);
}

static void done(struct bench *b, unsigned scanout)
{
    struct view *v = &b->views[scanout];
    const struct screen_frame *f = &v->frame;
    if (!v->has_frame)
        return;
    fuzz_check(sum_of(f) == v->sum, "a frame changed while the viewer had it");
    fuzz_check(f->is_new == (f->width != v->width || f->height != v->height),
               "a frame of %ux%u after one of %ux%u is%s new", f->width, f->height, v->width,
               v->height, f->is_new ? "" : " not");
    if (f->is_new)
        memset(v->pixels, 0xee, sizeof(v->pixels));
    v->width = f->width;
    v->height = f->height;
    for (unsigned i = 0; i < f->rect_count; i++)
        copy_damage(v, &f->rects[i]);
    if (f->cursor_is_new && f->cursor != NULL)
        v->cursor.picture = *f->cursor;
    v->cursor.is_shown = f->cursor != NULL;
    v->cursor.x = f->cursor_x;
    v->cursor.y = f->cursor_y;
    v->has_frame = false;
    screen_done(b->screen, scanout);
}

/* ---- the model ---- */

static const struct place *shown_on(const struct bench *b, unsigned scanout)
{
    if (b->places[scanout].surface.width > 0)
        return &b->places[scanout];
    return scanout == 0 && b->is_drawn_shown && b->drawn.surface.width > 0 ? &b->drawn : NULL;
}

static uint32_t model_pixel(const struct place *p, uint32_t x, uint32_t y)
{
    static const uint8_t places[][3] = {/* of blue, green, red */
                                        [DISPLAY_BGRX] = {0, 1, 2},
                                        [DISPLAY_XRGB] = {3, 2, 1},
                                        [DISPLAY_RGBX] = {2, 1, 0},
                                        [DISPLAY_XBGR] = {1, 2, 3}};
    const uint8_t *at = places[p->surface.format];
    const uint8_t *pixel = p->surface.pixels + y * p->surface.stride_bytes + (size_t)x * 4;
    return pixel[at[0]] | (uint32_t)pixel[at[1]] << 8 | (uint32_t)pixel[at[2]] << 16;
}

static void check_tap(const struct bench *b, unsigned scanout)
{
    const struct place *p = shown_on(b, scanout);
    struct display_picture picture = {0};
    int err = display_tap_copy(b->tap, scanout, &picture);
    fuzz_check((err == 0) == (p != NULL), "a picture of scanout %u: %d", scanout, err);
    for (uint32_t i = 0; p != NULL && i < p->surface.width * p->surface.height; i++) {
        uint32_t pixel = 0;
        memcpy(&pixel, picture.pixels + (size_t)i * 4, 3);
        fuzz_check(pixel == model_pixel(p, i % p->surface.width, i / p->surface.width),
                   "pixel %u of a picture of scanout %u", i, scanout);
    }
    free(picture.pixels);
}

static void check_view(const struct bench *b, unsigned scanout)
{
    const struct view *v = &b->views[scanout];
    const struct place *p = shown_on(b, scanout);
    const struct model_cursor *c = &b->cursors[scanout];
    uint32_t width = p != NULL ? p->surface.width : 0, height = p != NULL ? p->surface.height : 0;
    fuzz_check(v->width == width && v->height == height, "scanout %u: %ux%u instead of %ux%u",
               scanout, v->width, v->height, width, height);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            fuzz_check(v->pixels[y * SIDE + x] == model_pixel(p, x, y),
                       "scanout %u: %u,%u is %x instead of %x", scanout, x, y,
                       v->pixels[y * SIDE + x], model_pixel(p, x, y));
    fuzz_check(v->cursor.is_shown == c->is_shown && v->cursor.x == c->x && v->cursor.y == c->y,
               "scanout %u: the cursor is elsewhere", scanout);
    fuzz_check(!c->is_shown || memcmp(&v->cursor.picture, &c->picture, sizeof(c->picture)) == 0,
               "scanout %u: another cursor", scanout);
    fuzz_check(memcmp(&b->told[scanout], &b->asked[scanout], sizeof(b->told[0])) == 0,
               "scanout %u: the device is told another size", scanout);
}

/* A frame may wait behind the one that the viewer has. */
static void check_idle(struct bench *b)
{
    for (unsigned round = 0; round < 3; round++) {
        evloop_drain(b->host.loop);
        for (unsigned i = 0; i < SCANOUTS; i++) {
            take(b, i);
            done(b, i);
        }
    }
    for (unsigned i = 0; i < SCANOUTS; i++) {
        check_view(b, i);
        check_tap(b, i);
    }
}

/* ---- steps ---- */

static void adapter_surface(struct bench *b, unsigned scanout, struct fuzz_input *in)
{
    bool showed = b->places[0].surface.width > 0;
    set_surface(b, b->adapter, &b->places[scanout], scanout, in);
    if (scanout == 0 && (showed || b->places[0].surface.width > 0))
        b->is_drawn_shown = false;
}

static void framebuffer_step(struct bench *b, bool is_damage, struct fuzz_input *in)
{
    if (is_damage)
        damage(b, b->framebuffer, &b->drawn, 0, in);
    else
        set_surface(b, b->framebuffer, &b->drawn, 0, in);
    if (b->places[0].surface.width == 0 && (!is_damage || b->drawn.surface.width > 0))
        b->is_drawn_shown = true;
}

static void move_cursor(struct bench *b, unsigned scanout, struct fuzz_input *in)
{
    struct model_cursor *c = &b->cursors[scanout];
    c->x = (uint32_t)fuzz_take(in, 1);
    c->y = (uint32_t)fuzz_take(in, 4);
    b->adapter->ops->move_cursor(b->adapter, scanout, c->x, c->y);
}

static void resize(struct bench *b, unsigned scanout, struct fuzz_input *in)
{
    b->asked[scanout].width = (uint32_t)fuzz_take(in, 4);
    b->asked[scanout].height = (uint32_t)fuzz_take(in, 1);
    screen_resize(b->screen, scanout, b->asked[scanout].width, b->asked[scanout].height);
}

static void step(struct bench *b, struct fuzz_input *in)
{
    unsigned what = (unsigned)fuzz_take(in, 1), scanout = what / 16 % SCANOUTS;
    switch (what % 16) {
    case 0:
        adapter_surface(b, scanout, in);
        break;
    case 1:
        framebuffer_step(b, false, in);
        break;
    case 2:
    case 3:
        framebuffer_step(b, true, in);
        break;
    case 4:
        set_cursor(b, scanout, in);
        break;
    case 5:
        move_cursor(b, scanout, in);
        break;
    case 6:
        resize(b, scanout, in);
        break;
    case 7:
        check_tap(b, scanout);
        break;
    case 8:
        check_idle(b);
        break;
    case 9:
        evloop_drain(b->host.loop);
        break;
    case 10:
        take(b, scanout);
        break;
    case 11:
        done(b, scanout);
        break;
    default:
        damage(b, b->adapter, &b->places[scanout], scanout, in);
        break;
    }
    fuzz_check(b->is_wanted == (b->places[0].surface.width == 0),
               "the framebuffer is told that its damage is%s wanted", b->is_wanted ? "" : " not");
}

static void run(struct fuzz_input *in)
{
    struct bench *b = &bench;
    *b = (struct bench){.host = b->host, .is_wanted = true, .next_pixel = 1};
    fuzz_host_open(&b->host);
    int err = screen_create(&b->screen, &(struct screen_config){b->host.loop, on_wake, NULL});
    fuzz_check(
        err == 0 && display_tap_create(&b->tap, screen_backend(b->screen)) == 0 &&
            display_turns_create(&b->framebuffer, &b->adapter, display_tap_backend(b->tap)) == 0,
        "there is no memory");
    b->adapter->handler = (struct display_handler){.on_resize = on_resize, .ctx = b};
    b->framebuffer->handler = (struct display_handler){.on_wanted = on_wanted, .ctx = b};
    for (unsigned i = 0; i < STEPS_MAX && in->left > 0; i++)
        step(b, in);
    check_idle(b);
    b->framebuffer->ops->destroy(b->framebuffer);
    b->adapter->ops->destroy(b->adapter);
    display_tap_destroy(b->tap);
    screen_destroy(b->screen);
}

const struct fuzz_target fuzz_target_display = {
    .name = "display", .run = fuzz_run_bytes, .bytes = run};
