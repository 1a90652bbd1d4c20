// SPDX-License-Identifier: BSD-2-Clause
/*
 * File system device (VIRTIO 1.4 5.11) whose queues a vhost-user server runs, such as virtiofsd:
 * vhost_user_device.h. The driver sees the same device as with fs.h; the tag is this side's. A
 * server that comes back knows nothing of what the driver had open: it has to mount anew.
 */
#ifndef MINIVET_VIRTIO_FS_VHOST_USER_FS_H
#define MINIVET_VIRTIO_FS_VHOST_USER_FS_H

#include "virtio/vhost/vhost_user_device.h"

/* A group is a queue for requests. The server must be there. Errors are reported. */
int vhost_user_fs_create(struct vhost_user_device **out, const struct vhost_user_setup *config,
                         const char *tag);

#endif
