// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/filter/blk_fault.h"

#include "tests/harness/blk_mem.h"
#include "tests/harness/blkio.h"
#include "tests/harness/fake.h"
#include "tests/harness/test.h"

#define DISK_BYTES (64 << 10)
#define MS         UINT64_C(1000000)

static struct fake_clock now;
static struct clock fake;
static struct evloop *loop;
static struct blk_backend *disk, *base;

static void setup(void)
{
    listen_to_log(LOG_DEBUG);
    now.now_ns = 1000 * MS;
    fake = fake_clock_port(&now);
    cr_assert_eq(evloop_create(&loop, "test", &fake), 0);
}

static void destroy(void)
{
    if (disk)
        disk->ops->destroy(disk);
    disk = NULL;
}

static void teardown(void)
{
    destroy();
    evloop_destroy(loop);
}

TestSuite(blk_fault, .init = setup, .fini = teardown);

static void create(const char *words)
{
    struct blk_mem_config mem = {.loop = loop, .bytes = DISK_BYTES};
    struct blk_fault_spec spec;
    destroy();
    cr_assert_eq(blk_mem_create(&base, &mem), 0);
    disk = base;
    cr_assert_eq(blk_fault_parse(&spec, "disk x", words), 0, "%s", logged_line);
    cr_assert_eq(blk_fault_create(&disk, loop, &fake, &spec), 0);
}

static int run(enum blk_op op)
{
    static char data[512];
    return blkio_run(loop, disk, op, 0, data, op == BLK_FLUSH ? 0 : sizeof(data));
}

/* ---- which requests ---- */

Test(blk_fault, every_nth)
{
    create("eio:3");
    for (int i = 1; i <= 30; i++)
        cr_expect_eq(run(i % 2 ? BLK_READ : BLK_FLUSH), i % 3 == 0 ? -EIO : 0);
}

Test(blk_fault, chances_repeat_with_their_seed)
{
    enum { COUNT = 4000 };
    static int first[COUNT];
    int failed = 0, same = 0;
    create("eio:10%,seed:7");
    for (int i = 0; i < COUNT; i++)
        failed += (first[i] = run(BLK_WRITE)) == -EIO;
    cr_expect(failed > COUNT / 20 && failed < COUNT / 5, "%d of %d", failed, COUNT);
    create("eio:10%,seed:7");
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(run(BLK_WRITE), first[i]);
    create("eio:10%,seed:8");
    for (int i = 0; i < COUNT; i++)
        same += run(BLK_WRITE) == first[i];
    cr_expect_neq(same, COUNT);
    create("eio:100%");
    for (int i = 0; i < 100; i++)
        cr_expect_eq(run(BLK_READ), -EIO);
}

Test(blk_fault, a_host_is_full_for_writes)
{
    create("enospc:100%");
    cr_expect_eq(run(BLK_WRITE), -ENOSPC);
    cr_expect_eq(run(BLK_ZERO), -ENOSPC);
    cr_expect_eq(run(BLK_READ), 0);
    cr_expect_eq(run(BLK_DISCARD), 0);
    cr_expect_eq(run(BLK_FLUSH), 0);
}

Test(blk_fault, the_first_ones_come_to_no_harm)
{
    create("eio:100%,at:5");
    for (int i = 1; i <= 10; i++)
        cr_expect_eq(run(BLK_READ), i < 5 ? 0 : -EIO);
}

/* ---- what happens to them ---- */

Test(blk_fault, what_fails_does_nothing)
{
    char data[512] = "new";
    create("eio:1");
    strcpy((char *)blk_mem_bytes(base), "old");
    cr_expect_eq(blkio_run(loop, disk, BLK_WRITE, 0, data, sizeof(data)), -EIO);
    cr_expect_str_eq((const char *)blk_mem_bytes(base), "old");
    cr_expect_eq(blkio_run(loop, disk, BLK_READ, 0, data, sizeof(data)), -EIO);
    cr_expect_str_eq(data, "new");
}

/* Vectors at odd lengths: what is moved is still whole sectors from the start. */
Test(blk_fault, a_cut_request_moves_a_part_and_fails)
{
    static char data[4096];
    struct iovec iov[] = {{data, 100}, {data + 100, 0}, {data + 100, 2000}, {data + 2100, 1996}};
    struct blkio io;
    create("short:1");
    memset(data, 'x', sizeof(data));
    blkio_init(&io, BLK_WRITE, 512, data, sizeof(data));
    io.req.iov = iov;
    io.req.iov_count = 4;
    blkio_submit(disk, &io);
    evloop_drain(loop);
    cr_expect_eq(io.result, -EIO);
    const uint8_t *bytes = blk_mem_bytes(base) + 512;
    cr_expect_eq(memcmp(bytes, data, 2048), 0);
    cr_expect_eq(bytes[2048], 0);
    cr_expect_eq(run(BLK_WRITE), -EIO); /* a sector cannot be cut */
    cr_expect_eq(run(BLK_FLUSH), 0);
}

Test(blk_fault, a_request_is_cut_at_a_block)
{
    static char data[12288];
    create("short:1");
    disk->info.logical_bytes = 4096;
    memset(data, 'x', sizeof(data));
    cr_expect_eq(blkio_run(loop, disk, BLK_WRITE, 0, data, sizeof(data)), -EIO);
    cr_expect_eq(blk_mem_bytes(base)[4095], 'x');
    cr_expect_eq(blk_mem_bytes(base)[4096], 0);
}

Test(blk_fault, more_vectors_than_a_cut_takes_are_cut_at_a_sector)
{
    static char data[8000];
    static struct iovec iov[80];
    struct blkio io;
    create("short:1");
    memset(data, 'x', sizeof(data));
    for (int i = 0; i < 80; i++)
        iov[i] = (struct iovec){data + i * 100, 100};
    blkio_init(&io, BLK_WRITE, 0, data, 7680);
    iov[76].iov_len = 80; /* 76 * 100 + 80 */
    io.req.iov = iov;
    io.req.iov_count = 77;
    blkio_submit(disk, &io);
    evloop_drain(loop);
    cr_expect_eq(io.result, -EIO);
    cr_expect_eq((char)blk_mem_bytes(base)[1535], 'x'); /* 16 * 100, rounded down */
    cr_expect_eq(blk_mem_bytes(base)[1536], 0);
}

Test(blk_fault, latency_is_each_requests_own)
{
    struct blkio a, b;
    create("lat:5ms");
    blkio_init(&a, BLK_FLUSH, 0, NULL, 0);
    blkio_init(&b, BLK_FLUSH, 0, NULL, 0);
    blkio_submit(disk, &a);
    now.now_ns += 2 * MS;
    blkio_submit(disk, &b);
    evloop_drain(loop);
    cr_expect_eq(a.done, 0);
    now.now_ns += 3 * MS;
    evloop_drain(loop);
    cr_expect_eq(a.done, 1);
    cr_expect_eq(b.done, 0);
    now.now_ns += 2 * MS;
    evloop_drain(loop);
    cr_expect_eq(b.done, 1);
}

Test(blk_fault, a_drain_does_not_wait_for_the_latency)
{
    struct blkio a;
    create("lat:60s");
    blkio_init(&a, BLK_FLUSH, 0, NULL, 0);
    blkio_submit(disk, &a);
    disk->ops->drain(disk);
    cr_expect_eq(a.result, -ECANCELED);
    now.now_ns += 60000 * MS;
    evloop_drain(loop);
    cr_expect_eq(a.done, 1);
}

static struct blkio second;

static void submit_second(struct blk_req *req, int result)
{
    (void)req;
    cr_expect_eq(result, -EIO);
    blkio_init(&second, BLK_FLUSH, 0, NULL, 0);
    blkio_submit(disk, &second);
}

/* The base has been drained by then. */
Test(blk_fault, what_a_done_submits_in_a_drain_is_not_left_behind)
{
    struct blkio io;
    create("eio:2");
    cr_expect_eq(run(BLK_FLUSH), 0);
    blkio_init(&io, BLK_FLUSH, 0, NULL, 0);
    io.req.done = submit_second;
    blkio_submit(disk, &io);
    disk->ops->drain(disk);
    cr_expect_eq(second.done, 1);
    cr_expect_eq(second.result, -ECANCELED);
    cr_expect_eq(run(BLK_FLUSH), 0);
}

/* ---- words ---- */

Test(blk_fault, words_are_read)
{
    struct blk_fault_spec s;
    cr_assert_eq(blk_fault_parse(
                     &s, "disk x",
                     "eio:0.5%,enospc:100%,short:12,lat:250us,at:1000,seed:18446744073709551615"),
                 0);
    cr_expect_eq(s.eio.chance_ppm, 5000);
    cr_expect_eq(s.enospc.chance_ppm, 1000000);
    cr_expect_eq(s.cut.every, 12);
    cr_expect_eq(s.cut.chance_ppm, 0);
    cr_expect_eq(s.latency_ns, 250000);
    cr_expect_eq(s.at, 1000);
    cr_expect_eq(s.seed, UINT64_MAX);
    cr_assert_eq(blk_fault_parse(&s, "disk x", "eio:0.0001%,lat:60s"), 0);
    cr_expect_eq(s.eio.chance_ppm, 1);
    cr_expect_eq(s.enospc.chance_ppm, 0);
}

Test(blk_fault, wrong_words_are_named)
{
    static const struct {
        const char *words, *said;
    } wrong[] = {
        {"", "'' is not known; there are eio, enospc, short, lat, at, seed"},
        {"eio:1%,", "'' is not known"},
        {"eoi:1%", "'eoi' is not known; there are eio, enospc"},
        {"eio", "eio: needs a chance"},
        {"eio:", "needs a chance (0.5%) or a number"},
        {"eio:x", "not 'x'"},
        {"eio:0", "not '0'"},
        {"eio:0%", "not '0%'"},
        {"eio:100.1%", "needs"},
        {"eio:101%", "needs"},
        {"eio:1.%", "needs"},
        {"eio:1.00001%", "needs"},
        {"eio:1%%", "needs"},
        {"eio:-1", "needs"},
        {"eio:4294967296", "needs"},
        {"eio:1%,lat:5", "lat: needs a time up to 60s"},
        {"lat:61s", "needs a time"},
        {"lat:ms", "needs a time"},
        {"lat:99999999999999999999ms", "needs a time"},
        {"at:1x", "needs a number, not '1x'"},
        {"seed:18446744073709551616", "needs a number"},
    };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct blk_fault_spec s;
        logged_line[0] = '\0';
        cr_expect_eq(blk_fault_parse(&s, "disk x", wrong[i].words), -EINVAL, "%s", wrong[i].words);
        cr_expect_not_null(strstr(logged_line, wrong[i].said), "%s: %s", wrong[i].words,
                           logged_line);
        expect_logged("disk x");
    }
}
