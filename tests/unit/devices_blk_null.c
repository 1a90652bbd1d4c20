// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/blk_null.h"

#include "tests/harness/blkio.h"
#include "tests/harness/test.h"

static struct evloop *loop;

static void setup(void)
{
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
}

static void teardown(void)
{
    evloop_destroy(loop);
}

TestSuite(blk_null, .init = setup, .fini = teardown);

static struct blk_backend *create(void)
{
    struct blk_backend *disk = NULL;
    struct blk_null_config config = {.loop = loop, .bytes = 1 << 20};
    cr_assert_eq(blk_null_create(&disk, &config), 0);
    return disk;
}

Test(blk_null, a_read_leaves_memory_as_it_is)
{
    struct blk_backend *disk = create();
    char data[512] = "as it was";
    cr_expect_eq(blkio_run(loop, disk, BLK_READ, 0, data, sizeof(data)), 0);
    cr_expect_str_eq(data, "as it was");
    disk->ops->destroy(disk);
}

Test(blk_null, a_write_is_forgotten)
{
    struct blk_backend *disk = create();
    char data[512];
    memset(data, 1, sizeof(data));
    cr_expect_eq(blkio_run(loop, disk, BLK_WRITE, 0, data, sizeof(data)), 0);
    memset(data, 2, sizeof(data));
    cr_expect_eq(blkio_run(loop, disk, BLK_READ, 0, data, sizeof(data)), 0);
    cr_expect_eq(data[0], 2);
    disk->ops->destroy(disk);
}

Test(blk_null, only_whole_sectors)
{
    struct blk_backend *disk = NULL;
    struct blk_null_config config = {.loop = loop, .bytes = 513};
    cr_expect_eq(blk_null_create(&disk, &config), -EINVAL);
    config.bytes = 1024;
    config.sector_bytes = 4096;
    cr_expect_eq(blk_null_create(&disk, &config), -EINVAL);
    config.bytes = 0;
    cr_expect_eq(blk_null_create(&disk, &config), -EINVAL);
}
