// SPDX-License-Identifier: BSD-2-Clause
/*
 * What happens to a device, as told to its observers: statistics, the driver monitor, a tape
 * (virtio/observe). They look and change nothing. A device that has none pays for one test an
 * event.
 *
 *     transport, device.c, queue.c --> virtio_observe() --> each observer's event()
 *
 * An observer is told on the thread on which it happens: that is the queue's loop, but for what
 * says otherwise.
 */
#ifndef MINIVET_VIRTIO_OBSERVER_H
#define MINIVET_VIRTIO_OBSERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/base/device.h"

enum virtio_event_kind {
    VIRTIO_ON_ACCESS,           /* any thread, no queue: `access` */
    VIRTIO_ON_BAD_VECTOR,       /* likewise; value: there is no such MSI-X vector */
    VIRTIO_ON_BAD_WINDOW,       /* likewise; value: where the PCI access window leads to nothing */
    VIRTIO_ON_REGISTER_KICK,    /* any thread: a register access notifies the queue */
    VIRTIO_ON_LOAD,             /* likewise: the device goes on as it was saved elsewhere */
    VIRTIO_ON_CONFIG_INTERRUPT, /* any of the loops, no queue */

    VIRTIO_ON_START, /* the queue is about to run, with its config, of which nothing is checked */
    VIRTIO_ON_STOP,  /* the queue was running, and is not any more */
    VIRTIO_ON_KICK,  /* the loop has been woken by a notification */
    VIRTIO_ON_FOUND, /* the loop has found chains in a dry queue; value: by a look at memory */
    VIRTIO_ON_TURN,  /* the device is about to take chains, */
    VIRTIO_ON_TURN_END,  /* and has taken them */
    VIRTIO_ON_TAKE,      /* a chain is taken */
    VIRTIO_ON_BROKEN,    /* the ring cannot be gone on with: its `fault` */
    VIRTIO_ON_EMPTY,     /* there is no chain, */
    VIRTIO_ON_MORE,      /* but one came before the driver was told to notify */
    VIRTIO_ON_LOOK,      /* the device asks whether there are chains; value: there are */
    VIRTIO_ON_GIVE,      /* the device gives a chain back: before the ring has it */
    VIRTIO_ON_FLUSH,     /* the driver sees what was given; value: an interrupt follows */
    VIRTIO_ON_INTERRUPT, /* likewise of chains that another process has given back */
};

struct virtio_place;
struct virtio_layout;

/* A register access: of a write before it takes effect, of a read with what was read. Those of
 * legacy interfaces are not told, nor are reads of a doorbell or of PCI's ISR status. */
struct virtio_access {
    unsigned structure; /* VIRTIO_PCI_CAP_, on virtio-mmio as well; offsets are within it */
    bool write;
    uint64_t offset;
    unsigned width;
    uint64_t value;
    const struct virtio_layout *layout; /* the transport's, see transport/registers.h */
    const struct virtio_place *field;   /* of it; NULL: none takes such an access */
};

struct virtio_event {
    enum virtio_event_kind kind;
    struct virtio_queue *queue;
    struct vq_chain *chain;
    uint64_t value;
    const struct virtio_access *access;
};

/* What an observer wants to see each of, so that none may pass by this process. */
enum {
    VIRTIO_SEES_INTERRUPTS = 1, /* of queues that another process serves */
    VIRTIO_SEES_KICKS = 2,      /* as register accesses */
    VIRTIO_SEES_ORDER = 4,      /* of calls, which no clock decides: turns are not cut by time */
};

struct virtio_observer {
    void (*event)(struct virtio_observer *o, const struct virtio_event *e);
    void (*destroy)(struct virtio_observer *o); /* with the device */
    unsigned sees;                              /* VIRTIO_SEES_ */
    struct virtio_observer *next;
};

/* Set-up thread, before the device has its transport. It is the device's from now on. */
void virtio_observer_add(struct virtio_device *dev, struct virtio_observer *o);

/* The device's observer that is told by that function, or NULL. */
struct virtio_observer *virtio_observer_find(const struct virtio_device *dev,
                                             void (*event)(struct virtio_observer *o,
                                                           const struct virtio_event *e));

void virtio_observers_tell(const struct virtio_device *dev, const struct virtio_event *e)
    __attribute__((cold));

static inline void virtio_observe(const struct virtio_device *dev, enum virtio_event_kind kind,
                                  struct virtio_queue *queue, struct vq_chain *chain,
                                  uint64_t value)
{
    if (__builtin_expect(dev->observers != NULL, 0))
        virtio_observers_tell(dev, &(struct virtio_event){kind, queue, chain, value, NULL});
}

static inline void virtio_observe_access(const struct virtio_device *dev,
                                         const struct virtio_access *a)
{
    if (__builtin_expect(dev->observers != NULL, 0))
        virtio_observers_tell(dev, &(struct virtio_event){.kind = VIRTIO_ON_ACCESS, .access = a});
}

#endif
