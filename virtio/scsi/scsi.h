// SPDX-License-Identifier: BSD-2-Clause
/*
 * SCSI host (VIRTIO 1.4 5.6) in front of one or more disks: each is a target of its own, with the
 * disk as its unit 0. The well-known REPORT LUNS unit lists them all.
 *
 * Offered: HOTPLUG, CHANGE. Not offered: INOUT (no command of a disk moves data both ways), T10_PI,
 * and IN_ORDER of the rings, since a command that was aborted has to come back before the function
 * that aborted it does, whatever was taken before.
 *
 * Task management functions end what is out in the backend: what it has not done by then is
 * answered as aborted or reset; commands of the disk that were not meant are submitted again. The
 * function is answered after them.
 *
 * All task attributes are SIMPLE.
 */
#ifndef MINIVET_VIRTIO_SCSI_H
#define MINIVET_VIRTIO_SCSI_H

struct blk_backend;
struct virtio_device;
struct virtio_device_type;
struct virtio_scsi;
struct virtio_setup;

extern const struct virtio_device_type virtio_scsi_type;

struct virtio_scsi_config {
    /*
     * Targets 0 to count - 1. The backends are the caller's and outlive the device, their one user;
     * one that is NULL is a target for virtio_scsi_plug() to fill.
     */
    struct blk_backend *const *backends;
    const char *const *serials; /* at most 20 bytes count; NULL, or one that is NULL: none */
    unsigned count;
    unsigned queues; /* of requests; 0: one */
};

/* Errors are reported. */
int virtio_scsi_create(struct virtio_scsi **out, const struct virtio_setup *setup,
                       const struct virtio_scsi_config *config);
void virtio_scsi_destroy(struct virtio_scsi *scsi); /* after its transport */

struct virtio_device *virtio_scsi_device(struct virtio_scsi *scsi);

/*
 * [loop] A disk comes, or goes; the driver is told if it knows HOTPLUG. 0; -EINVAL: no such target;
 * -EBUSY: a disk is there; -ENOENT: none is. Nothing is reported. After virtio_scsi_unplug()
 * the backend is no longer used.
 */
int virtio_scsi_plug(struct virtio_scsi *scsi, unsigned target, struct blk_backend *backend,
                     const char *serial);
int virtio_scsi_unplug(struct virtio_scsi *scsi, unsigned target);

/* [loop] A disk has other bytes, in which nothing is in flight: a unit attention. */
void virtio_scsi_medium_changed(struct virtio_scsi *scsi, unsigned target);

#endif
