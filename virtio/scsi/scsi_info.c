// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/xmath.h"
#include "virtio/scsi/scsi_disk_impl.h"

/* Text in INQUIRY data: no end, spaces behind it. */
#define VENDOR   "MINIVET "
#define PRODUCT  "virtual disk    "
#define REVISION "1.0 "

/* The reply is made here, and the driver gets as much of it as it asked for. */
#define REPLY_MAX 128u

/* ---- INQUIRY, SPC-4 6.6 ---- */

static uint8_t device_type(const struct scsi_task *task)
{
    switch (task->unit) {
    case SCSI_UNIT_DISK:
        return SCSI_TYPE_DISK;
    case SCSI_UNIT_WELL_KNOWN:
        return SCSI_TYPE_WELL_KNOWN;
    default:
        return SCSI_TYPE_NONE;
    }
}

/* Characters of a field that ends without a zero. */
static size_t put_text(uint8_t *out, const char *text)
{
    size_t bytes = strlen(text);
    memcpy(out, text, bytes);
    return bytes;
}

static size_t standard_data(uint8_t *out)
{
    out[2] = 6;    /* SPC-4 */
    out[3] = 0x12; /* HISUP, and the only format there is */
    out[7] = 0x02; /* CMDQUE */
    put_text(out + 8, VENDOR);
    put_text(out + 16, PRODUCT);
    put_text(out + 32, REVISION);
    out[4] = 36 - 5; /* what follows */
    return 36;
}

static size_t vpd_serial(const struct scsi_disk *disk, uint8_t *out)
{
    return put_text(out, disk->serial);
}

/* One designator: T10 vendor identification, in ASCII, of the logical unit. */
static size_t vpd_identification(const struct scsi_disk *disk, uint8_t *out)
{
    const char *id = disk->serial[0] != '\0' ? disk->serial : disk->id;
    out[0] = 2;
    out[1] = 1;
    size_t bytes = put_text(out + 4, VENDOR);
    bytes += put_text(out + 4 + bytes, id);
    out[3] = (uint8_t)bytes;
    return 4 + bytes;
}

/* SBC-3 6.5.3, without the four bytes that every page begins with. */
static size_t vpd_block_limits(const struct scsi_disk *disk, uint8_t *out)
{
    const struct blk_info *info = &disk->backend->info;
    uint32_t block = scsi_block_bytes(disk);
    uint64_t granularity = info->physical_bytes / block;
    out[0] = 0x01; /* WSNZ: WRITE SAME says how many */
    be16_put(out + 2, (uint16_t)min_u64(granularity, UINT16_MAX));
    be32_put(out + 8, info->optimal_bytes / block);
    if (scsi_disk_can_discard(disk)) {
        be32_put(out + 16, scsi_range_max_blocks(disk));
        be32_put(out + 20, BLK_RANGES_MAX);
        be32_put(out + 24, info->discard_bytes / block);
        be32_put(out + 28, UINT32_C(1) << 31); /* UGAVALID: the first unit begins at block 0 */
    }
    if (scsi_disk_can_zero(disk))
        be64_put(out + 32, scsi_range_max_blocks(disk));
    return 0x3c;
}

static size_t vpd_block_characteristics(uint8_t *out)
{
    be16_put(out, 1); /* does not rotate */
    return 0x3c;
}

static size_t vpd_provisioning(const struct scsi_disk *disk, uint8_t *out)
{
    out[1] = scsi_disk_can_discard(disk) ? 0x80 : 0; /* LBPU */
    if (scsi_disk_can_discard(disk) && scsi_disk_can_zero(disk))
        out[1] |= 0x60;                              /* LBPWS, LBPWS10 */
    out[2] = scsi_disk_can_discard(disk) ? 0x02 : 0; /* thin */
    return 4;
}

static size_t vpd_supported(const struct scsi_task *task, uint8_t *out)
{
    size_t n = 0;
    out[n++] = SCSI_VPD_SUPPORTED;
    if (task->unit != SCSI_UNIT_DISK)
        return n;
    if (task->disk->serial[0] != '\0')
        out[n++] = SCSI_VPD_SERIAL;
    out[n++] = SCSI_VPD_IDENTIFICATION;
    out[n++] = SCSI_VPD_BLOCK_LIMITS;
    out[n++] = SCSI_VPD_BLOCK_CHARACTERISTICS;
    out[n++] = SCSI_VPD_PROVISIONING;
    return n;
}

/* The bytes behind the page's head; 0: there is no such page. */
static size_t vpd_page(const struct scsi_task *task, uint8_t page, uint8_t *out)
{
    if (page == SCSI_VPD_SUPPORTED)
        return vpd_supported(task, out);
    if (task->unit != SCSI_UNIT_DISK)
        return 0;
    switch (page) {
    case SCSI_VPD_SERIAL:
        return vpd_serial(task->disk, out);
    case SCSI_VPD_IDENTIFICATION:
        return vpd_identification(task->disk, out);
    case SCSI_VPD_BLOCK_LIMITS:
        return vpd_block_limits(task->disk, out);
    case SCSI_VPD_BLOCK_CHARACTERISTICS:
        return vpd_block_characteristics(out);
    case SCSI_VPD_PROVISIONING:
        return vpd_provisioning(task->disk, out);
    default:
        return 0;
    }
}

void scsi_inquiry(struct scsi_task *task)
{
    bool evpd = (task->cdb[1] & 0x01) != 0;
    uint8_t page = task->cdb[2], reply[REPLY_MAX] = {0};
    size_t bytes = 0;
    if (evpd) {
        size_t body = vpd_page(task, page, reply + 4);
        reply[1] = page;
        be16_put(reply + 2, (uint16_t)body);
        bytes = body > 0 ? body + 4 : 0;
    } else if (page == 0) {
        bytes = standard_data(reply);
    }
    reply[0] = device_type(task);
    if (bytes == 0) {
        scsi_task_check(task, SCSI_INVALID_FIELD_IN_CDB);
        return;
    }
    if (!scsi_task_wants_in(task, be16_get(task->cdb + 3)))
        return;
    scsi_task_put(task, reply, bytes);
    scsi_task_good(task);
}

/* ---- REQUEST SENSE, SPC-4 6.37 ---- */

void scsi_request_sense(struct scsi_task *task)
{
    uint8_t reply[SCSI_SENSE_BYTES];
    unsigned sense = SCSI_NO_SENSE;
    if (task->cdb[1] & 0x01) { /* DESC */
        scsi_task_check(task, SCSI_INVALID_FIELD_IN_CDB);
        return;
    }
    if (!scsi_task_wants_in(task, task->cdb[4]))
        return;
    if (task->unit == SCSI_UNIT_ABSENT) {
        sense = SCSI_LUN_NOT_SUPPORTED;
    } else if (task->unit == SCSI_UNIT_DISK) {
        sense = task->disk->attention;
        task->disk->attention = 0;
    }
    scsi_sense_put(reply, sense);
    scsi_task_put(task, reply, sizeof(reply));
    scsi_task_good(task);
}

/* ---- REPORT LUNS, SPC-4 6.33 ---- */

enum { /* SELECT REPORT */
       REPORT_UNITS = 0,
       REPORT_WELL_KNOWN = 1,
       REPORT_ALL = 2,
};

/* The well-known unit lists every disk, in the form in which requests name it (VIRTIO 1.4 5.6.6.1).
 */
static void put_all_luns(struct scsi_task *task, uint8_t select)
{
    unsigned disks = 0, well_known = select != REPORT_UNITS;
    for (unsigned t = 0; t < SCSI_TARGETS_MAX && select != REPORT_WELL_KNOWN; t++)
        disks += task->ops->present(task, t);
    uint8_t head[8] = {0};
    be32_put(head, 8 * (disks + well_known));
    scsi_task_put(task, head, sizeof(head));
    if (well_known)
        scsi_task_put(task, (const uint8_t[8]){0xc1, 0x01}, 8);
    for (unsigned t = 0; t < SCSI_TARGETS_MAX && select != REPORT_WELL_KNOWN; t++) {
        if (task->ops->present(task, t))
            scsi_task_put(task, (const uint8_t[8]){0x01, (uint8_t)t, 0x40}, 8);
    }
}

void scsi_report_luns(struct scsi_task *task)
{
    uint8_t select = task->cdb[2];
    uint32_t allocated = be32_get(task->cdb + 6);
    if (select > REPORT_ALL || allocated < 16) {
        scsi_task_check(task, SCSI_INVALID_FIELD_IN_CDB);
        return;
    }
    if (!scsi_task_wants_in(task, allocated))
        return;
    if (task->unit == SCSI_UNIT_WELL_KNOWN) {
        put_all_luns(task, select);
    } else { /* a target: unit 0, which is eight zeroes */
        uint8_t reply[16] = {0};
        bool listed = select != REPORT_WELL_KNOWN;
        be32_put(reply, listed ? 8 : 0);
        scsi_task_put(task, reply, listed ? 16 : 8);
    }
    scsi_task_good(task);
}

/* ---- MODE SENSE, SPC-4 6.11 ---- */

enum { /* page control */
       PAGE_CHANGEABLE = 1,
       PAGE_SAVED = 3,
};

/* What can be changed is nothing, so then all is zero but the head. */
static size_t caching_page(uint8_t *out, bool values)
{
    out[0] = SCSI_PAGE_CACHING;
    out[1] = 18;
    out[2] = values ? 0x04 : 0; /* WCE: writes are on stable storage after a flush */
    return 20;
}

static size_t control_page(uint8_t *out, bool values)
{
    out[0] = SCSI_PAGE_CONTROL;
    out[1] = 10;
    out[3] = values ? 0x10 : 0; /* commands may be reordered */
    return 12;
}

/* 0: there is no such page. */
static size_t mode_pages(const uint8_t *cdb, uint8_t *out)
{
    uint8_t page = cdb[2] & 0x3f, subpage = cdb[3];
    bool all = page == SCSI_PAGE_ALL, values = cdb[2] >> 6 != PAGE_CHANGEABLE;
    size_t bytes = 0;
    if (subpage != 0 && subpage != 0xff) /* 0xff: with all subpages, of which there are none */
        return 0;
    if (all || page == SCSI_PAGE_CACHING)
        bytes += caching_page(out + bytes, values);
    if (all || page == SCSI_PAGE_CONTROL)
        bytes += control_page(out + bytes, values);
    return bytes;
}

void scsi_mode_sense(struct scsi_task *task)
{
    const uint8_t *cdb = task->cdb;
    bool ten = cdb[0] == SCSI_MODE_SENSE_10;
    size_t head = ten ? 8 : 4;
    uint8_t reply[REPLY_MAX] = {0};
    size_t pages = mode_pages(cdb, reply + head);
    if (pages == 0 || cdb[2] >> 6 == PAGE_SAVED) {
        scsi_task_check(task, pages == 0 ? SCSI_INVALID_FIELD_IN_CDB : SCSI_SAVING_NOT_SUPPORTED);
        return;
    }
    /* WP, and DPOFUA: the FUA bit of WRITE counts. There is no block descriptor. */
    uint8_t specific = (uint8_t)(0x10 | (task->disk->backend->info.read_only ? 0x80 : 0));
    if (ten)
        be16_put(reply, (uint16_t)(head + pages - 2));
    else
        reply[0] = (uint8_t)(head + pages - 1);
    reply[ten ? 3 : 2] = specific;
    if (!scsi_task_wants_in(task, ten ? be16_get(cdb + 7) : cdb[4]))
        return;
    scsi_task_put(task, reply, head + pages);
    scsi_task_good(task);
}

/* ---- READ CAPACITY, SBC-3 5.15 and 5.16 ---- */

static uint64_t last_lba(const struct scsi_disk *disk)
{
    uint64_t blocks = scsi_disk_blocks(disk);
    return blocks > 0 ? blocks - 1 : 0;
}

void scsi_read_capacity_10(struct scsi_task *task)
{
    uint8_t reply[8];
    if (!scsi_task_wants_in(task, sizeof(reply)))
        return;
    /* All ones: ask READ CAPACITY 16. */
    be32_put(reply, (uint32_t)min_u64(last_lba(task->disk), UINT32_MAX));
    be32_put(reply + 4, scsi_block_bytes(task->disk));
    scsi_task_put(task, reply, sizeof(reply));
    scsi_task_good(task);
}

void scsi_service_action_in_16(struct scsi_task *task)
{
    uint8_t reply[32] = {0};
    if ((task->cdb[1] & 0x1f) != SCSI_SAI_READ_CAPACITY_16) {
        scsi_task_check(task, SCSI_INVALID_FIELD_IN_CDB);
        return;
    }
    if (!scsi_task_wants_in(task, be32_get(task->cdb + 10)))
        return;
    uint32_t block = scsi_block_bytes(task->disk);
    uint64_t physical = max_u64(task->disk->backend->info.physical_bytes / block, 1);
    be64_put(reply, last_lba(task->disk));
    be32_put(reply + 8, block);
    reply[13] = (uint8_t)min_u64((unsigned)__builtin_ctzll(physical), 15);
    /* LBPME. Not LBPRZ: what a backend has discarded reads as anything. */
    reply[14] = scsi_disk_can_discard(task->disk) ? 0x80 : 0;
    scsi_task_put(task, reply, sizeof(reply));
    scsi_task_good(task);
}
