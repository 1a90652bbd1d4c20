// SPDX-License-Identifier: BSD-2-Clause
/*
 * Between the files of a vhost-user device, for them alone:
 *
 *   vhost_user_device.c  the device that the driver sees: its operations, life
 *   vhost_user_pursue.c  what the server is to be told, on the loop: makes jobs, takes their
 * results vhost_user_job.c     tells it, on the device's lane
 *
 * A job is one list of commands in one order. It has copies of all that it needs of the loop's
 * state. The first error ends it; the connection is lost then.
 */
#ifndef MINIVET_VIRTIO_VHOST_USER_JOB_H
#define MINIVET_VIRTIO_VHOST_USER_JOB_H

#include "virtio/vhost/vhost_user_device.h"

enum vhost_user_ring_work {
    VHOST_USER_RING_LEAVE,
    VHOST_USER_RING_STOP,
    VHOST_USER_RING_START,
    VHOST_USER_RING_SWITCH, /* enable or disable it */
};

struct vhost_user_job_ring {
    enum vhost_user_ring_work work;
    struct vhost_user_ring ring; /* START, of a split ring: its base is the used index */
    bool packed;
    bool known; /* START: a server has run it before, ... */
    bool idle;  /* ... and nothing was in flight when that one went */

    /* Results. */
    bool done;
    bool refused; /* START: the server does not want it */
    bool unknown; /* START: what was in flight is not known, so it was left alone */
};

struct vhost_user_job {
    struct ev_work work;
    unsigned activation;

    /* What it does, in this order; connect is alone. */
    bool connect;
    bool hand_over;
    bool tell; /* with hand_over, too */
    bool get_config;
    uint64_t features; /* negotiated, of those that the server knows */
    bool in_order;
    bool recorded; /* by hand_over: the last server's record is there, and this one has it, too */
    uint32_t setting;
    struct vhost_user_job_ring rings[VIRTIO_QUEUES_MAX];

    /* Results. */
    int err;    /* as vhost_user.h has it; v->vu.why says more */
    bool found; /* connect: there was a server */
    uint64_t queues;
    uint8_t config[VHOST_USER_CONFIG_MAX_BYTES]; /* connect and get_config */
};

#define VHOST_USER_RETRY_NS UINT64_C(1000000000)

struct vhost_user_queue {
    struct vhost_user_device *v;
    unsigned index;
    int call_fd;
    struct ev_fd call;

    /* The driver's. */
    bool live; /* between queue_start() and queue_stop() */
    struct vhost_user_ring ring;
    bool packed;

    /* The server's. */
    bool held;     /* it may use the ring: it was asked to start it, and not seen to stop it */
    bool served;   /* it was seen to start it, too */
    bool disabled; /* as it was told last */
    bool known;    /* a server has run it since it is live */
    bool idle;     /* nothing was in flight when that server went */
};

/* ---- vhost_user_pursue.c: on the loop ---- */

/* For ev_defer and ev_timer; the second is for when it is time for another try. ctx: the device. */
void vhost_user_pursue(void *ctx);
void vhost_user_retry(void *ctx);

/* A job's done(). */
void vhost_user_job_done(void *ctx);

/* Set-up: the first server has answered; a negative errno. */
int vhost_user_connected(struct vhost_user_device *v);
/* The end: no job is out. */
void vhost_user_disconnect(struct vhost_user_device *v);

/* The job's configuration becomes the device's; whether the driver sees other bytes now. */
bool vhost_user_take_config(struct vhost_user_device *v);

/* ---- vhost_user_job.c ---- */

/* For a job's work.run: on the lane. ctx is the device. */
void vhost_user_job_run(void *ctx);

/*
 * On the lane, or the set-up thread: from a connected socket, which is the device's then, to where
 * the device could be activated; fills the job's queues and config in.
 */
int vhost_user_job_open(struct vhost_user_device *v, int fd, int cancel_fd);

int vhost_user_job_connect(const struct vhost_user_setup *setup, int cancel_fd);

/* Rings that the server counts as one queue; and all rings that are the server's. */
unsigned vhost_user_group(const struct vhost_user_type *type);
unsigned vhost_user_ring_count(const struct vhost_user_device *v);

#endif
