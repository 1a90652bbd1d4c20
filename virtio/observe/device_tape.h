// SPDX-License-Identifier: BSD-2-Clause
/*
 * A device on a tape (core/tape/tape.h): when its queues are kicked, what it takes from rings and
 * gives back, and its interrupts.
 *
 *     ring        -> vq_pop() -> ops of device_tape.c -> the ring's own (or the driver monitor's)
 *     eventfd     -> callbacks of device_tape.c -> the queue's own
 *     interrupt   -> virtio_host of device_tape.c -> the transport
 *
 * In a replay chains come from the tape: their buffers are where they were, in memory that is
 * otherwise empty, and nobody looks at the rings. A device that is on no tape has no more to do:
 * its ops, callbacks and host are not wrapped.
 *
 * All of it is on one loop.
 */
#ifndef MINIVET_VIRTIO_DEVICE_TAPE_H
#define MINIVET_VIRTIO_DEVICE_TAPE_H

struct tape;
struct tape_queue;
struct virtio_device;
struct virtio_tape;

/* Set-up thread, when the device has its transport. It is gone with the device. -ENOMEM; reported.
 */
int virtio_tape_create(struct virtio_device *dev, struct tape *tape);

/* ---- for device.c ---- */
void virtio_tape_destroy(struct virtio_tape *vt);
/* For vq_setup.tape; vt may be NULL. */
struct tape_queue *virtio_tape_queue(struct virtio_tape *vt, unsigned queue);

#endif
