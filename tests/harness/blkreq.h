// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests to a virtio block device, cut into buffers in any way that a driver may.
 */
#ifndef MINIVET_TESTS_HARNESS_BLKREQ_H
#define MINIVET_TESTS_HARNESS_BLKREQ_H

#include <stdbool.h>
#include <stdint.h>

struct rig;

#define BLKREQ_NO_STATUS 0xee /* what the status byte is before the device writes it */

/* As a driver sends it; 0 means the usual wherever it says so. */
struct blkreq {
    uint64_t sector;
    uint64_t data_gpa; /* 0: allocated by blkreq_send() */
    uint32_t type;
    uint32_t bytes;        /* of data */
    uint32_t cut;          /* bytes in a buffer at most; 0: header, data and status a buffer each */
    uint32_t header_bytes; /* 0: 16 */
    bool indirect;
    bool data_write; /* for the device to write: IN, GET_ID */
    bool no_status;
    unsigned queue;

    int head;
    uint64_t header_gpa, status_gpa;
};

/* Publishes and kicks. Returns whether there were enough descriptors. */
bool blkreq_send(struct rig *rig, struct blkreq *req);

/* The same, then lets the loop run. Returns the status byte, and *used as the device counted. */
uint8_t blkreq_do(struct rig *rig, struct blkreq *req, uint32_t *used);

void *blkreq_data(struct rig *rig, const struct blkreq *req);
uint8_t blkreq_status(struct rig *rig, const struct blkreq *req);

#endif
