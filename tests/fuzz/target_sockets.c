// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-vsock between a guest that keeps to the rules and processes that do as they like. The
 * first byte is the transport; then a list of steps, a byte each, with a connection and a number.
 *
 * The model is the other end of each connection: what was sent and read, where messages end, and
 * the credit that each has given. Every packet and every byte is looked at, and in the end, when
 * all is read, all that was sent has arrived.
 */
#include <string.h>

#include "core/base/xmath.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/harness/vsockreq.h"

#define CONNS      4u
#define STEPS_MAX  400u
#define CHUNK      4000u
#define ALLOC      3000u /* the guest's room at first */
#define GUEST_PORT 10u   /* of the first connection; each has a new one */
#define HOST_PORT  500u

#define OP(name) VIRTIO_VSOCK_OP_##name

/* Of one direction. */
struct messages {
    uint32_t lengths[STEPS_MAX];
    unsigned sent, got;
    uint32_t partial; /* of the one that has yet to end: sent by the guest, or got by it */
};

struct conn {
    bool has_messages;
    struct messages from_guest, from_process;
    bool is_there; /* the guest has a socket */
    bool is_open;  /* and it is connected */
    bool is_asked; /* by a process, whose request has not come */
    bool left;     /* the process has gone, or something else has ended it early */
    struct fake_stream *st;
    uint32_t guest_port, host_port;
    uint64_t sent;          /* by the guest */
    uint64_t seen;          /* of it, at the process */
    uint64_t wrote;         /* by the process */
    uint64_t got, consumed; /* by the guest */
    uint32_t alloc;         /* the guest's room */
    uint32_t peer_alloc, peer_fwd;
    unsigned guest_shut, host_shut;
};

static struct bench {
    struct rig rig;
    struct conn conns[CONNS];
    uint32_t ports;   /* that were used */
    unsigned buffers; /* that the device has */
    unsigned packets; /* of the last step */
} bench;

/* Of a stream in one direction. */
static uint8_t pattern(const struct conn *c, bool from_guest, uint64_t at)
{
    return (uint8_t)(at * 5 + at / 253 + c->guest_port * 31 + from_guest);
}

static unsigned type_of(const struct conn *c)
{
    return c->has_messages ? VIRTIO_VSOCK_TYPE_SEQPACKET : VIRTIO_VSOCK_TYPE_STREAM;
}

static struct vsockreq make(const struct conn *c, unsigned op)
{
    struct vsockreq p = vsockreq_make(op, c->guest_port, c->host_port);
    p.type = (uint16_t)type_of(c);
    p.buf_alloc = c->alloc;
    p.fwd_cnt = (uint32_t)c->consumed;
    return p;
}

static void say(struct bench *b, const struct conn *c, unsigned op, uint32_t flags)
{
    struct vsockreq p = make(c, op);
    p.flags = flags;
    vsockreq_send(&b->rig, &p, "");
}

/* ---- what the device sends ---- */

static void check_piece(struct messages *m, const struct vsockreq *p)
{
    m->partial += p->len;
    fuzz_check(m->got < m->sent && m->partial <= m->lengths[m->got], "a message is too long");
    fuzz_check((p->flags == VIRTIO_VSOCK_SEQ_EOM) == (m->partial == m->lengths[m->got]),
               "a message ends after %u of %u bytes", m->partial, m->lengths[m->got]);
    if (p->flags == 0)
        return;
    m->got++;
    m->partial = 0;
}

static void check_data(struct conn *c, const struct vsockreq *p, const uint8_t *payload)
{
    fuzz_check(c->is_open && (c->host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) == 0,
               "data of a connection that is not open");
    fuzz_check(c->got + p->len - c->consumed <= c->alloc, "%u bytes more than there is credit for",
               p->len);
    fuzz_check(p->len > 0 && c->got + p->len <= c->wrote, "bytes that nobody wrote");
    for (uint32_t i = 0; i < p->len; i++, c->got++)
        fuzz_check(payload[i] == pattern(c, false, c->got), "byte %llu is wrong",
                   (unsigned long long)c->got);
    if (c->has_messages)
        check_piece(&c->from_process, p);
}

static void check_credit(struct conn *c, const struct vsockreq *p)
{
    uint32_t under_way = (uint32_t)c->sent - p->fwd_cnt;
    fuzz_check(p->buf_alloc >= VIRTIO_VSOCK_HELD_MIN && p->buf_alloc <= VIRTIO_VSOCK_HELD_MAX,
               "a room of %u bytes", p->buf_alloc);
    fuzz_check(c->peer_alloc == 0 || p->buf_alloc == c->peer_alloc, "the room changes");
    fuzz_check(under_way <= p->buf_alloc && p->fwd_cnt - c->peer_fwd <= (uint32_t)c->sent,
               "it has forwarded %u bytes of %llu", p->fwd_cnt, (unsigned long long)c->sent);
    c->peer_alloc = p->buf_alloc;
    c->peer_fwd = p->fwd_cnt;
}

/* A process asks: some guests do not listen. */
static void answer(struct bench *b, const struct vsockreq *p)
{
    for (unsigned i = 0; i < CONNS; i++) {
        struct conn *c = &b->conns[i];
        if (!c->is_asked || c->guest_port != p->dst_port)
            continue;
        c->is_asked = false;
        c->host_port = p->src_port;
        fuzz_check(p->type == type_of(c), "a request of type %u", p->type);
        check_credit(c, p);
        if (c->guest_port % 8 == 0) {
            say(b, c, OP(RST), 0);
            c->left = true;
            return;
        }
        c->is_there = c->is_open = true;
        say(b, c, OP(RESPONSE), 0);
        fuzz_check(c->left || c->st == NULL || c->st->accepted, "a process is not told");
        return;
    }
    fuzz_check(false, "a request for port %u, which nobody made", p->dst_port);
}

static struct conn *find(struct bench *b, const struct vsockreq *p)
{
    for (unsigned i = 0; i < CONNS; i++)
        if (b->conns[i].is_there && b->conns[i].guest_port == p->dst_port &&
            b->conns[i].host_port == p->src_port)
            return &b->conns[i];
    return NULL;
}

static void hear(struct bench *b, const struct vsockreq *p, const uint8_t *payload)
{
    fuzz_check(p->src_cid == VIRTIO_VSOCK_CID_HOST && p->dst_cid == RIG_CID,
               "a packet from %llu to %llu", (unsigned long long)p->src_cid,
               (unsigned long long)p->dst_cid);
    if (p->op == OP(REQUEST)) {
        answer(b, p);
        return;
    }
    struct conn *c = find(b, p);
    if (c == NULL) {
        fuzz_check(p->op == OP(RST), "packet %u of no connection", p->op);
        return;
    }
    fuzz_check(p->type == type_of(c), "a packet of type %u", p->type);
    if (p->op != OP(RST) || p->buf_alloc != 0) /* a refusal has none */
        check_credit(c, p);
    switch (p->op) {
    case OP(RESPONSE):
        fuzz_check(!c->is_open, "a second response");
        c->is_open = true;
        break;
    case OP(RW):
        check_data(c, p, payload);
        break;
    case OP(SHUTDOWN):
        fuzz_check((c->host_shut | p->flags) != c->host_shut, "it ends twice");
        c->host_shut |= p->flags;
        break;
    case OP(RST):
        fuzz_check(c->left || !c->is_open || c->guest_shut == VIRTIO_VSOCK_SHUTDOWN_BOTH,
                   "a connection breaks off");
        c->is_there = c->is_open = false;
        break;
    case OP(CREDIT_REQUEST):
        fuzz_check(c->is_open && c->has_messages, "it asks for credit");
        say(b, c, OP(CREDIT_UPDATE), 0);
        break;
    default:
        fuzz_check(p->op == OP(CREDIT_UPDATE), "packet %u", p->op);
        break;
    }
}

/* ---- what processes have read ---- */

/* A message that never ended does not arrive. */
static bool has_all(const struct conn *c)
{
    return c->st->out_bytes == c->sent - c->from_guest.partial &&
           c->st->out_count == c->from_guest.sent;
}

static void check_process(struct conn *c)
{
    struct fake_stream *st = c->st;
    if (st == NULL)
        return;
    fuzz_check(st->out_bytes <= c->sent, "a process reads more than was sent");
    for (; c->seen < min_u64(st->out_bytes, FAKE_VSOCK_BYTES); c->seen++)
        fuzz_check(st->out[c->seen] == pattern(c, true, c->seen),
                   "byte %llu to the process is wrong", (unsigned long long)c->seen);
    struct messages *m = &c->from_guest;
    fuzz_check(st->out_count <= m->sent, "a process reads more messages than were sent");
    for (; m->got < st->out_count; m->got++)
        fuzz_check(st->out_lengths[m->got] == m->lengths[m->got],
                   "message %u has %u bytes instead of %u", m->got, st->out_lengths[m->got],
                   m->lengths[m->got]);
    if (!st->closed)
        return;
    fuzz_check(c->left || (c->guest_shut == VIRTIO_VSOCK_SHUTDOWN_BOTH && has_all(c)),
               "a process is left after %llu of %llu bytes", (unsigned long long)st->out_bytes,
               (unsigned long long)c->sent);
    c->st = NULL;
}

static void look(struct bench *b)
{
    struct vsockreq p;
    const uint8_t *payload;
    rig_step(&b->rig);
    b->packets = 0;
    while (vsockreq_take(&b->rig, &p, &payload)) {
        b->buffers--;
        b->packets++;
        hear(b, &p, payload);
    }
    for (unsigned i = 0; i < CONNS; i++)
        check_process(&b->conns[i]);
    fuzz_check(!rig_is_broken(&b->rig), "the device needs a reset");
}

/* ---- steps ---- */

/* The process of a connection that was begun just now. */
static struct fake_stream *newest(struct bench *b)
{
    struct fake_vsock *v = &b->rig.sockets;
    return &v->streams[(v->next - 1) % FAKE_VSOCK_STREAMS];
}

static void begin(struct bench *b, struct conn *c, bool by_guest)
{
    if (c->is_there || c->is_asked || c->st != NULL)
        return;
    uint32_t n = b->ports++;
    *c = (struct conn){.has_messages = n % 2,
                       .guest_port = GUEST_PORT + n,
                       .host_port = HOST_PORT + n,
                       .alloc = ALLOC};
    if (by_guest) {
        unsigned before = b->rig.sockets.opened;
        c->is_there = true;
        say(b, c, OP(REQUEST), 0);
        c->st = b->rig.sockets.opened > before ? newest(b) : NULL;
        c->left = c->st == NULL;
    } else {
        c->st = c->has_messages ? fake_vsock_ask_messages(&b->rig.sockets, c->guest_port)
                                : fake_vsock_ask(&b->rig.sockets, c->guest_port);
        c->is_asked = c->st != NULL;
    }
}

/* Of a guest that ends its messages before they fill the device's buffer. */
static uint32_t end_message(struct conn *c, uint32_t bytes, bool ends)
{
    struct messages *m = &c->from_guest;
    m->partial += bytes;
    if (!c->has_messages || (!ends && m->partial < c->peer_alloc)) {
        m->partial = c->has_messages ? m->partial : 0;
        return 0;
    }
    if (m->partial > 0)
        m->lengths[m->sent++] = m->partial;
    m->partial = 0;
    return VIRTIO_VSOCK_SEQ_EOM;
}

static void guest_sends(struct bench *b, struct conn *c, uint32_t bytes, bool ends)
{
    uint8_t data[CHUNK];
    uint32_t under_way = (uint32_t)c->sent - c->peer_fwd;
    bytes = (uint32_t)min_u64(bytes, c->peer_alloc - under_way);
    if (!c->is_open || (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0)
        return;
    struct vsockreq p = make(c, OP(RW));
    p.len = bytes;
    p.flags = end_message(c, bytes, ends);
    for (uint32_t i = 0; i < bytes; i++)
        data[i] = pattern(c, true, c->sent + i);
    c->sent += bytes;
    vsockreq_send(&b->rig, &p, data);
}

static void process_writes(struct conn *c, uint32_t bytes)
{
    uint8_t data[CHUNK];
    if (c->has_messages) /* of no more bytes than the guest had room for when it began */
        bytes = 1 + bytes % ALLOC;
    if (c->st == NULL || c->st->in_end || c->st->gone != 0 ||
        c->st->in_bytes + bytes > FAKE_VSOCK_BYTES)
        return;
    for (uint32_t i = 0; i < bytes; i++)
        data[i] = pattern(c, false, c->wrote + i);
    c->wrote += bytes;
    if (c->has_messages)
        c->from_process.lengths[c->from_process.sent++] = bytes;
    fake_vsock_write(c->st, data, bytes);
}

static void consume(struct bench *b, struct conn *c)
{
    c->consumed = c->got;
    if (c->is_open)
        say(b, c, OP(CREDIT_UPDATE), 0);
}

static void give(struct bench *b, unsigned count)
{
    count = (unsigned)min_u64(count, VSOCKREQ_SIZE - b->buffers);
    b->buffers += count;
    vsockreq_listen(&b->rig, count);
}

static void step(struct bench *b, struct fuzz_input *in)
{
    unsigned what = (unsigned)fuzz_take(in, 1);
    struct conn *c = &b->conns[what / 16 % CONNS];
    uint32_t number = (uint32_t)fuzz_take(in, 2) % (CHUNK + 1);
    switch (what % 16) {
    case 0:
    case 1:
        begin(b, c, what % 2);
        break;
    case 2:
    case 3:
        guest_sends(b, c, number, number % 3 != 0);
        break;
    case 4:
    case 5:
        process_writes(c, number);
        break;
    case 6:
    case 7:
        if (c->st != NULL)
            fake_vsock_read(c->st, number);
        break;
    case 8:
        consume(b, c);
        break;
    case 9:
        if (!c->is_open || number % 4 == 0)
            break;
        c->guest_shut |= number % 4;
        say(b, c, OP(SHUTDOWN), c->guest_shut);
        break;
    case 10:
        if (c->st != NULL)
            fake_vsock_end(c->st);
        break;
    case 11:
        if (c->st == NULL)
            break;
        c->left = true;
        fake_vsock_leave(c->st);
        break;
    case 12:
        if (c->is_open)
            say(b, c, OP(CREDIT_REQUEST), 0);
        break;
    case 13:
        c->alloc = (uint32_t)max_u64(c->alloc, number * UINT64_C(10));
        break;
    default:
        give(b, 1 + number % 8);
        break;
    }
    look(b);
}

/* All is read at both ends. */
static void finish(struct bench *b)
{
    for (unsigned round = 0; round == 0 || b->packets > 0; round++) {
        fuzz_check(round < 1000, "it never comes to rest");
        give(b, VSOCKREQ_SIZE);
        for (unsigned i = 0; i < CONNS; i++) {
            if (b->conns[i].has_messages && round == 0)
                guest_sends(b, &b->conns[i], 0, true);
            if (b->conns[i].st != NULL && b->conns[i].st->room < FAKE_VSOCK_BYTES)
                fake_vsock_read(b->conns[i].st, FAKE_VSOCK_BYTES);
            consume(b, &b->conns[i]);
        }
        look(b);
    }
    for (unsigned i = 0; i < CONNS; i++) {
        struct conn *c = &b->conns[i];
        if (!c->is_open || c->left)
            continue;
        fuzz_check(c->st != NULL && has_all(c), "of what the guest sent not all has arrived");
        fuzz_check((c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) != 0 || c->got == c->wrote,
                   "of what a process wrote not all has arrived");
    }
}

static void run(struct fuzz_input *in)
{
    struct bench *b = &bench;
    *b = (struct bench){0};
    struct rig_config config = rig_variants[fuzz_take(in, 1) % RIG_VARIANTS];
    rig_open_vsock_on(&b->rig, &config);
    vsockreq_start(&b->rig, 0);
    b->rig.sockets.reads_nothing = true;
    for (unsigned i = 0; i < STEPS_MAX && in->left > 0; i++)
        step(b, in);
    finish(b);
    rig_close(&b->rig);
}

const struct fuzz_target fuzz_target_sockets = {
    .name = "sockets", .run = fuzz_run_bytes, .bytes = run};
