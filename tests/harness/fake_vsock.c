// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/fake_vsock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

static struct fake_stream *fake_of(struct vsock_stream *s)
{
    return container_of(s, struct fake_stream, s);
}

static bool is_readable(const struct fake_stream *st)
{
    return st->gone != 0 || st->in_end || st->in_done < st->in_bytes;
}

static bool is_writable(const struct fake_stream *st)
{
    return st->gone != 0 || st->room > st->refused;
}

/* As a loop polls sockets: what was left is told again. */
static void on_turn(void *ctx)
{
    struct fake_vsock *v = ctx;
    bool told = false;
    for (unsigned i = 0; i < FAKE_VSOCK_STREAMS; i++) {
        struct fake_stream *st = &v->streams[i];
        if (st->used && st->polls_out && is_writable(st)) {
            v->backend.handler->on_writable(st->s.conn);
            told = true;
        }
        if (st->used && st->polls_in && is_readable(st)) {
            v->backend.handler->on_readable(st->s.conn);
            told = true;
        }
    }
    if (told)
        evloop_defer(v->loop, &v->turn);
}

static struct fake_stream *new_stream(struct fake_vsock *v, uint32_t host_port, bool has_messages)
{
    for (unsigned i = 0; i < FAKE_VSOCK_STREAMS; i++) {
        struct fake_stream *st = &v->streams[v->next++ % FAKE_VSOCK_STREAMS];
        if (st->used)
            continue;
        /* All but the bytes. */
        memset(st, 0, offsetof(struct fake_stream, in));
        st->v = v;
        st->used = true;
        st->host_port = host_port;
        st->s.has_messages = has_messages;
        st->room = v->reads_nothing ? 0 : UINT64_MAX;
        v->opened++;
        return st;
    }
    return NULL;
}

static struct vsock_stream *connect_to(struct vsock_backend *b, uint32_t host_port,
                                       bool has_messages, void *conn)
{
    struct fake_vsock *v = container_of(b, struct fake_vsock, backend);
    struct fake_stream *st =
        host_port == FAKE_VSOCK_NOBODY ? NULL : new_stream(v, host_port, has_messages);
    if (st == NULL)
        return NULL;
    st->s.conn = conn;
    return &st->s;
}

static void accepted(struct vsock_stream *s, uint32_t host_port)
{
    fake_of(s)->accepted = true;
    BUG_ON(fake_of(s)->host_port != host_port);
}

static ssize_t read_from(struct vsock_stream *s, void *dst, size_t bytes)
{
    struct fake_stream *st = fake_of(s);
    size_t n = min_u64(bytes, st->in_bytes - st->in_done);
    BUG_ON(!st->used || bytes == 0);
    if (st->s.has_messages && n > 0) {
        uint32_t message = st->in_lengths[st->in_taken];
        if (message > bytes)
            return message;
        st->in_taken++;
        n = message;
    }
    if (n == 0)
        return st->gone != 0 ? st->gone : st->in_end ? 0 : -EAGAIN;
    memcpy(dst, st->in + st->in_done, n);
    st->in_done += n;
    return (ssize_t)n;
}

/* All of it or nothing. */
static bool take_message(struct fake_stream *st, const struct iovec *iov, unsigned count)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    BUG_ON(bytes == 0 || bytes > UINT32_MAX);
    st->refused = bytes > st->room ? bytes - 1 : 0;
    if (bytes > st->room)
        return false;
    if (st->out_count < FAKE_VSOCK_MESSAGES)
        st->out_lengths[st->out_count] = (uint32_t)bytes;
    st->out_count++;
    return true;
}

static ssize_t write_to(struct vsock_stream *s, const struct iovec *iov, unsigned count)
{
    struct fake_stream *st = fake_of(s);
    ssize_t taken = 0;
    BUG_ON(!st->used || st->shut);
    if (st->gone != 0)
        return st->gone;
    if (st->s.has_messages && !take_message(st, iov, count))
        return 0;
    for (unsigned i = 0; i < count; i++) {
        size_t n = min_u64(iov[i].iov_len, st->room);
        if (st->out_bytes < FAKE_VSOCK_BYTES)
            memcpy(st->out + st->out_bytes, iov[i].iov_base,
                   min_u64(n, FAKE_VSOCK_BYTES - st->out_bytes));
        st->out_bytes += n;
        st->room -= st->room == UINT64_MAX ? 0 : n;
        taken += (ssize_t)n;
    }
    return taken;
}

static void poll_for(struct vsock_stream *s, bool readable, bool writable)
{
    struct fake_stream *st = fake_of(s);
    st->polls_in = readable;
    st->polls_out = writable;
    evloop_defer(st->v->loop, &st->v->turn);
}

static void shut(struct vsock_stream *s)
{
    fake_of(s)->shut = true;
}

static void close_stream(struct vsock_stream *s)
{
    struct fake_stream *st = fake_of(s);
    BUG_ON(!st->used);
    st->used = st->polls_in = st->polls_out = false;
    st->closed = true;
    st->v->closed++;
}

static const struct vsock_backend_ops fake_ops = {
    .connect = connect_to,
    .accepted = accepted,
    .read = read_from,
    .write = write_to,
    .poll = poll_for,
    .shut = shut,
    .close = close_stream,
};

void fake_vsock_init(struct fake_vsock *v, struct evloop *loop)
{
    *v = (struct fake_vsock){.backend.ops = &fake_ops, .backend.has_messages = true, .loop = loop};
    v->turn = (struct ev_defer){.cb = on_turn, .ctx = v};
    v->streams = calloc(FAKE_VSOCK_STREAMS, sizeof(*v->streams));
    BUG_ON(v->streams == NULL);
}

void fake_vsock_fini(struct fake_vsock *v)
{
    if (v->streams == NULL)
        return;
    evloop_defer_cancel(v->loop, &v->turn);
    for (unsigned i = 0; i < FAKE_VSOCK_STREAMS; i++)
        BUG_ON(v->streams[i].used); /* the device closes what it was given */
    free(v->streams);
}

static struct fake_stream *ask(struct fake_vsock *v, uint32_t guest_port, bool has_messages)
{
    const struct vsock_handler *handler = v->backend.handler;
    struct fake_stream *st = new_stream(v, 0, has_messages);
    if (st == NULL)
        return NULL;
    st->s.conn = handler->on_connect(handler->ctx, &st->s, guest_port, &st->host_port);
    if (st->s.conn != NULL)
        return st;
    st->used = false;
    v->opened--;
    return NULL;
}

struct fake_stream *fake_vsock_ask(struct fake_vsock *v, uint32_t guest_port)
{
    return ask(v, guest_port, false);
}

struct fake_stream *fake_vsock_ask_messages(struct fake_vsock *v, uint32_t guest_port)
{
    return ask(v, guest_port, true);
}

void fake_vsock_write(struct fake_stream *st, const void *bytes, size_t len)
{
    len = min_u64(len, FAKE_VSOCK_BYTES - st->in_bytes);
    if (st->s.has_messages && (len == 0 || st->in_count == FAKE_VSOCK_MESSAGES))
        return;
    if (st->s.has_messages)
        st->in_lengths[st->in_count++] = (uint32_t)len;
    memcpy(st->in + st->in_bytes, bytes, len);
    st->in_bytes += len;
    evloop_defer(st->v->loop, &st->v->turn);
}

void fake_vsock_end(struct fake_stream *st)
{
    st->in_end = true;
    evloop_defer(st->v->loop, &st->v->turn);
}

void fake_vsock_leave(struct fake_stream *st)
{
    st->gone = -ECONNRESET;
    evloop_defer(st->v->loop, &st->v->turn);
}

void fake_vsock_read(struct fake_stream *st, uint64_t bytes)
{
    st->room += bytes;
    evloop_defer(st->v->loop, &st->v->turn);
}
