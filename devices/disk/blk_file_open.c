// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "devices/disk/blk_file_impl.h"
#include "devices/disk/image/image_header.h"

#define LARGEST_BLOCK (64 * KIB) /* larger "blocks" of network file systems say nothing */

/* ---- open, lock ---- */

static int open_failed(const struct blk_file_config *config)
{
    if (errno == EBUSY)
        return fail_msg(-EBUSY, "disk %s: the host itself uses it; unmount it, or add ,ro",
                        config->path);
    if (!config->read_only && (errno == EACCES || errno == EPERM || errno == EROFS))
        return fail(-errno, "disk %s: open for writing (,ro asks for less)", config->path);
    return fail(-errno, "disk %s: open", config->path);
}

static int open_path(struct blk_file *f, const struct blk_file_config *config, struct stat *st)
{
    /* Looked at first: to open a FIFO or a tape may block or do something. */
    if (stat(config->path, st) < 0)
        return fail(-errno, "disk %s", config->path);
    if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
        return fail_msg(S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL,
                        "disk %s: is %s; give a raw image file or a block device", config->path,
                        S_ISDIR(st->st_mode) ? "a directory" : "neither a file nor a block device");
    int flags = O_CLOEXEC | O_NONBLOCK | (config->read_only ? O_RDONLY : O_RDWR);
    if (S_ISBLK(st->st_mode) && !config->read_only)
        flags |= O_EXCL; /* the host refuses what it has mounted */
    f->fd = open(config->path, flags);
    if (f->fd < 0)
        return open_failed(config);
    /* It was for what the path might have become; of the loop's I/O it would mean -EAGAIN. */
    if (fcntl(f->fd, F_SETFL, flags & ~(O_NONBLOCK | O_EXCL)) < 0)
        return fail(-errno, "disk %s: flags", config->path);
    /* Only the file's owner may read it without a trace, and none is missed. */
    (void)fcntl(f->fd, F_SETFL, (flags & ~(O_NONBLOCK | O_EXCL)) | O_NOATIME);
    return fstat(f->fd, st) < 0 ? fail(-errno, "disk %s: stat", config->path) : 0;
}

static int lock_image(const struct blk_file *f, const struct blk_file_config *config)
{
    struct flock all = {
        .l_type = config->read_only ? F_RDLCK : F_WRLCK,
        .l_whence = SEEK_SET,
    };
    if (fcntl(f->fd, F_OFD_SETLK, &all) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return fail_msg(-EBUSY,
                        "disk %s: is in use by another machine or program (`fuser %s` tells which);"
                        " stop that one%s",
                        config->path, config->path,
                        config->read_only ? "" : ", or open it with ,ro in both");
    log_warn("disk %s: cannot be locked (%s): nothing keeps others from writing to it",
             config->path, strerror(errno));
    return 0;
}

/* ---- size and shape ---- */

static int size_bytes(const struct blk_file *f, uint64_t *out)
{
    struct stat st;
    if (f->is_device)
        return ioctl(f->fd, BLKGETSIZE64, out) < 0 ? -errno : 0;
    if (fstat(f->fd, &st) < 0)
        return -errno;
    *out = (uint64_t)st.st_size;
    return 0;
}

static int measure(void *ctx)
{
    struct blk_file *f = ctx;
    uint64_t bytes = 0;
    int err = size_bytes(f, &bytes);
    if (err < 0)
        return fail(err, "disk %s: size", f->name);
    uint32_t block = blk_logical_bytes(&f->b.info);
    if (bytes < block)
        return fail_msg(-EINVAL, "disk %s: is %s (%llu bytes); `truncate -s 1G %s` gives it a size",
                        f->name, bytes == 0 ? "empty" : "smaller than a sector",
                        (unsigned long long)bytes, f->name);
    if (bytes % block != 0)
        log_warn("disk %s: the last %llu bytes are no whole sector, the guest cannot see them",
                 f->name, (unsigned long long)(bytes % block));
    blk_set_capacity(&f->b, align_down(bytes, block));
    return 0;
}

/* A number that the host's block layer has about the device; 0 if it says nothing. */
static uint32_t queue_number(const struct stat *st, const char *name)
{
    /* A partition has no queue of its own: its disk's folder is around it. */
    static const char *const folders[] = {"queue", "../queue"};
    unsigned long number = 0;
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        char path[128];
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(st->st_rdev),
                 minor(st->st_rdev), folders[i], name);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        char line[32];
        if (fgets(line, sizeof(line), file))
            number = strtoul(line, NULL, 10);
        fclose(file);
        break;
    }
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

static uint32_t sane_block(uint64_t bytes)
{
    return is_pow2(bytes) && bytes >= BLK_SECTOR_BYTES && bytes <= LARGEST_BLOCK ? (uint32_t)bytes
                                                                                 : 0;
}

static void learn_device(struct blk_file *f, const struct stat *st)
{
    unsigned physical = 0, optimal = 0;
    if (ioctl(f->fd, BLKPBSZGET, &physical) == 0)
        f->b.info.physical_bytes = sane_block(physical);
    if (ioctl(f->fd, BLKIOOPT, &optimal) == 0 && is_pow2(optimal))
        f->b.info.optimal_bytes = optimal;
    uint32_t unit = queue_number(st, "discard_granularity");
    f->b.info.discard_bytes = is_pow2(unit) ? unit : 0;
    f->b.info.can_discard = unit > 0;
}

/* Whether holes can be punched is asked behind the file's end, where nothing is. */
static void learn_file(struct blk_file *f, const struct stat *st)
{
    uint64_t behind = align_up((uint64_t)st->st_size, LARGEST_BLOCK);
    f->b.info.physical_bytes = sane_block((uint64_t)st->st_blksize);
    f->b.info.optimal_bytes = is_pow2((uint64_t)st->st_blksize) ? (uint32_t)st->st_blksize : 0;
    f->b.info.discard_bytes = f->b.info.physical_bytes;
    f->b.info.can_discard = fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                      (off_t)behind, (off_t)LARGEST_BLOCK) == 0;
}

static bool is_in_memory(const struct blk_file *f)
{
    struct statfs fs;
    return fstatfs(f->fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static int learn(struct blk_file *f, const struct stat *st, bool read_only)
{
    f->is_device = S_ISBLK(st->st_mode);
    f->in_memory = !f->is_device && is_in_memory(f);
    f->b.info.read_only = read_only;
    int err = measure(f);
    if (err < 0)
        return err;
    if (f->is_device)
        learn_device(f, st);
    else
        learn_file(f, st);
    f->b.info.can_zero = !read_only;
    f->b.info.can_discard = f->b.info.can_discard && !read_only;
    return 0;
}

/* ---- direct I/O ---- */

static bool can_read_direct(const struct blk_file *f, uint32_t bytes)
{
    return pread(f->direct_fd, f->buffers, bytes, 0) >= 0;
}

/* What it asks of addresses and of ranges. Kernels before 6.1 do not say: then it is tried. */
static bool learn_alignment(struct blk_file *f)
{
#ifdef STATX_DIOALIGN
    struct statx stx;
    if (statx(f->direct_fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
        (stx.stx_mask & STATX_DIOALIGN) != 0) {
        f->direct_memory = stx.stx_dio_mem_align;
        f->direct_bytes = stx.stx_dio_offset_align;
        return is_pow2(f->direct_memory) && is_pow2(f->direct_bytes) && f->direct_memory <= 4096 &&
               f->direct_bytes <= 4096;
    }
#endif
    for (uint32_t bytes = BLK_SECTOR_BYTES; bytes <= 4096; bytes *= 8) {
        if (!can_read_direct(f, bytes))
            continue;
        f->direct_memory = f->direct_bytes = bytes;
        return true;
    }
    return false;
}

static void drop_direct(struct blk_file *f)
{
    if (f->direct_fd >= 0)
        close(f->direct_fd);
    f->direct_fd = -1;
}

/*
 * The page cache writes whole pages, and would undo direct writes beside its own that are under way
 * at once. So a disk takes one of the two ways, not either as its requests suit.
 */
void blk_file_choose_way(struct blk_file *f)
{
    uint32_t logical = blk_logical_bytes(&f->b.info);
    if (f->direct_bytes <= logical)
        return;
    drop_direct(f);
    log_warn(
        "disk %s: direct I/O takes blocks of %u bytes here, so sectors of %u go through the "
        "page cache (cache=writeback); sector=4096 shows the guest larger ones, which an image "
        "that has a partition table must be made for",
        f->name, f->direct_bytes, logical);
}

/* Another description of the same file, for the same accesses. */
static int reopen(const struct blk_file *f, int flags)
{
    char path[64];
    int same = fcntl(f->fd, F_GETFL) & (O_ACCMODE | O_NOATIME);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
    return open(path, flags | O_CLOEXEC | same);
}

static void open_direct(struct blk_file *f)
{
    f->direct_fd = reopen(f, O_DIRECT);
    if (f->direct_fd >= 0 && learn_alignment(f)) {
        f->b.info.physical_bytes = (uint32_t)max_u64(f->b.info.physical_bytes, f->direct_bytes);
        blk_file_choose_way(f);
        return;
    }
    drop_direct(f);
    log_info("disk %s: the host refuses direct I/O; its page cache is used (cache=writeback)",
             f->name);
}

/* ---- formats ---- */

static void warn_of_format(const struct blk_file *f)
{
    char head[IMAGE_MAGIC_BYTES];
    if (pread(f->fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
        return;
    const char *format = image_format_guess(head);
    if (strcmp(format, "raw") != 0)
        log_warn("disk %s: looks like %s but is taken for raw bytes; format=%s opens it as what"
                 " it is",
                 f->name, format, format);
}

/* ---- all of it ---- */

int blk_file_open(struct blk_file *f, const struct blk_file_config *config)
{
    struct stat st;
    f->b.info.logical_bytes = config->sector_bytes;
    int err = open_path(f, config, &st);
    if (err == 0)
        err = lock_image(f, config);
    if (err == 0)
        err = learn(f, &st, config->read_only);
    if (err < 0)
        return err;
    warn_of_format(f);
    f->unsafe = config->cache == BLK_FILE_CACHE_UNSAFE;
    if (config->cache == BLK_FILE_CACHE_NONE)
        open_direct(f);
    log_info("disk %s: %llu MiB, %s", f->name, (unsigned long long)(f->b.info.capacity_bytes / MIB),
             f->direct_fd >= 0 ? "direct I/O" : "the host's page cache");
    return 0;
}

/* With O_TMPFILE where the file system has it, else by a name that is removed at once. */
static int open_nameless(const char *dir)
{
    char path[4096];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    if (snprintf(path, sizeof(path), "%s/minivet-XXXXXX", dir) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

int blk_file_open_scratch(struct blk_file *f, uint64_t bytes)
{
    const char *dir = getenv("TMPDIR");
    struct stat st;
    if (!dir || dir[0] == '\0')
        dir = "/var/tmp";
    f->fd = open_nameless(dir);
    if (f->fd < 0)
        return fail(-errno, "scratch file in %s (TMPDIR names another folder)", dir);
    if (ftruncate(f->fd, (off_t)bytes) < 0 || fstat(f->fd, &st) < 0)
        return fail(-errno, "scratch file in %s: %llu bytes", dir, (unsigned long long)bytes);
    f->unsafe = true;
    return learn(f, &st, false);
}

/*
 * Descriptions of its own, not copies of the first's descriptors: the host reports a write-back
 * that failed once to each description. The lock is the first's.
 */
int blk_file_open_view(struct blk_file *f, struct blk_file *first)
{
    f->first = first;
    f->b.info = first->b.info;
    f->is_device = first->is_device;
    f->in_memory = first->in_memory;
    f->unsafe = first->unsafe;
    f->direct_memory = first->direct_memory;
    f->direct_bytes = first->direct_bytes;
    f->fd = reopen(first, 0);
    if (f->fd >= 0 && first->direct_fd >= 0)
        f->direct_fd = reopen(first, O_DIRECT);
    if (f->fd < 0 || (first->direct_fd >= 0 && f->direct_fd < 0))
        return fail(-errno, "disk %s: open for another thread", f->name);
    return 0;
}

/* ---- other sizes later ---- */

int blk_file_remeasure(struct blk_backend *b)
{
    struct blk_file *f = container_of(b, struct blk_file, b);
    return evloop_call(f->loop, measure, f);
}

int blk_file_begin_resize(struct blk_backend *b, uint64_t bytes)
{
    const struct blk_file *f = container_of(b, struct blk_file, b);
    if (f->is_device)
        return -EINVAL;
    if (f->b.info.read_only)
        return -EROFS;
    if (bytes == 0 || bytes % blk_logical_bytes(&f->b.info) != 0)
        return -EINVAL;
    int fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
    return fd >= 0 ? fd : -errno;
}

void blk_file_end_resize(struct blk_backend *b, uint64_t bytes)
{
    blk_set_capacity(b, bytes);
}

int blk_file_resize(struct blk_backend *b, uint64_t bytes)
{
    const struct blk_file *f = container_of(b, struct blk_file, b);
    int fd = blk_file_begin_resize(b, bytes);
    int err = fd < 0 ? fd : ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (err < 0)
        return fail(err, "disk %s: resize to %llu bytes", f->name, (unsigned long long)bytes);
    return blk_file_remeasure(b);
}
