// SPDX-License-Identifier: BSD-2-Clause
/*
 * What every backend does alike, whatever it stands on. A stack that a machine can build is a row
 * of the table below.
 */
#include "devices/backend/bucket.h"
#include "devices/disk/blk_file.h"
#include "devices/disk/blk_null.h"
#include "devices/disk/blk_overlay.h"
#include "devices/disk/filter/blk_fault.h"
#include "devices/disk/filter/blk_limit.h"
#include "tests/harness/blk_mem.h"
#include "tests/harness/blkio.h"
#include "tests/harness/test.h"

#define DISK_BYTES   (2 * MIB)
#define DISK_SECTORS (DISK_BYTES / BLK_SECTOR_BYTES)

static struct evloop *loop;
static char path[64];
static struct blk_backend *file; /* the one that can be resized, if the stack has one */

/* ---- stacks ---- */

static struct blk_backend *open_file(enum blk_file_cache cache, bool read_only)
{
    struct blk_backend *disk = NULL;
    struct blk_file_config config = {
        .loop = loop, .path = path, .cache = cache, .read_only = read_only};
    cr_assert_eq(blk_file_create(&disk, &config), 0);
    file = disk;
    return disk;
}

static struct blk_backend *direct(void)
{
    return open_file(BLK_FILE_CACHE_NONE, false);
}

static struct blk_backend *writeback(void)
{
    return open_file(BLK_FILE_CACHE_WRITEBACK, false);
}

static struct blk_backend *unsafe(void)
{
    return open_file(BLK_FILE_CACHE_UNSAFE, false);
}

static struct blk_backend *memory(void)
{
    struct blk_backend *disk = NULL;
    struct blk_mem_config config = {.loop = loop, .bytes = DISK_BYTES};
    cr_assert_eq(blk_mem_create(&disk, &config), 0);
    return disk;
}

static struct blk_backend *null(void)
{
    struct blk_backend *disk = NULL;
    struct blk_null_config config = {.loop = loop, .bytes = DISK_BYTES};
    cr_assert_eq(blk_null_create(&disk, &config), 0);
    return disk;
}

static struct blk_backend *overlay_on(struct blk_backend *base, struct blk_backend *top)
{
    struct blk_backend *disk = NULL;
    struct blk_overlay_config config = {.loop = loop, .base = base, .top = top};
    cr_assert_eq(blk_overlay_create(&disk, &config), 0);
    return disk;
}

static struct blk_backend *overlay(void)
{
    return overlay_on(open_file(BLK_FILE_CACHE_NONE, true), NULL);
}

static struct blk_backend *overlay_in_memory(void)
{
    return overlay_on(memory(), memory());
}

static struct blk_backend *limit_on(struct blk_backend *base)
{
    struct blk_backend *disk = base;
    struct budget_config config = {1000000000, UINT64_C(1) << 50, BUDGET_BURST_NS};
    cr_assert_eq(blk_limit_create(&disk, loop, &clock_host, &config), 0);
    return disk;
}

static struct blk_backend *limit(void)
{
    return limit_on(memory());
}

static struct blk_backend *fault_on(struct blk_backend *base)
{
    struct blk_backend *disk = base;
    cr_assert_eq(blk_fault_create(&disk, loop, &clock_host, &(struct blk_fault_spec){0}), 0);
    return disk;
}

static struct blk_backend *fault(void)
{
    return fault_on(memory());
}

static struct blk_backend *all_of_them(void)
{
    return limit_on(fault_on(overlay_on(open_file(BLK_FILE_CACHE_WRITEBACK, true), NULL)));
}

static const struct stack {
    const char *name;
    struct blk_backend *(*create)(void);
    bool forgets; /* what was written is not read again */
} stacks[] = {
    {"file, cache=none", direct, false},
    {"file, cache=writeback", writeback, false},
    {"file, cache=unsafe", unsafe, false},
    {"memory", memory, false},
    {"null", null, true},
    {"overlay on a file", overlay, false},
    {"overlay in memory", overlay_in_memory, false},
    {"limit", limit, false},
    {"fault", fault, false},
    {"limit on fault on overlay on file", all_of_them, false},
};

/* ---- each of them ---- */

static void setup(void)
{
    listen_to_log(LOG_DEBUG);
    snprintf(path, sizeof(path), "/var/tmp/minivet-blk-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
}

static void teardown(void)
{
    evloop_destroy(loop);
    unlink(path);
}

TestSuite(blk_backends, .init = setup, .fini = teardown);

typedef void case_fn(struct blk_backend *disk, const struct stack *stack);

static void with_each(case_fn *fn)
{
    for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
        cr_assert_eq(truncate(path, 0), 0);
        cr_assert_eq(truncate(path, DISK_BYTES), 0);
        file = NULL;
        struct blk_backend *disk = stacks[i].create();
        cr_assert_eq(disk->info.capacity_bytes, DISK_BYTES, "%s", stacks[i].name);
        fn(disk, &stacks[i]);
    }
}

/* ---- bytes ---- */

/* What the disk holds; a sector that was discarded may hold anything. */
static uint8_t model[DISK_BYTES];
static bool anything[DISK_SECTORS];

#define RANGE_MAX (192 * KIB)
static uint8_t data[RANGE_MAX + 4096] __attribute__((aligned(4096)));

static uint64_t some(uint64_t max)
{
    return (uint64_t)rand() % max;
}

/* Cuts the bytes into vectors: whole, by sectors, by anything. */
static void cut(struct blkio *io, struct iovec *iov, unsigned max)
{
    static const uint64_t steps[] = {RANGE_MAX, 4096, 512, 7000, 1};
    uint64_t step = steps[some(ARRAY_SIZE(steps))], left = io->req.bytes;
    uint8_t *at = io->iov.iov_base;
    unsigned n = 0;
    while (left > 0) {
        uint64_t len = min_u64(n + 1 == max ? left : max_u64(step / 2 + some(step), 1), left);
        if (step % 512 == 0)
            len = min_u64(align_up(len, 512), left);
        iov[n++] = (struct iovec){at, len};
        at += len;
        left -= len;
    }
    io->req.iov = iov;
    io->req.iov_count = n;
}

static bool as_expected(uint64_t offset, const uint8_t *bytes, uint64_t len)
{
    for (uint64_t i = 0; i < len; i += BLK_SECTOR_BYTES)
        if (!anything[(offset + i) / BLK_SECTOR_BYTES] &&
            memcmp(model + offset + i, bytes + i, BLK_SECTOR_BYTES) != 0)
            return false;
    return true;
}

static void set_anything(uint64_t offset, uint64_t len, bool value)
{
    memset(anything + offset / BLK_SECTOR_BYTES, value, len / BLK_SECTOR_BYTES);
}

static void fill(uint8_t *bytes, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)rand();
}

static void apply(enum blk_op op, uint64_t offset, uint64_t len, const uint8_t *bytes)
{
    if (op == BLK_WRITE)
        memcpy(model + offset, bytes, len);
    else
        memset(model + offset, 0, len);
    set_anything(offset, len, op == BLK_DISCARD);
}

static void random_requests(struct blk_backend *disk, const struct stack *stack)
{
    static struct iovec iov[2000];
    memset(model, 0, sizeof(model));
    memset(anything, stack->forgets, sizeof(anything));
    srand(11);
    for (int i = 0; i < 400; i++) {
        struct blkio io;
        enum blk_op op = (enum blk_op)some(5);
        uint64_t sectors = some(4) == 0 ? 1 + some(RANGE_MAX / 512) : 1 + some(16);
        uint64_t bytes = sectors * 512, offset = some(DISK_SECTORS - sectors + 1) * 512;
        uint8_t *at = data + (some(2) ? 0 : some(4096));
        if (op == BLK_FLUSH)
            bytes = offset = 0;
        fill(at, bytes);
        blkio_init(&io, op, offset, at, bytes);
        io.req.may_unmap = some(2);
        if (op == BLK_READ || op == BLK_WRITE)
            cut(&io, iov, ARRAY_SIZE(iov));
        blkio_submit(disk, &io);
        evloop_drain(loop);
        cr_assert_eq(io.done, 1, "%s", stack->name);
        cr_assert_eq(io.result, 0, "%s, request %d", stack->name, i);
        if (op == BLK_READ)
            cr_assert(as_expected(offset, at, bytes), "%s, request %d", stack->name, i);
        else if (op != BLK_FLUSH && !stack->forgets)
            apply(op, offset, bytes, at);
    }
    disk->ops->destroy(disk);
}

Test(blk_backends, random_requests_as_a_model_has_them)
{
    with_each(random_requests);
}

/* ---- many at once ---- */

#define MANY 600
static struct blkio many[MANY];
static uint8_t sectors_of_many[MANY][512];

static void submit_many(struct blk_backend *disk, enum blk_op op)
{
    for (unsigned i = 0; i < MANY; i++) {
        if (op == BLK_WRITE)
            memset(sectors_of_many[i], (int)(i % 251 + 1), 512);
        else
            memset(sectors_of_many[i], 0, 512);
        blkio_init(&many[i], op, i * 1024, sectors_of_many[i], 512);
        blkio_submit(disk, &many[i]);
    }
}

static void expect_many_done(const struct stack *stack, bool cancelled)
{
    for (unsigned i = 0; i < MANY; i++) {
        cr_assert_eq(many[i].done, 1, "%s, request %u", stack->name, i);
        cr_assert(many[i].result == 0 || (cancelled && many[i].result == -ECANCELED),
                  "%s, request %u: %d", stack->name, i, many[i].result);
    }
}

static void many_at_once(struct blk_backend *disk, const struct stack *stack)
{
    submit_many(disk, BLK_WRITE);
    evloop_drain(loop);
    expect_many_done(stack, false);
    submit_many(disk, BLK_READ);
    evloop_drain(loop);
    expect_many_done(stack, false);
    for (unsigned i = 0; i < MANY && !stack->forgets; i++)
        cr_assert_eq(sectors_of_many[i][i % 512], (uint8_t)(i % 251 + 1), "%s", stack->name);
    disk->ops->destroy(disk);
}

Test(blk_backends, many_at_once)
{
    with_each(many_at_once);
}

static void drain_ends_all(struct blk_backend *disk, const struct stack *stack)
{
    submit_many(disk, BLK_WRITE);
    disk->ops->drain(disk);
    expect_many_done(stack, true);
    evloop_drain(loop);
    cr_expect_eq(blkio_run(loop, disk, BLK_WRITE, 0, data, 4096), 0, "%s", stack->name);
    cr_expect_eq(blkio_run(loop, disk, BLK_READ, 0, data, 4096), 0, "%s", stack->name);
    submit_many(disk, BLK_READ);
    disk->ops->destroy(disk);
    expect_many_done(stack, true);
}

Test(blk_backends, drain_and_destroy_end_all_that_is_out)
{
    with_each(drain_ends_all);
}

static struct blk_backend *again_disk;
static int again;

static void submit_again(struct blk_req *req, int result)
{
    cr_expect(result == 0 || result == -ECANCELED);
    if (++again < 100)
        again_disk->ops->submit(again_disk, req);
}

static void done_may_submit(struct blk_backend *disk, const struct stack *stack)
{
    struct blkio io;
    again_disk = disk;
    blkio_init(&io, BLK_WRITE, 512, data, 512);
    io.req.done = submit_again;
    for (int drained = 0; drained < 2; drained++) {
        again = 0;
        disk->ops->submit(disk, &io.req);
        if (drained)
            disk->ops->drain(disk);
        else
            evloop_drain(loop);
        cr_expect_eq(again, 100, "%s", stack->name);
    }
    disk->ops->destroy(disk);
}

Test(blk_backends, done_may_submit_also_in_a_drain)
{
    with_each(done_may_submit);
}

/* ---- what is refused, what is passed on ---- */

static void ranges(struct blk_backend *disk, const struct stack *stack)
{
    static const enum blk_op ops[] = {BLK_READ, BLK_WRITE, BLK_DISCARD, BLK_ZERO};
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        cr_expect_eq(blkio_run(loop, disk, ops[i], DISK_BYTES, data, 512), -EIO, "%s", stack->name);
        cr_expect_eq(blkio_run(loop, disk, ops[i], DISK_BYTES - 512, data, 1024), -EIO, "%s",
                     stack->name);
        cr_expect_eq(blkio_run(loop, disk, ops[i], UINT64_MAX - 511, data, 512), -EIO, "%s",
                     stack->name);
        cr_expect_eq(blkio_run(loop, disk, ops[i], DISK_BYTES - 512, data, 512), 0, "%s",
                     stack->name);
        cr_expect_eq(blkio_run(loop, disk, ops[i], 0, data, 0), 0, "%s", stack->name);
    }
    disk->ops->destroy(disk);
}

Test(blk_backends, ranges_are_checked)
{
    with_each(ranges);
}

static void on_resize(void *ctx)
{
    ++*(int *)ctx;
}

static void resize(struct blk_backend *disk, const struct stack *stack)
{
    int told = 0;
    uint8_t back[512];
    disk->handler = (struct blk_handler){.on_resize = on_resize, .ctx = &told};
    if (file) {
        cr_expect_eq(blkio_run(loop, disk, BLK_WRITE, 0, data, 512), 0);
        cr_assert_eq(truncate(path, 2 * DISK_BYTES), 0);
        cr_expect_eq(blk_file_remeasure(file), 0);
        cr_expect_eq(blk_file_remeasure(file), 0);
        cr_expect_eq(told, 1, "%s", stack->name);
        cr_expect_eq(disk->info.capacity_bytes, 2 * DISK_BYTES, "%s", stack->name);
        fill(data, 512);
        cr_expect_eq(blkio_run(loop, disk, BLK_WRITE, 2 * DISK_BYTES - 512, data, 512), 0, "%s",
                     stack->name);
        cr_expect_eq(blkio_run(loop, disk, BLK_READ, 2 * DISK_BYTES - 512, back, 512), 0);
        cr_expect_eq(memcmp(data, back, 512), 0, "%s", stack->name);
        cr_assert_eq(truncate(path, DISK_BYTES), 0);
        cr_expect_eq(blk_file_remeasure(file), 0);
        cr_expect_eq(disk->info.capacity_bytes, DISK_BYTES, "%s", stack->name);
        cr_expect_eq(blkio_run(loop, disk, BLK_READ, DISK_BYTES, back, 512), -EIO, "%s",
                     stack->name);
    }
    disk->ops->destroy(disk);
}

Test(blk_backends, a_new_size_reaches_the_device)
{
    with_each(resize);
}
