// SPDX-License-Identifier: BSD-2-Clause
/*
 * The vhost-user protocol, front end's side: small messages on a Unix socket, by which a server in
 * another process is given guest memory, rings, and eventfds for kicks and interrupts.
 *
 * The server is not trusted. Every reply is checked before it is used, sizes are bounded by what
 * was asked for, and each call has a deadline. Calls block until then, or until the connection is
 * cancelled: they are for a lane, or for set-up, and never for a loop or a vCPU.
 *
 * Every call returns 0 or a negative errno, reports nothing, and leaves in `why` what was wrong.
 * -EREMOTEIO: the server refused. After any other error the two sides may be at different places
 * of the conversation: `dead` is set, every further call is -ENOTCONN, and only a new connection
 * helps.
 *
 * One thread at a time.
 */
#ifndef MINIVET_VIRTIO_VHOST_USER_H
#define MINIVET_VIRTIO_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

struct gmem;

#define VHOST_USER_REPLY_MS         5000u /* the usual deadline */
#define VHOST_USER_DRAIN_FACTOR     6u    /* a ring that is stopped has I/O to wait for */
#define VHOST_USER_CONFIG_MAX_BYTES 256u
#define VHOST_USER_RINGS_MAX        256u

/* The feature bit that belongs to the protocol and not to the device. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30u

enum vhost_user_protocol_feature {
    VHOST_USER_PROTOCOL_F_MQ = 0,
    VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
    VHOST_USER_PROTOCOL_F_NET_MTU = 4,
    VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
    VHOST_USER_PROTOCOL_F_CONFIG = 9,
    VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
};

struct vhost_user {
    int fd;            /* -1: closed */
    unsigned reply_ms; /* the deadline of a call */
    uint64_t until_ns; /* on the host's clock: of all calls together; 0: none */
    int cancel_fd;     /* an eventfd of ours alone: when it is written to, calls end; -1: none */
    uint64_t features; /* of the server's device, the protocol's bit left out */
    uint64_t protocol; /* protocol features in use */
    bool has_protocol; /* the server knows protocol features at all */
    bool dead;
    const char *why; /* what the last failure was */
};

/* What the server has taken and not given back, in memory that outlives it. */
struct vhost_user_inflight {
    int fd; /* -1: none */
    uint64_t bytes, offset;
    uint16_t queues, queue_size;
};

struct vhost_user_ring {
    unsigned index;
    uint32_t size;
    uint64_t desc_gpa, driver_gpa, device_gpa; /* checked: in guest memory */
    uint32_t base;                             /* see vhost_user_first_base() */
    int kick_fd, call_fd, err_fd;              /* eventfds */
    bool disabled;                             /* until vhost_user_ring_enable() */
    bool
        begun; /* vhost_user_ring_start(), even failing, came to where the server may take chains */
};

/* Takes a connected stream socket over. reply_ms 0: the usual. cancel_fd as above. */
void vhost_user_open(struct vhost_user *vu, int fd, unsigned reply_ms, int cancel_fd);
/* A closed one is allowed. */
void vhost_user_close(struct vhost_user *vu);

/* From now on, all calls together may take as long as the slowest single one. */
void vhost_user_limit(struct vhost_user *vu);

/* Waits for a short time; an error as those of calls, if it is cancelled or the limit is reached.
 */
int vhost_user_pause(struct vhost_user *vu, unsigned ms);

/* First of all: owner, features, and those of `protocol` that the server knows. */
int vhost_user_hello(struct vhost_user *vu, uint64_t protocol);

bool vhost_user_has(const struct vhost_user *vu, enum vhost_user_protocol_feature feature);

/* How many queues the server can run (of a network: pairs of them); 1 if it cannot say. */
int vhost_user_queue_count(struct vhost_user *vu, uint64_t *count);

/* The first `len` bytes of the configuration space (at most VHOST_USER_CONFIG_MAX_BYTES). */
int vhost_user_get_config(struct vhost_user *vu, void *dst, uint32_t len);
int vhost_user_set_config(struct vhost_user *vu, uint32_t offset, const void *src, uint32_t len);

/* The features that the driver accepted; the protocol's bit is added. No ring runs. */
int vhost_user_set_features(struct vhost_user *vu, uint64_t features);

/* All of guest memory. No ring runs. */
int vhost_user_set_memory(struct vhost_user *vu, const struct gmem *gmem);

/* Of a network: what IP packets may be long. */
int vhost_user_net_set_mtu(struct vhost_user *vu, uint32_t mtu_bytes);

/* A socket on which the server may speak first: its half; the caller closes it. */
int vhost_user_set_backend_fd(struct vhost_user *vu, int fd);

/* Asks for memory for queues x queue_size requests. *inflight is empty before. */
int vhost_user_get_inflight(struct vhost_user *vu, uint16_t queues, uint16_t queue_size,
                            struct vhost_user_inflight *inflight);
int vhost_user_set_inflight(struct vhost_user *vu, const struct vhost_user_inflight *inflight);
void vhost_user_inflight_close(struct vhost_user_inflight *inflight);

/*
 * Where a packed ring was when its server went: from the memory that the server kept, which may
 * hold anything; -EPROTO if it cannot be a place in a ring of that size.
 */
int vhost_user_inflight_packed_base(const struct vhost_user_inflight *inflight, unsigned ring,
                                    uint32_t size, uint32_t *base);

/* The base of a ring that has not run yet. */
uint32_t vhost_user_first_base(bool packed);

int vhost_user_ring_start(struct vhost_user *vu, struct vhost_user_ring *ring);
/* A ring that is disabled stays where it is, or loses what is in it, as its type of device has it.
 * Of a server without protocol features all are enabled. */
int vhost_user_ring_enable(struct vhost_user *vu, unsigned index, bool enable);
/*
 * Returns when the server has let go of the ring, and by the protocol of all that it had taken from
 * it. *base: where it was.
 */
int vhost_user_ring_stop(struct vhost_user *vu, unsigned index, uint32_t *base);

/* ---- the socket on which the server speaks ---- */

/*
 * Reads one message of it and answers. 1 and *changed: the configuration changed, or not; 0: there
 * is none; negative: the socket is of no use any more. Never blocks.
 */
int vhost_user_backend_message(int fd, bool *changed);

#endif
