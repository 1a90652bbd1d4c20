// SPDX-License-Identifier: BSD-2-Clause
/* What the daemon may do. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "core/confine.h"
#include "core/xmath.h"
#include "devices/backend/storage_daemon_impl.h"

#define PRIVATE_MAX (4 * GIB) /* tables of the largest images that qemu takes are below 1 GiB */
/*
 * Of address space, besides guest memory. The limit above counts no memory that was written and is
 * read-only now, and no stacks. What qemu has below guest memory above the hole (3 GiB) it maps
 * twice; the rest is for PRIVATE_MAX, libraries, and threads' stacks and heaps.
 */
#define ADDRESSES_MAX (12 * GIB)

/*
 * What qemu-storage-daemon and the C library need to start, to serve and to end, of Debian 12 and
 * later. Not there, on purpose: files by other ways than open (io_uring), sockets of its own,
 * processes, signals to others.
 */
#define CALL(word)    \
    {                 \
        .name = #word \
    }
static const struct confine_call calls[] = {
    /* memory, threads, time */
    CALL(arch_prctl),
    CALL(brk),
    CONFINE_MMAP,
    CALL(munmap),
    CALL(mprotect),
    CALL(mremap),
    CALL(madvise),
    CALL(membarrier),
    CALL(futex),
    CALL(futex_waitv),
    CALL(rseq),
    CALL(set_robust_list),
    CALL(set_tid_address),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(getpid),
    CALL(gettid),
    CALL(exit),
    CALL(exit_group),
    CALL(restart_syscall),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(sigaltstack),
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(time),
    CALL(getrandom),
    CALL(getrusage),
    CALL(sysinfo),
    CALL(uname),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getrlimit),
    CALL(umask),
    CONFINE_THREADS,
    {.name = "prlimit64", .arg = 3, .mask = ~UINT64_C(0), .value = 0}, /* asks, and sets none */
    {.name = "prctl", .arg = 1, .mask = ~UINT64_C(0), .value = PR_SET_NAME},
    {.name = "prctl", .arg = 1, .mask = ~UINT64_C(0), .value = PR_SET_TIMERSLACK},
    /* files */
    CALL(access),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(open),
    CALL(openat),
    CALL(close),
    CALL(close_range),
    CALL(dup),
    CALL(dup2),
    CALL(dup3),
    CONFINE_FCNTL,
    CALL(flock),
    CALL(stat),
    CALL(fstat),
    CALL(lstat),
    CALL(newfstatat),
    CALL(statx),
    CALL(statfs),
    CALL(fstatfs),
    CALL(getcwd),
    CALL(getdents64),
    CALL(readlink),
    CALL(readlinkat),
    CALL(read),
    CALL(readv),
    CALL(pread64),
    CALL(preadv),
    CALL(preadv2),
    CALL(write),
    CALL(writev),
    CALL(pwrite64),
    CALL(pwritev),
    CALL(pwritev2),
    CALL(lseek),
    {.name = "ioctl", .arg = 2, .mask = 0xff00, .value = 0x1200}, /* BLK...: of block devices */
    CALL(fallocate),
    CALL(ftruncate),
    CALL(fsync),
    CALL(fdatasync),
    CALL(sync_file_range),
    CALL(copy_file_range),
    CALL(fadvise64),
    /* the loop, and the one connection */
    CALL(poll),
    CALL(ppoll),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(eventfd2),
    CALL(signalfd4),
    CALL(pipe2),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(accept),
    CALL(accept4),
    CALL(shutdown),
    CALL(listen),
    CALL(getsockname),
    CALL(getpeername),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(recvmsg),
    CALL(recvfrom),
    CALL(sendmsg),
    CALL(sendto),
    {0},
};
#undef CALL

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
                                      .private_max_bytes = PRIVATE_MAX});
}
