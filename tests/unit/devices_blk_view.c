// SPDX-License-Identifier: BSD-2-Clause
/* Views: one disk behind several loops. */
#include "devices/disk/blk_file.h"
#include "devices/disk/blk_file_impl.h"
#include "devices/disk/blk_null.h"
#include "tests/harness/blkio.h"
#include "tests/harness/test.h"

#define DISK_BYTES MIB
#define BLOCK      4096u

static struct evloop *loops[2];
static char path[] = "/var/tmp/minivet-view-XXXXXX";
static struct blk_backend *disk, *view;
static uint8_t data[BLOCK], back[BLOCK];

static void setup(void)
{
    for (unsigned i = 0; i < 2; i++)
        cr_assert_eq(evloop_create(&loops[i], "test", &clock_host), 0);
    int fd = mkostemp(path, O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, DISK_BYTES), 0);
    close(fd);
    memset(data, 0x5a, sizeof(data));
}

static void teardown(void)
{
    view->ops->destroy(view);
    disk->ops->destroy(disk);
    for (unsigned i = 0; i < 2; i++)
        evloop_destroy(loops[i]);
    unlink(path);
}

TestSuite(blk_view, .init = setup, .fini = teardown);

static int open_file(enum blk_file_cache cache, bool read_only, struct blk_backend **out)
{
    struct blk_file_config config = {
        .loop = loops[0], .path = path, .cache = cache, .read_only = read_only};
    return blk_file_create(out, &config);
}

static void open_both(enum blk_file_cache cache, bool read_only)
{
    cr_assert_eq(open_file(cache, read_only, &disk), 0);
    cr_assert_eq(disk->ops->view(disk, loops[1], &view), 0);
}

static void expect_same_info(void)
{
    const struct blk_info *a = &disk->info, *b = &view->info;
    cr_expect_eq(a->capacity_bytes, b->capacity_bytes);
    cr_expect_eq(a->logical_bytes, b->logical_bytes);
    cr_expect_eq(a->physical_bytes, b->physical_bytes);
    cr_expect(a->can_discard == b->can_discard && a->can_zero == b->can_zero);
}

static int run(unsigned which, enum blk_op op, void *bytes, uint64_t len)
{
    return blkio_run(loops[which], which == 0 ? disk : view, op, 0, bytes, len);
}

Test(blk_view, all_see_the_same_bytes)
{
    open_both(BLK_FILE_CACHE_NONE, false);
    expect_same_info();
    cr_assert_eq(run(1, BLK_WRITE, data, BLOCK), 0);
    cr_assert_eq(run(0, BLK_FLUSH, NULL, 0), 0);
    cr_assert_eq(run(0, BLK_READ, back, BLOCK), 0);
    cr_expect_eq(memcmp(data, back, BLOCK), 0);
    cr_assert_eq(run(0, BLK_ZERO, NULL, BLOCK), 0);
    cr_assert_eq(run(1, BLK_READ, back, BLOCK), 0);
    memset(data, 0, BLOCK);
    cr_expect_eq(memcmp(data, back, BLOCK), 0);
}

Test(blk_view, requests_end_on_the_loop_of_their_view)
{
    struct blkio io[2];
    open_both(BLK_FILE_CACHE_WRITEBACK, false);
    blkio_init(&io[0], BLK_READ, 0, back, BLOCK);
    blkio_init(&io[1], BLK_READ, 0, data, BLOCK);
    blkio_submit(disk, &io[0]);
    blkio_submit(view, &io[1]);
    evloop_drain(loops[1]);
    cr_expect_eq(io[1].done, 1);
    cr_expect_eq(io[0].done, 0);
    disk->ops->drain(disk);
    cr_expect_eq(io[0].done, 1);
}

Test(blk_view, a_read_only_disk_has_read_only_views)
{
    open_both(BLK_FILE_CACHE_NONE, true);
    cr_expect_eq(run(1, BLK_WRITE, data, BLOCK), -EROFS);
    cr_expect_eq(run(1, BLK_READ, back, BLOCK), 0);
    int mode = fcntl(container_of(view, struct blk_file, b)->fd, F_GETFL) & O_ACCMODE;
    cr_expect_eq(mode, O_RDONLY);
}

Test(blk_view, takes_the_way_that_the_disk_takes)
{
    open_both(BLK_FILE_CACHE_NONE, false);
    const struct blk_file *first = container_of(disk, struct blk_file, b);
    const struct blk_file *f = container_of(view, struct blk_file, b);
    cr_expect_eq(f->direct_fd >= 0, first->direct_fd >= 0);
    cr_expect_eq(f->in_memory, first->in_memory);
    cr_expect_eq(fcntl(f->fd, F_GETFL), fcntl(first->fd, F_GETFL));
}

Test(blk_view, the_image_stays_locked)
{
    struct blk_backend *second;
    open_both(BLK_FILE_CACHE_NONE, false);
    view->ops->destroy(view);
    cr_expect_eq(open_file(BLK_FILE_CACHE_NONE, false, &second), -EBUSY);
    cr_assert_eq(disk->ops->view(disk, loops[1], &view), 0);
}

/* As the host has told one of them of lost data, none may say that all is well. */
Test(blk_view, a_flush_that_failed_counts_for_all)
{
    int fds[2];
    open_both(BLK_FILE_CACHE_WRITEBACK, false);
    cr_expect_eq(run(0, BLK_FLUSH, NULL, 0), 0);
    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    /* A pipe cannot be synced. */
    cr_assert_geq(dup3(fds[1], container_of(view, struct blk_file, b)->fd, O_CLOEXEC), 0);
    cr_expect_lt(run(1, BLK_FLUSH, NULL, 0), 0);
    cr_expect_eq(run(0, BLK_FLUSH, NULL, 0), -EIO);
    cr_expect_eq(run(0, BLK_WRITE, data, BLOCK), 0);
    close(fds[0]);
    close(fds[1]);
}

Test(blk_view, of_a_disk_that_stores_nothing)
{
    struct blk_null_config config = {.loop = loops[0], .bytes = DISK_BYTES, .sector_bytes = BLOCK};
    cr_assert_eq(blk_null_create(&disk, &config), 0);
    cr_assert_eq(disk->ops->view(disk, loops[1], &view), 0);
    expect_same_info();
    cr_expect_eq(run(1, BLK_READ, back, BLOCK), 0);
}
