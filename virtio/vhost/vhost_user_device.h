// SPDX-License-Identifier: BSD-2-Clause
/*
 * A virtio device whose queues run in another process, a vhost-user server: what is the same for
 * every type of device. The transport, status and features stay here; the server gets guest memory,
 * the rings that the driver has set up, and two eventfds a ring.
 *
 *     driver's store -> ioeventfd = the queue's kick eventfd -> server: takes chains, does the I/O,
 *     gives them back -> call eventfd -> this loop -> virtio_queue_notify() -> transport -> irq
 *
 * The server may go and come back. Meanwhile the device stays and the driver's requests wait in
 * their rings. What the server had taken is repeated by the next one, from memory that both know
 * (INFLIGHT_SHMFD); from a server that cannot do that a ring is only taken up again if nothing was
 * in flight, else the device needs a reset: a request that is done twice may destroy data.
 */
#ifndef MINIVET_VIRTIO_VHOST_USER_DEVICE_H
#define MINIVET_VIRTIO_VHOST_USER_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/loop/evloop.h"
#include "core/peers/shared_event.h"
#include "virtio/base/device.h"
#include "virtio/vhost/vhost_user.h"

/* How long a vCPU waits, at most, for what a server has to do: see virtio_device_settle(). */
#define VHOST_USER_SETTLE_MS 2000u

struct clock;
struct vhost_user_device;
struct vhost_user_job;
struct vhost_user_queue;

/* What a type of device adds. Calls are on the loop, but tell(); each may be NULL. */
struct vhost_user_type {
    size_t bytes; /* of the type's structure */
    const struct virtio_device_type *device_type;
    uint64_t features;                         /* that this side understands and passes on */
    uint64_t local_features;                   /* that this side offers without the server */
    uint64_t (*consistent)(uint64_t features); /* of those, what has all that it needs */
    unsigned config_bytes;
    bool own_config; /* the configuration space is this side's, and not read of the server */
    /* Rings that the server counts as one queue; 0: 1. */
    unsigned group;
    /* What a server has taken and not given back may be done twice, or be lost. */
    bool repeatable;
    /* One more queue than the server's may be, which this side serves: is it that one? */
    bool (*is_local)(const struct vhost_user_device *v, unsigned queue);
    void (*serve)(struct vhost_user_device *v, unsigned queue);
    bool (*is_disabled)(const struct vhost_user_device *v, unsigned queue);
    void (*connection)(struct vhost_user_device *v); /* v->connected has changed */
    /* config has just been read: make it what the driver shall see. */
    void (*config_fix)(struct vhost_user_device *v);
    /* The driver writes, inside of the configuration space. */
    void (*config_write)(struct vhost_user_device *v, unsigned offset, const void *src,
                         unsigned len);
    /* As in struct virtio_device_ops. */
    void (*features_ok)(struct vhost_user_device *v);
    void (*activate)(struct vhost_user_device *v);
    void (*reset)(struct vhost_user_device *v);
    /*
     * On the lane: tells a server a setting, which v->setting was. Before the first ring of an
     * activation, or of a new connection, starts; and when it has changed since. Results are those
     * of vhost_user.h.
     */
    int (*tell)(struct vhost_user *vu, uint32_t setting);
};

/* What the device's creator says, of any type. */
struct vhost_user_setup {
    struct virtio_setup setup;
    /*
     * Where the server listens; or a function that gives a connected stream socket each time, which
     * is the device's from then on, or a negative errno. It is called at creation, and on the
     * device's lane whenever the server has gone; it may take its time, but ends at once when
     * cancel_fd becomes readable (-1: never). With it the path is only what messages say. Both
     * outlive the device.
     */
    const char *socket_path;
    int (*connect)(void *ctx, int cancel_fd);
    void *connect_ctx;
    int cancel_fd;             /* readable: the creation ends with -ECANCELED; 0, -1: never */
    unsigned groups;           /* of rings; 0: one; fewer if the server has not as many */
    unsigned reply_ms;         /* how long the server may take to answer; 0: the usual */
    const struct clock *clock; /* the loop's; NULL: the host's */
};

/*
 * Each type's structure begins with it. The loop holds what the driver wants and what the server is
 * known to have; a job brings the two together: it is made on the loop from where they differ, run
 * on the device's lane, and its results are taken on the loop. One at a time.
 */
struct vhost_user_device {
    struct virtio_device dev;
    const struct vhost_user_type *type;
    struct vhost_user_setup cfg;
    uint8_t config[VHOST_USER_CONFIG_MAX_BYTES]; /* the configuration space */
    uint32_t setting;                            /* see tell() */
    uint64_t passed; /* features that go to the server when the driver accepts them */
    uint64_t needed; /* features that every later server must have: they were offered */
    struct vhost_user_queue *queues;
    unsigned groups;
    bool active; /* the driver's: between activate() and reset() */
    bool connected;
    bool ending;

    struct evloop_lane *lane;
    struct vhost_user_job *job;
    bool busy; /* the job is out: vu, inflight and backend_fd are the lane's, else the loop's */
    struct vhost_user vu;
    struct vhost_user_inflight inflight;
    int backend_fd;

    int cancel_fd;          /* ends the job that is out */
    struct ev_defer pursue; /* something may differ */
    unsigned activation;    /* its number */
    bool handed_over;       /* the server knows of this activation */
    uint32_t told;          /* the setting that it knows */
    bool config_stale;      /* it said that its configuration has changed */
    bool connect_due;       /* it is time for another try */
    bool forget_inflight;   /* what is in flight is of a driver that has reset the device */
    struct ev_fd socket;    /* says when the server has gone; watched while no job is out */
    struct ev_fd backend;   /* on it the server speaks first; likewise */
    struct ev_fd broken;    /* an eventfd: it says that a ring is broken */
    int broken_fd;
    struct shared_event_signal kicks;

    struct ev_timer retry;
    uint64_t retry_ns;  /* until the next try */
    uint64_t since_ns;  /* when the connection was made */
    uint64_t minute_ns; /* when the minute began in which the server has spoken first so often: */
    unsigned spoken;
};

/* What is_disabled() says, or v->setting, has changed: tells the server, soon. */
void vhost_user_device_changed(struct vhost_user_device *v);

/*
 * Set-up thread: a zeroed structure of the type, made into a device whose server has answered;
 * NULL: *err says why, and it is reported.
 */
struct vhost_user_device *vhost_user_device_create(const struct vhost_user_type *type,
                                                   const struct vhost_user_setup *config, int *err);
/* After its transport. NULL is allowed. */
void vhost_user_device_destroy(struct vhost_user_device *v);

#endif
