// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a user network's process may do: sockets of IP, and reading what libraries and the name
 * server's address come from. Not there, on purpose: processes, signals to others, io_uring, and
 * UNIX sockets: a session's bus or service manager does for the user whatever it is asked for.
 */
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/base/xmath.h"
#include "core/peers/confine.h"
#include "devices/net/user/net_child_impl.h"

#define PRIVATE_MAX   (768 * MIB) /* all that libslirp may keep is less */
#define ADDRESSES_MAX (2 * GIB)   /* with what that does not count: libraries, read-only, stacks */
/* libslirp has half as many. The kernel's memory for sockets is counted by no other limit. */
#define OPEN_FILES_MAX 1024u

static const struct confine_call calls[] = {
    CONFINE_COMMON,
    {.name = "prlimit64", .arg = 1, .mask = UINT32_MAX, .value = 0}, /* no other process's */
    CONFINE_IOCTL(FIONREAD),
    CONFINE_IOCTL(FIONBIO),
    {.name = "socket", .arg = 1, .mask = UINT32_MAX, .value = AF_INET},
    {.name = "socket", .arg = 1, .mask = UINT32_MAX, .value = AF_INET6},
    CONFINE_CALL(bind),
    CONFINE_CALL(connect),
    CONFINE_CALL(recvmmsg),
    CONFINE_CALL(sendmmsg), /* names of servers, by the C library */
    {0},
};

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
                                                         .path_count = ARRAY_SIZE(paths),
                                                         .memory_max_bytes = ADDRESSES_MAX,
                                                         .private_max_bytes = PRIVATE_MAX,
                                                         .open_files_max = OPEN_FILES_MAX});
}
