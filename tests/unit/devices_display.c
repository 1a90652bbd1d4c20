// SPDX-License-Identifier: BSD-2-Clause
/* From a device's surface to a viewer: screens, taps, PNG files. */
#include <sys/resource.h>
#include <zlib.h>

#include "devices/display/png.h"
#include "devices/display/screen.h"
#include "devices/display/tap.h"
#include "devices/display/viewer.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"

#define WIDTH  40u
#define HEIGHT 30u
#define STRIDE (WIDTH * 4 + 8)

static struct evloop *loop;
static struct screen *screen;
static struct display_backend *display;
static uint8_t pixels[STRIDE * HEIGHT];
static unsigned wakes;
static uint32_t told_width, told_height;

static void on_wake(void *ctx)
{
    (void)ctx;
    wakes++;
}

static void on_resize(void *ctx, unsigned scanout, uint32_t width, uint32_t height)
{
    (void)ctx;
    cr_expect_eq(scanout, 2);
    told_width = width;
    told_height = height;
}

static void setup(void)
{
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_assert_eq(screen_create(&screen, &(struct screen_config){loop, on_wake, NULL}), 0);
    display = screen_backend(screen);
    display->handler.on_resize = on_resize;
    for (unsigned i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)(i * 7 + i / 251);
}

static void teardown(void)
{
    evloop_drain(loop);
    screen_destroy(screen);
    evloop_destroy(loop);
}

TestSuite(display_screen, .init = setup, .fini = teardown);

static const struct display_surface surface = {pixels, WIDTH, HEIGHT, STRIDE, DISPLAY_BGRX};

static void show(enum display_format format)
{
    struct display_surface s = surface;
    s.format = format;
    display->ops->set_surface(display, 0, &s);
}

static void spoil(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    for (uint32_t row = y; row < y + height; row++)
        memset(pixels + row * STRIDE + x * 4, (int)(0x11 * (row + 1)), width * 4);
    display->ops->damage(display, 0, &(struct display_rect){x, y, width, height});
}

static struct screen_frame take(void)
{
    struct screen_frame f;
    cr_assert(screen_take(screen, 0, &f));
    return f;
}

static void done(void)
{
    screen_done(screen, 0);
    evloop_drain(loop);
}

/* Blue, green and red of each pixel, which lie in these bytes. */
static void expect_shown(const uint8_t *bgrx, const uint8_t order[3])
{
    for (uint32_t y = 0; y < HEIGHT; y++)
        for (uint32_t x = 0; x < WIDTH; x++)
            for (unsigned i = 0; i < 3; i++)
                cr_assert_eq(bgrx[(y * WIDTH + x) * 4 + i], pixels[y * STRIDE + x * 4 + order[i]],
                             "%u, %u", x, y);
}

static const uint8_t bgr[3] = {0, 1, 2};

Test(display_screen, every_format_is_shown)
{
    static const uint8_t orders[][3] = {[DISPLAY_BGRX] = {0, 1, 2},
                                        [DISPLAY_XRGB] = {3, 2, 1},
                                        [DISPLAY_RGBX] = {2, 1, 0},
                                        [DISPLAY_XBGR] = {1, 2, 3}};
    struct screen_frame f;
    cr_expect_not(screen_take(screen, 0, &f));
    for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
        show((enum display_format)i);
        cr_expect_eq(wakes, i + 1);
        f = take();
        cr_expect_eq(f.is_new, i == 0);
        cr_expect(f.width == WIDTH && f.height == HEIGHT && f.rect_count == 1);
        expect_shown(f.pixels, orders[i]);
        done();
        cr_expect_not(screen_take(screen, 0, &f));
    }
    display->ops->set_surface(display, 0, NULL);
    f = take();
    cr_expect(f.is_new && f.width == 0 && f.rect_count == 0);
    done();
}

Test(display_screen, only_damage_is_copied)
{
    show(DISPLAY_BGRX);
    take();
    done();
    memset(pixels, 0x55, STRIDE); /* a row that is not reported */
    spoil(3, 5, 4, 2);
    struct screen_frame f = take();
    cr_expect_eq(f.rect_count, 1);
    cr_expect(!f.is_new && f.rects[0].x == 3 && f.rects[0].y == 5 && f.rects[0].width == 4 &&
              f.rects[0].height == 2);
    cr_expect_neq(f.pixels[0], 0x55);
    cr_expect_eq(f.pixels[(5 * WIDTH + 3) * 4], 0x66);
    done();
}

/* What comes while the viewer is at work is one frame, and the viewer's does not change. */
Test(display_screen, a_slow_viewer_gets_what_it_missed_at_once)
{
    show(DISPLAY_BGRX);
    struct screen_frame f = take();
    uint8_t before = f.pixels[0];
    spoil(0, 0, 2, 2);
    spoil(20, 20, 2, 2);
    spoil(0, 0, 2, 2);
    cr_expect_eq(wakes, 1);
    cr_expect_eq(f.pixels[0], before);
    done();
    cr_expect_eq(wakes, 2);
    f = take();
    cr_expect_eq(f.rect_count, 2);
    expect_shown(f.pixels, bgr);
    done();
    cr_expect_eq(wakes, 2);
}

Test(display_screen, many_rectangles_are_merged)
{
    show(DISPLAY_BGRX);
    struct screen_frame f = take();
    for (uint32_t i = 0; i < 3 * SCREEN_RECTS; i++)
        spoil(i * 13 % WIDTH, i * 7 % HEIGHT, 1, 1);
    done();
    f = take();
    cr_expect_eq(f.rect_count, SCREEN_RECTS);
    expect_shown(f.pixels, bgr);
    done();
}

Test(display_screen, cursors_come_with_frames)
{
    static struct display_cursor cursor = {.hot_x = 3};
    struct screen_frame f;
    cursor.pixels[5] = 77;
    display->ops->set_cursor(display, 0, &cursor);
    f = take();
    cr_assert_not_null(f.cursor);
    cr_expect(f.cursor_is_new && f.cursor->hot_x == 3 && f.cursor->pixels[5] == 77);
    display->ops->move_cursor(display, 0, 10, 11);
    cursor.pixels[5] = 78;
    display->ops->set_cursor(display, 0, &cursor);
    cr_expect_eq(f.cursor->pixels[5], 77, "it is the viewer's");
    done();
    f = take();
    cr_expect(f.cursor->pixels[5] == 78 && f.cursor_x == 10 && f.cursor_y == 11);
    done();
    display->ops->move_cursor(display, 0, 12, 11);
    f = take();
    cr_expect(f.cursor_x == 12 && !f.cursor_is_new && f.rect_count == 0);
    done();
    display->ops->set_cursor(display, 0, NULL);
    f = take();
    cr_expect(f.cursor == NULL && f.cursor_is_new);
    done();
}

Test(display_screen, a_person_makes_a_window_larger)
{
    screen_resize(screen, 2, 300, 200);
    screen_resize(screen, 2, 301, 201);
    evloop_drain(loop);
    cr_expect(told_width == 301 && told_height == 201);
}

/* A guest's surfaces may lie in the same memory; front buffers do not. */
Test(display_screen, memory_is_bounded)
{
    static uint8_t row[DISPLAY_SIDE_MAX * 4];
    struct display_surface large = {row, DISPLAY_SIDE_MAX, 9000, 0, DISPLAY_BGRX};
    struct screen_frame f;
    listen_to_log(LOG_WARN);
    for (unsigned i = 0; i < 3; i++)
        display->ops->set_surface(display, 0, &large);
    f = take();
    cr_expect_eq(f.width, 0);
    cr_expect_eq(logged_lines, 1);
    expect_logged("a picture of 16384 x 9000 pixels is not shown");
    done();
    display->ops->set_surface(display, 0, &surface);
    for (f = take(); f.width == 0; f = take())
        done();
    expect_shown(f.pixels, bgr);
    done();
}

/* The viewer takes each frame, so that each surface is looked at, a small one in between, too. */
Test(display_screen, a_picture_that_is_too_large_is_reported_once)
{
    static uint8_t row[DISPLAY_SIDE_MAX * 4];
    struct display_surface large = {row, DISPLAY_SIDE_MAX, 9000, 0, DISPLAY_BGRX};
    listen_to_log(LOG_WARN);
    for (unsigned i = 0; i < 6; i++) {
        display->ops->set_surface(display, 0, i % 3 == 2 ? &surface : &large);
        cr_expect_eq(take().width, i % 3 == 2 ? WIDTH : 0);
        done();
    }
    cr_expect_eq(logged_lines, 1);
}

/* Of two turns and a row: rows of pixels that are all alike, and at first all the same row. */
#define LARGE_ROWS ((uint32_t)(2 * SCREEN_TURN_BYTES / (DISPLAY_SIDE_MAX * 4)) + 1)

static struct display_surface large_surface(uint8_t *row)
{
    memset(row, 0x33, DISPLAY_SIDE_MAX * 4);
    return (struct display_surface){row, DISPLAY_SIDE_MAX, LARGE_ROWS, 0, DISPLAY_BGRX};
}

struct other {
    struct ev_defer defer;
    unsigned turns;
};

static void on_other(void *ctx)
{
    struct other *o = ctx;
    o->turns++;
    if (wakes == 0)
        evloop_defer(loop, &o->defer);
}

Test(display_screen, large_pictures_share_the_loop)
{
    static uint8_t row[DISPLAY_SIDE_MAX * 4];
    struct display_surface large = large_surface(row);
    struct other other = {.defer = {.cb = on_other, .ctx = &other}};
    struct screen_frame f;
    display->ops->set_surface(display, 0, &large);
    display->ops->move_cursor(display, 0, 5, 6);
    cr_expect_not(screen_take(screen, 0, &f), "a part of it was copied");
    evloop_defer(loop, &other.defer);
    evloop_drain(loop);
    cr_expect_eq(other.turns, 2);
    cr_expect_eq(wakes, 1);
    f = take();
    cr_expect(f.is_new && f.width == DISPLAY_SIDE_MAX && f.height == LARGE_ROWS);
    cr_expect(f.rect_count == 1 && f.rects[0].height == LARGE_ROWS && f.cursor_x == 5);
    size_t bytes = (size_t)DISPLAY_SIDE_MAX * 4 * LARGE_ROWS;
    cr_expect(f.pixels[0] == 0x33 && memcmp(f.pixels, f.pixels + 1, bytes - 1) == 0);
    done();
    cr_expect_not(screen_take(screen, 0, &f));
}

Test(display_screen, a_surface_that_goes_ends_its_copy)
{
    uint8_t *row = malloc(DISPLAY_SIDE_MAX * 4);
    struct display_surface large = large_surface(row);
    display->ops->set_surface(display, 0, &large);
    display->ops->set_surface(display, 0, NULL);
    free(row);
    evloop_drain(loop);
    struct screen_frame f = take();
    cr_expect(f.width == 0 && f.rect_count == 0);
    done();
    show(DISPLAY_BGRX);
    f = take();
    cr_expect(f.is_new && f.width == WIDTH);
    expect_shown(f.pixels, bgr);
    done();
}

/* Each row of such a rectangle is in pages of its own, in both pictures. */
Test(display_screen, narrow_changes_share_the_loop)
{
    enum { SIDE = 1024, ROWS = 8192, CHANGES = 4 };
    static uint8_t row[SIDE * 4];
    struct display_surface large = {row, SIDE, ROWS, 0, DISPLAY_BGRX};
    struct other other = {.defer = {.cb = on_other, .ctx = &other}};
    display->ops->set_surface(display, 0, &large);
    evloop_drain(loop);
    (void)take();
    for (uint32_t i = 0; i < CHANGES; i++)
        display->ops->damage(display, 0, &(struct display_rect){100 * i, 0, 1, ROWS});
    wakes = 0;
    screen_done(screen, 0);
    evloop_defer(loop, &other.defer);
    evloop_drain(loop);
    cr_expect_eq(other.turns, CHANGES, "%u", other.turns);
    cr_expect_eq(take().rect_count, CHANGES);
    done();
}

/* When there is room at last nothing but a change is new; but what is shown first is all. */
Test(display_screen, a_picture_that_had_no_room_is_shown_whole_later)
{
    static uint8_t row[DISPLAY_SIDE_MAX * 4];
    struct display_surface all = {row, DISPLAY_SIDE_MAX, SCREEN_BYTES / sizeof(row), 0,
                                  DISPLAY_BGRX};
    display->ops->set_surface(display, 1, &all);
    show(DISPLAY_BGRX);
    cr_expect_eq(take().width, 0);
    screen_done(screen, 0);
    display->ops->set_surface(display, 1, &surface);
    spoil(3, 4, 5, 6);
    evloop_drain(loop);
    struct screen_frame f = take();
    cr_expect(f.is_new && f.rect_count == 1 && f.rects[0].width == WIDTH);
    expect_shown(f.pixels, bgr);
    done();
}

/* A viewer never sees a part of an update: all pixels are always the same. */
static void *view(void *arg)
{
    struct screen_frame f;
    unsigned frames = 0;
    atomic_bool *stop = arg;
    while (!atomic_load(stop)) {
        if (!screen_take(screen, 0, &f))
            continue;
        for (uint32_t i = 1; i < f.width * f.height; i++)
            cr_assert_eq(f.pixels[4 * i], f.pixels[0]);
        screen_done(screen, 0);
        frames += f.width > 0;
    }
    cr_expect_gt(frames, 0);
    return NULL;
}

Test(display_screen, frames_are_whole)
{
    pthread_t thread;
    atomic_bool stop = false;
    memset(pixels, 0, sizeof(pixels));
    cr_assert_eq(pthread_create(&thread, NULL, view, &stop), 0);
    show(DISPLAY_BGRX);
    for (unsigned i = 0; i < 3000; i++) {
        memset(pixels, (int)(i & 0xff), sizeof(pixels));
        display->ops->damage(display, 0, &(struct display_rect){0, 0, WIDTH, HEIGHT});
        evloop_drain(loop);
    }
    for (unsigned before = wakes; wakes == before;)
        spoil(0, 0, 0, 0), evloop_drain(loop);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

/* ---- a tap ---- */

Test(display_screen, a_tap_has_the_picture)
{
    struct display_tap *tap;
    struct display_picture picture = {0};
    cr_assert_eq(display_tap_create(&tap, display), 0);
    struct display_backend *b = display_tap_backend(tap);
    b->handler.on_resize = on_resize;
    cr_expect_eq(display_tap_copy(tap, 0, &picture), -ENOENT);
    b->ops->set_surface(b, 0, &surface);
    take();
    done();
    cr_assert_eq(display_tap_copy(tap, 0, &picture), 0);
    cr_expect(picture.width == WIDTH && picture.height == HEIGHT);
    expect_shown(picture.pixels, bgr);
    free(picture.pixels);
    picture = (struct display_picture){0};
    b->ops->damage(b, 0, &(struct display_rect){1, 2, 3, 4});
    cr_expect_eq(take().rects[0].width, 3);
    done();
    screen_resize(screen, 2, 5, 6);
    evloop_drain(loop);
    cr_expect_eq(told_width, 5);
    b->ops->set_surface(b, 0, NULL);
    cr_expect_eq(display_tap_copy(tap, 0, &picture), -ENOENT);
    display_tap_destroy(tap);
}

Test(display_screen, a_tap_alone_has_the_picture)
{
    static const struct display_cursor cursor;
    struct display_tap *tap;
    struct display_picture picture = {0};
    cr_assert_eq(display_tap_create(&tap, NULL), 0);
    struct display_backend *b = display_tap_backend(tap);
    b->ops->set_surface(b, 15, &surface);
    b->ops->damage(b, 15, &(struct display_rect){0, 0, 1, 1});
    b->ops->set_cursor(b, 15, &cursor);
    b->ops->move_cursor(b, 15, 1, 1);
    cr_assert_eq(display_tap_copy(tap, 15, &picture), 0);
    expect_shown(picture.pixels, bgr);
    free(picture.pixels);
    b->ops->destroy(b);
    display_tap_destroy(tap);
    display_tap_destroy(NULL);
}

/* Guest memory, most of it never written to. */
Test(display_screen, a_tap_copies_no_picture_of_any_size)
{
    struct display_tap *tap;
    struct display_picture picture = {0};
    struct display_surface large = {.pixels =
                                        mmap(NULL, DISPLAY_PICTURE_BYTES * 2, PROT_READ,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                                    .width = 8192,
                                    .height = 4097,
                                    .stride_bytes = 8192 * 4};
    cr_assert_neq(large.pixels, MAP_FAILED);
    cr_assert_eq(display_tap_create(&tap, NULL), 0);
    struct display_backend *b = display_tap_backend(tap);
    b->ops->set_surface(b, 0, &large);
    cr_expect_eq(display_tap_copy(tap, 0, &picture), -EFBIG);
    large.height = 33; /* of 32 KiB each */
    b->ops->set_surface(b, 0, &large);
    cr_expect_eq(display_tap_copy(tap, 0, &picture), 1);
    cr_expect_eq(picture.rows, 32, "no more in a turn");
    cr_expect_eq(display_tap_copy(tap, 0, &picture), 0);
    cr_expect_eq(picture.rows, 33);
    free(picture.pixels);
    picture = (struct display_picture){0};
    cr_expect_eq(display_tap_copy(tap, 0, &picture), 1);
    large.height = 34;
    b->ops->set_surface(b, 0, &large);
    cr_expect_eq(display_tap_copy(tap, 0, &picture), -EAGAIN);
    cr_expect_null(picture.pixels);
    display_tap_destroy(tap);
    munmap((void *)(uintptr_t)large.pixels, DISPLAY_PICTURE_BYTES * 2);
}

Test(display_screen, a_tap_passes_cursors_on)
{
    static const struct display_cursor cursor;
    struct display_tap *tap;
    cr_assert_eq(display_tap_create(&tap, display), 0);
    struct display_backend *b = display_tap_backend(tap);
    b->ops->set_cursor(b, 0, &cursor);
    cr_expect_not_null(take().cursor);
    done();
    b->ops->move_cursor(b, 0, 7, 1);
    cr_expect_eq(take().cursor_x, 7);
    done();
    display_tap_destroy(tap);
}

/* ---- PNG ---- */

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The rows of a file, their filters undone: red, green, blue. */
static uint8_t *read_png(const char *name, uint32_t *width, uint32_t *height)
{
    static uint8_t file[1 << 20];
    FILE *f = fopen(name, "re");
    cr_assert_not_null(f, "%s", name);
    size_t bytes = fread(file, 1, sizeof(file), f), packed = 0;
    fclose(f);
    cr_assert(bytes > 8 && memcmp(file, "\x89PNG\r\n\x1a\n", 8) == 0);
    uint8_t *all = malloc(bytes), *at = file + 8;
    for (; memcmp(at + 4, "IEND", 4) != 0; at += 12 + be32(at)) {
        cr_assert_lt((size_t)(at - file) + 12 + be32(at), bytes);
        cr_assert_eq(be32(at + 8 + be32(at)), crc32(0, at + 4, be32(at) + 4));
        if (memcmp(at + 4, "IHDR", 4) == 0) {
            *width = be32(at + 8);
            *height = be32(at + 12);
            cr_expect(memcmp(at + 16, "\x08\x02\0\0\0", 5) == 0);
        } else if (memcmp(at + 4, "IDAT", 4) == 0) {
            memcpy(all + packed, at + 8, be32(at));
            packed += be32(at);
        }
    }
    cr_assert_eq((size_t)(at - file) + 12, bytes);
    uLongf room = (1 + *width * 3) * *height, stride = 1 + *width * 3;
    uint8_t *rows = malloc(room);
    cr_assert_eq(uncompress(rows, &room, all, packed), Z_OK);
    cr_assert_eq(room, stride * *height);
    for (uint32_t y = 1; y < *height; y++)
        for (uint32_t x = 1; x < stride; x++)
            rows[y * stride + x] += rows[(y - 1) * stride + x];
    free(all);
    return rows;
}

static void expect_file(const char *name, const uint8_t *bgrx, uint32_t width, uint32_t height)
{
    uint32_t w = 0, h = 0;
    uint8_t *rows = read_png(name, &w, &h);
    cr_assert(w == width && h == height);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++)
            for (unsigned i = 0; i < 3; i++)
                cr_assert_eq(rows[y * (1 + w * 3) + 1 + x * 3 + i],
                             bgrx[(y * width + x) * 4 + 2 - i]);
    free(rows);
}

TestSuite(display_png, .init = folder_enter, .fini = folder_leave);

Test(display_png, pictures_of_any_size)
{
    static const struct {
        uint32_t width, height;
    } sizes[] = {{1, 1}, {3, 2}, {300, 1}, {1, 300}, {211, 173}};
    uint64_t random = 1;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        size_t bytes = (size_t)sizes[i].width * sizes[i].height * 4;
        uint8_t *picture = malloc(bytes);
        for (size_t k = 0; k < bytes; k++)
            picture[k] = (uint8_t)((random = random * 6364136223846793005 + 1) >> 33);
        int fd = open("a.png", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        cr_assert_eq(png_write(fd, picture, sizes[i].width, sizes[i].height), 0);
        close(fd);
        expect_file("a.png", picture, sizes[i].width, sizes[i].height);
        fd = open("/dev/full", O_WRONLY);
        cr_expect_eq(png_write(fd, picture, sizes[i].width, sizes[i].height), -ENOSPC);
        close(fd);
        free(picture);
    }
}

Test(display_png, a_viewer_writes_frames)
{
    struct viewer *viewer;
    setup();
    cr_assert_eq(viewer_png_create(&viewer, &(struct viewer_config){.loop = loop}, "frames"), 0);
    struct display_backend *b = viewer->backend;
    static uint8_t packed[WIDTH * HEIGHT * 4];
    for (uint32_t y = 0; y < HEIGHT; y++)
        memcpy(packed + y * WIDTH * 4, pixels + y * STRIDE, WIDTH * 4);
    b->ops->set_surface(b, 0, &surface);
    for (struct stat st; stat("frames/0-000000.png", &st) != 0 || st.st_size < 100;)
        evloop_drain(loop);
    b->ops->move_cursor(b, 0, 1, 1);
    b->ops->set_surface(b, 1, NULL);
    evloop_drain(loop);
    viewer->ops->stop(viewer);
    viewer->ops->destroy(viewer);
    expect_file("frames/0-000000.png", packed, WIDTH, HEIGHT);
    cr_expect_neq(access("frames/0-000001.png", F_OK), 0, "the cursor is in no picture");
    cr_expect_neq(access("frames/1-000000.png", F_OK), 0, "nothing is no picture");
    teardown();
}

/* It is told of a change when it is to end, and writes it before. */
Test(display_png, the_last_frame_is_written)
{
    struct viewer *viewer;
    setup();
    cr_assert_eq(viewer_png_create(&viewer, &(struct viewer_config){.loop = loop}, "."), 0);
    viewer->backend->ops->set_surface(viewer->backend, 3, &surface);
    viewer->ops->stop(viewer);
    viewer->ops->destroy(viewer);
    cr_expect_eq(access("3-000000.png", F_OK), 0);
    teardown();
}

/* A link is not followed, and each fault is not a line. */
Test(display_png, a_frame_that_cannot_be_written)
{
    struct viewer *viewer;
    setup();
    listen_to_log(LOG_WARN);
    cr_assert_eq(symlink("elsewhere", "0-000000.png"), 0);
    cr_assert_eq(symlink("elsewhere", "1-000000.png"), 0);
    cr_assert_eq(viewer_png_create(&viewer, &(struct viewer_config){.loop = loop}, "."), 0);
    viewer->backend->ops->set_surface(viewer->backend, 0, &surface);
    viewer->backend->ops->set_surface(viewer->backend, 1, &surface);
    viewer->ops->stop(viewer);
    viewer->ops->destroy(viewer);
    cr_expect_eq(logged_lines, 1);
    expect_logged("-000000.png: Too many levels");
    cr_expect_neq(access("elsewhere", F_OK), 0);
    teardown();
}

/* Another user may have made it, if the folder is everybody's. */
Test(display_png, a_fifo_in_place_of_a_frame_is_not_waited_for, .timeout = 20)
{
    struct viewer *viewer;
    setup();
    listen_to_log(LOG_WARN);
    cr_assert_eq(mkfifo("0-000000.png", 0666), 0);
    cr_assert_eq(viewer_png_create(&viewer, &(struct viewer_config){.loop = loop}, "."), 0);
    viewer->backend->ops->set_surface(viewer->backend, 0, &surface);
    viewer->ops->stop(viewer);
    viewer->ops->destroy(viewer);
    expect_logged("0-000000.png: No such device or address");
    teardown();
}

/* However many descriptors are left, it works or says why. */
Test(display_png, descriptors_run_out)
{
    struct viewer *viewer;
    struct rlimit limit;
    unsigned failures = 0;
    setup();
    listen_to_log(LOG_ERROR);
    getrlimit(RLIMIT_NOFILE, &limit);
    int first = dup(0), r = -EMFILE;
    close(first);
    for (limit.rlim_cur = (rlim_t)first; r < 0; limit.rlim_cur++, failures += r < 0) {
        setrlimit(RLIMIT_NOFILE, &limit);
        r = viewer_png_create(&viewer, &(struct viewer_config){.loop = loop}, ".");
        cr_assert(r == 0 || r == -EMFILE, "%d", r);
    }
    cr_expect_gt(failures, 1);
    cr_expect_eq(logged_lines, failures);
    viewer->ops->stop(viewer);
    viewer->ops->destroy(viewer);
    teardown();
}

Test(display_png, a_folder_that_cannot_be_made)
{
    struct viewer *viewer;
    setup();
    listen_to_log(LOG_ERROR);
    cr_expect_eq(viewer_png_create(&viewer, &(struct viewer_config){.loop = loop}, "/nowhere/x"),
                 -ENOENT);
    expect_logged("display png=/nowhere/x");
    teardown();
}
