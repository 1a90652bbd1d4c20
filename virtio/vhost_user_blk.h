// SPDX-License-Identifier: BSD-2-Clause
/*
 * Block device (VIRTIO 1.4 5.2) whose queues a vhost-user server runs: vhost_user_device.h. The
 * driver sees the same device as with blk.h; the disk, its size and what it can do are the
 * server's.
 */
#ifndef MINIVET_VIRTIO_VHOST_USER_BLK_H
#define MINIVET_VIRTIO_VHOST_USER_BLK_H

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct evloop;
struct gmem;
struct vhost_user_blk;
struct virtio_device;

struct vhost_user_blk_config {
    const char *name;
    /* Where the server listens; or a function that gives a connected socket each time, or a
     * negative errno. With `connect` the path is only what messages say. Both outlive the device.
     */
    const char *socket_path;
    int (*connect)(void *ctx);
    void *connect_ctx;
    unsigned queues;                    /* 0: one; fewer if the server has not as many */
    uint32_t queue_size_max;            /* 0: the default */
    uint64_t features_on, features_off; /* see struct virtio_device_config */
    bool strict;                        /* registers only: rings are the server's to see */
    unsigned reply_ms;                  /* how long the server may take to answer; 0: the usual */
    struct evloop *loop;
    const struct clock *clock; /* the loop's; NULL: the host's */
    const struct gmem *gmem;
};

/* The server must be there. Errors are reported. */
int vhost_user_blk_create(struct vhost_user_blk **out, const struct vhost_user_blk_config *config);
void vhost_user_blk_destroy(struct vhost_user_blk *blk); /* after its transport */

struct virtio_device *vhost_user_blk_device(struct vhost_user_blk *blk);

#endif
