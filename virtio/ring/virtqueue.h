// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtqueues: chains of guest buffers, taken from a ring in guest memory and given back through it.
 *
 * A chain's life:   vq_pop() -> the device moves rd and wr -> vq_push() -> vq_flush()
 *
 * The split ring (VIRTIO 1.4 2.7; vq_split.c):
 *
 *      driver area (guest writes)                device area (device writes)
 *     flags idx ring[size] used_event           flags idx ring[size] avail_event
 *            |   | heads                                |  | {head, bytes written}
 *            v   v                                      v  v
 *     descriptors: addr len flags next          "the first idx entries, counted for ever modulo
 *     chained by next, or one that points        65536, are valid"; *_event say at which index
 *     to an indirect table of descriptors        the other side wants to be told
 *
 * The packed ring (VIRTIO 1.4 2.8; vq_packed.c):
 *
 *      descriptors: addr len id flags            driver area: when it wants an interrupt
 *     made available and used in the same        device area: when it wants a kick
 *     place; two bits of flags say which,
 *     and flip their meaning each lap
 *
 * Which one a queue has says RING_PACKED; the calls are the same: struct vq_ops. With IN_ORDER
 * chains come back to the guest in the order in which they were taken, whatever the device does.
 *
 * What the guest wrote into registers is a struct vq_config; vq_activate() checks it once and makes
 * a struct virtqueue of it, which looks at no register again. Descriptors are copied, each field
 * read once, and a chain is checked whole before a device sees it. The guest may change everything
 * at any time, and the worst it gains is garbage in its own memory.
 *
 * One thread at a time: the loop of the device. Nothing here allocates between vq_activate() and
 * vq_deactivate(), and nothing logs: `error` says in words what was wrong.
 */
#ifndef MINIVET_VIRTIO_VIRTQUEUE_H
#define MINIVET_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/memory/iobuf.h"

struct facts;
struct gmem;
struct virtqueue;
struct vq_chain;

/* As the guest wrote it; nothing in it is checked. Addresses are guest-physical. */
struct vq_config {
    uint32_t size;   /* in descriptors */
    uint64_t desc;   /* descriptor area */
    uint64_t driver; /* driver area: available ring */
    uint64_t device; /* device area: used ring */
};

/* A ring format. flush to available: as the vq_ functions of the same names. */
struct vq_ops {
    int (*activate)(struct virtqueue *vq, const struct vq_config *config);
    /* Fills an empty chain: vq_chain_add() for each buffer, head. 1, 0 or -EPROTO. */
    int (*pop)(struct virtqueue *vq, struct vq_chain *chain);
    void (*push)(struct virtqueue *vq, const struct vq_chain *chain, uint32_t written);
    bool (*flush)(struct virtqueue *vq);
    void (*notify_off)(struct virtqueue *vq);
    bool (*notify_on)(struct virtqueue *vq);
    bool (*available)(const struct virtqueue *vq);
    /* NULL in a format whose queues are not saved. */
    uint32_t (*position)(const struct virtqueue *vq);
    bool (*seek)(struct virtqueue *vq, uint32_t position);
    /* Where both sides are, and what they want to be told. May be NULL. */
    void (*describe)(const struct virtqueue *vq, struct facts *f);
};

/* What a queue is activated with; all but the config comes from the device. */
struct vq_setup {
    const struct vq_ops *format; /* one of the owner's; NULL: the ring that the features say */
    const struct vq_config *config;
    const struct gmem *gmem; /* outlives the queue */
    uint64_t features;       /* negotiated */
    uint32_t size_max;       /* what the device has told the guest */
    unsigned iov_max;        /* vectors in a chain at most */
};

/* The most that vq_setup.iov_max may be: what preadv(2) takes. */
#define VQ_IOV_MAX 1024u

/* What a ring, or a chain in it, breaks; the queue's `error` says it in words. */
enum vq_fault {
    VQ_OK,
    VQ_IDX,           /* split: the available index; its value */
    VQ_HEAD,          /* split: a head; which */
    VQ_HEAD_BUSY,     /* split; which */
    VQ_NEXT,          /* split: next; its value */
    VQ_TABLE_NEXT,    /* split: next in an indirect table; its value */
    VQ_LOOP,          /* split: at which descriptor */
    VQ_NESTED,        /* split: a table in a table; at which of its descriptors */
    VQ_BUSY,          /* packed: how many descriptors the chain has that are free */
    VQ_PARTIAL,       /* packed: likewise available */
    VQ_ID,            /* packed: a buffer id; which */
    VQ_ID_BUSY,       /* packed; which */
    VQ_LONG,          /* how long the queue is */
    VQ_ORDER,         /* which buffer of the chain */
    VQ_BYTES,         /* how many */
    VQ_EXCESSIVE,     /* how many vectors the device takes */
    VQ_ADDRESS,       /* of a buffer; which */
    VQ_INDIRECT,      /* of what table the address */
    VQ_INDIRECT_NEXT, /* likewise */
    VQ_TABLE_BYTES,   /* how many */
    VQ_TABLE_ADDRESS, /* which */
    VQ_FAULTS,
};

/*
 * A request. rd is what the device reads, wr what it writes; tail is for what the
 * device cuts off wr's end. The queue counts what was written by the cursors' positions, so a
 * device that has guest memory written by other means moves them with iobuf_skip().
 */
struct vq_chain {
    struct iobuf rd, wr, tail;
    unsigned slot; /* below the queue's size, and no other chain in flight has it */

    /* The queue's own. */
    uint16_t head;   /* what names it to the guest: its first descriptor, or its buffer id */
    uint16_t slots;  /* packed: descriptors that it takes in the ring */
    uint16_t descs;  /* descriptors, those of an indirect table counted, itself not */
    bool done;       /* pushed, but one that was taken before it is not: IN_ORDER */
    unsigned rd_iov; /* vectors that are readable; the writable ones follow */
    unsigned iov_count;
    uint64_t bytes;
    struct iovec *iov;
    struct vq_chain *next_free;
};

struct vq_split {
    const uint8_t *desc, *avail; /* in guest memory, checked to hold `size` entries */
    uint8_t *used;
    uint16_t avail_seen; /* the driver's index when last looked at */
    uint16_t next_avail; /* the next entry to take */
    uint16_t next_used;  /* the next entry to fill */
    uint16_t published;  /* the used index that the driver was last shown */
};

/* A position counts to twice the size: see vq_packed.c. */
struct vq_packed {
    uint8_t *desc; /* in guest memory, checked to hold `size` entries */
    const uint8_t *driver_event;
    uint8_t *device_event;
    uint32_t next_avail;  /* the next to take */
    uint32_t next_used;   /* the next to fill */
    uint32_t published;   /* where the driver sees the ring's used part end */
    uint32_t out;         /* descriptors taken and not given back */
    uint16_t first_flags; /* to be written at `published` */
};

struct virtqueue {
    const struct vq_ops *ops; /* NULL: not active */
    const struct gmem *gmem;
    uint32_t size;
    bool indirect, event_idx, in_order; /* negotiated */
    bool broken;
    enum vq_fault fault;  /* what broke it, */
    uint64_t fault_value; /* with the number that enum vq_fault names */
    const char *error;    /* why the last call said no */
    struct strict_queue *strict;
    struct tape_queue *tape;
    union {
        struct vq_split split;
        struct vq_packed packed;
    };

    /* Storage of every chain that can be in flight. */
    struct vq_chain *chains, *free; /* by slot; for vq_pop(): the last pushed first */
    uint32_t slots_used;            /* those above have never been used */
    struct iovec *iov;
    unsigned iov_max;
    bool *in_flight; /* by head */

    /* With IN_ORDER: the chains in flight, oldest at order_first modulo the size. */
    struct vq_chain **order;
    uint32_t order_first, order_count;
};

/*
 * Checks the configuration and makes the queue run. vq is zeroed or deactivated.
 * -EINVAL: the guest's configuration is no queue (vq->error says why); -ENOMEM. Nothing is
 * reported.
 */
int vq_activate(struct virtqueue *vq, const struct vq_setup *setup);

/* Forgets the queue and every chain in flight: no request may still use one. */
void vq_deactivate(struct virtqueue *vq);

static inline bool vq_is_active(const struct virtqueue *vq)
{
    return vq->ops != NULL;
}

/*
 * Takes the next chain. 1 and *next; 0 if there is none; -EPROTO if the ring is broken, and from
 * then on always (vq->fault). Every chain is ended by exactly one vq_push().
 */
int vq_pop(struct virtqueue *vq, struct vq_chain **next);

/* What the guest will be told: how many bytes were written from the first writable one on. */
uint32_t vq_chain_written(const struct vq_chain *chain);

/*
 * Gives a chain back to the guest, which sees it after the next vq_flush(). Any order: with
 * IN_ORDER one that is early waits for those before it.
 */
void vq_push(struct virtqueue *vq, struct vq_chain *chain);

/* ---- the format's own; of a broken ring they touch nothing ---- */

/* Shows the guest all that was pushed. Returns whether it wants an interrupt for that. */
static inline bool vq_flush(struct virtqueue *vq)
{
    return !vq->broken && vq->ops->flush(vq);
}

/*
 * Whether the guest shall kick. vq_notify_on() returns whether chains came before the guest could
 * know: then the guest does not kick for them, and the caller goes on popping.
 */
static inline void vq_notify_off(struct virtqueue *vq)
{
    if (!vq->broken)
        vq->ops->notify_off(vq);
}

static inline bool vq_notify_on(struct virtqueue *vq)
{
    return !vq->broken && vq->ops->notify_on(vq);
}

/* Is there something for vq_pop()? A look at memory; the guest may change its mind. */
static inline bool vq_available(const struct virtqueue *vq)
{
    return !vq->broken && vq->ops->available(vq);
}

/* How many chains are taken and not given back. A walk over all of them. */
unsigned vq_in_flight(const struct virtqueue *vq);

/*
 * Where in the ring the next chain is given back, which is also where the oldest in flight was
 * taken if all are given back in their order. A queue that was just activated, on the same memory,
 * goes on from there; false: no ring of that size has the position.
 */
uint32_t vq_position(const struct virtqueue *vq);
bool vq_seek(struct virtqueue *vq, uint32_t position);

/*
 * Of an active split ring that another process runs: the indices as driver and device show them to
 * each other.
 */
void vq_split_indices(const struct virtqueue *vq, uint16_t *avail, uint16_t *used);

#endif
