// SPDX-License-Identifier: BSD-2-Clause
/* I/O on the helpers, for hosts without io_uring. */
#include "core/loop/evloop_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/xmath.h"

static ssize_t run_once(const struct ev_io *io)
{
    off_t offset = (off_t)io->offset_bytes;
    switch (io->op) {
    case EV_IO_READV:
        return preadv(io->fd, io->iov, (int)io->iov_count, offset);
    case EV_IO_WRITEV:
        return pwritev(io->fd, io->iov, (int)io->iov_count, offset);
    case EV_IO_FDATASYNC:
        return fdatasync(io->fd);
    case EV_IO_FALLOCATE:
        return fallocate(io->fd, io->mode, offset, (off_t)io->bytes);
    }
    errno = EINVAL;
    return -1;
}

static void run(void *ctx)
{
    struct ev_io *io = ctx;
    ssize_t n;
    do {
        if (__atomic_load_n(&io->cancel, __ATOMIC_RELAXED)) {
            io->result = -ECANCELED;
            return;
        }
        n = run_once(io);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    io->result = n >= 0 ? n : errno == ECANCELED ? -EIO : -errno;
}

static void done(void *ctx)
{
    struct ev_io *io = ctx;
    io->done(io, io->result);
}

void evloop_pool_io(struct evloop *loop, struct ev_io *io)
{
    io->work = (struct ev_work){.run = run, .done = done, .ctx = io};
    evloop_work(loop, &io->work);
}

void evloop_pool_io_cancel(struct evloop *loop, struct ev_io *io)
{
    (void)loop;
    __atomic_store_n(&io->cancel, true, __ATOMIC_RELAXED);
}

int evloop_pool_io_turn(struct evloop *loop)
{
    evloop_inbox_finish(loop, run);
    return 0;
}
