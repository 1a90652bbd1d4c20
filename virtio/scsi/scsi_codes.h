// SPDX-License-Identifier: BSD-2-Clause
/*
 * Numbers of the SCSI command sets that a disk has: SPC-4 (primary commands), SBC-3 (blocks),
 * SAM-5 (status). Byte offsets in a CDB are in the code that reads it.
 */
#ifndef MINIVET_VIRTIO_SCSI_CODES_H
#define MINIVET_VIRTIO_SCSI_CODES_H

enum { /* operation codes */
       SCSI_TEST_UNIT_READY = 0x00,
       SCSI_REQUEST_SENSE = 0x03,
       SCSI_READ_6 = 0x08,
       SCSI_WRITE_6 = 0x0a,
       SCSI_INQUIRY = 0x12,
       SCSI_MODE_SENSE_6 = 0x1a,
       SCSI_START_STOP_UNIT = 0x1b,
       SCSI_READ_CAPACITY_10 = 0x25,
       SCSI_READ_10 = 0x28,
       SCSI_WRITE_10 = 0x2a,
       SCSI_VERIFY_10 = 0x2f,
       SCSI_SYNCHRONIZE_CACHE_10 = 0x35,
       SCSI_WRITE_SAME_10 = 0x41,
       SCSI_UNMAP = 0x42,
       SCSI_MODE_SENSE_10 = 0x5a,
       SCSI_READ_16 = 0x88,
       SCSI_WRITE_16 = 0x8a,
       SCSI_VERIFY_16 = 0x8f,
       SCSI_SYNCHRONIZE_CACHE_16 = 0x91,
       SCSI_WRITE_SAME_16 = 0x93,
       SCSI_SERVICE_ACTION_IN_16 = 0x9e,
       SCSI_SAI_READ_CAPACITY_16 = 0x10, /* its service action */
       SCSI_REPORT_LUNS = 0xa0,
       SCSI_READ_12 = 0xa8,
       SCSI_WRITE_12 = 0xaa,
};

enum { /* status */
       SCSI_GOOD = 0x00,
       SCSI_CHECK_CONDITION = 0x02,
};

enum { /* peripheral qualifier and device type: byte 0 of INQUIRY data */
       SCSI_TYPE_DISK = 0x00,
       SCSI_TYPE_WELL_KNOWN = 0x1e,
       SCSI_TYPE_NONE = 0x7f,
};

enum { /* vital product data */
       SCSI_VPD_SUPPORTED = 0x00,
       SCSI_VPD_SERIAL = 0x80,
       SCSI_VPD_IDENTIFICATION = 0x83,
       SCSI_VPD_BLOCK_LIMITS = 0xb0,
       SCSI_VPD_BLOCK_CHARACTERISTICS = 0xb1,
       SCSI_VPD_PROVISIONING = 0xb2,
};

enum { /* mode pages */
       SCSI_PAGE_CACHING = 0x08,
       SCSI_PAGE_CONTROL = 0x0a,
       SCSI_PAGE_ALL = 0x3f,
};

/* Sense data in one number: sense key, additional sense code, its qualifier. */
#define SCSI_SENSE(key, asc, ascq) ((unsigned)(key) << 16 | (unsigned)(asc) << 8 | (unsigned)(ascq))

enum {
    SCSI_NO_SENSE = 0,
    SCSI_WRITE_ERROR = SCSI_SENSE(0x3, 0x0c, 0x00),
    SCSI_UNRECOVERED_READ_ERROR = SCSI_SENSE(0x3, 0x11, 0x00),
    SCSI_PARAMETER_LIST_LENGTH_ERROR = SCSI_SENSE(0x5, 0x1a, 0x00),
    SCSI_INVALID_OPERATION_CODE = SCSI_SENSE(0x5, 0x20, 0x00),
    SCSI_LBA_OUT_OF_RANGE = SCSI_SENSE(0x5, 0x21, 0x00),
    SCSI_INVALID_FIELD_IN_CDB = SCSI_SENSE(0x5, 0x24, 0x00),
    SCSI_LUN_NOT_SUPPORTED = SCSI_SENSE(0x5, 0x25, 0x00),
    SCSI_INVALID_FIELD_IN_PARAMETERS = SCSI_SENSE(0x5, 0x26, 0x00),
    SCSI_SAVING_NOT_SUPPORTED = SCSI_SENSE(0x5, 0x39, 0x00),
    SCSI_MEDIUM_CHANGED = SCSI_SENSE(0x6, 0x28, 0x00),
    SCSI_UNIT_WAS_RESET = SCSI_SENSE(0x6, 0x29, 0x03),
    SCSI_NEXUS_LOST = SCSI_SENSE(0x6, 0x29, 0x07),
    SCSI_CAPACITY_CHANGED = SCSI_SENSE(0x6, 0x2a, 0x09),
    SCSI_WRITE_PROTECTED = SCSI_SENSE(0x7, 0x27, 0x00),
    SCSI_SPACE_ALLOCATION_FAILED = SCSI_SENSE(0x7, 0x27, 0x07),
};

#endif
