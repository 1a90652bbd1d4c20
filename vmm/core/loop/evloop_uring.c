// SPDX-License-Identifier: BSD-2-Clause
/*
 * The loop's engine on io_uring. What is asked for waits in lists; one system call a turn hands all
 * of it in and takes what has completed.
 *
 *   poll slot:  free -> wanted -> armed -> (fired) queued -> callback, wanted again
 *   I/O:        pending -> in flight -> ended -> done()
 *
 * A plain descriptor is polled once and armed anew with its callback, which makes it level-
 * triggered. An eventfd is polled for good and never read: a system call less for each kick.
 *
 * The ring belongs to the thread that first enters it (SINGLE_ISSUER), and what completes is put
 * into the ring only when that thread asks (DEFER_TASKRUN): no interrupts, no locks. When another
 * thread runs the loop it takes a new ring. Polls can simply be armed there again, since nothing
 * of theirs is lost with the old one; I/O is never in flight while no thread owns the loop.
 */
#include "core/loop/evloop_impl.h"
#include "core/loop/ring_rules.h"

#include <errno.h>
#include <liburing.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

#define SLOTS      8192u /* descriptors: more than eight user networks have */
#define SQ_ENTRIES 256u
#define COPY_BYTES (2 * MIB) /* of the page cache, while it is handed in by one system call */
#define FULL_NS    UINT64_C(1000000) /* what the kernel does not take now it may take then */
#define IN_FLIGHT  1024u             /* more I/O than that waits in the list */
#ifndef CQ_ENTRIES                   /* a test takes fewer */
#define CQ_ENTRIES 4096u             /* all that can be out, and more */
#endif
#define RING_FLAGS                                                                         \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | \
     IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL)

/* What a completion belongs to: the pointer's low bits say its kind. */
#define TAG_NONE 0u
#define TAG_SLOT 1u
#define TAG_IO   2u
#define TAG_MASK 3u

enum { IO_IDLE, IO_PENDING, IO_IN_FLIGHT, IO_ENDED };

enum { WANTED, FIRED, LISTS };

/* What polls one descriptor. Outlives its ev_fd until the kernel has let go of it. */
struct slot {
    struct ev_fd *ev; /* NULL: deleted (and in no list), or free */
    uint32_t events;
    uint32_t fired; /* to be delivered */
    bool armed;     /* a last completion is to come */
    bool in[LISTS]; /* to be armed; to be delivered */
    TAILQ_ENTRY(slot) link[LISTS];
};

struct slots {
    TAILQ_HEAD(, slot) list;
    unsigned count;
};

struct ios {
    TAILQ_HEAD(, ev_io) list;
    unsigned count;
};

struct uring {
    struct io_uring ring;
    struct io_uring spare; /* for the next thread, which may not be able to make one */
    bool is_open, has_spare;
    bool is_releasing;
    pid_t thread;            /* the ring's owner; 0: none yet */
    unsigned slots_used;     /* those beyond have never been, and are not touched */
    TAILQ_HEAD(, slot) free; /* by link[WANTED] */
    struct slots lists[LISTS];
    struct ios pending, ended;
    unsigned in_flight;
    unsigned reaped; /* completions since the last dispatch */
    struct slot slots[SLOTS];
};

/* ---- the ring ---- */

/*
 * One thread's ring may be where another's was, which the kernel orders; race detectors do not see
 * liburing's mappings, but they see this counter.
 */
static atomic_uint rings_closed;

static int ring_make(struct io_uring *ring)
{
    struct io_uring_params params = {.flags = RING_FLAGS, .cq_entries = CQ_ENTRIES};
    int err = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
    if (err < 0)
        return err;
    err = ring_restrict(ring, IOSQE_ASYNC);
    if (err < 0)
        io_uring_queue_exit(ring);
    return err;
}

static int ring_open(struct uring *u)
{
    int err = 0;
    if (u->has_spare)
        u->ring = u->spare;
    else
        err = ring_make(&u->ring);
    u->has_spare = err == 0 && thread_role_is_ahead() && ring_make(&u->spare) == 0;
    if (err < 0)
        return err;
    /* Acquire: pairs with ring_close(). */
    (void)atomic_load_explicit(&rings_closed, memory_order_acquire);
    u->is_open = true;
    u->thread = 0;
    return 0;
}

static void slot_put(struct uring *u, struct slot *s, unsigned which)
{
    if (s->in[which])
        return;
    s->in[which] = true;
    TAILQ_INSERT_TAIL(&u->lists[which].list, s, link[which]);
    u->lists[which].count++;
}

static void slot_remove(struct uring *u, struct slot *s, unsigned which)
{
    if (!s->in[which])
        return;
    s->in[which] = false;
    TAILQ_REMOVE(&u->lists[which].list, s, link[which]);
    u->lists[which].count--;
}

static struct slot *slot_take(struct uring *u, unsigned which)
{
    struct slot *s = TAILQ_FIRST(&u->lists[which].list);
    if (s)
        slot_remove(u, s, which);
    return s;
}

static void slot_free_if_unused(struct uring *u, struct slot *s)
{
    if (s->ev || s->armed)
        return;
    slot_remove(u, s, WANTED);
    TAILQ_INSERT_HEAD(&u->free, s, link[WANTED]);
}

/* Nothing is in flight but polls. */
static void ring_close(struct uring *u)
{
    if (!u->is_open)
        return;
    BUG_ON(u->in_flight > 0);
    /* Release: pairs with ring_open(). */
    atomic_fetch_add_explicit(&rings_closed, 1, memory_order_release);
    io_uring_queue_exit(&u->ring);
    u->is_open = false;
    for (unsigned i = 0; i < u->slots_used; i++) {
        struct slot *s = &u->slots[i];
        if (!s->armed)
            continue;
        s->armed = false;
        if (s->ev)
            slot_put(u, s, WANTED);
        slot_free_if_unused(u, s);
    }
}

static int ring_enable(struct uring *u)
{
    return io_uring_register((unsigned)u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* Makes the ring the calling thread's. */
static int ring_take(struct evloop *loop)
{
    struct uring *u = loop->uring;
    pid_t thread = evloop_owner(loop);
    if (u->is_open && u->thread == thread)
        return 0;
    int err = u->is_open && u->thread == 0 ? ring_enable(u) : -EEXIST;
    if (err < 0) { /* it is another thread's, or this is the fork of a process that has it */
        ring_close(u);
        err = ring_open(u);
        if (err == 0)
            err = ring_enable(u);
    }
    if (err == 0)
        u->thread = thread;
    return err;
}

/* ---- lists of I/O ---- */

static void ios_append(struct ios *ios, struct ev_io *io)
{
    TAILQ_INSERT_TAIL(&ios->list, io, link);
    ios->count++;
}

static void ios_remove(struct ios *ios, struct ev_io *io)
{
    TAILQ_REMOVE(&ios->list, io, link);
    ios->count--;
}

static struct ev_io *ios_take(struct ios *ios)
{
    struct ev_io *io = TAILQ_FIRST(&ios->list);
    if (io)
        ios_remove(ios, io);
    return io;
}

/* ---- what has completed ---- */

static void slot_completed(struct uring *u, struct slot *s, int32_t result, bool last)
{
    if (last)
        s->armed = false;
    if (s->ev && result != -ECANCELED) {
        s->fired |= result < 0 ? EPOLLERR : (uint32_t)result;
        slot_put(u, s, FIRED);
    }
    /* The kernel dropped the poll (no room, or its thread has ended): no caller cancelled it. */
    if (s->ev && last && (result == -ECANCELED || s->ev->is_event))
        slot_put(u, s, WANTED);
    slot_free_if_unused(u, s);
}

static void io_ended(struct uring *u, struct ev_io *io, int64_t result)
{
    io->result = result;
    io->state = IO_ENDED;
    ios_append(&u->ended, io);
}

static void io_completed(struct uring *u, struct ev_io *io, int32_t result)
{
    bool again = result == -EAGAIN || result == -EINTR;
    u->in_flight--;
    if (io->cancel && again)
        result = -ECANCELED;
    if (!io->cancel && (again || (u->is_releasing && result == -ECANCELED))) {
        io->again = again;
        io->state = IO_PENDING;
        ios_append(&u->pending, io);
        return;
    }
    /* Without a cancellation it is the file's own answer, and not ours, which has another meaning.
     */
    io_ended(u, io, !io->cancel && result == -ECANCELED ? -EIO : result);
}

static void reap(struct uring *u)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&u->ring, head, cqe)
    {
        void *owner = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);
        unsigned tag = cqe->user_data & TAG_MASK;
        if (tag == TAG_SLOT)
            slot_completed(u, owner, cqe->res, (cqe->flags & IORING_CQE_F_MORE) == 0);
        else if (tag == TAG_IO)
            io_completed(u, owner, cqe->res);
        count++;
    }
    io_uring_cq_advance(&u->ring, count);
    u->reaped += count;
}

static bool ring_says(const struct uring *u, unsigned flags)
{
    return (IO_URING_READ_ONCE(*u->ring.sq.kflags) & flags) != 0;
}

static bool ring_ready(const struct uring *u)
{
    return io_uring_cq_ready(&u->ring) > 0 ||
           ring_says(u, IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* The one system call. */
static int enter(struct evloop *loop, int64_t wait_ns)
{
    struct uring *u = loop->uring;
    struct __kernel_timespec ts = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    struct io_uring_cqe *cqe;
    int r;
    loop->stats.system_calls++;
    if (wait_ns == WAIT_NONE)
        r = io_uring_submit_and_get_events(&u->ring);
    else
        r = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, wait_ns < 0 ? NULL : &ts, NULL);
    reap(u);
    /* A signal, the time, and no memory or room for now: what is left over is handed in again. */
    if (r == -EINTR || r == -ETIME || r == -EAGAIN || r == -EBUSY)
        return 0;
    return r < 0 ? r : 0;
}

/* ---- handing in ---- */

/* A full queue is handed in early. NULL: the kernel takes nothing now, for want of memory or room.
 */
static struct io_uring_sqe *next_sqe(struct evloop *loop)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->uring->ring);
    if (sqe != NULL)
        return sqe;
    enter(loop, WAIT_NONE);
    return io_uring_get_sqe(&loop->uring->ring);
}

static uint64_t slot_tag(const struct slot *s)
{
    return (uint64_t)(uintptr_t)s | TAG_SLOT;
}

static uint64_t io_tag(const struct ev_io *io)
{
    return (uint64_t)(uintptr_t)io | TAG_IO;
}

static bool prep_cancel(struct evloop *loop, uint64_t tag, int flags)
{
    struct io_uring_sqe *sqe = next_sqe(loop);
    if (sqe == NULL)
        return false;
    io_uring_prep_cancel64(sqe, tag, flags);
    sqe->user_data = TAG_NONE;
    return true;
}

/* Polls what has an owner, and no longer what was deleted while the kernel took nothing. */
static bool prep_slot(struct evloop *loop, struct slot *s)
{
    if (s->ev == NULL)
        return prep_cancel(loop, slot_tag(s), 0);
    struct io_uring_sqe *sqe = next_sqe(loop);
    if (sqe == NULL)
        return false;
    if (s->ev->is_event)
        io_uring_prep_poll_multishot(sqe, s->ev->fd, s->events);
    else
        io_uring_prep_poll_add(sqe, s->ev->fd, s->events);
    sqe->user_data = slot_tag(s);
    s->armed = true;
    return true;
}

/* Other operations leave io->iov from an earlier one: it may be dangling. */
static bool has_vectors(const struct ev_io *io)
{
    return io->op == EV_IO_READV || io->op == EV_IO_WRITEV;
}

static size_t io_bytes(const struct ev_io *io)
{
    size_t bytes = 0;
    for (unsigned i = 0; has_vectors(io) && i < io->iov_count && bytes <= COPY_BYTES; i++)
        bytes += io->iov[i].iov_len;
    return bytes;
}

/*
 * What is in the page cache is copied while it is handed in, and the loop stands still: a transfer
 * longer than COPY_BYTES is left to a thread of the kernel's. So is a file that cannot be asked
 * without waiting.
 */
static void prep_io(struct io_uring_sqe *sqe, struct ev_io *io, bool is_async)
{
    bool one = has_vectors(io) && io->iov_count == 1 && io->iov->iov_len <= INT32_MAX;
    switch (io->op) {
    case EV_IO_READV:
        if (one)
            io_uring_prep_read(sqe, io->fd, io->iov->iov_base, (unsigned)io->iov->iov_len,
                               io->offset_bytes);
        else
            io_uring_prep_readv(sqe, io->fd, io->iov, io->iov_count, io->offset_bytes);
        break;
    case EV_IO_WRITEV:
        if (one)
            io_uring_prep_write(sqe, io->fd, io->iov->iov_base, (unsigned)io->iov->iov_len,
                                io->offset_bytes);
        else
            io_uring_prep_writev(sqe, io->fd, io->iov, io->iov_count, io->offset_bytes);
        break;
    case EV_IO_FDATASYNC:
        io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
        break;
    case EV_IO_FALLOCATE:
        io_uring_prep_fallocate(sqe, io->fd, io->mode, (off_t)io->offset_bytes, (off_t)io->bytes);
        break;
    }
    if (is_async)
        sqe->flags |= IOSQE_ASYNC;
    sqe->user_data = io_tag(io);
}

/*
 * Returns how long to wait: not at all if more is to be copied, nor long if the kernel is full.
 *
 * While completions wait for room in the ring, Linux 6.1 and 6.12 put all others behind them, and
 * end each poll that has one: of an eventfd that is never read it would be armed and end for ever.
 */
static int64_t prep_all(struct evloop *loop, int64_t wait_ns)
{
    struct uring *u = loop->uring;
    struct slot *s;
    while ((s = TAILQ_FIRST(&u->lists[WANTED].list)) != NULL) {
        if (ring_says(u, IORING_SQ_CQ_OVERFLOW))
            return WAIT_NONE;
        if (!prep_slot(loop, s))
            return (int64_t)min_u64((uint64_t)wait_ns, FULL_NS);
        slot_remove(u, s, WANTED);
    }
    for (size_t copied = 0; u->pending.count > 0 && u->in_flight < IN_FLIGHT;) {
        struct ev_io *io = TAILQ_FIRST(&u->pending.list);
        size_t bytes = io_bytes(io);
        bool is_async = io->again || bytes > COPY_BYTES;
        if (!is_async && (copied += bytes) > COPY_BYTES)
            return WAIT_NONE;
        struct io_uring_sqe *sqe = next_sqe(loop);
        if (sqe == NULL)
            return (int64_t)min_u64((uint64_t)wait_ns, FULL_NS);
        ios_remove(&u->pending, io);
        io->state = IO_IN_FLIGHT;
        u->in_flight++;
        prep_io(sqe, io, is_async);
    }
    return wait_ns;
}

static int hand_in(struct evloop *loop, int64_t wait_ns)
{
    struct uring *u = loop->uring;
    int err = ring_take(loop);
    if (err < 0)
        return err;
    bool anything =
        u->lists[WANTED].count > 0 || u->pending.count > 0 || io_uring_sq_ready(&u->ring) > 0;
    if (wait_ns == WAIT_NONE && !anything && !ring_ready(u))
        return 0;
    return enter(loop, prep_all(loop, wait_ns));
}

/* ---- calling back ---- */

/* As many as there are now. A nested turn may take some of them: then there are fewer. */
static int deliver(struct uring *u)
{
    int n = 0;
    for (unsigned left = u->lists[FIRED].count; left > 0; left--) {
        struct slot *s = slot_take(u, FIRED);
        if (!s)
            break;
        struct ev_fd *ev = s->ev;
        uint32_t events = s->fired;
        s->fired = 0;
        if (!s->armed)
            slot_put(u, s, WANTED);
        ev->cb(ev->ctx, events);
        n++;
    }
    return n;
}

static int deliver_io(struct evloop *loop)
{
    int n = 0;
    for (unsigned left = loop->uring->ended.count; left > 0; left--) {
        struct ev_io *io = ios_take(&loop->uring->ended);
        if (!io)
            break;
        io->state = IO_IDLE;
        loop->works_out--;
        io->done(io, io->result);
        n++;
    }
    return n;
}

static int uring_wait(struct evloop *loop, int64_t wait_ns)
{
    struct uring *u = loop->uring;
    if (u->lists[FIRED].count > 0 || u->ended.count > 0)
        wait_ns = WAIT_NONE;
    return hand_in(loop, wait_ns);
}

static int uring_dispatch(struct evloop *loop)
{
    int n = (int)loop->uring->reaped; /* the kernel may hold more of them back */
    loop->uring->reaped = 0;
    n += deliver_io(loop);
    return n + deliver(loop->uring);
}

/* Without a ring of its own (no memory, no descriptors left) a thread cannot hand anything in. */
static int uring_io_turn(struct evloop *loop)
{
    struct uring *u = loop->uring;
    int err = u->ended.count > 0 ? 0 : hand_in(loop, WAIT_FOREVER);
    struct ev_io *io;
    while (err < 0 && (io = ios_take(&u->pending)) != NULL)
        io_ended(u, io, err);
    deliver_io(loop);
    return err;
}

static bool uring_ready(struct evloop *loop)
{
    const struct uring *u = loop->uring;
    return u->lists[FIRED].count > 0 || u->ended.count > 0 || (u->is_open && ring_ready(u));
}

/* ---- descriptors ---- */

static int check_fd(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? -EPERM : 0;
}

static bool has_slot(struct uring *u)
{
    if (TAILQ_EMPTY(&u->free) && u->slots_used < SLOTS)
        slot_free_if_unused(u, &u->slots[u->slots_used++]);
    return !TAILQ_EMPTY(&u->free);
}

/* The caller has seen that one is free. */
static void slot_use(struct uring *u, struct ev_fd *ev, uint32_t events)
{
    struct slot *s = TAILQ_FIRST(&u->free);
    TAILQ_REMOVE(&u->free, s, link[WANTED]);
    *s = (struct slot){.ev = ev, .events = events};
    ev->slot = (unsigned)(s - u->slots);
    slot_put(u, s, WANTED);
}

static int uring_add(struct evloop *loop, struct ev_fd *ev, uint32_t events)
{
    struct uring *u = loop->uring;
    int err = check_fd(ev->fd);
    if (err == 0 && !has_slot(u))
        err = -ENOSPC;
    if (err == 0)
        slot_use(u, ev, events);
    return err;
}

/*
 * The kernel lets go of the descriptor before this returns, so that its other end sees it closed
 * when its owner closes it.
 */
static void uring_del(struct evloop *loop, struct ev_fd *ev)
{
    struct uring *u = loop->uring;
    struct slot *s = &u->slots[ev->slot];
    BUG_ON(s->ev != ev);
    s->ev = NULL;
    for (unsigned i = 0; i < LISTS; i++)
        slot_remove(u, s, i);
    if (s->armed && u->thread != evloop_owner(loop)) {
        ring_close(u); /* of a thread that has ended */
        return;
    }
    if (!s->armed) {
        slot_free_if_unused(u, s);
        return;
    }
    bool cancels = prep_cancel(loop, slot_tag(s), 0);
    if (!cancels)
        slot_put(u, s, WANTED);
    /* Since Linux 6.13 a call completes a few of what waits (20), the oldest first. */
    do {
        enter(loop, WAIT_NONE);
    } while (cancels && s->armed && ring_ready(u));
}

/* If it fails nothing has changed. */
static int uring_set(struct evloop *loop, struct ev_fd *ev, uint32_t events)
{
    struct uring *u = loop->uring;
    struct slot *s = &u->slots[ev->slot];
    if (!s->armed && !s->in[FIRED]) {
        s->events = events; /* it is about to be armed */
        return 0;
    }
    if (!has_slot(u))
        return -ENOSPC; /* the old one is in use until the kernel has let go of it */
    uring_del(loop, ev);
    slot_use(u, ev, events);
    return 0;
}

/* ---- I/O ---- */

static void uring_io(struct evloop *loop, struct ev_io *io)
{
    loop->works_out++;
    io->again = false;
    io->state = IO_PENDING;
    ios_append(&loop->uring->pending, io);
}

static void uring_io_cancel(struct evloop *loop, struct ev_io *io)
{
    struct uring *u = loop->uring;
    if (io->cancel || io->state == IO_IDLE || io->state == IO_ENDED)
        return;
    io->cancel = true;
    if (io->state == IO_IN_FLIGHT) {
        prep_cancel(loop, io_tag(io), 0);
        return;
    }
    ios_remove(&u->pending, io);
    io_ended(u, io, -ECANCELED);
}

/*
 * What is in flight completes on this thread or not at all, so it is waited for; what would wait
 * is cancelled, and goes back to the list of what is to be handed in.
 */
static void uring_release(struct evloop *loop, bool last)
{
    struct uring *u = loop->uring;
    if (!u->is_open || u->thread != evloop_owner(loop))
        return;
    u->is_releasing = true;
    if (u->in_flight > 0 || last) {
        prep_cancel(loop, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        enter(loop, WAIT_NONE);
    }
    while (u->in_flight > 0)
        enter(loop, WAIT_FOREVER);
    u->is_releasing = false;
    if (last)
        ring_close(u);
}

/* ---- life ---- */

static int uring_open(struct evloop *loop)
{
    /* Mapped: calloc() would clear, and so touch, all slots where memory was used before. */
    struct uring *u =
        mmap(NULL, sizeof(*u), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (u == MAP_FAILED)
        return -errno;
    loop->uring = u;
    for (unsigned i = 0; i < LISTS; i++)
        TAILQ_INIT(&u->lists[i].list);
    TAILQ_INIT(&u->pending.list);
    TAILQ_INIT(&u->ended.list);
    TAILQ_INIT(&u->free);
    return ring_open(u);
}

static void uring_close(struct evloop *loop)
{
    if (!loop->uring)
        return;
    ring_close(loop->uring);
    if (loop->uring->has_spare)
        io_uring_queue_exit(&loop->uring->spare);
    munmap(loop->uring, sizeof(*loop->uring));
    loop->uring = NULL;
}

const struct evloop_engine evloop_uring_engine = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .add = uring_add,
    .set = uring_set,
    .del = uring_del,
    .wait = uring_wait,
    .dispatch = uring_dispatch,
    .ready = uring_ready,
    .io = uring_io,
    .io_cancel = uring_io_cancel,
    .io_turn = uring_io_turn,
    .release = uring_release,
};
