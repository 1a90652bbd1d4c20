// SPDX-License-Identifier: BSD-2-Clause
/* Clients of a VNC server beside each other, some of them hostile. */
#include "tests/harness/vnc.h"

#include "core/base/be.h"

#ifdef HAVE_LIBVNCSERVER

#include <linux/input-event-codes.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define PATIENCE_NS UINT64_C(11000000000) /* longer than the server waits for a client */

/* More than a socket takes at once. */
#define LARGE 512u

static void wait_readable(int fd)
{
    cr_assert_eq(poll(&(struct pollfd){fd, POLLIN, 0}, 1, VNC_WAIT_MS), 1);
}

static struct vnc_caller join_large(struct vnc_scene *s)
{
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_show(s, LARGE, LARGE);
    vnc_expect_picture(s, &c, LARGE, LARGE);
    return c;
}

OnVnc(viewer_vnc_clients, a_client_in_mid_frame_holds_up_no_other, false)
{
    struct vnc_caller c = join_large(s), slow = vnc_join(s);
    vnc_ask(slow.fd, false, LARGE, LARGE);
    wait_readable(slow.fd);
    vnc_expect_picture(s, &c, LARGE, LARGE);
    cr_expect_eq(vnc_update(&slow), LARGE * LARGE);
    cr_expect_arr_eq(slow.picture, s->pixels, LARGE * LARGE * sizeof(uint32_t));
    vnc_leave(&c);
    vnc_leave(&slow);
}

OnVnc(viewer_vnc_clients, a_client_in_mid_message_holds_up_no_other, false)
{
    static const uint8_t messages[8 + 24 + 10] = {
        [0] = 2,   [3] = 1,                                       /* SetEncodings: raw */
        [8] = 251, [11] = VNC_WIDTH, [13] = VNC_HEIGHT, [14] = 1, /* SetDesktopSize */
        [32] = 3,  [39] = VNC_WIDTH, [41] = VNC_HEIGHT,           /* FramebufferUpdateRequest */
    };
    struct vnc_caller c = vnc_join(s), slow = vnc_join(s);
    vnc_expect_picture(s, &slow, VNC_WIDTH, VNC_HEIGHT);
    for (unsigned i = 0; i < sizeof(messages); i++) {
        vnc_put(slow.fd, messages + i, 1);
        vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    }
    cr_expect_eq(vnc_update(&slow), VNC_WIDTH * VNC_HEIGHT);
    vnc_leave(&c);
    vnc_leave(&slow);
}

/* The time is the test's. */
OnVnc(viewer_vnc_clients, disconnects_clients_that_do_not_go_on, false)
{
    struct vnc_caller c = join_large(s), half = vnc_join(s), deaf = vnc_join(s);
    int silent = vnc_connect(s), shy = vnc_dial(s, 1);
    vnc_put(half.fd, "\3", 1);
    vnc_ask(deaf.fd, false, LARGE, LARGE);
    wait_readable(deaf.fd);
    vnc_expect_picture(s, &c, LARGE, LARGE);
    s->ahead_ns += PATIENCE_NS;
    vnc_expect_picture(s, &c, LARGE, LARGE);
    vnc_expect_closed(half.fd);
    vnc_expect_closed(deaf.fd);
    vnc_expect_closed(silent);
    vnc_expect_closed(shy);
    s->ahead_ns += PATIENCE_NS; /* a client may be quiet between messages */
    vnc_expect_picture(s, &c, LARGE, LARGE);
    close(silent);
    close(shy);
    vnc_leave(&c);
    vnc_leave(&half);
    vnc_leave(&deaf);
}

OnVnc(viewer_vnc_clients, serves_a_client_beside_one_that_never_reads, false)
{
    struct vnc_caller c = vnc_join(s), other = vnc_join(s);
    for (unsigned i = 0; i < 64; i++)
        vnc_ask(other.fd, false, 640, 480);
    for (unsigned i = 0; i < 64; i++)
        vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_leave(&c);
    vnc_leave(&other);
}

/* The answers to palettes are longer than the requests. While another client gets two pictures the
 * server begins a turn, in which it would read some. */
OnVnc(viewer_vnc_clients, reads_no_further_while_answers_wait, false)
{
    static const uint8_t palette[20] = {0, [4] = 8, 8};
    struct vnc_caller c = vnc_join(s), other = vnc_join(s);
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    bool is_full = false;
    for (unsigned sent = 0; !is_full && sent < 100000; sent++) {
        if (send(other.fd, palette, sizeof(palette), flags) > 0)
            continue;
        vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
        vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
        is_full = send(other.fd, palette, sizeof(palette), flags) < 0;
        cr_expect(!is_full || errno == EAGAIN, "%d", errno);
    }
    cr_expect(is_full, "all of it was read");
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_leave(&c);
    vnc_leave(&other);
}

OnVnc(viewer_vnc_clients, closes_a_client_that_sends_garbage_alone, false)
{
    static const struct {
        const char *bytes;
        size_t count;
    } cases[] = {
        {"\xee", 1},
        {"\1\0\0\0\0\0", 6},
        {"\x08\2\0\0", 4} /* a scale */,
        {"\2\0\xff\xff", 4},
    };
    struct vnc_caller c = vnc_join(s);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vnc_caller other = vnc_join(s);
        vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
        vnc_put(other.fd, cases[i].bytes, cases[i].count);
        vnc_expect_closed(other.fd);
        vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
        vnc_leave(&other);
    }
    int web = vnc_connect(s);
    vnc_put(web, "GET / HTTP/1.1\r\n", 16);
    vnc_expect_closed(web);
    close(web);
    vnc_leave(&c);
}

OnVnc(viewer_vnc_clients, takes_lists_of_requests_and_of_encodings, false)
{
    static const uint8_t last[8] = {4, 1, 0, 0, 0, 0, 0, 'a'};
    struct vnc_caller c = vnc_join(s);
    uint8_t encodings[4 + 4 * 1023] = {2, 0, 1023 >> 8, 1023 & 0xff};
    vnc_put(c.fd, encodings, sizeof(encodings));
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    for (uint8_t y = 0; y < VNC_HEIGHT; y += 2)
        for (uint8_t x = 0; x < VNC_WIDTH; x += 2)
            vnc_put(c.fd, (uint8_t[]){3, 1, 0, x, 0, y, 0, 1, 0, 1}, 10);
    vnc_put(c.fd, last, sizeof(last));
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 1);
    for (unsigned i = 0; i < VNC_WIDTH * VNC_HEIGHT; i++)
        s->pixels[i] ^= 1;
    s->viewer->backend->ops->damage(s->viewer->backend, 0,
                                    &(struct display_rect){0, 0, VNC_WIDTH, VNC_HEIGHT});
    evloop_drain(s->loop);
    cr_expect_gt(vnc_update(&c), VNC_WIDTH / 2 * VNC_HEIGHT / 2, "a box around them");
    vnc_leave(&c);
}

/* The server has done what the client asked for, and hears the next. */
static void leave_by_a_key(struct vnc_scene *s, struct vnc_caller *c)
{
    vnc_put(c->fd, "\4\1\0\0\0\0\0a", 8);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 1);
    vnc_leave(c);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 0);
}

/* By Zlib and Ultra the library would divide by the width of what is asked for. */
OnVnc(viewer_vnc_clients, may_ask_for_nothing, false)
{
    enum { RRE = 2, CORRE = 4, ULTRA = 9 };
    static const uint8_t places[][4] = {
        {5, 5, 0, 4}, {5, 5, 4, 0}, {VNC_WIDTH, 5, 4, 4}, {5, VNC_HEIGHT, 4, 4}};
    static const int32_t encodings[] = {RFB_RAW,  RRE,       CORRE, RFB_HEXTILE,
                                        RFB_ZLIB, RFB_TIGHT, ULTRA, RFB_ZRLE};
    for (unsigned i = 0; i < ARRAY_SIZE(encodings) * ARRAY_SIZE(places); i++) {
        const uint8_t *p = places[i % ARRAY_SIZE(places)];
        struct vnc_caller c = vnc_join(s);
        vnc_set_encodings(c.fd, &encodings[i / ARRAY_SIZE(places)], 1);
        vnc_put(c.fd, (uint8_t[]){3, 0, 0, p[0], 0, p[1], 0, p[2], 0, p[3]}, 10);
        leave_by_a_key(s, &c);
    }
}

static struct vnc_caller join_with(struct vnc_scene *s, uint8_t bits, unsigned colour, uint16_t max,
                                   uint8_t shift)
{
    struct vnc_caller c = vnc_join(s);
    uint8_t format[20] = {[4] = bits, [5] = 24, [7] = 1};
    be16_put(format + 8 + 2 * (size_t)colour, max);
    format[14 + colour] = shift;
    vnc_put(c.fd, format, sizeof(format));
    return c;
}

/* Of pixels of 24 bits Tight would send what is behind the library's buffer. */
OnVnc(viewer_vnc_clients, have_pixels_that_can_be, false)
{
    static const struct {
        uint16_t max;
        uint8_t bits, last_shift;
    } rows[] = {{7, 8, 5}, {31, 16, 11}, {255, 32, 24}};
    for (unsigned i = 0; i < 3 * ARRAY_SIZE(rows); i++) {
        uint8_t bits = rows[i / 3].bits, shift = rows[i / 3].last_shift;
        uint16_t max = rows[i / 3].max;
        struct vnc_caller right = join_with(s, bits, i % 3, max, shift);
        leave_by_a_key(s, &right);
        struct vnc_caller wrong[] = {
            join_with(s, bits, i % 3, max, shift + 1),
            join_with(s, bits, i % 3, max, 178),
            join_with(s, 24, i % 3, max, 0),
            join_with(s, 64, i % 3, max, 0),
        };
        for (unsigned w = 0; w < ARRAY_SIZE(wrong); w++) {
            vnc_expect_closed(wrong[w].fd);
            vnc_leave(&wrong[w]);
        }
    }
}

/* What TigerVNC 1.12 lists: with an extended clipboard, fences, continuous updates, key codes. */
OnVnc(viewer_vnc_clients, takes_what_a_real_viewer_lists, false)
{
    static const uint32_t list[] = {0xfffffec6, 0x574d5664, 0xffffff11, 0xffffff10, 0x574d5666,
                                    0xffffff21, 0xfffffecc, 0xfffffecd, 0xffffff20, 0xc0a1e5ce,
                                    0xfffffec7, 0xfffffec8, 0xfffffefe, 7,          1,
                                    16,         5,          2,          0,          0xffffff02,
                                    0xffffffe8, 0xfffffecb, 0xfffe0001};
    uint8_t message[4 + sizeof(list)] = {2, 0, 0, ARRAY_SIZE(list)};
    struct vnc_caller c = vnc_join(s);
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        be32_put(message + 4 + (size_t)i * 4, list[i]);
    vnc_put(c.fd, message, sizeof(message));
    vnc_put(c.fd, (uint8_t[]){2, 0, 0, 2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21}, 12); /* as before */
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_leave(&c);
}

OnVnc(viewer_vnc_clients, skips_a_clipboard, false)
{
    static const uint8_t key[8] = {4, 1, 0, 0, 0, 0, 0, 'a'};
    const size_t bytes = 2u << 20;
    uint8_t *message = calloc(1, 8 + bytes);
    struct vnc_caller c = vnc_join(s);
    cr_assert_not_null(message);
    message[0] = 6;
    message[5] = 32;
    for (size_t sent = 0; sent < 8 + bytes; sent += 8)
        vnc_put(c.fd, message + sent, 8);
    vnc_put(c.fd, key, sizeof(key));
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 1);
    free(message);
    vnc_leave(&c);
}

OnVnc(viewer_vnc_clients, disconnects_the_ninth_client, false)
{
    struct vnc_caller clients[8];
    uint8_t byte;
    for (unsigned i = 0; i < 8; i++)
        clients[i] = vnc_join(s);
    int fd = vnc_connect(s);
    cr_assert_not(vnc_get(fd, &byte, 1));
    close(fd);
    for (unsigned i = 0; i < 8; i++)
        vnc_leave(&clients[i]);
}

/* The socket stays ready: the thread must not look at it all the time. */
OnVnc(viewer_vnc_clients, without_descriptors_a_client_waits, false)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), next = -1;
    struct vnc_caller c = vnc_join(s);
    struct rlimit limit, all;
    char version[12];
    vnc_freeze(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    getrlimit(RLIMIT_NOFILE, &all);
    limit = all;
    next = dup(0);
    close(next);
    limit.rlim_cur = (rlim_t)next;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    vnc_reach(s, fd);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT); /* a turn that began behind vnc_reach() */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
    for (unsigned i = 0; i < 10; i++)
        vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    cr_expect_eq(poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0), 0, "it was looked at again");
    s->ahead_ns += PATIENCE_NS;
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    cr_expect(vnc_get(fd, version, sizeof(version)));
    close(fd);
    vnc_leave(&c);
}

/* ---- keys and buttons that clients share ---- */

static void key(const struct vnc_caller *c, char which, bool down)
{
    vnc_put(c->fd, (uint8_t[]){4, down, 0, 0, 0, 0, 0, (uint8_t)which}, 8);
}

OnVnc(viewer_vnc_clients, a_client_that_leaves_lets_go_of_its_own_keys, false)
{
    struct vnc_caller one = vnc_join(s), other = vnc_join(s);
    key(&one, 'a', true);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 1);
    key(&one, 'b', true);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_B, 1);
    key(&other, 'b', true); /* both hold it */
    key(&other, 'c', true);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_C, 1);
    vnc_leave(&one);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 0);
    key(&other, 'c', true); /* repeats */
    key(&other, 'd', true);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_D, 1);
    key(&other, 'b', false);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_B, 0);
    vnc_leave(&other);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_D, 0);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_C, 0);
}

OnVnc(viewer_vnc_clients, a_client_that_holds_a_button_does_not_have_the_pointer_alone, false)
{
    struct vnc_caller one = vnc_join(s), other = vnc_join(s);
    vnc_put(one.fd, "\5\1\0\0\0\0", 6);
    fake_sink_expect(&s->input, FAKE_SINK_MOVE_TO, 0, 0);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, BTN_LEFT, 1);
    vnc_put(other.fd, "\5\4\0\77\0\57", 6);
    fake_sink_expect(&s->input, FAKE_SINK_MOVE_TO, INPUT_AXIS_MAX, INPUT_AXIS_MAX);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, BTN_RIGHT, 1);
    vnc_leave(&one);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, BTN_LEFT, 0);
    vnc_leave(&other);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, BTN_RIGHT, 0);
}

#endif
