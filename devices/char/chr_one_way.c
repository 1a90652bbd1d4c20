// SPDX-License-Identifier: BSD-2-Clause
#include "devices/char/chr_one_way.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/chr.h"
#include "devices/char/stream.h"

#define RX_BYTES   4096u
#define TURN_BYTES 65536u /* so that other devices get their turn */

struct chr_one_way {
    struct chr_backend b;
    struct chr_one_way_config cfg;
    struct stream stream; /* STREAM_NONE: it has ended */
    struct ev_fd ev;
    struct ev_defer later; /* to read a file, or to tell of the end */
    bool is_plain;         /* a file, which epoll refuses */
    bool is_told;          /* of the end */
    size_t rx_max;
    uint64_t moved;
};

static struct chr_one_way *one_way_of(struct chr_backend *b)
{
    return container_of(b, struct chr_one_way, b);
}

/* Not from within the device's call. */
static void end(struct chr_one_way *c)
{
    evloop_fd_del(c->cfg.loop, &c->ev);
    stream_close(&c->stream);
    evloop_defer(c->cfg.loop, &c->later);
}

static void add_moved(struct chr_one_way *c, size_t bytes)
{
    c->moved += bytes;
    if (bytes > 0)
        c->cfg.on_moved(c->cfg.ctx, c->moved);
}

/* ---- from the guest ---- */

static size_t one_way_write(struct chr_backend *b, const uint8_t *data, size_t len)
{
    struct chr_one_way *c = one_way_of(b);
    size_t done = 0;
    while (done < len && c->stream.kind != STREAM_NONE) {
        ssize_t n = stream_write(&c->stream, data + done, len - done);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno == EAGAIN && (c->ev.armed || evloop_fd_add(c->cfg.loop, &c->ev,
                                                                    c->stream.fd, EPOLLOUT) == 0)) {
            break;
        } else if (errno != EINTR) {
            if (errno != EPIPE)
                log_warn("%s: %s; what is written from here on is lost", c->cfg.name,
                         strerror(errno));
            end(c);
        }
    }
    bool has_ended = c->stream.kind == STREAM_NONE;
    add_moved(c, has_ended ? len : done);
    return has_ended ? len : done;
}

/* ---- to the guest ---- */

static void watch(struct chr_one_way *c)
{
    bool wanted = c->rx_max > 0 && c->stream.kind != STREAM_NONE;
    if (wanted && !c->is_plain && !c->ev.armed) {
        int err = evloop_fd_add(c->cfg.loop, &c->ev, c->stream.fd, EPOLLIN);
        c->is_plain = err == -EPERM;
        if (err < 0 && !c->is_plain)
            end(c);
    }
    if (!wanted)
        evloop_fd_del(c->cfg.loop, &c->ev);
    else if (c->is_plain)
        evloop_defer(c->cfg.loop, &c->later);
}

static void receive(struct chr_one_way *c)
{
    uint8_t bytes[RX_BYTES];
    ssize_t n = 1;
    for (size_t done = 0; c->rx_max > 0 && done < TURN_BYTES; done += (size_t)n) {
        n = stream_read(&c->stream, bytes, min_u64(c->rx_max, sizeof(bytes)));
        if (n <= 0)
            break;
        add_moved(c, (size_t)n);
        c->b.handler->on_rx(c->b.handler->ctx, bytes, (size_t)n);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        end(c);
    watch(c);
}

static void one_way_rx_enable(struct chr_backend *b, size_t max)
{
    struct chr_one_way *c = one_way_of(b);
    c->rx_max = c->cfg.to_guest ? max : 0;
    watch(c);
}

/* ---- the loop ---- */

static void on_ready(void *ctx, uint32_t events)
{
    struct chr_one_way *c = ctx;
    (void)events;
    if (c->cfg.to_guest) {
        receive(c);
        return;
    }
    evloop_fd_del(c->cfg.loop, &c->ev);
    if (c->b.handler != NULL)
        c->b.handler->on_writable(c->b.handler->ctx);
}

static void on_later(void *ctx)
{
    struct chr_one_way *c = ctx;
    if (c->stream.kind == STREAM_NONE && !c->is_told) {
        c->is_told = true;
        c->cfg.on_end(c->cfg.ctx);
    } else if (c->stream.kind != STREAM_NONE && c->rx_max > 0) {
        receive(c);
    }
}

static void one_way_flush(struct chr_backend *b)
{
    (void)b; /* it holds nothing */
}

static void one_way_destroy(struct chr_backend *b)
{
    struct chr_one_way *c = one_way_of(b);
    evloop_fd_del(c->cfg.loop, &c->ev);
    evloop_defer_cancel(c->cfg.loop, &c->later);
    stream_close(&c->stream);
    free(c);
}

static const struct chr_backend_ops one_way_ops = {
    .write = one_way_write,
    .rx_enable = one_way_rx_enable,
    .flush = one_way_flush,
    .destroy = one_way_destroy,
};

int chr_one_way_create(struct chr_backend **out, const struct chr_one_way_config *config)
{
    struct chr_one_way *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return fail(-ENOMEM, "%s", config->name);
    *c = (struct chr_one_way){.b.ops = &one_way_ops, .cfg = *config, .stream.fd = -1};
    c->ev = (struct ev_fd){.cb = on_ready, .ctx = c, .fd = -1};
    c->later = (struct ev_defer){.cb = on_later, .ctx = c};
    signal(SIGPIPE, SIG_IGN);
    if (config->to_guest && stream_is_in_background(config->fd))
        log_warn("%s: the terminal belongs to another job; there is no input", config->name);
    else
        c->stream = stream_open(config->fd, config->to_guest ? O_RDONLY : O_WRONLY);
    c->is_told = !config->to_guest && c->stream.kind == STREAM_NONE; /* of one never there */
    if (config->to_guest && c->stream.kind == STREAM_NONE)
        evloop_defer(config->loop, &c->later);
    *out = &c->b;
    return 0;
}
