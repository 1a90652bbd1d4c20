// SPDX-License-Identifier: BSD-2-Clause
/* Sizes, encodings and cursors that a VNC server gives to clients of different abilities. */
#include "tests/harness/vnc.h"

#ifdef HAVE_LIBVNCSERVER

#include <linux/input-event-codes.h>
#include <poll.h>
#include <zlib.h>

#include "core/base/be.h"

OnVnc(viewer_vnc_pictures, follow_the_guest_with_extended_desktop_size, false)
{
    static const int32_t encodings[] = {RFB_RAW, RFB_EXTENDED_DESKTOP_SIZE};
    static const uint32_t sizes[][2] = {{128, 96}, {32, 24}, {33, 100}, {1, 1}, {640, 480}};
    struct vnc_caller c = vnc_join(s);
    vnc_set_encodings(c.fd, encodings, ARRAY_SIZE(encodings));
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        vnc_show(s, sizes[i][0], sizes[i][1]);
        vnc_expect_picture(s, &c, sizes[i][0], sizes[i][1]);
    }
    vnc_leave(&c);
}

static bool has_corner(const struct vnc_scene *s, const struct vnc_caller *c, uint32_t stride,
                       uint32_t width, uint32_t height)
{
    for (uint32_t y = 0; y < height; y++)
        if (memcmp(c->picture + (size_t)y * c->width, s->pixels + (size_t)y * stride,
                   width * sizeof(uint32_t)) != 0)
            return false;
    return true;
}

/* A client that cannot change its size gets the part of the picture that it has room for. */
OnVnc(viewer_vnc_pictures, stay_within_an_old_client, false)
{
    static const int32_t raw[] = {RFB_RAW};
    static const uint32_t sizes[][2] = {{32, 24}, {128, 96}, {VNC_WIDTH, VNC_HEIGHT}};
    struct vnc_caller other = vnc_join(s);
    vnc_expect_picture(s, &other, VNC_WIDTH, VNC_HEIGHT);
    struct vnc_caller c = vnc_join(s);
    vnc_set_encodings(c.fd, raw, ARRAY_SIZE(raw));
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint32_t width = sizes[i][0] < c.width ? sizes[i][0] : c.width;
        uint32_t height = sizes[i][1] < c.height ? sizes[i][1] : c.height;
        vnc_show(s, sizes[i][0], sizes[i][1]);
        vnc_expect_picture(s, &other, sizes[i][0], sizes[i][1]);
        vnc_ask(c.fd, false, VNC_WIDTH, VNC_HEIGHT);
        cr_expect_eq(vnc_update(&c), width * height);
        cr_expect(has_corner(s, &c, sizes[i][0], width, height), "%u", i);
    }
    vnc_leave(&c);
    vnc_leave(&other);
}

OnVnc(viewer_vnc_pictures, that_are_large_come_in_slices, false)
{
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_show(s, 2048, 1024);
    vnc_expect_picture(s, &c, 2048, 1024);
    vnc_ask(c.fd, false, 2048, 1024);
    cr_expect_eq(vnc_update(&c), 2048 * 512);
    vnc_leave(&c);
}

/* Of an update with one rectangle: its head. */
static void get_rect(int fd, int32_t encoding, uint8_t rect[12])
{
    uint8_t head[4];
    cr_assert(vnc_get(fd, head, sizeof(head)));
    cr_assert_eq(be32_get(head), 1u, "an update with one rectangle");
    cr_assert(vnc_get(fd, rect, 12));
    cr_assert_eq((int32_t)be32_get(rect + 8), encoding);
}

/* A PNG file of noise is longer than libvncserver's buffer for it. */
OnVnc(viewer_vnc_pictures, do_not_come_as_tight_png, false)
{
    static const int32_t encodings[] = {RFB_TIGHT_PNG, RFB_HEXTILE};
    uint8_t rect[12];
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_set_encodings(c.fd, encodings, ARRAY_SIZE(encodings));
    vnc_ask(c.fd, false, VNC_WIDTH, VNC_HEIGHT);
    get_rect(c.fd, RFB_HEXTILE, rect);
    vnc_leave(&c);
}

OnVnc(viewer_vnc_pictures, of_a_palette_tell_nothing_of_the_server, false)
{
    static const uint8_t format[20] = {0, [4] = 8, 8};
    uint8_t palette[6 + 256 * 6];
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_put(c.fd, format, sizeof(format));
    cr_assert(vnc_get(c.fd, palette, sizeof(palette)));
    cr_expect_eq(vnc_be(palette, 4), 0x01000000);
    cr_expect_eq(vnc_be(palette + 4, 2), 256);
    vnc_leave(&c);
}

/* The second of two keys is heard in a turn behind the one in which the first was. */
static void let_it_turn(struct vnc_scene *s, const struct vnc_caller *c)
{
    for (unsigned down = 1; down < 2; down--) {
        vnc_put(c->fd, (uint8_t[]){4, (uint8_t)down, 0, 0, 0, 0, 0, 'a'}, 8);
        fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, (int)down);
    }
}

static void change(struct vnc_scene *s)
{
    s->pixels[0]++;
    s->viewer->backend->ops->damage(s->viewer->backend, 0, &(struct display_rect){0, 0, 1, 1});
    evloop_drain(s->loop);
}

/* A guest that draws without end does not keep the server and its clients busy. */
OnVnc(viewer_vnc_pictures, come_sixty_times_a_second, false)
{
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_freeze(s);
    s->ahead_ns += 1000000000;
    change(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    change(s);
    vnc_ask(c.fd, true, VNC_WIDTH, VNC_HEIGHT);
    let_it_turn(s, &c);
    cr_expect_eq(poll(&(struct pollfd){c.fd, POLLIN, 0}, 1, 0), 0);
    s->ahead_ns += 16000000;
    cr_expect_eq(vnc_update(&c), 1);
    cr_expect_eq(c.picture[0], s->pixels[0]);
    vnc_leave(&c);
}

OnVnc(viewer_vnc_pictures, are_encoded_as_clients_ask, false)
{
    static const int32_t encodings[] = {RFB_HEXTILE, RFB_ZLIB, RFB_TIGHT, RFB_ZRLE};
    uint8_t rect[12];
    for (unsigned i = 0; i < ARRAY_SIZE(encodings); i++) {
        struct vnc_caller c = vnc_join(s);
        vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
        vnc_set_encodings(c.fd, &encodings[i], 1);
        vnc_ask(c.fd, false, VNC_WIDTH, VNC_HEIGHT);
        get_rect(c.fd, encodings[i], rect);
        vnc_leave(&c);
    }
}

/* One tile; all of its pixels differ, so it is raw: three bytes each. */
OnVnc(viewer_vnc_pictures, come_through_zrle, false)
{
    static const int32_t zrle[] = {RFB_ZRLE};
    static uint8_t packed[1 << 16], tile[1 + VNC_WIDTH * VNC_HEIGHT * 3];
    uint8_t rect[12], length[4];
    struct vnc_caller c = vnc_join(s);
    z_stream z = {.next_in = packed, .next_out = tile, .avail_out = sizeof(tile)};
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_set_encodings(c.fd, zrle, 1);
    vnc_ask(c.fd, false, VNC_WIDTH, VNC_HEIGHT);
    get_rect(c.fd, RFB_ZRLE, rect);
    cr_assert(vnc_get(c.fd, length, sizeof(length)));
    z.avail_in = be32_get(length);
    cr_assert_leq(z.avail_in, sizeof(packed));
    cr_assert(vnc_get(c.fd, packed, z.avail_in));
    cr_assert_eq(inflateInit(&z), Z_OK);
    cr_expect_eq(inflate(&z, Z_SYNC_FLUSH), Z_OK);
    inflateEnd(&z);
    cr_assert_eq(z.avail_out, 0u);
    cr_assert_eq(tile[0], 0, "raw");
    for (unsigned i = 0; i < VNC_WIDTH * VNC_HEIGHT; i++)
        cr_assert_eq(memcmp(&tile[1 + i * 3], &s->pixels[i], 3), 0, "pixel %u", i);
    vnc_leave(&c);
}

/* Asks until a rectangle of this encoding comes, and skips others, which are raw or cursors. */
static void expect_rect(int fd, int32_t encoding, uint32_t place, uint32_t size, uint8_t *pixels)
{
    static uint8_t skipped[64 * 64 * 4 + 64 * 8];
    uint8_t head[4], rect[12];
    for (bool found = false; !found;) {
        vnc_ask(fd, true, VNC_WIDTH, VNC_HEIGHT);
        cr_assert(vnc_get(fd, head, sizeof(head)));
        for (unsigned left = be16_get(head + 2); left > 0; left--) {
            cr_assert(vnc_get(fd, rect, sizeof(rect)));
            uint32_t bytes = 4u * be16_get(rect + 4) * be16_get(rect + 6);
            bool is_it = (int32_t)be32_get(rect + 8) == encoding && be32_get(rect) == place &&
                         be32_get(rect + 4) == size;
            if ((int32_t)be32_get(rect + 8) == RFB_RICH_CURSOR)
                bytes += bytes / 32; /* a mask */
            cr_assert_leq(bytes, sizeof(skipped));
            cr_assert(vnc_get(fd, is_it ? pixels : skipped, bytes));
            found |= is_it;
        }
    }
}

/* The shape and the place as rectangles, the picture without a cursor in it. */
OnVnc(viewer_vnc_pictures, have_a_cursor_beside_them, false)
{
    static const int32_t encodings[] = {RFB_RAW, RFB_RICH_CURSOR, RFB_POINTER_POS};
    static struct display_cursor cursor = {.hot_x = 1, .hot_y = 2};
    static uint8_t shape[64 * 64 * 4 + 64 * 8];
    struct display_backend *b = s->viewer->backend;
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_set_encodings(c.fd, encodings, ARRAY_SIZE(encodings));
    memset(cursor.pixels, 0xff, sizeof(cursor.pixels) / 2);
    b->ops->set_cursor(b, 0, &cursor);
    evloop_drain(s->loop);
    expect_rect(c.fd, RFB_RICH_CURSOR, 1 << 16 | 2, 64 << 16 | 64, shape);
    cr_expect_eq(le32_get(shape), 0xffffff);
    cr_expect_eq(shape[sizeof(cursor.pixels)], 0xff, "the mask");
    cr_expect_eq(shape[sizeof(shape) - 1], 0);
    b->ops->move_cursor(b, 0, 3, 4);
    evloop_drain(s->loop);
    expect_rect(c.fd, RFB_POINTER_POS, 3 << 16 | 4, 0, shape);
    /* The guest's cursor follows the client's pointer, and the client is not told. */
    vnc_put(c.fd, "\5\0\0\6\0\7", 6);
    fake_sink_expect(&s->input, FAKE_SINK_MOVE_TO, 6 * INPUT_AXIS_MAX / 63,
                     7 * INPUT_AXIS_MAX / 47);
    s->pixels[0] = 0x123456;
    b->ops->move_cursor(b, 0, 6, 7);
    b->ops->damage(b, 0, &(struct display_rect){0, 0, 1, 1});
    while (c.picture[0] != s->pixels[0]) {
        evloop_drain(s->loop);
        vnc_ask(c.fd, false, VNC_WIDTH, VNC_HEIGHT);
        (void)vnc_update(&c);
    }
    vnc_leave(&c);
}

#endif
