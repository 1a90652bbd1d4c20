// SPDX-License-Identifier: BSD-2-Clause
#ifdef HAVE_LIBVNCSERVER

#include "tests/harness/vnc.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/base/be.h"

#define PATIENCE_MS 2

static struct evloop *scene_loop; /* of the one scene */

void vnc_show(struct vnc_scene *s, uint32_t width, uint32_t height)
{
    struct display_surface surface = {(uint8_t *)s->pixels, width, height, (size_t)width * 4,
                                      DISPLAY_BGRX};
    for (uint32_t i = 0; i < width * height; i++)
        s->pixels[i] = i * 0x010305u & 0xffffff;
    s->viewer->backend->ops->set_surface(s->viewer->backend, 0, &surface);
    evloop_drain(s->loop);
}

static uint64_t scene_now(void *ctx)
{
    const struct vnc_scene *s = ctx;
    uint64_t frozen_ns = s->frozen_ns;
    return s->ahead_ns + (frozen_ns != 0 ? frozen_ns : clock_now_ns(&clock_host));
}

void vnc_freeze(struct vnc_scene *s)
{
    s->frozen_ns = clock_now_ns(&clock_host);
}

/* Whose port is taken tries the next. */
static int create(struct vnc_scene *s, const struct viewer_config *config)
{
    char address[16];
    int err = -EADDRINUSE;
    for (unsigned display = 200; err == -EADDRINUSE && display < 300; display++) {
        (void)snprintf(address, sizeof(address), ":%u", display);
        s->port = (uint16_t)(5900 + display);
        err = viewer_vnc_create(&s->viewer, config, address, s->password);
    }
    return err;
}

static void open_scene(struct vnc_scene *s, bool has_password, bool is_tcp)
{
    struct viewer_config config = {
        .is_absolute = true, .name = "guest", .input = &s->input.sink, .clock = &s->clock};
    char address[80];
    *s = (struct vnc_scene){.clock = {.now_ns = scene_now, .ctx = s},
                            .pixels = calloc(VNC_PIXELS, sizeof(uint32_t))};
    fake_sink_init(&s->input);
    cr_assert_not_null(s->pixels);
    (void)snprintf(s->path, sizeof(s->path), "/tmp/minivet-vnc-%d", (int)getpid());
    (void)snprintf(s->password, sizeof(s->password), "%s.password", s->path);
    (void)snprintf(address, sizeof(address), "unix:%s", s->path);
    FILE *f = fopen(s->password, "we");
    cr_assert(f != NULL && fputs("secret\n", f) > 0 && fclose(f) == 0);
    cr_assert_eq(evloop_create(&s->loop, "test", &clock_host), 0);
    config.loop = scene_loop = s->loop;
    (void)unlink(s->path);
    int err =
        is_tcp ? create(s, &config)
               : viewer_vnc_create(&s->viewer, &config, address, has_password ? s->password : NULL);
    cr_assert_eq(err, 0);
    vnc_show(s, VNC_WIDTH, VNC_HEIGHT);
}

void vnc_scene_open(struct vnc_scene *s, bool has_password)
{
    open_scene(s, has_password, false);
}

void vnc_scene_open_tcp(struct vnc_scene *s)
{
    open_scene(s, true, true);
}

void vnc_scene_close(struct vnc_scene *s)
{
    s->viewer->ops->stop(s->viewer);
    evloop_drain(s->loop);
    s->viewer->ops->destroy(s->viewer);
    cr_assert_eq(access(s->path, F_OK), -1);
    (void)unlink(s->password);
    evloop_destroy(s->loop);
    free(s->pixels);
}

/* ---- the client ---- */

/* The loop hears meanwhile that the viewer has done with a frame. */
bool vnc_get(int fd, void *to, size_t len)
{
    for (size_t have = 0; have < len;) {
        struct pollfd p = {fd, POLLIN, 0};
        for (int left = VNC_WAIT_MS; poll(&p, 1, PATIENCE_MS) == 0; left -= PATIENCE_MS) {
            cr_assert_gt(left, 0, "the server says nothing");
            if (scene_loop != NULL)
                evloop_drain(scene_loop);
        }
        ssize_t n = read(fd, (char *)to + have, len - have);
        if (n <= 0)
            return false;
        have += (size_t)n;
    }
    return true;
}

void vnc_put(int fd, const void *from, size_t len)
{
    cr_assert_eq(send(fd, from, len, MSG_NOSIGNAL), (ssize_t)len);
}

uint32_t vnc_be(const uint8_t *at, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

void vnc_reach(const struct vnc_scene *s, int fd)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, s->path, strlen(s->path) + 1);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

int vnc_connect(const struct vnc_scene *s)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    vnc_reach(s, fd);
    return fd;
}

int vnc_connect_from(const struct vnc_scene *s, uint8_t n)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + n)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(s->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

void vnc_greet(int fd, uint8_t security)
{
    uint8_t text[12], types[2];
    cr_assert(vnc_get(fd, text, sizeof(text)));
    cr_assert_eq(memcmp(text, "RFB 003.008\n", 12), 0);
    vnc_put(fd, text, sizeof(text));
    cr_assert(vnc_get(fd, types, sizeof(types)));
    cr_assert_eq(types[0], 1);
    cr_assert_eq(types[1], security);
    vnc_put(fd, &security, 1);
}

int vnc_dial(const struct vnc_scene *s, uint8_t security)
{
    int fd = vnc_connect(s);
    vnc_greet(fd, security);
    return fd;
}

uint32_t vnc_log_in(int fd, const char *password)
{
    void *library = dlopen("libvncserver.so.1", RTLD_NOW);
    void (*encrypt)(unsigned char *bytes, char *password) = NULL;
    uint8_t challenge[16], result[4];
    cr_assert(library != NULL);
    *(void **)&encrypt = dlsym(library, "rfbEncryptBytes");
    cr_assert(encrypt != NULL);
    cr_assert(vnc_get(fd, challenge, sizeof(challenge)));
    encrypt(challenge, (char *)password);
    vnc_put(fd, challenge, sizeof(challenge));
    cr_assert(vnc_get(fd, result, sizeof(result)));
    dlclose(library);
    return vnc_be(result, 4);
}

void vnc_expect_closed(int fd)
{
    char bytes[4096];
    while (vnc_get(fd, bytes, 1))
        ;
}

void vnc_leave(struct vnc_caller *c)
{
    close(c->fd);
    free(c->picture);
}

struct vnc_caller vnc_join(const struct vnc_scene *s)
{
    static const uint8_t format[20] = {[4] = 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0};
    static const int32_t encodings[] = {RFB_RAW, RFB_NEW_FB_SIZE};
    int fd = vnc_dial(s, 1);
    uint8_t result[4], init[24], name[5];
    cr_assert(vnc_get(fd, result, 4));
    cr_assert_eq(vnc_be(result, 4), 0);
    vnc_put(fd, "\1", 1);
    cr_assert(vnc_get(fd, init, sizeof(init)));
    cr_assert_eq(vnc_be(init + 20, 4), 5);
    cr_assert(vnc_get(fd, name, 5));
    cr_assert_eq(memcmp(name, "guest", 5), 0);
    vnc_put(fd, format, sizeof(format));
    vnc_set_encodings(fd, encodings, ARRAY_SIZE(encodings));
    return (struct vnc_caller){fd, vnc_be(init, 2), vnc_be(init + 2, 2),
                               calloc(VNC_PIXELS, sizeof(uint32_t))};
}

void vnc_set_encodings(int fd, const int32_t *encodings, unsigned count)
{
    uint8_t message[4 + 4 * 16] = {2, 0, 0, (uint8_t)count};
    cr_assert_leq(count, 16u);
    for (unsigned i = 0; i < count; i++)
        be32_put(message + 4 + 4 * (size_t)i, (uint32_t)encodings[i]);
    vnc_put(fd, message, 4 + 4 * (size_t)count);
}

void vnc_ask(int fd, bool changes_only, uint32_t width, uint32_t height)
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
    vnc_put(fd, message, sizeof(message));
}

uint32_t vnc_update(struct vnc_caller *c)
{
    uint8_t head[4], rect[12];
    uint32_t sum = 0;
    cr_assert(vnc_get(c->fd, head, 4));
    cr_assert_eq(head[0], 0, "message %u", head[0]);
    for (uint32_t left = vnc_be(head + 2, 2); left > 0; left--) {
        cr_assert(vnc_get(c->fd, rect, 12));
        uint32_t x = vnc_be(rect, 2), y = vnc_be(rect + 2, 2), w = vnc_be(rect + 4, 2),
                 h = vnc_be(rect + 6, 2);
        int32_t encoding = (int32_t)vnc_be(rect + 8, 4);
        if (encoding == RFB_NEW_FB_SIZE || encoding == RFB_EXTENDED_DESKTOP_SIZE) {
            uint8_t screens[4 + 16];
            c->width = w, c->height = h;
            cr_assert(encoding == RFB_NEW_FB_SIZE || vnc_get(c->fd, screens, sizeof(screens)));
            continue;
        }
        cr_assert_eq(encoding, RFB_RAW);
        cr_assert(x + w <= c->width && y + h <= c->height);
        for (uint32_t row = y; row < y + h; row++)
            cr_assert(vnc_get(c->fd, c->picture + (size_t)row * c->width + x, (size_t)w * 4));
        sum += w * h;
    }
    return sum;
}

void vnc_expect_picture(struct vnc_scene *s, struct vnc_caller *c, uint32_t width, uint32_t height)
{
    size_t bytes = (size_t)width * height * 4;
    vnc_ask(c->fd, false, 4096, 4096);
    (void)vnc_update(c);
    while (c->width != width || c->height != height || memcmp(c->picture, s->pixels, bytes) != 0) {
        vnc_ask(c->fd, true, 4096, 4096);
        (void)vnc_update(c);
    }
}

#else

typedef int vnc_is_not_built; /* a file has to declare something */

#endif
