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

static void open_loop(void)
{
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
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

static int end(struct blk_backend *disk, int err)
{
    if (err == 0) {
        use(disk);
        disk->ops->destroy(disk);
    }
    refuse_end();
    evloop_destroy(loop);
    return err;
}

/* ---- files ---- */

static int file(void)
{
    struct blk_backend *disk = NULL;
    open_loop();
    refuse_begin();
    file_config.loop = loop;
    int err = blk_file_create(&disk, &file_config);
    return end(disk, err);
}

static int file_with_view(void)
{
    struct blk_backend *disk = NULL, *view = NULL;
    open_loop();
    file_config.loop = loop;
    cr_assert_eq(blk_file_create(&disk, &file_config), 0);
    refuse_begin();
    int err = disk->ops->view(disk, loop, &view);
    if (err == 0) {
        use(view);
        view->ops->destroy(view);
    }
    refuse_end();
    disk->ops->destroy(disk);
    evloop_destroy(loop);
    return err;
}

static int file_that_grows(void)
{
    struct blk_backend *disk = NULL;
    open_loop();
    file_config.loop = loop;
    cr_assert_eq(blk_file_create(&disk, &file_config), 0);
    refuse_begin();
    int err = blk_file_resize(disk, 2 * DISK_BYTES);
    refuse_end();
    disk->ops->destroy(disk);
    cr_assert_eq(truncate(path, DISK_BYTES), 0);
    evloop_destroy(loop);
    return err;
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

Test(errors, file)
{
    on_file("/var/tmp", &(struct blk_file_config){.cache = BLK_FILE_CACHE_WRITEBACK}, file);
}

Test(errors, file_past_the_page_cache)
{
    on_file("/var/tmp", &(struct blk_file_config){.cache = BLK_FILE_CACHE_NONE}, file);
}

Test(errors, file_with_large_sectors)
{
    on_file("/var/tmp",
            &(struct blk_file_config){.cache = BLK_FILE_CACHE_NONE, .sector_bytes = 4096}, file);
}

Test(errors, file_to_read)
{
    on_file("/var/tmp",
            &(struct blk_file_config){.cache = BLK_FILE_CACHE_WRITEBACK, .read_only = true}, file);
}

Test(errors, file_in_memory)
{
    on_file("/dev/shm", &(struct blk_file_config){.cache = BLK_FILE_CACHE_UNSAFE}, file);
}

Test(errors, file_without_io_uring)
{
    setenv("MINIVET_NO_URING", "1", 1);
    on_file("/var/tmp", &(struct blk_file_config){.cache = BLK_FILE_CACHE_WRITEBACK}, file);
}

Test(errors, view_of_a_file)
{
    on_file("/var/tmp", &(struct blk_file_config){.cache = BLK_FILE_CACHE_NONE}, file_with_view);
}

Test(errors, file_that_grows)
{
    on_file("/var/tmp", &(struct blk_file_config){0}, file_that_grows);
}

/* ---- others ---- */

static int scratch(void)
{
    struct blk_backend *disk = NULL;
    open_loop();
    refuse_begin();
    int err = blk_file_create_scratch(&disk, loop, DISK_BYTES);
    return end(disk, err);
}

Test(errors, scratch_disk)
{
    refuse_each(scratch);
}

static int memory(void)
{
    struct blk_backend *disk = NULL;
    open_loop();
    refuse_begin();
    int err = blk_mem_create(&disk, &(struct blk_mem_config){.loop = loop, .bytes = DISK_BYTES});
    return end(disk, err);
}

Test(errors, memory_disk)
{
    refuse_each(memory);
}

static struct blk_backend *make_null(void)
{
    struct blk_backend *disk = NULL;
    cr_assert_eq(
        blk_null_create(&disk, &(struct blk_null_config){.loop = loop, .bytes = DISK_BYTES}), 0);
    return disk;
}

static int null_with_view(void)
{
    struct blk_backend *disk = NULL, *view = NULL;
    open_loop();
    refuse_begin();
    int err = blk_null_create(&disk, &(struct blk_null_config){.loop = loop, .bytes = DISK_BYTES});
    if (err == 0 && disk->ops->view != NULL) {
        err = disk->ops->view(disk, loop, &view);
        if (err == 0)
            view->ops->destroy(view);
        else
            disk->ops->destroy(disk);
    }
    return end(disk, err);
}

Test(errors, null_disk)
{
    refuse_each(null_with_view);
}

static int overlay(void)
{
    struct blk_backend *disk = NULL;
    open_loop();
    struct blk_backend *base = make_null();
    refuse_begin();
    int err = blk_overlay_create(&disk, &(struct blk_overlay_config){.loop = loop, .base = base});
    if (err != 0)
        base->ops->destroy(base);
    return end(disk, err);
}

Test(errors, overlay)
{
    refuse_each(overlay);
}

static int limit(void)
{
    open_loop();
    struct blk_backend *base = make_null(), *disk = base;
    refuse_begin();
    struct budget_config config = {.count_per_s = 1000, .burst_ns = 1000000000};
    int err = blk_limit_create(&disk, loop, &clock_host, &config);
    if (err != 0)
        base->ops->destroy(base);
    return end(disk, err);
}

Test(errors, limited_disk)
{
    refuse_each(limit);
}

static int fault(void)
{
    open_loop();
    struct blk_backend *base = make_null(), *disk = base;
    refuse_begin();
    struct blk_fault_spec spec = {.cut = {.every = 2}};
    int err = blk_fault_create(&disk, loop, &clock_host, &spec);
    if (err != 0)
        base->ops->destroy(base);
    return end(disk, err);
}

Test(errors, faulty_disk)
{
    refuse_each(fault);
}
