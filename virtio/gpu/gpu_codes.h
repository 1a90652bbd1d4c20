// SPDX-License-Identifier: BSD-2-Clause
/*
 * Numbers of the GPU device (VIRTIO 1.4 5.7), named as the specification names them. Field offsets
 * are in bytes from the beginning of a request or a response, whose header is the same.
 */
#ifndef MINIVET_VIRTIO_GPU_CODES_H
#define MINIVET_VIRTIO_GPU_CODES_H

#include <stdint.h>

enum {
    VIRTIO_GPU_F_VIRGL = 0,
    VIRTIO_GPU_F_EDID = 1,
    VIRTIO_GPU_F_RESOURCE_UUID = 2,
    VIRTIO_GPU_F_RESOURCE_BLOB = 3,
    VIRTIO_GPU_F_CONTEXT_INIT = 4,
    VIRTIO_GPU_F_BLOB_ALIGNMENT = 5,
};

enum { /* virtqueues */
       VIRTIO_GPU_CONTROLQ = 0,
       VIRTIO_GPU_CURSORQ = 1,
       VIRTIO_GPU_QUEUES,
};

enum { /* struct virtio_gpu_config */
       VIRTIO_GPU_CONFIG_events_read = 0,
       VIRTIO_GPU_CONFIG_events_clear = 4,
       VIRTIO_GPU_CONFIG_num_scanouts = 8,
       VIRTIO_GPU_CONFIG_num_capsets = 12,
       VIRTIO_GPU_CONFIG_blob_alignment = 16,
       VIRTIO_GPU_CONFIG_BYTES = 20,
};

#define VIRTIO_GPU_EVENT_DISPLAY 1u
#define VIRTIO_GPU_MAX_SCANOUTS  16u

enum { /* type: commands */
       VIRTIO_GPU_CMD_GET_DISPLAY_INFO = 0x100,
       VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
       VIRTIO_GPU_CMD_RESOURCE_UNREF,
       VIRTIO_GPU_CMD_SET_SCANOUT,
       VIRTIO_GPU_CMD_RESOURCE_FLUSH,
       VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
       VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
       VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
       VIRTIO_GPU_CMD_GET_CAPSET_INFO,
       VIRTIO_GPU_CMD_GET_CAPSET,
       VIRTIO_GPU_CMD_GET_EDID,
       VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID,
       VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
       VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
       VIRTIO_GPU_CMD_CTX_CREATE = 0x200,
       VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB = 0x208,
       VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB,
       VIRTIO_GPU_CMD_UPDATE_CURSOR = 0x300,
       VIRTIO_GPU_CMD_MOVE_CURSOR,
};

enum { /* type: responses */
       VIRTIO_GPU_RESP_OK_NODATA = 0x1100,
       VIRTIO_GPU_RESP_OK_DISPLAY_INFO,
       VIRTIO_GPU_RESP_OK_CAPSET_INFO,
       VIRTIO_GPU_RESP_OK_CAPSET,
       VIRTIO_GPU_RESP_OK_EDID,
       VIRTIO_GPU_RESP_OK_RESOURCE_UUID,
       VIRTIO_GPU_RESP_OK_MAP_INFO,
       VIRTIO_GPU_RESP_ERR_UNSPEC = 0x1200,
       VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
       VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
       VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
       VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
       VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
};

enum { /* struct virtio_gpu_ctrl_hdr */
       VIRTIO_GPU_HDR_type = 0,
       VIRTIO_GPU_HDR_flags = 4,
       VIRTIO_GPU_HDR_fence_id = 8,
       VIRTIO_GPU_HDR_ctx_id = 16,
       VIRTIO_GPU_HDR_ring_idx = 20,
       VIRTIO_GPU_HDR_BYTES = 24,
};

#define VIRTIO_GPU_FLAG_FENCE         1u
#define VIRTIO_GPU_FLAG_INFO_RING_IDX 2u

enum { /* struct virtio_gpu_rect */
       VIRTIO_GPU_RECT_x = 0,
       VIRTIO_GPU_RECT_y = 4,
       VIRTIO_GPU_RECT_width = 8,
       VIRTIO_GPU_RECT_height = 12,
       VIRTIO_GPU_RECT_BYTES = 16,
};

enum { /* struct virtio_gpu_resp_display_info: pmodes, each a rectangle, enabled and flags */
       VIRTIO_GPU_DISPLAY_INFO_pmodes = 24,
       VIRTIO_GPU_DISPLAY_ONE_enabled = 16,
       VIRTIO_GPU_DISPLAY_ONE_BYTES = 24,
       VIRTIO_GPU_DISPLAY_INFO_BYTES = 408,
};

enum { /* struct virtio_gpu_get_edid, struct virtio_gpu_resp_edid */
       VIRTIO_GPU_GET_EDID_scanout = 24,
       VIRTIO_GPU_GET_EDID_BYTES = 32,
       VIRTIO_GPU_RESP_EDID_size = 24,
       VIRTIO_GPU_RESP_EDID_edid = 32,
       VIRTIO_GPU_RESP_EDID_BYTES = 1056,
};

enum { /* struct virtio_gpu_resource_unref, and others that name a resource and no more */
       VIRTIO_GPU_RESOURCE_resource_id = 24,
       VIRTIO_GPU_RESOURCE_BYTES = 32,
       VIRTIO_GPU_RESP_UUID_uuid = 24,
       VIRTIO_GPU_RESP_UUID_BYTES = 40,
};

enum { /* struct virtio_gpu_resource_create_2d */
       VIRTIO_GPU_CREATE_2D_resource_id = 24,
       VIRTIO_GPU_CREATE_2D_format = 28,
       VIRTIO_GPU_CREATE_2D_width = 32,
       VIRTIO_GPU_CREATE_2D_height = 36,
       VIRTIO_GPU_CREATE_2D_BYTES = 40,
};

enum { /* struct virtio_gpu_set_scanout */
       VIRTIO_GPU_SET_SCANOUT_r = 24,
       VIRTIO_GPU_SET_SCANOUT_scanout_id = 40,
       VIRTIO_GPU_SET_SCANOUT_resource_id = 44,
       VIRTIO_GPU_SET_SCANOUT_BYTES = 48,
};

enum { /* struct virtio_gpu_resource_flush */
       VIRTIO_GPU_FLUSH_r = 24,
       VIRTIO_GPU_FLUSH_resource_id = 40,
       VIRTIO_GPU_FLUSH_BYTES = 48,
};

enum { /* struct virtio_gpu_transfer_to_host_2d */
       VIRTIO_GPU_TRANSFER_r = 24,
       VIRTIO_GPU_TRANSFER_offset = 40,
       VIRTIO_GPU_TRANSFER_resource_id = 48,
       VIRTIO_GPU_TRANSFER_BYTES = 56,
};

enum { /* struct virtio_gpu_resource_attach_backing; entries follow */
       VIRTIO_GPU_ATTACH_resource_id = 24,
       VIRTIO_GPU_ATTACH_nr_entries = 28,
       VIRTIO_GPU_ATTACH_BYTES = 32,
};

enum { /* struct virtio_gpu_mem_entry */
       VIRTIO_GPU_MEM_ENTRY_addr = 0,
       VIRTIO_GPU_MEM_ENTRY_length = 8,
       VIRTIO_GPU_MEM_ENTRY_BYTES = 16,
};

enum { /* struct virtio_gpu_resource_create_blob; entries follow */
       VIRTIO_GPU_CREATE_BLOB_resource_id = 24,
       VIRTIO_GPU_CREATE_BLOB_blob_mem = 28,
       VIRTIO_GPU_CREATE_BLOB_blob_flags = 32,
       VIRTIO_GPU_CREATE_BLOB_nr_entries = 36,
       VIRTIO_GPU_CREATE_BLOB_blob_id = 40,
       VIRTIO_GPU_CREATE_BLOB_size = 48,
       VIRTIO_GPU_CREATE_BLOB_BYTES = 56,
};

enum { /* blob_mem */
       VIRTIO_GPU_BLOB_MEM_GUEST = 1,
       VIRTIO_GPU_BLOB_MEM_HOST3D = 2,
       VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST = 3,
};

enum { /* struct virtio_gpu_set_scanout_blob */
       VIRTIO_GPU_SCANOUT_BLOB_r = 24,
       VIRTIO_GPU_SCANOUT_BLOB_scanout_id = 40,
       VIRTIO_GPU_SCANOUT_BLOB_resource_id = 44,
       VIRTIO_GPU_SCANOUT_BLOB_width = 48,
       VIRTIO_GPU_SCANOUT_BLOB_height = 52,
       VIRTIO_GPU_SCANOUT_BLOB_format = 56,
       VIRTIO_GPU_SCANOUT_BLOB_strides = 64,
       VIRTIO_GPU_SCANOUT_BLOB_offsets = 80,
       VIRTIO_GPU_SCANOUT_BLOB_BYTES = 96,
};

enum { /* struct virtio_gpu_update_cursor */
       VIRTIO_GPU_CURSOR_scanout_id = 24,
       VIRTIO_GPU_CURSOR_x = 28,
       VIRTIO_GPU_CURSOR_y = 32,
       VIRTIO_GPU_CURSOR_resource_id = 40,
       VIRTIO_GPU_CURSOR_hot_x = 44,
       VIRTIO_GPU_CURSOR_hot_y = 48,
       VIRTIO_GPU_CURSOR_BYTES = 56,
};

enum { /* format: bytes in the order in which they lie in memory */
       VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM = 1,
       VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM = 2,
       VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM = 3,
       VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM = 4,
       VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM = 67,
       VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM = 68,
       VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM = 121,
       VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM = 134,
};

#endif
