// SPDX-License-Identifier: BSD-2-Clause
/*
 * A vhost-user server with a disk in memory, in a thread: what a device with external queues talks
 * to in tests. It can hold requests, go in the middle of them, and misbehave. Or it is a network,
 * on which what a pair sends comes back to it.
 */
#ifndef MINIVET_TESTS_HARNESS_VHOST_SERVER_H
#define MINIVET_TESTS_HARNESS_VHOST_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/memory/gmem.h"
#include "virtio/ring/virtqueue.h"
#include "virtio/vhost/vhost_user_wire.h"

#define VHOST_SERVER_RINGS      6u
#define VHOST_SERVER_DISK_BYTES UINT64_C(0x100000)
#define VHOST_SERVER_HELD       16u
#define VHOST_SERVER_NO_SECTOR  UINT64_MAX

enum vhost_server_fault {
    VHOST_SERVER_GOOD,
    VHOST_SERVER_SILENT,    /* no answer */
    VHOST_SERVER_CLOSES,    /* instead of an answer */
    VHOST_SERVER_SHORT,     /* half of an answer, then closes */
    VHOST_SERVER_TRICKLES,  /* a byte now and then, and never the last */
    VHOST_SERVER_OTHER,     /* answers to another request */
    VHOST_SERVER_NO_REPLY,  /* without the flag that says it is an answer */
    VHOST_SERVER_HUGE,      /* says that 4 GiB follow */
    VHOST_SERVER_TOO_SMALL, /* one byte */
    VHOST_SERVER_REFUSES,
    VHOST_SERVER_FDS,   /* three file descriptors, where one is asked for or none */
    VHOST_SERVER_NO_FD, /* none where one is asked for */
    VHOST_SERVER_FAULTS,
};

struct vhost_server_ring {
    uint32_t size, base;
    uint64_t desc, driver, device; /* user addresses */
    int kick_fd, call_fd, err_fd;
    bool running, enabled;
    struct vq_config config;
    struct virtqueue vq;
    struct vq_chain *held[VHOST_SERVER_HELD];
    unsigned held_count;
};

struct vhost_server {
    /* The test's, while no thread runs. */
    uint64_t features, protocol; /* that it offers; vhost_server_init() sets good ones */
    unsigned queues;
    bool is_net;              /* queues are pairs */
    bool answers_early;       /* stops a ring before what it took from there is done */
    bool down;                /* nobody can connect */
    const struct gmem *front; /* the front end's memory: see map_region() */

    /* The test's at any time. */
    _Atomic uint64_t hold_sector; /* requests to it are taken and kept; VHOST_SERVER_NO_SECTOR */
    _Atomic bool mute;            /* never says that something came back */
    _Atomic bool deaf;            /* takes no kicks: vhost_server_deafen() */
    _Atomic bool hears;           /* not yet deaf */
    _Atomic enum vhost_server_fault fault;
    _Atomic uint32_t fault_at;    /* at which request */
    _Atomic unsigned faults;      /* such requests that came */
    _Atomic unsigned taken, done; /* requests, of all its lives */
    _Atomic unsigned repeated;    /* that an earlier life had taken */
    _Atomic unsigned connections;
    _Atomic uint64_t acked;    /* features */
    _Atomic uint64_t mtu;      /* that it was told; 0: none */
    _Atomic unsigned rings_on; /* enabled, a bit each */
    _Atomic int writeback;     /* that was set by SET_CONFIG; -1: none was */
    _Atomic int record_fd;     /* given once instead of a record of requests in flight; -1: none */
    pthread_mutex_t lock;      /* over sending on the next, and its end */
    _Atomic int backend_fd;    /* of SET_BACKEND_REQ_FD */

    uint8_t *disk;
    _Atomic uint64_t capacity_bytes;

    /* The thread's. */
    pthread_t thread;
    bool has_thread;
    int fd, stop_fd;
    struct gmem memory;
    uint64_t user[GMEM_MAX_REGIONS];
    uint64_t used_protocol;
    struct vhost_server_ring rings[VHOST_SERVER_RINGS];
    uint8_t *inflight;
    uint64_t inflight_bytes;
    uint16_t inflight_queues;
};

void vhost_server_init(struct vhost_server *s);
/* The same for a network. */
void vhost_server_init_net(struct vhost_server *s);
void vhost_server_fini(struct vhost_server *s);

/* For the device: ends the life before, if there is one, and starts a new one. ctx: the server. */
int vhost_server_connect(void *ctx, int cancel_fd);

/* It goes at once, and leaves what it has taken undone. */
void vhost_server_kill(struct vhost_server *s);

/* It takes no more kicks, and has served those before. kick_fd: of a ring that it serves. */
void vhost_server_deafen(struct vhost_server *s, int kick_fd);

/* A descriptor of the caller's for the server's end of its connection, or of the channel on which
 * it speaks first: the server's thread may close its own at any time. */
int vhost_server_socket(struct vhost_server *s, bool backend);

/* Tells the device that the disk has another size; 0 if it could be told. */
uint64_t vhost_server_resize(struct vhost_server *s, uint64_t bytes);

#endif
