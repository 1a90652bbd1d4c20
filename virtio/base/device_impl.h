// SPDX-License-Identifier: BSD-2-Clause
/*
 * The insides that all devices have in common:
 *
 *     device.c         status, features, reset, configuration space
 *     queue.c          a queue: at work on its loop, and as registers set it up
 *     device_state.c   a device that is held, saved and loaded
 *     describe.c       what it says of itself
 */
#ifndef MINIVET_VIRTIO_DEVICE_IMPL_H
#define MINIVET_VIRTIO_DEVICE_IMPL_H

#include "virtio/base/device.h"

static inline bool device_has_status(const struct virtio_device *dev, uint32_t bit)
{
    return (virtio_device_status(dev) & bit) != 0;
}

/* ---- device.c ---- */

/* [loop] What was accepted holds, and the queues that are ready are there; 0, or -EINVAL: the
 * device needs a reset. Then they go. */
int device_start(struct virtio_device *dev);
void device_go(struct virtio_device *dev);

/* [registers] Are the accepted features offered, and enough? */
bool device_accepts(const struct virtio_device *dev);

/* ---- queue.c ---- */

/* Set-up thread. -errno: no eventfd; not reported. fini takes a zeroed one as well. */
int queue_init(struct virtio_queue *q, struct virtio_device *dev, unsigned index);
void queue_fini(struct virtio_queue *q);

/* [registers] As after a reset. */
void queue_default(struct virtio_queue *q);

/* [loop] STOPPING or RESETTING? And the end of that; false: it is in neither. */
bool queue_is_stopping(const struct virtio_queue *q);
bool queue_let_go(struct virtio_queue *q);

/*
 * [loop] [registers] Each waits for the queue's loop. start: the queue is there, and serves no
 * chain before go, which comes after the device's activate(); if not 0, vq.error says why. stop
 * takes a queue that is not there, too.
 */
int queue_start(struct virtio_queue *q);
void queue_go(struct virtio_queue *q);
void queue_stop(struct virtio_queue *q);

/* [queue] Shows the driver what was pushed. */
void queue_flush(struct virtio_queue *q);

#endif
