// SPDX-License-Identifier: BSD-2-Clause
/*
 * The loop's engine where the host refuses io_uring: epoll, and I/O on the helpers.
 *
 * Eventfds are edge-triggered and never read: a system call less for each kick, and another thread
 * that takes what was written to one finds it there.
 */
#include "core/loop/evloop_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32

struct epoll {
    int fd;
    struct epoll_event batch[BATCH];
    int next, count; /* what is still to be delivered */
};

static int epoll_open(struct evloop *loop)
{
    loop->epoll = calloc(1, sizeof(*loop->epoll));
    if (!loop->epoll)
        return -ENOMEM;
    loop->epoll->fd = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll->fd < 0 ? -errno : 0;
}

static void epoll_close(struct evloop *loop)
{
    if (loop->epoll && loop->epoll->fd >= 0)
        close(loop->epoll->fd);
    free(loop->epoll);
    loop->epoll = NULL;
}

static int control(struct evloop *loop, struct ev_fd *ev, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = ev};
    return epoll_ctl(loop->epoll->fd, op, ev->fd, &e) < 0 ? -errno : 0;
}

static int epoll_add(struct evloop *loop, struct ev_fd *ev, uint32_t events)
{
    return control(loop, ev, EPOLL_CTL_ADD, ev->is_event ? events | EPOLLET : events);
}

static int epoll_set(struct evloop *loop, struct ev_fd *ev, uint32_t events)
{
    return control(loop, ev, EPOLL_CTL_MOD, events);
}

static void epoll_del(struct evloop *loop, struct ev_fd *ev)
{
    struct epoll *p = loop->epoll;
    control(loop, ev, EPOLL_CTL_DEL, 0);
    /* What epoll has already said about it must not reach it any more. */
    for (int i = p->next; i < p->count; i++)
        if (p->batch[i].data.ptr == ev)
            p->batch[i].data.ptr = NULL;
}

static int wait_ns(struct epoll *p, int64_t ns)
{
    struct timespec ts = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    int n = epoll_pwait2(p->fd, p->batch, BATCH, ns < 0 ? NULL : &ts, NULL);
    if (n < 0 && errno == ENOSYS) { /* Linux before 5.11 */
        int64_t ms = ns < 0 ? -1 : (ns + 999999) / 1000000;
        n = epoll_wait(p->fd, p->batch, BATCH, ms > INT32_MAX ? INT32_MAX : (int)ms);
    }
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    return n;
}

static int epoll_wait_for(struct evloop *loop, int64_t ns)
{
    struct epoll *p = loop->epoll;
    if (p->next < p->count)
        return 0; /* inside a callback: the rest of the batch comes first */
    int n = wait_ns(p, ns);
    loop->stats.system_calls++;
    p->next = 0;
    p->count = n < 0 ? 0 : n;
    return n < 0 ? n : 0;
}

/* A callback may come here again through evloop_drain(), which then delivers what is left. */
static int epoll_dispatch(struct evloop *loop)
{
    struct epoll *p = loop->epoll;
    int n = p->count - p->next;
    while (p->next < p->count) {
        struct epoll_event *e = &p->batch[p->next++];
        struct ev_fd *ev = e->data.ptr;
        if (ev)
            ev->cb(ev->ctx, e->events);
    }
    return n;
}

static bool epoll_ready(struct evloop *loop)
{
    struct pollfd p = {.fd = loop->epoll->fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

static void epoll_release(struct evloop *loop, bool last)
{
    (void)loop; /* any thread can go on with it */
    (void)last;
}

/* ---- I/O on the helpers ---- */

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

static void epoll_io(struct evloop *loop, struct ev_io *io)
{
    io->work = (struct ev_work){.run = run, .done = done, .ctx = io};
    evloop_work(loop, &io->work);
}

static void epoll_io_cancel(struct evloop *loop, struct ev_io *io)
{
    (void)loop;
    __atomic_store_n(&io->cancel, true, __ATOMIC_RELAXED);
}

static int epoll_io_turn(struct evloop *loop)
{
    evloop_inbox_finish(loop, run);
    return 0;
}

const struct evloop_engine evloop_epoll_engine = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .add = epoll_add,
    .set = epoll_set,
    .del = epoll_del,
    .wait = epoll_wait_for,
    .dispatch = epoll_dispatch,
    .ready = epoll_ready,
    .io = epoll_io,
    .io_cancel = epoll_io_cancel,
    .io_turn = epoll_io_turn,
    .release = epoll_release,
};
