// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "devices/disk/blk_file_impl.h"

int blk_spare_open(struct blk_file **out, const struct blk_file_config *config)
{
    struct blk_file *f = blk_file_new(NULL, config->path);
    if (f == NULL)
        return fail(-ENOMEM, "disk %s", config->path);
    int err = blk_file_open(f, config);
    if (err < 0)
        blk_file_free(f);
    else
        *out = f;
    return err;
}

int blk_spare_close(struct blk_file *spare)
{
    int err = 0;
    if (spare == NULL)
        return 0;
    if (!spare->b.info.read_only && !spare->unsafe && fdatasync(spare->fd) < 0)
        err = -errno;
    else if (atomic_load(&spare->flush_failed)) /* which the host says once */
        err = -EIO;
    if (err < 0)
        log_warn("disk %s: flush: %s; data may be lost", spare->name, strerror(-err));
    blk_file_free(spare);
    return err;
}

static int check(const struct blk_file *f, const struct blk_file *spare)
{
    const struct blk_info *is = &f->b.info, *comes = &spare->b.info;
    if (comes->read_only != is->read_only || spare->unsafe != f->unsafe ||
        blk_logical_bytes(comes) != blk_logical_bytes(is))
        return -EINVAL;
    return is->can_discard && !comes->can_discard ? -EOPNOTSUPP : 0;
}

static void trade(void *a, void *b, size_t bytes)
{
    uint8_t was[sizeof(void *)];
    memcpy(was, a, bytes);
    memcpy(a, b, bytes);
    memcpy(b, was, bytes);
}

#define TRADE(member)                                                                          \
    do {                                                                                       \
        _Static_assert(sizeof(f->member) <= sizeof(void *), "trade() has room for a pointer"); \
        trade(&f->member, &spare->member, sizeof(f->member));                                  \
    } while (0)

int blk_spare_exchange(struct blk_backend *disk, struct blk_file *spare)
{
    struct blk_file *f = container_of(disk, struct blk_file, b);
    int err = check(f, spare);
    if (err == 0 && !blk_file_is_home(f))
        err = -EAGAIN;
    if (err < 0)
        return err;
    TRADE(name);
    TRADE(fd);
    TRADE(direct_fd);
    TRADE(direct_memory);
    TRADE(direct_bytes);
    TRADE(is_device);
    TRADE(in_memory);
    atomic_store(&f->error_told, false);
    atomic_store(&spare->flush_failed, atomic_exchange(&f->flush_failed, false));
    blk_set_capacity(&f->b, spare->b.info.capacity_bytes);
    return 0;
}
