// SPDX-License-Identifier: BSD-2-Clause
/*
 * Numbers of the VIRTIO 1.4 specification, named as it names them. Register and field offsets are
 * in bytes; F_ names are feature bit numbers.
 */
#ifndef MINIVET_VIRTIO_SPEC_H
#define MINIVET_VIRTIO_SPEC_H

#include <stdint.h>

/* ---- 2.1 Device Status Field ---- */
enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_DEVICE_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

/* ---- 5 Device Types ---- */
enum {
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_ENTROPY = 4,
};

/* ---- 6 Reserved Feature Bits ---- */
enum {
    VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
    VIRTIO_F_RING_PACKED = 34,
};

#define VIRTIO_BIT(feature) (UINT64_C(1) << (feature))

/* ---- 2.7 Split Virtqueues ---- */
#define VIRTQ_MAX_SIZE 32768u

enum {
    VIRTQ_DESC_F_NEXT = 1,
    VIRTQ_DESC_F_WRITE = 2,
    VIRTQ_DESC_F_INDIRECT = 4,
    VIRTQ_AVAIL_F_NO_INTERRUPT = 1,
    VIRTQ_USED_F_NO_NOTIFY = 1,
};

enum {
    VIRTQ_DESC_BYTES = 16,
    VIRTQ_DESC_ALIGN = 16,
    VIRTQ_AVAIL_ALIGN = 2,
    VIRTQ_USED_ALIGN = 4,
    VIRTQ_AVAIL_FLAGS = 0,
    VIRTQ_AVAIL_IDX = 2,
    VIRTQ_AVAIL_RING = 4,
    VIRTQ_USED_FLAGS = 0,
    VIRTQ_USED_IDX = 2,
    VIRTQ_USED_RING = 4,
    VIRTQ_USED_ELEM_BYTES = 8,
};

/* used_event ends the available ring, avail_event the used ring. */
#define VIRTQ_AVAIL_USED_EVENT(size) (VIRTQ_AVAIL_RING + 2u * (size))
#define VIRTQ_AVAIL_BYTES(size)      (VIRTQ_AVAIL_USED_EVENT(size) + 2u)
#define VIRTQ_USED_AVAIL_EVENT(size) (VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * (size))
#define VIRTQ_USED_BYTES(size)       (VIRTQ_USED_AVAIL_EVENT(size) + 2u)

/* ---- 4.2.2 MMIO Device Register Layout ---- */
enum {
    VIRTIO_MMIO_MagicValue = 0x000,
    VIRTIO_MMIO_Version = 0x004,
    VIRTIO_MMIO_DeviceID = 0x008,
    VIRTIO_MMIO_VendorID = 0x00c,
    VIRTIO_MMIO_DeviceFeatures = 0x010,
    VIRTIO_MMIO_DeviceFeaturesSel = 0x014,
    VIRTIO_MMIO_DriverFeatures = 0x020,
    VIRTIO_MMIO_DriverFeaturesSel = 0x024,
    VIRTIO_MMIO_QueueSel = 0x030,
    VIRTIO_MMIO_QueueSizeMax = 0x034,
    VIRTIO_MMIO_QueueSize = 0x038,
    VIRTIO_MMIO_QueueReady = 0x044,
    VIRTIO_MMIO_QueueNotify = 0x050,
    VIRTIO_MMIO_InterruptStatus = 0x060,
    VIRTIO_MMIO_InterruptACK = 0x064,
    VIRTIO_MMIO_Status = 0x070,
    VIRTIO_MMIO_QueueDescLow = 0x080,
    VIRTIO_MMIO_QueueDescHigh = 0x084,
    VIRTIO_MMIO_QueueDriverLow = 0x090,
    VIRTIO_MMIO_QueueDriverHigh = 0x094,
    VIRTIO_MMIO_QueueDeviceLow = 0x0a0,
    VIRTIO_MMIO_QueueDeviceHigh = 0x0a4,
    VIRTIO_MMIO_SHMSel = 0x0ac,
    VIRTIO_MMIO_SHMLenLow = 0x0b0,
    VIRTIO_MMIO_SHMLenHigh = 0x0b4,
    VIRTIO_MMIO_SHMBaseLow = 0x0b8,
    VIRTIO_MMIO_SHMBaseHigh = 0x0bc,
    VIRTIO_MMIO_QueueReset = 0x0c0,
    VIRTIO_MMIO_ConfigGeneration = 0x0fc,
    VIRTIO_MMIO_Config = 0x100,
};

#define VIRTIO_MMIO_MAGIC   0x74726976u /* "virt" */
#define VIRTIO_MMIO_VERSION 2u

/* InterruptStatus; the ISR status of the PCI transport has the same bits (4.1.4.5). */
enum {
    VIRTIO_ISR_QUEUE = 1,
    VIRTIO_ISR_CONFIG = 2,
};

/* ---- 5.2 Block Device ---- */
enum {
    VIRTIO_BLK_F_SEG_MAX = 2,
    VIRTIO_BLK_F_RO = 5,
    VIRTIO_BLK_F_BLK_SIZE = 6,
    VIRTIO_BLK_F_FLUSH = 9,
};

enum { /* struct virtio_blk_config */
       VIRTIO_BLK_CONFIG_capacity = 0,
       VIRTIO_BLK_CONFIG_seg_max = 12,
       VIRTIO_BLK_CONFIG_blk_size = 20,
       VIRTIO_BLK_CONFIG_BYTES = 96,
};

enum { /* struct virtio_blk_req */
       VIRTIO_BLK_REQ_type = 0,
       VIRTIO_BLK_REQ_sector = 8,
       VIRTIO_BLK_REQ_HEADER_BYTES = 16,
};

enum {
    VIRTIO_BLK_T_IN = 0,
    VIRTIO_BLK_T_OUT = 1,
    VIRTIO_BLK_T_FLUSH = 4,
    VIRTIO_BLK_T_GET_ID = 8,
};

enum {
    VIRTIO_BLK_S_OK = 0,
    VIRTIO_BLK_S_IOERR = 1,
    VIRTIO_BLK_S_UNSUPP = 2,
};

#define VIRTIO_BLK_ID_BYTES 20u

/* ---- 5.3 Console Device ---- */
enum {
    VIRTIO_CONSOLE_F_SIZE = 0,
};

enum { /* struct virtio_console_config */
       VIRTIO_CONSOLE_CONFIG_cols = 0,
       VIRTIO_CONSOLE_CONFIG_rows = 2,
       VIRTIO_CONSOLE_CONFIG_BYTES = 12,
};

#endif
