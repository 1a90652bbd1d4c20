// SPDX-License-Identifier: BSD-2-Clause
/* How the file backend does what it does: past the page cache, on block devices, in odd places. */
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "devices/disk/blk_file.h"
#include "devices/disk/blk_file_impl.h"
#include "tests/harness/blkio.h"
#include "tests/harness/test.h"

#define DISK_BYTES (4 * MIB)
#define PAGE       4096

static struct evloop *loop;
static char dir[] = "/var/tmp/minivet-blk-XXXXXX";
static char path[128], logged[4096];
static struct blk_backend *disk;
static uint8_t *data; /* a MiB in whole pages */

static void remember(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    if (strstr(line, " MiB, ") == NULL) /* that says what every disk is */
        snprintf(logged, sizeof(logged), "%s", line);
}

static void setup(void)
{
    log_set_sink(remember, NULL);
    log_set_level(LOG_INFO);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/disk.img", dir);
    data = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(data, MAP_FAILED);
    for (size_t i = 0; i < MIB; i++)
        data[i] = (uint8_t)(i / 512 * 7 + 1);
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
    munmap(data, MIB);
    unlink(path);
    rmdir(dir);
}

TestSuite(blk_file_io, .init = setup, .fini = teardown);

static void make_file(off_t bytes)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, bytes), 0);
    close(fd);
}

static void open_disk(enum blk_file_cache cache)
{
    struct blk_file_config config = {.loop = loop, .path = path, .cache = cache};
    destroy();
    logged[0] = '\0';
    cr_assert_eq(blk_file_create(&disk, &config), 0, "%s", logged);
}

static struct blk_file *inside(void)
{
    return container_of(disk, struct blk_file, b);
}

static void open_direct_or_skip(void)
{
    open_disk(BLK_FILE_CACHE_NONE);
    if (inside()->direct_fd < 0) {
        destroy();
        cr_skip_test("no direct I/O on /var/tmp");
    }
}

static int run(enum blk_op op, uint64_t offset, void *bytes, uint64_t len)
{
    return blkio_run(loop, disk, op, offset, bytes, len);
}

/* How many of the image's pages the host's cache has. */
static unsigned cached_pages(void)
{
    enum { PAGES = DISK_BYTES / PAGE };
    static unsigned char resident[PAGES];
    unsigned count = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map = mmap(NULL, DISK_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    cr_assert_neq(map, MAP_FAILED);
    cr_assert_eq(mincore(map, DISK_BYTES, resident), 0);
    for (unsigned i = 0; i < PAGES; i++)
        count += resident[i] & 1;
    munmap(map, DISK_BYTES);
    close(fd);
    return count;
}

static void write_and_read_back(uint8_t *at, uint64_t offset, uint64_t bytes)
{
    static uint8_t back[MIB] __attribute__((aligned(PAGE)));
    cr_expect_eq(run(BLK_WRITE, offset, at, bytes), 0);
    memset(back, 0, bytes);
    cr_expect_eq(run(BLK_READ, offset, back + ((uintptr_t)at % PAGE), bytes), 0);
    cr_expect_eq(memcmp(back + ((uintptr_t)at % PAGE), at, bytes), 0);
}

/* ---- past the page cache ---- */

Test(blk_file_io, without_a_cache_nothing_is_in_it)
{
    make_file(DISK_BYTES);
    open_direct_or_skip();
    unsigned before = cached_pages();
    write_and_read_back(data, 2 * MIB, 512 * KIB);
    cr_expect_eq(cached_pages(), before);
    open_disk(BLK_FILE_CACHE_WRITEBACK);
    write_and_read_back(data, 3 * MIB, 512 * KIB);
    cr_expect_geq(cached_pages(), before + 128);
}

/* Through buffers: more than there are, and more than one holds. */
static unsigned ended;

static void count_end(struct blk_req *req, int result)
{
    cr_expect(result == 0 || result == -ECANCELED);
    (void)req;
    ended++;
}

/* Or a guest that resets its disk would have the loop wait for gigabytes. */
Test(blk_file_io, of_many_large_requests_few_are_out)
{
    enum { LARGE = 32, SMALL = 200, VECTORS = 16 };
    static struct blk_req reqs[LARGE + SMALL];
    static struct iovec iov[VECTORS], pages[SMALL];
    make_file(VECTORS * MIB);
    open_disk(BLK_FILE_CACHE_NONE);
    for (unsigned i = 0; i < SMALL; i++) /* each its own, for several helpers may read */
        pages[i] = (struct iovec){data + i * PAGE, PAGE};
    for (unsigned i = 0; i < VECTORS; i++)
        iov[i] = (struct iovec){data, MIB};
    for (unsigned i = 0; i < SMALL; i++) {
        reqs[i] = (struct blk_req){
            .op = BLK_READ, .bytes = PAGE, .iov = &pages[i], .iov_count = 1, .done = count_end};
        disk->ops->submit(disk, &reqs[i]);
    }
    cr_expect_eq(inside()->busy, SMALL);
    evloop_drain(loop);
    cr_expect_eq(ended, SMALL);
    for (unsigned i = SMALL; i < SMALL + LARGE; i++) {
        reqs[i] = (struct blk_req){.op = BLK_READ,
                                   .bytes = VECTORS * MIB,
                                   .iov = iov,
                                   .iov_count = VECTORS,
                                   .done = count_end};
        disk->ops->submit(disk, &reqs[i]);
    }
    cr_expect_eq(inside()->busy, 1);
    disk->ops->drain(disk);
    cr_expect_eq(ended, SMALL + LARGE);
    cr_expect_eq(inside()->begun_bytes, 0);
    disk->ops->submit(disk, &reqs[SMALL]);
    disk->ops->submit(disk, &reqs[SMALL + 1]);
    evloop_drain(loop);
    cr_expect_eq(ended, SMALL + LARGE + 2);
}

Test(blk_file_io, vectors_at_odd_places_are_copied)
{
    enum { COUNT = 3 * BUFFERS };
    static struct blkio ios[COUNT];
    static uint8_t back[300 * KIB];
    make_file(DISK_BYTES);
    open_direct_or_skip();
    unsigned before = cached_pages();
    write_and_read_back(data + 1, 2 * MIB, 300 * KIB);
    cr_expect_eq(cached_pages(), before);
    cr_expect_eq(inside()->buffers_used, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        blkio_init(&ios[i], BLK_WRITE, i * PAGE, data + i * PAGE + 1, PAGE);
        blkio_submit(disk, &ios[i]);
    }
    evloop_drain(loop);
    for (unsigned i = 0; i < COUNT; i++)
        cr_expect_eq(ios[i].result, 0);
    cr_expect_eq(run(BLK_READ, 0, back, COUNT * PAGE), 0);
    cr_expect_eq(memcmp(back, data + 1, COUNT * PAGE), 0);
    cr_expect_eq(inside()->buffers_used, 0);
}

/* Bytes at any place, in turns with direct I/O to the same pages. */
Test(blk_file_io, ranges_at_odd_places_stay_coherent)
{
    static uint8_t model[64 * KIB] __attribute__((aligned(PAGE))), back[64 * KIB];
    make_file(DISK_BYTES);
    open_direct_or_skip();
    srand(9);
    for (int i = 0; i < 300; i++) {
        bool whole = rand() % 2;
        uint64_t at = (uint64_t)rand() % 15 * PAGE + (whole ? 0 : (uint64_t)rand() % PAGE);
        uint64_t bytes = whole ? PAGE : 1 + (uint64_t)rand() % PAGE;
        memset(model + at, rand(), bytes);
        cr_assert_eq(run(BLK_WRITE, at, model + at, bytes), 0);
        cr_assert_eq(run(BLK_READ, 0, back, sizeof(back)), 0);
        cr_assert_eq(memcmp(model, back, sizeof(back)), 0, "after %d writes", i);
    }
}

/* No disk takes both ways: the page cache's whole pages undo direct writes beside its own. */
Test(blk_file_io, direct_io_is_for_blocks_that_it_can_take)
{
    make_file(DISK_BYTES);
    open_direct_or_skip();
    blk_file_choose_way(inside());
    cr_expect_geq(inside()->direct_fd, 0, "it takes sectors here");
    inside()->direct_bytes = PAGE;
    inside()->b.info.logical_bytes = PAGE;
    blk_file_choose_way(inside());
    cr_expect_geq(inside()->direct_fd, 0);
    cr_expect_str_eq(logged, "");
    inside()->b.info.logical_bytes = 0;
    blk_file_choose_way(inside());
    cr_expect_eq(inside()->direct_fd, -1);
    cr_expect_not_null(strstr(logged, "sector=4096"), "%s", logged);
    unsigned before = cached_pages();
    write_and_read_back(data, MIB, 8192);
    write_and_read_back(data + 512, 3 * MIB + 512, 512);
    cr_expect_eq(cached_pages(), before + 3);
}

/* As a host that says less than it asks for: its file system, not the one that was looked at. */
Test(blk_file_io, what_direct_io_refuses_after_all_takes_the_page_cache)
{
    make_file(DISK_BYTES);
    open_direct_or_skip();
    inside()->direct_memory = inside()->direct_bytes = 1;
    write_and_read_back(data + 3, 1001, 5000);
    write_and_read_back(data, 0, 8192);
}

/* ramfs knows neither direct I/O nor holes. */
Test(blk_file_io, a_simple_file_system_is_enough)
{
    static uint8_t back[128 * KIB];
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", dir, "ramfs", 0, NULL) < 0)
        cr_skip_test("no file system of its own");
    make_file(DISK_BYTES);
    open_disk(BLK_FILE_CACHE_NONE);
    cr_expect_not_null(strstr(logged, "page cache"), "%s", logged);
    cr_expect_not(disk->info.can_discard);
    cr_expect_eq(run(BLK_DISCARD, 0, NULL, PAGE), -EOPNOTSUPP);
    cr_expect(disk->info.can_zero);
    write_and_read_back(data, 0, MIB);
    cr_expect_eq(run(BLK_ZERO, 512, NULL, MIB - 1024), 0);
    cr_expect_eq(run(BLK_READ, 0, back, 1024), 0);
    cr_expect_eq(memcmp(back, data, 512), 0);
    cr_expect_eq(back[512], 0);
    cr_expect_eq(run(BLK_READ, MIB - 1024, back, 1024), 0);
    cr_expect_eq(back[511], 0);
    cr_expect_eq(memcmp(back + 512, data + MIB - 512, 512), 0);
    destroy();
    unlink(path);
    umount(dir);
}

/* ---- zeroes and holes ---- */

static uint64_t blocks(void)
{
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    return (uint64_t)st.st_blocks;
}

static void expect_zeroes(uint64_t offset, uint64_t bytes)
{
    static uint8_t back[MIB];
    memset(back, 1, bytes);
    cr_expect_eq(run(BLK_READ, offset, back, bytes), 0);
    for (uint64_t i = 0; i < bytes; i++)
        cr_assert_eq(back[i], 0, "byte %llu", (unsigned long long)(offset + i));
}

Test(blk_file_io, zeroes_keep_their_storage_unless_they_need_not)
{
    make_file(DISK_BYTES);
    open_disk(BLK_FILE_CACHE_NONE);
    if (!disk->info.can_discard)
        cr_skip_test("no holes on /var/tmp");
    write_and_read_back(data, 0, MIB);
    cr_expect_eq(run(BLK_FLUSH, 0, NULL, 0), 0);
    uint64_t full = blocks();
    cr_expect_eq(run(BLK_ZERO, 0, NULL, MIB / 2), 0);
    expect_zeroes(0, MIB / 2);
    cr_expect_geq(blocks(), full);
    struct blkio io;
    blkio_init(&io, BLK_ZERO, 0, NULL, MIB / 2);
    io.req.may_unmap = true;
    blkio_submit(disk, &io);
    evloop_drain(loop);
    cr_expect_eq(io.result, 0);
    expect_zeroes(0, MIB / 2);
    cr_expect_leq(blocks(), full / 2 + 64);
    cr_expect_eq(run(BLK_DISCARD, MIB / 2, NULL, MIB / 2), 0);
    cr_expect_leq(blocks(), 64u);
    cr_expect_eq(disk->info.capacity_bytes, DISK_BYTES);
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq((uint64_t)st.st_size, DISK_BYTES);
}

Test(blk_file_io, what_a_device_should_know)
{
    make_file(DISK_BYTES);
    open_disk(BLK_FILE_CACHE_NONE);
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_expect(disk->info.can_zero);
    if (is_pow2((uint64_t)st.st_blksize) && (uint64_t)st.st_blksize <= 64 * KIB) {
        cr_expect_geq(disk->info.physical_bytes, (uint32_t)st.st_blksize);
        cr_expect_eq(disk->info.discard_bytes, (uint32_t)st.st_blksize);
    }
    struct blk_file_config config = {.loop = loop, .path = path, .read_only = true};
    destroy();
    cr_assert_eq(blk_file_create(&disk, &config), 0);
    cr_expect_not(disk->info.can_zero);
    cr_expect_not(disk->info.can_discard);
    cr_expect_eq(run(BLK_ZERO, 0, NULL, 512), -EROFS);
    cr_expect_eq(run(BLK_DISCARD, 0, NULL, 512), -EROFS);
    cr_expect_eq(run(BLK_FLUSH, 0, NULL, 0), 0);
}

/* ---- flushes ---- */

/* A pipe in the file's place cannot be synced; afterwards the host would say that all is well. */
Test(blk_file_io, a_flush_that_failed_is_not_forgotten)
{
    int fds[2], kept;
    make_file(DISK_BYTES);
    open_disk(BLK_FILE_CACHE_WRITEBACK);
    cr_expect_eq(run(BLK_FLUSH, 0, NULL, 0), 0);
    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    cr_assert_geq(kept = dup(inside()->fd), 0);
    cr_assert_geq(dup3(fds[1], inside()->fd, O_CLOEXEC), 0);
    cr_expect_lt(run(BLK_FLUSH, 0, NULL, 0), 0);
    cr_expect_not_null(strstr(logged, "flush"), "%s", logged);
    cr_assert_geq(dup3(kept, inside()->fd, O_CLOEXEC), 0);
    cr_expect_eq(run(BLK_FLUSH, 0, NULL, 0), -EIO);
    cr_expect_eq(run(BLK_WRITE, 0, data, PAGE), 0);
    close(kept);
    close(fds[0]);
    close(fds[1]);
}

Test(blk_file_io, an_unsafe_disk_does_not_ask_the_host_to_flush)
{
    int fds[2], kept;
    make_file(DISK_BYTES);
    open_disk(BLK_FILE_CACHE_UNSAFE);
    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    cr_assert_geq(kept = dup(inside()->fd), 0);
    cr_assert_geq(dup3(fds[1], inside()->fd, O_CLOEXEC), 0);
    cr_expect_eq(run(BLK_FLUSH, 0, NULL, 0), 0);
    cr_assert_geq(dup3(kept, inside()->fd, O_CLOEXEC), 0);
    close(kept);
    close(fds[0]);
    close(fds[1]);
}

/* ---- sizes, formats ---- */

Test(blk_file_io, resize)
{
    make_file(DISK_BYTES);
    open_disk(BLK_FILE_CACHE_NONE);
    cr_expect_eq(blk_file_resize(disk, 2 * DISK_BYTES), 0);
    cr_expect_eq(disk->info.capacity_bytes, 2 * DISK_BYTES);
    expect_zeroes(2 * DISK_BYTES - 4096, 4096);
    cr_expect_eq(blk_file_resize(disk, 0), -EINVAL);
    cr_expect_eq(blk_file_resize(disk, 513), -EINVAL);
    cr_expect_not_null(strstr(logged, "resize to 513 bytes"));
    logged[0] = '\0';
    cr_expect_eq(blk_file_begin_resize(disk, 513), -EINVAL);
    cr_expect_str_eq(logged, "", "a refusal goes to the client, which may ask without end");
    cr_assert_eq(truncate(path, 100), 0);
    cr_expect_eq(blk_file_remeasure(disk), -EINVAL);
    cr_expect_eq(disk->info.capacity_bytes, 2 * DISK_BYTES, "as before");
    cr_expect_eq(run(BLK_READ, 0, data, 512), -EIO);
    struct blk_file_config config = {.loop = loop, .path = path, .read_only = true};
    destroy();
    make_file(DISK_BYTES);
    cr_assert_eq(blk_file_create(&disk, &config), 0);
    cr_expect_eq(blk_file_resize(disk, 2 * DISK_BYTES), -EROFS);
}

Test(blk_file_io, other_formats_are_pointed_out)
{
    static const struct {
        const char *bytes, *option;
        off_t at;
    } formats[] = {
        {"QFI\xfb", "format=qcow2", 0},         {"KDMV", "format=vmdk", 0},
        {"\x7f\x10\xda\xbe", "format=vdi", 64}, {"vhdxfile", "format=vhdx", 0},
        {"conectix", "format=vpc", 0},          {"# Disk DescriptorFile", "format=vmdk", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        destroy();
        unlink(path);
        make_file(DISK_BYTES);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ssize_t len = (ssize_t)strlen(formats[i].bytes);
        cr_assert_eq((int)pwrite(fd, formats[i].bytes, (size_t)len, formats[i].at), (int)len);
        close(fd);
        open_disk(BLK_FILE_CACHE_WRITEBACK);
        cr_expect_not_null(strstr(logged, formats[i].option), "%s", logged);
    }
    make_file(0);
    make_file(DISK_BYTES);
    open_disk(BLK_FILE_CACHE_WRITEBACK);
    cr_expect_str_eq(logged, "");
}

/* ---- a block device ---- */

/* A loop device on the image, or a skipped test. */
static int attach_loop(char *device, size_t size)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
    if (control >= 0)
        close(control);
    snprintf(device, size, "/dev/loop%d", number);
    int fd = number < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
    int image = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, LOOP_SET_FD, image) < 0) {
        close(image);
        cr_skip_test("no loop devices");
    }
    close(image);
    return fd;
}

Test(blk_file_io, a_block_device)
{
    enum { COUNT = 20 };
    static struct blkio ios[COUNT];
    char image[sizeof(path)], device[32];
    make_file(DISK_BYTES);
    int loop_fd = attach_loop(device, sizeof(device));
    strcpy(image, path);
    strcpy(path, device);
    open_disk(BLK_FILE_CACHE_NONE);
    cr_expect(inside()->is_device);
    cr_expect_eq(disk->info.capacity_bytes, DISK_BYTES);
    cr_expect_geq(disk->info.physical_bytes, 512u);
    write_and_read_back(data, 0, MIB);
    write_and_read_back(data + 1, 8192, 8192);
    write_and_read_back(data, 100, 1000);
    cr_expect_eq(run(BLK_ZERO, 4096, NULL, 65536), 0);
    expect_zeroes(4096, 65536);
    cr_expect_eq(run(BLK_ZERO, 100, NULL, 10), 0);
    expect_zeroes(100, 10);
    cr_expect_eq(run(BLK_FLUSH, 0, NULL, 0), 0);
    cr_expect(disk->info.can_discard);
    cr_expect_eq(run(BLK_DISCARD, 0, NULL, MIB), 0);
    expect_zeroes(0, MIB); /* as a loop device does it */
    for (int round = 0; round < 20; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            blkio_init(&ios[i], BLK_DISCARD, i * 65536, NULL, 65536);
            blkio_submit(disk, &ios[i]);
        }
        if (round % 2)
            disk->ops->drain(disk);
        else
            evloop_drain(loop);
        for (unsigned i = 0; i < COUNT; i++)
            cr_assert(ios[i].done == 1 && (ios[i].result == 0 || ios[i].result == -ECANCELED));
    }
    cr_expect_eq(run(BLK_DISCARD, 0, NULL, 512), 0); /* while a helper may be on its way home */
    cr_assert_eq(truncate(image, 2 * DISK_BYTES), 0);
    cr_assert_eq(ioctl(loop_fd, LOOP_SET_CAPACITY), 0);
    cr_expect_eq(blk_file_remeasure(disk), 0);
    cr_expect_eq(disk->info.capacity_bytes, 2 * DISK_BYTES);
    cr_expect_eq(blk_file_resize(disk, DISK_BYTES), -EINVAL);
    destroy();
    strcpy(path, image);
    cr_expect_eq(ioctl(loop_fd, LOOP_CLR_FD), 0);
    close(loop_fd);
}
