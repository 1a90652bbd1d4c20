// SPDX-License-Identifier: BSD-2-Clause
/*
 * The SCSI host's insides:
 *
 *     scsi.c           configuration space, targets, queues that come and go
 *     scsi_request.c   a request, from its chain to its response
 *     scsi_control.c   task management functions, and events
 */
#ifndef MINIVET_VIRTIO_SCSI_IMPL_H
#define MINIVET_VIRTIO_SCSI_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/loop/evloop.h"
#include "virtio/base/device.h"
#include "virtio/scsi/scsi_disk.h"
#include "virtio/spec.h"

/* What the driver may make of the sizes in the configuration space. */
#define SCSI_CDB_SIZE_MAX   256u
#define SCSI_SENSE_SIZE_MAX 4096u

struct scsi_target {
    struct virtio_scsi *scsi;
    unsigned index;
    struct scsi_disk disk;
    LIST_HEAD(, scsi_request) requests; /* that have not been answered */
};

/* One for each chain that can be in flight, at the chain's slot. */
struct scsi_request {
    struct scsi_task task;
    struct scsi_queue *queue;
    struct vq_chain *chain;
    struct scsi_target *target; /* NULL: none is concerned */
    uint64_t id;                /* what task management calls it */
    uint64_t data_bytes;        /* room for data, in and out */
    struct iobuf response;      /* the first bytes that the device writes */
    bool aborted;
    uint8_t aborted_response;      /* what it is answered with when it is dropped */
    LIST_ENTRY(scsi_request) link; /* in the target's list */
};

struct scsi_queue {
    struct virtio_scsi *scsi;
    unsigned index;
    struct blk_slots slots;
};

struct scsi_event {
    uint32_t event, reason;
    unsigned target;
};

struct virtio_scsi {
    struct virtio_device dev;
    struct scsi_queue *queues; /* by virtqueue: the first two are not used */
    struct scsi_target *targets;
    unsigned target_count;
    uint8_t config[VIRTIO_SCSI_CONFIG_BYTES];

    /* A control request: the queues are emptied for it, in so many more turns at most, or it has
     * been done, and its answer waits for what it ended to be seen first. */
    struct vq_chain *control;
    uint32_t control_turns;
    struct ev_defer control_more;
    uint8_t control_answer[VIRTIO_SCSI_AN_RESP_BYTES];
    unsigned control_bytes; /* 0: it has not been done */
    struct ev_defer answer;

    struct scsi_event event; /* for the next buffer, while has_event */
    bool has_event, events_missed;

    struct blk_again again; /* a drain of a backend drops more than was meant */
};

uint32_t scsi_cdb_size(const struct virtio_scsi *scsi);
uint32_t scsi_sense_size(const struct virtio_scsi *scsi);

/* The target of a LUN. False: it is not there. *target is NULL for the well-known unit. */
bool scsi_find(struct virtio_scsi *scsi, const uint8_t lun[VIRTIO_SCSI_LUN_BYTES],
               struct scsi_target **target, enum scsi_unit *unit);

/* scsi_request.c */
void scsi_request_start(struct scsi_queue *queue, struct vq_chain *chain);
/* The queue has stopped: none of its requests is submitted again. */
void scsi_requests_forget(struct scsi_queue *queue);
/* Ends what is out of a target, those with `aborted` set for good. */
void scsi_target_drain(struct scsi_target *target);

/* scsi_control.c */
void scsi_control_init(struct virtio_scsi *scsi);
void scsi_control_ready(struct virtio_scsi *scsi);
void scsi_control_stop(struct virtio_scsi *scsi);
/* Is there a request that has not been done? While its queue does not run it stays so. */
bool scsi_control_waits(const struct virtio_scsi *scsi);
void scsi_event_ready(struct virtio_scsi *scsi);
/* Tells the driver; if it gave no buffer, that it missed something. */
void scsi_event_send(struct virtio_scsi *scsi, uint32_t event, unsigned target, uint32_t reason);
/* All requests of the target end, with this response if they were not done. */
void scsi_target_abort(struct scsi_target *target, uint8_t response);

#endif
