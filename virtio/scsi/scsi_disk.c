// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/scsi/scsi_disk.h"

#include <errno.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "virtio/scsi/scsi_disk_impl.h"

/* Byte 1 of many CDBs. */
#define CDB_PROTECT 0xe0u /* RDPROTECT, WRPROTECT, VRPROTECT: no disk here has protection data */
#define CDB_FUA     0x08u
#define CDB_ANCHOR  0x10u
#define CDB_NDOB    0x01u
#define CDB_BYTCHK  0x06u

/* ---- the end ---- */

void scsi_task_good(struct scsi_task *task)
{
    task->ops->done(task);
}

void scsi_task_check(struct scsi_task *task, unsigned sense)
{
    task->status = SCSI_CHECK_CONDITION;
    task->sense = sense;
    task->ops->done(task);
}

void scsi_sense_put(uint8_t out[SCSI_SENSE_BYTES], unsigned sense)
{
    memset(out, 0, SCSI_SENSE_BYTES);
    out[0] = 0x70; /* current, fixed format */
    out[2] = (uint8_t)(sense >> 16);
    out[7] = SCSI_SENSE_BYTES - 8; /* what follows */
    out[12] = (uint8_t)(sense >> 8);
    out[13] = (uint8_t)sense;
}

static unsigned sense_of(const struct scsi_task *task, int result)
{
    switch (result) {
    case -ENOSPC:
    case -EDQUOT:
        return SCSI_SPACE_ALLOCATION_FAILED;
    case -EROFS:
        return SCSI_WRITE_PROTECTED;
    case -EOPNOTSUPP:
        return SCSI_INVALID_OPERATION_CODE;
    case -ERANGE:
        return SCSI_LBA_OUT_OF_RANGE;
    default:
        return task->steps.req.op == BLK_READ ? SCSI_UNRECOVERED_READ_ERROR : SCSI_WRITE_ERROR;
    }
}

/* ---- data ---- */

static void overrun(struct scsi_task *task)
{
    task->end = SCSI_END_OVERRUN;
    task->ops->done(task);
}

bool scsi_task_wants_in(struct scsi_task *task, uint64_t bytes)
{
    task->reply_left = bytes;
    if (bytes > task->in->left)
        overrun(task);
    return task->end != SCSI_END_OVERRUN;
}

bool scsi_task_wants_out(struct scsi_task *task, uint64_t bytes)
{
    if (bytes > task->out->left)
        overrun(task);
    return task->end != SCSI_END_OVERRUN;
}

void scsi_task_put(struct scsi_task *task, const void *data, size_t bytes)
{
    size_t put = iobuf_put(task->in, data, (size_t)min_u64(bytes, task->reply_left));
    task->reply_left -= put;
    task->moved += put;
}

/* ---- steps ---- */

void scsi_task_failed(struct blk_steps *s, int err)
{
    struct scsi_task *task = container_of(s, struct scsi_task, steps);
    if (err != -ECANCELED) {
        scsi_task_check(task, sense_of(task, err));
        return;
    }
    task->end = SCSI_END_DROPPED;
    task->ops->done(task);
}

void scsi_task_step_done(struct blk_req *req, int result)
{
    struct scsi_task *task = container_of(req, struct scsi_task, steps.req);
    if (blk_steps_next(&task->steps, result))
        return;
    task->moved += task->steps.moved;
    if (result != 0)
        scsi_task_check(task, sense_of(task, result));
    else
        scsi_task_good(task);
}

/* ---- the medium's commands ---- */

/* Where a CDB says which blocks, and how many. */
static uint64_t cdb_lba(const uint8_t *cdb)
{
    switch (cdb[0] >> 5) {
    case 0:
        return (be32_get(cdb) & 0x1fffff);
    case 4:
        return be64_get(cdb + 2);
    default:
        return be32_get(cdb + 2);
    }
}

static uint64_t cdb_blocks(const uint8_t *cdb)
{
    switch (cdb[0] >> 5) {
    case 0:
        return cdb[4] != 0 ? cdb[4] : 256;
    case 4:
        return be32_get(cdb + 10);
    case 5:
        return be32_get(cdb + 6);
    default:
        return be16_get(cdb + 7);
    }
}

/* False: the range is not on the disk, and the task has ended. */
static bool range_is_there(struct scsi_task *task, uint64_t lba, uint64_t blocks)
{
    bool is_there = range_within(lba, blocks, 0, scsi_disk_blocks(task->disk));
    if (!is_there)
        scsi_task_check(task, SCSI_LBA_OUT_OF_RANGE);
    return is_there;
}

/* READ and WRITE. READ 6 and WRITE 6 have address bits where the others have flags. */
static void transfer(struct scsi_task *task, enum blk_op op, struct iobuf *data)
{
    const uint8_t *cdb = task->cdb;
    uint64_t lba = cdb_lba(cdb), blocks = cdb_blocks(cdb);
    uint64_t bytes = blocks * scsi_block_bytes(task->disk);
    uint8_t flags = cdb[0] >> 5 == 0 ? 0 : cdb[1];
    if (flags & CDB_PROTECT) {
        scsi_task_check(task, SCSI_INVALID_FIELD_IN_CDB);
        return;
    }
    if (!range_is_there(task, lba, blocks))
        return;
    if (op == BLK_READ ? !scsi_task_wants_in(task, bytes) : !scsi_task_wants_out(task, bytes))
        return;
    if (bytes == 0) {
        scsi_task_good(task);
        return;
    }
    task->steps.flush_after = op == BLK_WRITE && (flags & CDB_FUA) != 0;
    blk_steps_transfer(&task->steps, op, lba * scsi_block_bytes(task->disk), bytes, data);
}

static void read_blocks(struct scsi_task *task)
{
    transfer(task, BLK_READ, task->in);
}

static void write_blocks(struct scsi_task *task)
{
    transfer(task, BLK_WRITE, task->out);
}

/* The medium is not read: an error of the medium shows at the next READ. */
static void verify(struct scsi_task *task)
{
    if (task->cdb[1] & (CDB_PROTECT | CDB_BYTCHK))
        scsi_task_check(task, SCSI_INVALID_FIELD_IN_CDB);
    else if (range_is_there(task, cdb_lba(task->cdb), cdb_blocks(task->cdb)))
        scsi_task_good(task);
}

/* All of the cache, whatever range was asked for. */
static void synchronize_cache(struct scsi_task *task)
{
    if (!range_is_there(task, cdb_lba(task->cdb), cdb_blocks(task->cdb)))
        return;
    blk_steps_flush(&task->steps);
}

static void start_ranges(struct scsi_task *task, enum blk_op op)
{
    if (task->steps.range_count > 0)
        blk_steps_ranges(&task->steps, op);
    else
        scsi_task_good(task);
}

static void add_range(struct scsi_task *task, uint64_t lba, uint64_t blocks, bool may_unmap)
{
    task->steps.ranges[task->steps.range_count++] = (struct blk_range){
        .offset_bytes = lba * scsi_block_bytes(task->disk),
        .bytes = blocks * scsi_block_bytes(task->disk),
        .may_unmap = may_unmap,
    };
}

/*
 * Copies the descriptors of an UNMAP and checks them: all of them first, so that a command which is
 * wrong does nothing. Returns the sense. The lengths inside count for no more than the CDB's.
 */
static unsigned take_unmap_list(struct scsi_task *task, uint64_t bytes)
{
    uint8_t head[8], raw[16];
    uint64_t capacity = scsi_disk_blocks(task->disk);
    iobuf_get(task->out, head, sizeof(head));
    uint64_t listed = min_u64(be16_get(head + 2), bytes - sizeof(head));
    if (listed / sizeof(raw) > BLK_RANGES_MAX)
        return SCSI_INVALID_FIELD_IN_PARAMETERS;
    for (; listed >= sizeof(raw); listed -= sizeof(raw)) {
        iobuf_get(task->out, raw, sizeof(raw));
        uint64_t lba = be64_get(raw);
        uint32_t blocks = be32_get(raw + 8);
        if (!range_within(lba, blocks, 0, capacity))
            return SCSI_LBA_OUT_OF_RANGE;
        if (blocks > scsi_range_max_blocks(task->disk))
            return SCSI_INVALID_FIELD_IN_PARAMETERS;
        if (blocks > 0)
            add_range(task, lba, blocks, false);
    }
    return SCSI_NO_SENSE;
}

static void unmap(struct scsi_task *task)
{
    uint64_t bytes = be16_get(task->cdb + 7);
    if (!scsi_disk_can_discard(task->disk)) {
        scsi_task_check(task, SCSI_INVALID_OPERATION_CODE);
        return;
    }
    if (task->cdb[1] != 0) { /* ANCHOR */
        scsi_task_check(task, SCSI_INVALID_FIELD_IN_CDB);
        return;
    }
    if (!scsi_task_wants_out(task, bytes))
        return;
    unsigned sense = SCSI_NO_SENSE;
    if (bytes > 0)
        sense = bytes < 8 ? SCSI_PARAMETER_LIST_LENGTH_ERROR : take_unmap_list(task, bytes);
    task->moved = bytes;
    if (sense != SCSI_NO_SENSE)
        scsi_task_check(task, sense);
    else
        start_ranges(task, BLK_DISCARD);
}

/* The block that is to be written everywhere: is it zeroes? */
static bool block_is_zero(struct scsi_task *task)
{
    static const uint8_t zeroes[BLK_SECTOR_BYTES];
    uint8_t piece[BLK_SECTOR_BYTES];
    bool zero = true;
    for (; task->moved < scsi_block_bytes(task->disk); task->moved += sizeof(piece)) {
        iobuf_get(task->out, piece, sizeof(piece));
        zero = zero && memcmp(piece, zeroes, sizeof(piece)) == 0;
    }
    return zero;
}

static void write_same(struct scsi_task *task)
{
    const uint8_t *cdb = task->cdb;
    uint64_t lba = cdb_lba(cdb), blocks = cdb_blocks(cdb);
    /* Bit 0 is something else, and obsolete, in WRITE SAME 10. */
    bool no_data = cdb[0] == SCSI_WRITE_SAME_16 && (cdb[1] & CDB_NDOB) != 0;
    bool unmaps = (cdb[1] & 0x08) != 0;
    if (!scsi_disk_can_zero(task->disk)) {
        scsi_task_check(task, SCSI_INVALID_OPERATION_CODE);
        return;
    }
    if ((cdb[1] & (CDB_PROTECT | CDB_ANCHOR)) || blocks == 0 ||
        blocks > scsi_range_max_blocks(task->disk)) {
        scsi_task_check(task, SCSI_INVALID_FIELD_IN_CDB);
        return;
    }
    if (!range_is_there(task, lba, blocks))
        return;
    if (!no_data && !scsi_task_wants_out(task, scsi_block_bytes(task->disk)))
        return;
    if (!no_data && !block_is_zero(task)) {
        scsi_task_check(task, SCSI_INVALID_FIELD_IN_CDB);
        return;
    }
    add_range(task, lba, blocks, unmaps);
    start_ranges(task, BLK_ZERO);
}

/* ---- in ---- */

enum {
    ANY_UNIT = 1,   /* works on a unit that is not there, and with a unit attention pending */
    WELL_KNOWN = 2, /* works on the well-known unit */
    CHANGES = 4,    /* not on a disk that is read alone */
};

static const struct scsi_command {
    uint8_t opcode;
    uint8_t flags;
    void (*run)(struct scsi_task *task);
} commands[] = {
    {SCSI_READ_10, 0, read_blocks},
    {SCSI_WRITE_10, CHANGES, write_blocks},
    {SCSI_READ_16, 0, read_blocks},
    {SCSI_WRITE_16, CHANGES, write_blocks},
    {SCSI_SYNCHRONIZE_CACHE_10, 0, synchronize_cache},
    {SCSI_SYNCHRONIZE_CACHE_16, 0, synchronize_cache},
    {SCSI_UNMAP, CHANGES, unmap},
    {SCSI_WRITE_SAME_10, CHANGES, write_same},
    {SCSI_WRITE_SAME_16, CHANGES, write_same},
    {SCSI_READ_6, 0, read_blocks},
    {SCSI_WRITE_6, CHANGES, write_blocks},
    {SCSI_READ_12, 0, read_blocks},
    {SCSI_WRITE_12, CHANGES, write_blocks},
    {SCSI_VERIFY_10, 0, verify},
    {SCSI_VERIFY_16, 0, verify},
    {SCSI_TEST_UNIT_READY, WELL_KNOWN, scsi_task_good},
    {SCSI_START_STOP_UNIT, 0, scsi_task_good},
    {SCSI_INQUIRY, ANY_UNIT | WELL_KNOWN, scsi_inquiry},
    {SCSI_REQUEST_SENSE, ANY_UNIT | WELL_KNOWN, scsi_request_sense},
    {SCSI_REPORT_LUNS, ANY_UNIT | WELL_KNOWN, scsi_report_luns},
    {SCSI_MODE_SENSE_6, 0, scsi_mode_sense},
    {SCSI_MODE_SENSE_10, 0, scsi_mode_sense},
    {SCSI_READ_CAPACITY_10, 0, scsi_read_capacity_10},
    {SCSI_SERVICE_ACTION_IN_16, 0, scsi_service_action_in_16},
};

static const struct scsi_command *find_command(uint8_t opcode)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        if (commands[i].opcode == opcode)
            return &commands[i];
    }
    return NULL;
}

/* The operation code's group says how long a command is. */
static unsigned cdb_length(uint8_t opcode)
{
    static const uint8_t lengths[8] = {6, 10, 10, 0, 16, 12, 0, 0};
    return lengths[opcode >> 5];
}

/* Is there something about the unit that comes before the command? */
static unsigned unit_says(struct scsi_task *task, const struct scsi_command *command)
{
    unsigned flags = command != NULL ? command->flags : 0;
    if (task->unit == SCSI_UNIT_ABSENT)
        return flags & ANY_UNIT ? SCSI_NO_SENSE : SCSI_LUN_NOT_SUPPORTED;
    if (task->unit == SCSI_UNIT_WELL_KNOWN)
        return flags & WELL_KNOWN ? SCSI_NO_SENSE : SCSI_INVALID_OPERATION_CODE;
    if (task->disk->attention == 0 || (flags & ANY_UNIT))
        return SCSI_NO_SENSE;
    unsigned sense = task->disk->attention;
    task->disk->attention = 0;
    return sense;
}

void scsi_task_start(struct scsi_task *task)
{
    const struct scsi_command *command = find_command(task->cdb[0]);
    task->end = SCSI_END_STATUS;
    task->status = SCSI_GOOD;
    task->moved = 0;
    unsigned sense = unit_says(task, command);
    if (sense == SCSI_NO_SENSE && (command == NULL || task->cdb_bytes == 0))
        sense = SCSI_INVALID_OPERATION_CODE;
    else if (sense == SCSI_NO_SENSE && task->cdb_bytes < cdb_length(task->cdb[0]))
        sense = SCSI_INVALID_FIELD_IN_CDB;
    else if (sense == SCSI_NO_SENSE && (command->flags & CHANGES) &&
             task->disk->backend->info.read_only)
        sense = SCSI_WRITE_PROTECTED;
    task->sense = SCSI_NO_SENSE;
    if (sense != SCSI_NO_SENSE)
        scsi_task_check(task, sense);
    else
        command->run(task);
}
