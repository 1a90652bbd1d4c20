// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the files of the driver monitor share. Locks: virtio_strict.lock is over what is marked
 * [registers]; it is a leaf but for the log's. What is marked [loop] belongs to the device's loop.
 */
#ifndef MINIVET_VIRTIO_STRICT_IMPL_H
#define MINIVET_VIRTIO_STRICT_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtio/base/observer.h"
#include "virtio/observe/strict.h"

/* A descriptor as it was when its chain was taken. */
struct strict_desc {
    uint64_t digest; /* of what it said, and of the indirect table that it points to */
    uint16_t next;   /* of its chain */
    bool busy;       /* of a chain in flight, and not given back to the driver */
};

/* A chain in flight. */
struct strict_chain {
    uint16_t first, count; /* of its descriptors in the ring */
};

struct strict_queue {
    struct virtio_device *dev;
    unsigned index;

    /* [registers] As the driver set it up. */
    struct vq_config config;
    bool ready;
    bool was_reset;  /* alone, and not enabled since */
    uint64_t unread; /* registers that were written and have to be read back, by bit */

    /* [loop] While the queue is active. */
    bool packed;
    struct strict_desc *descs;   /* by place */
    struct strict_chain *chains; /* by head or buffer id */
    uint32_t out;                /* chains in flight */
    uint32_t last_event;         /* the driver's flags or event when last looked at */
    uint16_t last_idx;           /* split: the available index likewise */
};

struct virtio_strict {
    struct virtio_observer observer;
    struct virtio_device *dev;
    pthread_mutex_t lock;

    /* [registers] from here on. */
    bool pci;
    bool loaded;             /* what its driver did before is not known: silent until a reset */
    bool initialised;        /* there was a reset before the first step */
    bool reset_unread;       /* since the status was written 0 */
    bool features_ok_unread; /* since FEATURES_OK was written */
    bool features_refused;   /* and the driver has read it */
    bool needs_reset_known;  /* the driver has read it */
    uint64_t accepted;       /* features 0 to 63 */
    uint32_t driver_sel, queue_sel;
    uint64_t written, read; /* registers, by bit: since the reset; ever */
    uint64_t unread;        /* likewise: to be read back */

    _Atomic uint64_t *counts;  /* rules by queue; those of no queue first */
    struct strict_desc *descs; /* of all queues */
    struct strict_chain *chains;
    unsigned queue_count;
    struct strict_queue queues[];
};

/* ---- strict.c ---- */

/* The monitor of the device, or NULL: it is off. */
struct virtio_strict *virtio_strict_of(const struct virtio_device *dev);

/* ---- strict_regs.c: any thread ---- */

void strict_check(struct virtio_strict *s, const struct virtio_access *a);

/* ---- strict_ring.c: on the loop ---- */

void strict_ring_event(struct strict_queue *q, const struct virtio_event *e);

/* The rule of that name, of which both formats have one. */
#define STRICT_OF_RING(packed, name) ((packed) ? STRICT_PACKED_##name : STRICT_SPLIT_##name)

#define strict_dev_report(s, rule, ...) \
    strict_report((s)->dev, STRICT_NO_QUEUE, (rule), __VA_ARGS__)
#define strict_ring_report(q, rule, ...) \
    strict_report((q)->dev, (int)(q)->index, (rule), __VA_ARGS__)

/* ---- strict_types.c ---- */

/* A request as the device is going to see it. On the loop. */
void strict_request(struct strict_queue *q, const struct vq_chain *chain);
/* The driver has accepted its features. */
void strict_type_features(struct virtio_device *dev, uint64_t accepted);

#endif
