// SPDX-License-Identifier: BSD-2-Clause
#include "devices/share/share_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#define COPY_MAX (UINT64_C(64) * MIB) /* in a message: a helper is not busy for ever */

/* ---- open and close ---- */

/* What the host keeps of a guest's flags. O_NONBLOCK: a lease makes it fail, not wait. */
int flags_to_host(const struct share_dir *s, uint32_t flags)
{
    int host = (int)(flags & (O_ACCMODE | O_TRUNC | O_APPEND | O_SYNC | O_DSYNC)) | O_CLOEXEC |
               O_NOCTTY | O_NONBLOCK;
    if (!s->config.writeback)
        return host;
    /* The guest's cache reads what it writes a part of, and knows where the end is. */
    if ((host & O_ACCMODE) == O_WRONLY)
        host = (host & ~O_ACCMODE) | O_RDWR;
    return host & ~O_APPEND;
}

int open_again(const struct share_dir *s, int fd, int flags, mode_t mode)
{
    char name[16];
    snprintf(name, sizeof(name), "%d", fd);
    int again = openat(s->proc_fd, name, flags | O_CLOEXEC | O_NOCTTY, mode);
    return again < 0 ? -errno : again;
}

uint32_t open_reply_flags(const struct share_dir *s)
{
    if (s->config.cache == SHARE_CACHE_NEVER)
        return FOPEN_DIRECT_IO;
    return s->config.cache == SHARE_CACHE_ALWAYS ? FOPEN_KEEP_CACHE : 0;
}

int open_node(struct op *op, struct node *n, uint32_t flags, bool kills_setid,
              struct fuse_open_out *out)
{
    struct share_dir *s = op->share;
    int host = flags_to_host(s, flags);
    bool writes = (host & O_ACCMODE) != O_RDONLY || (host & O_TRUNC) != 0;
    if (n->type != S_IFREG)
        return n->type == S_IFDIR ? -EISDIR : -ENXIO;
    if (writes && s->config.read_only)
        return -EROFS;
    if (n->waits && !op->on_helper)
        return OP_ELSEWHERE;
    if (op->on_helper)
        host &= ~O_NONBLOCK;
    int path_fd = node_fd(s, n);
    if (path_fd < 0)
        return path_fd;
    if ((host & O_TRUNC) != 0 && is_large(op, path_fd, ""))
        return OP_ELSEWHERE;
    int fd = open_again(s, path_fd, host, 0);
    if (fd == -EACCES && (flags & O_ACCMODE) == O_WRONLY) /* it can be written, not read */
        fd = open_again(s, path_fd, (host & ~O_ACCMODE) | O_WRONLY, 0);
    if (fd < 0)
        return fd == -EAGAIN && !op->on_helper ? OP_ELSEWHERE : fd;
    struct handle *h;
    int err = (host & O_TRUNC) != 0 ? owner_strip(op, n, fd, kills_setid) : 0;
    if (err != 0)
        close(fd);
    else
        err = handle_open(s, n, fd, host, &h);
    if (err != 0)
        return err;
    *out = (struct fuse_open_out){.fh = h->id, .open_flags = open_reply_flags(s)};
    return 0;
}

int op_open(struct op *op)
{
    const struct fuse_open_in *in = op->args;
    struct fuse_open_out out;
    bool kills_setid = (in->open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
    int r = open_node(op, op->node, in->flags, kills_setid, &out);
    if (r == 0)
        op_put(op, &out, sizeof(out));
    return r;
}

int op_release(struct op *op)
{
    const struct fuse_release_in *in = op->args;
    locks_release(op->share, in->fh);
    handle_release(op->share, in->fh);
    return OP_DONE;
}

/* ---- data ---- */

/* The next vectors of the data: the guest's own where they fit, which is nearly always. */
static void set_vectors(struct op *op)
{
    struct iobuf *data = &op->data;
    size_t bytes = 0;
    unsigned count = 0;
    if (data->offset == data->iov->iov_len) { /* arguments, of which nothing is left */
        data->iov++;
        data->offset = 0;
    }
    if (data->offset == 0)
        while (count < IOV_MAX && bytes + data->iov[count].iov_len <= op->left) {
            bytes += data->iov[count++].iov_len;
            if (bytes == op->left)
                break;
        }
    op->io.iov = data->iov;
    if (count == 0) {
        bytes = iobuf_fill(data, op->left, op->iov, ARRAY_SIZE(op->iov), &count);
        op->io.iov = op->iov;
    }
    op->io.iov_count = count;
    op->io.bytes = bytes;
}

static void prepare(struct op *op)
{
    set_vectors(op);
    op->io.fd = op->handle->fd;
    op->io.offset_bytes = op->offset;
}

static void transfer(struct op *op)
{
    prepare(op);
    evloop_io(op->loop, &op->io);
}

static void count(struct op *op, uint64_t n)
{
    iobuf_skip(&op->data, n);
    op->offset += n;
    op->left -= n;
    op->total += (uint32_t)n;
}

/* Counts what was moved. True: more of it is on its way. */
static bool moved(struct op *op, int64_t n)
{
    if (n <= 0)
        return false;
    count(op, (uint64_t)n);
    if (op->left == 0 || (uint64_t)n < op->io.bytes || op->req == NULL)
        return false;
    transfer(op);
    return true;
}

/* What is in memory; -1: the next byte is not. */
static ssize_t read_cached(struct op *op)
{
    struct handle *h = op->handle;
    int vectors = (int)op->io.iov_count;
    off_t at = (off_t)op->offset;
    if (op->node->in_memory)
        return preadv(h->fd, op->io.iov, vectors, at);
    if (atomic_load_explicit(&h->has_no_nowait, memory_order_relaxed))
        return -1;
    ssize_t n = preadv2(h->fd, op->io.iov, vectors, at, RWF_NOWAIT);
    if (n < 0 && errno == EOPNOTSUPP)
        atomic_store_explicit(&h->has_no_nowait, true, memory_order_relaxed);
    return n;
}

/*
 * What the page cache has, or takes, is copied here and now: io_uring leaves each write to a thread
 * of the kernel's, which takes longer than the copy. Left to io_uring are what has to be read from
 * a disk, or be on one before the call returns, and what follows an error. True: that was all.
 */
static bool copied(struct op *op)
{
    bool reads = op->io.op == EV_IO_READV;
    if (op->node->waits || (!reads && op->handle->syncs) || !evloop_may_copy(op->loop, op->left))
        return false;
    while (op->left > 0) {
        prepare(op);
        ssize_t n = reads
                        ? read_cached(op)
                        : pwritev(op->io.fd, op->io.iov, (int)op->io.iov_count, (off_t)op->offset);
        if (n <= 0)
            return n == 0;
        count(op, (uint64_t)n);
    }
    return true;
}

/* The answer, or the error `n` of a transfer that moved nothing. */
static int ended(struct op *op, int64_t n)
{
    const struct fuse_write_out out = {.size = op->total};
    if (n < 0 && op->total == 0)
        return (int)n;
    if (op->io.op == EV_IO_READV)
        op->moved_in = op->total;
    else
        op_put(op, &out, sizeof(out));
    return OP_DONE;
}

static void on_moved(struct ev_io *io, int64_t n)
{
    struct op *op = container_of(io, struct op, io);
    if (!moved(op, n))
        op_finish(op, ended(op, n));
}

static int move(struct op *op, enum ev_io_op what)
{
    op->io.op = what;
    op->io.done = on_moved;
    if (copied(op))
        return ended(op, 0);
    transfer(op);
    return OP_PENDING;
}

static int begin(struct op *op, uint64_t fh, uint64_t offset, uint64_t bytes)
{
    int err = op_handle(op, fh);
    if (err != 0)
        return err;
    if (op->node->type != S_IFREG)
        return -EBADF;
    if (bytes > INT64_MAX || offset > INT64_MAX - bytes)
        return op->in.opcode == FUSE_WRITE ? -EFBIG : -EINVAL;
    op->offset = offset;
    op->left = bytes;
    return bytes == 0 ? 1 : 0;
}

int op_read(struct op *op)
{
    const struct fuse_read_in *in = op->args;
    int r = begin(op, in->fh, in->offset, min_u64(min_u64(in->size, op->room), SHARE_IO_MAX));
    if (r != 0)
        return r < 0 ? r : OP_DONE;
    op->data = op->req->wr;
    iobuf_skip(&op->data, sizeof(struct fuse_out_header));
    return move(op, EV_IO_READV);
}

/* On a helper, before what is written there. */
static int strip_elsewhere(struct op *op, bool setid)
{
    int err = owner_strip(op, op->node, op->handle->fd, setid);
    op->is_stripped = true;
    return err != 0 ? err : OP_ELSEWHERE;
}

int op_write(struct op *op)
{
    const struct fuse_write_in *in = op->args;
    const struct fuse_write_out none = {0};
    bool setid = (in->write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
    if (op->on_helper)
        return strip_elsewhere(op, setid);
    if (in->size > SHARE_IO_MAX || in->size > op->req->rd.left)
        return -EINVAL;
    int r = begin(op, in->fh, in->offset, in->size);
    if (r == 0 && !op->handle->writable)
        r = -EBADF;
    if (r == 0 && !op->is_stripped && owner_strips(op, op->node, setid))
        r = op->node->waits ? OP_ELSEWHERE : owner_strip(op, op->node, op->handle->fd, setid);
    if (r == OP_ELSEWHERE)
        return r;
    if (r == 1)
        op_put(op, &none, sizeof(none));
    if (r != 0)
        return r < 0 ? r : OP_DONE;
    op->data = op->req->rd;
    return move(op, EV_IO_WRITEV);
}

/* ---- the rest ---- */

int op_fsync(struct op *op)
{
    const struct fuse_fsync_in *in = op->args;
    int err = op_handle(op, in->fh);
    if (err != 0)
        return err;
    bool data_only = (in->fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
    int r = data_only ? fdatasync(op->handle->fd) : fsync(op->handle->fd);
    return r < 0 ? -errno : OP_DONE;
}

int op_fallocate(struct op *op)
{
    const struct fuse_fallocate_in *in = op->args;
    int err = op_handle(op, in->fh);
    if (err != 0)
        return err;
    if (!op->handle->writable)
        return -EBADF;
    if (in->offset > INT64_MAX || in->length > INT64_MAX)
        return -EINVAL;
    err = owner_strip(op, op->node, op->handle->fd, op->in.uid != 0); /* no flag says it */
    if (err != 0)
        return err;
    int r = fallocate(op->handle->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length);
    return r < 0 ? -errno : OP_DONE;
}

int op_lseek(struct op *op)
{
    const struct fuse_lseek_in *in = op->args;
    if (op->share->config.writeback) /* what the guest has not written yet is no hole */
        return -ENOSYS;
    int err = op_handle(op, in->fh);
    if (err != 0)
        return err;
    if ((in->whence != SEEK_DATA && in->whence != SEEK_HOLE) || in->offset > INT64_MAX ||
        op->node->type != S_IFREG)
        return -EINVAL;
    off_t at = lseek(op->handle->fd, (off_t)in->offset, (int)in->whence);
    if (at < 0)
        return -errno;
    const struct fuse_lseek_out out = {.offset = (uint64_t)at};
    op_put(op, &out, sizeof(out));
    return OP_DONE;
}

int op_copy_file_range(struct op *op)
{
    const struct fuse_copy_file_range_in *in = op->args;
    struct share_dir *s = op->share;
    int err = op_handle(op, in->fh_in);
    if (err != 0)
        return err;
    if (in->off_in > INT64_MAX || in->off_out > INT64_MAX || in->flags != 0)
        return -EINVAL;
    struct handle *to = handle_get(s, in->fh_out);
    if (to == NULL)
        return -EBADF;
    off_t from_at = (off_t)in->off_in, to_at = (off_t)in->off_out;
    ssize_t n = -1;
    errno = EBADF;
    bool can = to->writable && to->node->type == S_IFREG && op->node->type == S_IFREG;
    if (can && owner_strip(op, to->node, to->fd, op->in.uid != 0) == 0)
        n = copy_file_range(op->handle->fd, &from_at, to->fd, &to_at, min_u64(in->len, COPY_MAX),
                            0);
    err = n < 0 ? -errno : 0;
    handle_put(s, to);
    if (err != 0)
        return err;
    const struct fuse_write_out out = {.size = (uint32_t)n};
    op_put(op, &out, sizeof(out));
    return OP_DONE;
}
