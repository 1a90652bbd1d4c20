// SPDX-License-Identifier: BSD-2-Clause
/*
 * Block device (VIRTIO 1.4 5.2) whose queues a vhost-user server runs: vhost_user_device.h. The
 * driver sees the same device as with blk.h; the disk, its size and what it can do are the
 * server's.
 */
#ifndef MINIVET_VIRTIO_BLK_VHOST_USER_BLK_H
#define MINIVET_VIRTIO_BLK_VHOST_USER_BLK_H

#include "virtio/vhost/vhost_user_device.h"

/* A group is a queue. The server must be there. Errors are reported. */
int vhost_user_blk_create(struct vhost_user_device **out, const struct vhost_user_setup *config);

#endif
