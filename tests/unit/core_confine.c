// SPDX-License-Identifier: BSD-2-Clause
/* What a confined child may still do; each check is made in a child, which says so by its status.
 */
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "core/peers/confine.h"
#include "tests/harness/test.h"

#define OK 7 /* a status that no accident has */

static const struct confine_call calls[] = {
    {.name = "exit_group"},
    {.name = "openat"},
    {.name = "unlinkat"},
    {.name = "ftruncate"},
    {.name = "prctl"},
    {.name = "getrlimit"},
    {.name = "prlimit64"},
    {.name = "mmap"},
    {.name = "no_such_call_at_all"},
    {.name = "socket", .arg = 1, .mask = ~UINT64_C(0), .value = AF_UNIX},
    {0},
};

/* The exit status, or 128 and the signal. */
static int status_of(pid_t pid)
{
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int in_child(const struct confine_policy *policy, bool (*check)(void *), void *arg)
{
    struct confine *c = NULL;
    cr_assert_eq(confine_prepare(&c, policy), 0);
    pid_t pid = fork();
    if (pid == 0)
        syscall(SYS_exit_group, confine_apply(c) != 0 ? 1 : check(arg) ? OK : 2);
    cr_assert_gt(pid, 0);
    confine_destroy(c);
    return status_of(pid);
}

static bool fails(long result, int error)
{
    return result == -1 && errno == error;
}

static bool makes_calls(void *arg)
{
    (void)arg;
    return fails(syscall(SYS_ptrace, 0, 0, 0, 0), ENOSYS) &&
           fails(syscall(SYS_clone3, NULL, 0), ENOSYS) &&
           fails(syscall(SYS_io_uring_setup, 1, NULL), ENOSYS) &&
           fails(syscall(SYS_execve, "/bin/true", NULL, NULL), ENOSYS) &&
           fails(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0), ENOSYS) &&
           syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) >= 0;
}

Test(core_confine, only_listed_calls_are_there)
{
    cr_expect_eq(in_child(&(struct confine_policy){.name = "x", .calls = calls}, makes_calls, NULL),
                 OK);
}

static bool owns_no_signals(void *arg)
{
    int fds[2], zero = 0;
    pid_t other = getppid();
    struct f_owner_ex owner = {F_OWNER_PID, other};
    (void)arg;
    return syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds) == 0 &&
           fails(syscall(SYS_fcntl, fds[0], F_SETOWN, other), ENOSYS) &&
           fails(syscall(SYS_fcntl, fds[0], F_SETOWN_EX, &owner), ENOSYS) &&
           fails(syscall(SYS_fcntl, fds[0], F_SETSIG, SIGKILL), ENOSYS) &&
           fails(syscall(SYS_fcntl, fds[0], F_NOTIFY, DN_ACCESS), ENOSYS) &&
           fails(syscall(SYS_ioctl, fds[0], FIOSETOWN, &other), ENOSYS) &&
           fails(syscall(SYS_ioctl, fds[0], SIOCSPGRP, &other), ENOSYS) &&
           fails(syscall(SYS_ioctl, fds[0], UINT64_C(0x700000000) | SIOCSPGRP, &other), ENOSYS) &&
           syscall(SYS_fcntl, fds[0], F_SETFL, O_NONBLOCK) == 0 &&
           syscall(SYS_fcntl, fds[0], F_GETFD) == 0 &&
           syscall(SYS_fcntl, fds[0], F_DUPFD_CLOEXEC, 3) >= 0 &&
           !fails(syscall(SYS_fcntl, fds[0], F_OFD_GETLK, NULL), ENOSYS) &&
           fails(syscall(SYS_ioctl, fds[0], FIONBIO, &zero), ENOSYS) &&
           syscall(SYS_ioctl, fds[0], FIONREAD, &zero) == 0;
}

/* A descriptor's signals would go to whatever process it names. */
Test(core_confine, descriptors_send_no_signals_to_others)
{
    static const struct confine_call few[] = {{.name = "exit_group"},
                                              {.name = "socketpair"},
                                              CONFINE_FCNTL,
                                              CONFINE_IOCTL(FIONREAD),
                                              {0}};
    cr_expect_eq(
        in_child(&(struct confine_policy){.name = "x", .calls = few}, owns_no_signals, NULL), OK);
}

/* By SIGILL, or SIGTRAP on arm64. */
static bool crashes(void)
{
    __builtin_trap();
    return false;
}

/* With a limit of 0 the kernel still pipes a core to a program, with 1 it makes none at all. */
Test(core_confine, no_core_is_written_nor_piped)
{
    struct confine_policy policy = {.name = "x", .calls = calls};
    struct confine *c = NULL;
    struct rlimit core;
    int status = 0;
    cr_assert_eq(getrlimit(RLIMIT_CORE, &core), 0);
    cr_assert_eq(confine_prepare(&c, &policy), 0);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
        struct rlimit now = {0};
        bool ok = confine_apply(c) == 0 && getrlimit(RLIMIT_CORE, &now) == 0 &&
                  now.rlim_max == (core.rlim_max > 1 ? 1 : core.rlim_max);
        syscall(SYS_exit_group, ok ? crashes() : 1);
    }
    confine_destroy(c);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFSIGNALED(status), "%#x", status);
    cr_expect(WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP, "%#x", status);
    cr_expect_not(WCOREDUMP(status));
}

/* In a line of /proc/self/status: hexadecimal. */
static uint64_t status_bits(const char *key)
{
    char text[4096] = "";
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY);
    if (read((int)fd, text, sizeof(text) - 1) <= 0)
        return UINT64_MAX;
    const char *line = strstr(text, key);
    return line != NULL ? strtoull(line + strlen(key), NULL, 16) : UINT64_MAX;
}

static bool has_two_capabilities(void *arg)
{
    const uint64_t *before = arg;
    uint64_t kept = UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_NET_BIND_SERVICE;
    return status_bits("CapPrm:") == (*before & kept) &&
           status_bits("CapEff:") == (*before & kept) && status_bits("CapInh:") == 0 &&
           status_bits("CapAmb:") == 0;
}

Test(core_confine, capabilities_are_given_up_but_for_two)
{
    static const struct confine_call some[] = {CONFINE_COMMON, {0}};
    static const struct confine_path all = {.path = "/", .rights = CONFINE_READ};
    uint64_t before = status_bits("CapPrm:");
    struct confine_policy policy = {.name = "x", .calls = some, .paths = &all, .path_count = 1};
    cr_expect_eq(in_child(&policy, has_two_capabilities, &before), OK);
}

static bool gave_up_the_rest(void *arg)
{
    struct rlimit core, memory;
    (void)arg;
    getrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_AS, &memory);
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && core.rlim_max <= 1 &&
           memory.rlim_max == 1u << 20 &&
           fails(syscall(SYS_mmap, NULL, 2u << 20, 0, 0x22, -1, 0), ENOMEM);
}

Test(core_confine, memory_cores_and_privileges_are_given_up)
{
    struct confine_policy policy = {.name = "x", .calls = calls, .memory_max_bytes = 1u << 20};
    cr_expect_eq(in_child(&policy, gave_up_the_rest, NULL), OK);
}

static bool maps_memory(void *arg)
{
    (void)arg;
    return fails(syscall(SYS_mmap, NULL, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0), ENOSYS) &&
           syscall(SYS_mmap, NULL, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != -1 &&
           fails(syscall(SYS_mmap, NULL, 4096, 1, MAP_SHARED, -1, 0), EBADF);
}

Test(core_confine, memory_that_no_limit_counts_is_not_mapped)
{
    static const struct confine_call some[] = {CONFINE_MMAP, {.name = "exit_group"}, {0}};
    struct confine_policy policy = {.name = "x", .calls = some};
    cr_expect_eq(in_child(&policy, maps_memory, NULL), OK);
}

struct files {
    char dir[64], mine[80], other[80], made[80];
    int fd;
};

static long opened(const char *path, int flags)
{
    return syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
}

static bool opens_files(void *arg)
{
    struct files *f = arg;
    char again[32];
    snprintf(again, sizeof(again), "/proc/self/fd/%d", f->fd);
    long fd = opened(again, O_RDWR | O_TRUNC);
    return fd >= 0 && ftruncate((int)fd, 5) == 0 && opened(f->mine, O_RDWR) >= 0 &&
           fails(opened(f->other, O_RDONLY), EACCES) && fails(opened(f->other, O_WRONLY), EACCES) &&
           fails(opened("/etc/passwd", O_RDONLY), EACCES) &&
           opened("/usr/bin/env", O_RDONLY) >= 0 &&
           fails(opened(f->made, O_CREAT | O_WRONLY), EACCES) &&
           fails(syscall(SYS_unlinkat, AT_FDCWD, f->mine, 0), EACCES);
}

Test(core_confine, only_listed_files_are_opened)
{
    struct files f = {.dir = "/tmp/minivet-test-XXXXXX"};
    if (!confine_restricts_files())
        cr_skip_test("this kernel has no Landlock");
    cr_assert_not_null(mkdtemp(f.dir));
    snprintf(f.mine, sizeof(f.mine), "%s/mine", f.dir);
    snprintf(f.other, sizeof(f.other), "%s/other", f.dir);
    snprintf(f.made, sizeof(f.made), "%s/made", f.dir);
    f.fd = open(f.mine, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    int other = open(f.other, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    cr_assert(f.fd >= 0 && other >= 0);
    struct confine_path paths[] = {
        {.fd = f.fd, .rights = CONFINE_READ | CONFINE_WRITE},
        {.path = "/usr", .rights = CONFINE_READ},
        {.path = "/no such folder", .rights = CONFINE_READ},
    };
    struct confine_policy policy = {
        .name = "x", .calls = calls, .paths = paths, .path_count = ARRAY_SIZE(paths)};
    cr_expect_eq(in_child(&policy, opens_files, &f), OK);
    close(f.fd);
    close(other);
    cr_expect_eq(unlink(f.mine), 0);
    cr_expect_eq(unlink(f.other), 0);
    cr_expect_eq(rmdir(f.dir), 0);
}

static const char program[] = "/bin/true";

static bool executes(void *arg)
{
    char *argv[] = {arg, NULL};
    execve(arg, argv, NULL);
    return errno == ENOSYS;
}

Test(core_confine, one_program_is_executed)
{
    static const struct confine_call none[] = {{.name = "exit_group"}, {0}};
    char copy[] = "/bin/true";
    struct confine_policy policy = {.name = "x", .calls = none, .program = program};
    cr_expect_eq(in_child(&policy, executes, copy), OK, "from another address");
    /* The program starts, and can do nothing: its loader gives up. */
    cr_expect_neq(in_child(&policy, executes, (void *)(uintptr_t)program), OK);
}

static void *nothing(void *arg)
{
    return arg;
}

static bool makes_a_thread(void *arg)
{
    pthread_t thread;
    (void)arg;
    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0 &&
           fails(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), ENOSYS);
}

Test(core_confine, threads_without_processes)
{
    static const struct confine_call some[] = {
        CONFINE_THREADS,
        {.name = "exit_group"},
        {.name = "exit"},
        {.name = "mmap"},
        {.name = "mprotect"},
        {.name = "munmap"},
        {.name = "madvise"},
        {.name = "futex"},
        {.name = "rseq"},
        {.name = "set_robust_list"},
        {.name = "rt_sigprocmask"},
        {.name = "sigaltstack"},
        {.name = "gettid"},
        {.name = "getrlimit"},
        {.name = "prlimit64"},
        {.name = "sched_getaffinity"},
        {.name = "brk"},
        {0},
    };
    struct confine_policy policy = {.name = "x", .calls = some};
    cr_expect_eq(in_child(&policy, makes_a_thread, NULL), OK);
}
