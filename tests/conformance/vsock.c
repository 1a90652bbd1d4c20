// SPDX-License-Identifier: BSD-2-Clause
/* Sockets: VIRTIO 1.4 5.10. */
#include "conformance.h"

#include <string.h>

#include "core/base/le.h"
#include "tests/harness/vsockreq.h"

#define OP(name) VIRTIO_VSOCK_OP_##name

Requirement(vsock_features_1, VSOCK, MODERN)
{
    expect(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM));
}

/* With NO_IMPLIED_STREAM alone there is no type of socket. */
Requirement(vsock_features_2, VSOCK, MODERN)
{
    static const uint64_t features[] = {0, VIRTIO_BIT(VIRTIO_VSOCK_F_STREAM),
                                        VIRTIO_BIT(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM)};
    for (unsigned i = 0; i < 3; i++) {
        vsockreq_start_with(rig, features[i]);
        vsockreq_listen(rig, 1);
        vsockreq_op(rig, OP(REQUEST), 7, 52);
        expect(vsockreq_take_op(rig, NULL) == (i < 2 ? (unsigned)OP(RESPONSE) : (unsigned)OP(RST)));
    }
}

/* Without a receive buffer: data go on to their process. */
Requirement(vsock_flow_1, VSOCK, MODERN)
{
    struct vsockreq p = vsockreq_make(OP(RW), 7, 52);
    vsockreq_start(rig, 0);
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    demand(st != NULL);
    fake_vsock_write(st, "for nobody", 10);
    rig_step(rig);
    p.len = 2000;
    static const uint8_t bytes[2000] = {1, 2, 3};
    for (unsigned i = 0; i < 30; i++)
        vsockreq_send(rig, &p, bytes); /* it comes back */
    expect(st->out_bytes == 60000);
    for (unsigned i = 0; i < 40; i++)
        vsockreq_op(rig, OP(REQUEST), 100 + i, FAKE_VSOCK_NOBODY);
    expect(st->out_bytes == 60000);
}

Requirement(vsock_credit_1, VSOCK, MODERN)
{
    static const uint8_t bytes[9000];
    struct vsockreq p;
    const uint8_t *payload;
    uint32_t got = 0, told = 5000;
    vsockreq_start(rig, 0);
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    demand(st != NULL);
    p = vsockreq_make(OP(CREDIT_UPDATE), 7, 52);
    p.buf_alloc = 5000;
    vsockreq_send(rig, &p, "");
    fake_vsock_write(st, bytes, sizeof(bytes));
    for (unsigned round = 0; round < 6; round++) {
        vsockreq_listen(rig, 4);
        for (struct vsockreq q; vsockreq_take(rig, &q, &payload);)
            got += q.op == OP(RW) ? q.len : 0;
        expect(got == (told < sizeof(bytes) ? told : sizeof(bytes)));
        p.fwd_cnt += 1000;
        told += 1000;
        vsockreq_send(rig, &p, "");
    }
    expect(got == sizeof(bytes));
}

Requirement(vsock_credit_2, VSOCK, MODERN)
{
    struct vsockreq p;
    uint32_t alloc, sent = 0;
    vsockreq_start(rig, 0);
    vsockreq_listen(rig, 1);
    vsockreq_op(rig, OP(REQUEST), 7, 52);
    demand(vsockreq_take_op(rig, &p) == OP(RESPONSE));
    alloc = p.buf_alloc;
    expect(alloc > 0 && p.fwd_cnt == 0);
    struct fake_stream *st = &rig->sockets.streams[0];
    for (unsigned i = 0; i < 4; i++) {
        p = vsockreq_make(OP(RW), 7, 52);
        p.len = 100 * i;
        static const uint8_t bytes[400];
        vsockreq_send(rig, &p, bytes);
        sent += p.len;
        fake_vsock_write(st, "x", 1);
        vsockreq_listen(rig, 1);
        demand(vsockreq_take_op(rig, &p) == OP(RW));
        expect(p.buf_alloc == alloc && p.fwd_cnt == sent);
    }
    fake_vsock_end(st);
    vsockreq_listen(rig, 1);
    demand(vsockreq_take_op(rig, &p) == OP(SHUTDOWN));
    expect(p.buf_alloc == alloc && p.fwd_cnt == sent);
}

Requirement(vsock_rxtx_1, VSOCK, MODERN)
{
    uint8_t cid[8];
    vdrv_config_read(&rig->drv, 0, cid, sizeof(cid));
    expect(le64_get(cid) > VIRTIO_VSOCK_CID_HOST && le64_get(cid) < UINT32_MAX);
}

Requirement(vsock_rxtx_2, VSOCK, MODERN)
{
    static const uint16_t types[] = {0, VIRTIO_VSOCK_TYPE_SEQPACKET, 3, 0xffff};
    struct vsockreq p, answer;
    vsockreq_start_with(rig, VIRTIO_BIT(VIRTIO_VSOCK_F_STREAM));
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned op = 0; op < VIRTIO_VSOCK_OPS; op++) {
            p = vsockreq_make(op, 7, 52);
            p.type = types[i];
            vsockreq_listen(rig, 1);
            vsockreq_send(rig, &p, "");
            if (op == OP(RST)) /* which is no question */
                continue;
            demand(vsockreq_take_op(rig, &answer) == OP(RST));
            expect(answer.type == types[i] && answer.dst_port == 7 && answer.src_port == 52);
        }
    }
}
