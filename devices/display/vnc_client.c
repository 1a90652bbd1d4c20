// SPDX-License-Identifier: BSD-2-Clause
#ifdef HAVE_LIBVNCSERVER

#include "devices/display/vnc_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/be.h"
#include "core/peers/foreign_fd.h"

#define VERSION_BYTES 12u
#define NOT_A_MESSAGE SIZE_MAX
#define REGION_RECTS  64u

/* ---- the library's side ---- */

static size_t unsent(const struct vnc_client *c)
{
    return c->out_bytes - c->out_sent;
}

/* Room behind what waits for the socket. */
static bool grow(struct vnc_client *c, size_t bytes)
{
    size_t old = unsent(c), room = 2 * (old + bytes);
    if (c->out_bytes + bytes <= c->out_room)
        return true;
    uint8_t *out = malloc(room);
    if (out == NULL)
        return false;
    if (old > 0)
        memcpy(out, c->out + c->out_sent, old);
    free(c->out);
    c->out = out;
    c->out_room = room;
    c->out_bytes = old;
    c->out_sent = 0;
    return true;
}

/* Appends what is at this place of the file. */
static bool append(struct vnc_client *c, size_t bytes, off_t at)
{
    if (!grow(c, bytes) || pread(c->file, c->out + c->out_bytes, bytes, at) != (ssize_t)bytes)
        return false;
    c->out_bytes += bytes;
    return true;
}

/* Takes what the library has written after the first `skip` bytes of the file. */
static size_t collect(struct vnc_client *c, size_t skip, uint64_t now_ns)
{
    off_t end = lseek(c->file, 0, SEEK_CUR);
    size_t bytes = end > (off_t)skip ? (size_t)end - skip : 0;
    if (bytes > 0 && unsent(c) == 0)
        c->out_since_ns = now_ns;
    if (bytes > 0 && !append(c, bytes, (off_t)skip))
        c->has_ended = true;
    if (ftruncate(c->file, 0) < 0 || lseek(c->file, 0, SEEK_SET) < 0)
        c->has_ended = true;
    return bytes;
}

/* What a client asks for a pixel at a time, and what it never asks for, would be long lists. */
static void bound(const struct vnc_calls *calls, sraRegionPtr *region)
{
    if (calls->sraRgnCountRects(*region) <= REGION_RECTS)
        return;
    sraRegionPtr box = calls->sraRgnBBox(*region);
    calls->sraRgnDestroy(*region);
    *region = box;
}

static void forget_closed(struct vnc_client *c, const struct vnc_calls *calls)
{
    if (c->rfb->sock >= 0)
        return;
    calls->rfbClientConnectionGone(c->rfb);
    c->rfb = NULL;
}

static bool is_of_use(uint32_t encoding)
{
    return encoding <= rfbEncodingZYWRLE || encoding >= rfbEncodingCompressLevel0 ||
           (encoding >= rfbEncodingFineQualityLevel0 &&
            encoding <= rfbEncodingFineQualityLevel100) ||
           (encoding >= rfbEncodingSubsamp1X && encoding <= rfbEncodingSubsamp16X) ||
           encoding == rfbEncodingExtDesktopSize;
}

/*
 * Keeps pictures, cursors and sizes: the library answers others (a clipboard, other messages) while
 * it reads the list, and the file has one place for reads and writes. Of the pictures not TightPng,
 * whose data may be longer than the library's buffer. Returns the list's new length.
 */
static size_t filter_encodings(uint8_t *message, size_t bytes)
{
    size_t kept = sz_rfbSetEncodingsMsg;
    for (size_t at = kept; at < bytes; at += 4) {
        uint32_t encoding = be32_get(message + at);
        if (!is_of_use(encoding))
            continue;
        be32_put(message + kept, encoding);
        kept += 4;
    }
    be16_put(message + 2, (uint16_t)((kept - sz_rfbSetEncodingsMsg) / 4));
    return kept;
}

/*
 * As RFB has it. Of 24 bits a pixel the library would send by Tight what is behind its buffer, and
 * it shifts by more bits than a number has.
 */
static bool is_known_format(const uint8_t *message)
{
    unsigned bits = message[offsetof(rfbSetPixelFormatMsg, format.bitsPerPixel)];
    bool has_colours = message[offsetof(rfbSetPixelFormatMsg, format.trueColour)] != 0;
    const uint8_t *max = message + offsetof(rfbSetPixelFormatMsg, format.redMax);
    const uint8_t *shift = message + offsetof(rfbSetPixelFormatMsg, format.redShift);
    bool is_right = bits == 8 || bits == 16 || bits == 32;
    for (unsigned i = 0; is_right && has_colours && i < 3; i++)
        is_right = shift[i] < bits && (uint64_t)be16_get(max + 2 * i) << shift[i] >> bits == 0;
    return is_right;
}

/* From a request for no column of the picture, the library would divide by its width. */
static bool asks_for_nothing(const struct vnc_client *c)
{
    const struct _rfbScreenInfo *screen = c->rfb->screen;
    const uint8_t *request = c->in;
    return c->rfb->state == RFB_NORMAL && request[0] == rfbFramebufferUpdateRequest &&
           (be16_get(request + 2) >= screen->width || be16_get(request + 4) >= screen->height ||
            be16_get(request + 6) == 0 || be16_get(request + 8) == 0);
}

static void handle(struct vnc_client *c, const struct vnc_calls *calls, size_t bytes,
                   uint64_t now_ns)
{
    bool is_format = c->rfb->state == RFB_NORMAL && c->in[0] == rfbSetPixelFormat;
    if (asks_for_nothing(c))
        return;
    if (c->rfb->state == RFB_NORMAL && c->in[0] == rfbSetEncodings)
        bytes = filter_encodings(c->in, bytes);
    if ((is_format && !is_known_format(c->in)) ||
        pwrite(c->file, c->in, bytes, 0) != (ssize_t)bytes) {
        c->has_ended = true;
        return;
    }
    calls->rfbProcessClientMessage(c->rfb);
    size_t answer = collect(c, bytes, now_ns);
    if (is_format && answer > 0 && !c->has_ended) /* a palette: has a byte of the library's stack */
        c->out[c->out_bytes - answer + offsetof(rfbSetColourMapEntriesMsg, pad)] = 0;
    bound(calls, &c->rfb->requestedRegion);
    forget_closed(c, calls);
}

/* One update, if the client has asked for it: the first slice in which something has changed. */
static bool update(struct vnc_client *c, const struct vnc_calls *calls, uint64_t now_ns)
{
    int height = c->rfb->screen->height;
    size_t bytes = 0;
    bound(calls, &c->rfb->modifiedRegion);
    for (int y = 0; y <= height && bytes == 0; y += c->rfb->screen->progressiveSliceHeight) {
        bool is_wanted = calls->rfbUpdateClient(c->rfb);
        bytes = collect(c, 0, now_ns);
        if (!is_wanted || c->rfb->sock < 0)
            break;
    }
    forget_closed(c, calls);
    return bytes > 0;
}

/* ---- the client's side ---- */

/* Of the message that has begun, as far as its bytes tell. */
static size_t message_bytes(const struct vnc_client *c)
{
    switch (c->rfb->state) {
    case RFB_PROTOCOL_VERSION:
        return VERSION_BYTES;
    case RFB_AUTHENTICATION:
        return CHALLENGESIZE;
    case RFB_NORMAL:
        break;
    default:
        return 1;
    }
    switch (c->in[0]) {
    case rfbSetPixelFormat:
        return sz_rfbSetPixelFormatMsg;
    case rfbSetEncodings:
        return sz_rfbSetEncodingsMsg + (c->in_bytes < 4 ? 0 : 4u * be16_get(c->in + 2));
    case rfbFramebufferUpdateRequest:
        return sz_rfbFramebufferUpdateRequestMsg;
    case rfbKeyEvent:
        return sz_rfbKeyEventMsg;
    case rfbPointerEvent:
        return sz_rfbPointerEventMsg;
    case rfbClientCutText:
        return sz_rfbClientCutTextMsg;
    case rfbSetDesktopSize:
        return sz_rfbSetDesktopSizeMsg +
               (c->in_bytes < 7 ? 0u : (size_t)c->in[6] * sz_rfbExtDesktopScreen);
    default:
        return NOT_A_MESSAGE;
    }
}

static void drop(struct vnc_client *c, size_t bytes)
{
    c->in_bytes -= bytes;
    memmove(c->in, c->in + bytes, c->in_bytes);
}

/* Nothing is done with a clipboard, so the library does not see it. */
static void skip_clipboard(struct vnc_client *c, uint64_t now_ns)
{
    size_t bytes = c->skip < c->in_bytes ? c->skip : c->in_bytes;
    if (bytes == 0)
        return;
    drop(c, bytes);
    c->skip -= bytes;
    c->in_since_ns = now_ns;
}

static void handle_messages(struct vnc_client *c, const struct vnc_calls *calls, uint64_t now_ns)
{
    skip_clipboard(c, now_ns);
    while (c->rfb != NULL && !c->has_ended && c->in_bytes > 0) {
        bool is_clipboard = c->rfb->state == RFB_NORMAL && c->in[0] == rfbClientCutText;
        size_t bytes = message_bytes(c);
        if (bytes > sizeof(c->in))
            c->has_ended = true;
        if (bytes > c->in_bytes)
            break;
        if (is_clipboard)
            c->skip = be32_get(c->in + 4);
        else
            handle(c, calls, bytes, now_ns);
        drop(c, bytes);
        if (c->rfb != NULL && c->rfb->state == RFB_NORMAL)
            c->in_since_ns = now_ns;
        skip_clipboard(c, now_ns);
    }
}

static void receive(struct vnc_client *c, uint64_t now_ns)
{
    size_t room = sizeof(c->in) - c->in_bytes;
    if (!(vnc_client_events(c) & POLLIN))
        return;
    ssize_t n = foreign_socket_receive(c->fd, c->in + c->in_bytes, room, NULL);
    if (n <= 0) {
        c->has_ended = n != -EAGAIN && n != -EINTR;
        return;
    }
    if (c->in_bytes == 0 && c->rfb->state == RFB_NORMAL && c->skip == 0)
        c->in_since_ns = now_ns;
    c->in_bytes += (size_t)n;
}

static void send_out(struct vnc_client *c, uint64_t now_ns)
{
    while (unsent(c) > 0) {
        ssize_t n = send(c->fd, c->out + c->out_sent, unsent(c), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0) {
            c->has_ended |= errno != EAGAIN && errno != EINTR;
            return;
        }
        c->out_sent += (size_t)n;
        c->out_since_ns = now_ns;
    }
    free(c->out);
    c->out = NULL;
    c->out_room = c->out_bytes = c->out_sent = 0;
}

/* ---- both ---- */

static bool is_reading(const struct vnc_client *c)
{
    return c->rfb != NULL && (c->rfb->state != RFB_NORMAL || c->in_bytes > 0 || c->skip > 0);
}

bool vnc_client_is_new(const struct vnc_client *c)
{
    return c->rfb != NULL && c->rfb->state < RFB_INITIALISATION;
}

bool vnc_client_is_timed(const struct vnc_client *c)
{
    return unsent(c) > 0 || is_reading(c);
}

short vnc_client_events(const struct vnc_client *c)
{
    bool may_read = c->rfb != NULL && unsent(c) <= VNC_CLIENT_OUT_BYTES;
    return (short)((may_read ? POLLIN : 0) | (unsent(c) > 0 ? POLLOUT : 0));
}

static bool is_late(const struct vnc_client *c, uint64_t now_ns)
{
    return (is_reading(c) && now_ns - c->in_since_ns > VNC_CLIENT_WAIT_NS) ||
           (unsent(c) > 0 && now_ns - c->out_since_ns > VNC_CLIENT_WAIT_NS);
}

void vnc_client_turn(struct vnc_client *c, const struct vnc_calls *calls, uint64_t now_ns)
{
    if (c->rfb != NULL) {
        (void)collect(c, 0, now_ns); /* of a new picture's colours */
        receive(c, now_ns);
        handle_messages(c, calls, now_ns);
    }
    send_out(c, now_ns);
    while (c->rfb != NULL && !c->has_ended && unsent(c) == 0 && update(c, calls, now_ns))
        send_out(c, now_ns);
    if (c->has_ended || is_late(c, now_ns) || (c->rfb == NULL && unsent(c) == 0))
        vnc_client_close(c, calls);
}

/* ---- begin and end ---- */

/*
 * The library makes a client of a socket only, sends its version there, and looks at what the
 * client sends first. So it gets one end of a pair, which the file then replaces.
 */
static bool join(struct vnc_client *c, const struct vnc_calls *calls, rfbScreenInfoPtr screen)
{
    char version[VERSION_BYTES];
    int pair[2];
    bool is_done = false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return false;
    /* The library has its sockets in an fd_set. It would wait a while for a web page's "GET". */
    if (pair[0] < FD_SETSIZE && write(pair[1], "RFB ", 4) == 4)
        c->rfb = calls->rfbNewClient(screen, pair[0]);
    else
        close(pair[0]);
    if (c->rfb != NULL)
        is_done = read(pair[1], version, sizeof(version)) == sizeof(version) &&
                  write(c->file, version, sizeof(version)) == sizeof(version) &&
                  dup3(c->file, c->rfb->sock, O_CLOEXEC) >= 0;
    close(pair[1]);
    return is_done;
}

bool vnc_client_open(struct vnc_client *c, const struct vnc_calls *calls, rfbScreenInfoPtr screen,
                     int fd, bool is_unix, uint64_t now_ns)
{
    const int on = 1;
    *c = (struct vnc_client){.fd = fd,
                             .file = memfd_create("vnc", MFD_CLOEXEC),
                             .is_unix = is_unix,
                             .in_since_ns = now_ns};
    if (is_unix)
        foreign_socket_open(fd);
    else
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (c->file >= 0 && join(c, calls, screen))
        return true;
    vnc_client_close(c, calls);
    return false;
}

void vnc_client_close(struct vnc_client *c, const struct vnc_calls *calls)
{
    if (c->rfb != NULL)
        calls->rfbClientConnectionGone(c->rfb);
    if (c->file >= 0)
        close(c->file);
    if (c->is_unix)
        foreign_socket_close(c->fd);
    else
        close(c->fd);
    free(c->out);
    *c = (struct vnc_client){.fd = -1, .file = -1};
}

#else

typedef int vnc_client_is_not_built; /* a file has to declare something */

#endif
