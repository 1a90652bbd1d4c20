// SPDX-License-Identifier: BSD-2-Clause
/* A VNC server, as a client of RFB 3.8 sees it. */
#include "devices/display/viewer.h"
#include "devices/display/vnc_keys.h"

#include <dlfcn.h>
#include <linux/input-event-codes.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/ports/display.h"
#include "tests/harness/fake_sink.h"
#include "tests/harness/test.h"

#ifdef HAVE_LIBVNCSERVER

#define WIDTH    64u
#define HEIGHT   48u
#define DEADLINE 30000 /* ms */

struct scene {
    struct fake_sink input;
    struct evloop *loop;
    struct viewer *viewer;
    char path[64], password[80];
    uint32_t pixels[WIDTH * HEIGHT * 4];
};

static void show(struct scene *s, uint32_t width, uint32_t height)
{
    struct display_surface surface = {(uint8_t *)s->pixels, width, height, (size_t)width * 4,
                                      DISPLAY_BGRX};
    for (uint32_t i = 0; i < width * height; i++)
        s->pixels[i] = i * 0x010305u & 0xffffff;
    s->viewer->backend->ops->set_surface(s->viewer->backend, 0, &surface);
    evloop_drain(s->loop);
}

static void open_scene(struct scene *s, bool has_password)
{
    struct viewer_config config = {.is_absolute = true, .name = "guest", .input = &s->input.sink};
    char address[80];
    *s = (struct scene){0};
    fake_sink_init(&s->input);
    (void)snprintf(s->path, sizeof(s->path), "/tmp/minivet-vnc-%d", (int)getpid());
    (void)snprintf(s->password, sizeof(s->password), "%s.password", s->path);
    (void)snprintf(address, sizeof(address), "unix:%s", s->path);
    FILE *f = fopen(s->password, "we");
    cr_assert(f != NULL && fputs("secret\n", f) > 0 && fclose(f) == 0);
    cr_assert_eq(evloop_create(&s->loop, "test", &clock_host), 0);
    config.loop = s->loop;
    (void)unlink(s->path);
    cr_assert_eq(viewer_vnc_create(&s->viewer, &config, address, has_password ? s->password : NULL),
                 0);
    show(s, WIDTH, HEIGHT);
}

static void close_scene(struct scene *s)
{
    s->viewer->ops->stop(s->viewer);
    evloop_drain(s->loop);
    s->viewer->ops->destroy(s->viewer);
    cr_assert_eq(access(s->path, F_OK), -1);
    (void)unlink(s->password);
    evloop_destroy(s->loop);
}

/* ---- the client ---- */

struct client {
    int fd;
    uint32_t width, height; /* as the server said last */
    uint32_t *picture;
};

/* False: the server has closed. */
static bool get(int fd, void *to, size_t len)
{
    for (size_t have = 0; have < len;) {
        struct pollfd p = {fd, POLLIN, 0};
        cr_assert_eq(poll(&p, 1, DEADLINE), 1, "the server says nothing");
        ssize_t n = read(fd, (char *)to + have, len - have);
        if (n <= 0)
            return false;
        have += (size_t)n;
    }
    return true;
}

static void put(int fd, const void *from, size_t len)
{
    cr_assert_eq(send(fd, from, len, MSG_NOSIGNAL), (ssize_t)len);
}

static uint32_t be(const uint8_t *at, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* Until the server offers its one kind of security, which is expected. */
static int dial(const struct scene *s, uint8_t security)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    uint8_t text[12], types[2];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(to.sun_path, s->path, strlen(s->path) + 1);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    cr_assert(get(fd, text, sizeof(text)));
    cr_assert_eq(memcmp(text, "RFB 003.008\n", 12), 0);
    put(fd, text, sizeof(text));
    cr_assert(get(fd, types, sizeof(types)));
    cr_assert_eq(types[0], 1);
    cr_assert_eq(types[1], security);
    put(fd, &security, 1);
    return fd;
}

static void leave(struct client *c)
{
    close(c->fd);
    free(c->picture);
}

static struct client join(const struct scene *s)
{
    static const uint8_t format[20] = {[4] = 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0};
    static const uint8_t encodings[12] = {2, 0, 0, 2, [8] = 0xff, 0xff, 0xff, 0x21}; /* NewFBSize */
    int fd = dial(s, 1);
    uint8_t result[4], init[24], name[5];
    cr_assert(get(fd, result, 4));
    cr_assert_eq(be(result, 4), 0);
    put(fd, "\1", 1);
    cr_assert(get(fd, init, sizeof(init)));
    cr_assert_eq(be(init + 20, 4), 5);
    cr_assert(get(fd, name, 5));
    cr_assert_eq(memcmp(name, "guest", 5), 0);
    put(fd, format, sizeof(format));
    put(fd, encodings, sizeof(encodings));
    return (struct client){fd, be(init, 2), be(init + 2, 2), calloc(1024, 1024)};
}

static void ask(int fd, bool changes_only, uint32_t width, uint32_t height)
{
    const uint8_t message[10] = {3,
                                 changes_only,
                                 0,
                                 0,
                                 0,
                                 0,
                                 (uint8_t)(width >> 8),
                                 (uint8_t)width,
                                 (uint8_t)(height >> 8),
                                 (uint8_t)height};
    put(fd, message, sizeof(message));
}

/* Draws one update; returns how many pixels came. */
static uint32_t update(struct client *c)
{
    uint8_t head[4], rect[12];
    uint32_t sum = 0;
    cr_assert(get(c->fd, head, 4));
    cr_assert_eq(head[0], 0, "message %u", head[0]);
    for (uint32_t left = be(head + 2, 2); left > 0; left--) {
        cr_assert(get(c->fd, rect, 12));
        uint32_t x = be(rect, 2), y = be(rect + 2, 2), w = be(rect + 4, 2), h = be(rect + 6, 2);
        if (be(rect + 8, 4) == 0xffffff21) {
            c->width = w, c->height = h;
            continue;
        }
        cr_assert_eq(be(rect + 8, 4), 0, "raw");
        cr_assert(x + w <= c->width && y + h <= c->height);
        for (uint32_t row = y; row < y + h; row++)
            cr_assert(get(c->fd, c->picture + (size_t)row * c->width + x, (size_t)w * 4));
        sum += w * h;
    }
    return sum;
}

/* What the client has asked for, until it has the scene's picture: the thread may not have taken
 * the newest frame when it answers. */
static void expect_picture(struct scene *s, struct client *c, uint32_t width, uint32_t height)
{
    size_t bytes = (size_t)width * height * 4;
    ask(c->fd, false, 640, 480);
    (void)update(c);
    while (c->width != width || c->height != height || memcmp(c->picture, s->pixels, bytes) != 0) {
        ask(c->fd, true, 640, 480);
        (void)update(c);
    }
}

/* ---- tests ---- */

#define OnVnc(name, has_password)            \
    static void try_##name(struct scene *s); \
    Test(viewer_vnc, name)                   \
    {                                        \
        static struct scene scene;           \
        open_scene(&scene, has_password);    \
        try_##name(&scene);                  \
        close_scene(&scene);                 \
    }                                        \
    static void try_##name(struct scene *s)

OnVnc(shows_pixels_and_then_damage_alone, false)
{
    struct client c = join(s);
    struct stat st;
    cr_assert_eq(stat(s->path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    expect_picture(s, &c, WIDTH, HEIGHT);
    s->pixels[5 * WIDTH + 7] = 0x123456;
    s->viewer->backend->ops->damage(s->viewer->backend, 0, &(struct display_rect){7, 5, 2, 1});
    evloop_drain(s->loop);
    ask(c.fd, true, WIDTH, HEIGHT);
    cr_assert_eq(update(&c), 2);
    cr_assert_eq(c.picture[5 * WIDTH + 7], 0x123456);
    leave(&c);
}

OnVnc(tells_a_new_size, false)
{
    struct client c = join(s);
    expect_picture(s, &c, WIDTH, HEIGHT);
    show(s, WIDTH * 2, HEIGHT * 2);
    expect_picture(s, &c, WIDTH * 2, HEIGHT * 2);
    leave(&c);
}

OnVnc(passes_keys_and_pointers_on, false)
{
    static const uint8_t keys[] = {4, 1, 0, 0,   0, 0, 0, 'a', 4, 0, 0,    0,
                                   0, 0, 0, 'a', 4, 1, 0, 0,   0, 0, 0xff, 0xbe};
    static const uint8_t pointers[] = {5, 1, 0, 63, 0, 47, 5, 8, 0, 0, 0, 0};
    struct client c = join(s);
    expect_picture(s, &c, WIDTH, HEIGHT);
    put(c.fd, "\4\1\0\0\0\0\x20\xac", 8); /* no key has it */
    put(c.fd, keys, sizeof(keys));
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 1);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 0);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_F1, 1);
    put(c.fd, pointers, sizeof(pointers));
    fake_sink_expect(&s->input, FAKE_SINK_MOVE_TO, INPUT_AXIS_MAX, INPUT_AXIS_MAX);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, BTN_LEFT, 1);
    fake_sink_expect(&s->input, FAKE_SINK_MOVE_TO, 0, 0);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, BTN_LEFT, 0);
    fake_sink_expect(&s->input, FAKE_SINK_WHEEL, 0, 1);
    leave(&c);
    fake_sink_expect(&s->input, FAKE_SINK_RELEASE, 0, 0);
}

/* The requests fill the socket of the other many times over. */
OnVnc(serves_a_client_beside_one_that_never_reads, false)
{
    struct client c = join(s), other = join(s);
    for (unsigned i = 0; i < 64; i++)
        ask(other.fd, false, 640, 480);
    for (unsigned i = 0; i < 64; i++)
        expect_picture(s, &c, WIDTH, HEIGHT);
    leave(&c);
    leave(&other);
}

OnVnc(closes_a_client_that_sends_garbage_alone, false)
{
    struct client c = join(s), other = join(s);
    uint8_t byte;
    expect_picture(s, &c, WIDTH, HEIGHT);
    put(other.fd, "\xee\xee\xee\xee", 4);
    cr_assert_not(get(other.fd, &byte, 1));
    expect_picture(s, &c, WIDTH, HEIGHT);
    leave(&c);
    leave(&other);
}

/* What the server says to a client that knows this password; 0: welcome. */
static uint32_t result_of(const struct scene *s, char *password)
{
    void *library = dlopen("libvncserver.so.1", RTLD_NOW);
    void (*encrypt)(unsigned char *bytes, char *password) = NULL;
    int fd = dial(s, 2);
    uint8_t challenge[16], result[4];
    cr_assert(library != NULL);
    *(void **)&encrypt = dlsym(library, "rfbEncryptBytes");
    cr_assert(encrypt != NULL);
    cr_assert(get(fd, challenge, sizeof(challenge)));
    encrypt(challenge, password);
    put(fd, challenge, sizeof(challenge));
    cr_assert(get(fd, result, sizeof(result)));
    close(fd);
    dlclose(library);
    return be(result, 4);
}

OnVnc(wants_the_password, true)
{
    char right[] = "secret", wrong[] = "Secret";
    cr_assert_eq(result_of(s, wrong), 1);
    cr_assert_eq(result_of(s, right), 0);
}

OnVnc(disconnects_the_ninth_client, false)
{
    struct client clients[8];
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    uint8_t byte;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (unsigned i = 0; i < 8; i++)
        clients[i] = join(s);
    memcpy(to.sun_path, s->path, strlen(s->path) + 1);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    cr_assert_not(get(fd, &byte, 1));
    close(fd);
    for (unsigned i = 0; i < 8; i++)
        leave(&clients[i]);
}

/* What a client without cursors of its own sees in the end is the picture alone. */
OnVnc(shows_and_hides_a_cursor, false)
{
    static struct display_cursor cursor = {.hot_x = 1};
    struct display_backend *b = s->viewer->backend;
    struct client c = join(s);
    memset(cursor.pixels, 0xff, sizeof(cursor.pixels) / 2);
    b->ops->set_cursor(b, 0, &cursor);
    b->ops->move_cursor(b, 0, 3, 4);
    evloop_drain(s->loop);
    ask(c.fd, false, WIDTH, HEIGHT);
    (void)update(&c);
    b->ops->set_cursor(b, 0, NULL);
    evloop_drain(s->loop);
    expect_picture(s, &c, WIDTH, HEIGHT);
    leave(&c);
}

/* Nothing is black. */
OnVnc(shows_nothing, false)
{
    struct client c = join(s);
    expect_picture(s, &c, WIDTH, HEIGHT);
    s->viewer->backend->ops->set_surface(s->viewer->backend, 0, NULL);
    s->viewer->backend->ops->move_cursor(s->viewer->backend, 1, 1, 1); /* is not shown */
    evloop_drain(s->loop);
    memset(s->pixels, 0, sizeof(s->pixels));
    expect_picture(s, &c, WIDTH, HEIGHT);
    leave(&c);
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
    cr_assert(get(fd, text, sizeof(text)));
    cr_assert_eq(memcmp(text, "RFB 003.008\n", 12), 0);
    /* Nothing hears its keys. */
    static const uint8_t keys[] = {4, 1, 0, 0, 0, 0, 0, 'a', 4, 1, 0, 0, 0, 0, 0x20, 0xac};
    static const uint8_t pointer[] = {5, 1, 0, 63, 0, 47};
    uint8_t types[2], result[4], init[24 + 5], head[4];
    put(fd, text, sizeof(text));
    cr_assert(get(fd, types, sizeof(types)));
    put(fd, "\1", 1);
    cr_assert(get(fd, result, sizeof(result)));
    put(fd, "\1", 1);
    cr_assert(get(fd, init, sizeof(init)));
    put(fd, keys, sizeof(keys));
    put(fd, pointer, sizeof(pointer));
    ask(fd, false, 4, 4);
    cr_assert(get(fd, head, sizeof(head)));
    close(fd);
    viewer->ops->stop(viewer);
    viewer->ops->destroy(viewer);
    evloop_destroy(config.loop);
}

static void note_size(void *ctx, unsigned scanout, uint32_t width, uint32_t height)
{
    cr_assert_eq(scanout, 0);
    *(uint32_t *)ctx = width * 1000 + height;
}

OnVnc(lets_a_client_ask_for_a_size, false)
{
    static const uint8_t encodings[] = {2,    0,    0,    1,
                                        0xff, 0xff, 0xfe, 0xcc}; /* ExtendedDesktopSize */
    static const uint8_t none[8] = {251}, size[8 + 16] = {251, 0, 3, 32, 1, 144, 1};
    uint8_t answer[4 + 12 + 4 + 16];
    struct client c = join(s);
    uint32_t told = 0;
    s->viewer->backend->handler = (struct display_handler){.on_resize = note_size, .ctx = &told};
    put(c.fd, encodings, sizeof(encodings));
    put(c.fd, none, sizeof(none));
    put(c.fd, size, sizeof(size));
    while (told == 0)
        evloop_drain(s->loop);
    cr_expect_eq(told, 800 * 1000 + 400);
    for (unsigned reason = 0; reason != 1; reason = be(answer + 4, 2)) {
        ask(c.fd, true, 640, 480);
        cr_assert(get(c.fd, answer, sizeof(answer)));
        cr_assert_eq(be(answer + 12, 4), 0xfffffecc);
    }
    cr_expect_eq(be(answer + 6, 2), 0, "the size was not taken");
    leave(&c);
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

OnVnc(refuses_addresses_that_it_cannot_listen_on, false)
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
