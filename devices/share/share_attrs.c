// SPDX-License-Identifier: BSD-2-Clause
#include "devices/share/share_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- attributes ---- */

static int answer_attr(struct op *op)
{
    struct fuse_attr_out out = {.attr_valid = seconds_to_keep(op->share)};
    struct statx st;
    int err = op->handle != NULL ? stat_for_guest(op, op->handle->fd, "", &st)
                                 : node_stat(op, op->node, &st);
    if (err != 0)
        return err;
    attr_fill(&st, &out.attr);
    op_put(op, &out, sizeof(out));
    return OP_DONE;
}

int op_getattr(struct op *op)
{
    const struct fuse_getattr_in *in = op->args;
    if (op->arg_bytes >= sizeof(*in) && (in->getattr_flags & FUSE_GETATTR_FH) != 0) {
        int err = op_handle(op, in->fh);
        if (err != 0)
            return err;
    }
    return answer_attr(op);
}

/* Of a file that is not open for writing: on a helper, for a process that has a lease of it is
 * waited for. */
static int set_size(struct op *op, int fd, uint64_t size)
{
    char path[SHARE_PROC_PATH];
    if (op->node->type != S_IFREG)
        return op->node->type == S_IFDIR ? -EISDIR : -EINVAL;
    if (size > INT64_MAX)
        return -EFBIG;
    if (op->handle != NULL && !op->handle->writable)
        return -EINVAL;
    if (is_large(op, fd, ""))
        return OP_ELSEWHERE;
    if (op->handle != NULL)
        return ftruncate(op->handle->fd, (off_t)size) < 0 ? -errno : 0;
    fd_path(path, fd);
    return truncate(path, (off_t)size) < 0 ? -errno : 0;
}

static struct timespec time_of(const struct fuse_setattr_in *in, unsigned set, unsigned now,
                               uint64_t seconds, uint32_t ns)
{
    if ((in->valid & now) != 0)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    if ((in->valid & set) == 0)
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = ns};
}

static int set_times(int fd, const struct fuse_setattr_in *in)
{
    char path[SHARE_PROC_PATH];
    if ((in->valid & (FATTR_ATIME | FATTR_MTIME)) == 0)
        return 0;
    const struct timespec times[2] = {
        time_of(in, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
        time_of(in, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
    };
    fd_path(path, fd);
    return utimensat(AT_FDCWD, path, times, 0) < 0 ? -errno : 0;
}

int op_setattr(struct op *op)
{
    const struct fuse_setattr_in *in = op->args;
    if ((in->valid & (FATTR_SIZE | FATTR_FH)) == FATTR_SIZE && !op->on_helper)
        return OP_ELSEWHERE;
    int err = (in->valid & FATTR_FH) != 0 ? op_handle(op, in->fh) : 0;
    if (err != 0)
        return err;
    int fd = node_fd(op->share, op->node);
    if (fd < 0)
        return fd;
    err = owner_change(op, fd, in);
    if (err == 0 && (in->valid & FATTR_SIZE) != 0)
        err = set_size(op, fd, in->size);
    if (err == 0)
        err = set_times(fd, in);
    return err != 0 ? err : answer_attr(op);
}

/* ---- the file system ---- */

int op_statfs(struct op *op)
{
    struct statvfs st;
    int fd = node_fd(op->share, op->node);
    if (fd < 0)
        return fd;
    if (fstatvfs(fd, &st) < 0)
        return -errno;
    const struct fuse_statfs_out out = {.st = {
                                            .blocks = st.f_blocks,
                                            .bfree = st.f_bfree,
                                            .bavail = st.f_bavail,
                                            .files = st.f_files,
                                            .ffree = st.f_ffree,
                                            .bsize = (uint32_t)st.f_bsize,
                                            .namelen = (uint32_t)st.f_namemax,
                                            .frsize = (uint32_t)st.f_frsize,
                                        }};
    op_put(op, &out, sizeof(out));
    return OP_DONE;
}

int op_syncfs(struct op *op)
{
    int fd = node_fd(op->share, op->node);
    fd = fd < 0 ? fd : open_again(op->share, fd, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int err = syncfs(fd) < 0 ? -errno : 0;
    close(fd);
    return err;
}

/* ---- extended attributes ---- */

/* A message about one: its name as the host has it, and a path to the file. */
static int begin_xattr(struct op *op, char path[SHARE_PROC_PATH], char name[XATTR_NAME_MAX + 1],
                       size_t *end)
{
    size_t at = op->kind->arg_bytes, bytes = 0;
    if (!op->share->config.xattr)
        return -ENOSYS; /* the guest does not ask again */
    const char *text = op_text(op, at, &bytes);
    if (text == NULL || bytes == 0)
        return -EINVAL;
    if (bytes > XATTR_NAME_MAX)
        return -ERANGE;
    int err = xattr_to_host(op->share, text, name);
    if (err != 0)
        return err;
    int fd = node_fd(op->share, op->node);
    if (fd < 0)
        return fd;
    fd_path(path, fd);
    *end = at + bytes + 1;
    return 0;
}

int op_setxattr(struct op *op)
{
    const struct fuse_setxattr_in *in = op->args;
    char path[SHARE_PROC_PATH], name[XATTR_NAME_MAX + 1];
    size_t end;
    int err = begin_xattr(op, path, name, &end);
    if (err != 0)
        return err;
    if (in->size > op->arg_bytes - end)
        return -EINVAL;
    const char *value = (const char *)op->args + end;
    atomic_store(&op->node->no_capability, false); /* it may be that */
    return setxattr(path, name, value, in->size, (int)in->flags) < 0 ? -errno : OP_DONE;
}

/* What get and list have in common: the size alone, or the bytes, of which there are n. */
static int answer_bytes(struct op *op, const void *bytes, size_t n, uint32_t size)
{
    if (size == 0) {
        const struct fuse_getxattr_out out = {.size = (uint32_t)n};
        op_put(op, &out, sizeof(out));
        return OP_DONE;
    }
    if (n > size)
        return -ERANGE;
    int err = op_reserve(op, n);
    if (err == 0)
        op_put(op, bytes, n);
    return err;
}

int op_getxattr(struct op *op)
{
    const struct fuse_getxattr_in *in = op->args;
    char path[SHARE_PROC_PATH], name[XATTR_NAME_MAX + 1], value[XATTR_SIZE_MAX];
    size_t end;
    int err = begin_xattr(op, path, name, &end);
    if (err == -EOPNOTSUPP)
        return -ENODATA;
    if (err != 0)
        return err;
    ssize_t n = getxattr(path, name, value, sizeof(value));
    return n < 0 ? -errno : answer_bytes(op, value, (size_t)n, in->size);
}

int op_listxattr(struct op *op)
{
    const struct fuse_getxattr_in *in = op->args;
    char path[SHARE_PROC_PATH], names[XATTR_LIST_MAX];
    if (!op->share->config.xattr)
        return -ENOSYS;
    int fd = node_fd(op->share, op->node);
    if (fd < 0)
        return fd;
    fd_path(path, fd);
    ssize_t n = listxattr(path, names, sizeof(names));
    if (n < 0)
        return -errno;
    size_t kept = 0;
    for (char *at = names, *next; at < names + n; at = next) {
        next = at + strlen(at) + 1;
        const char *name = xattr_to_guest(op->share, at);
        if (name == NULL)
            continue;
        size_t bytes = (size_t)(next - name);
        memmove(names + kept, name, bytes); /* never longer than it was */
        kept += bytes;
    }
    return answer_bytes(op, names, kept, in->size);
}

int op_removexattr(struct op *op)
{
    char path[SHARE_PROC_PATH], name[XATTR_NAME_MAX + 1];
    size_t end;
    int err = begin_xattr(op, path, name, &end);
    if (err != 0)
        return err;
    return removexattr(path, name) < 0 ? -errno : OP_DONE;
}
