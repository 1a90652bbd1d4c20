// SPDX-License-Identifier: BSD-2-Clause
/* Unpacked kernels that are kept: found again, and never a wrong one or another user's. */
#include <dirent.h>

#include "firmware/kernel/image.h"
#include "firmware/kernel/kernel_cache.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

#define PACKED_BYTES 5000u
#define BYTES        70000u

static char base[] = "/tmp/minivet-cache-XXXXXX";
static char dir[64];
static uint8_t unpacked[BYTES];
static struct image image;
static struct kernel_cache cache;

static void setup(void)
{
    static char path[64];
    static uint8_t packed[PACKED_BYTES];

    fx_capture_errors();
    cr_assert_not_null(mkdtemp(base));
    snprintf(dir, sizeof(dir), "%s/a/b", base);
    for (unsigned i = 0; i < PACKED_BYTES; i++)
        packed[i] = (uint8_t)(i * i >> 3);
    for (unsigned i = 0; i < BYTES; i++)
        unpacked[i] = (uint8_t)(i * 7);
    snprintf(path, sizeof(path), "%s/packed", base);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    cr_assert_eq(write(fd, packed, PACKED_BYTES), (ssize_t)PACKED_BYTES);
    close(fd);
    cr_assert_eq(image_open(&image, "kernel", path), 0);
    cr_assert_eq(kernel_cache_open(&cache, dir, &image, 0, PACKED_BYTES, BYTES), 0);
}

static void teardown(void)
{
    char command[64];

    kernel_cache_close(&cache);
    image_close(&image);
    snprintf(command, sizeof(command), "rm -rf %s", base);
    cr_assert_eq(system(command), 0);
}

TestSuite(firmware_kernel_cache, .init = setup, .fini = teardown);

static void reopen(void)
{
    kernel_cache_close(&cache);
    cr_assert_eq(kernel_cache_open(&cache, dir, &image, 0, PACKED_BYTES, BYTES), 0);
}

/* Is it there? It is right, then. */
static bool found(void)
{
    static uint8_t bytes[BYTES];
    int fd = kernel_cache_find(&cache);

    if (fd < 0)
        return false;
    cr_assert_eq(read(fd, bytes, BYTES), (ssize_t)BYTES);
    cr_assert(memcmp(bytes, unpacked, BYTES) == 0);
    close(fd);
    return true;
}

static void keep(void)
{
    kernel_cache_keep(&cache, &image, unpacked, BYTES);
    cr_assert(found());
}

static const char *entry(void)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, cache.name);
    return path;
}

static unsigned count_files(void)
{
    DIR *d = opendir(dir);
    unsigned count = 0;

    cr_assert_not_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

Test(firmware_kernel_cache, finds_what_it_kept)
{
    cr_assert_not(found());
    keep();
    reopen();
    cr_assert(found());
    cr_assert_eq(count_files(), 1);
}

Test(firmware_kernel_cache, without_a_folder)
{
    kernel_cache_close(&cache);
    cr_assert_eq(kernel_cache_open(&cache, NULL, &image, 0, PACKED_BYTES, BYTES), 0);
    kernel_cache_keep(&cache, &image, unpacked, BYTES);
    cr_assert_not(found());
    cr_assert_eq(kernel_cache_open(&cache, "/dev/null/no", &image, 0, PACKED_BYTES, BYTES), 0);
    kernel_cache_keep(&cache, &image, unpacked, BYTES);
    cr_assert_not(found());
}

Test(firmware_kernel_cache, another_kernel_in_the_same_place)
{
    int fd = open(image.path, O_RDWR);

    keep();
    cr_assert_eq(pwrite(fd, "x", 1, PACKED_BYTES / 2), 1);
    close(fd);
    kernel_cache_keep(&cache, &image, unpacked, BYTES); /* opened before: it is not kept */
    reopen();
    cr_assert_not(found());
    keep();
    cr_assert_eq(count_files(), 1);
}

/* Times that say nothing: the samples do. */
Test(firmware_kernel_cache, other_bytes)
{
    keep();
    for (unsigned i = 0; i < KERNEL_CACHE_SAMPLES; i++) {
        cache.mark.samples[i][KERNEL_CACHE_SAMPLE - 1] ^= 1;
        cr_assert_not(found());
        cache.mark.samples[i][KERNEL_CACHE_SAMPLE - 1] ^= 1;
    }
    cr_assert(found());
}

/* The samples are of all of the file, from its first byte to its last. */
Test(firmware_kernel_cache, samples)
{
    uint8_t last[KERNEL_CACHE_SAMPLE];

    cr_assert_eq(image_read(&image, PACKED_BYTES - sizeof(last), last, sizeof(last)), 0);
    cr_assert(memcmp(cache.mark.samples[KERNEL_CACHE_SAMPLES - 1], last, sizeof(last)) == 0);
    cr_assert_eq(image_read(&image, 0, last, sizeof(last)), 0);
    cr_assert(memcmp(cache.mark.samples[0], last, sizeof(last)) == 0);
}

Test(firmware_kernel_cache, damaged_entries)
{
    keep();
    int fd = open(entry(), O_RDWR);
    cr_assert_eq(pwrite(fd, "x", 1, BYTES), 1); /* the mark */
    cr_assert_not(found());
    keep(); /* in the place of the damaged one */
    close(fd);

    cr_assert_eq(truncate(entry(), BYTES + sizeof(cache.mark) - 1), 0);
    cr_assert_not(found());
    cr_assert_eq(truncate(entry(), BYTES + sizeof(cache.mark.magic)), 0);
    cr_assert_eq(truncate(entry(), BYTES + sizeof(cache.mark)), 0);
    cr_assert_not(found());
    cr_assert_eq(truncate(entry(), 0), 0);
    cr_assert_not(found());
    cr_assert_eq(unlink(entry()), 0);
    cr_assert_eq(mkfifo(entry(), 0600), 0);
    cr_assert_not(found());
    keep();
}

static void write_entry(uint64_t at, const void *bytes, size_t len)
{
    int fd = open(entry(), O_RDWR);

    cr_assert_eq(pwrite(fd, bytes, len, (off_t)at), (ssize_t)len);
    close(fd);
}

/* Whatever a crash of the host left of an entry: it is not found, and another takes its place. */
Test(firmware_kernel_cache, entries_from_before_a_start_of_the_host)
{
    keep();
    cr_assert_eq(strspn(cache.mark.boot, "0123456789abcdef-\n"), 37,
                 "this host does not say when it started");
    write_entry(BYTES + offsetof(struct kernel_cache_mark, boot), "another", 7);
    cr_assert_not(found());
    keep();
    cr_assert_eq(count_files(), 1);
}

/* Without a start, too: what is zero all over, or was never summed up. */
Test(firmware_kernel_cache, entries_without_their_bytes)
{
    static const uint8_t zeroes[BYTES];

    keep();
    write_entry(0, zeroes, BYTES);
    cr_assert_not(found());
    keep();
    write_entry(BYTES + offsetof(struct kernel_cache_mark, sum), zeroes, sizeof(uint64_t));
    cr_assert_not(found());
}

Test(firmware_kernel_cache, entries_of_others)
{
    keep();
    cr_assert_eq(chmod(entry(), 0620), 0);
    cr_assert_not(found());
    cr_assert_eq(chmod(entry(), 0602), 0);
    cr_assert_not(found());
    cr_assert_eq(chmod(entry(), 0600), 0);
    cr_assert(found());
    if (geteuid() == 0) {
        cr_assert_eq(chown(entry(), 1, -1), 0);
        cr_assert_not(found());
        cr_assert_eq(chown(entry(), 0, -1), 0);
    }
    char other[sizeof(dir) + 8];
    snprintf(other, sizeof(other), "%s/other", base);
    cr_assert_eq(rename(entry(), other), 0);
    cr_assert_eq(symlink(other, entry()), 0);
    cr_assert_not(found());
}

Test(firmware_kernel_cache, folders_of_others)
{
    static const mode_t open_to_others[] = {0720, 0702, 0755};
    struct stat st;

    keep();
    cr_assert_eq(stat(dir, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    for (unsigned i = 0; i < ARRAY_SIZE(open_to_others); i++) {
        cr_assert_eq(chmod(dir, open_to_others[i]), 0);
        reopen();
        cr_assert_not(found());
    }
    cr_assert_eq(chmod(dir, 0700), 0);
    reopen();
    cr_assert(found());
    if (geteuid() == 0) {
        cr_assert_eq(chown(dir, 1, -1), 0);
        reopen();
        cr_assert_not(found());
    }
}

Test(firmware_kernel_cache, the_least_recently_used_goes)
{
    char name[sizeof(cache.name)];

    snprintf(name, sizeof(name), "%s", cache.name);
    for (unsigned i = 0; i < KERNEL_CACHE_ENTRIES + 3; i++) {
        struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};

        snprintf(cache.name, sizeof(cache.name), "unpacked-%u", i);
        keep();
        cr_assert_eq(utimensat(AT_FDCWD, entry(), times, 0), 0);
        cr_assert_leq(count_files(), KERNEL_CACHE_ENTRIES);
    }
    snprintf(cache.name, sizeof(cache.name), "unpacked-%u", 2);
    cr_assert_not(found());
    snprintf(cache.name, sizeof(cache.name), "unpacked-%u", 3);
    cr_assert(found()); /* the oldest that is left: now it was used */
    snprintf(cache.name, sizeof(cache.name), "%s", name);
    keep();
    snprintf(cache.name, sizeof(cache.name), "unpacked-%u", 3);
    cr_assert(found());
    snprintf(cache.name, sizeof(cache.name), "unpacked-%u", 4);
    cr_assert_not(found());
}

/* No kernel fills the user's disk. */
Test(firmware_kernel_cache, what_is_too_large_is_not_kept)
{
    kernel_cache_close(&cache);
    cr_assert_eq(kernel_cache_open(&cache, dir, &image, 0, PACKED_BYTES, KERNEL_CACHE_MAX_BYTES),
                 0);
    cr_assert_geq(cache.dir_fd, 0);
    kernel_cache_close(&cache);
    cr_assert_eq(
        kernel_cache_open(&cache, dir, &image, 0, PACKED_BYTES, KERNEL_CACHE_MAX_BYTES + 1), 0);
    cr_assert_lt(cache.dir_fd, 0);
}

/*
 * A file system that a stranger made may show another file of the same device, number, size, times
 * and samples: the next mount's.
 */
Test(firmware_kernel_cache, file_systems_of_strangers)
{
    static uint8_t packed[PACKED_BYTES];
    int fd = memfd_create("packed", MFD_CLOEXEC);
    struct image other = {.role = "kernel", .path = "other", .fd = fd, .bytes = PACKED_BYTES};

    cr_assert_eq(write(fd, packed, PACKED_BYTES), (ssize_t)PACKED_BYTES);
    kernel_cache_close(&cache);
    cr_assert_eq(kernel_cache_open(&cache, dir, &other, 0, PACKED_BYTES, BYTES), 0);
    cr_assert_lt(cache.dir_fd, 0);
    kernel_cache_keep(&cache, &other, unpacked, BYTES);
    cr_assert_not(found());
    close(fd);
}

/* The folder may have been somebody's before. */
Test(firmware_kernel_cache, other_files_stay)
{
    char path[sizeof(dir) + 16];

    for (unsigned i = 0; i < 2 * KERNEL_CACHE_ENTRIES; i++) {
        snprintf(path, sizeof(path), "%s/mine-%u", dir, i);
        cr_assert_geq(close(open(path, O_WRONLY | O_CREAT, 0600)), 0);
    }
    keep();
    cr_assert_eq(count_files(), 2 * KERNEL_CACHE_ENTRIES + 1);
}

/* A process of that number in another container: what it writes stays its own. */
Test(firmware_kernel_cache, two_of_one_name)
{
    char path[sizeof(dir) + sizeof(cache.name) + 16];

    snprintf(path, sizeof(path), "%s/%s.%d", dir, cache.name, (int)getpid());
    int other = open(path, O_WRONLY | O_CREAT, 0600);
    cr_assert_geq(other, 0);
    keep();
    cr_assert_eq(pwrite(other, "other", 5, 0), 5);
    cr_assert(found());
    close(other);
}

/* Several at once: each finds a whole kernel or none. */
Test(firmware_kernel_cache, at_once)
{
    pid_t children[6];

    for (unsigned i = 0; i < ARRAY_SIZE(children); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            for (unsigned n = 0; n < 30; n++) {
                kernel_cache_keep(&cache, &image, unpacked, BYTES);
                if (!found())
                    _exit(1);
            }
            _exit(0);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(children); i++) {
        int status = -1;

        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_assert_eq(status, 0);
    }
    cr_assert_eq(count_files(), 1);
}
