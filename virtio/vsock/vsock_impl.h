// SPDX-License-Identifier: BSD-2-Clause
/* Inside of virtio-vsock: a connection, and what is on its way to the guest. */
#ifndef MINIVET_VIRTIO_VSOCK_IMPL_H
#define MINIVET_VIRTIO_VSOCK_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/base/log.h"
#include "core/ports/vsock.h"
#include "virtio/base/device.h"
#include "virtio/vsock/vsock.h"
#include "virtio/vsock/vsock_held.h"

#define VSOCK_BUCKETS      1024u
#define VSOCK_RESETS_MAX   64u
#define VSOCK_STAGED_BYTES (64 * KIB) /* of a stream's; a message is staged as a whole */

struct vsock_packet {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len, flags, buf_alloc, fwd_cnt;
    uint16_t type, op;
};

/* What a connection wants to send to the guest; with several of them in this order. */
enum {
    VSOCK_DUE_REQUEST = 1,
    VSOCK_DUE_RESPONSE = 2,
    VSOCK_DUE_CREDIT = 4,
    VSOCK_DUE_ASK = 8,   /* how much room there is: a message has none */
    VSOCK_DUE_DATA = 16, /* there may be some to be read */
    VSOCK_DUE_SHUTDOWN = 32,
    VSOCK_DUE_RST = 64, /* and then it is freed */
};

enum vsock_conn_state {
    VSOCK_ASKED, /* a process has asked for it, the guest has not answered */
    VSOCK_OPEN,
    VSOCK_OVER,   /* the guest is yet to be told */
    VSOCK_DRAINS, /* the guest is done with it, the process has yet to read what it was sent */
};

struct vsock_conn {
    struct virtio_vsock *vs;
    LIST_ENTRY(vsock_conn) chain;  /* of its bucket */
    TAILQ_ENTRY(vsock_conn) ready; /* while is_ready */
    uint32_t guest_port, host_port;
    uint16_t type; /* VIRTIO_VSOCK_TYPE_ */
    enum vsock_conn_state state;
    bool is_ready; /* it was due once since it was looked at */
    unsigned due;
    unsigned guest_shut;         /* VIRTIO_VSOCK_SHUTDOWN_: what the guest does no more */
    unsigned host_shut;          /* and what the process does no more */
    struct vsock_stream *stream; /* NULL: the process has gone, or the guest has left it */
    bool polls_in, polls_out;

    /* Credit (VIRTIO 1.4 5.10.6.3); all counts wrap. */
    uint32_t buf_alloc, fwd_cnt, fwd_told; /* for the guest's bytes: those that have passed here */
    uint32_t peer_alloc, peer_fwd, sent;   /* as the guest says, and what it was sent */
    uint32_t received;
    uint32_t message; /* bytes of the process's next one, which waits for room; 0: not known */

    struct vsock_held held; /* from the guest, until the process takes it */
};

LIST_HEAD(vsock_bucket, vsock_conn);

struct vsock_reset { /* an answer to what belongs to no connection */
    uint32_t guest_port, host_port;
    uint16_t type;
};

struct virtio_vsock {
    struct virtio_device dev;
    struct vhost_vsock *vhost; /* NULL: there is a backend */
    struct vsock_backend *backend;
    struct vsock_handler handler;
    uint32_t cid;
    uint8_t config[VIRTIO_VSOCK_CONFIG_BYTES];
    struct log_guest_count guest_errors;
    bool event_due; /* it was loaded: connections are gone */

    struct vq_chain *rx; /* the next to be filled, or NULL */
    bool tx_waits;       /* for room among the resets */
    struct vsock_reset resets[VSOCK_RESETS_MAX];
    unsigned reset_from, reset_count;
    TAILQ_HEAD(, vsock_conn) ready;

    /* Read from a process at once, and sent in the pieces that the guest has given. */
    struct vsock_conn *staged_for; /* NULL: nothing is staged */
    size_t staged_from, staged_bytes;
    uint8_t *staged;

    struct vsock_bucket buckets[VSOCK_BUCKETS];
    unsigned conn_count;
    uint32_t next_port;    /* of the host's side, for processes that ask */
    uint64_t credit_given; /* buf_alloc of all connections */
};

static inline bool vsock_has_messages(const struct vsock_conn *c)
{
    return c->type == VIRTIO_VSOCK_TYPE_SEQPACKET;
}

/* ---- vsock.c ---- */

/* May there be connections of that type (5.10.3)? */
bool vsock_knows_type(const struct virtio_vsock *vs, uint16_t type);

/* Something is due: sends while the guest has room. */
void vsock_send_due(struct virtio_vsock *vs);

/* ---- vsock_conn.c ---- */

extern const struct vsock_handler vsock_handler_ops;

/* NULL: there is none. */
struct vsock_conn *vsock_find(struct virtio_vsock *vs, uint32_t guest_port, uint32_t host_port);

/* The guest asks for a connection; false: nobody listens, or there are too many. */
bool vsock_accept(struct virtio_vsock *vs, const struct vsock_packet *p);

/* A packet of a connection's, but for a request. */
void vsock_receive(struct vsock_conn *c, const struct vsock_packet *p, struct iobuf *payload);

void vsock_make_due(struct vsock_conn *c, unsigned due);

/* How much the guest has room for. */
uint32_t vsock_room(const struct vsock_conn *c);

/* Reads from the process into `staged`: there is something to send, or its end has been noted. */
void vsock_stage(struct vsock_conn *c);

/* The guest has been told that it is over: frees it, but for what the process has yet to read. */
void vsock_bury(struct vsock_conn *c);

void vsock_free_all(struct virtio_vsock *vs);

#endif
