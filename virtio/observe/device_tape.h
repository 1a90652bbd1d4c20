// SPDX-License-Identifier: BSD-2-Clause
/*
 * A device on a tape (core/tape/tape.h): when its queues are kicked, what it takes from rings and
 * gives back, and its interrupts. Recording, it is an observer (virtio/base/observer.h). Replaying,
 * it is that and a ring format: chains come from the tape, their buffers are where they were, in
 * memory that is otherwise empty, and the rings are not read.
 *
 * All of it is on one loop.
 */
#ifndef MINIVET_VIRTIO_DEVICE_TAPE_H
#define MINIVET_VIRTIO_DEVICE_TAPE_H

struct tape;
struct virtio_device;

/* Set-up thread, before the device has its transport. It is gone with the device. -ENOMEM;
 * reported. */
int virtio_tape_create(struct virtio_device *dev, struct tape *tape);

#endif
