// SPDX-License-Identifier: BSD-2-Clause
/*
 * A VNC server, by libvncserver, which is loaded when it is asked for. One thread runs it: that
 * waits for the wake() of the screen, for new clients and for what clients send, in one poll(2).
 * The sockets are made here, so that the library never listens.
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

#include <fcntl.h>
#include <linux/input-event-codes.h>
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

#include "core/loop/workpool.h"
#include "core/peers/peer.h"
#include "core/ports/input.h"
#include "devices/display/screen.h"
#include "devices/display/vnc_calls.h"
#include "devices/display/vnc_keys.h"
#include "devices/display/vnc_listen.h"

#define CLIENTS_MAX    8
#define CLIENT_WAIT_MS 1000 /* for the rest of a message that has begun */
#define RECTS_MAX      64
#define PASSWORD_MAX   256

/*
 * What a client reads as success (16 bits are sent). At rfbExtDesktopSize_Success itself, the
 * library loses 24 bytes a request (an iterator, in rfbProcessClientNormalMessage() of 0.9.14).
 */
#define SIZE_TAKEN     0x10000

/* The library sends whole rows from a buffer of UPDATE_BUF_SIZE bytes. */
#define WIDTH_MAX      8000u

struct client {
    rfbClientPtr rfb; /* NULL: free */
    int fd;           /* the socket once more: stop() shuts it down, whatever the library does */
    int buttons;
};

struct vnc {
    struct viewer base;
    struct input_sink *input;
    struct screen *screen;
    struct vnc_calls calls;
    rfbScreenInfoPtr rfb;
    uint32_t *pixels; /* BGRX */
    char password[PASSWORD_MAX];
    char *passwords[2];
    char *name;
    struct vnc_address address;
    int listen_fd, wake_fd;
    atomic_bool is_stopping;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* of what clients[].fd are */
    struct client clients[CLIENTS_MAX];
};

static void wake(void *ctx)
{
    struct vnc *v = ctx;
    (void)eventfd_write(v->wake_fd, 1);
}

/* ---- input ---- */

static void on_key(rfbBool down, rfbKeySym keysym, rfbClientPtr cl)
{
    struct vnc *v = cl->screen->screenData;
    unsigned key = vnc_key(keysym);
    if (v->input != NULL && key != 0)
        v->input->ops->key(v->input, key, down);
}

static unsigned axis(int at, int size)
{
    if (at < 0 || size < 2)
        return 0;
    uint64_t place = (uint64_t)at * INPUT_AXIS_MAX / (unsigned)(size - 1);
    return place > INPUT_AXIS_MAX ? INPUT_AXIS_MAX : (unsigned)place;
}

static void on_pointer(int mask, int x, int y, rfbClientPtr cl)
{
    static const unsigned buttons[] = {BTN_LEFT, BTN_MIDDLE, BTN_RIGHT};
    static const struct {
        int dx, dy;
    } wheels[] = {{0, 1}, {0, -1}, {-1, 0}, {1, 0}};
    struct vnc *v = cl->screen->screenData;
    struct client *c = cl->clientData;
    struct input_sink *input = v->input;
    int changed = mask ^ c->buttons;
    c->buttons = mask;
    if (input == NULL)
        return;
    input->ops->move_to(input, 0, axis(x, v->rfb->width), axis(y, v->rfb->height));
    for (unsigned i = 0; i < 3; i++)
        if (changed & 1 << i)
            input->ops->key(input, buttons[i], mask & 1 << i);
    for (unsigned i = 0; i < 4; i++)
        if (changed & mask & 8 << i)
            input->ops->wheel(input, wheels[i].dx, wheels[i].dy);
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

/* ---- clients ---- */

static void on_client_gone(rfbClientPtr cl)
{
    struct vnc *v = cl->screen->screenData;
    struct client *c = cl->clientData;
    pthread_mutex_lock(&v->lock);
    close(c->fd);
    c->rfb = NULL;
    pthread_mutex_unlock(&v->lock);
    if (v->input != NULL)
        v->input->ops->release(v->input);
}

static struct client *free_client(struct vnc *v)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (v->clients[i].rfb == NULL)
            return &v->clients[i];
    return NULL;
}

/* Web pages of any origin could connect by WebSockets, so these are refused. */
static enum rfbNewClientAction on_new_client(rfbClientPtr cl)
{
    struct vnc *v = cl->screen->screenData;
    struct client *c = free_client(v);
    int fd = -1;
    if (cl->wsctx != NULL || cl->sslctx != NULL || c == NULL)
        return RFB_CLIENT_REFUSE;
    fd = fcntl(cl->sock, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return RFB_CLIENT_REFUSE;
    pthread_mutex_lock(&v->lock);
    *c = (struct client){.rfb = cl, .fd = fd};
    pthread_mutex_unlock(&v->lock);
    cl->clientData = c;
    cl->clientGoneHook = on_client_gone;
    return RFB_CLIENT_ACCEPT;
}

static void accept_client(struct vnc *v)
{
    int fd = accept4(v->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    /* The library keeps its sockets in an fd_set. */
    if (fd >= FD_SETSIZE || free_client(v) == NULL ||
        (v->address.is_unix && peer_check(fd, NULL) < 0)) {
        close(fd);
        return;
    }
    v->calls.rfbNewClient(v->rfb, fd);
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
    set_format(v);
    free(v->pixels);
    v->pixels = pixels;
    return true;
}

static void copy_rect(struct vnc *v, const struct screen_frame *frame,
                      const struct display_rect *rect)
{
    uint32_t width = (uint32_t)v->rfb->width;
    uint32_t end = rect->x + rect->width < width ? rect->x + rect->width : width;
    if (rect->x >= end)
        return;
    for (uint32_t y = rect->y; y < rect->y + rect->height; y++)
        memcpy(v->pixels + (size_t)y * width + rect->x,
               frame->pixels + ((size_t)y * frame->width + rect->x) * 4, (end - rect->x) * 4u);
    v->calls.rfbMarkRectAsModified(v->rfb, (int)rect->x, (int)rect->y, (int)end,
                                   (int)(rect->y + rect->height));
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

static void show_cursor(struct vnc *v, const struct screen_frame *frame)
{
    if (frame->cursor_is_new)
        v->calls.rfbSetCursor(v->rfb, frame->cursor != NULL ? make_cursor(frame->cursor) : NULL);
    v->rfb->cursorX = (int)frame->cursor_x;
    v->rfb->cursorY = (int)frame->cursor_y;
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

static void wait_for_work(struct vnc *v)
{
    struct pollfd fds[2 + CLIENTS_MAX] = {
        {.fd = v->wake_fd, .events = POLLIN},
        {.fd = v->listen_fd, .events = POLLIN},
    };
    eventfd_t count;
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        fds[2 + i] = (struct pollfd){
            .fd = v->clients[i].rfb != NULL ? v->clients[i].rfb->sock : -1,
            .events = POLLIN,
        };
    (void)poll(fds, 2 + CLIENTS_MAX, 1000);
    if (fds[0].revents != 0)
        (void)eventfd_read(v->wake_fd, &count);
    if (fds[1].revents != 0)
        accept_client(v);
}

static void *run(void *arg)
{
    struct vnc *v = arg;
    struct screen_frame frame;
    while (!atomic_load(&v->is_stopping)) {
        wait_for_work(v);
        if (screen_take(v->screen, 0, &frame)) {
            show_frame(v, &frame);
            screen_done(v->screen, 0);
        }
        v->calls.rfbProcessEvents(v->rfb, 0);
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
    /* The thread may be in the middle of a client that neither reads nor writes. */
    pthread_mutex_lock(&v->lock);
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (v->clients[i].rfb != NULL)
            (void)shutdown(v->clients[i].fd, SHUT_RDWR);
    pthread_mutex_unlock(&v->lock);
    pthread_join(v->thread, NULL);
    v->has_thread = false;
    v->input = NULL; /* clients that go from now on are not heard */
}

static void vnc_destroy(struct viewer *viewer)
{
    struct vnc *v = (struct vnc *)viewer;
    if (v->rfb != NULL) {
        v->calls.rfbShutdownServer(v->rfb, TRUE);
        v->calls.rfbScreenCleanup(v->rfb);
    }
    screen_destroy(v->screen);
    vnc_unlisten(&v->address, v->listen_fd);
    if (v->wake_fd >= 0)
        close(v->wake_fd);
    explicit_bzero(v->password, sizeof(v->password));
    pthread_mutex_destroy(&v->lock);
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
    if (rfb == NULL || v->pixels == NULL)
        return fail(-ENOMEM, "display vnc");
    rfb->frameBuffer = (char *)v->pixels;
    set_format(v);
    rfb->screenData = v;
    rfb->desktopName = v->name;
    rfb->port = rfb->ipv6port = rfb->httpPort = rfb->http6Port = rfb->udpPort = 0;
    rfb->autoPort = FALSE;
    rfb->httpDir = NULL;
    rfb->permitFileTransfer = FALSE;
    rfb->ignoreSIGPIPE = FALSE; /* the thread blocks it */
    rfb->alwaysShared = TRUE;
    rfb->maxClientWait = CLIENT_WAIT_MS;
    rfb->maxRectsPerUpdate = RECTS_MAX;
    rfb->deferUpdateTime = 0;
    rfb->deferPtrUpdateTime = 0;
    rfb->kbdAddEvent = on_key;
    rfb->ptrAddEvent = on_pointer;
    rfb->newClientHook = on_new_client;
    rfb->setDesktopSizeHook = on_desktop_size;
    if (has_password) {
        rfb->authPasswdData = v->passwords;
        rfb->passwordCheck = v->calls.rfbCheckPasswordByList;
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
        err = vnc_listen(&v->address, address, &v->listen_fd);
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
    v->input = config->input;
    v->listen_fd = v->wake_fd = -1;
    v->name = strdup(config->name != NULL ? config->name : "minivet");
    (void)pthread_mutex_init(&v->lock, NULL);
    err = set_up(v, config, address, password_file);
    if (err < 0) {
        vnc_destroy(&v->base);
        return err;
    }
    *out = &v->base;
    return 0;
}

#endif
