// SPDX-License-Identifier: BSD-2-Clause
/*
 * What all virtio devices have in common, once for all transports: status, features, reset,
 * configuration space, queues (VIRTIO 1.4 2 and 3.1).
 *
 * From a kick to an interrupt, each file entered once a direction:
 *
 *   any vCPU   store -> ioeventfd, or bus_write -> transport -> virtio_device_kick() -> eventfd
 *   the loop   eventfd -> virtio_queue_serve() -> ops->queue_ready(): for each chain of
 *              virtio_queue_next(): the device submits it to its backend
 *   the loop   completion -> virtio_queue_push(); once a loop turn: vq_flush() ->
 *              host->notify_queue() -> transport -> irq
 *
 * Threads. Every call below says who may make it:
 *   [registers]  any thread that holds the transport's lock, which orders register accesses.
 *   [any]        any thread, no lock.
 *   [loop]       the loop's thread: queues and all that is the device's live there, without a lock.
 * Registers cross over by evloop_call(), which waits for the loop. That cannot deadlock: the loop
 * never takes the transport's lock. What it must change that registers show (status, interrupt
 * status, configuration generation) is atomic, and the functions of struct virtio_host take no
 * lock. Nor does a kick, so a guest that kicks during a reset waits for nothing.
 */
#ifndef MINIVET_VIRTIO_DEVICE_H
#define MINIVET_VIRTIO_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/evloop.h"
#include "core/log.h"
#include "virtio/virtqueue.h"

struct gmem;
struct virtio_device;

#define VIRTIO_QUEUE_SIZE_DEFAULT 256u
#define VIRTIO_QUEUES_MAX         64u

/* How many chains a queue may take in one turn of the loop, so that the others get theirs. */
#define VIRTIO_TURN_CHAINS 64u

/* The device's half. All on the loop. */
struct virtio_device_ops {
    /* The guest wrote into the configuration space, inside it. NULL: writes are ignored. */
    void (*config_write)(struct virtio_device *dev, unsigned offset, const void *src, unsigned len);
    /* Features are fixed and queues run; 0 or a negative errno. May be NULL. */
    int (*activate)(struct virtio_device *dev);
    /* There may be chains: take them by virtio_queue_next() until it says NULL. */
    void (*queue_ready)(struct virtio_device *dev, unsigned queue);
    /* Let go of every chain of the queue before returning: wait for the backend, forget the rest.
     */
    void (*queue_stop)(struct virtio_device *dev, unsigned queue);
    /* All queues are stopped: undo activate(), which may have failed or not come. May be NULL. */
    void (*reset)(struct virtio_device *dev);
};

/* The transport's half. All on the loop; they neither block nor lock. */
struct virtio_host_ops {
    void (*notify_queue)(void *ctx, unsigned queue); /* used buffers */
    void (*notify_config)(void *ctx);                /* configuration or DEVICE_NEEDS_RESET */
};

struct virtio_host {
    const struct virtio_host_ops *ops;
    void *ctx;
};

struct virtio_device_config {
    const char *name; /* for messages; outlives the device */
    uint32_t device_id;
    const struct virtio_device_ops *ops;
    uint64_t features; /* the device type's own; device.c adds what it does itself */
    uint8_t *config;   /* configuration space; the loop's, see virtio_device_config_changed() */
    unsigned config_bytes;
    unsigned queue_count;
    uint32_t queue_size_max; /* 0: the default */
    unsigned iov_max;        /* vectors in a chain at most */
    struct evloop *loop;
    const struct gmem *gmem;
};

struct virtio_queue {
    struct vq_config config; /* [registers] */
    struct virtio_device *dev;
    unsigned index;
    int kick_fd; /* an eventfd, fixed for the device's life */

    /* [loop] from here on. */
    struct virtqueue vq;
    struct ev_fd kick;
    struct ev_defer again; /* serve once more, next turn */
    struct ev_defer flush; /* show the guest what was pushed in this turn */
    unsigned turn;         /* chains that it may still take now */
    bool live;             /* activated, and not being stopped */
};

/* Embedded in each device. */
struct virtio_device {
    struct virtio_device_config cfg;
    struct virtio_host host;
    struct virtio_queue *queues;
    struct log_guest_count guest_errors;
    _Atomic uint32_t status;     /* set by both sides, cleared by reset on the loop */
    _Atomic uint32_t generation; /* of the configuration space */
    uint64_t offered;            /* fixed */
    uint64_t accepted;           /* [registers] as written, fixed by FEATURES_OK */
    bool accepted_beyond;        /* [registers] a bit that does not fit in it */
    uint64_t features;           /* [loop] negotiated; 0 before activation */
    bool running;                /* [loop] DRIVER_OK, and neither failed nor reset since */
    bool active;                 /* activated and not reset: written on the loop during an
                                    evloop_call() of [registers], so both may read it */
};

/* ---- for the device that embeds it ---- */

/* Set-up thread. Errors are reported. */
int virtio_device_init(struct virtio_device *dev, const struct virtio_device_config *config);
/* The transport has gone (virtio_device_detach()). A zeroed device is allowed. */
void virtio_device_fini(struct virtio_device *dev);

/* [loop] Was the feature negotiated? */
bool virtio_device_has(const struct virtio_device *dev, unsigned feature);

/*
 * [loop] The next chain of a queue, to be ended by one virtio_queue_push(); or NULL: none is there
 * (the guest will kick for the next), the turn is used up (queue_ready() comes again) or the
 * queue does not run.
 */
struct vq_chain *virtio_queue_next(struct virtio_device *dev, unsigned queue);

/* [loop] Gives a chain back; the guest sees it, and is notified, once at the end of this turn. */
void virtio_queue_push(struct virtio_device *dev, unsigned queue, struct vq_chain *chain);

/* [loop] Calls queue_ready() for a new turn: now, or after the current callbacks. */
void virtio_queue_serve(struct virtio_device *dev, unsigned queue);
void virtio_queue_serve_later(struct virtio_device *dev, unsigned queue);

/* [loop] The device has changed its configuration bytes: a new generation, and a notification. */
void virtio_device_config_changed(struct virtio_device *dev);

/* [loop] The device cannot go on before a reset. `why` is for the log. */
void virtio_device_fail(struct virtio_device *dev, const char *why);

/* ---- for the transport ---- */

/* Set-up thread. A device has one transport. detach resets. */
void virtio_device_attach(struct virtio_device *dev, const struct virtio_host *host);
void virtio_device_detach(struct virtio_device *dev);

/* [any] */
uint32_t virtio_device_status(const struct virtio_device *dev);
uint32_t virtio_device_generation(const struct virtio_device *dev);
void virtio_device_kick(struct virtio_device *dev, uint32_t queue); /* any number, any time */

/*
 * [registers] Bits are only ever added, in the order that VIRTIO 1.4 3.1.1 gives; a step out of
 * order and one that the device refuses leave no mark. Writing 0 resets, and returns when it is
 * done.
 */
void virtio_device_set_status(struct virtio_device *dev, uint32_t value);

/* [registers] Features in words of 32 bits; words beyond 64 bits are 0. */
uint32_t virtio_device_features(const struct virtio_device *dev, uint32_t word);
void virtio_device_accept(struct virtio_device *dev, uint32_t word, uint32_t value);

/* [registers] 0 if there is no such queue. */
uint32_t virtio_device_queue_size_max(const struct virtio_device *dev, uint32_t queue);

/* [registers] What the guest may write now, or NULL: no such queue, or not in this state. */
struct vq_config *virtio_device_queue_config(struct virtio_device *dev, uint32_t queue);

/* [registers] Setting false stops a running queue for good. */
bool virtio_device_queue_ready(const struct virtio_device *dev, uint32_t queue);
void virtio_device_set_queue_ready(struct virtio_device *dev, uint32_t queue, bool ready);

/* [registers] The eventfd that kicks a queue which is running; -1 if it is not. */
int virtio_device_kick_fd(const struct virtio_device *dev, uint32_t queue);

/* [registers] The configuration space; bytes beyond it read as 0. len is at most 8. */
void virtio_device_config_read(struct virtio_device *dev, uint64_t offset, void *dst, unsigned len);
void virtio_device_config_write(struct virtio_device *dev, uint64_t offset, const void *src,
                                unsigned len);

#endif
