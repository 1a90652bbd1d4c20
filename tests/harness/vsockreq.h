// SPDX-License-Identifier: BSD-2-Clause
/* The guest's half of virtio-vsock: packets to the device, and what it sends. */
#ifndef MINIVET_TESTS_HARNESS_VSOCKREQ_H
#define MINIVET_TESTS_HARNESS_VSOCKREQ_H

#include "tests/harness/fake_vsock.h"
#include "tests/harness/rig.h"
#include "virtio/spec.h"
#include "virtio/vsock/vsock.h"

#define VSOCKREQ_FEATURES                                                       \
    (VIRTIO_BIT(VIRTIO_VSOCK_F_STREAM) | VIRTIO_BIT(VIRTIO_VSOCK_F_SEQPACKET) | \
     VIRTIO_BIT(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM))
#define VSOCKREQ_SIZE  64u           /* of the queues */
#define VSOCKREQ_BYTES (4096u + 44)  /* of a receive buffer */
#define VSOCKREQ_ALLOC (128 * 1024u) /* the guest's credit, in packets that do not say it */

struct vsockreq {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
};

/* With VSOCKREQ_FEATURES and these; or with these alone. */
void vsockreq_start(struct rig *rig, uint64_t more);
void vsockreq_start_with(struct rig *rig, uint64_t features);
/* Of a device that runs already; the longest payload that will be sent. */
void vsockreq_begin(struct rig *rig, uint32_t bytes_max);
/* Gives so many receive buffers, of VSOCKREQ_BYTES each. */
void vsockreq_listen(struct rig *rig, unsigned count);

/* A packet from that port of the guest's to that of the host's, and of no payload. */
struct vsockreq vsockreq_make(unsigned op, uint32_t guest_port, uint32_t host_port);
struct vsockreq vsockreq_make_seqpacket(unsigned op, uint32_t guest_port, uint32_t host_port);
/* Sends it with p->len bytes of payload; or with as many as `bytes` says, whatever its header does.
 * The device has given the buffer back when it returns. */
void vsockreq_send(struct rig *rig, const struct vsockreq *p, const void *payload);
void vsockreq_send_raw(struct rig *rig, const struct vsockreq *p, const void *payload,
                       uint32_t bytes);
void vsockreq_op(struct rig *rig, unsigned op, uint32_t guest_port, uint32_t host_port);

/* The next packet that the device has sent; its payload stays until the next. False: none. */
bool vsockreq_take(struct rig *rig, struct vsockreq *out, const uint8_t **payload);
/* The op of the next packet; 0: none. */
unsigned vsockreq_take_op(struct rig *rig, struct vsockreq *out);

/* A connection that the guest has asked for and has; its process is the fake's of that port. */
struct fake_stream *vsockreq_connect(struct rig *rig, uint32_t guest_port, uint32_t host_port);
struct fake_stream *vsockreq_connect_messages(struct rig *rig, uint32_t guest_port,
                                              uint32_t host_port);

#endif
