// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest that has taken a thread of the VMM over, as docs/security.md's table has it: each thing
 * is tried in a process of its own, by a thread of each role, after sandbox_begin() and the
 * thread's filter.
 */
#include "vmm/sandbox/sandbox.h"

#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "core/base/thread_role.h"
#include "core/loop/evloop.h"
#include "core/loop/workpool.h"
#include "core/peers/confine.h"
#include "core/ports/hv.h"
#include "tests/harness/test.h"
#include "vmm/config/config.h"

/* How a process of a try has ended; no accident has these. */
#define REFUSED 70 /* the call failed by one of the errors below */
#define DONE    71 /* it succeeded, or nothing but its arguments was wrong */
#define BROKEN  122

static char mine[64], other[64]; /* a file that is named, and one that is not */
static pid_t tests;              /* the process of the tests */

static long call(long number, long a, long b, long c, long d, long e)
{
    return syscall(number, a, b, c, d, e, 0);
}

#define CALL(number, a, b, c, d, e) \
    call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

/* ---- what is tried ---- */

static long opens_mine(void)
{
    return CALL(SYS_openat, AT_FDCWD, mine, O_RDONLY, 0, 0);
}

static long opens_passwd(void)
{
    return CALL(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY, 0, 0);
}

static long opens_other(void)
{
    return CALL(SYS_openat, AT_FDCWD, other, O_RDONLY, 0, 0);
}

static long opens_home(void)
{
    return CALL(SYS_openat, AT_FDCWD, "/root", O_RDONLY | O_DIRECTORY, 0, 0);
}

static long opens_memory(void)
{
    return CALL(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR, 0, 0);
}

static long opens_others_memory(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)tests);
    return CALL(SYS_openat, AT_FDCWD, path, O_RDONLY, 0, 0);
}

static long makes_file(void)
{
    return CALL(SYS_openat, AT_FDCWD, "/tmp/minivet-sandbox-made", O_RDWR | O_CREAT, 0600, 0);
}

static long climbs(void)
{
    return CALL(SYS_openat, AT_FDCWD, "/proc/self/root/etc/passwd", O_RDONLY, 0, 0);
}

static long connects_unix(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/dbus/system_bus_socket"};
    long fd = CALL(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0);
    return fd < 0 ? -1 : CALL(SYS_connect, fd, &un, sizeof(un), 0, 0);
}

static long maps_code(void)
{
    long at = CALL(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1);
    return at;
}

static long makes_code(void)
{
    static _Alignas(4096) char page[4096];
    return CALL(SYS_mprotect, page, sizeof(page), PROT_READ | PROT_EXEC, 0, 0);
}

static long reads_tests(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    return CALL(SYS_process_vm_readv, tests, &here, 1, &there, 1);
}

static long runs_program(void)
{
    char *const argv[] = {"sh", NULL};
    return CALL(SYS_execve, "/bin/sh", argv, NULL, 0, 0);
}

static long makes_thread_as_process(void)
{
    return CALL(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long sets_limits(void)
{
    struct rlimit none = {0};
    return CALL(SYS_prlimit64, tests, RLIMIT_NOFILE, &none, NULL, 0);
}

static long makes_ring(void)
{
    static struct io_uring_params params;
    return CALL(SYS_io_uring_setup, 4, &params, 0, 0, 0);
}

static long filters_nothing(void) /* allowed: it only takes more away */
{
    return CALL(SYS_close, 1000000, 0, 0, 0, 0) == -1 && errno == EBADF ? 0 : -1;
}

/* A call whose arguments do not matter: were it let through, it would say so by another error. */
#define SIMPLE(name, ...)                  \
    static long name(void)                 \
    {                                      \
        return CALL(__VA_ARGS__, 0, 0, 0); \
    }
SIMPLE(traces, SYS_ptrace, PTRACE_ATTACH, tests)
SIMPLE(kills, SYS_kill, tests, 0)
SIMPLE(kills_thread, SYS_tgkill, tests, tests)
SIMPLE(opens_process, SYS_pidfd_open, tests, 0)
SIMPLE(unshares_user, SYS_unshare, CLONE_NEWUSER, 0)
SIMPLE(joins_namespace, SYS_setns, 0, 0)
SIMPLE(mounts, SYS_mount, 0, "/mnt")
SIMPLE(unmounts, SYS_umount2, "/proc", 0)
SIMPLE(pivots, SYS_pivot_root, "/", "/")
SIMPLE(changes_root, SYS_chroot, "/", 0)
SIMPLE(loads_bpf, SYS_bpf, 0, 0)
SIMPLE(counts_events, SYS_perf_event_open, 0, 0)
SIMPLE(faults_pages, SYS_userfaultfd, 0, 0)
SIMPLE(reads_keys, SYS_keyctl, 0, 0)
SIMPLE(adds_key, SYS_add_key, "user", "k")
SIMPLE(loads_module, SYS_finit_module, 0, "")
SIMPLE(loads_kernel, SYS_kexec_load, 0, 0)
SIMPLE(reboots, SYS_reboot, 0, 0)
SIMPLE(names_host, SYS_sethostname, "x", 1)
SIMPLE(sets_clock, SYS_clock_settime, 0, NULL)
SIMPLE(becomes_user, SYS_setuid, 0, 0)
SIMPLE(becomes_group, SYS_setgid, 0, 0)
SIMPLE(takes_capabilities, SYS_capset, NULL, NULL)
SIMPLE(opens_ip, SYS_socket, AF_INET, SOCK_STREAM)
SIMPLE(opens_ip6, SYS_socket, AF_INET6, SOCK_DGRAM)
SIMPLE(opens_netlink, SYS_socket, AF_NETLINK, SOCK_RAW)
SIMPLE(opens_packet, SYS_socket, AF_PACKET, SOCK_RAW)
SIMPLE(opens_vsock, SYS_socket, AF_VSOCK, SOCK_STREAM)
SIMPLE(pushes_key, SYS_ioctl, 0, TIOCSTI)
SIMPLE(takes_terminal, SYS_ioctl, 0, TIOCSCTTY)
SIMPLE(changes_personality, SYS_personality, 0, 0)
SIMPLE(gets_shared_memory, SYS_shmget, 0, 4096)
SIMPLE(gets_messages, SYS_msgget, 0, 0)
SIMPLE(opens_by_handle, SYS_open_by_handle_at, 0, NULL)
SIMPLE(watches_files, SYS_fanotify_init, 0, 0)
SIMPLE(notes_files, SYS_inotify_init1, 0, 0)
SIMPLE(swaps, SYS_swapon, "/dev/null", 0)
SIMPLE(accounts, SYS_acct, "/dev/null", 0)
SIMPLE(schedules, SYS_sched_setscheduler, 0, 0)
SIMPLE(hurries, SYS_setpriority, 0, 0)
SIMPLE(changes_folder, SYS_chdir, "/", 0)
SIMPLE(links, SYS_linkat, AT_FDCWD, "/etc/passwd")
SIMPLE(renames, SYS_renameat2, AT_FDCWD, mine)
SIMPLE(makes_node, SYS_mknodat, AT_FDCWD, other)
SIMPLE(makes_folder, SYS_mkdirat, AT_FDCWD, "/tmp/minivet-sandbox-dir")
SIMPLE(changes_mode, SYS_fchmodat, AT_FDCWD, mine)
SIMPLE(changes_owner, SYS_fchownat, AT_FDCWD, mine)
SIMPLE(sets_attribute, SYS_setxattr, mine, "user.x")
SIMPLE(truncates, SYS_truncate, mine, 0)
SIMPLE(dumps, SYS_prctl, PR_SET_DUMPABLE, 1)
SIMPLE(makes_memory_file, SYS_memfd_create, "x", 0)
SIMPLE(dies_with_parent, SYS_prctl, PR_SET_PDEATHSIG, 9)

enum answer { ENDS, FAILS, WORKS };

static const struct attempt {
    const char *what;
    long (*fn)(void);
    enum answer vcpu, work, main;
} attempts[] = {
    {"close a descriptor", filters_nothing, WORKS, WORKS, WORKS},
    {"open a file that is named", opens_mine, ENDS, WORKS, WORKS},
    {"open /etc/passwd", opens_passwd, ENDS, FAILS, FAILS},
    {"open a disk that is not named", opens_other, ENDS, FAILS, FAILS},
    {"open the user's home", opens_home, ENDS, FAILS, FAILS},
    {"open its memory", opens_memory, ENDS, FAILS, FAILS},
    {"open another process's memory", opens_others_memory, ENDS, FAILS, FAILS},
    {"make a file", makes_file, ENDS, FAILS, FAILS},
    {"open through /proc/self/root", climbs, ENDS, FAILS, FAILS},
    {"connect to the system's bus", connects_unix, ENDS, ENDS, ENDS},
    {"map code", maps_code, ENDS, ENDS, ENDS},
    {"make memory executable", makes_code, ENDS, ENDS, ENDS},
    {"read another process's memory", reads_tests, ENDS, ENDS, ENDS},
    {"run a program", runs_program, ENDS, ENDS, ENDS},
    {"fork", makes_thread_as_process, ENDS, ENDS, ENDS},
    {"make an io_uring", makes_ring, ENDS, ENDS, ENDS},
#define NEVER(what, fn)            \
    {                              \
        what, fn, ENDS, ENDS, ENDS \
    }
    NEVER("trace a process", traces),
    NEVER("signal a process", kills),
    NEVER("signal a thread of another process", kills_thread),
    NEVER("get a descriptor of a process", opens_process),
    NEVER("make a user namespace", unshares_user),
    NEVER("join a namespace", joins_namespace),
    NEVER("mount", mounts),
    NEVER("unmount", unmounts),
    NEVER("pivot its root", pivots),
    NEVER("change its root", changes_root),
    NEVER("load BPF", loads_bpf),
    NEVER("open a perf event", counts_events),
    NEVER("make a userfaultfd", faults_pages),
    NEVER("read a key", reads_keys),
    NEVER("add a key", adds_key),
    NEVER("load a module", loads_module),
    NEVER("load a kernel", loads_kernel),
    NEVER("reboot", reboots),
    NEVER("name the host", names_host),
    NEVER("set the clock", sets_clock),
    NEVER("become another user", becomes_user),
    NEVER("become another group", becomes_group),
    NEVER("set capabilities", takes_capabilities),
    NEVER("make an IPv4 socket", opens_ip),
    NEVER("make an IPv6 socket", opens_ip6),
    NEVER("make a netlink socket", opens_netlink),
    NEVER("make a packet socket", opens_packet),
    NEVER("make a vsock socket", opens_vsock),
    NEVER("type into the terminal", pushes_key),
    NEVER("take the terminal", takes_terminal),
    NEVER("change its personality", changes_personality),
    NEVER("get System V memory", gets_shared_memory),
    NEVER("get System V messages", gets_messages),
    NEVER("open by a handle", opens_by_handle),
    NEVER("watch a file system", watches_files),
    NEVER("watch files", notes_files),
    NEVER("swap", swaps),
    NEVER("account", accounts),
    NEVER("change its scheduler", schedules),
    NEVER("change its priority", hurries),
    NEVER("change its folder", changes_folder),
    NEVER("link a file", links),
    NEVER("rename a file", renames),
    NEVER("make a device node", makes_node),
    NEVER("make a folder", makes_folder),
    NEVER("change a mode", changes_mode),
    NEVER("change an owner", changes_owner),
    NEVER("set an attribute", sets_attribute),
    NEVER("truncate by name", truncates),
    NEVER("set another process's limits", sets_limits),
    NEVER("become dumpable", dumps),
    NEVER("make a file in memory", makes_memory_file),
    NEVER("be signalled at its parent's end", dies_with_parent),
};

/* ---- in a process each ---- */

static void restore(void)
{
}

static void answer(long result)
{
    bool refused = result == -1 && (errno == EACCES || errno == EPERM);
    _exit(refused ? REFUSED : DONE);
}

static int sealed_fd; /* an eventfd: the main thread has called sandbox_seal() */

static void *taken_over(void *arg)
{
    const struct attempt *a = ((void **)arg)[0];
    eventfd_t one;
    thread_role_enter((enum thread_role)(intptr_t)((void **)arg)[1]);
    (void)eventfd_read(sealed_fd, &one);
    answer(a->fn());
    return NULL;
}

static const struct hv no_hv = {.name = "none"};

static void be_taken_over(const struct vm_config *vm, const struct attempt *a,
                          enum thread_role role)
{
    pthread_t thread;
    void *arg[] = {(void *)a, (void *)(intptr_t)role};
    /* What a test's process has open is not the run's. */
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
        sandbox_begin(vm, &no_hv, restore) != 0)
        _exit(1);
    sealed_fd = eventfd(0, EFD_CLOEXEC);
    if (role != THREAD_WORK) /* vCPUs begin afterwards */
        sandbox_seal();
    if (role == THREAD_MAIN)
        answer(a->fn());
    if (sealed_fd < 0 || thread_start(&thread, "taken", taken_over, arg) != 0)
        _exit(2);
    if (role == THREAD_WORK)
        sandbox_seal();
    (void)eventfd_write(sealed_fd, 1);
    pthread_join(thread, NULL);
    _exit(3);
}

static int status_of(const struct vm_config *vm, const struct attempt *a, enum thread_role role)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        be_taken_over(vm, a, role);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void parse(struct vm_config *vm, const char *more)
{
    char line[256];
    char *argv[16] = {NULL};
    int argc = 0;
    snprintf(line, sizeof(line), "run %s --sandbox on %s", mine, more);
    static char text[256];
    snprintf(text, sizeof(text), "%s", line);
    char *rest = text;
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " "))
        if (word[0] != '\0')
            argv[argc++] = word;
    cr_assert_eq(config_parse(vm, argc, argv), 0);
}

static void make_file(char *path, size_t bytes, const char *form)
{
    snprintf(path, bytes, "%s", form);
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void check(const struct vm_config *vm, const struct attempt *a, enum thread_role role,
                  enum answer wanted)
{
    static const int statuses[] = {[ENDS] = BROKEN, [FAILS] = REFUSED, [WORKS] = DONE};
    int status = status_of(vm, a, role);
    if (wanted == FAILS && !confine_restricts_files())
        return; /* it opens what its user may */
    cr_expect_eq(status, statuses[wanted], "%s thread: %s: %d", thread_role_names[role], a->what,
                 status);
}

/* What is not a call of this architecture would be -1 and break the rules as any other. */
Test(sandbox, refuses_what_a_taken_thread_tries)
{
    struct vm_config vm;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    cr_skip_test("a sanitizer makes system calls of its own, which are on no list");
#endif
    if (access("/etc/passwd", F_OK) != 0 || access("/root", F_OK) != 0)
        cr_skip_test("this host has no /etc/passwd or no /root, which it tries to open");
    tests = getpid();
    make_file(mine, sizeof(mine), "/tmp/minivet-kernel-XXXXXX");
    make_file(other, sizeof(other), "/tmp/minivet-disk-XXXXXX");
    parse(&vm, "");
    for (unsigned i = 0; i < ARRAY_SIZE(attempts); i++) {
        check(&vm, &attempts[i], THREAD_VCPU, attempts[i].vcpu);
        check(&vm, &attempts[i], THREAD_WORK, attempts[i].work);
        check(&vm, &attempts[i], THREAD_MAIN, attempts[i].main);
    }
    config_free(&vm);
    parse(&vm,
          "--reboot restart"); /* the main thread sets up again: the others are confined alone */
    for (unsigned i = 0; i < ARRAY_SIZE(attempts); i++) {
        if (attempts[i].fn == opens_other || attempts[i].fn == makes_file)
            continue; /* the kernel's folder is open, where these are, too */
        check(&vm, &attempts[i], THREAD_VCPU, attempts[i].vcpu);
        check(&vm, &attempts[i], THREAD_WORK, attempts[i].work);
    }
    config_free(&vm);
    unlink(mine);
    unlink(other);
}
