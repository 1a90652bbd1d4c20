// SPDX-License-Identifier: BSD-2-Clause
/*
 * SCSI hosts on a rig, with disks in memory, and requests to them: cut into buffers in any way that
 * a driver may.
 */
#ifndef MINIVET_TESTS_HARNESS_SCSIREQ_H
#define MINIVET_TESTS_HARNESS_SCSIREQ_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/harness/rig.h"
#include "virtio/scsi/scsi.h"

#define SCSIREQ_DISKS   3 /* of which the last is a place where none is */
#define SCSIREQ_NOTHING 0xee

struct scsi_rig {
    struct rig rig;
    struct fake_blk disks[SCSIREQ_DISKS];
    struct virtio_scsi *scsi;
    struct vdrv_queue *control, *events, *requests;
};

/* Targets 0 and 1 are disks of RIG_DISK_BYTES, the second without a serial. */
void scsi_rig_open(struct scsi_rig *s, const struct rig_config *config);
/* The same, and the driver has started it. */
void scsi_rig_start(struct scsi_rig *s, const struct rig_config *config, uint64_t features);
void scsi_rig_close(struct scsi_rig *s);

/* As a driver sends it; 0 means the usual wherever it says so. */
struct scsireq {
    uint8_t cdb[32];
    const uint8_t *lun; /* NULL: unit 0 of `target` */
    uint8_t target;
    uint64_t id;
    uint32_t in, out;      /* bytes of data */
    uint64_t data_gpa;     /* 0: allocated by scsireq_send() */
    uint32_t cut;          /* bytes in a buffer at most; 0: a buffer for each part */
    uint32_t header_bytes; /* 0: 19 + 32 */
    uint32_t room;         /* for the response; 0: 12 + 96 */
    bool no_response;
    bool no_kick;   /* published, and the device is not told */
    unsigned queue; /* of the request queues */

    int head;
    uint64_t header_gpa, response_gpa;
};

/* Publishes and kicks. */
void scsireq_send(struct scsi_rig *s, struct scsireq *req);
/* The same, then lets the loop run and takes what came back: the bytes that were written. */
uint32_t scsireq_do(struct scsi_rig *s, struct scsireq *req);

uint8_t *scsireq_data(struct scsi_rig *s, const struct scsireq *req);
uint8_t scsireq_response(struct scsi_rig *s, const struct scsireq *req);
uint8_t scsireq_status(struct scsi_rig *s, const struct scsireq *req);
uint32_t scsireq_residual(struct scsi_rig *s, const struct scsireq *req);
/* Key, code and qualifier as SCSI_SENSE() has them; 0: there is no sense data. */
unsigned scsireq_sense(struct scsi_rig *s, const struct scsireq *req);

/* Control requests: the response code. */
uint8_t scsireq_manage(struct scsi_rig *s, const uint8_t lun[8], uint32_t subtype, uint64_t id);

/* Gives the device a buffer for an event. */
uint64_t scsireq_offer_event(struct scsi_rig *s, uint32_t bytes);

#endif
