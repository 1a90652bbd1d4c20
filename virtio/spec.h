// SPDX-License-Identifier: BSD-2-Clause
/*
 * Numbers of the VIRTIO 1.4 specification, named as it names them. Register and field offsets are
 * in bytes; F_ names are feature bit numbers. The rings' are in virtio/ring/ring_spec.h.
 */
#ifndef MINIVET_VIRTIO_SPEC_H
#define MINIVET_VIRTIO_SPEC_H

#include <stdint.h>

#include "virtio/ring/ring_spec.h"

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
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_ENTROPY = 4,
    VIRTIO_ID_BALLOON = 5,
    VIRTIO_ID_SCSI = 8,
    VIRTIO_ID_9P = 9,
    VIRTIO_ID_GPU = 16,
    VIRTIO_ID_RTC = 17,
    VIRTIO_ID_INPUT = 18,
    VIRTIO_ID_VSOCK = 19,
    VIRTIO_ID_FS = 26,
};

/* ---- 6 Reserved Feature Bits; those of the rings are in ring_spec.h ---- */
enum {
    VIRTIO_F_NOTIFY_ON_EMPTY = 24, /* legacy interface only */
    VIRTIO_F_ANY_LAYOUT = 27,      /* legacy interface only */
    VIRTIO_F_VERSION_1 = 32,
    VIRTIO_F_ACCESS_PLATFORM = 33,
    VIRTIO_F_ORDER_PLATFORM = 36,
    VIRTIO_F_SR_IOV = 37,
    VIRTIO_F_NOTIFICATION_DATA = 38,
    VIRTIO_F_NOTIF_CONFIG_DATA = 39,
    VIRTIO_F_RING_RESET = 40,
    VIRTIO_F_ADMIN_VQ = 41,
    VIRTIO_F_SUSPEND = 43,
};

/* ---- 2.9 Driver Notifications: what is written with NOTIFICATION_DATA ---- */
enum {
    VIRTIO_NOTIFY_VQ_MASK = 0xffff,
    VIRTIO_NOTIFY_OFF_SHIFT = 16, /* split: the whole available index */
    VIRTIO_NOTIFY_WRAP_SHIFT = 31,
};

/* ---- 4.1 Virtio Over PCI Bus ---- */
#define VIRTIO_PCI_VENDOR_ID   0x1af4u
#define VIRTIO_PCI_DEVICE_BASE 0x1040u /* plus the device type */
#define VIRTIO_MSI_NO_VECTOR   0xffffu

enum { /* struct virtio_pci_cap, behind the capability's id and link */
       VIRTIO_PCI_CAP_cap_len = 2,
       VIRTIO_PCI_CAP_cfg_type = 3,
       VIRTIO_PCI_CAP_bar = 4,
       VIRTIO_PCI_CAP_id = 5,
       VIRTIO_PCI_CAP_offset = 8,
       VIRTIO_PCI_CAP_length = 12,
       VIRTIO_PCI_CAP_BYTES = 16,
       VIRTIO_PCI_NOTIFY_CAP_multiplier = 16,
       VIRTIO_PCI_NOTIFY_CAP_BYTES = 20,
       VIRTIO_PCI_CAP64_offset_hi = 16,
       VIRTIO_PCI_CAP64_length_hi = 20,
       VIRTIO_PCI_CAP64_BYTES = 24,
       VIRTIO_PCI_CFG_CAP_data = 16,
       VIRTIO_PCI_CFG_CAP_BYTES = 20,
};

enum { /* cfg_type */
       VIRTIO_PCI_CAP_COMMON_CFG = 1,
       VIRTIO_PCI_CAP_NOTIFY_CFG = 2,
       VIRTIO_PCI_CAP_ISR_CFG = 3,
       VIRTIO_PCI_CAP_DEVICE_CFG = 4,
       VIRTIO_PCI_CAP_PCI_CFG = 5,
       VIRTIO_PCI_CAP_SHARED_MEMORY_CFG = 8,
       VIRTIO_PCI_CAP_VENDOR_CFG = 9,
};

enum { /* struct virtio_pci_common_cfg */
       VIRTIO_PCI_COMMON_device_feature_select = 0,
       VIRTIO_PCI_COMMON_device_feature = 4,
       VIRTIO_PCI_COMMON_driver_feature_select = 8,
       VIRTIO_PCI_COMMON_driver_feature = 12,
       VIRTIO_PCI_COMMON_config_msix_vector = 16,
       VIRTIO_PCI_COMMON_num_queues = 18,
       VIRTIO_PCI_COMMON_device_status = 20,
       VIRTIO_PCI_COMMON_config_generation = 21,
       VIRTIO_PCI_COMMON_queue_select = 22,
       VIRTIO_PCI_COMMON_queue_size = 24,
       VIRTIO_PCI_COMMON_queue_msix_vector = 26,
       VIRTIO_PCI_COMMON_queue_enable = 28,
       VIRTIO_PCI_COMMON_queue_notify_off = 30,
       VIRTIO_PCI_COMMON_queue_desc = 32,
       VIRTIO_PCI_COMMON_queue_driver = 40,
       VIRTIO_PCI_COMMON_queue_device = 48,
       VIRTIO_PCI_COMMON_queue_notif_config_data = 56,
       VIRTIO_PCI_COMMON_queue_reset = 58,
       VIRTIO_PCI_COMMON_admin_queue_index = 60,
       VIRTIO_PCI_COMMON_admin_queue_num = 62,
       VIRTIO_PCI_COMMON_BYTES = 64,
};

enum { /* 4.1.4.10 Legacy Interfaces: the I/O BAR of a transitional device */
       VIRTIO_PCI_LEGACY_device_features = 0,
       VIRTIO_PCI_LEGACY_driver_features = 4,
       VIRTIO_PCI_LEGACY_queue_address = 8,
       VIRTIO_PCI_LEGACY_queue_size = 12,
       VIRTIO_PCI_LEGACY_queue_select = 14,
       VIRTIO_PCI_LEGACY_queue_notify = 16,
       VIRTIO_PCI_LEGACY_device_status = 18,
       VIRTIO_PCI_LEGACY_isr_status = 19,
       VIRTIO_PCI_LEGACY_config_msix_vector = 20, /* these two with MSI-X enabled */
       VIRTIO_PCI_LEGACY_queue_msix_vector = 22,
       VIRTIO_PCI_LEGACY_config = 20,       /* 24 with MSI-X enabled */
       VIRTIO_PCI_LEGACY_PAGE_BYTES = 4096, /* unit of queue_address, and the used ring's align */
};

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

enum { /* 4.2.4 Legacy interface: what differs */
       VIRTIO_MMIO_LEGACY_GuestPageSize = 0x028,
       VIRTIO_MMIO_LEGACY_QueueAlign = 0x03c,
       VIRTIO_MMIO_LEGACY_QueuePFN = 0x040,
};

#define VIRTIO_MMIO_MAGIC          0x74726976u /* "virt" */
#define VIRTIO_MMIO_VERSION        2u
#define VIRTIO_MMIO_VERSION_LEGACY 1u

/* InterruptStatus; the ISR status of the PCI transport has the same bits (4.1.4.5). */
enum {
    VIRTIO_ISR_QUEUE = 1,
    VIRTIO_ISR_CONFIG = 2,
};

/* ---- 5.1 Network Device ---- */
enum {
    VIRTIO_NET_F_CSUM = 0,
    VIRTIO_NET_F_GUEST_CSUM = 1,
    VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2,
    VIRTIO_NET_F_MTU = 3,
    VIRTIO_NET_F_MAC = 5,
    VIRTIO_NET_F_GUEST_TSO4 = 7,
    VIRTIO_NET_F_GUEST_TSO6 = 8,
    VIRTIO_NET_F_GUEST_ECN = 9,
    VIRTIO_NET_F_GUEST_UFO = 10,
    VIRTIO_NET_F_HOST_TSO4 = 11,
    VIRTIO_NET_F_HOST_TSO6 = 12,
    VIRTIO_NET_F_HOST_ECN = 13,
    VIRTIO_NET_F_HOST_UFO = 14,
    VIRTIO_NET_F_MRG_RXBUF = 15,
    VIRTIO_NET_F_STATUS = 16,
    VIRTIO_NET_F_CTRL_VQ = 17,
    VIRTIO_NET_F_CTRL_RX = 18,
    VIRTIO_NET_F_CTRL_VLAN = 19,
    VIRTIO_NET_F_CTRL_RX_EXTRA = 20,
    VIRTIO_NET_F_GUEST_ANNOUNCE = 21,
    VIRTIO_NET_F_MQ = 22,
    VIRTIO_NET_F_CTRL_MAC_ADDR = 23,
    VIRTIO_NET_F_GUEST_USO4 = 54,
    VIRTIO_NET_F_GUEST_USO6 = 55,
    VIRTIO_NET_F_HOST_USO = 56,
    VIRTIO_NET_F_HASH_REPORT = 57,
    VIRTIO_NET_F_RSS = 60,
    VIRTIO_NET_F_SPEED_DUPLEX = 63,
};

enum { /* struct virtio_net_config, as far as the offered features have it */
       VIRTIO_NET_CONFIG_mac = 0,
       VIRTIO_NET_CONFIG_status = 6,
       VIRTIO_NET_CONFIG_max_virtqueue_pairs = 8,
       VIRTIO_NET_CONFIG_mtu = 10,
       VIRTIO_NET_CONFIG_speed = 12,
       VIRTIO_NET_CONFIG_duplex = 16,
       VIRTIO_NET_CONFIG_rss_max_key_size = 17,
       VIRTIO_NET_CONFIG_rss_max_indirection_table_length = 18,
       VIRTIO_NET_CONFIG_supported_hash_types = 20,
       VIRTIO_NET_CONFIG_BYTES = 24,
};

enum { /* status */
       VIRTIO_NET_S_LINK_UP = 1,
       VIRTIO_NET_S_ANNOUNCE = 2,
};

enum { /* struct virtio_net_hdr */
       VIRTIO_NET_HDR_flags = 0,
       VIRTIO_NET_HDR_gso_type = 1,
       VIRTIO_NET_HDR_hdr_len = 2,
       VIRTIO_NET_HDR_gso_size = 4,
       VIRTIO_NET_HDR_csum_start = 6,
       VIRTIO_NET_HDR_csum_offset = 8,
       VIRTIO_NET_HDR_num_buffers = 10,
       VIRTIO_NET_HDR_BYTES = 12,
       VIRTIO_NET_HDR_hash_value = 12,
       VIRTIO_NET_HDR_hash_report = 16,
       VIRTIO_NET_HDR_HASH_BYTES = 20,   /* with HASH_REPORT */
       VIRTIO_NET_HDR_LEGACY_BYTES = 10, /* without MRG_RXBUF: 5.1.6.1 */
};

enum { /* flags */
       VIRTIO_NET_HDR_F_NEEDS_CSUM = 1,
       VIRTIO_NET_HDR_F_DATA_VALID = 2,
};

enum { /* gso_type */
       VIRTIO_NET_HDR_GSO_NONE = 0,
       VIRTIO_NET_HDR_GSO_TCPV4 = 1,
       VIRTIO_NET_HDR_GSO_UDP = 3,
       VIRTIO_NET_HDR_GSO_TCPV6 = 4,
       VIRTIO_NET_HDR_GSO_UDP_L4 = 5,
       VIRTIO_NET_HDR_GSO_ECN = 0x80,
};

enum { /* hash types: bits; hash_report is the bit's number and one, and 0 is none */
       VIRTIO_NET_HASH_IPv4 = 0,
       VIRTIO_NET_HASH_TCPv4 = 1,
       VIRTIO_NET_HASH_UDPv4 = 2,
       VIRTIO_NET_HASH_IPv6 = 3,
       VIRTIO_NET_HASH_TCPv6 = 4,
       VIRTIO_NET_HASH_UDPv6 = 5,
};

enum { /* struct virtio_net_ctrl: class and command begin it, an ack is the first answer */
       VIRTIO_NET_CTRL_HEADER_BYTES = 2,
       VIRTIO_NET_OK = 0,
       VIRTIO_NET_ERR = 1,
};

enum {
    VIRTIO_NET_CTRL_RX = 0,
    VIRTIO_NET_CTRL_RX_PROMISC = 0,
    VIRTIO_NET_CTRL_RX_ALLMULTI = 1,
    VIRTIO_NET_CTRL_RX_ALLUNI = 2,
    VIRTIO_NET_CTRL_RX_NOMULTI = 3,
    VIRTIO_NET_CTRL_RX_NOUNI = 4,
    VIRTIO_NET_CTRL_RX_NOBCAST = 5,

    VIRTIO_NET_CTRL_MAC = 1,
    VIRTIO_NET_CTRL_MAC_TABLE_SET = 0,
    VIRTIO_NET_CTRL_MAC_ADDR_SET = 1,

    VIRTIO_NET_CTRL_VLAN = 2,
    VIRTIO_NET_CTRL_VLAN_ADD = 0,
    VIRTIO_NET_CTRL_VLAN_DEL = 1,

    VIRTIO_NET_CTRL_ANNOUNCE = 3,
    VIRTIO_NET_CTRL_ANNOUNCE_ACK = 0,

    VIRTIO_NET_CTRL_MQ = 4,
    VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET = 0,
    VIRTIO_NET_CTRL_MQ_RSS_CONFIG = 1,
    VIRTIO_NET_CTRL_MQ_HASH_CONFIG = 2,

    VIRTIO_NET_CTRL_GUEST_OFFLOADS = 5,
    VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET = 0,
};

/* ---- 5.2 Block Device ---- */
enum {
    VIRTIO_BLK_F_SIZE_MAX = 1,
    VIRTIO_BLK_F_SEG_MAX = 2,
    VIRTIO_BLK_F_GEOMETRY = 4,
    VIRTIO_BLK_F_RO = 5,
    VIRTIO_BLK_F_BLK_SIZE = 6,
    VIRTIO_BLK_F_FLUSH = 9,
    VIRTIO_BLK_F_TOPOLOGY = 10,
    VIRTIO_BLK_F_CONFIG_WCE = 11,
    VIRTIO_BLK_F_MQ = 12,
    VIRTIO_BLK_F_DISCARD = 13,
    VIRTIO_BLK_F_WRITE_ZEROES = 14,
    VIRTIO_BLK_F_SECURE_ERASE = 16,
    VIRTIO_BLK_F_ZONED = 17,
};

enum { /* struct virtio_blk_config */
       VIRTIO_BLK_CONFIG_capacity = 0,
       VIRTIO_BLK_CONFIG_seg_max = 12,
       VIRTIO_BLK_CONFIG_blk_size = 20,
       VIRTIO_BLK_CONFIG_physical_block_exp = 24,
       VIRTIO_BLK_CONFIG_alignment_offset = 25,
       VIRTIO_BLK_CONFIG_min_io_size = 26,
       VIRTIO_BLK_CONFIG_opt_io_size = 28,
       VIRTIO_BLK_CONFIG_writeback = 32,
       VIRTIO_BLK_CONFIG_num_queues = 34,
       VIRTIO_BLK_CONFIG_max_discard_sectors = 36,
       VIRTIO_BLK_CONFIG_max_discard_seg = 40,
       VIRTIO_BLK_CONFIG_discard_sector_alignment = 44,
       VIRTIO_BLK_CONFIG_max_write_zeroes_sectors = 48,
       VIRTIO_BLK_CONFIG_max_write_zeroes_seg = 52,
       VIRTIO_BLK_CONFIG_write_zeroes_may_unmap = 56,
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
    VIRTIO_BLK_T_DISCARD = 11,
    VIRTIO_BLK_T_WRITE_ZEROES = 13,
};

enum { /* struct virtio_blk_discard_write_zeroes */
       VIRTIO_BLK_RANGE_sector = 0,
       VIRTIO_BLK_RANGE_num_sectors = 8,
       VIRTIO_BLK_RANGE_flags = 12,
       VIRTIO_BLK_RANGE_BYTES = 16,
};

#define VIRTIO_BLK_RANGE_F_UNMAP 1u /* WRITE_ZEROES alone */

enum {
    VIRTIO_BLK_S_OK = 0,
    VIRTIO_BLK_S_IOERR = 1,
    VIRTIO_BLK_S_UNSUPP = 2,
};

#define VIRTIO_BLK_ID_BYTES 20u

/* ---- 5.3 Console Device ---- */
enum {
    VIRTIO_CONSOLE_F_SIZE = 0,
    VIRTIO_CONSOLE_F_MULTIPORT = 1,
    VIRTIO_CONSOLE_F_EMERG_WRITE = 2,
};

enum { /* struct virtio_console_config */
       VIRTIO_CONSOLE_CONFIG_cols = 0,
       VIRTIO_CONSOLE_CONFIG_rows = 2,
       VIRTIO_CONSOLE_CONFIG_max_nr_ports = 4,
       VIRTIO_CONSOLE_CONFIG_emerg_wr = 8,
       VIRTIO_CONSOLE_CONFIG_BYTES = 12,
};

enum { /* struct virtio_console_control */
       VIRTIO_CONSOLE_CONTROL_id = 0,
       VIRTIO_CONSOLE_CONTROL_event = 4,
       VIRTIO_CONSOLE_CONTROL_value = 6,
       VIRTIO_CONSOLE_CONTROL_BYTES = 8,
};

enum { /* its events */
       VIRTIO_CONSOLE_DEVICE_READY = 0,
       VIRTIO_CONSOLE_DEVICE_ADD = 1,
       VIRTIO_CONSOLE_DEVICE_REMOVE = 2,
       VIRTIO_CONSOLE_PORT_READY = 3,
       VIRTIO_CONSOLE_CONSOLE_PORT = 4,
       VIRTIO_CONSOLE_RESIZE = 5,
       VIRTIO_CONSOLE_PORT_OPEN = 6,
       VIRTIO_CONSOLE_PORT_NAME = 7,
};

/* ---- 5.6 SCSI Host Device ---- */
enum {
    VIRTIO_SCSI_F_INOUT = 0,
    VIRTIO_SCSI_F_HOTPLUG = 1,
    VIRTIO_SCSI_F_CHANGE = 2,
    VIRTIO_SCSI_F_T10_PI = 3,
};

enum { /* virtqueues */
       VIRTIO_SCSI_CONTROLQ = 0,
       VIRTIO_SCSI_EVENTQ = 1,
       VIRTIO_SCSI_REQUESTQ = 2, /* the first of them */
};

enum { /* struct virtio_scsi_config */
       VIRTIO_SCSI_CONFIG_num_queues = 0,
       VIRTIO_SCSI_CONFIG_seg_max = 4,
       VIRTIO_SCSI_CONFIG_max_sectors = 8,
       VIRTIO_SCSI_CONFIG_cmd_per_lun = 12,
       VIRTIO_SCSI_CONFIG_event_info_size = 16,
       VIRTIO_SCSI_CONFIG_sense_size = 20,
       VIRTIO_SCSI_CONFIG_cdb_size = 24,
       VIRTIO_SCSI_CONFIG_max_channel = 28,
       VIRTIO_SCSI_CONFIG_max_target = 30,
       VIRTIO_SCSI_CONFIG_max_lun = 32,
       VIRTIO_SCSI_CONFIG_BYTES = 36,
};

#define VIRTIO_SCSI_SENSE_DEFAULT_SIZE 96u
#define VIRTIO_SCSI_CDB_DEFAULT_SIZE   32u
#define VIRTIO_SCSI_LUN_BYTES          8u

enum { /* struct virtio_scsi_req_cmd, what the device reads: the CDB ends it */
       VIRTIO_SCSI_CMD_lun = 0,
       VIRTIO_SCSI_CMD_id = 8,
       VIRTIO_SCSI_CMD_cdb = 19,
};

enum { /* and what it writes: the sense data ends it */
       VIRTIO_SCSI_RESP_sense_len = 0,
       VIRTIO_SCSI_RESP_residual = 4,
       VIRTIO_SCSI_RESP_status = 10,
       VIRTIO_SCSI_RESP_response = 11,
       VIRTIO_SCSI_RESP_sense = 12,
};

enum { /* response, of requests and of the control queue */
       VIRTIO_SCSI_S_OK = 0,
       VIRTIO_SCSI_S_FUNCTION_COMPLETE = 0,
       VIRTIO_SCSI_S_OVERRUN = 1,
       VIRTIO_SCSI_S_ABORTED = 2,
       VIRTIO_SCSI_S_BAD_TARGET = 3,
       VIRTIO_SCSI_S_RESET = 4,
       VIRTIO_SCSI_S_FAILURE = 9,
       VIRTIO_SCSI_S_FUNCTION_SUCCEEDED = 10,
       VIRTIO_SCSI_S_FUNCTION_REJECTED = 11,
       VIRTIO_SCSI_S_INCORRECT_LUN = 12,
};

enum { /* what a control request is */
       VIRTIO_SCSI_T_TMF = 0,
       VIRTIO_SCSI_T_AN_QUERY = 1,
       VIRTIO_SCSI_T_AN_SUBSCRIBE = 2,
};

enum { /* struct virtio_scsi_ctrl_tmf */
       VIRTIO_SCSI_TMF_type = 0,
       VIRTIO_SCSI_TMF_subtype = 4,
       VIRTIO_SCSI_TMF_lun = 8,
       VIRTIO_SCSI_TMF_id = 16,
       VIRTIO_SCSI_TMF_BYTES = 24,
};

enum { /* subtype */
       VIRTIO_SCSI_T_TMF_ABORT_TASK = 0,
       VIRTIO_SCSI_T_TMF_ABORT_TASK_SET = 1,
       VIRTIO_SCSI_T_TMF_CLEAR_ACA = 2,
       VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET = 3,
       VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET = 4,
       VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET = 5,
       VIRTIO_SCSI_T_TMF_QUERY_TASK = 6,
       VIRTIO_SCSI_T_TMF_QUERY_TASK_SET = 7,
};

enum { /* struct virtio_scsi_ctrl_an; the answer is event_actual (32 bits) and response */
       VIRTIO_SCSI_AN_lun = 4,
       VIRTIO_SCSI_AN_BYTES = 16,
       VIRTIO_SCSI_AN_RESP_response = 4,
       VIRTIO_SCSI_AN_RESP_BYTES = 5,
};

enum { /* struct virtio_scsi_event */
       VIRTIO_SCSI_EVENT_event = 0,
       VIRTIO_SCSI_EVENT_lun = 4,
       VIRTIO_SCSI_EVENT_reason = 12,
       VIRTIO_SCSI_EVENT_BYTES = 16,
};

enum {
    VIRTIO_SCSI_T_NO_EVENT = 0,
    VIRTIO_SCSI_T_TRANSPORT_RESET = 1,
    VIRTIO_SCSI_T_PARAM_CHANGE = 3,
    VIRTIO_SCSI_EVT_RESET_RESCAN = 1,
    VIRTIO_SCSI_EVT_RESET_REMOVED = 2,
};

#define VIRTIO_SCSI_T_EVENTS_MISSED UINT32_C(0x80000000)

#endif
