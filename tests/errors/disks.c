// SPDX-License-Identifier: BSD-2-Clause
/* Disks on a host that refuses. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "devices/backend/bucket.h"
#include "devices/disk/blk_file.h"
#include "devices/disk/blk_null.h"
#include "devices/disk/blk_overlay.h"
#include "devices/disk/filter/blk_fault.h"
#include "devices/disk/filter/blk_limit.h"
#include "tests/errors/refuse.h"
#include "tests/harness/blk_mem.h"
#include "tests/harness/blkio.h"

#define DISK_BYTES (256 * KIB)

static struct evloop *loop;
static char path[64];
static _Alignas(4096) uint8_t data[16 * KIB];
static struct blk_file_config file_config;

static int open_loop(void)
{
    return evloop_create(&loop, "test", &clock_host);
}

/* Whether they succeed is the host's affair; that they end, once, is checked by blkio. */
static void use(struct blk_backend *disk)
{
    blkio_run(loop, disk, BLK_WRITE, 4096, data, sizeof(data));
    blkio_run(loop, disk, BLK_READ, 4096, data, sizeof(data));
    blkio_run(loop, disk, BLK_WRITE, 512, data + 1, 1024);
    blkio_run(loop, disk, BLK_READ, 512, data + 1, 1024);
    blkio_run(loop, disk, BLK_ZERO, 8192, NULL, 16384);
    blkio_run(loop, disk, BLK_DISCARD, 0, NULL, 65536);
    blkio_run(loop, disk, BLK_FLUSH, 0, NULL, 0);
}

/* A disk that `create` makes, after `before`: on top of `base`, if that makes one. */
#define SCENE(scene, before, create)                   \
    static int scene(void)                             \
    {                                                  \
        struct blk_backend *disk = NULL, *base = NULL; \
        cr_assert_eq(open_loop(), 0);                  \
        before;                                        \
        refuse_begin();                                \
        int err = create;                              \
        if (err != 0 && base != NULL)                  \
            base->ops->destroy(base);                  \
        if (err == 0) {                                \
            use(disk);                                 \
            disk->ops->destroy(disk);                  \
        }                                              \
        refuse_end();                                  \
        evloop_destroy(loop);                          \
        return err;                                    \
    }

/* ---- files ---- */

SCENE(file, file_config.loop = loop, blk_file_create(&disk, &file_config))

/* A view of the file that is there, or its growth. */
static int file_later(bool grows)
{
    struct blk_backend *disk = NULL, *view = NULL;
    cr_assert_eq(open_loop(), 0);
    file_config.loop = loop;
    cr_assert_eq(blk_file_create(&disk, &file_config), 0);
    refuse_begin();
    int err = grows ? blk_file_resize(disk, 2 * DISK_BYTES) : disk->ops->view(disk, loop, &view);
    if (view != NULL) {
        use(view);
        view->ops->destroy(view);
    }
    refuse_end();
    disk->ops->destroy(disk);
    cr_assert_eq(truncate(path, DISK_BYTES), 0);
    evloop_destroy(loop);
    return err;
}

static int file_with_view(void)
{
    return file_later(false);
}

static int file_grows(void)
{
    return file_later(true);
}

static void on_file(const char *dir, const struct blk_file_config *config, int (*scene)(void))
{
    snprintf(path, sizeof(path), "%s/minivet-errors-XXXXXX", dir);
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, DISK_BYTES), 0);
    close(fd);
    file_config = *config;
    file_config.path = path;
    refuse_each(scene);
    unlink(path);
}

/* More arguments are of the configuration. */
#define OnFile(name, dir, scene, ...)                                \
    Test(errors, name)                                               \
    {                                                                \
        on_file(dir, &(struct blk_file_config){__VA_ARGS__}, scene); \
    }                                                                \
    struct blk_file_config /* for the semicolon */

OnFile(file, "/var/tmp", file, .cache = BLK_FILE_CACHE_WRITEBACK);
OnFile(file_past_the_page_cache, "/var/tmp", file, .cache = BLK_FILE_CACHE_NONE);
OnFile(file_with_large_sectors, "/var/tmp", file, .cache = BLK_FILE_CACHE_NONE,
       .sector_bytes = 4096);
OnFile(file_to_read, "/var/tmp", file, .cache = BLK_FILE_CACHE_WRITEBACK, .read_only = true);
OnFile(file_in_memory, "/dev/shm", file, .cache = BLK_FILE_CACHE_UNSAFE);
OnFile(view_of_a_file, "/var/tmp", file_with_view, .cache = BLK_FILE_CACHE_NONE);
OnFile(file_that_grows, "/var/tmp", file_grows, .path = path);

Test(errors, file_without_io_uring)
{
    setenv("MINIVET_NO_URING", "1", 1);
    on_file("/var/tmp", &(struct blk_file_config){.cache = BLK_FILE_CACHE_WRITEBACK}, file);
}

/* ---- others ---- */

static struct blk_backend *make_null(void)
{
    struct blk_backend *disk = NULL;
    cr_assert_eq(
        blk_null_create(&disk, &(struct blk_null_config){.loop = loop, .bytes = DISK_BYTES}), 0);
    return disk;
}

static int null_with_view(struct blk_backend **disk)
{
    struct blk_backend *view = NULL;
    int err = blk_null_create(disk, &(struct blk_null_config){.loop = loop, .bytes = DISK_BYTES});
    if (err == 0 && (*disk)->ops->view != NULL) {
        err = (*disk)->ops->view(*disk, loop, &view);
        if (err == 0)
            view->ops->destroy(view);
        else
            (*disk)->ops->destroy(*disk);
    }
    return err;
}

SCENE(scratch_disk, (void)0, blk_file_create_scratch(&disk, loop, DISK_BYTES))
SCENE(memory_disk, (void)0,
      blk_mem_create(&disk, &(struct blk_mem_config){.loop = loop, .bytes = DISK_BYTES}))
SCENE(null_disk, (void)0, null_with_view(&disk))
SCENE(overlay, base = make_null(),
      blk_overlay_create(&disk, &(struct blk_overlay_config){.loop = loop, .base = base}))
SCENE(limited_disk, base = disk = make_null(),
      blk_limit_create(&disk, loop, &clock_host,
                       &(struct budget_config){.count_per_s = 1000, .burst_ns = 1000000000}))
SCENE(faulty_disk, base = disk = make_null(),
      blk_fault_create(&disk, loop, &clock_host, &(struct blk_fault_spec){.cut = {.every = 2}}))

#define Each(scene)         \
    Test(errors, scene)     \
    {                       \
        refuse_each(scene); \
    }                       \
    struct blk_backend /* for the semicolon */

Each(scratch_disk);
Each(memory_disk);
Each(null_disk);
Each(overlay);
Each(limited_disk);
Each(faulty_disk);
