// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/blk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "devices/disk/blk_file_impl.h"

#define CALL_IOV   1024       /* vectors the loop takes at once */
#define CALL_BYTES (16 * MIB) /* moved at once */
#define OUT_BYTES \
    (16 * MIB) /* moved by all requests at once: a drain waits for no more than that */
#define ZERO_BYTES (256 * MIB) /* zeroed or discarded at once without moving them */

static struct blk_file *file_of(struct blk_backend *b)
{
    return container_of(b, struct blk_file, b);
}

/* ---- buffers for what direct I/O cannot take from where it is ---- */

static uint8_t *buffer_take(struct blk_file *f)
{
    for (unsigned i = 0; i < BUFFERS; i++) {
        if (f->buffers_used & 1u << i)
            continue;
        f->buffers_used |= 1u << i;
        return f->buffers + i * BUFFER_BYTES;
    }
    return NULL;
}

static void buffer_give(struct blk_file *f, uint8_t *buffer)
{
    f->buffers_used &= ~(1u << (unsigned)((uint64_t)(buffer - f->buffers) / BUFFER_BYTES));
}

/* ---- a request, piece by piece ---- */

static void step(struct file_slot *slot);
static void start(struct blk_file *f, struct blk_req *req);

/* The guest is told each time, the user once. */
static void tell(struct blk_file *f, const struct blk_req *req, int err)
{
    static const char *const ops[] = {[BLK_READ] = "read",
                                      [BLK_WRITE] = "write",
                                      [BLK_FLUSH] = "flush",
                                      [BLK_DISCARD] = "discard",
                                      [BLK_ZERO] = "write zeroes"};
    if (!atomic_exchange(&f->first->error_told, true))
        log_warn("disk %s: %s at byte %llu: %s; the guest is told, and this is said once", f->name,
                 ops[req->op], (unsigned long long)req->offset_bytes, strerror(-err));
}

/* How much of it may be out at a time. */
static uint64_t weight(const struct blk_req *req)
{
    bool moves = req->op == BLK_READ || req->op == BLK_WRITE || req->op == BLK_ZERO;
    return moves ? min_u64(req->bytes, CALL_BYTES) : 0;
}

/* Few, large requests are as fast as many. Beyond that they would only wait in the host. */
static bool may_begin(const struct blk_file *f, const struct blk_req *req)
{
    return !STAILQ_EMPTY(&f->free) &&
           (f->begun_bytes == 0 || f->begun_bytes + weight(req) <= OUT_BYTES);
}

static void finish(struct file_slot *slot, int result)
{
    struct blk_file *f = slot->file;
    struct blk_req *req = slot->req;
    if (req != NULL && result < 0 && result != -ECANCELED && req->op != BLK_FLUSH)
        tell(f, req, result);
    slot->req = NULL;
    STAILQ_INSERT_HEAD(&f->free, slot, link);
    if (req != NULL) { /* NULL: a flush that a drain has left behind */
        f->busy--;
        f->begun_bytes -= weight(req);
        req->done(req, result);
    }
    /* The slot is the oldest waiting request's: what done() submits meanwhile waits behind it. */
    while (!STAILQ_EMPTY(&f->waiting) && may_begin(f, STAILQ_FIRST(&f->waiting)))
        start(f, blk_list_take(&f->waiting));
}

/* The end of a piece: of a transfer, a discard or a zeroing, a flush. */
static void moved(struct ev_io *io, int64_t result);
static void allocated(struct ev_io *io, int64_t result);
static void flush_done(struct ev_io *io, int64_t result);

static void submit_io(struct file_slot *slot, enum ev_io_op op, int fd,
                      void (*done)(struct ev_io *io, int64_t result))
{
    slot->io.done = done;
    slot->io.op = op;
    slot->io.fd = fd;
    slot->io.offset_bytes = slot->req->offset_bytes + slot->done;
    slot->io.bytes = slot->piece;
    evloop_io(slot->file->loop, &slot->io);
}

static void describe_buffer(struct file_slot *slot)
{
    slot->piece = min_u64(slot->req->bytes - slot->done, BUFFER_BYTES);
    if (slot->req->op == BLK_WRITE) {
        struct iobuf buf = slot->data;
        iobuf_get(&buf, slot->buffer, slot->piece);
    }
    slot->iov[0] = (struct iovec){slot->buffer, slot->piece};
    slot->io.iov = slot->iov;
    slot->io.iov_count = 1;
}

/*
 * What devices ask for is in logical blocks, and suits (blk_file_choose_way()). Not so the rest of
 * a short transfer that ended inside a block: that goes through the page cache.
 */
static bool range_is_direct(const struct file_slot *slot)
{
    const struct blk_file *f = slot->file;
    uint64_t at = slot->req->offset_bytes + slot->done, left = slot->req->bytes - slot->done;
    return f->direct_fd >= 0 && !slot->page_cache && is_aligned(at | left, f->direct_bytes);
}

/* Ways to zero, tried in this order; the last one always works: to write zeroes. */
static const int keep_modes[] = {FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0};
static const int unmap_modes[] = {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                  FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0};

static void step_zero(struct file_slot *slot)
{
    struct blk_file *f = slot->file;
    uint64_t left = slot->req->bytes - slot->done;
    slot->io.mode = slot->req->may_unmap ? unmap_modes[slot->mode] : keep_modes[slot->mode];
    if (slot->io.mode != 0) {
        slot->piece = min_u64(left, ZERO_BYTES);
        submit_io(slot, EV_IO_FALLOCATE, f->fd, allocated);
        return;
    }
    slot->piece = min_u64(left, SLOT_IOV * BUFFER_BYTES);
    unsigned n = 0;
    for (uint64_t bytes = slot->piece, len; bytes > 0; bytes -= len) {
        len = min_u64(bytes, BUFFER_BYTES);
        slot->iov[n++] = (struct iovec){f->zeroes, len};
    }
    slot->io.iov = slot->iov;
    slot->io.iov_count = n;
    submit_io(slot, EV_IO_WRITEV, range_is_direct(slot) ? f->direct_fd : f->fd, moved);
}

static void step_other(struct file_slot *slot)
{
    if (slot->req->op == BLK_ZERO) {
        step_zero(slot);
    } else if (slot->req->op == BLK_FLUSH) {
        submit_io(slot, EV_IO_FDATASYNC, slot->file->fd, flush_done);
    } else { /* BLK_DISCARD */
        slot->piece = min_u64(slot->req->bytes - slot->done, ZERO_BYTES);
        slot->io.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        submit_io(slot, EV_IO_FALLOCATE, slot->file->fd, allocated);
    }
}

/*
 * The next piece. Of a read or a write as much as a call takes: through a buffer, of the request's
 * own vectors if that is all, else of a part of them.
 */
static void step(struct file_slot *slot)
{
    struct blk_file *f = slot->file;
    const struct blk_req *req = slot->req;
    uint64_t left = req->bytes - slot->done;
    int fd = f->fd;
    bool all = left == 0 && req->op != BLK_FLUSH;
    if (all || f->draining) {
        finish(slot, all ? 0 : -ECANCELED);
        return;
    }
    if (req->op != BLK_READ && req->op != BLK_WRITE) {
        step_other(slot);
        return;
    }
    if (range_is_direct(slot)) {
        bool suits = iobuf_is_aligned(&slot->data, f->direct_memory, f->direct_bytes);
        slot->buffer = suits ? NULL : buffer_take(f);
        if (!suits && !slot->buffer) {
            /* The page cache writes whole pages, and would undo direct writes beside this one. */
            STAILQ_INSERT_TAIL(&f->starved, slot, link);
            return;
        }
        fd = f->direct_fd;
    }
    if (slot->buffer) {
        describe_buffer(slot);
    } else if (slot->done == 0 && left <= CALL_BYTES && req->iov_count <= CALL_IOV) {
        slot->io.iov = req->iov;
        slot->io.iov_count = req->iov_count;
        slot->piece = left;
    } else {
        slot->io.iov = slot->iov;
        slot->piece = iobuf_fill(&slot->data, min_u64(left, CALL_BYTES), slot->iov, SLOT_IOV,
                                 &slot->io.iov_count);
    }
    submit_io(slot, req->op == BLK_READ ? EV_IO_READV : EV_IO_WRITEV, fd, moved);
}

/* ---- what the host says ---- */

/*
 * The host reports a write-back that failed to one fdatasync() and forgets it, and may have dropped
 * the data: later flushes cannot be trusted any more, whatever they say.
 */
static void flush_done(struct ev_io *io, int64_t result)
{
    struct file_slot *slot = container_of(io, struct file_slot, io);
    struct blk_file *f = slot->file;
    bool failed = result < 0 && result != -ECANCELED;
    if (failed && !atomic_exchange(&f->first->flush_failed, true))
        log_warn("disk %s: flush: %s; data may be lost, so flushes fail from now on", f->name,
                 strerror((int)-result));
    finish(slot, atomic_load(&f->first->flush_failed) ? -EIO : (int)result);
}

/* Before the slot that gave a buffer goes on: it would take it again. In a drain all of them end.
 */
static void feed(struct blk_file *f)
{
    const unsigned all = (1u << BUFFERS) - 1;
    struct file_slot *slot;
    while ((slot = STAILQ_FIRST(&f->starved)) && (f->draining || f->buffers_used != all)) {
        STAILQ_REMOVE_HEAD(&f->starved, link);
        step(slot);
    }
}

static void moved(struct ev_io *io, int64_t result)
{
    struct file_slot *slot = container_of(io, struct file_slot, io);
    struct blk_file *f = slot->file;
    uint8_t *buffer = slot->buffer;
    slot->buffer = NULL;
    if (result > 0 && buffer && slot->req->op == BLK_READ)
        iobuf_put(&slot->data, buffer, (size_t)result);
    else if (result > 0)
        iobuf_skip(&slot->data, (uint64_t)result);
    if (buffer) {
        buffer_give(f, buffer);
        feed(f);
    }
    if (result > 0) {
        slot->done += (uint64_t)result;
        step(slot);
    } else if (result == -EINVAL && slot->io.fd == f->direct_fd) {
        slot->page_cache = true; /* stricter than it said: no direct I/O for this request */
        step(slot);
    } else {
        finish(slot, result == 0 ? -EIO : (int)result); /* 0: shorter than the disk */
    }
}

static void allocated(struct ev_io *io, int64_t result)
{
    struct file_slot *slot = container_of(io, struct file_slot, io);
    bool refused = result == -EOPNOTSUPP || result == -EINVAL || result == -ENOSYS;
    if (refused && slot->req->op == BLK_DISCARD) {
        finish(slot, 0); /* a discard is a hint, which the host need not take */
    } else if (refused) {
        slot->mode++;
        step(slot);
    } else if (result < 0) {
        finish(slot, (int)result);
    } else {
        slot->done += slot->piece;
        step(slot);
    }
}

/* ---- in ---- */

static void start(struct blk_file *f, struct blk_req *req)
{
    struct file_slot *slot = STAILQ_FIRST(&f->free);
    STAILQ_REMOVE_HEAD(&f->free, link);
    f->busy++;
    f->begun_bytes += weight(req);
    slot->req = req;
    slot->data = blk_req_data(req);
    slot->done = 0;
    slot->mode = 0;
    slot->page_cache = false;
    step(slot);
}

/*
 * A file system in memory never waits, so what is small is moved here and now: io_uring would hand
 * it to a thread of the kernel's, which takes longer than the copy. Whether it was all of it; what
 * went wrong is for the long way to find out.
 */
static bool copied(const struct blk_file *f, const struct blk_req *req)
{
    const struct iovec *iov = req->iov;
    int count = (int)req->iov_count;
    off_t at = (off_t)req->offset_bytes;
    ssize_t moved;
    bool moves = req->op == BLK_READ || req->op == BLK_WRITE;
    if (!moves || req->iov_count > CALL_IOV || !evloop_may_copy(f->loop, req->bytes))
        return false;
    if (req->op == BLK_READ)
        moved = count == 1 ? pread(f->fd, iov->iov_base, iov->iov_len, at)
                           : preadv(f->fd, iov, count, at);
    else
        moved = count == 1 ? pwrite(f->fd, iov->iov_base, iov->iov_len, at)
                           : pwritev(f->fd, iov, count, at);
    return moved == (ssize_t)req->bytes;
}

static void blk_file_submit(struct blk_backend *b, struct blk_req *req)
{
    struct blk_file *f = file_of(b);
    int err = f->draining ? -ECANCELED : blk_check(&b->info, req);
    bool nothing = req->op == BLK_FLUSH ? f->unsafe : req->bytes == 0;
    if (err == 0 && req->op == BLK_FLUSH && atomic_load(&f->first->flush_failed))
        err = -EIO;
    if (err < 0 || nothing || (f->in_memory && copied(f, req)))
        blk_ended_add(&f->ended, req, err);
    else if (req->op == BLK_DISCARD && f->is_device)
        file_discard_submit(f, req);
    else if (STAILQ_EMPTY(&f->waiting) && may_begin(f, req))
        start(f, req);
    else
        STAILQ_INSERT_TAIL(&f->waiting, req, link);
}

/* ---- drain ---- */

static bool is_idle(void *ctx)
{
    const struct blk_file *f = ctx;
    return f->busy == 0;
}

/*
 * A flush writes all that the host's page cache holds of the disk, which takes as long as the
 * host's storage does, and touches no memory of the guest's: its request ends now. The slot stays
 * taken until the host is done.
 */
static void leave_behind(struct file_slot *slot)
{
    struct blk_file *f = slot->file;
    blk_ended_add(&f->ended, slot->req, -ECANCELED);
    slot->req = NULL;
    f->busy--;
}

/*
 * The loop stands still meanwhile, so a guest must not decide how long this takes: a request that
 * has not begun is cancelled, and another ends after the piece that is out.
 */
static int drain_owned(void *ctx)
{
    struct blk_file *f = ctx;
    struct blk_req *req;
    f->draining = true;
    while ((req = blk_list_take(&f->waiting)) != NULL)
        blk_ended_add(&f->ended, req, -ECANCELED);
    for (unsigned i = 0; i < FILE_SLOTS; i++) {
        struct file_slot *slot = &f->slots[i];
        if (slot->req == NULL)
            continue;
        evloop_io_cancel(f->loop, &slot->io);
        if (slot->req->op == BLK_FLUSH)
            leave_behind(slot);
    }
    file_discard_drain(f);
    evloop_io_wait(f->loop, is_idle, f);
    blk_ended_flush(&f->ended);
    f->draining = false;
    return 0;
}

/* A call: after the loop's thread has ended, I/O may still be in flight. */
static void blk_file_drain(struct blk_backend *b)
{
    struct blk_file *f = file_of(b);
    evloop_call(f->loop, drain_owned, f);
}

/* ---- life ---- */

void blk_file_free(struct blk_file *f)
{
    if (f->direct_fd >= 0)
        close(f->direct_fd);
    if (f->fd >= 0)
        close(f->fd);
    if (f->buffers)
        munmap(f->buffers, (BUFFERS + 1) * BUFFER_BYTES);
    file_discard_fini(f);
    free(f->name);
    free(f);
}

/* A flush that a drain has left behind, and a discard that has not come back, may still be out. */
bool blk_file_is_home(void *ctx)
{
    const struct blk_file *f = ctx;
    const struct file_slot *slot;
    unsigned free_slots = 0;
    STAILQ_FOREACH(slot, &f->free, link)
    free_slots++;
    return free_slots == FILE_SLOTS && !f->discard.busy;
}

static void blk_file_destroy(struct blk_backend *b)
{
    struct blk_file *f = file_of(b);
    blk_file_drain(b);
    evloop_run_until(f->loop, blk_file_is_home, f);
    blk_ended_fini(&f->ended);
    blk_file_free(f);
}

static int blk_file_view(struct blk_backend *b, struct evloop *loop, struct blk_backend **out);

static const struct blk_backend_ops blk_file_ops = {
    .submit = blk_file_submit,
    .drain = blk_file_drain,
    .destroy = blk_file_destroy,
    .view = blk_file_view,
};

struct blk_file *blk_file_new(struct evloop *loop, const char *name)
{
    struct blk_file *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->b.ops = &blk_file_ops;
    f->loop = loop;
    f->first = f;
    f->fd = f->direct_fd = -1;
    STAILQ_INIT(&f->waiting);
    STAILQ_INIT(&f->free);
    STAILQ_INIT(&f->starved);
    blk_ended_init(&f->ended, loop);
    file_discard_init(f);
    for (unsigned i = 0; i < FILE_SLOTS; i++) {
        f->slots[i].file = f;
        STAILQ_INSERT_HEAD(&f->free, &f->slots[i], link);
    }
    f->name = strdup(name);
    void *mem = mmap(NULL, (BUFFERS + 1) * BUFFER_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    f->buffers = mem == MAP_FAILED ? NULL : mem;
    if (!f->name || !f->buffers) {
        blk_file_free(f);
        return NULL;
    }
    f->zeroes = f->buffers + BUFFERS * BUFFER_BYTES;
    return f;
}

static int opened(struct blk_file *f, int err, struct blk_backend **out)
{
    if (err < 0)
        blk_file_free(f);
    else
        *out = &f->b;
    return err;
}

int blk_file_create(struct blk_backend **out, const struct blk_file_config *config)
{
    struct blk_file *f = blk_file_new(config->loop, config->path);
    if (!f)
        return fail(-ENOMEM, "disk %s", config->path);
    return opened(f, blk_file_open(f, config), out);
}

int blk_file_create_scratch(struct blk_backend **out, struct evloop *loop, uint64_t bytes)
{
    struct blk_file *f = blk_file_new(loop, "(scratch)");
    if (!f)
        return fail(-ENOMEM, "scratch disk");
    return opened(f, blk_file_open_scratch(f, bytes), out);
}

static int blk_file_view(struct blk_backend *b, struct evloop *loop, struct blk_backend **out)
{
    struct blk_file *first = file_of(b)->first;
    struct blk_file *f = blk_file_new(loop, first->name);
    if (!f)
        return fail(-ENOMEM, "disk %s", first->name);
    return opened(f, blk_file_open_view(f, first), out);
}
