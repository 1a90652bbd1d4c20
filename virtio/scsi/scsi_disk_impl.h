// SPDX-License-Identifier: BSD-2-Clause
/* What scsi_disk.c and scsi_info.c share. */
#ifndef MINIVET_VIRTIO_SCSI_DISK_IMPL_H
#define MINIVET_VIRTIO_SCSI_DISK_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/be.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/scsi/scsi_disk.h"

static inline uint32_t scsi_block_bytes(const struct scsi_disk *disk)
{
    return blk_logical_bytes(&disk->backend->info);
}

static inline uint64_t scsi_disk_blocks(const struct scsi_disk *disk)
{
    return disk->backend->info.capacity_bytes / scsi_block_bytes(disk);
}

static inline uint32_t scsi_range_max_blocks(const struct scsi_disk *disk)
{
    return BLK_RANGE_MAX_BYTES / scsi_block_bytes(disk);
}

/* A read-only disk cannot be unmapped or zeroed. */
static inline bool scsi_disk_can_discard(const struct scsi_disk *disk)
{
    return disk->backend->info.can_discard && !disk->backend->info.read_only;
}

static inline bool scsi_disk_can_zero(const struct scsi_disk *disk)
{
    return disk->backend->info.can_zero && !disk->backend->info.read_only;
}

/* The end of a task. */
void scsi_task_good(struct scsi_task *task);
void scsi_task_check(struct scsi_task *task, unsigned sense); /* CHECK CONDITION */

/*
 * What a command wants to move: false if the buffers have no room for that, and then the task has
 * ended. After scsi_task_wants_in() scsi_task_put() gives the driver no more than those bytes.
 */
bool scsi_task_wants_in(struct scsi_task *task, uint64_t bytes);
bool scsi_task_wants_out(struct scsi_task *task, uint64_t bytes);
void scsi_task_put(struct scsi_task *task, const void *data, size_t bytes);

/* scsi_info.c */
void scsi_inquiry(struct scsi_task *task);
void scsi_request_sense(struct scsi_task *task);
void scsi_report_luns(struct scsi_task *task);
void scsi_mode_sense(struct scsi_task *task);
void scsi_read_capacity_10(struct scsi_task *task);
void scsi_service_action_in_16(struct scsi_task *task);

#endif
