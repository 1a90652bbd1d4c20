// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a user network's process may do: sockets of IP, and reading what libraries and the name
 * server's address come from. Not there, on purpose: processes, signals to others, io_uring, and
 * UNIX sockets: a session's bus or service manager does for the user whatever it is asked for.
 */
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "core/confine.h"
#include "core/xmath.h"
#include "devices/backend/net_child_impl.h"

#define CALL(word)    \
    {                 \
        .name = #word \
    }
static const struct confine_call calls[] = {
    /* memory, time, itself */
    CALL(arch_prctl),
    CALL(brk),
    CONFINE_MMAP,
    CALL(munmap),
    CALL(mprotect),
    CALL(mremap),
    CALL(madvise),
    CALL(futex),
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
    CALL(gettimeofday),
    CALL(getrandom),
    CALL(sysinfo),
    CALL(uname),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    {.name = "prlimit64", .arg = 1, .mask = UINT32_MAX, .value = 0}, /* no other process's */
    {.name = "prctl", .arg = 1, .mask = ~UINT64_C(0), .value = PR_SET_NAME},
    /* files */
    CALL(access),
    CALL(openat),
    CALL(close),
    CONFINE_FCNTL,
    CALL(stat),
    CALL(fstat),
    CALL(newfstatat),
    CALL(statfs),
    CALL(readlink),
    CALL(read),
    CALL(readv),
    CALL(pread64),
    CALL(write),
    CALL(writev),
    CALL(lseek),
    CONFINE_IOCTL(FIONREAD),
    CONFINE_IOCTL(FIONBIO),
    CALL(getdents64),
    /* the loop, and sockets */
    CALL(poll),
    CALL(ppoll),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(eventfd2),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    {.name = "socket", .arg = 1, .mask = UINT32_MAX, .value = AF_INET},
    {.name = "socket", .arg = 1, .mask = UINT32_MAX, .value = AF_INET6},
    CALL(bind),
    CALL(listen),
    CALL(accept),
    CALL(accept4),
    CALL(connect),
    CALL(shutdown),
    CALL(getsockname),
    CALL(getpeername),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(recvmsg),
    CALL(recvmmsg),
    CALL(recvfrom),
    CALL(sendmsg),
    CALL(sendmmsg), /* names of servers, by the C library */
    CALL(sendto),
    {0},
};
#undef CALL

int net_child_confine(struct confine **out, const char *program)
{
    const struct confine_path paths[] = {
        {.path = "/lib", .rights = CONFINE_READ | CONFINE_EXEC}, /* the loader is there */
        {.path = "/lib64", .rights = CONFINE_READ | CONFINE_EXEC},
        {.path = "/usr/lib", .rights = CONFINE_READ | CONFINE_EXEC},
        {.path = "/usr/lib64", .rights = CONFINE_READ | CONFINE_EXEC},
        {.path = "/usr/local/lib", .rights = CONFINE_READ},
        {.path = "/nix/store", .rights = CONFINE_READ | CONFINE_EXEC},
        {.path = "/gnu/store", .rights = CONFINE_READ | CONFINE_EXEC},
        {.path = "/etc/ld.so.cache", .rights = CONFINE_READ},
        {.path = "/etc/resolv.conf", .rights = CONFINE_READ},
        {.path = "/etc/hosts", .rights = CONFINE_READ},
        {.path = "/etc/nsswitch.conf", .rights = CONFINE_READ},
        {.path = "/etc/host.conf", .rights = CONFINE_READ},
        {.path = "/etc/gai.conf", .rights = CONFINE_READ},
        {.path = "/run/systemd/resolve", .rights = CONFINE_READ},
        {.path = program, .rights = CONFINE_READ | CONFINE_EXEC},
    };
    return confine_prepare(out, &(struct confine_policy){.name = "user network",
                                                         .network = true,
                                                         .calls = calls,
                                                         .program = program,
                                                         .paths = paths,
                                                         .path_count = ARRAY_SIZE(paths)});
}
