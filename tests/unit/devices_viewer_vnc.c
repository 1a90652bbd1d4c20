// SPDX-License-Identifier: BSD-2-Clause
/* A VNC server, as a client of RFB 3.8 sees it. */
#include "devices/display/viewer.h"
#include "devices/display/vnc_keys.h"
#include "devices/display/vnc_listen.h"

#include <linux/input-event-codes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/harness/vnc.h"

#ifdef HAVE_LIBVNCSERVER

OnVnc(viewer_vnc, shows_pixels_and_then_damage_alone, false)
{
    struct vnc_caller c = vnc_join(s);
    struct stat st;
    cr_assert_eq(stat(s->path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    s->pixels[5 * VNC_WIDTH + 7] = 0x123456;
    s->viewer->backend->ops->damage(s->viewer->backend, 0, &(struct display_rect){7, 5, 2, 1});
    evloop_drain(s->loop);
    vnc_ask(c.fd, true, VNC_WIDTH, VNC_HEIGHT);
    cr_assert_eq(vnc_update(&c), 2);
    cr_assert_eq(c.picture[5 * VNC_WIDTH + 7], 0x123456);
    vnc_leave(&c);
}

/* A guest that flushes its whole picture. */
OnVnc(viewer_vnc, sends_rows_that_have_changed_alone, false)
{
    const struct display_rect all = {0, 0, VNC_WIDTH, VNC_HEIGHT};
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    s->pixels[0] ^= 1;
    s->pixels[20 * VNC_WIDTH + 7] ^= 1;
    s->pixels[21 * VNC_WIDTH + 8] ^= 1;
    s->pixels[VNC_HEIGHT * VNC_WIDTH - 1] ^= 1;
    s->viewer->backend->ops->damage(s->viewer->backend, 0, &all);
    vnc_ask(c.fd, true, VNC_WIDTH, VNC_HEIGHT);
    cr_expect_eq(vnc_update(&c), 4 * VNC_WIDTH);
    cr_expect_arr_eq(c.picture, s->pixels, sizeof(uint32_t) * VNC_WIDTH * VNC_HEIGHT);
    vnc_leave(&c);
}

/* More than are shown of them. */
OnVnc(viewer_vnc, shows_the_last_of_many_frames, false)
{
    const struct display_rect all = {0, 0, VNC_WIDTH, VNC_HEIGHT};
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    for (unsigned i = 0; i < 1000; i++) {
        s->pixels[i]++;
        s->viewer->backend->ops->damage(s->viewer->backend, 0, &all);
        evloop_drain(s->loop);
    }
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_leave(&c);
}

OnVnc(viewer_vnc, tells_a_new_size, false)
{
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_show(s, VNC_WIDTH * 2, VNC_HEIGHT * 2);
    vnc_expect_picture(s, &c, VNC_WIDTH * 2, VNC_HEIGHT * 2);
    vnc_show(s, VNC_WIDTH / 2, VNC_HEIGHT / 2);
    vnc_expect_picture(s, &c, VNC_WIDTH / 2, VNC_HEIGHT / 2);
    vnc_leave(&c);
}

OnVnc(viewer_vnc, passes_keys_and_pointers_on, false)
{
    static const uint8_t keys[] = {4, 1, 0, 0,   0, 0, 0, 'a', 4, 0, 0,    0,
                                   0, 0, 0, 'a', 4, 1, 0, 0,   0, 0, 0xff, 0xbe};
    static const uint8_t pointers[] = {5, 1, 0, 63, 0, 47, 5, 8, 0, 0, 0, 0};
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_put(c.fd, "\4\1\0\0\0\0\x20\xac", 8); /* no key has it */
    vnc_put(c.fd, keys, sizeof(keys));
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 1);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 0);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_F1, 1);
    vnc_put(c.fd, pointers, sizeof(pointers));
    fake_sink_expect(&s->input, FAKE_SINK_MOVE_TO, INPUT_AXIS_MAX, INPUT_AXIS_MAX);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, BTN_LEFT, 1);
    fake_sink_expect(&s->input, FAKE_SINK_MOVE_TO, 0, 0);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, BTN_LEFT, 0);
    fake_sink_expect(&s->input, FAKE_SINK_WHEEL, 0, 1);
    vnc_leave(&c);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_F1, 0);
}

OnVnc(viewer_vnc, wants_the_password, true)
{
    int wrong = vnc_dial(s, 2), right = vnc_dial(s, 2);
    cr_assert_eq(vnc_log_in(wrong, "Secret"), 1);
    cr_assert_eq(vnc_log_in(right, "secret"), 0);
    close(wrong);
    close(right);
}

/* What a client without cursors of its own sees in the end is the picture alone. */
OnVnc(viewer_vnc, shows_and_hides_a_cursor, false)
{
    static struct display_cursor cursor = {.hot_x = 1};
    struct display_backend *b = s->viewer->backend;
    struct vnc_caller c = vnc_join(s);
    memset(cursor.pixels, 0xff, sizeof(cursor.pixels) / 2);
    b->ops->set_cursor(b, 0, &cursor);
    b->ops->move_cursor(b, 0, 3, 4);
    evloop_drain(s->loop);
    vnc_ask(c.fd, false, VNC_WIDTH, VNC_HEIGHT);
    (void)vnc_update(&c);
    b->ops->set_cursor(b, 0, NULL);
    evloop_drain(s->loop);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_leave(&c);
}

/* The library draws it into the picture, and would lose its way where a guest says it is. */
OnVnc(viewer_vnc, draws_no_cursor_far_away, false)
{
    static const uint32_t places[] = {INT32_MAX, UINT32_C(1) << 31, INT32_MAX - 40, (uint32_t)-64};
    static struct display_cursor cursors[] = {{.hot_x = 0}, {.hot_x = 63, .hot_y = 63}};
    const unsigned count = ARRAY_SIZE(places);
    struct display_backend *b = s->viewer->backend;
    struct vnc_caller c = vnc_join(s);
    for (unsigned i = 0; i < 2 * count * count; i++) {
        memset(cursors[i % 2].pixels, 0xff, sizeof(cursors[0].pixels));
        b->ops->move_cursor(b, 0, places[i / 2 % count], places[i / 2 / count]);
        b->ops->set_cursor(b, 0, &cursors[i % 2]);
        s->pixels[0] ^= 1; /* of a frame that has the cursor */
        b->ops->damage(b, 0, &(struct display_rect){0, 0, 1, 1});
        vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    }
    vnc_leave(&c);
}

/* Nothing is black. */
OnVnc(viewer_vnc, shows_nothing, false)
{
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    s->viewer->backend->ops->set_surface(s->viewer->backend, 0, NULL);
    s->viewer->backend->ops->move_cursor(s->viewer->backend, 1, 1, 1); /* is not shown */
    evloop_drain(s->loop);
    memset(s->pixels, 0, VNC_PIXELS * sizeof(uint32_t));
    vnc_expect_picture(s, &c, VNC_WIDTH, VNC_HEIGHT);
    vnc_leave(&c);
}

Test(viewer_vnc, listens_on_this_host_alone)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct viewer_config config = {.name = "guest"};
    struct viewer *viewer = NULL;
    char address[16], text[12];
    unsigned display = 100;
    int r = -EADDRINUSE;
    cr_assert_eq(evloop_create(&config.loop, "test", &clock_host), 0);
    for (; r == -EADDRINUSE && display < 200; display += r < 0) {
        (void)snprintf(address, sizeof(address), display % 2 ? "127.0.0.1:%u" : ":%u", display);
        r = viewer_vnc_create(&viewer, &config, address, NULL);
    }
    cr_assert_eq(r, 0);
    to.sin_port = htons((uint16_t)(5900 + display));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    cr_assert(vnc_get(fd, text, sizeof(text)));
    cr_assert_eq(memcmp(text, "RFB 003.008\n", 12), 0);
    /* Nothing hears its keys. */
    static const uint8_t keys[] = {4, 1, 0, 0, 0, 0, 0, 'a', 4, 1, 0, 0, 0, 0, 0x20, 0xac};
    static const uint8_t pointer[] = {5, 1, 0, 63, 0, 47};
    uint8_t types[2], result[4], init[24 + 5], head[4];
    vnc_put(fd, text, sizeof(text));
    cr_assert(vnc_get(fd, types, sizeof(types)));
    vnc_put(fd, "\1", 1);
    cr_assert(vnc_get(fd, result, sizeof(result)));
    vnc_put(fd, "\1", 1);
    cr_assert(vnc_get(fd, init, sizeof(init)));
    vnc_put(fd, keys, sizeof(keys));
    vnc_put(fd, pointer, sizeof(pointer));
    vnc_ask(fd, false, 4, 4);
    cr_assert(vnc_get(fd, head, sizeof(head)));
    close(fd);
    viewer->ops->stop(viewer);
    viewer->ops->destroy(viewer);
    evloop_destroy(config.loop);
}

/* A host whose first address is not this machine's. */
Test(viewer_vnc, tries_all_addresses_of_a_host)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in elsewhere = {.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(0xc0000201)}; /* 192.0.2.1 */
    struct addrinfo second = {
        .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&here, .ai_addrlen = sizeof(here)};
    struct addrinfo first = {.ai_family = AF_INET,
                             .ai_addr = (struct sockaddr *)&elsewhere,
                             .ai_addrlen = sizeof(elsewhere),
                             .ai_next = &second};
    struct addrinfo unknown = {.ai_family = AF_MAX, .ai_next = &first};
    socklen_t bytes = sizeof(here);
    int fd = -1, other = -1;
    cr_assert_eq(vnc_listen_first(&unknown, &fd), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&here, &bytes), 0);
    struct sockaddr_in free_port = {.sin_family = AF_INET, .sin_addr = here.sin_addr};
    struct addrinfo third = {.ai_family = AF_INET,
                             .ai_addr = (struct sockaddr *)&free_port,
                             .ai_addrlen = sizeof(free_port)};
    second.ai_next = &third; /* viewers would connect to the second */
    cr_expect_eq(vnc_listen_first(&first, &other), -EADDRINUSE);
    first.ai_next = NULL;
    cr_expect_eq(vnc_listen_first(&first, &other), -EADDRNOTAVAIL);
    close(fd);
}

/* A path where a process that died has left its socket; and one that is in use stays. */
Test(viewer_vnc, replaces_a_socket_at_which_nothing_listens)
{
    struct viewer_config config = {.name = "guest"};
    struct viewer *viewer = NULL, *other = NULL;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char address[64];
    (void)snprintf(address, sizeof(address), "unix:/tmp/minivet-vnc-%d", (int)getpid());
    strcpy(addr.sun_path, address + 5);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd);
    cr_assert_eq(evloop_create(&config.loop, "test", &clock_host), 0);
    cr_assert_eq(viewer_vnc_create(&viewer, &config, address, NULL), 0);
    cr_expect_eq(viewer_vnc_create(&other, &config, address, NULL), -EADDRINUSE);
    cr_expect_eq(access(addr.sun_path, F_OK), 0);
    viewer->ops->stop(viewer);
    viewer->ops->destroy(viewer);
    cr_expect_eq(access(addr.sun_path, F_OK), -1);
    evloop_destroy(config.loop);
}

static void note_size(void *ctx, unsigned scanout, uint32_t width, uint32_t height)
{
    cr_assert_eq(scanout, 0);
    *(uint32_t *)ctx = width * 1000 + height;
}

OnVnc(viewer_vnc, lets_a_client_ask_for_a_size, false)
{
    static const uint8_t encodings[] = {2,    0,    0,    1,
                                        0xff, 0xff, 0xfe, 0xcc}; /* ExtendedDesktopSize */
    static const uint8_t none[8] = {251}, size[8 + 16] = {251, 0, 3, 32, 1, 144, 1};
    uint8_t answer[4 + 12 + 4 + 16];
    struct vnc_caller c = vnc_join(s);
    uint32_t told = 0;
    s->viewer->backend->handler = (struct display_handler){.on_resize = note_size, .ctx = &told};
    vnc_put(c.fd, encodings, sizeof(encodings));
    vnc_put(c.fd, none, sizeof(none));
    vnc_put(c.fd, size, sizeof(size));
    while (told == 0)
        evloop_drain(s->loop);
    cr_expect_eq(told, 800 * 1000 + 400);
    for (unsigned reason = 0; reason != 1; reason = vnc_be(answer + 4, 2)) {
        vnc_ask(c.fd, true, 640, 480);
        cr_assert(vnc_get(c.fd, answer, sizeof(answer)));
        cr_assert_eq(vnc_be(answer + 12, 4), 0xfffffecc);
    }
    cr_expect_eq(vnc_be(answer + 6, 2), 0, "the size was not taken");
    vnc_leave(&c);
}

/* However many descriptors are left, it works or says why. */
Test(viewer_vnc, descriptors_run_out)
{
    struct viewer_config config = {.name = "guest"};
    struct viewer *viewer = NULL;
    struct rlimit limit;
    char address[64];
    int first = dup(0), r = -EMFILE;
    close(first);
    (void)snprintf(address, sizeof(address), "unix:/tmp/minivet-vnc-%d", (int)getpid());
    cr_assert_eq(evloop_create(&config.loop, "test", &clock_host), 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    for (limit.rlim_cur = (rlim_t)first; r < 0; limit.rlim_cur++) {
        setrlimit(RLIMIT_NOFILE, &limit);
        r = viewer_vnc_create(&viewer, &config, address, NULL);
    }
    cr_expect_gt(limit.rlim_cur, (rlim_t)first + 2);
    viewer->ops->stop(viewer);
    viewer->ops->destroy(viewer);
    cr_expect_neq(access(address + 5, F_OK), 0);
    evloop_destroy(config.loop);
}

Test(viewer_vnc, knows_the_keys_of_a_us_keyboard)
{
    for (uint32_t c = ' '; c <= '~'; c++)
        cr_expect_neq(vnc_key(c), 0, "%c", (int)c);
    cr_expect_eq(vnc_key('Q'), KEY_Q);
    cr_expect_eq(vnc_key(0xff0d), KEY_ENTER);
    cr_expect_eq(vnc_key(0xfe20), KEY_TAB);
    cr_expect_eq(vnc_key(0xfe03), KEY_RIGHTALT);
    cr_expect_eq(vnc_key(0x20ac), 0, "the euro");
    cr_expect_eq(vnc_key(UINT32_MAX), 0);
}

OnVnc(viewer_vnc, refuses_addresses_that_it_cannot_listen_on, false)
{
    static const char *const bad[] = {"", "1", ":", ":x", ":-1", ":59636", "host:1x", "unix:"};
    struct viewer_config config = {.loop = s->loop};
    struct viewer *viewer = NULL;
    char taken[80];
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(viewer_vnc_create(&viewer, &config, bad[i], NULL), -EINVAL, "%s", bad[i]);
    (void)snprintf(taken, sizeof(taken), "unix:%s", s->path);
    cr_assert_eq(viewer_vnc_create(&viewer, &config, taken, NULL), -EADDRINUSE);
    cr_assert_eq(viewer_vnc_create(&viewer, &config, ":0", "/nonexistent"), -ENOENT);
    cr_assert_eq(viewer_vnc_create(&viewer, &config, ":0", "/dev/null"), -EINVAL);
    cr_assert_eq(viewer_vnc_create(&viewer, &config, "[::g]:1", NULL), -EINVAL);
    cr_assert_eq(viewer_vnc_create(&viewer, &config, "192.0.2.1:1", NULL), -EADDRNOTAVAIL);
    char long_path[200] = "unix:/tmp/";
    memset(long_path + strlen(long_path), 'x', sizeof(long_path) - 1 - strlen(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    cr_assert_eq(viewer_vnc_create(&viewer, &config, long_path, NULL), -EINVAL);
    cr_assert_eq(viewer_vnc_create(&viewer, &config, "unix:/nowhere/x", NULL), -ENOENT);
}

#else

Test(viewer_vnc, is_not_in_this_build)
{
    struct viewer *viewer = NULL;
    printf("# skipped: VNC (libvncserver-dev is not installed)\n");
    cr_assert_eq(viewer_vnc_create(&viewer, &(struct viewer_config){0}, ":0", NULL), -ENOSYS);
}

#endif
