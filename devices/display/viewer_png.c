// SPDX-License-Identifier: BSD-2-Clause
/* A viewer that writes what is shown into files, one for each frame. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/workpool.h"
#include "core/output/own_file.h"
#include "devices/display/png.h"
#include "devices/display/screen.h"
#include "devices/display/viewer.h"

#define PAUSE_MS 100

struct viewer_png {
    struct viewer v;
    struct screen *screen;
    int dir_fd, wake_fd, stop_fd;
    pthread_t thread;
    bool failed; /* and that was said */
    unsigned frames[DISPLAY_SCANOUTS_MAX];
};

static struct viewer_png *png_of(struct viewer *v)
{
    return container_of(v, struct viewer_png, v);
}

static void wake(void *ctx)
{
    const struct viewer_png *p = ctx;
    (void)eventfd_write(p->wake_fd, 1);
}

static void write_frame(struct viewer_png *p, unsigned scanout, const struct screen_frame *frame)
{
    char name[40];
    snprintf(name, sizeof(name), "%u-%06u.png", scanout, p->frames[scanout]++);
    int fd = own_file_open(p->dir_fd, name, O_WRONLY | O_TRUNC | O_NOFOLLOW, 0666);
    int err = fd < 0 ? fd : png_write(fd, frame->pixels, frame->width, frame->height);
    if (fd >= 0 && close(fd) < 0 && err == 0)
        err = -errno;
    if (err < 0 && !p->failed)
        log_warn("display: %s: %s", name, strerror(-err));
    p->failed |= err < 0;
}

/* A frame of the cursor alone is none: it is not in the picture. */
static void take_frames(struct viewer_png *p)
{
    struct screen_frame frame;
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++) {
        if (!screen_take(p->screen, i, &frame))
            continue;
        if (frame.width > 0 && frame.rect_count > 0)
            write_frame(p, i, &frame);
        screen_done(p->screen, i);
    }
}

/* What comes during the pause is merged. The last frame is written, too. */
static void *view(void *arg)
{
    struct viewer_png *p = arg;
    struct pollfd fds[] = {{.fd = p->stop_fd, .events = POLLIN},
                           {.fd = p->wake_fd, .events = POLLIN}};
    eventfd_t count;
    thread_role_enter(THREAD_WORK);
    do {
        poll(fds, 2, -1);
        (void)eventfd_read(p->wake_fd, &count);
        take_frames(p);
    } while (poll(fds, 1, PAUSE_MS) == 0);
    take_frames(p);
    return NULL;
}

static void stop(struct viewer *v)
{
    struct viewer_png *p = png_of(v);
    (void)eventfd_write(p->stop_fd, 1);
    pthread_join(p->thread, NULL);
}

static void destroy(struct viewer *v)
{
    struct viewer_png *p = png_of(v);
    screen_destroy(p->screen);
    const int fds[] = {p->wake_fd, p->stop_fd, p->dir_fd};
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(p);
}

static const struct viewer_ops ops = {.stop = stop, .destroy = destroy};

static int open_dir(const char *dir)
{
    if (mkdir(dir, 0777) < 0 && errno != EEXIST)
        return fail(-errno, "display png=%s: make the folder", dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : fail(-errno, "display png=%s: open", dir);
}

int viewer_png_create(struct viewer **out, const struct viewer_config *config, const char *dir)
{
    struct viewer_png *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return fail(-ENOMEM, "display");
    p->v.ops = &ops;
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = p->wake_fd < 0 || p->stop_fd < 0 ? fail(-errno, "display: eventfd") : 0;
    p->dir_fd = r == 0 ? open_dir(dir) : -1;
    if (r == 0 && p->dir_fd < 0)
        r = p->dir_fd;
    if (r == 0)
        r = screen_create(&p->screen, &(struct screen_config){config->loop, wake, p});
    if (r == 0) {
        p->v.backend = screen_backend(p->screen);
        r = thread_start(&p->thread, "display", view, p);
        if (r < 0)
            fail(r, "display: thread");
    }
    if (r < 0) {
        destroy(&p->v);
        return r;
    }
    *out = &p->v;
    return 0;
}
