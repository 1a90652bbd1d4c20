// SPDX-License-Identifier: BSD-2-Clause
/*
 * Socket device (VIRTIO 1.4 5.10): streams of bytes or of messages between processes of the guest,
 * which know the host as context 2, and processes of the host, which a backend finds
 * (core/ports/vsock.h).
 *
 *     vsock.c        packets: from the guest's transmit queue, and into its receive queue
 *     vsock_conn.c   connections: ports, credit, what is on its way
 *     vsock_held.c   what a process has yet to read
 *
 * What a process does not read waits here, as much as the guest has credit for, so that nobody else
 * waits for that process; what the guest does not read stays in the host's socket.
 */
#ifndef MINIVET_VIRTIO_VSOCK_H
#define MINIVET_VIRTIO_VSOCK_H

#include <stdint.h>

#include "core/base/xmath.h"
#include "virtio/observe/strict_rules.h"

struct vhost_vsock;
struct virtio_device;
struct virtio_device_type;
struct virtio_setup;
struct virtio_vsock;
struct vsock_backend;

extern const struct virtio_device_type virtio_vsock_type;

/* ---- the specification's numbers ---- */

enum {
    VIRTIO_VSOCK_F_STREAM,
    VIRTIO_VSOCK_F_SEQPACKET,
    VIRTIO_VSOCK_F_NO_IMPLIED_STREAM,
};

enum { /* queues */
       VIRTIO_VSOCK_RX,
       VIRTIO_VSOCK_TX,
       VIRTIO_VSOCK_EVENT,
       VIRTIO_VSOCK_QUEUES,
};

enum { /* the configuration space: guest_cid, of 64 bits */
       VIRTIO_VSOCK_CONFIG_BYTES = 8,
};

#define VIRTIO_VSOCK_CID_HOST 2u
#define VIRTIO_VSOCK_CID_MIN  3u /* of a guest */
#define VIRTIO_VSOCK_CID_MAX  UINT32_C(0xfffffffe)

enum { /* struct virtio_vsock_hdr */
       VIRTIO_VSOCK_HDR_src_cid = 0,
       VIRTIO_VSOCK_HDR_dst_cid = 8,
       VIRTIO_VSOCK_HDR_src_port = 16,
       VIRTIO_VSOCK_HDR_dst_port = 20,
       VIRTIO_VSOCK_HDR_len = 24,
       VIRTIO_VSOCK_HDR_type = 28,
       VIRTIO_VSOCK_HDR_op = 30,
       VIRTIO_VSOCK_HDR_flags = 32,
       VIRTIO_VSOCK_HDR_buf_alloc = 36,
       VIRTIO_VSOCK_HDR_fwd_cnt = 40,
       VIRTIO_VSOCK_HDR_BYTES = 44,
};

enum { /* type */
       VIRTIO_VSOCK_TYPE_STREAM = 1,
       VIRTIO_VSOCK_TYPE_SEQPACKET = 2,
};

enum { /* op */
       VIRTIO_VSOCK_OP_INVALID,
       VIRTIO_VSOCK_OP_REQUEST,
       VIRTIO_VSOCK_OP_RESPONSE,
       VIRTIO_VSOCK_OP_RST,
       VIRTIO_VSOCK_OP_SHUTDOWN,
       VIRTIO_VSOCK_OP_RW,
       VIRTIO_VSOCK_OP_CREDIT_UPDATE,
       VIRTIO_VSOCK_OP_CREDIT_REQUEST,
       VIRTIO_VSOCK_OPS,
};

enum { /* flags of SHUTDOWN: the sender receives, sends no more */
       VIRTIO_VSOCK_SHUTDOWN_RCV = 1,
       VIRTIO_VSOCK_SHUTDOWN_SEND = 2,
       VIRTIO_VSOCK_SHUTDOWN_BOTH = 3,
};

enum { /* flags of RW, of SEQPACKET: the last bytes of a message, and of a record */
       VIRTIO_VSOCK_SEQ_EOM = 1,
       VIRTIO_VSOCK_SEQ_EOR = 2,
};

enum { /* struct virtio_vsock_event: its id alone */
       VIRTIO_VSOCK_EVENT_TRANSPORT_RESET = 0,
       VIRTIO_VSOCK_EVENT_BYTES = 4,
};

/* ---- the device ---- */

/* Rules of the driver monitor. */
enum {
    STRICT_VSOCK_RX = STRICT_RULES,
    STRICT_VSOCK_TX,
    STRICT_VSOCK_CID,
    STRICT_VSOCK_LENGTH,
};

#define VIRTIO_VSOCK_CONNS_MAX 4096u

/* The ports that processes of the host are given, in turn. */
#define VSOCK_PORT_FIRST UINT32_C(0x40000000)
#define VSOCK_PORT_LAST  UINT32_C(0x7fffffff)

/*
 * What a process has not read is held for it: so many bytes of a connection at most, or fewer of
 * each if there are many, down to the other; all together little more than the third.
 */
#define VIRTIO_VSOCK_HELD_MAX (256 * KIB)
#define VIRTIO_VSOCK_HELD_MIN (4 * KIB)
#define VIRTIO_VSOCK_HELD_ALL (64 * MIB)

/*
 * A message to the guest has no more bytes than this, nor than the guest's buffer: a longer one
 * ends its connection. So does one of the guest's of which all that the connection may hold is no
 * end.
 */
#define VIRTIO_VSOCK_MESSAGE_MAX (256 * KIB)

struct virtio_vsock_config {
    uint32_t guest_cid;
    /* The caller's, one of them: a backend, which gets the device as its handler, or the kernel,
     * which has the connections itself. */
    struct vsock_backend *backend;
    struct vhost_vsock *vhost;
};

/* What the kernel must know of (struct vhost_vsock_config). */
#define VIRTIO_VSOCK_VHOST_FEATURES VIRTIO_BIT(VIRTIO_VSOCK_F_SEQPACKET)

/* Errors are reported. */
int virtio_vsock_create(struct virtio_vsock **out, const struct virtio_setup *setup,
                        const struct virtio_vsock_config *config);
void virtio_vsock_destroy(struct virtio_vsock *vsock); /* after its transport */

struct virtio_device *virtio_vsock_device(struct virtio_vsock *vsock);

#endif
