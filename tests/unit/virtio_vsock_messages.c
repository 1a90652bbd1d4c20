// SPDX-License-Identifier: BSD-2-Clause
/* virtio-vsock's connections of messages (SEQPACKET). */
#include "virtio/vsock/vsock.h"

#include "core/memory/iobuf.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "tests/harness/vsockreq.h"
#include "virtio/vsock/vsock_held.h"

#define OP(name) VIRTIO_VSOCK_OP_##name

static uint8_t pattern[FAKE_VSOCK_BYTES];

static void open_started(struct rig *rig)
{
    rig_open_vsock_on(rig, &(struct rig_config){0});
    vsockreq_start(rig, 0);
    for (unsigned i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 7 + i / 251);
}

#define OnVsock(name) OnRig(virtio_vsock_messages, name, open_started(rig))

static void send_piece(struct rig *rig, const void *bytes, uint32_t len, uint32_t flags)
{
    struct vsockreq p = vsockreq_make_seqpacket(OP(RW), 7, 52);
    p.len = len;
    p.flags = flags;
    vsockreq_send(rig, &p, bytes);
}

static void send_message(struct rig *rig, const void *bytes, uint32_t len)
{
    send_piece(rig, bytes, len, VIRTIO_VSOCK_SEQ_EOM);
}

static void expect_messages(const struct fake_stream *st, unsigned count, const uint32_t *lengths)
{
    cr_assert_eq(st->out_count, count);
    for (unsigned i = 0; i < count; i++)
        cr_expect_eq(st->out_lengths[i], lengths[i], "message %u", i);
}

/* The op, and the rest of it, of what the device must have sent. */
static struct vsockreq take(struct rig *rig, unsigned op)
{
    struct vsockreq p = {0};
    cr_assert_eq(vsockreq_take_op(rig, &p), op);
    cr_expect_eq(p.type, VIRTIO_VSOCK_TYPE_SEQPACKET);
    return p;
}

OnVsock(each_packet_with_an_end_is_a_message)
{
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    send_message(rig, "one", 3);
    send_piece(rig, "four", 4, VIRTIO_VSOCK_SEQ_EOM | VIRTIO_VSOCK_SEQ_EOR);
    expect_messages(st, 2, (uint32_t[]){3, 4});
    cr_expect_arr_eq(st->out, "onefour", 7);
}

OnVsock(the_pieces_of_a_message_wait_for_the_last)
{
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    send_piece(rig, "so", 2, 0);
    send_piece(rig, "me", 2, VIRTIO_VSOCK_SEQ_EOR);
    expect_messages(st, 0, NULL);
    send_piece(rig, "", 0, VIRTIO_VSOCK_SEQ_EOM); /* which needs no bytes */
    expect_messages(st, 1, (uint32_t[]){4});
    cr_expect_arr_eq(st->out, "some", 4);
}

OnVsock(a_message_of_no_bytes_is_none)
{
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    for (unsigned i = 0; i < 1000; i++)
        send_piece(rig, "", 0, i % 2 == 0 ? VIRTIO_VSOCK_SEQ_EOM : 0);
    send_message(rig, "x", 1);
    expect_messages(st, 1, (uint32_t[]){1});
}

OnVsock(messages_wait_for_their_process_one_by_one)
{
    rig->sockets.reads_nothing = true;
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    for (uint32_t i = 1; i <= 100; i++)
        send_message(rig, pattern + i * (i - 1) / 2, i);
    send_piece(rig, "unfinished", 10, 0);
    expect_messages(st, 0, NULL);
    fake_vsock_read(st, 10);
    rig_step(rig);
    expect_messages(st, 4, (uint32_t[]){1, 2, 3, 4});
    fake_vsock_read(st, 1 * MIB);
    rig_step(rig);
    cr_assert_eq(st->out_count, 100);
    for (uint32_t i = 0; i < 100; i++)
        cr_expect_eq(st->out_lengths[i], i + 1);
    cr_expect_arr_eq(st->out, pattern, 5050);
}

OnVsock(a_message_may_fill_the_buffer_and_not_be_longer)
{
    struct vsockreq p;
    vsockreq_listen(rig, 1);
    p = vsockreq_make_seqpacket(OP(REQUEST), 7, 52);
    vsockreq_send(rig, &p, "");
    uint32_t room = take(rig, OP(RESPONSE)).buf_alloc;
    struct fake_stream *st = &rig->sockets.streams[0];
    for (uint32_t sent = 0; sent < room; sent += room / 8)
        send_piece(rig, pattern + sent, room / 8, sent + room / 8 < room ? 0 : 1);
    expect_messages(st, 1, &room);
    cr_expect_arr_eq(st->out, pattern, room);
    vsockreq_listen(rig, 2);
    cr_expect_eq(take(rig, OP(CREDIT_UPDATE)).fwd_cnt, room);
    for (uint32_t sent = 0; sent < room; sent += room / 8)
        send_piece(rig, pattern, room / 8, 0);
    take(rig, OP(RST));
    cr_expect(st->closed);
    cr_expect_eq(st->out_count, 1);
}

/* Else guest and device would wait for each other. */
OnVsock(the_guest_is_told_of_room_while_its_message_is_unfinished)
{
    vsockreq_connect_messages(rig, 7, 52);
    send_message(rig, pattern, 60000);
    vsockreq_listen(rig, 4);
    cr_expect_eq(vsockreq_take_op(rig, NULL), 0, "it knows of room");
    for (unsigned i = 0; i < 3; i++)
        send_piece(rig, pattern, 60000, 0);
    vsockreq_listen(rig, 0);
    cr_expect_eq(take(rig, OP(CREDIT_UPDATE)).fwd_cnt, 60000);
    cr_expect_eq(vsockreq_take_op(rig, NULL), 0, "and once");
}

OnVsock(what_a_process_writes_is_cut_and_ends_with_the_message)
{
    struct vsockreq p;
    const uint8_t *payload;
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    fake_vsock_write(st, pattern, 10000);
    fake_vsock_write(st, "short", 5);
    vsockreq_listen(rig, 5);
    for (uint32_t got = 0; got < 10000; got += p.len) {
        cr_assert(vsockreq_take(rig, &p, &payload));
        cr_expect_eq(p.op, OP(RW));
        cr_expect_eq(p.flags, got + p.len == 10000 ? VIRTIO_VSOCK_SEQ_EOM : 0);
        cr_expect_arr_eq(payload, pattern + got, p.len);
    }
    cr_assert(vsockreq_take(rig, &p, &payload));
    cr_expect_eq(p.flags, VIRTIO_VSOCK_SEQ_EOM);
    cr_expect_eq(p.len, 5);
}

/* The guest is asked, and when it has read what it has, the message comes in one. */
OnVsock(a_message_waits_until_the_guest_has_room_for_all_of_it)
{
    struct vsockreq p = vsockreq_make_seqpacket(OP(CREDIT_UPDATE), 7, 52);
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    p.buf_alloc = 4000;
    vsockreq_send(rig, &p, "");
    fake_vsock_write(st, pattern, 2500);
    fake_vsock_write(st, pattern, 2500);
    vsockreq_listen(rig, 4);
    cr_expect_eq(take(rig, OP(RW)).len, 2500);
    take(rig, OP(CREDIT_REQUEST));
    cr_expect_eq(vsockreq_take_op(rig, NULL), 0);
    p.fwd_cnt = 500;
    vsockreq_send(rig, &p, "");
    rig_step(rig);
    cr_expect_eq(vsockreq_take_op(rig, NULL), 0, "not enough");
    p.fwd_cnt = 2500;
    vsockreq_send(rig, &p, "");
    rig_step(rig);
    struct vsockreq message = take(rig, OP(RW));
    cr_expect_eq(message.len, 2500);
    cr_expect_eq(message.flags, VIRTIO_VSOCK_SEQ_EOM);
}

OnVsock(a_message_for_which_the_guest_has_no_buffer_ends_the_connection)
{
    struct vsockreq p = vsockreq_make_seqpacket(OP(CREDIT_UPDATE), 7, 52);
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    p.buf_alloc = 4000;
    vsockreq_send(rig, &p, "");
    fake_vsock_write(st, pattern, 4001);
    vsockreq_listen(rig, 1);
    take(rig, OP(RST));
    cr_expect(st->closed);
    p = vsockreq_make_seqpacket(OP(REQUEST), 8, 53);
    p.buf_alloc = UINT32_MAX; /* nor one that is longer than is held here */
    vsockreq_listen(rig, 2);
    vsockreq_send(rig, &p, "");
    take(rig, OP(RESPONSE));
    fake_vsock_write(&rig->sockets.streams[1], pattern, VIRTIO_VSOCK_MESSAGE_MAX + 1);
    rig_step(rig);
    take(rig, OP(RST));
}

/* Then the message that waits has none, either. */
OnVsock(a_guest_may_make_its_buffer_smaller)
{
    struct vsockreq p = vsockreq_make_seqpacket(OP(CREDIT_UPDATE), 7, 52);
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    p.buf_alloc = 4000;
    vsockreq_send(rig, &p, "");
    fake_vsock_write(st, pattern, 1000);
    fake_vsock_write(st, pattern, 3500);
    vsockreq_listen(rig, 3);
    take(rig, OP(RW));
    take(rig, OP(CREDIT_REQUEST));
    p.buf_alloc = 3000;
    p.fwd_cnt = 1000;
    vsockreq_send(rig, &p, "");
    rig_step(rig);
    take(rig, OP(RST));
}

OnVsock(a_process_connects_with_messages)
{
    struct fake_stream *st = fake_vsock_ask_messages(&rig->sockets, 1000);
    vsockreq_listen(rig, 2);
    uint32_t port = take(rig, OP(REQUEST)).src_port;
    struct vsockreq p = vsockreq_make_seqpacket(OP(RESPONSE), 1000, port);
    vsockreq_send(rig, &p, "");
    cr_expect(st->accepted);
    fake_vsock_write(st, "hello", 5);
    rig_step(rig);
    cr_expect_eq(take(rig, OP(RW)).flags, VIRTIO_VSOCK_SEQ_EOM);
}

/* Its credit counts; the rest goes, since an end never comes. */
OnVsock(an_unfinished_message_goes_with_its_connection)
{
    struct vsockreq p = vsockreq_make_seqpacket(OP(SHUTDOWN), 7, 52);
    rig->sockets.reads_nothing = true;
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    send_message(rig, "whole", 5);
    send_piece(rig, "half", 4, 0);
    p.flags = VIRTIO_VSOCK_SHUTDOWN_BOTH;
    vsockreq_listen(rig, 1);
    vsockreq_send(rig, &p, "");
    take(rig, OP(RST));
    cr_expect_not(st->closed, "the process has yet to read");
    fake_vsock_read(st, 100);
    rig_step(rig);
    expect_messages(st, 1, (uint32_t[]){5});
    cr_expect(st->closed);
}

OnVsock(the_end_of_writing_comes_after_the_messages)
{
    struct vsockreq p = vsockreq_make_seqpacket(OP(SHUTDOWN), 7, 52);
    rig->sockets.reads_nothing = true;
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    send_message(rig, "first", 5);
    send_message(rig, "second", 6);
    send_piece(rig, "half", 4, 0);
    p.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
    vsockreq_send(rig, &p, "");
    fake_vsock_read(st, 5);
    rig_step(rig);
    cr_expect_not(st->shut);
    fake_vsock_read(st, 100);
    rig_step(rig);
    expect_messages(st, 2, (uint32_t[]){5, 6});
    cr_expect(st->shut);
    fake_vsock_write(st, "back", 4);
    fake_vsock_end(st);
    vsockreq_listen(rig, 2);
    cr_expect_eq(take(rig, OP(RW)).len, 4);
    cr_expect_eq(take(rig, OP(SHUTDOWN)).flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
}

OnVsock(a_process_that_leaves_while_its_messages_wait)
{
    rig->sockets.reads_nothing = true;
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    send_message(rig, "first", 5);
    fake_vsock_leave(st);
    vsockreq_listen(rig, 1);
    take(rig, OP(RST));
    cr_expect(st->closed);
}

/* The same ports, and another type: neither touches the other. */
OnVsock(a_packet_of_another_type_is_of_no_connection)
{
    struct vsockreq p = vsockreq_make(OP(RW), 7, 52), answer;
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    p.len = 1;
    vsockreq_listen(rig, 2);
    vsockreq_send(rig, &p, "x");
    cr_expect_eq(vsockreq_take_op(rig, &answer), OP(RST));
    cr_expect_eq(answer.type, VIRTIO_VSOCK_TYPE_STREAM);
    p = vsockreq_make(OP(REQUEST), 7, 52);
    vsockreq_send(rig, &p, "");
    cr_expect_eq(vsockreq_take_op(rig, NULL), OP(RST));
    send_message(rig, "y", 1);
    expect_messages(st, 1, (uint32_t[]){1});
}

OnVsock(a_message_that_was_begun_is_not_of_the_next_connection_of_the_ports)
{
    struct vsockreq p = vsockreq_make_seqpacket(OP(RST), 7, 52);
    vsockreq_connect_messages(rig, 7, 52);
    send_piece(rig, "old", 3, 0);
    vsockreq_send(rig, &p, "");
    struct fake_stream *st = vsockreq_connect_messages(rig, 7, 52);
    send_message(rig, "new", 3);
    expect_messages(st, 1, (uint32_t[]){3});
    cr_expect_arr_eq(st->out, "new", 3);
}

Test(virtio_vsock_messages, are_there_when_they_were_negotiated)
{
    struct rig rig;
    struct vsockreq p = vsockreq_make_seqpacket(OP(REQUEST), 7, 52);
    open_started(&rig);
    vsockreq_start_with(&rig, VIRTIO_BIT(VIRTIO_VSOCK_F_STREAM));
    vsockreq_listen(&rig, 1);
    vsockreq_send(&rig, &p, "");
    cr_expect_eq(vsockreq_take_op(&rig, NULL), OP(RST));
    cr_expect_null(fake_vsock_ask_messages(&rig.sockets, 1000));
    rig_close(&rig);
}

/* ---- what is held ---- */

Test(virtio_vsock_messages, are_held_in_a_ring_with_their_ends)
{
    static const uint32_t sizes[] = {1, 7, 8, 9, 64, 100};
    uint8_t next_in = 0, next_out = 0, bytes[100];
    for (uint32_t size = 100; size <= 108; size++) {
        struct vsock_held h;
        vsock_held_init(&h, size, true);
        for (unsigned i = 0; i < 600; i++) {
            uint32_t len = sizes[i % ARRAY_SIZE(sizes)];
            if (len > size - h.bytes) {
                struct iovec iov[2];
                unsigned count = vsock_held_next(&h, iov);
                for (unsigned v = 0; v < count; v++)
                    for (size_t b = 0; b < iov[v].iov_len; b++)
                        cr_assert_eq(((uint8_t *)iov[v].iov_base)[b], next_out++);
                vsock_held_take(&h, (uint32_t)iov[0].iov_len +
                                        (count > 1 ? (uint32_t)iov[1].iov_len : 0));
                continue;
            }
            for (uint32_t b = 0; b < len; b++)
                bytes[b] = next_in++;
            struct iovec iov = {bytes, len};
            struct iobuf payload = iobuf_init(&iov, 1);
            cr_assert(vsock_held_put(&h, &payload));
            cr_assert_eq(h.partial, len);
            vsock_held_end(&h);
        }
        next_out = next_in;
        vsock_held_fini(&h);
    }
}
