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
 * Threads. Every call below says which may make it:
 *   [registers]  any thread that holds the transport's lock, which orders register accesses.
 *   [any]        any thread, no lock.
 *   [loop]       the device's loop: all that is the device's lives there, without a lock.
 *   [queue]      the queue's loop, which is the device's unless queue_loops says otherwise: the
 *                queue and its requests live there.
 * Registers cross over by evloop_call(), which waits for a loop, and the device's loop reaches its
 * queues in the same way. Each waits only for what is further down, so that cannot deadlock:
 *
 *   registers, with the transport's lock  -->  the device's loop  -->  the queues' loops
 *
 * What a loop must change that is further up (status, interrupt status, configuration generation)
 * is atomic, and the functions of struct virtio_host take no lock but leaves. Nor does a kick, so a
 * guest that kicks during a reset waits for nothing.
 *
 * None of them waits for another process (core/loop/may_block.h), but for one case: a driver that
 * resets a device with external queues without asking whether that is done, see
 * virtio_device_settle().
 */
#ifndef MINIVET_VIRTIO_DEVICE_H
#define MINIVET_VIRTIO_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/log.h"
#include "core/loop/evloop.h"
#include "virtio/base/type.h"
#include "virtio/ring/virtqueue.h"

struct facts;
struct gmem;
struct state;
struct virtio_device;
struct virtio_observer;
struct vq_ops;

#define VIRTIO_QUEUE_SIZE_DEFAULT 256u
#define VIRTIO_QUEUES_MAX         64u

/*
 * How many chains a queue may take in one turn of the loop, so that the others get theirs, and so
 * that the driver has the first of them back while the device is at work on the next.
 */
#define VIRTIO_TURN_CHAINS 16u
/* So many buffers more count as a chain: each may be in a page that the host has to make first. */
#define VIRTIO_TURN_BUFFERS 64u

/* The device's half. On the device's loop, but queue_... on the queue's. */
struct virtio_device_ops {
    /* The guest wrote bytes of fields that are writable. NULL: writes are ignored. */
    void (*config_write)(struct virtio_device *dev, unsigned offset, const void *src, unsigned len);
    /* FEATURES_OK, which legacy drivers do not set: virtio_device_negotiated() tells, queues do not
     * run yet. For configuration bytes that depend on features. May be NULL. */
    void (*features_ok)(struct virtio_device *dev);
    /* Features are fixed, queues are there and about to run; 0 or a negative errno. May be NULL. */
    int (*activate)(struct virtio_device *dev);
    /* A queue is about to run, with the size that it has until queue_stop(): at activation, before
     * activate(), or later. 0 or a negative errno. May be NULL. */
    int (*queue_start)(struct virtio_device *dev, unsigned queue);
    /*
     * Does the kernel or another process take the chains, from the ring itself and by the kick
     * eventfd? Then the queue is checked and handed over by queue_start(), and queue_ready() never
     * comes. It stays so while the device is activated. NULL: none is.
     */
    bool (*queue_is_external)(const struct virtio_device *dev, unsigned queue);
    /* There may be chains: take them by virtio_queue_next() until it says NULL. */
    void (*queue_ready)(struct virtio_device *dev, unsigned queue);
    /* Let go of every chain of the queue before returning: wait for the backend, forget the rest.
     */
    void (*queue_stop)(struct virtio_device *dev, unsigned queue);
    /*
     * The queue is held, see virtio_device_hold(): begin nothing with chains that have come
     * already, until queue_ready() comes again. Returns how many of them wait in the device, none
     * of which has been begun: they were taken last. NULL: none ever waits.
     */
    unsigned (*queue_hold)(struct virtio_device *dev, unsigned queue);
    /*
     * Of an external queue, after queue_stop(): may the other process still use it? Then the reset
     * of the queue, or of the device, is not complete before virtio_queue_stopped(), and until then
     * the driver can neither set it up nor start it. NULL: never.
     */
    bool (*queue_is_stopping)(const struct virtio_device *dev, unsigned queue);
    /* [any] A kick of any queue, for a device whose kick eventfds are held by others; NULL: the
     * eventfd is written. */
    void (*kick)(struct virtio_device *dev, unsigned queue);
    /* [registers] See virtio_device_settle(). May be NULL. */
    void (*settle)(struct virtio_device *dev);
    /* The driver has begun, and all queues are stopped: undo activate(), which may have failed or
     * not come, and what was written into the configuration space. May be NULL. */
    void (*reset)(struct virtio_device *dev);
    /*
     * Saves or loads (core/state/state.h) what the device keeps of its driver's beside registers
     * and queues. When it is loaded it is activated already, or it is not going to be. NULL:
     * nothing.
     */
    void (*state)(struct virtio_device *dev, struct state *s);
    /* Names what a person wants to know of it beside registers and queues. May be NULL. */
    void (*describe)(struct virtio_device *dev, struct facts *f);
};

/* The transport's half. On the queue's loop, and on any of them; they do not block. */
struct virtio_host_ops {
    void (*notify_queue)(void *ctx, unsigned queue); /* used buffers */
    void (*notify_config)(void *ctx);                /* configuration or DEVICE_NEEDS_RESET */
    /* A write to that eventfd interrupts for the queue, without the device where that is possible;
     * notify_queue() is to be called for each write nevertheless. -1: no eventfd. May be NULL. */
    void (*notify_by)(void *ctx, unsigned queue, int eventfd);
    /* For messages: the queue's interrupt vector, or -1. May be NULL. */
    int (*queue_vector)(void *ctx, unsigned queue);
};

struct virtio_host {
    const struct virtio_host_ops *ops;
    void *ctx;
};

/* Memory of the device that the guest may map (VIRTIO 1.4 2.10). */
struct virtio_shm {
    uint8_t id; /* no other region of the device has it */
    void *hva;  /* outlives the device */
    uint64_t bytes;
};

#define VIRTIO_FEATURE_WORDS 4u /* of 32 bits: features 0 to 127 */

/* What the creator of a device says of it, whatever its type is. */
struct virtio_setup {
    const char *name; /* for messages; outlives the device */
    struct evloop *loop;
    const struct gmem *gmem;
    uint64_t features_on;    /* offered on top: RING_PACKED, IN_ORDER, what device.c can do */
    uint64_t features_off;   /* not offered */
    uint32_t queue_size_max; /* 0: the default */
};

/* What the device says of itself. */
struct virtio_device_config {
    const struct virtio_device_type *type;
    const struct virtio_device_ops *ops;
    uint64_t features;    /* 0 to 63: the type's own; device.c adds what it does itself */
    uint64_t features_64; /* 64 to 127 */
    uint8_t *config;      /* configuration space; the loop's, see virtio_device_config_changed() */
    unsigned config_bytes;
    unsigned queue_count;
    unsigned iov_max; /* vectors in a chain at most; 0: as many as a chain has descriptors */
    const struct virtio_shm *shm;
    unsigned shm_count;
    /* The loop of each queue; NULL: all on the setup's. Read once. None of them waits for that, nor
     * for another that does: loops that serve queues of several devices are no device's own. */
    struct evloop *const *queue_loops;
};

/*
 * A queue's state, and what changes it:
 *
 *     from               by                                              to
 *     UNSET, RESET       the driver: the queue is ready                  READY
 *     READY              activation: the ring is good                    STARTED
 *     STARTED            activate() has succeeded                        LIVE
 *     LIVE               the device is held                              HELD
 *     HELD               the device is released                          LIVE
 *     STARTED and on     the device is reset, or QueueReady written 0    STOPPING
 *     STOPPING           the device has let go, see queue_is_stopping()  UNSET
 *     STARTED and on     the driver resets it alone                      RESETTING
 *     RESETTING          the device has let go                           RESET
 *     READY              the driver resets it alone                      RESET
 *     RESETTING          the device is reset                             STOPPING
 *     READY, RESET       the device is reset, or QueueReady written 0    UNSET
 *
 * Registers change it while the queue is not on its loop, and wait for the loop while it is. Only
 * virtio_queue_stopped() comes when it likes.
 */
enum virtio_queue_state {
    VIRTIO_QUEUE_UNSET, /* the driver may set it up before DRIVER_OK */
    VIRTIO_QUEUE_RESET, /* the driver may set it up */
    VIRTIO_QUEUE_STOPPING,
    VIRTIO_QUEUE_RESETTING,
    VIRTIO_QUEUE_READY, /* from here on it is ready, as the registers say it */
    VIRTIO_QUEUE_STARTED,
    VIRTIO_QUEUE_HELD, /* it takes no chain, and gives back what it has */
    VIRTIO_QUEUE_LIVE,
};

struct virtio_queue {
    struct vq_config config; /* [registers] */
    _Atomic enum virtio_queue_state state;
    struct virtio_device *dev;
    unsigned index;
    struct evloop *loop; /* fixed for the device's life */
    int kick_fd;         /* an eventfd; likewise */
    bool resumes;        /* it was loaded, and starts from `position` */
    uint32_t position;   /* see vq_position() */

    /* [queue] from here on. */
    struct virtqueue vq;
    struct ev_fd kick;
    struct ev_defer again; /* serve once more, next turn */
    struct ev_poll poll;   /* it is dry, and looked at before the loop sleeps */
    struct ev_defer flush; /* show the guest what was pushed in this turn */
    unsigned turn;         /* chains that it may still take now */
    bool interrupt_due;    /* for what virtio_queue_show() has shown */
};

/* Embedded in each device. */
struct virtio_device {
    struct virtio_setup setup;
    struct virtio_device_config cfg;
    struct virtio_host host;
    struct virtio_queue *queues;
    struct virtio_observer *observers; /* see observer.h; NULL: none */
    unsigned observed;                 /* VIRTIO_SEES_ of all of them */
    const struct vq_ops *format;       /* of queues; NULL: what the driver has accepted */
    struct log_guest_count guest_errors, activations;
    _Atomic bool failed_before;  /* it has been said that this device needed a reset */
    _Atomic uint32_t status;     /* set by both sides, cleared by reset on the loop */
    _Atomic uint32_t generation; /* of the configuration space */
    uint64_t offered[2];         /* features 0 to 63, and 64 to 127; fixed */
    uint64_t accepted[2];        /* [registers] as written, fixed by FEATURES_OK */
    bool accepted_beyond;        /* [registers] a bit that does not fit in it */
    bool legacy;                 /* [registers] the driver uses the legacy interface */
    _Atomic bool notify_data;    /* NOTIFICATION_DATA is negotiated */
    uint64_t features[2];        /* [loop] negotiated, fixed while queues run; 0 before */
    _Atomic bool resetting;      /* begun, and a queue is still stopping: the status is not 0 yet */
    _Atomic bool running;        /* DRIVER_OK, and neither failed nor reset since */
    bool active;                 /* activated and not reset: written on the loop during an
                                    evloop_call() of [registers], so both may read it */
};

/* ---- for the device that embeds it ---- */

/* Set-up thread. Errors are reported. */
int virtio_device_init(struct virtio_device *dev, const struct virtio_setup *setup,
                       const struct virtio_device_config *config);
/* The transport has gone (virtio_device_detach()). A zeroed device is allowed. */
void virtio_device_fini(struct virtio_device *dev);

/*
 * The segments that a request may have beside its header and its status: more in a chain than a
 * queue has descriptors is not allowed (VIRTIO 1.4 2.7.5.3.1), and a split ring's size is a power
 * of 2.
 */
uint32_t virtio_device_seg_max(const struct virtio_device *dev);

/* [loop] [queue] Was the feature negotiated? */
bool virtio_device_has(const struct virtio_device *dev, unsigned feature);

/*
 * [queue] The next chain of a queue, to be ended by one virtio_queue_push(); or NULL: none is there
 * (the guest will kick for the next), the turn is used up (queue_ready() comes again) or the
 * queue does not run.
 */
struct vq_chain *virtio_queue_next(struct virtio_device *dev, unsigned queue);

/* [queue] Are there chains for virtio_queue_next()? The guest may change its mind. */
bool virtio_queue_has_next(struct virtio_device *dev, unsigned queue);

/* [queue] Gives a chain back; the guest sees it, and is notified, once at the end of this turn. */
void virtio_queue_push(struct virtio_device *dev, unsigned queue, struct vq_chain *chain);

/*
 * [queue] The guest sees what was given back already now; it is notified at the end of this turn.
 * A guest that polls refills the queue meanwhile. Under observers it does nothing.
 */
void virtio_queue_show(struct virtio_device *dev, unsigned queue);

/* [queue] Does it run? If not it is being stopped, or the device needs a reset. */
static inline bool virtio_queue_runs(const struct virtio_queue *q)
{
    return atomic_load_explicit(&q->dev->running, memory_order_relaxed) &&
           atomic_load_explicit(&q->state, memory_order_relaxed) == VIRTIO_QUEUE_LIVE;
}

/* [queue] Does it give back what it has taken? One that is held does, too. */
static inline bool virtio_queue_answers(const struct virtio_queue *q)
{
    return atomic_load_explicit(&q->dev->running, memory_order_relaxed) &&
           atomic_load_explicit(&q->state, memory_order_relaxed) >= VIRTIO_QUEUE_HELD;
}

/* [queue] Calls queue_ready() for a new turn: now, or after the current callbacks. */
void virtio_queue_serve(struct virtio_device *dev, unsigned queue);
void virtio_queue_serve_later(struct virtio_device *dev, unsigned queue);
/* [queue] After a chain that may have taken long. True: the next ones wait for another turn. */
bool virtio_queue_turn_is_over(struct virtio_device *dev, unsigned queue);

/* [loop] [queue] See queue_is_external(). */
bool virtio_queue_is_external(const struct virtio_device *dev, unsigned queue);

/* [queue] An external queue: chains came back, and the driver wants to know. */
void virtio_queue_notify(struct virtio_device *dev, unsigned queue);

/*
 * [queue] The same by an eventfd, which may pass by this process; virtio_queue_notify() follows
 * each write nevertheless, and without one may do nothing. -1: no more. One that an observer wants
 * to see does not pass by.
 */
void virtio_queue_notify_by(struct virtio_device *dev, unsigned queue, int eventfd);

/* [loop] What queue_is_stopping() said is over; of any other queue nothing happens. */
void virtio_queue_stopped(struct virtio_device *dev, unsigned queue);

/* [loop] The device has changed its configuration bytes: a new generation, and a notification. */
void virtio_device_config_changed(struct virtio_device *dev);

/* [loop] [queue] The device cannot go on before a reset. `why` is for the log. */
void virtio_device_fail(struct virtio_device *dev, const char *why);

/*
 * ---- for the machine ----
 *
 * A held device takes no chain, and is idle when its backends have done what it had begun, and the
 * driver sees that: then its transport's state may be saved, together with guest memory. It goes on
 * when it is released; or in a fresh device that loads the state, and is at work from then on.
 *
 * While no vCPU runs; or on the device's loop, if that has all its queues: then a driver may start
 * queues anew in between, which are not held. Hold it again before the look.
 */
void virtio_device_hold(struct virtio_device *dev);
bool virtio_device_is_idle(struct virtio_device *dev);
void virtio_device_release(struct virtio_device *dev);

/* How many of its chains the device has not given back; 0 of an external queue. On no queue's loop
 * but its own, or the main one. */
unsigned virtio_queue_in_flight(struct virtio_device *dev, unsigned queue);

/* ---- for the transport ---- */

/*
 * [registers] Saves the state of an idle device; or loads it into one that was reset and has its
 * transport. A device whose state cannot be loaded is to be destroyed.
 */
void virtio_device_state(struct virtio_device *dev, struct state *s);

/* [registers] Names what the device, its driver and its queues do now; nothing changes by that. */
void virtio_device_describe(struct virtio_device *dev, struct facts *f);

/* Set-up thread. A device has one transport. detach resets, and settles. */
void virtio_device_attach(struct virtio_device *dev, const struct virtio_host *host);
void virtio_device_detach(struct virtio_device *dev);

/* [any] */
uint32_t virtio_device_status(const struct virtio_device *dev);
uint32_t virtio_device_generation(const struct virtio_device *dev);
void virtio_device_kick(struct virtio_device *dev, uint32_t queue); /* any number, any time */
/*
 * [registers] A kick through the legacy interface: such drivers use a device before DRIVER_OK
 * (VIRTIO 1.4 3.1.2), so the first one activates it.
 */
void virtio_device_legacy_kick(struct virtio_device *dev, uint32_t queue);
/* [any] A kick as the driver wrote it: the queue, or with NOTIFICATION_DATA more (2.9). */
void virtio_device_notified(struct virtio_device *dev, uint32_t value);

/*
 * [registers] Bits are only ever added, in the order that VIRTIO 1.4 3.1.1 gives; a step out of
 * order and one that the device refuses leave no mark. Writing 0 resets: it is done when the status
 * reads as 0 (VIRTIO 1.4 2.4.2), until when nothing that is written counts. With external queues
 * that may be later.
 */
void virtio_device_set_status(struct virtio_device *dev, uint32_t value);

/*
 * [registers] For drivers that do not ask whether a reset is done, as those of virtio-mmio and of
 * the legacy interface: after it, waits until the queues are stopped. Of external ones that takes
 * as long as their server, but no longer than the device's own short limit: then the server is cut
 * off. Only the vCPU that resets waits, and such as access registers of the same device meanwhile.
 */
void virtio_device_settle(struct virtio_device *dev);

/*
 * [registers] From the first step after a reset on: the driver uses the legacy interface (VIRTIO
 * 1.4 1.3.1), or not. With it there is no FEATURES_OK and no VERSION_1; queues are configured at
 * any time, each runs from the moment it is ready, and a device may be used before DRIVER_OK. Only
 * while the status is 0.
 */
void virtio_device_set_legacy(struct virtio_device *dev, bool legacy);

/*
 * [registers] Features in words of 32 bits: what is offered, what the driver wrote (the bits that
 * are offered), and the driver's write. Words beyond the last are 0.
 */
uint32_t virtio_device_features(const struct virtio_device *dev, uint32_t word);
uint32_t virtio_device_accepted(const struct virtio_device *dev, uint32_t word);
void virtio_device_accept(struct virtio_device *dev, uint32_t word, uint32_t value);

/* [registers] Did the driver accept the feature (below 64), and may it rely on it? */
bool virtio_device_negotiated(const struct virtio_device *dev, unsigned feature);

/* [registers] 0 if there is no such queue. */
uint32_t virtio_device_queue_size_max(const struct virtio_device *dev, uint32_t queue);

/* [registers] For reading; NULL: no such queue. */
const struct vq_config *virtio_device_queue_config(const struct virtio_device *dev, uint32_t queue);

/* [registers] What the guest may write now, or NULL: no such queue, or not in this state. */
struct vq_config *virtio_device_queue_writable(struct virtio_device *dev, uint32_t queue);

/*
 * A legacy driver's queue of that size, all of it in one area (VIRTIO 1.4 2.7.2). What wraps begins
 * outside of guest memory, where no queue is activated.
 */
void virtio_legacy_lay_out(struct vq_config *config, uint64_t gpa, uint64_t align);

/*
 * [registers] Setting true starts the queue if the device runs already (after a queue reset, or
 * with a legacy driver), else activation does. Setting false stops a running queue until it is
 * reset, and settles.
 */
bool virtio_device_queue_ready(const struct virtio_device *dev, uint32_t queue);
void virtio_device_set_queue_ready(struct virtio_device *dev, uint32_t queue, bool ready);

/*
 * [registers] VIRTIO 1.4 2.6.1: stops the queue, waits for what it has in flight (an external one
 * may stop later), and brings its configuration back to what it was after the device's reset; then
 * it may be set up anew. Ignored without RING_RESET, before DRIVER_OK, and for a queue that is not
 * ready.
 */
void virtio_device_queue_reset(struct virtio_device *dev, uint32_t queue);
/* [any] Is such a reset under way? */
bool virtio_device_queue_resetting(const struct virtio_device *dev, uint32_t queue);

/* [any] The shared memory region of that id, or NULL. */
const struct virtio_shm *virtio_device_shm(const struct virtio_device *dev, uint32_t id);

/* [registers] The eventfd that kicks a queue which is running; -1 if it is not. */
int virtio_device_kick_fd(const struct virtio_device *dev, uint32_t queue);

/* [registers] The configuration space; bytes beyond it read as 0. The width is at most 8. A write
 * settles: what the driver does next may rely on it. */
uint64_t virtio_device_config_read(struct virtio_device *dev, uint64_t offset, unsigned width);
void virtio_device_config_write(struct virtio_device *dev, uint64_t offset, unsigned width,
                                uint64_t value);

#endif
