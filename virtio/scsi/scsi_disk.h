// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk that speaks SCSI: commands (CDBs) in, block requests out. It knows nothing of virtio.
 *
 *     scsi_disk.c   a command's way: checks, the medium's commands, steps, status and sense
 *     scsi_info.c   the commands that say what the disk is
 *
 * Commands: TEST UNIT READY, INQUIRY, REQUEST SENSE, REPORT LUNS, MODE SENSE 6 and 10, START STOP
 * UNIT, READ CAPACITY 10 and 16, READ and WRITE 6 to 16, VERIFY 10 and 16 (nothing compared),
 * SYNCHRONIZE CACHE 10 and 16; UNMAP where the backend can discard; WRITE SAME 10 and 16 of zeroes
 * where it can zero. All else is ILLEGAL REQUEST.
 *
 * Everything is on the loop of the backend.
 */
#ifndef MINIVET_VIRTIO_SCSI_DISK_H
#define MINIVET_VIRTIO_SCSI_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/memory/iobuf.h"
#include "core/ports/block.h"
#include "virtio/blk/blk_steps.h"

#define SCSI_CDB_MAX      16u /* bytes of a command that are looked at */
#define SCSI_SENSE_BYTES  18u /* fixed format */
#define SCSI_SERIAL_BYTES 20u
#define SCSI_TARGETS_MAX  256u

/* Unit 0 of a target, the only one that it has. */
struct scsi_disk {
    struct blk_backend *backend; /* NULL: there is none */
    char serial[SCSI_SERIAL_BYTES + 1];
    char id[32];        /* tells it from other disks */
    unsigned attention; /* a unit attention's sense that the next command is told; 0: none */
};

/* What a logical unit number names. */
enum scsi_unit {
    SCSI_UNIT_DISK,
    SCSI_UNIT_ABSENT,     /* a number that the target does not have */
    SCSI_UNIT_WELL_KNOWN, /* of no target: it tells which disks there are */
};

enum scsi_end {
    SCSI_END_STATUS,  /* status and sense tell */
    SCSI_END_OVERRUN, /* the command's data does not fit into the buffers; nothing was done */
    SCSI_END_DROPPED, /* it was not wanted any more */
};

struct scsi_task;

struct scsi_task_ops {
    /* The end. May come inside scsi_task_start(). */
    void (*done)(struct scsi_task *task);
    /* Is there a disk at that target? */
    bool (*present)(const struct scsi_task *task, unsigned target);
};

struct scsi_task {
    struct blk_steps steps;

    /* For each command, by the caller of scsi_task_start(). */
    const struct scsi_task_ops *ops;
    enum scsi_unit unit;
    struct scsi_disk *disk;    /* NULL: SCSI_UNIT_WELL_KNOWN */
    uint8_t cdb[SCSI_CDB_MAX]; /* zeroes behind its end */
    unsigned cdb_bytes;        /* how much of it came */
    struct iobuf *out, *in;    /* data from and to the driver */

    /* How it ended. */
    enum scsi_end end;
    uint8_t status;
    unsigned sense;      /* SCSI_SENSE(), or 0 */
    uint64_t moved;      /* bytes of data */
    uint64_t reply_left; /* at work: of the allocation length */
};

/* After blk_steps_begin(). */
void scsi_task_start(struct scsi_task *task);

/* For struct blk_steps_ops of the task's steps. */
void scsi_task_step_done(struct blk_req *req, int result);
void scsi_task_failed(struct blk_steps *s, int err);

/* The sense data of a number, for a response or for REQUEST SENSE. */
void scsi_sense_put(uint8_t out[SCSI_SENSE_BYTES], unsigned sense);

#endif
