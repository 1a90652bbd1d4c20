// SPDX-License-Identifier: BSD-2-Clause
/* --disk FILE,KEY,...: what stores the bytes, and how the guest sees it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/block.h"
#include "devices/disk/filter/blk_fault.h"
#include "devices/disk/image/image_header.h"
#include "virtio/base/device.h"
#include "vmm/config/config.h"
#include "vmm/config/config_words.h"

static const char *const caches[] = {"none", "writeback", "unsafe", NULL};
static const char *const sectors[] = {"512", "4096", NULL};
static const char *const types[] = {"blk", "scsi", NULL};

static int set_serial(void *into, const char *value)
{
    struct disk_config *disk = into;
    if (strlen(value) >= sizeof(disk->serial))
        return -EINVAL;
    memcpy(disk->serial, value, strlen(value) + 1);
    return 0;
}

/* A protocol of qemu's (nbd, ssh, fat ...) is none: those reach other files, and other hosts. */
static int set_format(void *into, const char *value)
{
    struct disk_config *disk = into;
    disk->format = value;
    return image_format_is_known(value) ? 0 : -EINVAL;
}

static int set_sector(void *into, const char *value)
{
    struct disk_config *disk = into;
    int word = config_word(sectors, value);
    disk->sector_bytes = word == 1 ? 4096 : BLK_SECTOR_BYTES;
    return word >= 0 ? 0 : -EINVAL;
}

static int set_fault(void *into, const char *value)
{
    struct disk_config *disk = into;
    return value[0] != '\0' ? config_add_words(disk->fault, sizeof(disk->fault), value) : -EINVAL;
}

#define KEY(name, expected, member, words, min, max) \
    CONFIG_KEY(name, expected, struct disk_config, member, words, min, max)

static const struct config_key keys[] = {
    CONFIG_SWITCH("ro", struct disk_config, read_only),
    {"serial", "at most 20 bytes", .set = set_serial},
    KEY("type", "blk or scsi", scsi, types, 0, 0),
    {"format", "one of " IMAGE_FORMATS, .set = set_format},
    CONFIG_SWITCH("backing", struct disk_config, backing),
    KEY("cache", "none, writeback or unsafe", cache, caches, DISK_CACHE_NONE, 0),
    {"sector", "512 or 4096", .set = set_sector},
    CONFIG_SWITCH("snapshot", struct disk_config, snapshot),
    KEY("queues", "a number from 1 to 64", queues, NULL, 1, VIRTIO_QUEUES_MAX),
    KEY("iops", "requests a second", iops, NULL, 1, UINT32_MAX),
    KEY("bw", "bytes a second, such as 100M", bytes_per_s, NULL, 1, INT64_MAX),
    KEY("burst", "a time, such as 500ms", burst_ns, NULL, 0, 0),
    {"fault", "words such as eio:1%,lat:5ms", .set = set_fault},
};

static int set_key(struct disk_config *disk, const char *key)
{
    char what[512];
    snprintf(what, sizeof(what), "--disk %s", disk->path);
    if (strcmp(key, "ro") == 0) {
        disk->read_only = true;
        return 0;
    }
    int r = config_key(keys, ARRAY_SIZE(keys), disk, key, what);
    if (r == 0)
        r = config_virtio_key(&disk->virtio, key, what);
    /* "fault=eio:1%,lat:5ms" comes in two items: a word with a colon goes on with it. */
    if (r == 0 && disk->fault[0] != '\0' && strchr(key, ':') != NULL)
        r = set_fault(disk, key) == 0;
    if (r != 0)
        return r < 0 ? r : 0;
    return config_unknown_key(what, key, CONFIG_DISK_KEYS);
}

/* FILE, or one of the two that are none. */
static int set_name(struct disk_config *disk, char *name)
{
    const char *socket = config_value_of(name, "vhost-user");
    const char *file = config_value_of(name, "file");
    if (file == NULL)
        file = config_value_of(name, "path");
    if (file != NULL)
        return fail_msg(-EINVAL, "--disk %s: say --disk %s, the name comes first", name, file);
    if (socket != NULL) {
        disk->kind = DISK_VHOST_USER;
        memmove(name, socket, strlen(socket) + 1);
    } else if (strncmp(name, "null:", 5) == 0) {
        disk->kind = DISK_NULL;
        if (config_parse_size(name + 5, 1, &disk->null_bytes) < 0 || disk->null_bytes == 0 ||
            !is_aligned(disk->null_bytes, BLK_SECTOR_BYTES))
            return fail_msg(-EINVAL, "--disk %s: give a size in whole sectors, such as null:1G",
                            name);
    }
    if (name[0] != '\0')
        return 0;
    return fail_msg(-EINVAL, "--disk %s: no file name",
                    disk->kind == DISK_VHOST_USER ? "vhost-user=" : "");
}

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
    else if (disk->snapshot || disk->fault[0] != '\0' || disk->iops != 0 || disk->bytes_per_s != 0)
        why = "snapshot, iops, bw and fault see all requests of a disk in one place";
    if (why == NULL)
        return 0;
    return fail_msg(-EINVAL, "--disk %s: iothread=%s: %s; name one thread", disk->path, names, why);
}

/* What does not go together is told before anything is opened. */
static int check(const struct disk_config *disk)
{
    struct blk_fault_spec spec;
    char what[512];
    snprintf(what, sizeof(what), "--disk %s", disk->path);
    bool elsewhere = config_disk_is_served_elsewhere(disk);
    if (disk->kind != DISK_FILE && strcmp(disk->format, "raw") != 0)
        return fail_msg(-EINVAL, "%s: format=%s: is for images in files", what, disk->format);
    if (disk->backing && !image_format_has_backing(disk->format))
        return fail_msg(-EINVAL, "%s: backing: a %s image has no backing file", what, disk->format);
    if (disk->burst_ns != 0 && disk->iops == 0 && disk->bytes_per_s == 0)
        return fail_msg(-EINVAL, "%s: burst: is for iops=N and bw=SIZE", what);
    if (elsewhere && (disk->snapshot || disk->sector_bytes != 0 || disk->iops != 0 ||
                      disk->bytes_per_s != 0 || disk->fault[0] != '\0'))
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

int config_set_disk(struct vm_config *c, const char *value)
{
    if (c->disk_count == CONFIG_MAX_DISKS)
        return fail_msg(-EINVAL, "--disk %s: at most %d disks", value, CONFIG_MAX_DISKS);
    struct disk_config *disk = &c->disks[c->disk_count];
    *disk = (struct disk_config){.path = strdup(value), .format = "raw"};
    if (disk->path == NULL)
        return fail(-ENOMEM, "--disk %s", value);
    c->disk_count++;
    char *rest = disk->path;
    int r = set_name(disk, config_next_item(&rest));
    if (r == 0 && rest != NULL)
        r = config_check_twice("--disk", rest);
    for (const char *key = config_next_item(&rest); key != NULL && r == 0;
         key = config_next_item(&rest))
        r = set_key(disk, key);
    return r == 0 ? check(disk) : r;
}

int config_snapshot_disks(struct vm_config *c)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < c->disk_count; i++) {
        c->disks[i].snapshot = true;
        r = check(&c->disks[i]);
    }
    return r;
}
