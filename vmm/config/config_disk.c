// SPDX-License-Identifier: BSD-2-Clause
/* --disk FILE,KEY,...: what stores the bytes, and how the guest sees it. */
#include <errno.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/block.h"
#include "devices/disk/filter/blk_fault.h"
#include "devices/disk/image/image_header.h"
#include "virtio/base/device.h"
#include "vmm/config/options.h"

/* A protocol of qemu's (nbd, ssh, fat ...) is none: those reach other files, and other hosts. */
static int set_format(void *into, const char *value)
{
    ((struct disk_config *)into)->format = value;
    return image_format_is_known(value) ? 0 : -EINVAL;
}

static int set_sector(void *into, const char *value)
{
    int word = schema_word("512|4096", value, strlen(value));
    ((struct disk_config *)into)->sector_bytes = word == 1 ? 4096 : BLK_SECTOR_BYTES;
    return word >= 0 ? 0 : -EINVAL;
}

#define AT(member) SCHEMA_AT(struct disk_config, member)

static const struct schema_key kinds[] = {
    /* enum disk_kind */
    {"file", "FILE", SCHEMA_FILE, AT(path), .min = 1, .expected = "a file name",
     .help = "An image or a block device"},
    {"null", "SIZE", SCHEMA_SIZE, AT(null_bytes), .min = BLK_SECTOR_BYTES, .sign = ":",
     .expected = "a size in whole sectors, such as 1G",
     .help = "A disk that stores nothing, for measuring"},
    {"vhost-user", "SOCKET", SCHEMA_FILE, AT(path), .min = 1, .expected = "a socket's name",
     .help = "The disk of a vhost-user-blk server"},
    {0},
};

static const struct schema_key keys[] = {
    {"ro", NULL, SCHEMA_SWITCH, AT(read_only), .help = "Read-only"},
    {"serial", "TEXT", SCHEMA_CHARS, AT(serial), .expected = "at most 20 bytes",
     .help = "The serial number that the guest sees; no other disk has the same"},
    {"type", "blk|scsi", SCHEMA_WORD, AT(scsi), .usual = "blk",
     .help = "scsi: behind a SCSI host of its own, as sda"},
    {"format", "raw|qcow2|vmdk|vdi|vhdx|...", SCHEMA_TEXT, .set = set_format, .usual = "raw",
     .expected = "one of " IMAGE_FORMATS,
     .help = "One of " IMAGE_FORMATS "; qemu-storage-daemon is started for all but raw"},
    {"backing", "on|off", SCHEMA_SWITCH, AT(backing), .usual = "off",
     .help = "on: the backing files that a qcow2 or qed image names are opened, read-only"},
    {"cache", "none|writeback|unsafe", SCHEMA_WORD, AT(cache), .usual = "none",
     .help = "Past the host's page cache where possible, through it, or through it and without "
             "flushes"},
    {"sector", "512|4096", SCHEMA_WORD, .set = set_sector, .usual = "512",
     .help = "Bytes in a logical block"},
    {"snapshot", "on|off", SCHEMA_SWITCH, AT(snapshot), .usual = "off",
     .help = "on: writes go to a file that is thrown away at the end"},
    {"queues", "N", SCHEMA_NUMBER, AT(queues), .min = 1, .max = VIRTIO_QUEUES_MAX,
     .usual = "one for each CPU", .help = "Queues, 1 to 64"},
    {"iops", "N", SCHEMA_NUMBER, AT(limits.count_per_s), .min = 1, .max = UINT32_MAX,
     .expected = "requests a second", .help = "Requests a second, at most"},
    {"bw", "SIZE", SCHEMA_SIZE, AT(limits.bytes_per_s), .min = 1, .max = INT64_MAX,
     .expected = "bytes a second, such as 100M", .help = "Bytes a second, at most"},
    {"burst", "TIME", SCHEMA_TIME, AT(limits.burst_ns), .usual = "100ms",
     .expected = "a time, such as 500ms", .help = "For how long unused ones of these are kept"},
    {"fault", "SPEC", SCHEMA_CHARS, AT(fault), .min = 1, .expected = "words such as eio:1%,lat:5ms",
     .help = "Let requests fail or wait, for tests of the guest: eio:1%,lat:5ms"},
    {0},
};

const struct schema_table config_disk_tables[] = {
    {.keys = kinds, .is_first = true},
    {.keys = keys},
    {.keys = config_virtio_keys, .base = offsetof(struct disk_config, virtio)},
    {0},
};

bool config_disk_is_served_elsewhere(const struct disk_config *disk)
{
    return disk->kind == DISK_VHOST_USER ||
           (disk->format != NULL && strcmp(disk->format, "raw") != 0);
}

int config_check_disk_threads(const struct disk_config *disk)
{
    const char *names = disk->virtio.iothread, *why = NULL;
    if (strchr(names, ':') == NULL || disk->queues < 2)
        return 0;
    if (config_disk_is_served_elsewhere(disk))
        why = "another process serves this disk's queues";
    else if (disk->scsi)
        why = "the queues of a SCSI host share its state";
    else if (disk->snapshot || disk->fault[0] != '\0' || budget_is_limited(&disk->limits))
        why = "snapshot, iops, bw and fault see all requests of a disk in one place";
    if (why == NULL)
        return 0;
    return fail_msg(-EINVAL, "--disk %s: iothread=%s: %s; name one thread", disk->path, names, why);
}

/* Conflicting options are reported before anything is opened. */
static int check(const struct disk_config *disk)
{
    struct blk_fault_spec spec;
    char what[512];
    snprintf(what, sizeof(what), "--disk %s", disk->path);
    bool elsewhere = config_disk_is_served_elsewhere(disk);
    if (!is_aligned(disk->null_bytes, BLK_SECTOR_BYTES))
        return fail_msg(-EINVAL, "%s: give a size in whole sectors, such as 1G", what);
    if (disk->kind != DISK_FILE && strcmp(disk->format, "raw") != 0)
        return fail_msg(-EINVAL, "%s: format=%s: is for images in files", what, disk->format);
    if (disk->backing && !image_format_has_backing(disk->format))
        return fail_msg(-EINVAL, "%s: backing: a %s image has no backing file", what, disk->format);
    if (disk->limits.burst_ns != 0 && !budget_is_limited(&disk->limits))
        return fail_msg(-EINVAL, "%s: burst: is for iops=N and bw=SIZE", what);
    if (elsewhere && (disk->snapshot || disk->sector_bytes != 0 ||
                      budget_is_limited(&disk->limits) || disk->fault[0] != '\0'))
        return fail_msg(-EINVAL,
                        "%s: sector, snapshot, iops, bw and fault are for raw images; another "
                        "process does this disk's work",
                        what);
    if (elsewhere && disk->scsi)
        return fail_msg(-EINVAL, "%s: type=scsi is for raw images", what);
    if (elsewhere && disk->serial[0] != '\0')
        return fail_msg(-EINVAL, "%s: serial: is what the other process says", what);
    return disk->fault[0] != '\0' ? blk_fault_parse(&spec, what, disk->fault) : 0;
}

int config_apply_disk(struct vm_config *c, const struct schema_key *option,
                      const struct cJSON *list)
{
    if (c->disk_count == CONFIG_MAX_DISKS)
        return fail_msg(-EINVAL, "--disk: at most %d disks", CONFIG_MAX_DISKS);
    struct disk_config *disk = &c->disks[c->disk_count++];
    *disk = (struct disk_config){.format = "raw"};
    int kind = config_take(option, disk, list);
    if (kind < 0)
        return kind;
    disk->kind = (enum disk_kind)kind;
    if (disk->kind == DISK_NULL)
        disk->path = config_list_name(c, option, list);
    int r = disk->path == NULL ? -ENOMEM : check(disk);
    if (disk->limits.burst_ns == 0)
        disk->limits.burst_ns = BUDGET_BURST_NS;
    return r;
}
