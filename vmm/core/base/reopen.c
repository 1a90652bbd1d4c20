// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/reopen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int reopen_nonblocking(int fd, int flags)
{
    struct stat st;
    char path[32];
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISFIFO(st.st_mode) && !isatty(fd))
        return -EINVAL;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own < 0 ? -errno : own;
}
