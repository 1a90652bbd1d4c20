// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a child process gives up before it reads what a stranger wrote: system calls (seccomp),
 * files (Landlock), memory, core dumps, root's capabilities (but for opening what files Landlock
 * leaves and listening on small ports) and new privileges.
 *
 *     parent                                  child
 *     confine_prepare(&c, &policy)
 *     fork() -------------------------------> confine_apply(c)
 *     confine_destroy(c)                      execve(), or the work itself
 *
 * The filter is made before the fork, since that takes memory and locks; confine_apply() makes
 * system calls only and may run between fork and exec of a process with threads. It cannot be
 * taken back, and what the child starts inherits it.
 *
 * System calls that are not listed fail with ENOSYS, as on a kernel that has not got them: the C
 * library and most programs then do without, so that a newer version of a program degrades
 * instead of dying. (`clone` listed with CONFINE_THREADS makes threads: glibc turns to it when
 * clone3, whose flags no filter can see, is not there.) Calls of another architecture kill.
 *
 * Files are best effort: a kernel without Landlock, or a host that has it off, restricts none.
 * confine_restricts_files() says which; the seccomp filter is never left out.
 */
#ifndef MINIVET_CORE_CONFINE_H
#define MINIVET_CORE_CONFINE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>

struct confine;

/* May be made; with an `arg`, the first of which is 1, only if (argument & mask) == value. */
struct confine_call {
    unsigned arg;
    /* As in man 2; one that this architecture has not got is skipped. No pointer: at each start the
     * loader would write to all pages of the tables. */
    char name[20];
    uint64_t mask, value;
};

/* clone() for threads: CLONE_THREAD is 0x10000. */
#define CONFINE_THREADS                                              \
    {                                                                \
        .name = "clone", .arg = 1, .mask = 0x10000, .value = 0x10000 \
    }

/* mmap() but for shared anonymous memory, which no limit of the process counts. */
#define CONFINE_MMAP                                       \
    {.name = "mmap", .arg = 4, .mask = 0x01, .value = 0},  \
    {                                                      \
        .name = "mmap", .arg = 4, .mask = 0x20, .value = 0 \
    }

/*
 * fcntl() but for what names the process that signals of a descriptor's go to (F_SETOWN,
 * F_SETOWN_EX): with F_SETSIG that kills any process of the same user. And but for leases
 * (F_SETLEASE): an open for writing waits for those that other processes have on the file.
 */
#define CONFINE_FCNTL                                                             \
    {.name = "fcntl", .arg = 2, .mask = 0xfffffff8, .value = 0}, /* 0 to 7 */     \
        {.name = "fcntl", .arg = 2, .mask = 0xfffffffc, .value = 36} /* locks */, \
    {                                                                             \
        .name = "fcntl", .arg = 2, .mask = UINT32_MAX, .value = F_DUPFD_CLOEXEC   \
    }

/*
 * madvise() but for what takes pages from the whole host as if they were faulty (MADV_HWPOISON,
 * MADV_SOFT_OFFLINE), which root's child could ask for: where another process has the page, too, it
 * is killed.
 */
#define CONFINE_MADVISE                                             \
    {                                                               \
        .name = "madvise", .arg = 3, .mask = 0xffffffc0, .value = 0 \
    }

/*
 * ioctl() with one command. There is none for all: a file that is open for reading is enough to
 * change its attributes, or with root's rights to stop its whole file system (FIFREEZE), which
 * Landlock lets pass.
 */
#define CONFINE_IOCTL(command)                                            \
    {                                                                     \
        .name = "ioctl", .arg = 2, .mask = UINT32_MAX, .value = (command) \
    }

#define CONFINE_CALL(word) \
    {                      \
        .name = #word      \
    }

/* What each child needs: memory, time, itself, files and sockets that are open or that it may open,
 * a loop. */
#define CONFINE_COMMON                                                                             \
    CONFINE_MMAP, CONFINE_FCNTL, CONFINE_MADVISE, CONFINE_CALL(arch_prctl), CONFINE_CALL(brk),     \
        CONFINE_CALL(munmap), CONFINE_CALL(mprotect), CONFINE_CALL(mremap), CONFINE_CALL(futex),   \
        CONFINE_CALL(rseq), CONFINE_CALL(set_robust_list), CONFINE_CALL(set_tid_address),          \
        CONFINE_CALL(sched_yield), CONFINE_CALL(sched_getaffinity), CONFINE_CALL(getpid),          \
        CONFINE_CALL(gettid), CONFINE_CALL(exit), CONFINE_CALL(exit_group),                        \
        CONFINE_CALL(restart_syscall), CONFINE_CALL(rt_sigaction), CONFINE_CALL(rt_sigprocmask),   \
        CONFINE_CALL(rt_sigreturn), CONFINE_CALL(sigaltstack), CONFINE_CALL(clock_gettime),        \
        CONFINE_CALL(clock_getres), CONFINE_CALL(clock_nanosleep), CONFINE_CALL(gettimeofday),     \
        CONFINE_CALL(getrandom), CONFINE_CALL(sysinfo), CONFINE_CALL(uname), CONFINE_CALL(getuid), \
        CONFINE_CALL(geteuid), CONFINE_CALL(getgid), CONFINE_CALL(getegid), CONFINE_CALL(access),  \
        CONFINE_CALL(openat), CONFINE_CALL(close), CONFINE_CALL(stat), CONFINE_CALL(fstat),        \
        CONFINE_CALL(newfstatat), CONFINE_CALL(statfs), CONFINE_CALL(readlink),                    \
        CONFINE_CALL(read), CONFINE_CALL(readv), CONFINE_CALL(pread64), CONFINE_CALL(write),       \
        CONFINE_CALL(writev), CONFINE_CALL(lseek), CONFINE_CALL(getdents64), CONFINE_CALL(poll),   \
        CONFINE_CALL(ppoll), CONFINE_CALL(epoll_create1), CONFINE_CALL(epoll_ctl),                 \
        CONFINE_CALL(epoll_wait), CONFINE_CALL(epoll_pwait), CONFINE_CALL(epoll_pwait2),           \
        CONFINE_CALL(eventfd2), CONFINE_CALL(timerfd_create), CONFINE_CALL(timerfd_settime),       \
        CONFINE_CALL(listen), CONFINE_CALL(accept), CONFINE_CALL(accept4), CONFINE_CALL(shutdown), \
        CONFINE_CALL(getsockname), CONFINE_CALL(getpeername), CONFINE_CALL(getsockopt),            \
        CONFINE_CALL(setsockopt), CONFINE_CALL(recvmsg), CONFINE_CALL(recvfrom),                   \
        CONFINE_CALL(sendmsg), CONFINE_CALL(sendto),                                               \
    {                                                                                              \
        .name = "prctl", .arg = 1, .mask = ~UINT64_C(0), .value = PR_SET_NAME                      \
    }

enum {
    CONFINE_READ = 1,  /* open for reading; list a folder */
    CONFINE_WRITE = 2, /* open for writing, cut short */
    CONFINE_EXEC = 4,
    CONFINE_CONTROL = 8, /* ioctl on devices */
    CONFINE_MAKE = 16,   /* in a folder: files, sockets, folders and links are made and removed */
    CONFINE_ALL = 32,    /* but for the rights above: all that there is to do to files */
};

/* A file, or a folder and all below it. A path that does not exist is skipped. */
struct confine_path {
    const char *path; /* NULL: what `fd` is open on */
    int fd;
    unsigned rights;
};

struct confine_policy {
    const char *name;                 /* of the child, for messages: "disk a.img" */
    const struct confine_call *calls; /* ended by one without a name; NULL: all, for now */
    /*
     * NULL: no execve. Otherwise execve() is let through for a path at this very address, so once
     * for all that matters: where that address is mapped again later, Landlock still says what
     * may be executed, under the same filter.
     */
    const char *program;
    const struct confine_path *paths; /* all that may be opened */
    size_t path_count;
    bool network; /* TCP may connect and be connected to; of other sockets the calls decide alone */
    bool reaches_out; /* to abstract sockets of other processes, too, and it may signal those */
    bool keeps_core;  /* its core dumps are as large as they are */
    uint64_t capabilities;      /* of root's, kept as well as the two, by number */
    uint64_t memory_max_bytes;  /* of address space; 0: as the parent */
    uint64_t private_max_bytes; /* likewise, without files and what is shared */
    uint64_t open_files_max;    /* each may keep memory of the kernel's; 0: as the parent */
};

bool confine_restricts_files(void);
/* What this kernel's Landlock has (Linux's Documentation/userspace-api/landlock.rst); 0: none. */
int confine_landlock_abi(void);

/* Any thread. 0, or a negative errno that has been reported. Keeps nothing of the policy. */
int confine_prepare(struct confine **out, const struct confine_policy *policy);

/*
 * In the child, last of all that needs a right. 0, or a negative errno, silently: then the child
 * must not go on. Needs no capability. Descriptors that are open stay so; the prepared one is
 * close-on-exec.
 */
int confine_apply(const struct confine *confine);

/* NULL is allowed. */
void confine_destroy(struct confine *confine);

#endif
