// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk: what stores its bytes (an image or nothing, and in front of it what keeps writes apart,
 * makes it slower, or makes it fail) and the device; or a server that does all the work.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/loop/cancel.h"
#include "core/output/facts.h"
#include "core/ports/block.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"
#include "devices/disk/blk_file.h"
#include "devices/disk/blk_null.h"
#include "devices/disk/blk_overlay.h"
#include "devices/disk/filter/blk_fault.h"
#include "devices/disk/filter/blk_limit.h"
#include "devices/disk/image/storage_daemon.h"
#include "virtio/blk/blk.h"
#include "virtio/blk/vhost_user_blk.h"
#include "virtio/scsi/scsi.h"
#include "vmm/config/config.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

_Static_assert((int)DISK_CACHE_NONE == BLK_FILE_CACHE_NONE &&
                   (int)DISK_CACHE_WRITEBACK == BLK_FILE_CACHE_WRITEBACK &&
                   (int)DISK_CACHE_UNSAFE == BLK_FILE_CACHE_UNSAFE,
               "the same words");

struct disk {
    struct blk_backend *backend;
    struct blk_backend *file; /* what is at its bottom, or NULL: no file of ours */
    bool has_views;           /* of it, for other loops */
    struct virtio_blk *blk;
    struct virtio_scsi *scsi;
    struct storage_daemon *daemon;
    struct vhost_user_device *vhost_user;
};

/* ---- what stores the bytes ---- */

static struct blk_file_config file_config(const struct disk_config *c, struct evloop *loop)
{
    return (struct blk_file_config){
        .path = c->path,
        .read_only = c->read_only || c->snapshot,
        .loop = loop,
        .cache = (enum blk_file_cache)c->cache,
        .sector_bytes = c->sector_bytes,
    };
}

static int create_base(struct blk_backend **out, const struct disk_config *c, struct evloop *loop)
{
    const struct blk_file_config file = file_config(c, loop);
    if (c->kind == DISK_NULL)
        return blk_null_create(out, &(struct blk_null_config){.loop = loop,
                                                              .bytes = c->null_bytes,
                                                              .sector_bytes = c->sector_bytes,
                                                              .read_only = c->read_only});
    return blk_file_create(out, &file);
}

static int add_overlay(struct blk_backend **b, struct evloop *loop)
{
    return blk_overlay_create(b, &(struct blk_overlay_config){.loop = loop, .base = *b});
}

static int add_fault(struct blk_backend **b, const struct disk_config *c, struct evloop *loop)
{
    struct blk_fault_spec spec;
    int r = blk_fault_parse(&spec, c->path, c->fault);
    return r < 0 ? r : blk_fault_create(b, loop, &clock_host, &spec);
}

static int create_backend(struct disk *own, const struct disk_config *c, struct evloop *loop,
                          struct tape *tape)
{
    struct blk_backend *b;
    if (tape != NULL && tape_is_replay(tape))
        return blk_taped_create(&own->backend, tape, c->path, NULL);
    int r = create_base(&b, c, loop);
    if (r < 0)
        return r;
    struct blk_backend *file = c->kind == DISK_FILE ? b : NULL;
    if (c->snapshot && !c->read_only)
        r = add_overlay(&b, loop);
    if (r == 0 && c->fault[0] != '\0')
        r = add_fault(&b, c, loop);
    if (r == 0 && budget_is_limited(&c->limits))
        r = blk_limit_create(&b, loop, &clock_host, &c->limits);
    if (r == 0 && tape != NULL)
        r = blk_taped_create(&b, tape, c->path, b);
    if (r < 0) {
        b->ops->destroy(b);
        return r;
    }
    own->backend = b;
    own->file = file;
    return 0;
}

/* ---- the device ---- */

/* A disk that a server knows how to read: the user's, or one that is started for its format. */
static int create_vhost_user(struct device_slot *s, const struct disk_config *c)
{
    struct disk *own = s->own;
    struct vhost_user_setup config = {
        .setup = device_slot_setup(s, c->path),
        .socket_path = c->path,
        .groups = c->queues,
        .cancel_fd = cancel_fd(s->cfg->cancel),
    };
    if (c->kind == DISK_FILE) {
        int r = storage_daemon_create(
            &own->daemon, &(struct storage_daemon_config){.name = c->path,
                                                          .path = c->path,
                                                          .format = c->format,
                                                          .read_only = c->read_only,
                                                          .backing = c->backing,
                                                          .direct = c->cache == DISK_CACHE_NONE,
                                                          .queues = c->queues,
                                                          .guest_bytes = s->cfg->vm->mem_bytes});
        if (r < 0)
            return r;
        config.connect = storage_daemon_connect_until;
        config.connect_ctx = own->daemon;
    }
    int r = vhost_user_blk_create(&own->vhost_user, &config);
    if (r == 0)
        s->dev = &own->vhost_user->dev;
    return r;
}

static int create_scsi(struct device_slot *s, const struct disk_config *c)
{
    struct disk *own = s->own;
    struct virtio_setup setup = device_slot_setup(s, c->path);
    struct virtio_scsi_config config = {
        .backends = &own->backend,
        .serials = (const char *const[]){c->serial[0] != '\0' ? c->serial : NULL},
        .count = 1,
        .queues = c->queues,
    };
    int r = virtio_scsi_create(&own->scsi, &setup, &config);
    if (r == 0)
        s->dev = virtio_scsi_device(own->scsi);
    return r;
}

static int create_blk(struct device_slot *s, const struct disk_config *c,
                      struct evloop *const *queue_loops)
{
    struct disk *own = s->own;
    struct virtio_setup setup = device_slot_setup(s, c->path);
    struct virtio_blk_config config = {
        .queue_loops = queue_loops,
        .backend = own->backend,
        .serial = c->serial,
        .queues = c->queues,
    };
    int r = virtio_blk_create(&own->blk, &setup, &config);
    if (r == 0)
        s->dev = virtio_blk_device(own->blk);
    return r;
}

static unsigned disk_count(const struct vm_config *vm)
{
    return vm->disk_count;
}

static int disk_create(struct device_slot *s, unsigned index)
{
    const struct disk_config *c = &s->cfg->vm->disks[index];
    struct disk *own = s->own = calloc(1, sizeof(*own));
    struct evloop *queue_loops[VIRTIO_QUEUES_MAX];
    if (own == NULL)
        return fail(-ENOMEM, "disk %s", c->path);
    int loops = device_slot_loops(s, &c->virtio, queue_loops, c->queues);
    if (loops < 0)
        return loops;
    if (config_disk_is_served_elsewhere(c))
        return create_vhost_user(s, c);
    int r = create_backend(own, c, s->loop, s->cfg->tape);
    if (r < 0)
        return r;
    own->has_views = loops > 1;
    return c->scsi ? create_scsi(s, c) : create_blk(s, c, loops > 1 ? queue_loops : NULL);
}

static void disk_destroy(void *own)
{
    struct disk *disk = own;
    if (disk->daemon != NULL)
        storage_daemon_cancel(disk->daemon);
    virtio_blk_destroy(disk->blk);
    virtio_scsi_destroy(disk->scsi);
    vhost_user_device_destroy(disk->vhost_user);
    storage_daemon_destroy(disk->daemon);
    if (disk->backend != NULL)
        disk->backend->ops->destroy(disk->backend);
    free(disk);
}

static int drain_backend(void *arg)
{
    struct blk_backend *backend = arg;
    backend->ops->drain(backend);
    return 0;
}

static void disk_drain(const struct device_slot *s)
{
    const struct disk *own = s->own;
    if (own->blk != NULL)
        virtio_blk_drain(own->blk);
    else if (own->backend != NULL)
        evloop_call(s->loop, drain_backend, own->backend);
}

struct resize_call {
    struct blk_backend *file;
    uint64_t bytes;
    bool is_done;
};

/* What is behind a smaller size would be lost. */
static int resize_file(void *arg)
{
    const struct resize_call *call = arg;
    if (call->bytes < call->file->info.capacity_bytes)
        return -ERANGE;
    if (!call->is_done)
        return blk_file_begin_resize(call->file, call->bytes);
    blk_file_end_resize(call->file, call->bytes);
    return 0;
}

static int disk_resize(const struct device_slot *s, uint64_t bytes, bool is_done)
{
    struct blk_backend *file = ((struct disk *)s->own)->file;
    return file == NULL
               ? -EOPNOTSUPP
               : evloop_call(s->loop, resize_file, &(struct resize_call){file, bytes, is_done});
}

static int disk_begin_swap(const struct device_slot *s, struct blk_file_config *out)
{
    const struct disk_config *c = &s->cfg->vm->disks[s->index];
    const struct disk *own = s->own;
    if (own->file == NULL)
        return -EOPNOTSUPP;
    if (c->snapshot && !c->read_only) /* the overlay's sectors are of this file */
        return -EPERM;
    *out = file_config(c, NULL);
    return own->has_views ? -EMLINK : 0;
}

struct swap_call {
    const struct device_slot *s;
    struct blk_file *spare;
};

/* The driver is told, in the way that its device has. */
static void tell_of_medium(const struct device_slot *s, bool is_told)
{
    struct disk *own = s->own;
    if (own->scsi != NULL)
        virtio_scsi_medium_changed(own->scsi, 0);
    else if (!is_told)
        virtio_device_config_changed(s->dev);
}

/* Between two looks its driver may reset the device, or queues, and start them anew. */
static int swap_file(void *arg)
{
    const struct swap_call *call = arg;
    struct virtio_device *dev = call->s->dev;
    struct blk_backend *file = ((struct disk *)call->s->own)->file;
    uint64_t bytes = file->info.capacity_bytes;
    virtio_device_hold(dev);
    if (call->spare != NULL && !virtio_device_is_idle(dev))
        return -EAGAIN;
    virtio_device_release(dev); /* events take chains at once, requests come later */
    if (call->spare == NULL)
        return 0;
    int r = blk_spare_exchange(file, call->spare);
    if (r == 0)
        tell_of_medium(call->s, file->info.capacity_bytes != bytes);
    return r;
}

static int disk_swap(const struct device_slot *s, struct blk_file *spare)
{
    struct blk_file_config config;
    int r = disk_begin_swap(s, &config); /* there may be another machine by now */
    return r < 0 ? r : evloop_call(s->loop, swap_file, &(struct swap_call){s, spare});
}

static void disk_describe(const struct device_slot *s, struct facts *f)
{
    static const char *const kinds[] = {
        [DISK_FILE] = "file", [DISK_NULL] = "null", [DISK_VHOST_USER] = "vhost-user"};
    static const char *const caches[] = {[DISK_CACHE_NONE] = "none",
                                         [DISK_CACHE_WRITEBACK] = "writeback",
                                         [DISK_CACHE_UNSAFE] = "unsafe"};
    const struct disk_config *c = &s->cfg->vm->disks[s->index];
    facts_word(f, "kind", kinds[c->kind]);
    if (c->kind == DISK_FILE) {
        facts_word(f, "file", c->path);
        facts_word(f, "format", c->format);
        facts_word(f, "cache", caches[c->cache]);
        facts_flag(f, "read_only", c->read_only);
        facts_flag(f, "snapshot", c->snapshot);
    }
    facts_flag(f, "served_elsewhere", config_disk_is_served_elsewhere(c));
}

const struct device_kind disk_kind = {
    .count = disk_count,
    .create = disk_create,
    .destroy = disk_destroy,
    .drain = disk_drain,
    .describe = disk_describe,
    .resize = disk_resize,
    .begin_swap = disk_begin_swap,
    .swap = disk_swap,
};
