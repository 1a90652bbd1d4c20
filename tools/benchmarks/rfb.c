// SPDX-License-Identifier: BSD-2-Clause
#include "rfb.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "runs.h"

#define NO_SECURITY     1
#define SERVER_INIT     24 /* and the name */
#define ENCODING_RAW    0
#define ENCODING_RESIZE (-223) /* DesktopSize */

enum { FRAMEBUFFER_UPDATE, COLOUR_MAP, BELL, CUT_TEXT };

struct rfb {
    const char *path;
    int fd;
    pthread_t thread;
    unsigned width, height, pixel_bytes;
    uint64_t pixels, wanted_pixels;
    unsigned bottom; /* of what came last */
    atomic_bool has_picture;
    atomic_uint updates;
};

static unsigned be16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static unsigned be32(const uint8_t *at)
{
    return be16(at) << 16 | be16(at + 2);
}

/* ---- bytes; false: the server is gone ---- */

static bool take(struct rfb *c, void *to, size_t bytes)
{
    return recv(c->fd, to, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

static bool drop(struct rfb *c, size_t bytes)
{
    static uint8_t dropped[1 << 20];
    while (bytes > 0) {
        ssize_t n = recv(c->fd, dropped, bytes < sizeof(dropped) ? bytes : sizeof(dropped), 0);
        if (n <= 0)
            return false;
        bytes -= (size_t)n;
    }
    return true;
}

static bool put(struct rfb *c, const void *from, size_t bytes)
{
    return send(c->fd, from, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool ask(struct rfb *c, bool is_incremental)
{
    const uint8_t request[10] = {3,
                                 is_incremental,
                                 [6] = (uint8_t)(c->width >> 8),
                                 (uint8_t)c->width,
                                 (uint8_t)(c->height >> 8),
                                 (uint8_t)c->height};
    return put(c, request, sizeof(request));
}

/* ---- what the server says ---- */

static bool take_update(struct rfb *c)
{
    uint8_t head[3], rect[12];
    bool is_resized = false, is_new = false;
    if (!take(c, head, sizeof(head)))
        return false;
    for (unsigned left = be16(head + 1); left > 0; left--) {
        if (!take(c, rect, sizeof(rect)))
            return false;
        unsigned width = be16(rect + 4), height = be16(rect + 6);
        if ((int32_t)be32(rect + 8) == ENCODING_RESIZE) {
            c->width = width;
            c->height = height;
            is_resized = true;
        } else if (!drop(c, (size_t)width * height * c->pixel_bytes)) {
            return false;
        } else {
            unsigned y = be16(rect + 2);
            is_new |= y == 0 || y != c->bottom || width != c->width;
            c->bottom = y + height;
            c->pixels += (uint64_t)width * height;
        }
    }
    if (is_new) /* and not the next slice of a large picture */
        atomic_fetch_add(&c->updates, 1);
    if (c->pixels >= c->wanted_pixels)
        atomic_store(&c->has_picture, true);
    return ask(c, !is_resized);
}

static bool take_message(struct rfb *c)
{
    uint8_t type, head[7];
    if (!take(c, &type, 1))
        return false;
    switch (type) {
    case FRAMEBUFFER_UPDATE:
        return take_update(c);
    case COLOUR_MAP:
        return take(c, head, 5) && drop(c, be16(head + 3) * 6ul);
    case BELL:
        return true;
    case CUT_TEXT:
        return take(c, head, 7) && drop(c, be32(head + 3));
    default:
        return false;
    }
}

static void *read_all(void *arg)
{
    struct rfb *c = arg;
    while (take_message(c))
        ;
    return NULL;
}

/* ---- the beginning ---- */

static bool shake_hands(struct rfb *c)
{
    static const uint8_t encodings[] = {
        2, 0, 0, 2, 0, 0, 0, ENCODING_RAW, 0xff, 0xff, 0xff, (uint8_t)ENCODING_RESIZE};
    uint8_t version[12], count, init[SERVER_INIT], answer[4];
    if (!take(c, version, sizeof(version)) || !put(c, "RFB 003.008\n", 12) || !take(c, &count, 1) ||
        !drop(c, count) || !put(c, (uint8_t[]){NO_SECURITY}, 1) || !take(c, answer, 4) ||
        be32(answer) != 0 || !put(c, (uint8_t[]){1}, 1) || !take(c, init, sizeof(init)) ||
        !drop(c, be32(init + 20)))
        return false;
    c->width = be16(init);
    c->height = be16(init + 2);
    c->pixel_bytes = init[4] / 8u;
    return put(c, encodings, sizeof(encodings)) && ask(c, false);
}

struct rfb *rfb_open(const char *path, unsigned width, unsigned height)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = RUNS_DEADLINE_S};
    struct rfb *c = calloc(1, sizeof(*c));
    if (c == NULL)
        runs_die("memory for", path);
    *c = (struct rfb){.path = path, .wanted_pixels = (uint64_t)width * height};
    strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
        connect(c->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        runs_die("connect to", path);
    errno = 0;
    if (!shake_hands(c))
        runs_die("no VNC server answers at", path);
    errno = pthread_create(&c->thread, NULL, read_all, c);
    if (errno != 0)
        runs_die("a thread for", path);
    double until = runs_now_ms() + RUNS_DEADLINE_S * 1e3;
    while (!atomic_load(&c->has_picture)) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        errno = ETIME;
        if (runs_now_ms() > until)
            runs_die("no picture from", path);
    }
    return c;
}

double rfb_updates(struct rfb *c)
{
    return atomic_load(&c->updates);
}

void rfb_key(struct rfb *c, unsigned keysym, bool down)
{
    const uint8_t event[8] = {4,
                              down,
                              [4] = (uint8_t)(keysym >> 24),
                              (uint8_t)(keysym >> 16),
                              (uint8_t)(keysym >> 8),
                              (uint8_t)keysym};
    if (!put(c, event, sizeof(event)))
        runs_die("keys for", c->path);
}

void rfb_close(struct rfb *c)
{
    pthread_join(c->thread, NULL);
    close(c->fd);
    free(c);
}
