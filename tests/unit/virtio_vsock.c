// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vsock/vsock.h"

#include "core/state/state.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "tests/harness/vsockreq.h"

#define OP(name) VIRTIO_VSOCK_OP_##name

static uint8_t pattern[FAKE_VSOCK_BYTES];

static void open_started(struct rig *rig)
{
    rig_open_vsock_on(rig, &(struct rig_config){0});
    vsockreq_start(rig, 0);
    for (unsigned i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 7 + i / 251);
}

#define OnVsock(name) OnRig(virtio_vsock, name, open_started(rig))

/* A process has asked for port 1000 of the guest, which has accepted. */
static struct fake_stream *accept_one(struct rig *rig, struct vsockreq *request)
{
    struct fake_stream *st = fake_vsock_ask(&rig->sockets, 1000);
    cr_assert_not_null(st);
    vsockreq_listen(rig, 1);
    cr_assert_eq(vsockreq_take_op(rig, request), OP(REQUEST));
    vsockreq_op(rig, OP(RESPONSE), 1000, request->src_port);
    return st;
}

static void send_bytes(struct rig *rig, uint32_t guest_port, uint32_t host_port, const void *bytes,
                       uint32_t len)
{
    struct vsockreq p = vsockreq_make(OP(RW), guest_port, host_port);
    p.len = len;
    vsockreq_send(rig, &p, bytes);
}

OnVsock(the_guest_knows_its_address)
{
    uint8_t cid[8];
    vdrv_config_read(&rig->drv, 0, cid, sizeof(cid));
    cr_expect_eq(le64_get(cid), RIG_CID);
}

OnVsock(a_guest_connects_and_both_speak)
{
    struct vsockreq p;
    const uint8_t *payload;
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    send_bytes(rig, 7, 52, "hello", 5);
    cr_expect_eq(st->out_bytes, 5);
    cr_expect_arr_eq(st->out, "hello", 5);
    fake_vsock_write(st, "welcome", 7);
    vsockreq_listen(rig, 1);
    cr_assert(vsockreq_take(rig, &p, &payload));
    cr_expect_eq(p.op, OP(RW));
    cr_expect_eq(p.src_cid, VIRTIO_VSOCK_CID_HOST);
    cr_expect_eq(p.dst_cid, RIG_CID);
    cr_expect_eq(p.src_port, 52);
    cr_expect_eq(p.dst_port, 7);
    cr_expect_eq(p.len, 7);
    cr_expect_arr_eq(payload, "welcome", 7);
    cr_expect_eq(p.fwd_cnt, 5, "the process has had five bytes");
}

OnVsock(a_process_connects_and_is_told_when_the_guest_accepts)
{
    struct vsockreq p;
    const uint8_t *payload;
    struct fake_stream *st = fake_vsock_ask(&rig->sockets, 1000);
    fake_vsock_write(st, "early", 5);
    vsockreq_listen(rig, 2);
    cr_assert_eq(vsockreq_take_op(rig, &p), OP(REQUEST));
    cr_expect_eq(p.dst_port, 1000);
    cr_expect_not(st->accepted);
    cr_expect_eq(vsockreq_take_op(rig, NULL), 0, "nothing before the guest has accepted");
    vsockreq_op(rig, OP(RESPONSE), 1000, p.src_port);
    cr_expect(st->accepted);
    cr_assert(vsockreq_take(rig, &p, &payload));
    cr_expect_eq(p.op, OP(RW));
    cr_expect_arr_eq(payload, "early", 5);
}

OnVsock(a_guest_that_does_not_listen_says_so)
{
    struct vsockreq p;
    struct fake_stream *st = fake_vsock_ask(&rig->sockets, 1000);
    vsockreq_listen(rig, 1);
    vsockreq_take_op(rig, &p);
    vsockreq_op(rig, OP(RST), 1000, p.src_port);
    cr_expect(st->closed);
    cr_expect_not(st->accepted);
}

OnVsock(a_process_may_leave_before_the_guest_answers)
{
    struct vsockreq p;
    struct fake_stream *st = fake_vsock_ask(&rig->sockets, 1000);
    vsockreq_listen(rig, 2);
    vsockreq_take_op(rig, &p);
    rig->sockets.backend.handler->on_gone(st->s.conn);
    rig_step(rig);
    cr_expect_eq(vsockreq_take_op(rig, NULL), OP(RST));
    cr_expect(st->closed);
    vsockreq_op(rig, OP(RESPONSE), 1000, p.src_port); /* it was under way */
    vsockreq_listen(rig, 1);
    cr_expect_eq(vsockreq_take_op(rig, NULL), OP(RST));
}

OnVsock(a_port_of_the_host_without_a_process_is_reset)
{
    struct vsockreq p;
    vsockreq_listen(rig, 1);
    vsockreq_op(rig, OP(REQUEST), 7, FAKE_VSOCK_NOBODY);
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(RST));
    cr_expect_eq(p.src_port, FAKE_VSOCK_NOBODY);
    cr_expect_eq(p.dst_port, 7);
}

OnVsock(processes_are_refused_before_a_driver_runs)
{
    vdrv_reset(&rig->drv);
    cr_expect_null(fake_vsock_ask(&rig->sockets, 1000));
}

OnVsock(connections_of_the_same_port_are_told_apart)
{
    struct vsockreq first, second;
    struct fake_stream *a = accept_one(rig, &first), *b = accept_one(rig, &second);
    cr_assert_neq(first.src_port, second.src_port);
    send_bytes(rig, 1000, second.src_port, "b", 1);
    cr_expect_eq(a->out_bytes, 0);
    cr_expect_eq(b->out_bytes, 1);
}

/* ---- credit ---- */

OnVsock(no_more_is_sent_than_the_guest_has_room_for)
{
    struct vsockreq p;
    const uint8_t *payload;
    uint32_t got = 0;
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    p = vsockreq_make(OP(CREDIT_UPDATE), 7, 52);
    p.buf_alloc = 10000;
    vsockreq_send(rig, &p, "");
    fake_vsock_write(st, pattern, 30000);
    vsockreq_listen(rig, 16);
    while (vsockreq_take(rig, &p, &payload)) {
        cr_assert_eq(p.op, OP(RW));
        cr_expect_arr_eq(payload, pattern + got, p.len);
        got += p.len;
    }
    cr_expect_eq(got, 10000);
    p = vsockreq_make(OP(CREDIT_UPDATE), 7, 52);
    p.buf_alloc = 10000;
    p.fwd_cnt = 6000;
    vsockreq_send(rig, &p, "");
    while (vsockreq_take(rig, &p, &payload)) {
        cr_expect_arr_eq(payload, pattern + got, p.len);
        got += p.len;
    }
    cr_expect_eq(got, 16000);
}

/* What the guest says it has read cannot be more than it was sent: no room. */
OnVsock(credit_that_makes_no_sense_is_none)
{
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    struct vsockreq p = vsockreq_make(OP(CREDIT_UPDATE), 7, 52);
    p.fwd_cnt = 1000;
    vsockreq_send(rig, &p, "");
    fake_vsock_write(st, "x", 1);
    vsockreq_listen(rig, 1);
    cr_expect_eq(vsockreq_take_op(rig, NULL), 0);
}

OnVsock(what_a_process_does_not_read_waits_and_no_more_than_the_credit)
{
    struct vsockreq p;
    uint32_t sent = 0;
    rig->sockets.reads_nothing = true;
    vsockreq_listen(rig, 1);
    vsockreq_op(rig, OP(REQUEST), 7, 52);
    cr_assert_eq(vsockreq_take_op(rig, &p), OP(RESPONSE));
    struct fake_stream *st = &rig->sockets.streams[0];
    uint32_t room = p.buf_alloc;
    cr_assert_leq(room, VIRTIO_VSOCK_HELD_MAX);
    for (uint32_t n; sent < room; sent += n) {
        n = (uint32_t)min_u64(room - sent, 60000);
        send_bytes(rig, 7, 52, pattern + sent, n);
    }
    cr_expect_eq(st->out_bytes, 0);
    fake_vsock_read(st, 1000);
    vsockreq_listen(rig, 4);
    cr_expect_eq(st->out_bytes, 1000);
    cr_expect_eq(vsockreq_take_op(rig, &p), 0, "that is too little to tell the guest of");
    send_bytes(rig, 7, 52, pattern + sent, 1000); /* the ring of what waits wraps */
    sent += 1000;
    fake_vsock_read(st, UINT64_MAX / 2);
    rig_step(rig);
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(CREDIT_UPDATE));
    cr_expect_eq(p.fwd_cnt, sent);
    cr_assert_eq(st->out_bytes, sent);
    cr_expect_arr_eq(st->out, pattern, sent);
}

OnVsock(more_than_the_credit_ends_the_connection)
{
    struct vsockreq p;
    rig->sockets.reads_nothing = true;
    vsockreq_listen(rig, 2);
    vsockreq_op(rig, OP(REQUEST), 7, 52);
    vsockreq_take_op(rig, &p);
    for (uint32_t sent = 0; sent <= p.buf_alloc; sent += 60000)
        send_bytes(rig, 7, 52, pattern, 60000);
    cr_expect_eq(vsockreq_take_op(rig, NULL), OP(RST));
    cr_expect(rig->sockets.streams[0].closed);
}

OnVsock(a_guest_may_ask_for_its_credit)
{
    struct vsockreq p;
    vsockreq_connect(rig, 7, 52);
    send_bytes(rig, 7, 52, "abc", 3);
    vsockreq_listen(rig, 1);
    vsockreq_op(rig, OP(CREDIT_REQUEST), 7, 52);
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(CREDIT_UPDATE));
    cr_expect_eq(p.fwd_cnt, 3);
    cr_expect_gt(p.buf_alloc, 0);
}

/* Counts of bytes wrap at 4 GiB, here by what the guest says it has forwarded before. */
OnVsock(many_connections_get_less_room_each)
{
    struct vsockreq p;
    uint32_t first = 0;
    for (uint32_t port = 1; port <= 400; port++) {
        vsockreq_listen(rig, 1);
        vsockreq_op(rig, OP(REQUEST), port, 52);
        if (port > FAKE_VSOCK_STREAMS) { /* the host has no more processes */
            cr_assert_eq(vsockreq_take_op(rig, &p), OP(RST));
            continue;
        }
        cr_assert_eq(vsockreq_take_op(rig, &p), OP(RESPONSE));
        first = first != 0 ? first : p.buf_alloc;
        cr_expect_leq(p.buf_alloc, first);
        cr_expect_geq(p.buf_alloc, VIRTIO_VSOCK_HELD_MIN);
    }
    cr_expect_eq(rig->sockets.opened, FAKE_VSOCK_STREAMS);
}

/* ---- its end ---- */

OnVsock(a_process_that_writes_no_more_may_still_read)
{
    struct vsockreq p;
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    fake_vsock_write(st, "last", 4);
    fake_vsock_end(st);
    vsockreq_listen(rig, 3);
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(RW));
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(SHUTDOWN));
    cr_expect_eq(p.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
    send_bytes(rig, 7, 52, "answer", 6);
    cr_expect_eq(st->out_bytes, 6);
    cr_expect_not(st->closed);
}

OnVsock(a_process_that_has_gone_is_told_in_one_packet)
{
    struct vsockreq p;
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    fake_vsock_leave(st);
    vsockreq_listen(rig, 2);
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(SHUTDOWN));
    cr_expect_eq(p.flags, VIRTIO_VSOCK_SHUTDOWN_BOTH);
    cr_expect(st->closed);
    send_bytes(rig, 7, 52, "to nobody", 9); /* it was under way */
    vsockreq_op(rig, OP(RST), 7, 52);
    cr_expect_eq(vsockreq_take_op(rig, &p), 0);
    vsockreq_op(rig, OP(REQUEST), 7, 52);
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(RESPONSE), "the port is free again");
}

OnVsock(a_guest_that_writes_no_more_may_still_read)
{
    struct vsockreq p = vsockreq_make(OP(SHUTDOWN), 7, 52);
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    p.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
    vsockreq_send(rig, &p, "");
    cr_expect(st->shut);
    cr_expect_not(st->closed);
    fake_vsock_write(st, "more", 4);
    vsockreq_listen(rig, 1);
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(RW));
}

OnVsock(a_guest_that_reads_no_more_may_still_write)
{
    struct vsockreq p = vsockreq_make(OP(SHUTDOWN), 7, 52);
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    p.flags = VIRTIO_VSOCK_SHUTDOWN_RCV;
    vsockreq_send(rig, &p, "");
    fake_vsock_write(st, "unread", 6);
    vsockreq_listen(rig, 1);
    cr_expect_eq(vsockreq_take_op(rig, &p), 0);
    send_bytes(rig, 7, 52, "ok", 2);
    cr_expect_eq(st->out_bytes, 2);
}

/* The guest is answered at once, and the process reads in its own time. */
OnVsock(what_a_guest_sent_before_its_end_arrives)
{
    struct vsockreq p = vsockreq_make(OP(SHUTDOWN), 7, 52);
    rig->sockets.reads_nothing = true;
    vsockreq_listen(rig, 3);
    vsockreq_op(rig, OP(REQUEST), 7, 52);
    struct fake_stream *st = &rig->sockets.streams[0];
    send_bytes(rig, 7, 52, pattern, 5000);
    p.flags = VIRTIO_VSOCK_SHUTDOWN_BOTH;
    vsockreq_send(rig, &p, "");
    vsockreq_take_op(rig, NULL);
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(RST));
    cr_expect_not(st->closed);
    vsockreq_op(rig, OP(REQUEST), 7, 53);
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(RESPONSE));
    fake_vsock_read(st, 10000);
    rig_step(rig);
    cr_expect_eq(st->out_bytes, 5000);
    cr_expect_arr_eq(st->out, pattern, 5000);
    cr_expect(st->closed);
}

/* Its process has yet to read, and writes: another connection of the same ports gets none of it. */
OnVsock(a_connection_that_the_guest_has_reset_sends_nothing)
{
    struct vsockreq p = vsockreq_make(OP(SHUTDOWN), 7, 52);
    rig->sockets.reads_nothing = true;
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    send_bytes(rig, 7, 52, "unread", 6);
    p.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
    vsockreq_send(rig, &p, "");
    vsockreq_op(rig, OP(RST), 7, 52);
    vsockreq_listen(rig, 3);
    vsockreq_op(rig, OP(REQUEST), 7, 52);
    cr_expect_eq(vsockreq_take_op(rig, NULL), OP(RESPONSE));
    fake_vsock_write(st, "late", 4);
    fake_vsock_end(st);
    rig_step(rig);
    cr_expect_eq(vsockreq_take_op(rig, NULL), 0);
    cr_expect_not(st->closed);
    fake_vsock_read(st, 6);
    rig_step(rig);
    cr_expect_eq(st->out_bytes, 6);
    cr_expect(st->closed);
}

OnVsock(a_reset_of_the_device_closes_all_and_says_nothing)
{
    struct vsockreq request;
    struct fake_stream *a = vsockreq_connect(rig, 7, 52), *b = accept_one(rig, &request);
    vdrv_reset(&rig->drv);
    rig_step(rig);
    cr_expect(a->closed);
    cr_expect(b->closed);
    vsockreq_start(rig, 0);
    vsockreq_listen(rig, 1);
    cr_expect_eq(vsockreq_take_op(rig, NULL), 0);
}

OnVsock(a_reset_of_the_receive_queue_loses_no_byte)
{
    struct vsockreq p;
    const uint8_t *payload;
    vsockreq_start(rig, VIRTIO_BIT(VIRTIO_F_RING_RESET));
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    vsockreq_listen(rig, 1);
    cr_assert(vdrv_queue_reset(&rig->drv, VIRTIO_VSOCK_RX));
    fake_vsock_write(st, "abc", 3);
    rig_step(rig);
    vdrv_queue_set_up(&rig->drv, VIRTIO_VSOCK_RX, 64);
    vsockreq_listen(rig, 1);
    cr_assert(vsockreq_take(rig, &p, &payload));
    cr_expect_eq(p.len, 3);
    cr_expect_arr_eq(payload, "abc", 3);
}

/* ---- the guest's slips ---- */

OnVsock(packets_of_no_connection_are_reset_and_resets_are_not)
{
    struct vsockreq p;
    vsockreq_listen(rig, 8);
    for (unsigned op = OP(RESPONSE); op < VIRTIO_VSOCK_OPS; op++) {
        vsockreq_op(rig, op, 7, 52);
        cr_expect_eq(vsockreq_take_op(rig, &p), op == OP(RST) ? 0u : (unsigned)OP(RST));
    }
}

OnVsock(packets_from_or_to_other_addresses_are_dropped)
{
    struct vsockreq p = vsockreq_make(OP(REQUEST), 7, 52);
    vsockreq_listen(rig, 1);
    p.src_cid = RIG_CID + 1;
    vsockreq_send(rig, &p, "");
    p.src_cid = RIG_CID;
    p.dst_cid = RIG_CID;
    vsockreq_send(rig, &p, "");
    p.dst_cid = VIRTIO_VSOCK_CID_HOST | UINT64_C(1) << 32;
    vsockreq_send(rig, &p, "");
    cr_expect_eq(vsockreq_take_op(rig, NULL), 0);
    cr_expect_eq(rig->sockets.opened, 0);
}

OnVsock(a_length_beyond_the_buffer_ends_the_connection)
{
    struct vsockreq p = vsockreq_make(OP(RW), 7, 52);
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    p.len = 6;
    vsockreq_listen(rig, 1);
    vsockreq_send_raw(rig, &p, "hello", 5);
    cr_expect_eq(vsockreq_take_op(rig, NULL), OP(RST));
    cr_expect_eq(st->out_bytes, 0);
    cr_expect(st->closed);
}

OnVsock(bytes_beyond_the_length_are_not_data)
{
    struct vsockreq p = vsockreq_make(OP(RW), 7, 52);
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    p.len = 3;
    vsockreq_send_raw(rig, &p, "hello", 5);
    cr_expect_eq(st->out_bytes, 3);
}

OnVsock(data_before_the_connection_is_open_ends_it)
{
    struct vsockreq p;
    struct fake_stream *st = fake_vsock_ask(&rig->sockets, 1000);
    vsockreq_listen(rig, 2);
    vsockreq_take_op(rig, &p);
    send_bytes(rig, 1000, p.src_port, "x", 1);
    cr_expect_eq(vsockreq_take_op(rig, NULL), OP(RST));
    cr_expect(st->closed);
}

OnVsock(a_second_request_ends_the_connection)
{
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    vsockreq_listen(rig, 1);
    vsockreq_op(rig, OP(REQUEST), 7, 52);
    cr_expect_eq(vsockreq_take_op(rig, NULL), OP(RST));
    cr_expect(st->closed);
}

OnVsock(receive_buffers_without_room_are_given_back)
{
    uint32_t head, len;
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_VSOCK_RX];
    uint64_t gpa = vdrv_alloc(&rig->drv, 64, 8);
    vdrv_send(q, &(struct vdrv_buf){gpa, VIRTIO_VSOCK_HDR_BYTES, true}, 1);
    rig_step(rig);
    cr_expect_not(vdrv_used(q, &head, &len), "nothing to send, nothing to give back");
    vsockreq_op(rig, OP(REQUEST), 7, FAKE_VSOCK_NOBODY);
    cr_expect(vdrv_used(q, &head, &len));
    cr_expect_eq(len, 0);
    vsockreq_listen(rig, 1);
    cr_expect_eq(vsockreq_take_op(rig, NULL), OP(RST));
}

/* Answers wait for room, and the guest with them once they are many: none is lost. */
OnVsock(all_packets_are_answered_when_there_is_room)
{
    struct vdrv_queue *tx = &rig->drv.q[VIRTIO_VSOCK_TX];
    uint64_t gpa = vdrv_alloc(&rig->drv, VIRTIO_VSOCK_HDR_BYTES * 200, 8);
    uint32_t head, len;
    unsigned sent = 0, taken = 0, answers = 0;
    for (unsigned round = 0; round < 40; round++) {
        while (sent < 200) {
            uint8_t *h = vdrv_ptr(&rig->drv, gpa + VIRTIO_VSOCK_HDR_BYTES * sent, 44);
            le64_put(h + VIRTIO_VSOCK_HDR_src_cid, RIG_CID);
            le64_put(h + VIRTIO_VSOCK_HDR_dst_cid, VIRTIO_VSOCK_CID_HOST);
            le32_put(h + VIRTIO_VSOCK_HDR_src_port, sent);
            le16_put(h + VIRTIO_VSOCK_HDR_type, VIRTIO_VSOCK_TYPE_STREAM);
            le16_put(h + VIRTIO_VSOCK_HDR_op, OP(RW));
            struct vdrv_buf buf = {gpa + VIRTIO_VSOCK_HDR_BYTES * sent, 44, false};
            if (vdrv_add(tx, &buf, 1) < 0)
                break;
            sent++;
        }
        vdrv_kick(tx);
        rig_step(rig);
        while (vdrv_used(tx, &head, &len))
            taken++;
        if (round < 10)
            cr_assert_leq(taken, 64 + VSOCKREQ_SIZE, "some wait for room for their answers");
        else
            vsockreq_listen(rig, 8);
        for (struct vsockreq p; vsockreq_take_op(rig, &p) != 0; answers++)
            cr_assert_eq(p.dst_port, answers);
    }
    cr_expect_eq(taken, 200);
    cr_expect_eq(answers, 200);
}

/* ---- others wait for nobody ---- */

OnVsock(a_connection_without_credit_holds_no_other)
{
    struct vsockreq p;
    struct fake_stream *a = vsockreq_connect(rig, 7, 52), *b = vsockreq_connect(rig, 8, 53);
    p = vsockreq_make(OP(CREDIT_UPDATE), 7, 52);
    p.buf_alloc = 0;
    vsockreq_send(rig, &p, "");
    fake_vsock_write(a, "a", 1);
    fake_vsock_write(b, "b", 1);
    vsockreq_listen(rig, 2);
    cr_expect_eq(vsockreq_take_op(rig, &p), OP(RW));
    cr_expect_eq(p.src_port, 53);
    cr_expect_eq(vsockreq_take_op(rig, &p), 0);
}

OnVsock(much_data_of_one_connection_holds_no_other)
{
    struct vsockreq p;
    unsigned before_b = 0;
    struct fake_stream *a = vsockreq_connect(rig, 7, 52), *b = vsockreq_connect(rig, 8, 53);
    p = vsockreq_make(OP(CREDIT_UPDATE), 7, 52);
    p.buf_alloc = FAKE_VSOCK_BYTES;
    vsockreq_send(rig, &p, "");
    fake_vsock_write(a, pattern, FAKE_VSOCK_BYTES);
    rig_step(rig);
    fake_vsock_write(b, "b", 1);
    for (bool found = false; !found; before_b++) {
        vsockreq_listen(rig, 1);
        cr_assert_eq(vsockreq_take_op(rig, &p), OP(RW));
        found = p.src_port == 53;
        cr_assert_lt(before_b, 40u, "after what was read before it");
    }
}

/* ---- saved and loaded ---- */

OnVsock(a_guest_that_was_loaded_is_told_that_connections_are_gone)
{
    struct state s;
    uint32_t head, len;
    struct vdrv_queue *events = &rig->drv.q[VIRTIO_VSOCK_EVENT];
    uint64_t gpa = vdrv_alloc(&rig->drv, 4, 4);
    memset(vdrv_ptr(&rig->drv, gpa, 4), 0xff, 4);
    vdrv_send(events, &(struct vdrv_buf){gpa, 2, true}, 1); /* too short for one */
    vdrv_send(events, &(struct vdrv_buf){gpa, 4, true}, 1);
    rig_step(rig);
    cr_expect_not(vdrv_used(events, &head, &len));
    /* A receive buffer is with the device, which has nothing that it may put there. */
    struct vsockreq p = vsockreq_make(OP(CREDIT_UPDATE), 7, 52);
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    p.buf_alloc = 0;
    vsockreq_send(rig, &p, "");
    fake_vsock_write(st, "x", 1);
    vsockreq_listen(rig, 1);
    virtio_device_hold(rig->dev);
    rig_step(rig);
    cr_assert(virtio_device_is_idle(rig->dev));
    state_save(&s);
    rig_state(rig, &s);
    cr_assert_eq(state_error(&s), 0);
    void *bytes = s.bytes;
    size_t bytes_len = s.len;
    rig_renew(rig);
    struct state loaded;
    state_load(&loaded, bytes, bytes_len);
    rig_state(rig, &loaded);
    cr_assert_eq(state_error(&loaded), 0);
    rig_step(rig);
    cr_assert(vdrv_used(events, &head, &len));
    cr_assert(vdrv_used(events, &head, &len));
    cr_expect_eq(len, 4);
    cr_expect_eq(le32_get(vdrv_ptr(&rig->drv, gpa, 4)), VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
    cr_expect_not_null(vsockreq_connect(rig, 8, 52), "its buffer is there for another");
    state_fini(&loaded);
    state_fini(&s);
}
