// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the threads of a run may ask of the kernel, and what for. A row less, and a run of
 * `minivet run --sandbox report` that needs it says so.
 *
 * Not here, on purpose: processes (fork, exec, ptrace, kill), io_uring_setup (a thread has its ring
 * before it is confined, and that ring knows reads, writes and polls alone), memory that can be
 * executed, namespaces, mounts, modules, BPF, perf, keys, userfaultfd, other processes' memory.
 */
#include "vmm/sandbox/calls.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define ROW(roles_, uses_, name_)                                                     \
    {                                                                                 \
        .name = #name_, .number = SCMP_SYS(name_), .roles = (roles_), .uses = (uses_) \
    }
/* Its arguments are in memory, where no filter looks. */
#define ABSENT(roles_, name_)                                                           \
    {                                                                                   \
        .name = #name_, .number = SCMP_SYS(name_), .roles = (roles_), .is_absent = true \
    }
#define ROW_IF(roles_, uses_, name_, argument_, mask_, value_)                         \
    {                                                                                  \
        .name = #name_, .number = SCMP_SYS(name_), .roles = (roles_), .uses = (uses_), \
        .argument = (argument_), .mask = (mask_), .value = (value_)                    \
    }
#define IOCTL(roles_, uses_, request_) ROW_IF(roles_, uses_, ioctl, 2, UINT32_MAX, request_)

#define RING(roles_, opcode_) ROW_IF(roles_, 0, io_uring_register, 2, UINT32_MAX, opcode_)

const struct sandbox_call sandbox_calls[] = {
    /* The loop's turn, and what wakes others: core/loop. */
    ROW(BY_WORK | BY_MAIN, 0, io_uring_enter),
    RING(BY_WORK | BY_MAIN, 12), /* enables one that was made */
    RING(BY_MAIN, 3),            /* gives up a tap's files */
    ROW(BY_ALL, 0, futex),
    ROW(BY_ALL, 0, read),
    ROW(BY_ALL, 0, write),
    ROW(BY_WORK | BY_MAIN, 0, epoll_ctl),
    ROW(BY_WORK, 0, epoll_wait),
    ROW(BY_WORK, 0, epoll_pwait),
    ROW(BY_WORK, 0, epoll_pwait2),
    ROW(BY_ALL, 0, ppoll),
    ROW(BY_ALL, 0, poll),
    ROW(BY_ALL, 0, eventfd2), /* a queue's, when its driver is ready */
    /* A counter that another process holds, too: no write of it waits (core/peers/shared_event.c).
     */
    ROW(BY_ALL, 0, io_submit),
    ROW(BY_ALL, 0, io_getevents),
    ROW(BY_WORK | BY_MAIN, 0, io_destroy),
    ROW(BY_WORK | BY_MAIN, 0, io_setup),
    ROW(BY_ALL, 0, clock_gettime),
    ROW(BY_ALL, 0, clock_nanosleep),
    ROW(BY_ALL, 0, sched_yield),
    ROW(BY_ALL, 0, gettimeofday),

    /* Memory: the C library's heap and stacks, guest memory given back. */
    ROW_IF(BY_ALL, 0, mmap, 3, PROT_EXEC, 0),
    ROW_IF(BY_ALL, 0, mprotect, 3, PROT_EXEC, 0),
    ROW(BY_ALL, 0, munmap),
    ROW(BY_ALL, 0, mremap),
    ROW(BY_ALL, 0, brk),
    ROW_IF(BY_ALL, 0, madvise, 3, 0xffffffc0, 0), /* but for what hurts the host: MADV_HWPOISON */

    /* Threads: helpers begin while the guest runs, and a pause ends and starts vCPUs. */
    ROW_IF(BY_WORK | BY_MAIN, 0, clone, 1, 0x10000, 0x10000), /* CLONE_THREAD */
    ABSENT(BY_ALL, clone3),
    ROW(BY_ALL, 0, exit),
    ROW(BY_ALL, 0, exit_group),
    ROW(BY_ALL, 0, rt_sigprocmask),
    ROW(BY_ALL, 0, rt_sigreturn),
    ROW(BY_ALL, 0, restart_syscall),
    ROW(BY_ALL, 0, sigaltstack), /* of sanitizers */
    ROW(BY_ALL, 0, rseq),
    ROW(BY_ALL, 0, set_robust_list),
    ROW(BY_ALL, 0, gettid),
    ROW(BY_ALL, 0, getpid),
    ROW_IF(BY_ALL, 0, tgkill, 1, UINT32_MAX, SANDBOX_SELF), /* the kick of a vCPU */
    ROW_IF(BY_ALL, 0, prctl, 1, UINT32_MAX, PR_GET_NAME),
    ROW_IF(BY_ALL, 0, prctl, 1, UINT32_MAX, PR_SET_NAME),
    ROW_IF(BY_ALL, 0, prctl, 1, UINT32_MAX, PR_SET_NO_NEW_PRIVS),
    ROW_IF(BY_ALL, 0, seccomp, 1, UINT32_MAX, 1), /* SECCOMP_SET_MODE_FILTER: a narrower one */
    ROW(BY_ALL, 0, getrandom),
    ROW(BY_WORK | BY_MAIN, 0, rt_sigaction),
    ROW(BY_WORK | BY_MAIN, 0, getrusage),                      /* --stats */
    ROW_IF(BY_WORK | BY_MAIN, 0, prlimit64, 3, UINT64_MAX, 0), /* asks, and sets nothing */
    ROW(BY_WORK | BY_MAIN, 0, getuid),
    ROW(BY_WORK | BY_MAIN, 0, geteuid),
    ROW(BY_ALL, 0, close),

    /* Files that are open: disks, consoles, logs. */
    ROW(BY_WORK | BY_MAIN, 0, readv),
    ROW(BY_ALL, 0, writev),
    ROW(BY_WORK | BY_MAIN, 0, pread64),
    ROW(BY_WORK, 0, preadv),
    ROW(BY_ALL, 0, preadv2),
    ROW(BY_WORK | BY_MAIN, 0, pwrite64),
    ROW(BY_WORK, 0, pwritev),
    ROW(BY_WORK, 0, pwritev2),
    ROW(BY_WORK, 0, fdatasync),
    ROW(BY_WORK, 0, fsync),
    ROW(BY_WORK, 0, fallocate),
    ROW(BY_WORK, 0, ftruncate),
    ROW(BY_ALL, 0, lseek),
    ROW(BY_ALL, 0, fstat),
    ROW(BY_ALL, 0, newfstatat),
    ROW(BY_ALL, 0, fcntl),

    /* Files by name: Landlock says which. Screenshots, disks exchanged, --stats. */
    ROW(BY_WORK | BY_MAIN, 0, openat),
    ROW(BY_WORK | BY_MAIN, 0, getdents64),
    ROW(BY_WORK | BY_MAIN, 0, readlink),
    ROW(BY_WORK | BY_MAIN, 0, readlinkat),
    ROW(BY_WORK | BY_MAIN, 0, statx),
    ROW(BY_WORK | BY_MAIN, 0, fstatfs),
    ROW(BY_WORK | BY_MAIN, 0, unlink),
    ROW(BY_WORK | BY_MAIN, 0, unlinkat),

    /* Disks that are block devices, and taps. */
    IOCTL(BY_WORK | BY_MAIN, 0, BLKGETSIZE64),
    IOCTL(BY_WORK, 0, BLKPBSZGET),
    IOCTL(BY_WORK, 0, BLKIOOPT),
    IOCTL(BY_WORK, 0, BLKDISCARD),
    IOCTL(BY_WORK | BY_MAIN, 0, TUNSETOFFLOAD),
    IOCTL(BY_WORK | BY_MAIN, 0, TUNSETQUEUE),
    IOCTL(BY_WORK, 0, TUNSETVNETHDRSZ),
    IOCTL(BY_WORK, 0, SIOCGIFFLAGS),
    IOCTL(BY_WORK, 0, SIOCGIFMTU),
    ROW_IF(BY_WORK | BY_MAIN, 0, ioctl, 2, 0xff00, 0xaf00), /* all of vhost's */

    /* Terminals: raw and back, their size; is standard error one? */
    IOCTL(BY_ALL, 0, TCGETS),
    IOCTL(BY_WORK | BY_MAIN, 0, TCSETS),
    IOCTL(BY_WORK | BY_MAIN, 0, TCSETSW),
    IOCTL(BY_WORK | BY_MAIN, 0, TCSETSF),
    IOCTL(BY_WORK | BY_MAIN, 0, TIOCGWINSZ),

    /* Sockets that are open: control, ports, vhost-user, VNC. */
    ROW(BY_WORK, 0, accept4),
    ROW(BY_WORK | BY_MAIN, 0, recvmsg),
    ROW(BY_WORK | BY_MAIN, 0, recvfrom),
    ROW(BY_WORK | BY_MAIN, 0, sendmsg),
    ROW(BY_WORK | BY_MAIN, 0, sendto),
    ROW(BY_WORK | BY_MAIN, 0, shutdown),
    ROW(BY_WORK | BY_MAIN, 0, getsockopt),
    ROW(BY_WORK | BY_MAIN, 0, setsockopt),

    /* Sockets that are made while the guest runs. */
    ROW_IF(BY_WORK, USE_IP, socket, 1, UINT32_MAX, AF_INET),
    ROW_IF(BY_WORK, USE_IP, socket, 1, UINT32_MAX, AF_INET6),
    ROW_IF(BY_WORK, USE_UNIX, socket, 1, UINT32_MAX, AF_UNIX),
    ROW_IF(BY_WORK, USE_UNIX, socketpair, 1, UINT32_MAX, AF_UNIX),
    ROW(BY_WORK, USE_IP | USE_UNIX, connect),
    ROW(BY_WORK, USE_IP | USE_UNIX, bind),
    ROW(BY_WORK, USE_IP | USE_UNIX, listen),
    ROW(BY_WORK, USE_IP | USE_UNIX, accept),
    ROW(BY_WORK, USE_IP | USE_UNIX, getsockname),
    ROW(BY_WORK, USE_IP | USE_UNIX, getpeername),
    ROW(BY_WORK, USE_IP | USE_UNIX, recvmmsg),
    ROW(BY_WORK, USE_IP | USE_UNIX, sendmmsg),
    IOCTL(BY_WORK, USE_IP | USE_UNIX, FIONREAD),
    IOCTL(BY_WORK, USE_IP | USE_UNIX, FIONBIO),
    ROW(BY_WORK, USE_IP | USE_UNIX, dup3), /* a VNC client's socket, in the place of a pair's end */
    ROW(BY_WORK, USE_IP | USE_UNIX, memfd_create), /* a VNC client's picture; a log of a server's */
    ROW(BY_WORK, USE_IP | USE_UNIX, fchmod),
    ROW(BY_WORK, USE_IP | USE_UNIX, chmod), /* of a socket's file */
    ROW(BY_WORK, USE_IP | USE_UNIX, umask),

    /* Directories that are shared: below them, as Landlock has it. */
    ROW(BY_WORK, USE_SHARE, openat2),
    ROW(BY_WORK, USE_SHARE, mkdirat),
    ROW(BY_WORK, USE_SHARE, mknodat),
    ROW(BY_WORK, USE_SHARE, linkat),
    ROW(BY_WORK, USE_SHARE, symlinkat),
    ROW(BY_WORK, USE_SHARE, renameat),
    ROW(BY_WORK, USE_SHARE, renameat2),
    ROW(BY_WORK, USE_SHARE, truncate),
    ROW(BY_WORK, USE_SHARE, utimensat),
    ROW(BY_WORK, USE_SHARE, chmod),
    ROW(BY_WORK, USE_SHARE, fchmod),
    ROW(BY_WORK, USE_SHARE, fchmodat),
    ROW(BY_WORK, USE_SHARE, fchownat),
    ROW(BY_WORK, USE_SHARE, faccessat),
    ROW(BY_WORK, USE_SHARE, getxattr),
    ROW(BY_WORK, USE_SHARE, lgetxattr),
    ROW(BY_WORK, USE_SHARE, listxattr),
    ROW(BY_WORK, USE_SHARE, setxattr),
    ROW(BY_WORK, USE_SHARE, removexattr),
    ROW(BY_WORK, USE_SHARE, copy_file_range),
    ROW(BY_WORK, USE_SHARE, syncfs),
    ROW(BY_WORK, USE_SHARE, flock),
    ROW(BY_WORK, USE_SHARE, umask),

    {0},
};
