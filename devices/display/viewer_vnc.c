// SPDX-License-Identifier: BSD-2-Clause
/*
 * A VNC server, by libvncserver, which is loaded when it is asked for. One thread runs it: that
 * waits for the wake() of the screen, for new clients and for what clients send, in one poll(2),
 * and nowhere else. The sockets are Minivet's: the library neither listens nor waits for a client
 * (devices/display/vnc_client.h).
 */
#include "devices/display/viewer.h"

#include <errno.h>

#include "core/base/fail.h"

#ifndef HAVE_LIBVNCSERVER

int viewer_vnc_create(struct viewer **out, const struct viewer_config *config, const char *address,
                      const char *password_file)
{
    (void)out, (void)config, (void)password_file;
    return fail_msg(
        -ENOSYS, "display vnc=%s: this Minivet was built without VNC (libvncserver-dev)", address);
}

#else

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <rfb/rfb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/loop/workpool.h"
#include "core/peers/foreign_fd.h"
#include "core/peers/peer.h"
#include "devices/display/screen.h"
#include "devices/display/vnc_calls.h"
#include "devices/display/vnc_client.h"
#include "devices/display/vnc_input.h"
#include "devices/display/vnc_listen.h"
#include "devices/display/vnc_tries.h"

#define CLIENTS_MAX  8
#define LOOK_MS      1000 /* how often the time is looked at, if anything waits for it */
#define AGAIN_NS     UINT64_C(500000000)
#define RECTS_MAX    64
#define PASSWORD_MAX 256
#define NS_PER_MS    UINT64_C(1000000)
#define FRAME_NS     (16 * NS_PER_MS) /* from one frame to the next, at least */

/*
 * What a client reads as success (16 bits are sent). At rfbExtDesktopSize_Success itself, the
 * library loses 24 bytes a request (an iterator, in rfbProcessClientNormalMessage() of 0.9.14).
 */
#define SIZE_TAKEN   0x10000

/* The library sends whole rows from a buffer of UPDATE_BUF_SIZE bytes. */
#define WIDTH_MAX    8000u

struct vnc {
    struct viewer base;
    const struct clock *clock;
    struct vnc_input input;
    struct screen *screen;
    struct vnc_calls calls;
    rfbScreenInfoPtr rfb;
    uint32_t *pixels;  /* BGRX */
    uint64_t taken_ns; /* when the screen's frame was that is not given back; 0: there is none */
    char password[PASSWORD_MAX];
    char *passwords[2];
    char *name;
    struct unix_listener listener;
    uint64_t deaf_until_ns; /* no descriptor was free for a new client */
    int wake_fd;
    atomic_bool is_stopping;
    pthread_t thread;
    bool has_thread;
    struct vnc_client clients[CLIENTS_MAX];
    struct vnc_held held[CLIENTS_MAX];
    struct vnc_address from[CLIENTS_MAX];
    struct vnc_tries tries;
    struct log_guest_count barred;
};

static void wake(void *ctx)
{
    struct vnc *v = ctx;
    (void)eventfd_write(v->wake_fd, 1);
}

/* ---- what the library calls ---- */

static void on_key(rfbBool down, rfbKeySym keysym, rfbClientPtr cl)
{
    struct vnc *v = cl->screen->screenData;
    vnc_input_key(&v->input, cl->clientData, keysym, down);
}

static void on_pointer(int buttons, int x, int y, rfbClientPtr cl)
{
    struct vnc *v = cl->screen->screenData;
    cl->screen->pointerClient = NULL; /* would have the pointer until its buttons are up */
    vnc_input_pointer(&v->input, cl->clientData, buttons, x, y, v->rfb->width, v->rfb->height);
}

static int on_desktop_size(int width, int height, int count, struct rfbExtDesktopScreen *screens,
                           rfbClientPtr cl)
{
    struct vnc *v = cl->screen->screenData;
    (void)count, (void)screens;
    if (width < 1 || height < 1)
        return rfbExtDesktopSize_InvalidScreenLayout;
    screen_resize(v->screen, 0, (uint32_t)width, (uint32_t)height);
    return SIZE_TAKEN;
}

static void on_client_gone(rfbClientPtr cl)
{
    struct vnc *v = cl->screen->screenData;
    vnc_input_leave(&v->input, cl->clientData);
}

/* ---- clients ---- */

static bool is_unix(const struct vnc *v)
{
    return v->listener.addr.sun_family == AF_UNIX;
}

static void log_barred(struct vnc *v, const struct vnc_address *from)
{
    char text[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET6, from->bytes, text, sizeof(text));
    log_guest(&v->barred, "display vnc: %u wrong passwords from %s: it has to wait", VNC_TRIES_FREE,
              text);
}

/* A Unix socket is the user's alone, who can read the file of the password. */
static rfbBool on_password(rfbClientPtr cl, const char *response, int len)
{
    struct vnc *v = cl->screen->screenData;
    const struct vnc_address *from = &v->from[(struct vnc_held *)cl->clientData - v->held];
    uint64_t now_ns = clock_now_ns(v->clock);
    if (!is_unix(v) && !vnc_tries_may(&v->tries, from, now_ns))
        return FALSE;
    rfbBool is_right = v->calls.rfbCheckPasswordByList(cl, response, len);
    if (is_right)
        vnc_tries_right(&v->tries, from);
    else if (!is_unix(v) && vnc_tries_wrong(&v->tries, from, now_ns))
        log_barred(v, from);
    return is_right;
}

/* Of those that have not shown the password yet. */
static unsigned new_ones_from(const struct vnc *v, const struct vnc_address *from)
{
    unsigned count = 0;
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        count += vnc_client_is_new(&v->clients[i]) && memcmp(&v->from[i], from, sizeof(*from)) == 0;
    return count;
}

/*
 * For one more client. If all places are taken, the oldest of those loses its own that have not
 * shown the password yet, of the address that has most of them. CLIENTS_MAX: there are none.
 */
static unsigned make_place(struct vnc *v)
{
    unsigned place = CLIENTS_MAX, most = 0;
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        const struct vnc_client *c = &v->clients[i];
        unsigned count = vnc_client_is_new(c) ? new_ones_from(v, &v->from[i]) : 0;
        if (c->fd < 0)
            return i;
        if (count > most ||
            (count > 0 && count == most && c->in_since_ns < v->clients[place].in_since_ns)) {
            place = i;
            most = count;
        }
    }
    if (place < CLIENTS_MAX)
        vnc_client_close(&v->clients[place], &v->calls);
    return place;
}

static void accept_client(struct vnc *v)
{
    struct sockaddr_storage name = {0};
    socklen_t bytes = sizeof(name);
    uint64_t now_ns = clock_now_ns(v->clock);
    int fd =
        accept4(v->listener.fd, (struct sockaddr *)&name, &bytes, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && errno != EAGAIN && errno != EINTR) /* it would be ready again at once */
        v->deaf_until_ns = now_ns + AGAIN_NS;
    if (fd < 0)
        return;
    struct vnc_address from = vnc_address_of(&name);
    bool may_come =
        is_unix(v) ? peer_check(fd, NULL) == 0 : vnc_tries_may(&v->tries, &from, now_ns);
    unsigned i = may_come ? make_place(v) : CLIENTS_MAX;
    if (i == CLIENTS_MAX) {
        is_unix(v) ? foreign_socket_close(fd) : (void)close(fd);
        return;
    }
    v->from[i] = from;
    if (!vnc_client_open(&v->clients[i], &v->calls, v->rfb, fd, is_unix(v), now_ns))
        return;
    v->clients[i].rfb->clientData = &v->held[i];
    v->clients[i].rfb->clientGoneHook = on_client_gone;
}

/* ---- pictures ---- */

/* BGRX; rfbNewFramebuffer() forgets it. */
static void set_format(struct vnc *v)
{
    v->rfb->serverFormat.redShift = 16;
    v->rfb->serverFormat.greenShift = 8;
    v->rfb->serverFormat.blueShift = 0;
    for (rfbClientPtr cl = v->rfb->clientHead; cl != NULL; cl = cl->next)
        if (cl->sock >= 0)
            v->rfb->setTranslateFunction(cl);
}

static bool set_size(struct vnc *v, uint32_t width, uint32_t height)
{
    uint32_t *pixels = calloc((size_t)width * height, 4);
    if (pixels == NULL)
        return false;
    v->calls.rfbNewFramebuffer(v->rfb, (char *)pixels, (int)width, (int)height, 8, 3, 4);
    v->rfb->progressiveSliceHeight = (int)(VNC_CLIENT_SLICE / 4 / width);
    set_format(v);
    free(v->pixels);
    v->pixels = pixels;
    return true;
}

/* True: the row was another one. */
static bool copy_row(struct vnc *v, const struct screen_frame *frame, uint32_t x, uint32_t end,
                     uint32_t y)
{
    uint32_t *to = v->pixels + (size_t)y * (uint32_t)v->rfb->width + x;
    const uint8_t *from = frame->pixels + ((size_t)y * frame->width + x) * 4;
    size_t bytes = (end - x) * 4u;
    if (memcmp(to, from, bytes) == 0)
        return false;
    memcpy(to, from, bytes);
    return true;
}

/* Rows that are what they were are not sent: a guest may flush all of a picture for one line. */
static void copy_rect(struct vnc *v, const struct screen_frame *frame,
                      const struct display_rect *rect)
{
    uint32_t width = (uint32_t)v->rfb->width, bottom = rect->y + rect->height, first = bottom;
    uint32_t end = rect->x + rect->width < width ? rect->x + rect->width : width;
    if (rect->x >= end)
        return;
    for (uint32_t y = rect->y; y <= bottom; y++) {
        if (y < bottom && copy_row(v, frame, rect->x, end, y)) {
            first = first < y ? first : y;
        } else if (first < y) {
            v->calls.rfbMarkRectAsModified(v->rfb, (int)rect->x, (int)first, (int)end, (int)y);
            first = bottom;
        }
    }
}

/* The library frees it and its parts. */
static rfbCursorPtr make_cursor(const struct display_cursor *from)
{
    const unsigned side = DISPLAY_CURSOR_SIDE;
    rfbCursorPtr c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->cleanup = c->cleanupSource = c->cleanupMask = c->cleanupRichSource = TRUE;
    c->width = c->height = (unsigned short)side;
    c->xhot = (unsigned short)from->hot_x;
    c->yhot = (unsigned short)from->hot_y;
    c->richSource = malloc(sizeof(from->pixels));
    c->alphaSource = malloc((size_t)side * side);
    c->mask = calloc(side, side / 8);
    if (c->richSource == NULL || c->alphaSource == NULL || c->mask == NULL) {
        free(c->richSource);
        free(c->alphaSource);
        free(c->mask);
        free(c);
        return NULL;
    }
    memcpy(c->richSource, from->pixels, sizeof(from->pixels));
    for (unsigned i = 0; i < side * side; i++) {
        c->alphaSource[i] = from->pixels[i * 4 + 3];
        if (c->alphaSource[i] >= 128)
            c->mask[i / 8] |= (unsigned char)(0x80 >> i % 8);
    }
    return c;
}

/* The library draws a cursor into the picture for clients that draw none, and adds to the guest's
 * numbers before it looks where the picture ends: they are brought near, and may be below 0. */
static int near(uint32_t place)
{
    const int least = -(int)DISPLAY_CURSOR_SIDE, most = (int)DISPLAY_SIDE_MAX;
    int32_t at = (int32_t)place;
    if (at < least)
        return least;
    return at < most ? at : most;
}

static void show_cursor(struct vnc *v, const struct screen_frame *frame)
{
    int x = near(frame->cursor_x), y = near(frame->cursor_y);
    bool has_moved = x != v->rfb->cursorX || y != v->rfb->cursorY;
    if (frame->cursor_is_new)
        v->calls.rfbSetCursor(v->rfb, frame->cursor != NULL ? make_cursor(frame->cursor) : NULL);
    v->rfb->cursorX = x;
    v->rfb->cursorY = y;
    /* A client knows where it has put the pointer, and may have gone on. */
    for (unsigned i = 0; has_moved && i < CLIENTS_MAX; i++)
        if (v->clients[i].rfb != NULL && (v->held[i].x != x || v->held[i].y != y))
            v->clients[i].rfb->cursorWasMoved = TRUE;
}

static void show_frame(struct vnc *v, const struct screen_frame *frame)
{
    uint32_t width = frame->width < WIDTH_MAX ? frame->width : WIDTH_MAX;
    bool has_room = true;
    if (width == 0) {
        memset(v->pixels, 0, (size_t)v->rfb->width * (size_t)v->rfb->height * 4);
        v->calls.rfbMarkRectAsModified(v->rfb, 0, 0, v->rfb->width, v->rfb->height);
    } else if (width != (uint32_t)v->rfb->width || frame->height != (uint32_t)v->rfb->height) {
        has_room = set_size(v, width, frame->height);
    }
    for (unsigned i = 0; width > 0 && has_room && i < frame->rect_count; i++)
        copy_rect(v, frame, &frame->rects[i]);
    show_cursor(v, frame);
}

/* ---- the thread ---- */

/* Until the screen's frame is to be given back. */
static uint64_t frame_left_ns(const struct vnc *v)
{
    uint64_t since_ns = clock_now_ns(v->clock) - v->taken_ns;
    return since_ns < FRAME_NS ? FRAME_NS - since_ns : 0;
}

static void wait_for_work(struct vnc *v)
{
    bool is_deaf = clock_now_ns(v->clock) < v->deaf_until_ns, is_timed = is_deaf;
    struct pollfd fds[2 + CLIENTS_MAX] = {
        {.fd = v->wake_fd, .events = POLLIN},
        {.fd = is_deaf ? -1 : v->listener.fd, .events = POLLIN},
    };
    int wait_ms = -1;
    eventfd_t count;
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        fds[2 + i] = (struct pollfd){v->clients[i].fd, vnc_client_events(&v->clients[i]), 0};
        is_timed |= vnc_client_is_timed(&v->clients[i]);
    }
    if (v->taken_ns != 0)
        wait_ms = (int)((frame_left_ns(v) + NS_PER_MS - 1) / NS_PER_MS);
    else if (is_timed)
        wait_ms = LOOK_MS;
    (void)poll(fds, 2 + CLIENTS_MAX, wait_ms);
    if (fds[0].revents != 0)
        (void)eventfd_read(v->wake_fd, &count);
    if (fds[1].revents != 0)
        accept_client(v);
}

/* Shows a frame at once, and keeps it for a while: so the next has all that came meanwhile. */
static void take_frame(struct vnc *v)
{
    struct screen_frame frame;
    if (v->taken_ns != 0 && frame_left_ns(v) == 0) {
        v->taken_ns = 0;
        screen_done(v->screen, 0);
    }
    if (v->taken_ns == 0 && screen_take(v->screen, 0, &frame)) {
        v->taken_ns = clock_now_ns(v->clock);
        show_frame(v, &frame);
    }
}

static void *run(void *arg)
{
    struct vnc *v = arg;
    thread_role_enter(THREAD_WORK);
    while (!atomic_load(&v->is_stopping)) {
        wait_for_work(v);
        take_frame(v);
        for (unsigned i = 0; i < CLIENTS_MAX; i++)
            if (v->clients[i].fd >= 0)
                vnc_client_turn(&v->clients[i], &v->calls, clock_now_ns(v->clock));
    }
    return NULL;
}

static void vnc_stop(struct viewer *viewer)
{
    struct vnc *v = (struct vnc *)viewer;
    if (!v->has_thread)
        return;
    atomic_store(&v->is_stopping, true);
    wake(v);
    pthread_join(v->thread, NULL);
    v->has_thread = false;
    v->input.sink = NULL; /* clients that go from now on are not heard */
}

static void vnc_destroy(struct viewer *viewer)
{
    struct vnc *v = (struct vnc *)viewer;
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (v->clients[i].fd >= 0)
            vnc_client_close(&v->clients[i], &v->calls);
    if (v->rfb != NULL) {
        v->calls.rfbShutdownServer(v->rfb, FALSE);
        v->calls.rfbScreenCleanup(v->rfb);
    }
    screen_destroy(v->screen);
    vnc_unlisten(&v->listener);
    if (v->wake_fd >= 0)
        close(v->wake_fd);
    explicit_bzero(v->password, sizeof(v->password));
    free(v->pixels);
    free(v->name);
    free(v);
}

static const struct viewer_ops vnc_ops = {.stop = vnc_stop, .destroy = vnc_destroy};

/* ---- set-up ---- */

static int read_password(struct vnc *v, const char *path)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return fail(-errno, "display vnc: password file %s: open", path);
    if (fgets(v->password, sizeof(v->password), f) == NULL)
        v->password[0] = 0;
    (void)fclose(f);
    v->password[strcspn(v->password, "\r\n")] = 0;
    if (v->password[0] == 0)
        return fail_msg(-EINVAL, "display vnc: password file %s: its first line is empty", path);
    v->passwords[0] = v->password;
    return 0;
}

static int make_server(struct vnc *v, bool has_password)
{
    rfbScreenInfoPtr rfb = NULL;
    v->calls.rfbLogEnable(0);
    rfb = v->calls.rfbGetScreen(NULL, NULL, 640, 480, 8, 3, 4);
    v->pixels = calloc((size_t)640 * 480, 4);
    v->rfb = rfb;
    if (rfb == NULL || v->pixels == NULL || v->name == NULL)
        return fail(-ENOMEM, "display vnc");
    rfb->frameBuffer = (char *)v->pixels;
    rfb->progressiveSliceHeight = 480;
    set_format(v);
    rfb->screenData = v;
    rfb->desktopName = v->name;
    rfb->port = rfb->ipv6port = rfb->httpPort = rfb->http6Port = rfb->udpPort = 0;
    rfb->autoPort = FALSE;
    rfb->httpDir = NULL;
    rfb->permitFileTransfer = FALSE;
    rfb->ignoreSIGPIPE = FALSE; /* the thread blocks it */
    rfb->alwaysShared = TRUE;
    rfb->maxRectsPerUpdate = RECTS_MAX;
    rfb->deferUpdateTime = 0;
    rfb->deferPtrUpdateTime = 0;
    rfb->kbdAddEvent = on_key;
    rfb->ptrAddEvent = on_pointer;
    rfb->setDesktopSizeHook = on_desktop_size;
    if (has_password) {
        rfb->authPasswdData = v->passwords;
        rfb->passwordCheck = on_password;
    }
    v->calls.rfbSetCursor(rfb, NULL);
    v->calls.rfbInitServerWithPthreadsAndZRLE(rfb);
    return 0;
}

static int set_up(struct vnc *v, const struct viewer_config *config, const char *address,
                  const char *password_file)
{
    int err = password_file != NULL ? read_password(v, password_file) : 0;
    if (err == 0)
        err = vnc_listen(&v->listener, address, config->cancel);
    if (err == 0)
        err = vnc_calls_load(&v->calls);
    if (err == 0)
        err = make_server(v, password_file != NULL);
    if (err == 0)
        err = screen_create(&v->screen, &(struct screen_config){config->loop, wake, v});
    if (err < 0)
        return err;
    v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (v->wake_fd < 0)
        return fail(-errno, "display vnc=%s: eventfd", address);
    v->base.backend = screen_backend(v->screen);
    err = thread_start(&v->thread, "vnc", run, v);
    if (err < 0)
        return fail(err, "display vnc=%s: thread", address);
    v->has_thread = true;
    return 0;
}

int viewer_vnc_create(struct viewer **out, const struct viewer_config *config, const char *address,
                      const char *password_file)
{
    struct vnc *v = calloc(1, sizeof(*v));
    int err = 0;
    if (v == NULL)
        return fail(-ENOMEM, "display vnc=%s", address);
    v->base.ops = &vnc_ops;
    v->clock = config->clock != NULL ? config->clock : &clock_host;
    v->input.sink = config->input;
    v->listener.fd = v->wake_fd = -1;
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        v->clients[i].fd = -1;
    v->name = strdup(config->name != NULL ? config->name : "minivet");
    err = set_up(v, config, address, password_file);
    if (err < 0) {
        vnc_destroy(&v->base);
        return err;
    }
    *out = &v->base;
    return 0;
}

#endif
