// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/blk_file.h"

#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "core/loop/evloop_impl.h"
#include "core/ports/block.h"
#include "devices/disk/blk_file_impl.h"
#include "tests/harness/test.h"

#define DISK_BYTES (1 * MIB)

static struct evloop *loop;
static char dir[64], path[80];
static int done_count, failed_count, last_result;

static void setup(void)
{
    const char *where = getenv("MINIVET_TEST_IMAGES");
    listen_to_log(LOG_DEBUG);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    snprintf(dir, sizeof(dir), "%s/minivet-blk-XXXXXX", where != NULL ? where : "/var/tmp");
    cr_assert_not_null(mkdtemp(dir), "%s", dir);
    snprintf(path, sizeof(path), "%s/disk.img", dir);
}

static void teardown(void)
{
    evloop_destroy(loop);
    unlink(path);
    rmdir(dir);
}

TestSuite(blk_file, .init = setup, .fini = teardown);

static void make_file(off_t bytes)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, bytes), 0);
    close(fd);
}

static int try_open(struct blk_backend **disk, bool read_only)
{
    struct blk_file_config config = {.loop = loop, .path = path, .read_only = read_only};
    logged_line[0] = '\0';
    *disk = NULL;
    return blk_file_create(disk, &config);
}

static struct blk_backend *open_disk(off_t bytes)
{
    struct blk_backend *disk;
    make_file(bytes);
    cr_assert_eq(try_open(&disk, false), 0);
    return disk;
}

static void on_done(struct blk_req *req, int result)
{
    (void)req;
    done_count++;
    failed_count += result != 0;
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

static int run(struct blk_backend *disk, enum blk_op op, uint64_t offset, void *data, size_t len)
{
    struct iovec iov = {data, len};
    struct blk_req req = request(op, offset, &iov, op == BLK_FLUSH ? 0 : 1);
    int before = done_count;
    disk->ops->submit(disk, &req);
    cr_assert_eq(done_count, before); /* never inside submit() */
    evloop_drain(loop);
    cr_assert_eq(done_count, before + 1);
    return last_result;
}

/* ---- requests ---- */

Test(blk_file, what_is_written_is_in_the_file)
{
    struct blk_backend *disk = open_disk(DISK_BYTES);
    char text[512] = "Hello", back[512] = {0}, file[512] = {0};
    cr_expect_eq(disk->info.capacity_bytes, DISK_BYTES);
    cr_expect_not(disk->info.read_only);
    cr_expect_eq(run(disk, BLK_WRITE, 512, text, sizeof(text)), 0);
    cr_expect_eq(run(disk, BLK_READ, 512, back, sizeof(back)), 0);
    cr_expect_eq(run(disk, BLK_FLUSH, 0, NULL, 0), 0);
    cr_expect_str_eq(back, "Hello");
    disk->ops->destroy(disk);

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq((int)pread(fd, file, sizeof(file), 512), sizeof(file));
    cr_expect_str_eq(file, "Hello");
    close(fd);
}

/* More vectors than a system call takes, many of them empty, at odd lengths. */
Test(blk_file, any_cut_of_the_vectors_works)
{
    enum { VECTORS = 3000 };
    static struct iovec iov[VECTORS];
    static uint8_t data[DISK_BYTES], back[DISK_BYTES];
    struct blk_backend *disk = open_disk(DISK_BYTES);
    srand(3);
    size_t at = 0;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)rand();
    for (unsigned i = 0; i < VECTORS; i++) {
        size_t len = i < 300 || rand() % 3 == 0 ? 0 : (size_t)rand() % 500;
        iov[i] = (struct iovec){data + at, len};
        at += len;
    }
    struct blk_req req = request(BLK_WRITE, 1024, iov, VECTORS);
    disk->ops->submit(disk, &req);
    evloop_drain(loop);
    cr_expect_eq(last_result, 0);
    for (unsigned i = 0; i < VECTORS; i++)
        iov[i].iov_base = back + ((uint8_t *)iov[i].iov_base - data);
    req = request(BLK_READ, 1024, iov, VECTORS);
    disk->ops->submit(disk, &req);
    evloop_drain(loop);
    cr_expect_eq(last_result, 0);
    cr_expect_eq(memcmp(data, back, at), 0);
    disk->ops->destroy(disk);
}

Test(blk_file, many_requests_complete_once_each)
{
    enum { COUNT = 200 };
    static struct blk_req reqs[COUNT];
    static struct iovec iovs[COUNT];
    static uint64_t numbers[COUNT];
    struct blk_backend *disk = open_disk(DISK_BYTES);
    for (unsigned i = 0; i < COUNT; i++) {
        numbers[i] = i + 1;
        iovs[i] = (struct iovec){&numbers[i], sizeof(numbers[i])};
        reqs[i] = request(BLK_WRITE, i * 512, &iovs[i], 1);
        disk->ops->submit(disk, &reqs[i]);
    }
    evloop_drain(loop);
    cr_expect_eq(done_count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        numbers[i] = 0;
        reqs[i] = request(BLK_READ, i * 512, &iovs[i], 1);
        disk->ops->submit(disk, &reqs[i]);
    }
    evloop_drain(loop);
    cr_expect_eq(done_count, 2 * COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        cr_expect_eq(numbers[i], i + 1);
    for (unsigned i = 0; i < COUNT; i++) {
        reqs[i] = request(BLK_FLUSH, 0, NULL, 0);
        disk->ops->submit(disk, &reqs[i]);
    }
    cr_expect_eq(failed_count, 0);
    disk->ops->destroy(disk);
    cr_expect_eq(done_count, 3 * COUNT, "without the loop's help");
}

static struct blk_backend *again_disk;
static int again;

static void submit_again(struct blk_req *req, int result)
{
    cr_expect(result == 0 || result == -ECANCELED);
    if (++again < 100)
        again_disk->ops->submit(again_disk, req);
}

Test(blk_file, done_may_submit_even_while_draining)
{
    char byte = 1;
    struct iovec iov = {&byte, 1};
    struct blk_req req = request(BLK_WRITE, 0, &iov, 1);
    again_disk = open_disk(DISK_BYTES);
    req.done = submit_again;
    again_disk->ops->submit(again_disk, &req);
    evloop_drain(loop);
    cr_expect_eq(again, 100);
    again = 50;
    again_disk->ops->submit(again_disk, &req);
    again_disk->ops->drain(again_disk);
    cr_expect_eq(again, 100);
    again_disk->ops->destroy(again_disk);
}

/* ---- failures ---- */

Test(blk_file, a_file_that_became_shorter_is_eio)
{
    struct blk_backend *disk = open_disk(DISK_BYTES);
    static char data[4096];
    cr_assert_eq(truncate(path, 2048), 0);
    cr_expect_eq(run(disk, BLK_READ, 4096, data, sizeof(data)), -EIO);
    expect_logged("read at byte 4096");
    logged_line[0] = '\0';
    cr_expect_eq(run(disk, BLK_READ, 0, data, sizeof(data)), -EIO); /* half of it is there */
    cr_expect_eq(run(disk, BLK_READ, 0, data, 2048), 0);
    cr_expect_eq(run(disk, BLK_WRITE, 4096, data, sizeof(data)), 0);
    cr_expect_str_eq(logged_line, ""); /* once is enough */
    disk->ops->destroy(disk);
}

Test(blk_file, ranges_and_rights_are_checked)
{
    struct blk_backend *disk = open_disk(DISK_BYTES);
    char data[512] = {0};
    cr_expect_eq(run(disk, BLK_WRITE, DISK_BYTES, data, 512), -EIO);
    cr_expect_eq(run(disk, BLK_READ, UINT64_MAX - 511, data, 512), -EIO);
    disk->ops->destroy(disk);
    cr_assert_eq(try_open(&disk, true), 0);
    cr_expect(disk->info.read_only);
    cr_expect_eq(run(disk, BLK_WRITE, 0, data, 512), -EROFS);
    cr_expect_eq(run(disk, BLK_READ, 0, data, 512), 0);
    disk->ops->destroy(disk);
}

/* A sparse image on a file system that is smaller than it. */
Test(blk_file, a_full_host_is_enospc)
{
    static char data[64 * KIB];
    if (unshare(CLONE_NEWNS) < 0)
        cr_skip_test("no mount namespace for a file system of its own");
    if (mount("none", dir, "tmpfs", 0, "size=64k") < 0)
        cr_skip_test("no tmpfs");
    struct blk_backend *disk = open_disk(DISK_BYTES);
    memset(data, 1, sizeof(data));
    cr_expect_eq(run(disk, BLK_WRITE, 0, data, 4096), 0);
    run(disk, BLK_WRITE, 128 * KIB, data, sizeof(data));
    cr_expect_eq(run(disk, BLK_WRITE, 256 * KIB, data, sizeof(data)), -ENOSPC);
    cr_expect_eq(run(disk, BLK_READ, 0, data, 4096), 0);
    disk->ops->destroy(disk);
    umount(dir);
}

/* A limit on file sizes cuts a write short first, and the rest of it fails. */
Test(blk_file, a_short_write_is_continued_to_its_error)
{
    static char data[8192];
    struct rlimit limit = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
    struct blk_backend *disk = open_disk(DISK_BYTES);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(run(disk, BLK_WRITE, 0, data, sizeof(data)), -EFBIG);
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    disk->ops->destroy(disk);
}

/* ---- opening ---- */

static void expect_refused(bool read_only, int err, const char *words)
{
    struct blk_backend *disk;
    cr_expect_eq(try_open(&disk, read_only), err);
    cr_expect_not_null(strstr(logged_line, path), "the file is not named: %s", logged_line);
    expect_logged(words);
}

Test(blk_file, an_image_is_opened_for_writing_once)
{
    struct blk_backend *first = open_disk(DISK_BYTES), *second;
    expect_refused(false, -EBUSY, "in use");
    expect_refused(true, -EBUSY, "in use");
    first->ops->destroy(first);
    cr_assert_eq(try_open(&first, true), 0);
    cr_assert_eq(try_open(&second, true), 0);
    expect_refused(false, -EBUSY, ",ro");
    second->ops->destroy(second);
    first->ops->destroy(first);
    cr_assert_eq(try_open(&first, false), 0);
    first->ops->destroy(first);
}

Test(blk_file, what_is_no_disk_is_refused)
{
    expect_refused(false, -ENOENT, "No such file");
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_refused(true, -EISDIR, "directory");
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_refused(true, -EINVAL, "neither");
    cr_assert_eq(unlink(path), 0);
    snprintf(path, sizeof(path), "/dev/full");
    expect_refused(false, -EINVAL, "neither");
    path[0] = '\0';
}

Test(blk_file, unreadable_and_unwritable_files_are_refused)
{
    make_file(DISK_BYTES);
    if (geteuid() == 0) {
        cr_assert_eq(chmod(dir, 0755), 0);
        cr_assert_eq(seteuid(65534), 0);
    } else {
        cr_assert_eq(chmod(path, 0), 0);
    }
    expect_refused(true, -EACCES, "Permission denied");
    expect_refused(false, -EACCES, ",ro");
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0);
}

Test(blk_file, sizes)
{
    struct blk_backend *disk;
    make_file(0);
    expect_refused(false, -EINVAL, "empty");
    make_file(511);
    expect_refused(false, -EINVAL, "smaller than a sector");
    make_file(1025);
    cr_assert_eq(try_open(&disk, false), 0);
    cr_expect_eq(disk->info.capacity_bytes, 1024);
    expect_logged("no whole sector");
    disk->ops->destroy(disk);
}

Test(blk_file, sizes_are_whole_blocks)
{
    struct blk_file_config config = {.loop = loop, .path = path, .sector_bytes = 4096};
    struct blk_backend *disk;
    make_file(2048);
    cr_expect_eq(blk_file_create(&disk, &config), -EINVAL);
    make_file(3 * 4096 + 512);
    cr_assert_eq(blk_file_create(&disk, &config), 0, "%s", logged_line);
    cr_expect_eq(disk->info.logical_bytes, 4096);
    cr_expect_eq(disk->info.capacity_bytes, 3 * 4096);
    cr_expect_eq(blk_file_resize(disk, 4 * 4096 + 512), -EINVAL);
    make_file(6 * 4096 + 1024);
    cr_expect_eq(blk_file_remeasure(disk), 0);
    cr_expect_eq(disk->info.capacity_bytes, 6 * 4096);
    disk->ops->destroy(disk);
}

Test(blk_file, a_qcow2_image_is_pointed_out)
{
    struct blk_backend *disk;
    make_file(DISK_BYTES);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq((int)write(fd, "QFI\xfb", 4), 4);
    close(fd);
    cr_assert_eq(try_open(&disk, false), 0);
    expect_logged("qcow2");
    disk->ops->destroy(disk);
}

/* ---- with a loop thread ---- */

static int submit_call(void *req)
{
    again_disk->ops->submit(again_disk, req);
    return 0;
}

static int drain_call(void *disk)
{
    again_disk->ops->drain(disk);
    return done_count;
}

Test(blk_file, a_busy_loop_may_stop_at_any_time)
{
    enum { COUNT = 64 };
    static struct blk_req reqs[COUNT];
    static struct iovec iovs[COUNT];
    static char data[512];
    again_disk = open_disk(DISK_BYTES);
    for (int round = 0; round < 20; round++) {
        done_count = 0;
        cr_assert_eq(evloop_start_thread(loop), 0);
        for (unsigned i = 0; i < COUNT; i++) {
            iovs[i] = (struct iovec){data, sizeof(data)};
            reqs[i] = request(BLK_WRITE, i * 512, &iovs[i], 1);
            evloop_call(loop, submit_call, &reqs[i]);
        }
        if (round % 2 == 0)
            cr_expect_eq(evloop_call(loop, drain_call, again_disk), COUNT);
        evloop_stop_thread(loop);
        again_disk->ops->drain(again_disk); /* helpers may still be at it */
        cr_expect_eq(done_count, COUNT);
    }
    again_disk->ops->destroy(again_disk);
}

/* A guest may ask for more than the host moves in a day, and then for a reset or its end. */
Test(blk_file, drain_does_not_wait_for_all_that_was_asked_for)
{
    enum { COUNT = 256, VECTORS = 254, VECTOR_BYTES = 4 << 20 };
    static struct blk_req reqs[COUNT];
    static struct iovec iov[VECTORS];
#if defined(__SANITIZE_THREAD__)
    cr_skip_test("all reads go to the same memory");
#endif
    struct blk_backend *disk = again_disk = open_disk((off_t)VECTORS * VECTOR_BYTES);
    void *data =
        mmap(NULL, VECTOR_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < VECTORS; i++)
        iov[i] = (struct iovec){data, VECTOR_BYTES};
    cr_assert_eq(evloop_start_thread(loop), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        reqs[i] = request(BLK_READ, 0, iov, VECTORS);
        evloop_call(loop, submit_call, &reqs[i]);
    }
    disk->ops->drain(disk);
    cr_expect_eq(done_count, COUNT);
    cr_expect_gt(failed_count, COUNT / 2, "not 256 GiB");
    evloop_stop_thread(loop);
    struct iovec sector = {data, 512};
    reqs[0] = request(BLK_READ, 0, &sector, 1);
    disk->ops->submit(disk, &reqs[0]);
    evloop_drain(loop);
    cr_expect_eq(last_result, 0, "afterwards it works as before");
    disk->ops->destroy(disk);
    munmap(data, VECTOR_BYTES);
}

/* ---- a flush that takes long ---- */

static const struct evloop_engine *real_engine;
static struct ev_io *slow_flush;

static void keep_first_flush(struct evloop *l, struct ev_io *io)
{
    if (io->op == EV_IO_FDATASYNC && slow_flush == NULL)
        slow_flush = io;
    else
        real_engine->io(l, io);
}

/* A second file beside the disk's. */
static const char *make_other(off_t bytes)
{
    static char other[sizeof(path) + 2];
    snprintf(other, sizeof(other), "%s.2", path);
    int fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(ftruncate(fd, bytes), 0);
    close(fd);
    return other;
}

Test(blk_file, another_file_takes_its_place_if_it_is_opened_like_it)
{
    struct blk_backend *disk = open_disk(DISK_BYTES);
    const char *other = make_other(2 * DISK_BYTES);
    const struct blk_file_config unlike[] = {{.path = other, .read_only = true},
                                             {.path = other, .cache = BLK_FILE_CACHE_UNSAFE},
                                             {.path = other, .sector_bytes = 4096}};
    struct blk_file *spare = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(unlike); i++) {
        cr_assert_eq(blk_spare_open(&spare, &unlike[i]), 0);
        cr_expect_eq(blk_spare_exchange(disk, spare), -EINVAL, "%u", i);
        blk_spare_close(spare);
    }
    cr_expect_eq(disk->info.capacity_bytes, DISK_BYTES);
    cr_assert_eq(blk_spare_open(&spare, &(struct blk_file_config){.path = other}), 0);
    cr_expect_eq(blk_spare_exchange(disk, spare), 0);
    cr_expect_eq(disk->info.capacity_bytes, 2 * DISK_BYTES);
    blk_spare_close(spare);
    blk_spare_close(NULL);
    unlink(other);
    spare = NULL;
    cr_expect_eq(blk_spare_open(&spare, &(struct blk_file_config){.path = other}), -ENOENT);
    cr_expect_null(spare);
    disk->ops->destroy(disk);
}

/* A guest that has filled the page cache asks for a flush, and then for a reset. */
Test(blk_file, drain_leaves_a_flush_behind)
{
    struct blk_backend *disk = open_disk(DISK_BYTES);
    struct blk_req flush = request(BLK_FLUSH, 0, NULL, 0);
    struct evloop_engine slow_engine = *loop->engine;
    real_engine = loop->engine;
    slow_engine.io = keep_first_flush;
    loop->engine = &slow_engine;
    disk->ops->submit(disk, &flush);
    cr_assert_not_null(slow_flush);
    disk->ops->drain(disk);
    cr_expect_eq(done_count, 1);
    cr_expect_eq(last_result, -ECANCELED);
    cr_expect_eq(run(disk, BLK_FLUSH, 0, NULL, 0), 0, "the next one goes its way");
    const char *other = make_other(DISK_BYTES);
    struct blk_file *spare;
    cr_assert_eq(blk_spare_open(&spare, &(struct blk_file_config){.path = other}), 0);
    cr_expect_eq(blk_spare_exchange(disk, spare), -EAGAIN, "it is one of this file");
    real_engine->io(loop, slow_flush);
    evloop_drain(loop);
    cr_expect_eq(done_count, 2, "it came home, for no request");
    atomic_store(&container_of(disk, struct blk_file, b)->flush_failed, true);
    cr_expect_eq(run(disk, BLK_FLUSH, 0, NULL, 0), -EIO);
    cr_expect_eq(blk_spare_exchange(disk, spare), 0);
    cr_expect_eq(blk_spare_close(spare), -EIO, "the host says that once");
    cr_expect_eq(run(disk, BLK_FLUSH, 0, NULL, 0), 0, "the other file is as it should be");
    unlink(other);
    loop->engine = real_engine;
    disk->ops->destroy(disk);
}

/* ---- what others have out ---- */

#define LONG_MS 20000

static int gate;
static atomic_bool passed;

static void wait_at_gate(void *ctx)
{
    struct pollfd p = {.fd = gate, .events = POLLIN};
    (void)ctx;
    poll(&p, 1, LONG_MS);
    atomic_store(&passed, true);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

/* As the server of another disk may never answer on its lane. */
Test(blk_file, its_end_waits_for_no_other_device)
{
    struct blk_backend *disk = open_disk(DISK_BYTES);
    struct ev_work work = {.run = wait_at_gate, .done = nothing};
    struct evloop_lane *lane;
    gate = eventfd(0, EFD_CLOEXEC);
    cr_assert_eq(evloop_lane_create(&lane, loop, "lane"), 0);
    evloop_lane_submit(lane, &work);
    disk->ops->destroy(disk);
    cr_expect_not(atomic_load(&passed), "the lane was waited for");
    cr_assert_eq(eventfd_write(gate, 1), 0);
    evloop_drain(loop);
    evloop_lane_destroy(lane);
    close(gate);
}
