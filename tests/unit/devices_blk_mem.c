// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/blk_mem.h"

#include "core/ports/block.h"
#include "tests/harness/test.h"

#define DISK_BYTES (64 * KIB)

static struct evloop *loop;
static struct blk_backend *disk;
static int done_count, last_result;

static void setup(void)
{
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    struct blk_mem_config config = {.loop = loop, .bytes = DISK_BYTES};
    cr_assert_eq(blk_mem_create(&disk, &config), 0);
}

static void teardown(void)
{
    if (disk)
        disk->ops->destroy(disk);
    evloop_destroy(loop);
}

TestSuite(blk_mem, .init = setup, .fini = teardown);

static void on_done(struct blk_req *req, int result)
{
    (void)req;
    done_count++;
    last_result = result;
}

static struct blk_req request(enum blk_op op, uint64_t offset, struct iovec *iov, unsigned count)
{
    struct blk_req req = {.op = op, .offset_bytes = offset, .iov = iov, .iov_count = count};
    for (unsigned i = 0; i < count; i++)
        req.bytes += iov[i].iov_len;
    req.done = on_done;
    return req;
}

Test(blk_mem, what_is_written_is_read_later_and_elsewhere)
{
    char text[] = "0123456789", back[11] = {0};
    struct iovec wr[] = {{text, 3}, {text, 0}, {text + 3, 7}};
    struct iovec rd[] = {{back, 9}, {back + 9, 1}};
    struct blk_req write = request(BLK_WRITE, 512, wr, 3);
    struct blk_req read = request(BLK_READ, 512, rd, 2);
    cr_expect_eq(disk->info.capacity_bytes, DISK_BYTES);
    disk->ops->submit(disk, &write);
    disk->ops->submit(disk, &read);
    cr_expect_eq(done_count, 0); /* never inside submit() */
    evloop_drain(loop);
    cr_expect_eq(done_count, 2);
    cr_expect_eq(last_result, 0);
    cr_expect_str_eq(back, text);
    cr_expect_eq(memcmp(blk_mem_bytes(disk) + 512, text, 10), 0);
}

Test(blk_mem, drain_and_destroy_complete_what_is_out)
{
    struct blk_req flushes[3];
    for (unsigned i = 0; i < 3; i++)
        flushes[i] = request(BLK_FLUSH, 0, NULL, 0);
    disk->ops->submit(disk, &flushes[0]);
    disk->ops->submit(disk, &flushes[1]);
    disk->ops->drain(disk);
    cr_expect_eq(done_count, 2);
    evloop_drain(loop);
    cr_expect_eq(done_count, 2);
    disk->ops->submit(disk, &flushes[2]);
    disk->ops->destroy(disk);
    disk = NULL;
    cr_expect_eq(done_count, 3);
}

static int again;

static void submit_again(struct blk_req *req, int result)
{
    cr_expect_eq(result, 0);
    if (++again < 5)
        disk->ops->submit(disk, req);
}

Test(blk_mem, done_may_submit)
{
    char byte = 1;
    struct iovec iov = {&byte, 1};
    struct blk_req req = request(BLK_WRITE, 0, &iov, 1);
    req.done = submit_again;
    disk->ops->submit(disk, &req);
    evloop_drain(loop);
    cr_expect_eq(again, 5);
}

Test(blk_mem, ranges_and_rights_are_checked)
{
    char block[512] = {0};
    struct iovec iov = {block, sizeof(block)};
    struct blk_req req = request(BLK_READ, DISK_BYTES - 511, &iov, 1);
    disk->ops->submit(disk, &req);
    disk->ops->drain(disk);
    cr_expect_eq(last_result, -EIO);

    struct blk_backend *rom = NULL;
    struct blk_mem_config config = {.loop = loop, .bytes = 512, .read_only = true};
    cr_assert_eq(blk_mem_create(&rom, &config), 0);
    cr_expect(rom->info.read_only);
    req = request(BLK_WRITE, 0, &iov, 1);
    rom->ops->submit(rom, &req);
    rom->ops->drain(rom);
    cr_expect_eq(last_result, -EROFS);
    rom->ops->destroy(rom);
}

Test(blk_mem, only_whole_sectors)
{
    struct blk_backend *b = NULL;
    struct blk_mem_config config = {.loop = loop, .bytes = 513};
    cr_expect_eq(blk_mem_create(&b, &config), -EINVAL);
    config.bytes = 0;
    cr_expect_eq(blk_mem_create(&b, &config), -EINVAL);
}
