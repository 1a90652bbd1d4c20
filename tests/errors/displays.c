// SPDX-License-Identifier: BSD-2-Clause
/* What shows pictures, on a host that refuses. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/loop/evloop.h"
#include "core/ports/display.h"
#include "devices/display/screen.h"
#include "devices/display/tap.h"
#include "devices/display/viewer.h"
#include "tests/errors/refuse.h"

static struct evloop *loop;
static uint8_t pixels[16 * 16 * 4];

static void show(struct display_backend *b)
{
    b->ops->set_surface(b, 0, &(struct display_surface){pixels, 16, 16, 64, DISPLAY_BGRX});
    evloop_drain(loop);
}

/* ---- screens and taps ---- */

static void no_wake(void *ctx)
{
    (void)ctx;
}

static int screen_and_tap(void)
{
    struct screen *screen = NULL;
    struct display_tap *tap = NULL;
    struct display_picture picture = {0};
    struct screen_frame frame;
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    refuse_begin();
    int err = screen_create(&screen, &(struct screen_config){.loop = loop, .wake = no_wake});
    if (err == 0)
        err = display_tap_create(&tap, screen_backend(screen));
    if (err == 0) {
        show(display_tap_backend(tap));
        (void)display_tap_copy(tap, 0, &picture);
        if (screen_take(screen, 0, &frame))
            screen_done(screen, 0);
        free(picture.pixels);
    }
    display_tap_destroy(tap);
    screen_destroy(screen);
    refuse_end();
    evloop_destroy(loop);
    return err;
}

/* ---- viewers ---- */

static char dir[] = "/tmp/minivet-errors-XXXXXX", path[64];

/* Its last frame is written when it stops. */
static int png_viewer(void)
{
    struct viewer_config config = {.name = "guest"};
    struct viewer *viewer = NULL;
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    config.loop = loop;
    refuse_begin();
    int err = viewer_png_create(&viewer, &config, dir);
    if (err == 0) {
        show(viewer->backend);
        viewer->ops->stop(viewer);
        viewer->ops->destroy(viewer);
    }
    refuse_end();
    evloop_destroy(loop);
    return err;
}

#ifdef HAVE_LIBVNCSERVER

/* Another program: it says all at once, and looks whether the server says something to the end. */
static void *client(void *arg)
{
    static const char all[] = "RFB 003.008\n\1\1\3\0\0\0\0\0\0\20\0\20";
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char bytes[4096];
    size_t got = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)arg;
    strcpy(to.sun_path, path);
    ssize_t n = connect(fd, (struct sockaddr *)&to, sizeof(to));
    if (n == 0)
        n = send(fd, all, sizeof(all) - 1, MSG_NOSIGNAL);
    while (n > 0 && got < 1000 && poll(&(struct pollfd){fd, POLLIN, 0}, 1, 1000) == 1) {
        n = recv(fd, bytes, sizeof(bytes), 0);
        got += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    return NULL;
}

static int vnc_viewer(void)
{
    struct viewer_config config = {.name = "guest"};
    struct viewer *viewer = NULL;
    pthread_t thread;
    char address[80];
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    config.loop = loop;
    (void)snprintf(address, sizeof(address), "unix:%s", path);
    refuse_begin();
    int err = viewer_vnc_create(&viewer, &config, address, NULL);
    if (err == 0) {
        show(viewer->backend);
        refuse_end();
        cr_assert_eq(pthread_create(&thread, NULL, client, NULL), 0);
        refuse_spare(thread);
        refuse_begin();
        pthread_join(thread, NULL);
        viewer->ops->stop(viewer);
        viewer->ops->destroy(viewer);
    }
    refuse_end();
    (void)unlink(path);
    evloop_destroy(loop);
    return err;
}

#endif

Test(errors, displays)
{
    refuse_each(screen_and_tap);
}

Test(errors, viewers)
{
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    refuse_each(png_viewer);
#ifdef HAVE_LIBVNCSERVER
    refuse_each(vnc_viewer);
#endif
    (void)snprintf(path, sizeof(path), "rm -r %s", dir);
    cr_expect_eq(system(path), 0);
}
