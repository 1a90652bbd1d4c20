// SPDX-License-Identifier: BSD-2-Clause
//
// screen pattern WIDTH HEIGHT SEED: a test picture (pattern.h) on standard output, four bytes a
// pixel, as for /dev/fb0. screen mode WIDTH HEIGHT SEED: set that mode by DRM, with the picture and
// a cursor; after a line on standard input
//     change a rectangle of the picture and move the cursor; after one more end. "ready=..." is
//     printed before each line is read.
// screen button WIDTH HEIGHT SEED DEVICE: the same, but the rectangle changes when the left button
// of DEVICE, a tablet, is pressed on it. "missed" is printed when it is pressed elsewhere.
// screen events DEVICE CODE: print each event of an input device, "TYPE CODE VALUE", until key CODE
// has been released.
//
// On failure the exit status is a system call's errno.
#include <linux/input.h>
#include <linux/ioctl.h>

#include "freestanding.h"
#include "pattern.h"

#define SYS_READ  0
#define SYS_WRITE 1
#define SYS_MMAP  9
#define SYS_IOCTL 16

#define O_RDONLY   0
#define O_RDWR     2
#define PROT_RW    3
#define MAP_SHARED 1

// ---- drm/drm_mode.h, which a host need not have

struct drm_resources {
    unsigned long fbs, crtcs, connectors, encoders;
    unsigned fb_count, crtc_count, connector_count, encoder_count, min_width, max_width, min_height,
        max_height;
};

struct drm_mode {
    unsigned clock;
    unsigned short width, horizontal[4], height, vertical[4];
    unsigned refresh, flags, type;
    char name[32];
};

struct drm_crtc {
    unsigned long connectors;
    unsigned connector_count, id, fb, x, y, gamma_size, is_mode_valid;
    struct drm_mode mode;
};

struct drm_fb {
    unsigned id, width, height, pitch, bits, depth, handle;
};

struct drm_dirty {
    unsigned fb, flags, color, rectangle_count;
    unsigned long rectangles;
};

struct drm_dumb {
    unsigned height, width, bits, flags, handle, pitch;
    unsigned long bytes;
};

struct drm_map {
    unsigned handle, padding;
    unsigned long offset;
};

struct drm_cursor {
    unsigned flags, crtc, x, y, width, height, handle;
};

#define GET_RESOURCES _IOWR('d', 0xa0, struct drm_resources)
#define SET_CRTC      _IOWR('d', 0xa2, struct drm_crtc)
#define CURSOR        _IOWR('d', 0xa3, struct drm_cursor)
#define ADD_FB        _IOWR('d', 0xae, struct drm_fb)
#define DIRTY_FB      _IOWR('d', 0xb1, struct drm_dirty)
#define CREATE_DUMB   _IOWR('d', 0xb2, struct drm_dumb)
#define MAP_DUMB      _IOWR('d', 0xb3, struct drm_map)

#define CURSOR_BO   1u
#define CURSOR_MOVE 2u
#define CURSOR_SIDE 64u

#define TABLET_MAX 32767u // of its positions

// ---- what all of it needs

static long failed(long status)
{
    return status < 0 ? -status : 0;
}

static unsigned number(const char *text)
{
    unsigned value = 0;
    for (; *text; text++) {
        value = value * 10 + (unsigned)(*text - '0');
    }
    return value;
}

static void print(const char *text)
{
    long length = 0;
    while (text[length]) {
        length++;
    }
    syscall3(SYS_WRITE, 1, (long)text, length);
}

static void await_line(const char *prompt)
{
    char byte = 0;
    print(prompt);
    while (byte != '\n' && syscall3(SYS_READ, 0, (long)&byte, 1) == 1) {
    }
}

static void draw_row(unsigned *row, unsigned width, unsigned y, unsigned seed)
{
    for (unsigned x = 0; x < width; x++) {
        row[x] = pattern_pixel(x, y, seed);
    }
}

static long write_pattern(unsigned width, unsigned height, unsigned seed)
{
    static unsigned row[4096];
    for (unsigned y = 0; y < height; y++) {
        long from = 0, bytes = width * 4, n = 1;
        draw_row(row, width, y, seed);
        for (; from < bytes && n > 0; from += n) {
            n = syscall3(SYS_WRITE, 1, (long)row + from, bytes - from);
        }
        if (n < 0) {
            return -n;
        }
    }
    return 0;
}

// ---- a mode

static int card;
static struct drm_crtc crtc;
static unsigned connector;

static long drm(unsigned long request, void *argument)
{
    return failed(syscall3(SYS_IOCTL, card, (long)request, (long)argument));
}

// Not one of those that the connector has, but one of our own.
static void make_mode(unsigned short width, unsigned short height)
{
    static struct drm_mode mode = {.refresh = 60, .name = "screen"};
    mode.width = width;
    mode.height = height;
    for (unsigned short i = 0; i < 3; i++) { // where the pulse begins, where it ends, and all of it
        mode.horizontal[i] = width + 16 * (i + 1);
        mode.vertical[i] = height + 4 * (i + 1);
    }
    mode.clock = mode.horizontal[2] * mode.vertical[2] * mode.refresh / 1000;
    crtc.mode = mode;
}

// The first of each.
static long find_crtc(void)
{
    static struct drm_resources all = {.crtc_count = 1, .connector_count = 1};
    all.crtcs = (unsigned long)&crtc.id;
    all.connectors = (unsigned long)&connector;
    return drm(GET_RESOURCES, &all);
}

// Sets *pixels.
static long make_buffer(struct drm_dumb *dumb, unsigned **pixels)
{
    struct drm_map map = {.padding = 0};
    long status = drm(CREATE_DUMB, dumb);
    map.handle = dumb->handle;
    if (status != 0 || (status = drm(MAP_DUMB, &map)) != 0) {
        return status;
    }
    long address =
        syscall6(SYS_MMAP, 0, (long)dumb->bytes, PROT_RW, MAP_SHARED, card, (long)map.offset);
    *pixels = (unsigned *)address;
    return address < 0 && address > -4096 ? -address : 0;
}

static long show_cursor(void)
{
    struct drm_dumb dumb = {CURSOR_SIDE, CURSOR_SIDE, 32, .handle = 0};
    struct drm_cursor cursor = {
        CURSOR_BO | CURSOR_MOVE, crtc.id, 20, 30, CURSOR_SIDE, CURSOR_SIDE, 0};
    unsigned *pixels;
    long status = make_buffer(&dumb, &pixels);
    if (status != 0) {
        return status;
    }
    for (unsigned i = 0; i < CURSOR_SIDE * CURSOR_SIDE; i++) {
        pixels[i] = 0xffff8000;
    }
    cursor.handle = dumb.handle;
    return drm(CURSOR, &cursor);
}

static long change_picture(unsigned fb, unsigned *pixels, unsigned pitch)
{
    unsigned short rectangle[] = {PATTERN_LEFT, PATTERN_TOP, PATTERN_RIGHT, PATTERN_BOTTOM};
    struct drm_dirty dirty = {fb, 0, 0, 1, (unsigned long)rectangle};
    struct drm_cursor cursor = {CURSOR_MOVE, crtc.id, 70, 80, CURSOR_SIDE, CURSOR_SIDE, 0};
    long status;
    for (unsigned y = PATTERN_TOP; y < PATTERN_BOTTOM; y++) {
        for (unsigned x = PATTERN_LEFT; x < PATTERN_RIGHT; x++) {
            pixels[y * (pitch / 4) + x] ^= PATTERN_WHITE;
        }
    }
    status = drm(DIRTY_FB, &dirty);
    return status != 0 ? status : drm(CURSOR, &cursor);
}

static int is_on_button(unsigned x, unsigned y)
{
    return x >= PATTERN_LEFT && x < PATTERN_RIGHT && y >= PATTERN_TOP && y < PATTERN_BOTTOM;
}

static long await_click(const char *tablet, unsigned width, unsigned height)
{
    struct input_event e;
    unsigned x = 0, y = 0;
    long n, fd = syscall3(SYS_OPEN, (long)tablet, O_RDONLY, 0);
    print(fd < 0 ? "" : "ready=button\n");
    while ((n = syscall3(SYS_READ, fd, (long)&e, sizeof(e))) == sizeof(e)) {
        if (e.type == EV_ABS) {
            *(e.code == ABS_X ? &x : &y) = (unsigned)e.value;
        } else if (e.type == EV_KEY && e.code == BTN_LEFT && e.value == 1) {
            if (is_on_button(x * width / TABLET_MAX, y * height / TABLET_MAX)) {
                return 0;
            }
            print("missed\n");
        }
    }
    return failed(n);
}

// With a tablet for the button, or without.
static long set_mode(unsigned width, unsigned height, unsigned seed, const char *tablet)
{
    struct drm_dumb dumb = {height, width, 32, .handle = 0};
    struct drm_fb fb = {0, width, height, 0, 32, 24, 0};
    unsigned *pixels;
    long status;
    if ((card = (int)syscall3(SYS_OPEN, (long)"/dev/dri/card0", O_RDWR, 0)) < 0) {
        return -card;
    }
    make_mode(width, height);
    if ((status = find_crtc()) != 0 || (status = make_buffer(&dumb, &pixels)) != 0) {
        return status;
    }
    for (unsigned y = 0; y < height; y++) {
        draw_row(pixels + y * (dumb.pitch / 4), width, y, seed);
    }
    fb.pitch = dumb.pitch;
    fb.handle = dumb.handle;
    if ((status = drm(ADD_FB, &fb)) != 0) {
        return status;
    }
    crtc.connectors = (unsigned long)&connector;
    crtc.connector_count = crtc.is_mode_valid = 1;
    crtc.fb = fb.id;
    if ((status = drm(SET_CRTC, &crtc)) != 0 || (status = show_cursor()) != 0) {
        return status;
    }
    if (!tablet) {
        await_line("ready=mode\n");
    } else if ((status = await_click(tablet, width, height)) != 0) {
        return status;
    }
    if ((status = change_picture(fb.id, pixels, dumb.pitch)) == 0) {
        await_line("ready=changed\n");
    }
    return status;
}

// ---- events

// Right to left, ending before `end`; returns where it begins.
static char *put_number(char *end, long value)
{
    int is_negative = value < 0;
    unsigned long left = (unsigned long)(is_negative ? -value : value);
    do {
        *--end = (char)('0' + left % 10);
    } while ((left /= 10) != 0);
    if (is_negative) {
        *--end = '-';
    }
    return end;
}

static long print_events(const char *device, unsigned last)
{
    struct input_event e;
    char line[64], *at;
    long is_last = 0, n, fd = syscall3(SYS_OPEN, (long)device, O_RDONLY, 0);
    print(fd < 0 ? "" : "listening\n");
    while ((n = syscall3(SYS_READ, fd, (long)&e, sizeof(e))) == sizeof(e)) {
        at = line + sizeof(line);
        *--at = '\0';
        *--at = '\n';
        at = put_number(at, e.value);
        *--at = ' ';
        at = put_number(at, e.code);
        *--at = ' ';
        print(put_number(at, e.type));
        is_last = is_last || (e.type == EV_KEY && e.code == last && e.value == 0);
        if (is_last && e.type == EV_SYN) {
            return 0;
        }
    }
    return failed(n);
}

static long program(long argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (*what == 'e' && argc == 4) {
        return print_events(argv[2], number(argv[3]));
    }
    if (argc != (*what == 'b' ? 6 : 5)) {
        return 2;
    }
    unsigned width = number(argv[2]), height = number(argv[3]), seed = number(argv[4]);
    switch (*what) {
    case 'b':
        return set_mode(width, height, seed, argv[5]);
    case 'm':
        return set_mode(width, height, seed, 0);
    case 'p':
        return write_pattern(width, height, seed);
    default:
        return 2;
    }
}
