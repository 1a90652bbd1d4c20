// SPDX-License-Identifier: BSD-2-Clause
#include "core/output/own_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_own(const struct stat *st)
{
    return st->st_uid == geteuid() || st->st_uid == 0;
}

static int check(int fd, bool to_truncate)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!is_own(&st))
        return -EPERM;
    return to_truncate && S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0 ? -errno : 0;
}

int own_file_open(int dir_fd, const char *path, int flags, mode_t mode)
{
    const int more = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    struct stat st;
    int fd = openat(dir_fd, path, flags | O_CREAT | O_EXCL | more, mode);
    if (fd >= 0 || errno != EEXIST)
        return fd >= 0 ? fd : -errno;
    if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!is_own(&st))
        return -EPERM;
    fd = openat(dir_fd, path, (flags & ~O_TRUNC) | more);
    if (fd < 0)
        return -errno;
    int err = check(fd, (flags & O_TRUNC) != 0);
    if (err < 0)
        close(fd);
    return err < 0 ? err : fd;
}
