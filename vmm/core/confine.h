// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a child process gives up before it reads what a stranger wrote: system calls (seccomp),
 * files (Landlock), memory, core dumps and new privileges.
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

struct confine;

/* May be made; with an `arg`, the first of which is 1, only if (argument & mask) == value. */
struct confine_call {
    const char *name; /* as in man 2; one that this architecture has not got is skipped */
    unsigned arg;
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
 * ioctl() with one command. There is none for all: a file that is open for reading is enough to
 * change its attributes, or with root's rights to stop its whole file system (FIFREEZE), which
 * Landlock lets pass.
 */
#define CONFINE_IOCTL(command)                                            \
    {                                                                     \
        .name = "ioctl", .arg = 2, .mask = UINT32_MAX, .value = (command) \
    }

enum {
    CONFINE_READ = 1,  /* open for reading; list a folder */
    CONFINE_WRITE = 2, /* open for writing, cut short */
    CONFINE_EXEC = 4,
    CONFINE_CONTROL = 8, /* ioctl on devices */
};

/* A file, or a folder and all below it. One that does not exist is skipped. */
struct confine_path {
    const char *path; /* NULL: what `fd` is open on */
    int fd;
    unsigned rights;
};

struct confine_policy {
    const char *name;                 /* of the child, for messages: "disk a.img" */
    const struct confine_call *calls; /* ended by one without a name */
    /*
     * NULL: no execve. Otherwise execve() is let through for a path at this very address, so once
     * for all that matters: where that address is mapped again later, Landlock still says what
     * may be executed, under the same filter.
     */
    const char *program;
    const struct confine_path *paths; /* all that may be opened */
    size_t path_count;
    bool network; /* TCP may connect and be connected to; of other sockets the calls decide alone */
    uint64_t memory_max_bytes;  /* of address space; 0: as the parent */
    uint64_t private_max_bytes; /* likewise, without files and what is shared */
};

bool confine_restricts_files(void);

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
