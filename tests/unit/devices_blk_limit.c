// SPDX-License-Identifier: BSD-2-Clause
#include "devices/backend/bucket.h"
#include "devices/disk/filter/blk_limit.h"

#include "devices/disk/blk_null.h"
#include "tests/harness/blkio.h"
#include "tests/harness/fake.h"
#include "tests/harness/test.h"

#define MS UINT64_C(1000000)

static struct fake_clock now;
static struct clock fake;
static struct evloop *loop;
static struct blk_backend *disk;
static struct blkio ios[64];

static void setup(void)
{
    now.now_ns = 1000 * MS;
    fake = fake_clock_port(&now);
    cr_assert_eq(evloop_create(&loop, "test", &fake), 0);
}

static void teardown(void)
{
    disk->ops->destroy(disk);
    evloop_destroy(loop);
}

TestSuite(blk_limit, .init = setup, .fini = teardown);

static void create(uint64_t iops, uint64_t bytes_per_s, uint32_t burst_ms)
{
    struct blk_backend *base = NULL;
    struct blk_null_config null = {.loop = loop, .bytes = 1 << 30};
    cr_assert_eq(blk_null_create(&base, &null), 0);
    struct budget_config config = {iops, bytes_per_s, burst_ms * UINT64_C(1000000)};
    disk = base;
    cr_assert_eq(blk_limit_create(&disk, loop, &fake, &config), 0);
}

static void submit(unsigned n, enum blk_op op, uint64_t bytes)
{
    static char data[1 << 20];
    blkio_init(&ios[n], op, 0, data, bytes);
    blkio_submit(disk, &ios[n]);
}

/* How many of the first n are done: they end in order, so these are the first ones. */
static unsigned done_after(uint64_t ms, unsigned n)
{
    unsigned done = 0;
    now.now_ns += ms * MS;
    evloop_drain(loop);
    while (done < n && ios[done].done > 0)
        done++;
    for (unsigned i = done; i < n; i++)
        cr_expect_eq(ios[i].done, 0, "request %u overtook request %u", i, done);
    return done;
}

Test(blk_limit, requests_a_second)
{
    create(100, 0, 0);
    for (unsigned i = 0; i < 10; i++)
        submit(i, i % 2 ? BLK_WRITE : BLK_READ, 512);
    cr_expect_eq(done_after(0, 10), 1);
    cr_expect_eq(done_after(9, 10), 1);
    cr_expect_eq(done_after(1, 10), 2);
    for (unsigned i = 3; i <= 10; i++)
        cr_expect_eq(done_after(10, 10), i);
}

/* The loop may be late: what was missed is not lost as long as it is within the burst. */
Test(blk_limit, what_is_not_used_is_kept_for_a_while)
{
    create(100, 0, 50);
    for (unsigned i = 0; i < 30; i++)
        submit(i, BLK_READ, 512);
    cr_expect_eq(done_after(0, 30), 6); /* five that were kept and the one that is due */
    cr_expect_eq(done_after(10, 30), 7);
    cr_expect_eq(done_after(20, 30), 9);
    cr_expect_eq(done_after(3600000, 30), 15); /* no more than is kept */
}

Test(blk_limit, bytes_a_second)
{
    create(0, 1 << 20, 0);
    for (unsigned i = 0; i < 4; i++)
        submit(i, BLK_WRITE, 1 << 18);
    submit(4, BLK_FLUSH, 0);
    submit(5, BLK_FLUSH, 0);
    cr_expect_eq(done_after(0, 6), 1);
    cr_expect_eq(done_after(249, 6), 1);
    cr_expect_eq(done_after(1, 6), 2);
    cr_expect_eq(done_after(500, 6), 3);
    cr_expect_eq(done_after(250, 6), 4);
    cr_expect_eq(done_after(250, 6), 6); /* which have no bytes */
}

Test(blk_limit, a_flush_is_a_request_and_keeps_its_place)
{
    create(10, 0, 0);
    submit(0, BLK_WRITE, 512);
    submit(1, BLK_FLUSH, 0);
    submit(2, BLK_WRITE, 512);
    cr_expect_eq(done_after(0, 3), 1);
    cr_expect_eq(done_after(100, 3), 2);
    cr_expect_eq(done_after(100, 3), 3);
}

Test(blk_limit, a_drain_does_not_wait)
{
    create(1, 0, 0);
    for (unsigned i = 0; i < 64; i++)
        submit(i, BLK_WRITE, 512);
    disk->ops->drain(disk);
    cr_expect_eq(ios[0].result, 0);
    for (unsigned i = 1; i < 64; i++)
        cr_expect_eq(ios[i].result, -ECANCELED);
    submit(0, BLK_READ, 512);
    cr_expect_eq(done_after(0, 1), 0); /* the budget is no guest's to refill */
    cr_expect_eq(done_after(1000, 1), 1);
}

/* The budget is there again, but the loop has not come to those that wait for it. */
Test(blk_limit, a_late_loop_lets_nobody_overtake)
{
    create(10, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        submit(i, BLK_WRITE, 512);
    now.now_ns += 150 * MS;
    submit(3, BLK_WRITE, 512);
    cr_expect_eq(done_after(0, 4), 2);
    cr_expect_eq(done_after(100, 4), 3);
    cr_expect_eq(done_after(100, 4), 4);
}

/* 64 bits of nanoseconds are less than what one request can cost. */
Test(blk_limit, a_huge_request_does_not_wrap)
{
    create(0, 1, 0);
    submit(0, BLK_WRITE, 1 << 20);
    cr_expect_eq(done_after(0, 1), 1);
    blkio_init(&ios[1], BLK_WRITE, 0, NULL, UINT64_C(1) << 62);
    blkio_submit(disk, &ios[1]);
    submit(2, BLK_FLUSH, 0);
    now.now_ns = UINT64_C(1) << 62;
    evloop_drain(loop);
    cr_expect_eq(ios[1].result, -EIO); /* beyond the disk's end, says the base */
    cr_expect_eq(ios[2].done, 0);
}
