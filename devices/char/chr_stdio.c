// SPDX-License-Identifier: BSD-2-Clause
#include "devices/char/chr_stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/chr.h"
#include "devices/char/stream.h"

#define RX_BYTES 65536u /* input that the guest has not asked for yet */
#define TX_BYTES 16384u /* output that the outside has not taken yet */

#define FLUSH_NS UINT64_C(1000000000)

/* A guest that takes less in that time is not waited for: its user may want to quit. */
#define PATIENCE_NS    UINT64_C(5000000000)
#define PATIENCE_BYTES 1024u

#define ESCAPE 0x01 /* Ctrl-A */

static const char help_text[] = "\r\n"
                                "Ctrl-A x       quit\r\n"
                                "Ctrl-A p       press the power button\r\n"
                                "Ctrl-A h       this help\r\n"
                                "Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

/* ---- the terminal ---- */

/* Global because a signal handler, which has no argument, must find it; a process has one. */
static struct {
    _Atomic bool raw;
    int fd;
    struct termios before;
} terminal;

void chr_stdio_restore_terminal(void)
{
    int saved_errno = errno;
    if (atomic_exchange(&terminal.raw, false)) {
        tcsetattr(terminal.fd, TCSANOW, &terminal.before);
        log_set_crlf(false);
    }
    errno = saved_errno;
}

/* False if it is not a terminal, or another one is raw already. */
static bool terminal_make_raw(int fd)
{
    struct termios raw;
    if (atomic_load(&terminal.raw) || tcgetattr(fd, &terminal.before) < 0)
        return false;
    raw = terminal.before;
    cfmakeraw(&raw);
    raw.c_lflag |= ISIG; /* until chr_stdio_begin() */
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;
    terminal.fd = fd;
    /* First, so that a signal from here on restores what it may find. */
    atomic_store(&terminal.raw, true);
    if (tcsetattr(fd, TCSANOW, &raw) < 0) {
        atomic_store(&terminal.raw, false);
        return false;
    }
    log_set_crlf(true);
    return true;
}

/*
 * What the terminal answers a question that the guest prints comes as if it was typed, and at any
 * time: between Ctrl-A and the key behind it, too. (ECMA-48 5.4 and 5.6; BEL ends a string of
 * xterm's.)
 */
enum answer {
    ANSWER_NONE,
    ANSWER_ESC,
    ANSWER_CONTROL, /* a control sequence: up to its final byte */
    ANSWER_STRING,
    ANSWER_STRING_ESC,
};

#define BEL 0x07
#define ESC 0x1b

static enum answer answer_next(enum answer at, uint8_t byte)
{
    switch (at) {
    case ANSWER_ESC:
        if (byte == '[')
            return ANSWER_CONTROL;
        return byte == 'P' || byte == ']' || byte == '_' ? ANSWER_STRING : ANSWER_NONE;
    case ANSWER_CONTROL:
        return byte >= 0x40 && byte <= 0x7e ? ANSWER_NONE : at;
    case ANSWER_STRING:
    case ANSWER_STRING_ESC:
        if (byte == BEL || (at == ANSWER_STRING_ESC && byte == '\\'))
            return ANSWER_NONE;
        return byte == ESC ? ANSWER_STRING_ESC : ANSWER_STRING;
    case ANSWER_NONE:
        break;
    }
    return byte == ESC ? ANSWER_ESC : ANSWER_NONE;
}

/* ---- the backend ---- */

struct chr_stdio {
    struct chr_backend b;
    struct evloop *loop;
    void (*on_quit)(void *ctx);
    void (*on_power)(void *ctx);
    void (*on_output)(void *ctx, const uint8_t *data, size_t len);
    void *ctx;

    struct stream in;
    struct ev_fd in_ev;
    struct ev_defer pump_later;
    bool in_plain; /* a file, which epoll refuses: read without waiting */
    bool is_terminal;
    bool escaped; /* the last key was Ctrl-A; in an answer: before it */
    enum answer answer;
    size_t rx_max;
    size_t rx_start, rx_count;
    const struct clock *clock;
    struct ev_timer patience; /* set while there is no room */
    size_t taken;             /* by the device, since then */
    bool loses;               /* what has no room */
    bool has_lost;

    struct stream out;
    struct ev_fd out_ev;
    bool refused; /* write() took fewer than it was offered */
    size_t tx_start, tx_count;

    uint8_t rx[RX_BYTES]; /* the first that is not cleared */
    uint8_t tx[TX_BYTES];
};

static struct chr_stdio *stdio_of(struct chr_backend *b)
{
    return container_of(b, struct chr_stdio, b);
}

/* ---- output ---- */

static void out_gone(struct chr_stdio *s, const char *why)
{
    log_warn("console output: %s; what the guest prints from here on is lost", why);
    evloop_fd_del(s->loop, &s->out_ev);
    stream_close(&s->out);
    s->tx_count = 0;
}

/* Returns how much the outside took now; all of it if there is no outside any more. */
static size_t out_try(struct chr_stdio *s, const uint8_t *data, size_t len)
{
    size_t done = 0;
    while (done < len && s->out.kind != STREAM_NONE) {
        ssize_t n = stream_write(&s->out, data + done, len - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno == EAGAIN)
            return done;
        else if (errno != EINTR)
            out_gone(s, strerror(errno));
    }
    return len;
}

/* The held bytes, in up to two pieces. */
static void out_held(struct chr_stdio *s)
{
    while (s->tx_count > 0) {
        size_t len = min_u64(s->tx_count, TX_BYTES - s->tx_start);
        size_t n = out_try(s, s->tx + s->tx_start, len);
        if (s->tx_count == 0) /* dropped */
            return;
        s->tx_start = (s->tx_start + n) % TX_BYTES;
        s->tx_count -= n;
        if (n < len)
            return;
    }
}

static size_t out_hold(struct chr_stdio *s, const uint8_t *data, size_t len)
{
    size_t n = min_u64(len, TX_BYTES - s->tx_count);
    for (size_t i = 0; i < n; i++)
        s->tx[(s->tx_start + s->tx_count + i) % TX_BYTES] = data[i];
    s->tx_count += n;
    if (s->tx_count > 0 && !s->out_ev.armed) {
        int err = evloop_fd_add(s->loop, &s->out_ev, s->out.fd, EPOLLOUT);
        if (err < 0) {
            out_gone(s, strerror(-err));
            return len;
        }
    }
    return n;
}

static size_t out_take(struct chr_stdio *s, const uint8_t *data, size_t len)
{
    size_t n = s->tx_count == 0 ? out_try(s, data, len) : 0;
    if (n < len)
        n += out_hold(s, data + n, len - n);
    s->refused |= n < len; /* the help that fits does not take it back */
    return n;
}

static size_t stdio_write(struct chr_backend *b, const uint8_t *data, size_t len)
{
    struct chr_stdio *s = stdio_of(b);
    size_t n = out_take(s, data, len);
    if (s->on_output != NULL)
        s->on_output(s->ctx, data, n);
    return n;
}

static void on_out(void *ctx, uint32_t events)
{
    struct chr_stdio *s = ctx;
    (void)events;
    out_held(s);
    if (s->tx_count == 0)
        evloop_fd_del(s->loop, &s->out_ev);
    if (s->refused && s->tx_count <= TX_BYTES / 2) {
        s->refused = false;
        if (s->b.handler)
            s->b.handler->on_writable(s->b.handler->ctx);
    }
}

static void stdio_flush(struct chr_backend *b)
{
    struct chr_stdio *s = stdio_of(b);
    uint64_t end = clock_now_ns(&clock_host) + FLUSH_NS;
    out_held(s);
    while (s->tx_count > 0) {
        uint64_t now = clock_now_ns(&clock_host);
        if (now >= end) {
            out_gone(s, "its reader is gone");
            return;
        }
        stream_wait(&s->out, POLLOUT, (int)((end - now) / 1000000 + 1));
        out_held(s);
    }
}

/* ---- input ---- */

static void in_end(struct chr_stdio *s)
{
    evloop_fd_del(s->loop, &s->in_ev);
    s->in.kind = STREAM_NONE; /* open until destroy: the terminal is restored through it */
}

/* What follows Ctrl-A. Returns whether it sends a Ctrl-A. */
static bool escape(struct chr_stdio *s, uint8_t key)
{
    switch (key) {
    case 'x':
        if (s->on_quit)
            s->on_quit(s->ctx);
        return false;
    case 'p':
        if (s->on_power)
            s->on_power(s->ctx);
        return false;
    case 'h':
    case '?':
        out_take(s, (const uint8_t *)help_text, sizeof(help_text) - 1);
        return false;
    case 'a':
    case ESCAPE:
        return true;
    default: /* mistyped */
        return false;
    }
}

/* Is that byte part of an answer behind Ctrl-A? Ctrl-A is in none. */
static bool is_answer(struct chr_stdio *s, uint8_t byte)
{
    enum answer before = s->answer;
    s->answer = s->escaped && byte != ESCAPE ? answer_next(before, byte) : ANSWER_NONE;
    if (before == ANSWER_ESC && s->answer == ANSWER_NONE)
        s->escaped = false; /* it was the key Esc */
    return s->answer != ANSWER_NONE || (before != ANSWER_NONE && byte != ESCAPE);
}

/* Takes the escape sequences out of what was typed; returns how much is left. */
static size_t filter(struct chr_stdio *s, uint8_t *data, size_t len)
{
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        bool in_answer = s->answer != ANSWER_NONE;
        if (is_answer(s, data[i])) {
            data[kept++] = data[i];
            continue;
        }
        bool is_escape = data[i] == ESCAPE && (!s->escaped || in_answer);
        if (s->escaped && !in_answer ? escape(s, data[i]) : !is_escape)
            data[kept++] = s->escaped ? ESCAPE : data[i];
        s->escaped = is_escape;
    }
    return kept;
}

/* In what is lost keys are heard, too: the guest must not keep its user from them. */
static void in_read(struct chr_stdio *s)
{
    uint8_t lost[256], *to = s->rx + s->rx_start + s->rx_count;
    size_t room = RX_BYTES - s->rx_start - s->rx_count;
    bool is_full = room == 0;
    if (is_full) {
        to = lost;
        room = sizeof(lost);
    }
    ssize_t n = stream_read(&s->in, to, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        in_end(s);
        return;
    }
    size_t kept = s->is_terminal ? filter(s, to, (size_t)n) : (size_t)n;
    s->rx_count += is_full ? 0 : kept;
}

/* Brings the device what it has asked for. It may change rx_max from within. */
static void in_deliver(struct chr_stdio *s)
{
    while (s->rx_count > 0 && s->rx_max > 0 && s->b.handler) {
        const uint8_t *data = s->rx + s->rx_start;
        size_t n = min_u64(s->rx_count, s->rx_max);
        s->rx_start += n;
        s->rx_count -= n;
        s->taken += n;
        s->b.handler->on_rx(s->b.handler->ctx, data, n);
    }
    if (s->rx_start > 0)
        memmove(s->rx, s->rx + s->rx_start, s->rx_count);
    s->rx_start = 0;
}

/* Waits for the guest of a terminal to make room, but not for ever. */
static void await_room(struct chr_stdio *s)
{
    if (s->rx_count <= RX_BYTES / 2)
        s->loses = false;
    if (!s->is_terminal || s->rx_count < RX_BYTES || s->loses || s->patience.armed)
        return;
    s->taken = 0;
    evloop_timer_set(s->loop, &s->patience, clock_now_ns(s->clock) + PATIENCE_NS);
}

/*
 * Reads on while there is room, whether or not the device wants it: Ctrl-A x may be among it. A
 * stream that is not read is not watched either, or a closed pipe would wake the loop for ever.
 */
static void in_watch(struct chr_stdio *s)
{
    await_room(s);
    bool want = s->in.kind != STREAM_NONE && (s->rx_count < RX_BYTES || s->loses);
    if (want && !s->in_plain && !s->in_ev.armed) {
        int err = evloop_fd_add(s->loop, &s->in_ev, s->in.fd, EPOLLIN);
        s->in_plain = err == -EPERM;
        want = err == 0 || s->in_plain;
    }
    if (!want)
        evloop_fd_del(s->loop, &s->in_ev);
    else if (s->in_plain)
        evloop_defer(s->loop, &s->pump_later);
}

static void on_patience(void *ctx)
{
    struct chr_stdio *s = ctx;
    s->loses = s->rx_count == RX_BYTES && s->taken < PATIENCE_BYTES;
    if (s->loses && !s->has_lost)
        log_warn("console input: the guest takes none: what is typed now is lost; Ctrl-A x quits");
    s->has_lost |= s->loses;
    in_watch(s);
}

static void on_in(void *ctx, uint32_t events)
{
    struct chr_stdio *s = ctx;
    (void)events;
    in_read(s);
    in_deliver(s);
    in_watch(s);
}

static void pump(void *ctx)
{
    struct chr_stdio *s = ctx;
    if (s->in_plain && s->in.kind != STREAM_NONE && s->rx_count < RX_BYTES)
        in_read(s);
    in_deliver(s);
    in_watch(s);
}

static void stdio_rx_enable(struct chr_backend *b, size_t max)
{
    struct chr_stdio *s = stdio_of(b);
    s->rx_max = max;
    if (max > 0 && s->rx_count > 0)
        evloop_defer(s->loop, &s->pump_later); /* not from within the device's call */
}

/* ---- life ---- */

/* A terminal without a known size (a serial line, say) has that of a VT100. */
static void measure(struct chr_stdio *s)
{
    struct winsize size;
    if (ioctl(s->out.fd, TIOCGWINSZ, &size) < 0 && ioctl(s->in.fd, TIOCGWINSZ, &size) < 0)
        return;
    bool known = size.ws_col != 0 && size.ws_row != 0;
    s->b.columns = known ? size.ws_col : 80;
    s->b.rows = known ? size.ws_row : 24;
}

void chr_stdio_resized(struct chr_backend *b)
{
    uint16_t columns = b->columns, rows = b->rows;
    measure(stdio_of(b));
    if ((b->columns != columns || b->rows != rows) && b->handler && b->handler->on_resize)
        b->handler->on_resize(b->handler->ctx, b->columns, b->rows);
}

void chr_stdio_begin(struct chr_backend *b)
{
    const struct chr_stdio *s = stdio_of(b);
    struct termios raw;
    if (!s->is_terminal || tcgetattr(s->in.fd, &raw) < 0)
        return;
    raw.c_lflag &= ~(tcflag_t)ISIG;
    tcsetattr(s->in.fd, TCSANOW, &raw);
}

static void stdio_destroy(struct chr_backend *b)
{
    struct chr_stdio *s = stdio_of(b);
    if (s->is_terminal)
        chr_stdio_restore_terminal();
    evloop_fd_del(s->loop, &s->in_ev);
    evloop_fd_del(s->loop, &s->out_ev);
    evloop_defer_cancel(s->loop, &s->pump_later);
    evloop_timer_cancel(s->loop, &s->patience);
    stream_close(&s->in);
    stream_close(&s->out);
    free(s);
}

static const struct chr_backend_ops stdio_ops = {
    .write = stdio_write,
    .rx_enable = stdio_rx_enable,
    .flush = stdio_flush,
    .destroy = stdio_destroy,
};

int chr_stdio_create(struct chr_backend **out, const struct chr_stdio_config *config)
{
    struct chr_stdio *s = ALLOC_BEFORE(struct chr_stdio, rx);
    if (!s)
        return fail(-ENOMEM, "console");
    s->b.ops = &stdio_ops;
    s->loop = config->loop;
    s->on_quit = config->on_quit;
    s->on_power = config->on_power;
    s->on_output = config->on_output;
    s->ctx = config->ctx;
    s->in_ev = (struct ev_fd){.cb = on_in, .ctx = s, .fd = -1};
    s->out_ev = (struct ev_fd){.cb = on_out, .ctx = s, .fd = -1};
    s->pump_later = (struct ev_defer){.cb = pump, .ctx = s};
    s->patience = (struct ev_timer){.cb = on_patience, .ctx = s};
    s->clock = config->clock != NULL ? config->clock : &clock_host;
    signal(SIGPIPE, SIG_IGN);
    s->out = stream_open(config->out_fd, O_WRONLY);
    if (stream_is_in_background(config->in_fd)) {
        log_warn("console input: the terminal belongs to another job; there is no input");
        s->in = (struct stream){.kind = STREAM_NONE, .fd = -1};
    } else {
        s->in = stream_open(config->in_fd, O_RDONLY);
    }
    s->is_terminal = terminal_make_raw(s->in.fd);
    measure(s);
    in_watch(s);
    *out = &s->b;
    return 0;
}
