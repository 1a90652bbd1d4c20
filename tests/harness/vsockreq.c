// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/vsockreq.h"

#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"

#define RX VIRTIO_VSOCK_RX
#define TX VIRTIO_VSOCK_TX

static struct {
    uint64_t tx_gpa;
    uint64_t rx_gpa[VSOCKREQ_SIZE * 4]; /* by what the queue calls them */
    uint64_t spare[VSOCKREQ_SIZE];      /* that came back */
    unsigned spares;
    uint8_t payload[VSOCKREQ_BYTES];
} guest;

void vsockreq_start(struct rig *rig, uint64_t more)
{
    vsockreq_start_with(rig, VSOCKREQ_FEATURES | more);
}

void vsockreq_start_with(struct rig *rig, uint64_t features)
{
    rig_start(rig, features, VIRTIO_VSOCK_QUEUES, VSOCKREQ_SIZE);
    vsockreq_begin(rig, 65536);
}

void vsockreq_begin(struct rig *rig, uint32_t bytes_max)
{
    guest.tx_gpa = vdrv_alloc(&rig->drv, VIRTIO_VSOCK_HDR_BYTES + bytes_max, 8);
    guest.spares = 0;
}

void vsockreq_listen(struct rig *rig, unsigned count)
{
    for (; count > 0; count--) {
        uint64_t gpa = guest.spares > 0 ? guest.spare[--guest.spares]
                                        : vdrv_alloc(&rig->drv, VSOCKREQ_BYTES, 8);
        int head = vdrv_send(&rig->drv.q[RX], &(struct vdrv_buf){gpa, VSOCKREQ_BYTES, true}, 1);
        BUG_ON(head < 0);
        guest.rx_gpa[head] = gpa;
    }
    rig_step(rig);
}

struct vsockreq vsockreq_make(unsigned op, uint32_t guest_port, uint32_t host_port)
{
    return (struct vsockreq){.src_cid = RIG_CID,
                             .dst_cid = VIRTIO_VSOCK_CID_HOST,
                             .src_port = guest_port,
                             .dst_port = host_port,
                             .type = VIRTIO_VSOCK_TYPE_STREAM,
                             .op = (uint16_t)op,
                             .buf_alloc = VSOCKREQ_ALLOC};
}

struct vsockreq vsockreq_make_seqpacket(unsigned op, uint32_t guest_port, uint32_t host_port)
{
    struct vsockreq p = vsockreq_make(op, guest_port, host_port);
    p.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    return p;
}

void vsockreq_send_raw(struct rig *rig, const struct vsockreq *p, const void *payload,
                       uint32_t bytes)
{
    uint32_t head, len;
    uint8_t *h = vdrv_ptr(&rig->drv, guest.tx_gpa, VIRTIO_VSOCK_HDR_BYTES + bytes);
    le64_put(h + VIRTIO_VSOCK_HDR_src_cid, p->src_cid);
    le64_put(h + VIRTIO_VSOCK_HDR_dst_cid, p->dst_cid);
    le32_put(h + VIRTIO_VSOCK_HDR_src_port, p->src_port);
    le32_put(h + VIRTIO_VSOCK_HDR_dst_port, p->dst_port);
    le32_put(h + VIRTIO_VSOCK_HDR_len, p->len);
    le16_put(h + VIRTIO_VSOCK_HDR_type, p->type);
    le16_put(h + VIRTIO_VSOCK_HDR_op, p->op);
    le32_put(h + VIRTIO_VSOCK_HDR_flags, p->flags);
    le32_put(h + VIRTIO_VSOCK_HDR_buf_alloc, p->buf_alloc);
    le32_put(h + VIRTIO_VSOCK_HDR_fwd_cnt, p->fwd_cnt);
    memcpy(h + VIRTIO_VSOCK_HDR_BYTES, payload, bytes);
    BUG_ON(vdrv_send(&rig->drv.q[TX],
                     &(struct vdrv_buf){guest.tx_gpa, VIRTIO_VSOCK_HDR_BYTES + bytes, false},
                     1) < 0);
    rig_step(rig);
    BUG_ON(!vdrv_used(&rig->drv.q[TX], &head, &len));
}

void vsockreq_send(struct rig *rig, const struct vsockreq *p, const void *payload)
{
    vsockreq_send_raw(rig, p, payload, p->len);
}

void vsockreq_op(struct rig *rig, unsigned op, uint32_t guest_port, uint32_t host_port)
{
    struct vsockreq p = vsockreq_make(op, guest_port, host_port);
    vsockreq_send(rig, &p, "");
}

bool vsockreq_take(struct rig *rig, struct vsockreq *out, const uint8_t **payload)
{
    uint32_t head, len;
    if (!vdrv_used(&rig->drv.q[RX], &head, &len))
        return false;
    const uint8_t *h = vdrv_ptr(&rig->drv, guest.rx_gpa[head], VSOCKREQ_BYTES);
    *out = (struct vsockreq){.src_cid = le64_get(h + VIRTIO_VSOCK_HDR_src_cid),
                             .dst_cid = le64_get(h + VIRTIO_VSOCK_HDR_dst_cid),
                             .src_port = le32_get(h + VIRTIO_VSOCK_HDR_src_port),
                             .dst_port = le32_get(h + VIRTIO_VSOCK_HDR_dst_port),
                             .len = le32_get(h + VIRTIO_VSOCK_HDR_len),
                             .type = le16_get(h + VIRTIO_VSOCK_HDR_type),
                             .op = le16_get(h + VIRTIO_VSOCK_HDR_op),
                             .flags = le32_get(h + VIRTIO_VSOCK_HDR_flags),
                             .buf_alloc = le32_get(h + VIRTIO_VSOCK_HDR_buf_alloc),
                             .fwd_cnt = le32_get(h + VIRTIO_VSOCK_HDR_fwd_cnt)};
    BUG_ON(len != VIRTIO_VSOCK_HDR_BYTES + out->len);
    memcpy(guest.payload, h + VIRTIO_VSOCK_HDR_BYTES, out->len);
    *payload = guest.payload;
    guest.spare[guest.spares++] = guest.rx_gpa[head];
    return true;
}

unsigned vsockreq_take_op(struct rig *rig, struct vsockreq *out)
{
    const uint8_t *payload;
    struct vsockreq unused;
    out = out != NULL ? out : &unused;
    return vsockreq_take(rig, out, &payload) ? out->op : 0;
}

static struct fake_stream *connect_by(struct rig *rig, const struct vsockreq *request)
{
    vsockreq_listen(rig, 1);
    vsockreq_send(rig, request, "");
    BUG_ON(vsockreq_take_op(rig, NULL) != VIRTIO_VSOCK_OP_RESPONSE);
    for (unsigned i = 0; i < FAKE_VSOCK_STREAMS; i++)
        if (rig->sockets.streams[i].used && rig->sockets.streams[i].host_port == request->dst_port)
            return &rig->sockets.streams[i];
    return NULL;
}

struct fake_stream *vsockreq_connect(struct rig *rig, uint32_t guest_port, uint32_t host_port)
{
    struct vsockreq p = vsockreq_make(VIRTIO_VSOCK_OP_REQUEST, guest_port, host_port);
    return connect_by(rig, &p);
}

struct fake_stream *vsockreq_connect_messages(struct rig *rig, uint32_t guest_port,
                                              uint32_t host_port)
{
    struct vsockreq p = vsockreq_make_seqpacket(VIRTIO_VSOCK_OP_REQUEST, guest_port, host_port);
    return connect_by(rig, &p);
}
