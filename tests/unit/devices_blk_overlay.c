// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/blk_overlay.h"

#include "devices/disk/filter/blk_fault.h"
#include "tests/harness/blk_mem.h"
#include "tests/harness/blkio.h"
#include "tests/harness/test.h"

#define DISK_BYTES (1 << 20)

static struct evloop *loop;
static struct blk_backend *base, *disk;

static struct blk_backend *memory(bool read_only)
{
    struct blk_backend *b = NULL;
    struct blk_mem_config config = {.loop = loop, .bytes = DISK_BYTES, .read_only = read_only};
    cr_assert_eq(blk_mem_create(&b, &config), 0);
    return b;
}

static void create(struct blk_backend *top)
{
    struct blk_overlay_config config = {.loop = loop, .base = base, .top = top};
    cr_assert_eq(blk_overlay_create(&disk, &config), 0);
}

static void setup(void)
{
    listen_to_log(LOG_DEBUG);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    base = memory(true);
    for (unsigned i = 0; i < DISK_BYTES; i++)
        blk_mem_bytes(base)[i] = (uint8_t)(i / 512 + 1);
}

static void teardown(void)
{
    if (disk)
        disk->ops->destroy(disk);
    evloop_destroy(loop);
}

TestSuite(blk_overlay, .init = setup, .fini = teardown);

static int run(enum blk_op op, uint64_t offset, void *data, uint64_t bytes)
{
    return blkio_run(loop, disk, op, offset, data, bytes);
}

Test(blk_overlay, a_read_only_base_can_be_written_and_stays_as_it_is)
{
    static uint8_t before[DISK_BYTES], data[4096], back[8192];
    create(NULL);
    memcpy(before, blk_mem_bytes(base), DISK_BYTES);
    cr_expect_not(disk->info.read_only);
    memset(data, 0xee, sizeof(data));
    cr_expect_eq(run(BLK_WRITE, 2048, data, sizeof(data)), 0);
    cr_expect_eq(run(BLK_ZERO, 65536, NULL, 65536), 0);
    cr_expect_eq(run(BLK_DISCARD, 262144, NULL, 65536), 0);
    cr_expect_eq(run(BLK_FLUSH, 0, NULL, 0), 0);
    cr_expect_eq(run(BLK_READ, 0, back, sizeof(back)), 0);
    cr_expect_eq(memcmp(back, before, 2048), 0);
    cr_expect_eq(memcmp(back + 2048, data, 4096), 0);
    cr_expect_eq(memcmp(back + 6144, before + 6144, 2048), 0);
    cr_expect_eq(run(BLK_READ, 65536 - 512, back, 1024), 0);
    cr_expect_eq(memcmp(back, before + 65536 - 512, 512), 0);
    for (int i = 512; i < 1024; i++)
        cr_expect_eq(back[i], 0);
    cr_expect_eq(memcmp(before, blk_mem_bytes(base), DISK_BYTES), 0);
}

/* Sectors from one and the other in turn, and vectors of a byte: many pieces for one request. */
Test(blk_overlay, a_checkered_read)
{
    static uint8_t sector[512], back[64 * 512];
    static struct iovec iov[64 * 512];
    struct blkio io;
    create(memory(false));
    for (unsigned i = 1; i < 64; i += 2) {
        memset(sector, (int)(0x80 + i), 512);
        cr_assert_eq(run(BLK_WRITE, i * 512, sector, 512), 0);
    }
    for (unsigned i = 0; i < 64 * 512; i++)
        iov[i] = (struct iovec){back + i, 1};
    blkio_init(&io, BLK_READ, 0, back, sizeof(back));
    io.req.iov = iov;
    io.req.iov_count = 64 * 512;
    blkio_submit(disk, &io);
    evloop_drain(loop);
    cr_expect_eq(io.result, 0);
    for (unsigned i = 0; i < 64 * 512; i++)
        cr_assert_eq(back[i], (uint8_t)(i / 512 % 2 ? 0x80 + i / 512 : i / 512 + 1));
}

Test(blk_overlay, a_read_that_is_drained_is_no_success)
{
    static uint8_t sector[512], back[1536];
    struct blkio io;
    create(memory(false));
    cr_assert_eq(run(BLK_WRITE, 512, sector, 512), 0);
    blkio_init(&io, BLK_READ, 0, back, sizeof(back));
    blkio_submit(disk, &io);
    disk->ops->drain(disk);
    cr_expect_eq(io.result, -ECANCELED); /* only the first sector was under way */
    cr_expect_eq(run(BLK_READ, 0, back, sizeof(back)), 0);
}

static struct blk_backend *failing(const char *words)
{
    struct blk_backend *b = memory(false);
    struct blk_fault_spec spec;
    cr_assert_eq(blk_fault_parse(&spec, "top", words), 0);
    cr_assert_eq(blk_fault_create(&b, loop, &clock_host, &spec), 0);
    return b;
}

Test(blk_overlay, a_full_host_is_enospc_and_leaves_the_disk_as_it_was)
{
    static uint8_t data[512], back[512];
    create(failing("enospc:2"));
    memset(data, 0xee, 512);
    cr_expect_eq(run(BLK_WRITE, 0, data, 512), 0);
    cr_expect_eq(run(BLK_WRITE, 512, data, 512), -ENOSPC);
    cr_expect_eq(run(BLK_READ, 512, back, 512), 0);
    cr_expect_eq(back[0], 2); /* the base's */
    cr_expect_eq(run(BLK_READ, 0, back, 512), 0);
    cr_expect_eq(back[0], 0xee);
}

Test(blk_overlay, a_read_error_of_a_part_is_the_requests)
{
    static uint8_t data[512], back[2048];
    create(failing("eio:2"));
    memset(data, 0xee, 512);
    cr_expect_eq(run(BLK_WRITE, 512, data, 512), 0);
    cr_expect_eq(run(BLK_READ, 0, back, 2048), -EIO);
    cr_expect_eq(run(BLK_READ, 0, back, 2048), 0);
    cr_expect_eq(back[600], 0xee);
    cr_expect_eq(back[1100], 3);
}

Test(blk_overlay, a_change_has_whole_sectors)
{
    uint8_t data[512] = {0};
    create(memory(false));
    cr_expect_eq(run(BLK_WRITE, 0, data, 100), -EINVAL);
    cr_expect_eq(run(BLK_WRITE, 100, data, 512), -EINVAL);
    cr_expect_eq(run(BLK_ZERO, 0, NULL, 100), -EINVAL);
    cr_expect_eq(run(BLK_READ, 700, data, 10), 0);
    cr_expect_eq(data[0], 2);
}

Test(blk_overlay, a_host_without_room_for_it_is_named)
{
    struct blk_overlay_config config = {.loop = loop, .base = base};
    setenv("TMPDIR", "/nowhere", 1);
    cr_expect_eq(blk_overlay_create(&disk, &config), -ENOENT);
    expect_logged("/nowhere");
    expect_logged("TMPDIR");
    base->ops->destroy(base); /* still the caller's */
}
