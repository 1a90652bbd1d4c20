// SPDX-License-Identifier: BSD-2-Clause
/*
 * The block device's insides:
 *
 *     blk.c           configuration space, features, queues that come and go
 *     blk_lane.c      what each loop has of the device
 *     blk_request.c   a request, from its chain to its status byte
 *     blk_steps.c     what a SCSI host's requests do likewise
 */
#ifndef MINIVET_VIRTIO_BLK_IMPL_H
#define MINIVET_VIRTIO_BLK_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/loop/evloop.h"
#include "core/ports/block.h"
#include "virtio/base/device.h"
#include "virtio/blk/blk_steps.h"
#include "virtio/spec.h"

/* One for each chain that can be in flight, at the chain's slot. */
struct blk_request {
    struct blk_steps steps;
    struct blk_queue *queue;
    struct vq_chain *chain;
};

/* One for each loop that serves queues. On that loop. */
struct blk_lane {
    struct evloop *loop;
    struct blk_backend *backend; /* the device's, or a view of it */
    struct blk_again again;      /* when one queue stops the backend drops what others have out */
};

struct blk_queue {
    struct virtio_blk *blk;
    struct blk_lane *lane;
    unsigned index;
    struct blk_slots slots;
};

struct virtio_blk {
    struct virtio_device dev;
    struct blk_backend *backend;
    struct blk_queue *queues;
    struct blk_lane *lanes; /* room for one a queue */
    unsigned lane_count;
    bool write_through; /* after a reset */
    char serial[VIRTIO_BLK_ID_BYTES];
    /* Its writeback says what the cache mode is. That and the capacity are atomic. */
    _Alignas(uint64_t) uint8_t config[VIRTIO_BLK_CONFIG_BYTES];
};

/* blk_lane.c: set-up thread. What fails is reported; fini takes what there is. */
int blk_lanes_init(struct virtio_blk *blk, struct evloop *const *queue_loops, unsigned queues);
void blk_lanes_fini(struct virtio_blk *blk);
/* [loop] The backend has another capacity. */
void blk_lanes_resize(struct virtio_blk *blk);

/* blk_request.c */
void blk_queue_ready(struct virtio_device *dev, unsigned queue);
/* The queue has stopped: none of its requests is submitted again. */
void blk_requests_forget(struct blk_queue *queue);

#endif
