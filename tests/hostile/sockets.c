// SPDX-License-Identifier: BSD-2-Clause
/* Guests that abuse virtio-vsock. */
#include <malloc.h>

#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "tests/harness/vsockreq.h"

#define OP(name) VIRTIO_VSOCK_OP_##name

/* Processes without end, of which none reads. */
static struct {
    uint16_t type; /* of the connections that connect_all() makes */
    struct vsock_stream streams[2 * VIRTIO_VSOCK_CONNS_MAX];
    unsigned opened, closed;
} host;

static struct vsock_stream *always_connect(struct vsock_backend *b, uint32_t host_port,
                                           bool has_messages, void *conn)
{
    (void)b;
    (void)has_messages;
    (void)host_port;
    cr_assert_lt(host.opened, ARRAY_SIZE(host.streams));
    host.streams[host.opened].conn = conn;
    return &host.streams[host.opened++];
}

static ssize_t read_nothing(struct vsock_stream *s, void *dst, size_t bytes)
{
    (void)s;
    (void)dst;
    (void)bytes;
    return -EAGAIN;
}

static ssize_t take_nothing(struct vsock_stream *s, const struct iovec *iov, unsigned count)
{
    (void)s;
    (void)iov;
    (void)count;
    return 0;
}

static void ignore(struct vsock_stream *s)
{
    (void)s;
}

static void ignore_poll(struct vsock_stream *s, bool readable, bool writable)
{
    (void)s;
    (void)readable;
    (void)writable;
}

static void count_close(struct vsock_stream *s)
{
    (void)s;
    host.closed++;
}

static const struct vsock_backend_ops endless = {.connect = always_connect,
                                                 .read = read_nothing,
                                                 .write = take_nothing,
                                                 .poll = ignore_poll,
                                                 .shut = ignore,
                                                 .close = count_close};

static void open_endless(struct rig *rig, const struct rig_config *config)
{
    rig_open_vsock_on(rig, config);
    rig->sockets.backend.ops = &endless;
    host.opened = host.closed = 0;
    host.type = VIRTIO_VSOCK_TYPE_STREAM;
    vsockreq_start(rig, 0);
}

/* Connects port after port; returns how many bytes it may send in all. */
static uint64_t connect_all(struct rig *rig, unsigned count, unsigned *refused)
{
    uint64_t credit = 0;
    struct vsockreq p;
    *refused = 0;
    for (unsigned i = 0; i < count; i++) {
        vsockreq_listen(rig, 1);
        p = vsockreq_make(OP(REQUEST), i, 52);
        p.type = host.type;
        vsockreq_send(rig, &p, "");
        unsigned op = vsockreq_take_op(rig, &p);
        cr_assert(op == OP(RESPONSE) || op == OP(RST));
        *refused += op == OP(RST);
        credit += op == OP(RESPONSE) ? p.buf_alloc : 0;
    }
    return credit;
}

OnEachRig(hostile_sockets, h110_connections_without_end, open_endless(rig, on))
{
    unsigned refused;
    struct mallinfo2 before = mallinfo2();
    uint64_t credit = connect_all(rig, VIRTIO_VSOCK_CONNS_MAX + 500, &refused);
    cr_expect_eq(refused, 500);
    cr_expect_eq(host.opened, VIRTIO_VSOCK_CONNS_MAX);
    cr_expect_leq(credit, VIRTIO_VSOCK_HELD_ALL + VIRTIO_VSOCK_CONNS_MAX * VIRTIO_VSOCK_HELD_MIN);
    cr_expect_lt(mallinfo2().uordblks - before.uordblks, 2 * MIB, "what is not sent takes nothing");
    vdrv_reset(&rig->drv);
    rig_step(rig);
    cr_expect_eq(host.closed, host.opened);
    vsockreq_start(rig, 0);
    connect_all(rig, 1, &refused);
    cr_expect_eq(refused, 0);
}

/* Nor does what is closed and not read. */
OnEachRig(hostile_sockets, h111_data_that_no_process_reads, open_endless(rig, on))
{
    static const uint8_t bytes[VIRTIO_VSOCK_HELD_MIN];
    struct vsockreq p;
    struct mallinfo2 before = mallinfo2();
    unsigned accepted = 0;
    for (unsigned i = 0; i < 2 * VIRTIO_VSOCK_CONNS_MAX; i++) {
        vsockreq_listen(rig, 2);
        vsockreq_op(rig, OP(REQUEST), i, 52);
        if (vsockreq_take_op(rig, &p) != OP(RESPONSE))
            break;
        accepted++;
        p = vsockreq_make(OP(RW), i, 52);
        p.len = sizeof(bytes);
        vsockreq_send(rig, &p, bytes);
        p = vsockreq_make(OP(SHUTDOWN), i, 52);
        p.flags = VIRTIO_VSOCK_SHUTDOWN_BOTH;
        vsockreq_send(rig, &p, "");
        cr_assert_eq(vsockreq_take_op(rig, &p), OP(RST));
    }
    cr_expect_eq(accepted, VIRTIO_VSOCK_CONNS_MAX);
    cr_expect_eq(host.closed, 0, "a process may yet read it");
    struct mallinfo2 now = mallinfo2();
    cr_expect_lt(now.uordblks + now.hblkhd - before.uordblks - before.hblkhd,
                 VIRTIO_VSOCK_HELD_ALL + VIRTIO_VSOCK_CONNS_MAX * VIRTIO_VSOCK_HELD_MIN + 4 * MIB);
    vdrv_reset(&rig->drv);
    rig_step(rig);
    cr_expect_eq(host.closed, host.opened);
}

/* Sends a piece of each connection, until one is refused. */
static void send_all(struct rig *rig, unsigned count, uint32_t len, uint32_t flags)
{
    static const uint8_t bytes[VIRTIO_VSOCK_HELD_MIN];
    for (unsigned i = 0; i < count; i++) {
        struct vsockreq p = vsockreq_make_seqpacket(OP(RW), i, 52);
        p.len = len;
        p.flags = flags;
        vsockreq_send(rig, &p, bytes);
    }
}

static size_t held_now(void)
{
    struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
}

/* With the marks of their ends an eighth more than bytes, whether they end or not. */
OnEachRig(hostile_sockets, h131_messages_that_never_end, open_endless(rig, on))
{
    const unsigned count = 200;
    unsigned refused;
    struct vsockreq p;
    host.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    size_t before = held_now();
    uint64_t credit = connect_all(rig, count, &refused);
    cr_expect_eq(refused, 0);
    for (unsigned i = 0; i < VIRTIO_VSOCK_HELD_MAX / VIRTIO_VSOCK_HELD_MIN; i++)
        send_all(rig, count, VIRTIO_VSOCK_HELD_MIN, VIRTIO_VSOCK_SEQ_EOR);
    cr_expect_lt(held_now() - before, credit + credit / 8 + 4 * MIB);
    for (unsigned i = 0; i < count; i++) {
        vsockreq_listen(rig, 1);
        cr_expect_eq(vsockreq_take_op(rig, &p), OP(RST), "it fills its room, and has no end");
    }
    cr_expect_eq(host.closed, count);
    cr_expect_lt(held_now() - before, 4 * MIB);
}

OnEachRig(hostile_sockets, h132_short_messages_without_end, open_endless(rig, on))
{
    const unsigned count = 20;
    unsigned refused;
    host.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    size_t before = held_now();
    uint64_t credit = connect_all(rig, count, &refused);
    for (unsigned i = 0; i < 3000; i++) {
        send_all(rig, count, 1, VIRTIO_VSOCK_SEQ_EOM);
        send_all(rig, count, 0, VIRTIO_VSOCK_SEQ_EOM | VIRTIO_VSOCK_SEQ_EOR);
    }
    cr_expect_lt(held_now() - before, credit + credit / 8 + 1 * MIB);
    cr_expect_eq(host.closed, 0);
}

OnEachRig(hostile_sockets, h48_packets_that_lie, rig_open_vsock_on(rig, on))
{
    static const uint32_t numbers[] = {0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    const unsigned count = ARRAY_SIZE(numbers);
    vsockreq_start(rig, 0);
    vsockreq_listen(rig, 32);
    for (unsigned i = 0; i < 12 * count * count; i++) {
        struct vsockreq p =
            vsockreq_make(OP(REQUEST), numbers[i % count], numbers[i / count % count]);
        const uint16_t type = p.type =
            i % 2 == 0 ? VIRTIO_VSOCK_TYPE_STREAM : VIRTIO_VSOCK_TYPE_SEQPACKET;
        vsockreq_send(rig, &p, "");
        p.op = (uint16_t)(i / count / count % 2 ? OP(RW) : i % 9);
        p.type = (uint16_t)(i % 5 == 4 ? 3 - type : type);
        p.len = numbers[(i + i / 7) % count];
        p.flags = p.buf_alloc = numbers[(i + i / 5) % count];
        p.fwd_cnt = numbers[(i + i / 11) % count];
        vsockreq_send_raw(rig, &p, "data", 4);
        while (vsockreq_take_op(rig, NULL) != 0)
            vsockreq_listen(rig, 1);
        cr_assert_not(rig_is_broken(rig));
        for (unsigned k = 0; k < FAKE_VSOCK_STREAMS; k++)
            cr_assert_leq(rig->sockets.streams[k].out_bytes, 4u * i + 4);
    }
}
