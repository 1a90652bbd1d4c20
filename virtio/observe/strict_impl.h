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

#include "virtio/observe/strict.h"
#include "virtio/ring/virtqueue.h"
#include "virtio/ring/vq_ops.h"

#define STRICT_DESC_BYTES 16u /* of both ring formats */

/* A descriptor as it was when its chain was taken. */
struct strict_desc {
    uint8_t raw[STRICT_DESC_BYTES];
    uint64_t table; /* a digest of the indirect table that it points to */
    uint32_t walk;  /* the last walk that came by */
    uint16_t next;  /* of its chain */
    bool busy;      /* of a chain in flight, and not given back to the driver */
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
    bool was_reset;     /* alone, and not enabled since */
    bool reset_unread;  /* not verified */
    bool stop_unread;   /* QueueReady was written 0 */
    bool vector_unread; /* queue_msix_vector was written */

    /* [loop] While the queue is active. */
    const struct vq_ops *real; /* the ring's operations, */
    struct vq_ops around;      /* and these, which look first */
    bool packed;
    const uint8_t *memory;       /* the descriptors in guest memory */
    struct strict_desc *descs;   /* copies, by place */
    struct strict_chain *chains; /* by head or buffer id */
    uint32_t walks;              /* so far */
    uint32_t out;                /* chains in flight */
    uint32_t last_event;         /* the driver's flags or event when last looked at */
    uint16_t last_idx;           /* split: the available index likewise */
};

struct virtio_strict {
    struct virtio_device *dev;
    pthread_mutex_t lock;

    /* [registers] from here on. */
    bool pci;
    bool initialised;          /* there was a reset before the first step */
    bool reset_unread;         /* since the status was written 0 */
    bool features_ok_unread;   /* since FEATURES_OK was written */
    bool features_refused;     /* and the driver has read it */
    bool needs_reset_known;    /* the driver has read it */
    bool config_vector_unread; /* PCI: config_msix_vector was written */
    uint64_t accepted;         /* features 0 to 63 */
    uint32_t device_sel, driver_sel, queue_sel;
    bool device_sel_written, driver_sel_written;
    uint32_t discovered; /* mmio: which of the first registers were read, by bit */

    _Atomic uint64_t *counts; /* rules by queue; those of no queue first */
    unsigned queue_count;
    struct strict_queue queues[];
};

/* ---- strict_regs.c: what a driver did, however it reached it. Under the lock. ---- */

void strict_status_write(struct virtio_strict *s, uint32_t value);
void strict_status_read(struct virtio_strict *s, uint32_t value);
void strict_feature_write(struct virtio_strict *s, uint32_t word, uint32_t value);
/* The selected queue; NULL and a report if it is not there, or not to be configured now. */
struct strict_queue *strict_queue_write(struct virtio_strict *s);
/* The selected queue, or NULL. */
struct strict_queue *strict_queue_selected(struct virtio_strict *s);
void strict_queue_size(struct virtio_strict *s, uint32_t size);
void strict_queue_start(struct virtio_strict *s);
void strict_queue_reset(struct virtio_strict *s, uint32_t value);
void strict_notify(struct virtio_strict *s, uint32_t value);
void strict_config(struct virtio_strict *s, const struct strict_access *a);
bool strict_negotiated(const struct virtio_strict *s, unsigned feature);

/* ---- strict_ring.c: a chain as it is checked. On the loop. ---- */

struct strict_walk {
    struct strict_queue *q;
    const struct virtqueue *vq;
    uint32_t start; /* the ring's position */
    uint32_t room;  /* packed: descriptors that are not in flight there */
    uint16_t first, last, slots;
    unsigned descs, vectors;
    uint64_t bytes;
    bool writable; /* one was there */
};

/* The rule of that name, of which both formats have one. */
#define STRICT_OF_RING(packed, name) ((packed) ? STRICT_PACKED_##name : STRICT_SPLIT_##name)

/* What the driver left in the memory that is to be a ring, of which nothing is checked. */
void strict_split_look(struct strict_queue *q, const struct gmem *gmem, uint64_t used_gpa);

/* What the driver wrote beside descriptors. */
void strict_split_check(struct strict_queue *q, const struct virtqueue *vq);
void strict_packed_check(struct strict_queue *q, const struct virtqueue *vq);

/* Checks the chain there and copies its descriptors. Returns whether there is one. */
bool strict_split_walk(struct strict_walk *w);
bool strict_packed_walk(struct strict_walk *w);

/* The descriptors that the driver gets back when the chain is pushed: they may be another's. */
void strict_packed_give_back(struct strict_queue *q, const struct virtqueue *vq,
                             const struct vq_chain *chain);

#define strict_dev_report(s, rule, ...) \
    strict_report((s)->dev, STRICT_NO_QUEUE, (rule), __VA_ARGS__)
#define strict_ring_report(q, rule, ...) \
    strict_report((q)->dev, (int)(q)->index, (rule), __VA_ARGS__)

/* What a descriptor says, in either format. */
struct strict_fields {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, link; /* next, or the buffer's id */
};

/* Takes a copy of the descriptor at `place` into the chain. */
struct strict_fields strict_walk_copy(struct strict_walk *w, uint16_t place);
/* Checks one buffer; false: the chain is too long to go on. */
bool strict_walk_buffer(struct strict_walk *w, struct strict_fields d);
/* Checks what every indirect table has to be. NULL: it cannot be walked. */
const uint8_t *strict_walk_table(struct strict_walk *w, struct strict_fields d);
/* A descriptor of such a table. */
struct strict_fields strict_table_desc(const struct strict_walk *w, const uint8_t *table,
                                       uint32_t index);

/* ---- strict_types.c ---- */

/* A request as the device is going to see it. On the loop. */
void strict_request(struct strict_queue *q, const struct vq_chain *chain);
/* The driver has accepted its features. */
void strict_type_features(struct virtio_device *dev, uint64_t accepted);

#endif
