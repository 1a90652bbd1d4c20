// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/kernel_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/xmath.h"
#include "firmware/kernel/image.h"

#define MAGIC  "minivet kernel 4" /* with the mark's meaning */
#define PREFIX "unpacked-"

/* ---- ownership ---- */

static bool is_ours_alone(const struct stat *st)
{
    return st->st_uid == geteuid() && (st->st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

/* The folder and those above it. */
static void make_folders(const char *dir)
{
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s", dir) >= sizeof(path))
        return;
    for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        (void)mkdir(path, 0700);
        *p = '/';
    }
    (void)mkdir(path, 0700);
}

static int open_folder(const char *dir)
{
    const int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct stat st;
    int fd = open(dir, how);

    if (fd < 0 && errno == ENOENT) {
        make_folders(dir);
        fd = open(dir, how);
    }
    if (fd < 0) {
        log_info("unpacked kernels are not kept: %s: %s", dir, strerror(errno));
    } else if (fstat(fd, &st) < 0 || !is_ours_alone(&st)) {
        log_info("unpacked kernels are not kept: %s is open to others", dir);
        close(fd);
        fd = -1;
    }
    return fd;
}

/* ---- an entry's name and mark ---- */

/* The host's boot ID; false: it cannot be read. */
static bool identify_boot(char boot[KERNEL_CACHE_BOOT_BYTES])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, boot, KERNEL_CACHE_BOOT_BYTES) : -1;

    if (fd >= 0)
        close(fd);
    return len > 0;
}

static bool identify(const struct image *packed, uint64_t identity[7])
{
    struct stat st;

    if (fstat(packed->fd, &st) < 0)
        return false;
    identity[0] = st.st_dev;
    identity[1] = st.st_ino;
    identity[2] = (uint64_t)st.st_size;
    identity[3] = (uint64_t)st.st_mtim.tv_sec;
    identity[4] = (uint64_t)st.st_mtim.tv_nsec;
    identity[5] = (uint64_t)st.st_ctim.tv_sec;
    identity[6] = (uint64_t)st.st_ctim.tv_nsec;
    return true;
}

/* An overlay's files may have other devices than its folders: one of the two must be the same. */
static bool same_file_system(const struct statx *a, int fd, const char *path)
{
    struct statx b;

    if (statx(fd, path, AT_EMPTY_PATH, STATX_MNT_ID, &b) < 0)
        return false;
    return (a->stx_dev_major == b.stx_dev_major && a->stx_dev_minor == b.stx_dev_minor) ||
           ((a->stx_mask & b.stx_mask & STATX_MNT_ID) && a->stx_mnt_id == b.stx_mnt_id);
}

/* Is its file system trusted to identify files? */
static bool is_trusted(const struct kernel_cache *c, const struct image *packed)
{
    struct statx sx;

    return statx(packed->fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) == 0 &&
           (same_file_system(&sx, c->dir_fd, "") || same_file_system(&sx, AT_FDCWD, "/") ||
            same_file_system(&sx, AT_FDCWD, "/boot"));
}

/* Of 64 bytes of each MiB; any one word that differs makes another. 0: none. */
static uint64_t sum_up(int fd, uint64_t bytes)
{
    uint64_t sum = 1;

    for (uint64_t at = 0; at < bytes; at += MIB) {
        uint64_t words[8] = {0};
        size_t len = min_u64(sizeof(words), bytes - at);

        if (pread(fd, words, len, (off_t)at) != (ssize_t)len)
            return 0;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
            sum = (sum ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
            sum ^= sum >> 32;
        }
    }
    return sum;
}

int kernel_cache_open(struct kernel_cache *c, const char *dir, const struct image *packed,
                      uint64_t offset, uint32_t bytes, uint32_t unpacked_bytes)
{
    size_t len = min_u64(bytes, KERNEL_CACHE_SAMPLE);
    int err = 0;

    memset(c, 0, sizeof(*c));
    c->dir_fd = dir && unpacked_bytes <= KERNEL_CACHE_MAX_BYTES ? open_folder(dir) : -1;
    if (c->dir_fd < 0)
        return 0;
    memcpy(c->mark.magic, MAGIC, sizeof(c->mark.magic));
    c->mark.identity[7] = offset;
    c->mark.identity[8] = bytes;
    c->mark.identity[9] = unpacked_bytes;
    for (unsigned i = 0; err == 0 && i < KERNEL_CACHE_SAMPLES; i++)
        err = image_read(packed, offset + (bytes - len) * i / (KERNEL_CACHE_SAMPLES - 1),
                         c->mark.samples[i], len);
    if (err < 0 || !identify(packed, c->mark.identity) || !is_trusted(c, packed) ||
        !identify_boot(c->mark.boot))
        kernel_cache_close(c);
    snprintf(c->name, sizeof(c->name), PREFIX "%" PRIx64 "-%" PRIx64, c->mark.identity[0],
             c->mark.identity[1]);
    return err;
}

void kernel_cache_close(struct kernel_cache *c)
{
    if (c->dir_fd >= 0)
        close(c->dir_fd);
    c->dir_fd = -1;
}

int kernel_cache_find(const struct kernel_cache *c)
{
    off_t unpacked_bytes = (off_t)c->mark.identity[9];
    struct kernel_cache_mark mark;
    struct stat st;

    if (c->dir_fd < 0)
        return -1;
    int fd = openat(c->dir_fd, c->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_ours_alone(&st) &&
        st.st_size == unpacked_bytes + (off_t)sizeof(mark) &&
        pread(fd, &mark, sizeof(mark), unpacked_bytes) == (ssize_t)sizeof(mark) &&
        memcmp(&mark, &c->mark, offsetof(struct kernel_cache_mark, sum)) == 0 && mark.sum != 0 &&
        mark.sum == sum_up(fd, (uint64_t)unpacked_bytes)) {
        (void)futimens(fd, NULL); /* used now */
        return fd;
    }
    close(fd);
    return -1;
}

/* ---- a new entry ---- */

static bool write_all(int fd, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* Removes the oldest entry, and nothing else that lies there; true if there may be too many yet. */
static bool evict_one(int dir_fd)
{
    char oldest[NAME_MAX + 1] = "";
    struct timespec when = {0};
    unsigned count = 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir)
        return false;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat st;

        if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0 ||
            fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        if (count++ == 0 || st.st_mtim.tv_sec < when.tv_sec ||
            (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec < when.tv_nsec)) {
            snprintf(oldest, sizeof(oldest), "%s", e->d_name);
            when = st.st_mtim;
        }
    }
    closedir(dir);
    return count > KERNEL_CACHE_ENTRIES && unlinkat(dir_fd, oldest, 0) == 0;
}

/*
 * Under another name first, so that an entry is whole whenever it is seen. What a process that was
 * killed has left so is an entry like others, and goes when it is the oldest. The name may be
 * another process's, too, in another container: each writes to a file that it has made.
 */
void kernel_cache_keep(const struct kernel_cache *c, const struct image *packed,
                       const void *unpacked, uint32_t unpacked_bytes)
{
    char temporary[KERNEL_CACHE_NAME_BYTES + 16];
    struct kernel_cache_mark mark = c->mark;
    uint64_t now[7];

    if (c->dir_fd < 0)
        return;
    snprintf(temporary, sizeof(temporary), "%s.%d", c->name, (int)getpid());
    (void)unlinkat(c->dir_fd, temporary, 0);
    int fd = openat(c->dir_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        log_info("kernel %s: is not kept unpacked: %s", packed->path, strerror(errno));
        return;
    }
    bool kept = write_all(fd, unpacked, unpacked_bytes);
    mark.sum = sum_up(fd, unpacked_bytes);
    kept = kept && write_all(fd, &mark, sizeof(mark)) && identify(packed, now) &&
           memcmp(now, c->mark.identity, sizeof(now)) == 0 &&
           renameat(c->dir_fd, temporary, c->dir_fd, c->name) == 0;
    close(fd);
    if (!kept) {
        log_info("kernel %s: is not kept unpacked: it changed, or there is no room", packed->path);
        (void)unlinkat(c->dir_fd, temporary, 0);
    }
    while (evict_one(c->dir_fd))
        ;
}
