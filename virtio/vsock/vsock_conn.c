// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vsock/vsock_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory/iobuf.h"

#define WRITE_IOV    16u
#define WRITES_MAX   64u /* messages in a row */
#define CREDIT_SHARE 16u /* a connection gets so little of what is left */

static const struct vsock_backend_ops *ops(const struct vsock_conn *c)
{
    return c->vs->backend->ops;
}

/* ---- the table ---- */

static struct vsock_bucket *bucket(struct virtio_vsock *vs, uint32_t guest_port, uint32_t host_port)
{
    uint64_t key = ((uint64_t)guest_port << 32 | host_port) * UINT64_C(0x9e3779b97f4a7c15);
    return &vs->buckets[key >> 54 & (VSOCK_BUCKETS - 1)];
}

struct vsock_conn *vsock_find(struct virtio_vsock *vs, uint32_t guest_port, uint32_t host_port)
{
    struct vsock_conn *c;
    LIST_FOREACH(c, bucket(vs, guest_port, host_port), chain)
    if (c->guest_port == guest_port && c->host_port == host_port && c->state != VSOCK_DRAINS)
        return c;
    return NULL;
}

static uint32_t give_credit(struct virtio_vsock *vs)
{
    uint64_t all = VIRTIO_VSOCK_HELD_ALL;
    uint64_t left = vs->credit_given < all ? all - vs->credit_given : 0;
    uint64_t share = min_u64(left / CREDIT_SHARE, VIRTIO_VSOCK_HELD_MAX);
    return share < VIRTIO_VSOCK_HELD_MIN ? VIRTIO_VSOCK_HELD_MIN : (uint32_t)share;
}

static struct vsock_conn *new_conn(struct virtio_vsock *vs, uint32_t guest_port, uint32_t host_port,
                                   uint16_t type, enum vsock_conn_state state)
{
    struct vsock_conn *c = vs->conn_count < VIRTIO_VSOCK_CONNS_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL)
        return NULL;
    c->vs = vs;
    c->guest_port = guest_port;
    c->host_port = host_port;
    c->type = type;
    c->state = state;
    c->buf_alloc = give_credit(vs);
    vsock_held_init(&c->held, c->buf_alloc, vsock_has_messages(c));
    vs->credit_given += c->buf_alloc;
    vs->conn_count++;
    LIST_INSERT_HEAD(bucket(vs, guest_port, host_port), c, chain);
    return c;
}

void vsock_make_due(struct vsock_conn *c, unsigned due)
{
    if (!c->is_ready)
        TAILQ_INSERT_TAIL(&c->vs->ready, c, ready);
    c->is_ready = true;
    c->due |= due;
}

static void forget_data(struct vsock_conn *c)
{
    if (c->vs->staged_for == c)
        c->vs->staged_for = NULL;
    c->due &= ~(unsigned)VSOCK_DUE_DATA;
}

/* The process has nothing of it any more. */
static void leave_stream(struct vsock_conn *c)
{
    struct vsock_stream *s = c->stream;
    c->stream = NULL;
    vsock_held_fini(&c->held);
    forget_data(c);
    if (s != NULL)
        ops(c)->close(s);
}

static void free_conn(struct vsock_conn *c)
{
    struct virtio_vsock *vs = c->vs;
    leave_stream(c);
    if (c->is_ready)
        TAILQ_REMOVE(&vs->ready, c, ready);
    LIST_REMOVE(c, chain);
    vs->credit_given -= c->buf_alloc;
    vs->conn_count--;
    free(c);
}

void vsock_free_all(struct virtio_vsock *vs)
{
    struct vsock_conn *c, *next;
    for (unsigned i = 0; i < VSOCK_BUCKETS; i++)
        for (c = LIST_FIRST(&vs->buckets[i]); c != NULL; c = next) {
            next = LIST_NEXT(c, chain);
            free_conn(c);
        }
}

/* The guest is told, and the process at once. */
static void kill_conn(struct vsock_conn *c)
{
    leave_stream(c);
    c->state = VSOCK_OVER;
    c->due = 0; /* nothing else */
    vsock_make_due(c, VSOCK_DUE_RST);
}

/* ---- events of the stream that are wanted ---- */

uint32_t vsock_room(const struct vsock_conn *c)
{
    uint32_t under_way = c->sent - c->peer_fwd;
    return under_way < c->peer_alloc ? c->peer_alloc - under_way : 0;
}

/* For the message that waits; or it is too long for what the guest says now. */
static bool may_stage(const struct vsock_conn *c)
{
    uint32_t room = vsock_room(c);
    return room > 0 && (room >= c->message || c->message > c->peer_alloc);
}

static void poll_stream(struct vsock_conn *c)
{
    bool in = c->state == VSOCK_OPEN && (c->due & VSOCK_DUE_DATA) == 0 && may_stage(c) &&
              (c->host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) == 0 &&
              (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) == 0;
    bool out = vsock_held_ready(&c->held) > 0;
    if (c->stream == NULL || (in == c->polls_in && out == c->polls_out))
        return;
    c->polls_in = in;
    c->polls_out = out;
    ops(c)->poll(c->stream, in, out);
}

void vsock_bury(struct vsock_conn *c)
{
    forget_data(c);
    c->due = 0;
    c->state = VSOCK_DRAINS;
    vsock_held_cut(&c->held);
    if (vsock_held_ready(&c->held) == 0)
        free_conn(c);
    else
        poll_stream(c); /* what the process writes is nobody's */
}

/* ---- from the process ---- */

/*
 * Its next message has no room now: the guest is asked, since it need not tell of room before the
 * half of its buffer is free. One that will never have room, or a message without end, is the end.
 */
static void wait_for_room(struct vsock_conn *c, size_t message)
{
    if (message > min_u64(c->peer_alloc, VIRTIO_VSOCK_MESSAGE_MAX)) {
        log_guest(&c->vs->guest_errors,
                  "virtio %s: a message of %zu bytes for port %u, whose buffer has %u, is refused",
                  c->vs->dev.setup.name, message, c->guest_port, c->peer_alloc);
        kill_conn(c);
        return;
    }
    c->message = (uint32_t)message;
    vsock_make_due(c, VSOCK_DUE_ASK);
}

void vsock_stage(struct vsock_conn *c)
{
    struct virtio_vsock *vs = c->vs;
    size_t most = vsock_has_messages(c) ? VIRTIO_VSOCK_MESSAGE_MAX : VSOCK_STAGED_BYTES;
    size_t room = min_u64(vsock_room(c), most);
    ssize_t n = room > 0 ? ops(c)->read(c->stream, vs->staged, room) : -EAGAIN;
    c->due &= ~(unsigned)VSOCK_DUE_DATA;
    c->message = 0;
    if (n > (ssize_t)room) {
        wait_for_room(c, (size_t)n);
    } else if (n > 0) {
        vs->staged_for = c;
        vs->staged_from = 0;
        vs->staged_bytes = (size_t)n;
        if ((size_t)n == room || vsock_has_messages(c)) /* there may be more */
            vsock_make_due(c, VSOCK_DUE_DATA);
    } else if (n == 0) {
        c->host_shut |= VIRTIO_VSOCK_SHUTDOWN_SEND;
        vsock_make_due(c, VSOCK_DUE_SHUTDOWN);
    } else if (n != -EAGAIN) { /* what the guest sends has no reader */
        c->host_shut = VIRTIO_VSOCK_SHUTDOWN_BOTH;
        leave_stream(c);
        vsock_make_due(c, VSOCK_DUE_SHUTDOWN);
    }
    poll_stream(c); /* with no room: once a packet has brought some */
}

/* Looked at at once; and if it was told in vain, not again before it was looked at. */
static void on_readable(void *conn)
{
    struct vsock_conn *c = conn;
    if ((c->due & VSOCK_DUE_DATA) != 0) {
        poll_stream(c);
        return;
    }
    vsock_make_due(c, VSOCK_DUE_DATA);
    vsock_send_due(c->vs);
}

/* A port that no connection to that one of the guest's has; 0 after some tries. */
static uint32_t find_port(struct virtio_vsock *vs, uint32_t guest_port)
{
    for (unsigned i = 0; i <= VIRTIO_VSOCK_CONNS_MAX; i++) {
        uint32_t port = vs->next_port;
        vs->next_port =
            port < VSOCK_PORT_FIRST || port >= VSOCK_PORT_LAST ? VSOCK_PORT_FIRST : port + 1;
        if (port >= VSOCK_PORT_FIRST && vsock_find(vs, guest_port, port) == NULL)
            return port;
    }
    return 0;
}

static void *on_connect(void *ctx, struct vsock_stream *s, uint32_t guest_port, uint32_t *host_port)
{
    struct virtio_vsock *vs = ctx;
    uint16_t type = s->has_messages ? VIRTIO_VSOCK_TYPE_SEQPACKET : VIRTIO_VSOCK_TYPE_STREAM;
    if (!virtio_queue_runs(&vs->dev.queues[VIRTIO_VSOCK_RX]) || !vsock_knows_type(vs, type))
        return NULL;
    *host_port = find_port(vs, guest_port);
    struct vsock_conn *c =
        *host_port != 0 ? new_conn(vs, guest_port, *host_port, type, VSOCK_ASKED) : NULL;
    if (c == NULL)
        return NULL;
    c->stream = s;
    vsock_make_due(c, VSOCK_DUE_REQUEST);
    vsock_send_due(vs);
    return c;
}

static void on_gone(void *conn)
{
    struct vsock_conn *c = conn;
    struct virtio_vsock *vs = c->vs;
    kill_conn(c);
    vsock_send_due(vs);
}

/* ---- to the process ---- */

/*
 * The guest is told what has passed before it has used up half of what it knows of. A message that
 * has yet to end passes only when it has: it must not wait for what the guest was not told.
 */
static void tell_credit(struct vsock_conn *c)
{
    bool waits = c->held.partial > 0 && vsock_held_ready(&c->held) == 0;
    uint32_t used = (waits ? c->received : c->fwd_cnt) - c->fwd_told;
    if (c->state == VSOCK_OPEN && used >= c->buf_alloc / 2 && c->fwd_cnt != c->fwd_told)
        vsock_make_due(c, VSOCK_DUE_CREDIT);
}

static void pass(struct vsock_conn *c, size_t bytes)
{
    c->fwd_cnt += (uint32_t)bytes;
    tell_credit(c);
}

/* False: the stream takes nothing any more. */
static bool write_held(struct vsock_conn *c)
{
    struct vsock_held *held = &c->held;
    bool is_full = false;
    for (unsigned i = 0; i < WRITES_MAX && vsock_held_ready(held) > 0 && !is_full; i++) {
        struct iovec iov[2];
        unsigned count = vsock_held_next(held, iov);
        ssize_t n = ops(c)->write(c->stream, iov, count);
        if (n < 0)
            return false;
        is_full = (size_t)n < iov[0].iov_len + iov[1].iov_len;
        if (n > 0)
            vsock_held_take(held, (uint32_t)n);
        pass(c, (size_t)n);
    }
    if (vsock_held_ready(held) == 0 && c->state == VSOCK_DRAINS)
        return true;
    if (vsock_held_ready(held) == 0 && (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0)
        ops(c)->shut(c->stream);
    poll_stream(c);
    return true;
}

static void on_writable(void *conn)
{
    struct vsock_conn *c = conn;
    struct virtio_vsock *vs = c->vs;
    bool takes = write_held(c);
    if (c->state == VSOCK_DRAINS && (!takes || vsock_held_ready(&c->held) == 0))
        free_conn(c);
    else if (!takes)
        kill_conn(c);
    vsock_send_due(vs);
}

/* Keeps what the process has not taken. */
static bool write_bytes(struct vsock_conn *c, struct iobuf *payload)
{
    struct iovec iov[WRITE_IOV];
    unsigned count;
    while (c->held.bytes == 0 && payload->left > 0) {
        uint64_t bytes = iobuf_fill(payload, payload->left, iov, WRITE_IOV, &count);
        ssize_t n = ops(c)->write(c->stream, iov, count);
        if (n < 0)
            return false;
        iobuf_skip(payload, (uint64_t)n);
        pass(c, (size_t)n);
        if ((uint64_t)n < bytes)
            break;
    }
    return payload->left == 0 || vsock_held_put(&c->held, payload);
}

/* A message is written when it has ended; if it is all in this packet, without being held. */
static bool write_message(struct vsock_conn *c, struct iobuf *payload, bool ends)
{
    struct iovec iov[WRITE_IOV];
    bool was_ready = vsock_held_ready(&c->held) > 0;
    int count = ends && c->held.bytes == 0 && payload->left > 0
                    ? iobuf_iov(payload, payload->left, iov, WRITE_IOV)
                    : 0;
    ssize_t n = count > 0 ? ops(c)->write(c->stream, iov, (unsigned)count) : 0;
    if (n < 0)
        return false;
    iobuf_skip(payload, (uint64_t)n);
    pass(c, (size_t)n);
    if (payload->left > 0 && !vsock_held_put(&c->held, payload))
        return false;
    if (ends)
        vsock_held_end(&c->held);
    if (c->held.partial == c->buf_alloc) {
        log_guest(&c->vs->guest_errors, "virtio %s: port %u sends a message of %u bytes and more",
                  c->vs->dev.setup.name, c->guest_port, c->buf_alloc);
        return false;
    }
    tell_credit(c);
    if (!was_ready && count <= 0 && vsock_held_ready(&c->held) > 0)
        return write_held(c);
    return true;
}

/* ---- packets of the guest's ---- */

static void receive_data(struct vsock_conn *c, const struct vsock_packet *p, struct iobuf *payload)
{
    bool fits = p->len <= payload->left && p->len <= c->buf_alloc - (c->received - c->fwd_cnt);
    if (!fits || (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0) {
        log_guest(&c->vs->guest_errors, "virtio %s: port %u sends %u bytes that it has no %s for",
                  c->vs->dev.setup.name, c->guest_port, p->len, fits ? "connection" : "credit");
        kill_conn(c);
        return;
    }
    c->received += p->len;
    payload->left = p->len;
    if (c->stream == NULL) { /* nobody reads it, and the guest knows */
        pass(c, p->len);
        return;
    }
    bool ends = (p->flags & VIRTIO_VSOCK_SEQ_EOM) != 0;
    if (!(vsock_has_messages(c) ? write_message(c, payload, ends) : write_bytes(c, payload)))
        kill_conn(c);
    poll_stream(c);
}

/*
 * One direction ends, or both: then the guest waits for a reset and not for the process, which may
 * take its time to read what it was sent.
 */
static void receive_shutdown(struct vsock_conn *c, uint32_t flags)
{
    c->guest_shut |= flags & VIRTIO_VSOCK_SHUTDOWN_BOTH;
    if ((c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0)
        vsock_held_cut(&c->held);
    if ((c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) != 0)
        forget_data(c);
    if (c->guest_shut == VIRTIO_VSOCK_SHUTDOWN_BOTH) {
        c->state = VSOCK_OVER;
        c->due = 0;
        vsock_make_due(c, VSOCK_DUE_RST);
    } else if (c->guest_shut == VIRTIO_VSOCK_SHUTDOWN_SEND && c->stream != NULL &&
               vsock_held_ready(&c->held) == 0) {
        ops(c)->shut(c->stream);
    }
    poll_stream(c);
}

static void open_asked(struct vsock_conn *c)
{
    c->state = VSOCK_OPEN;
    ops(c)->accepted(c->stream, c->host_port);
    poll_stream(c);
}

void vsock_receive(struct vsock_conn *c, const struct vsock_packet *p, struct iobuf *payload)
{
    if (c->state == VSOCK_OVER) /* the answer is on its way */
        return;
    c->peer_alloc = p->buf_alloc;
    c->peer_fwd = p->fwd_cnt;
    bool is_answer = p->op == VIRTIO_VSOCK_OP_RESPONSE;
    if (p->op == VIRTIO_VSOCK_OP_RST)
        (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0 ? vsock_bury(c) : free_conn(c);
    else if (is_answer && c->state == VSOCK_ASKED)
        open_asked(c);
    else if (is_answer || c->state == VSOCK_ASKED || p->op == VIRTIO_VSOCK_OP_REQUEST ||
             p->op == VIRTIO_VSOCK_OP_INVALID || p->op >= VIRTIO_VSOCK_OPS)
        kill_conn(c); /* it is open already, or not yet; or this is nothing */
    else if (p->op == VIRTIO_VSOCK_OP_RW)
        receive_data(c, p, payload);
    else if (p->op == VIRTIO_VSOCK_OP_SHUTDOWN)
        receive_shutdown(c, p->flags);
    else if (p->op == VIRTIO_VSOCK_OP_CREDIT_REQUEST)
        vsock_make_due(c, VSOCK_DUE_CREDIT);
    else
        poll_stream(c); /* the credit that it brought */
}

bool vsock_accept(struct virtio_vsock *vs, const struct vsock_packet *p)
{
    struct vsock_conn *c = new_conn(vs, p->src_port, p->dst_port, p->type, VSOCK_OPEN);
    if (c == NULL)
        return false;
    c->stream = vs->backend->ops->connect(vs->backend, p->dst_port, vsock_has_messages(c), c);
    if (c->stream == NULL) {
        free_conn(c);
        return false;
    }
    c->peer_alloc = p->buf_alloc;
    c->peer_fwd = p->fwd_cnt;
    vsock_make_due(c, VSOCK_DUE_RESPONSE);
    poll_stream(c);
    return true;
}

const struct vsock_handler vsock_handler_ops = {
    .on_connect = on_connect,
    .on_gone = on_gone,
    .on_readable = on_readable,
    .on_writable = on_writable,
};
