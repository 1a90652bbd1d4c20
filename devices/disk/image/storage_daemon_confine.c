// SPDX-License-Identifier: BSD-2-Clause
/* What the daemon may do. */
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "core/base/xmath.h"
#include "core/peers/confine.h"
#include "devices/disk/image/storage_daemon_impl.h"

#define PRIVATE_MAX (4 * GIB) /* tables of the largest images that qemu takes are below 1 GiB */
/*
 * Of address space, besides guest memory. The limit above counts no memory that was written and is
 * read-only now, and no stacks. What qemu has below guest memory above the hole (3 GiB) it maps
 * twice; the rest is for PRIVATE_MAX, libraries, and threads' stacks and heaps.
 */
#define ADDRESSES_MAX (12 * GIB)
/* A queue takes two. The kernel's memory for pipes and the like is counted by no other limit. */
#define OPEN_FILES_MAX 1024u

/*
 * What qemu-storage-daemon and the C library need to start, to serve and to end, of Debian 12 and
 * later. Not there, on purpose: files by other ways than open (io_uring), sockets of its own,
 * processes, signals to others.
 */
static const struct confine_call calls[] = {
    CONFINE_COMMON,
    /* memory, threads, time */
    CONFINE_CALL(membarrier),
    CONFINE_CALL(futex_waitv),
    CONFINE_CALL(nanosleep),
    CONFINE_CALL(time),
    CONFINE_CALL(getrusage),
    CONFINE_CALL(getrlimit),
    CONFINE_CALL(umask),
    CONFINE_THREADS,
    {.name = "prlimit64", .arg = 3, .mask = ~UINT64_C(0), .value = 0}, /* asks, and sets none */
    {.name = "prctl", .arg = 1, .mask = ~UINT64_C(0), .value = PR_SET_TIMERSLACK},
    /* files */
    CONFINE_CALL(faccessat),
    CONFINE_CALL(faccessat2),
    CONFINE_CALL(open),
    CONFINE_CALL(close_range),
    CONFINE_CALL(dup),
    CONFINE_CALL(dup2),
    CONFINE_CALL(dup3),
    CONFINE_CALL(flock),
    CONFINE_CALL(lstat),
    CONFINE_CALL(statx),
    CONFINE_CALL(fstatfs),
    CONFINE_CALL(getcwd),
    CONFINE_CALL(readlinkat),
    CONFINE_CALL(preadv),
    CONFINE_CALL(preadv2),
    CONFINE_CALL(pwrite64),
    CONFINE_CALL(pwritev),
    CONFINE_CALL(pwritev2),
    /* of block devices: others change partitions, forbid writes, or trace what all programs do */
    CONFINE_IOCTL(BLKROGET),
    CONFINE_IOCTL(BLKGETSIZE64),
    CONFINE_IOCTL(BLKSSZGET),
    CONFINE_IOCTL(BLKPBSZGET),
    CONFINE_IOCTL(BLKSECTGET),
    CONFINE_IOCTL(BLKDISCARD),
    CONFINE_IOCTL(BLKZEROOUT),
    CONFINE_CALL(fallocate),
    CONFINE_CALL(ftruncate),
    CONFINE_CALL(fsync),
    CONFINE_CALL(fdatasync),
    CONFINE_CALL(sync_file_range),
    CONFINE_CALL(copy_file_range),
    CONFINE_CALL(fadvise64),
    /* the loop, and the one connection */
    CONFINE_CALL(signalfd4),
    CONFINE_CALL(pipe2),
    {0},
};

int storage_daemon_confine(struct confine **out, const struct storage_daemon *d)
{
    char name[256];
    unsigned n = 0;
    struct confine_path paths[32];
    static const struct confine_path common[] = {
        {.path = "/lib", .rights = CONFINE_READ | CONFINE_EXEC}, /* the loader is there */
        {.path = "/lib64", .rights = CONFINE_READ | CONFINE_EXEC},
        {.path = "/usr/lib", .rights = CONFINE_READ},
        {.path = "/usr/lib64", .rights = CONFINE_READ},
        {.path = "/usr/local/lib", .rights = CONFINE_READ},
        {.path = "/nix/store", .rights = CONFINE_READ | CONFINE_EXEC},
        {.path = "/gnu/store", .rights = CONFINE_READ | CONFINE_EXEC},
        {.path = "/etc/ld.so.cache", .rights = CONFINE_READ},
        {.path = "/etc/ld.so.preload", .rights = CONFINE_READ},
        {.path = "/dev/null", .rights = CONFINE_READ | CONFINE_WRITE},
        {.path = "/dev/urandom", .rights = CONFINE_READ},
        {.path = "/sys/devices/system", .rights = CONFINE_READ}, /* CPUs and memory nodes */
    };
    _Static_assert(ARRAY_SIZE(common) + IMAGE_CHAIN_MAX + 2 <= ARRAY_SIZE(paths), "room for all");
    if (d->unconfined) {
        *out = NULL;
        return 0;
    }
    memcpy(paths, common, sizeof(common));
    n = ARRAY_SIZE(common);
    paths[n++] = (struct confine_path){.path = d->program, .rights = CONFINE_READ | CONFINE_EXEC};
    paths[n++] = (struct confine_path){.path = d->pid_file, .rights = CONFINE_READ | CONFINE_WRITE};
    for (unsigned i = 0; i < d->chain.count; i++) {
        const struct image_link *link = &d->chain.links[i];
        unsigned rights = CONFINE_READ | (i == 0 && !d->read_only ? CONFINE_WRITE : 0) |
                          (link->is_device ? CONFINE_CONTROL : 0);
        paths[n++] = (struct confine_path){.fd = link->fd, .rights = rights};
    }
    snprintf(name, sizeof(name), "disk %s", d->name);
    return confine_prepare(
        out, &(struct confine_policy){.name = name,
                                      .calls = calls,
                                      .program = d->program,
                                      .paths = paths,
                                      .path_count = n,
                                      .memory_max_bytes = d->guest_bytes + ADDRESSES_MAX,
                                      .private_max_bytes = PRIVATE_MAX,
                                      .open_files_max = OPEN_FILES_MAX});
}
