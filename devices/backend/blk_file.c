// SPDX-License-Identifier: BSD-2-Clause
#include "devices/backend/blk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/block.h"
#include "core/fail.h"
#include "core/log.h"
#include "core/xmath.h"

#define LANES      4          /* requests that run at once */
#define LANE_BATCH 16         /* requests after which a lane lets another disk have its helper */
#define IOV_BATCH  256        /* vectors a system call */
#define CALL_BYTES (16 * MIB) /* bytes a system call: a drain waits for no more than that */

static const uint8_t qcow2_magic[] = {'Q', 'F', 'I', 0xfb};

struct req_list {
    struct blk_req *head, **tail;
};

/* Carries requests from the waiting list to the finished one, on a helper. */
struct lane {
    struct blk_file *file;
    struct ev_work work;
    bool busy; /* the loop's */
};

/*
 * Requests pass through two lists of the backend's own instead of being the loop's works
 * themselves, so that drain() can wait for just these: running the loop from within a reset would
 * let a guest that never stops ringing hold the reset up for ever.
 */
struct blk_file {
    struct blk_backend b;
    struct evloop *loop;
    struct ev_post complete_post;
    struct lane lanes[LANES];
    unsigned out; /* the loop's: submitted, done() not yet called */
    int fd;
    atomic_bool draining; /* what is not done yet is not wanted any more */

    pthread_mutex_t lock; /* the loop against the helpers: the lists */
    pthread_cond_t finished_one;
    struct req_list waiting, finished;
};

static struct blk_file *file_of(struct blk_backend *b)
{
    return container_of(b, struct blk_file, b);
}

static void list_init(struct req_list *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

static void list_append(struct req_list *list, struct blk_req *req)
{
    req->next = NULL;
    *list->tail = req;
    list->tail = &req->next;
}

static struct blk_req *list_take(struct req_list *list)
{
    struct blk_req *req = list->head;
    if (req) {
        list->head = req->next;
        if (!list->head)
            list->tail = &list->head;
    }
    return req;
}

/* ---- on a helper ---- */

/* Where a transfer is in the request's vectors. */
struct cursor {
    const struct iovec *iov;
    unsigned count;
    size_t offset; /* in the first */
};

/* Up to IOV_BATCH vectors with up to CALL_BYTES bytes. */
static unsigned cursor_fill(const struct cursor *c, struct iovec *out)
{
    size_t offset = c->offset, room = CALL_BYTES;
    unsigned n = 0;
    for (; n < c->count && n < IOV_BATCH && room > 0; n++, offset = 0) {
        size_t len = min_u64(c->iov[n].iov_len - offset, room);
        out[n] = (struct iovec){.iov_base = (char *)c->iov[n].iov_base + offset, .iov_len = len};
        room -= len;
    }
    return n;
}

static void cursor_advance(struct cursor *c, size_t bytes)
{
    c->offset += bytes;
    while (c->count > 0 && c->offset >= c->iov->iov_len) {
        c->offset -= c->iov->iov_len;
        c->iov++;
        c->count--;
    }
}

static int transfer(struct blk_file *f, const struct blk_req *req)
{
    struct cursor c = {.iov = req->iov, .count = req->iov_count};
    struct iovec iov[IOV_BATCH];
    uint64_t done = 0;
    cursor_advance(&c, 0); /* over empty vectors: a batch of nothing but those would move nothing */
    while (done < req->bytes) {
        if (atomic_load(&f->draining))
            return -ECANCELED;
        unsigned n = cursor_fill(&c, iov);
        off_t at = (off_t)(req->offset_bytes + done);
        ssize_t moved =
            req->op == BLK_READ ? preadv(f->fd, iov, (int)n, at) : pwritev(f->fd, iov, (int)n, at);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved < 0)
            return -errno;
        if (moved == 0)
            return -EIO; /* the file has become shorter than the disk */
        cursor_advance(&c, (size_t)moved);
        done += (uint64_t)moved;
    }
    return 0;
}

static int run_req(struct blk_file *f, const struct blk_req *req)
{
    if (req->op == BLK_FLUSH) {
        while (fdatasync(f->fd) < 0)
            if (errno != EINTR)
                return -errno;
        return 0;
    }
    if (!range_within(req->offset_bytes, req->bytes, 0, f->b.info.capacity_bytes))
        return -EIO;
    if (req->op == BLK_WRITE && f->b.info.read_only)
        return -EROFS;
    return transfer(f, req);
}

static void lane_run(void *ctx)
{
    struct lane *lane = ctx;
    struct blk_file *f = lane->file;
    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < LANE_BATCH; i++) {
        struct blk_req *req = list_take(&f->waiting);
        if (!req)
            break;
        pthread_mutex_unlock(&f->lock);
        req->result = run_req(f, req);
        pthread_mutex_lock(&f->lock);
        list_append(&f->finished, req);
        pthread_cond_signal(&f->finished_one);
        pthread_mutex_unlock(&f->lock);
        evloop_post(f->loop, &f->complete_post);
        pthread_mutex_lock(&f->lock);
    }
    pthread_mutex_unlock(&f->lock);
}

/* ---- on the loop ---- */

static void start_lane(struct blk_file *f)
{
    for (unsigned i = 0; i < LANES; i++) {
        struct lane *lane = &f->lanes[i];
        if (lane->busy)
            continue;
        lane->busy = true;
        evloop_work(f->loop, &lane->work);
        return;
    }
}

/* A lane that is busy may have looked at the list for the last time: look again. */
static void lane_done(void *ctx)
{
    struct lane *lane = ctx;
    struct blk_file *f = lane->file;
    lane->busy = false;
    pthread_mutex_lock(&f->lock);
    bool more = f->waiting.head != NULL;
    pthread_mutex_unlock(&f->lock);
    if (more)
        start_lane(f);
}

static void blk_file_submit(struct blk_backend *b, struct blk_req *req)
{
    struct blk_file *f = file_of(b);
    f->out++;
    pthread_mutex_lock(&f->lock);
    list_append(&f->waiting, req);
    pthread_mutex_unlock(&f->lock);
    start_lane(f);
}

static struct blk_req *take_finished(struct blk_file *f, bool wait)
{
    pthread_mutex_lock(&f->lock);
    while (wait && !f->finished.head)
        pthread_cond_wait(&f->finished_one, &f->lock);
    struct blk_req *req = list_take(&f->finished);
    pthread_mutex_unlock(&f->lock);
    return req;
}

static void complete_req(struct blk_file *f, struct blk_req *req)
{
    f->out--;
    req->done(req, req->result);
}

/* As many as are out now: what done() submits and a helper finishes meanwhile posts again. */
static void complete(void *ctx)
{
    struct blk_file *f = ctx;
    struct blk_req *req;
    for (unsigned left = f->out; left > 0 && (req = take_finished(f, false)) != NULL; left--)
        complete_req(f, req);
}

/*
 * The loop stands still meanwhile, so this must not take as long as a guest likes: what no helper
 * has begun is not begun, and what one has begun ends after its system call.
 */
static int drain_owned(void *ctx)
{
    struct blk_file *f = ctx;
    atomic_store(&f->draining, true);
    while (f->out > 0) {
        pthread_mutex_lock(&f->lock);
        struct blk_req *req = list_take(&f->waiting);
        pthread_mutex_unlock(&f->lock);
        if (req)
            req->result = -ECANCELED;
        else
            req = take_finished(f, true);
        complete_req(f, req);
    }
    atomic_store(&f->draining, false);
    return 0;
}

/* A call, since after the loop's thread has ended a helper may be the one that completes. */
static void blk_file_drain(struct blk_backend *b)
{
    struct blk_file *f = file_of(b);
    evloop_call(f->loop, drain_owned, f);
}

static void blk_file_free(struct blk_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    pthread_cond_destroy(&f->finished_one);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static void blk_file_destroy(struct blk_backend *b)
{
    struct blk_file *f = file_of(b);
    blk_file_drain(b);
    evloop_drain(f->loop); /* lanes and posts that are still on their way home */
    blk_file_free(f);
}

static const struct blk_backend_ops blk_file_ops = {
    .submit = blk_file_submit,
    .drain = blk_file_drain,
    .destroy = blk_file_destroy,
};

/* ---- opening ---- */

static int open_failed(const struct blk_file_config *config)
{
    if (errno == EBUSY)
        return fail_msg(-EBUSY, "disk %s: the host itself uses it; unmount it, or add ,ro",
                        config->path);
    if (!config->read_only && (errno == EACCES || errno == EPERM || errno == EROFS))
        return fail(-errno, "disk %s: open for writing (,ro asks for less)", config->path);
    return fail(-errno, "disk %s: open", config->path);
}

static int open_path(struct blk_file *f, const struct blk_file_config *config, struct stat *st)
{
    /* Looked at first: to open a FIFO or a tape may block or do something. */
    if (stat(config->path, st) < 0)
        return fail(-errno, "disk %s", config->path);
    if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
        return fail_msg(S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL,
                        "disk %s: is %s; give a raw image file or a block device", config->path,
                        S_ISDIR(st->st_mode) ? "a directory" : "neither a file nor a block device");
    int flags = O_CLOEXEC | O_NONBLOCK | (config->read_only ? O_RDONLY : O_RDWR);
    if (S_ISBLK(st->st_mode) && !config->read_only)
        flags |= O_EXCL; /* the host refuses what it has mounted */
    f->fd = open(config->path, flags);
    if (f->fd < 0)
        return open_failed(config);
    return fstat(f->fd, st) < 0 ? fail(-errno, "disk %s: stat", config->path) : 0;
}

static int lock_image(const struct blk_file *f, const struct blk_file_config *config)
{
    struct flock all = {
        .l_type = config->read_only ? F_RDLCK : F_WRLCK,
        .l_whence = SEEK_SET,
    };
    if (fcntl(f->fd, F_OFD_SETLK, &all) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return fail_msg(-EBUSY,
                        "disk %s: is in use by another machine or program (`fuser %s` tells which);"
                        " stop that one%s",
                        config->path, config->path,
                        config->read_only ? "" : ", or open it with ,ro in both");
    log_warn("disk %s: cannot be locked (%s): nothing keeps others from writing to it",
             config->path, strerror(errno));
    return 0;
}

static int measure(struct blk_file *f, const struct blk_file_config *config, const struct stat *st)
{
    uint64_t bytes = (uint64_t)st->st_size;
    if (S_ISBLK(st->st_mode) && ioctl(f->fd, BLKGETSIZE64, &bytes) < 0)
        return fail(-errno, "disk %s: size", config->path);
    if (bytes < BLK_SECTOR_BYTES)
        return fail_msg(-EINVAL, "disk %s: is %s (%llu bytes); `truncate -s 1G %s` gives it a size",
                        config->path, bytes == 0 ? "empty" : "smaller than a sector",
                        (unsigned long long)bytes, config->path);
    if (bytes % BLK_SECTOR_BYTES != 0)
        log_warn("disk %s: the last %llu bytes are no whole sector, the guest cannot see them",
                 config->path, (unsigned long long)(bytes % BLK_SECTOR_BYTES));
    f->b.info = (struct blk_info){
        .capacity_bytes = align_down(bytes, BLK_SECTOR_BYTES),
        .read_only = config->read_only,
    };
    return 0;
}

static void warn_of_format(const struct blk_file *f, const struct blk_file_config *config)
{
    uint8_t magic[sizeof(qcow2_magic)];
    if (pread(f->fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
        memcmp(magic, qcow2_magic, sizeof(magic)) == 0)
        log_warn("disk %s: looks like qcow2 but is taken for raw bytes; "
                 "`qemu-img convert -O raw %s NEW` makes a raw image of it",
                 config->path, config->path);
}

static int open_image(struct blk_file *f, const struct blk_file_config *config)
{
    struct stat st;
    int err = open_path(f, config, &st);
    if (err == 0)
        err = lock_image(f, config);
    if (err == 0)
        err = measure(f, config, &st);
    if (err == 0)
        warn_of_format(f, config);
    return err;
}

int blk_file_create(struct blk_backend **out, const struct blk_file_config *config)
{
    struct blk_file *f = calloc(1, sizeof(*f));
    if (!f)
        return fail(-ENOMEM, "disk %s", config->path);
    f->b.ops = &blk_file_ops;
    f->loop = config->loop;
    f->complete_post = (struct ev_post){.cb = complete, .ctx = f};
    f->fd = -1;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->finished_one, NULL);
    list_init(&f->waiting);
    list_init(&f->finished);
    for (unsigned i = 0; i < LANES; i++) {
        struct lane *lane = &f->lanes[i];
        lane->file = f;
        lane->work = (struct ev_work){.run = lane_run, .done = lane_done, .ctx = lane};
    }
    int err = open_image(f, config);
    if (err < 0) {
        blk_file_free(f);
        return err;
    }
    *out = &f->b;
    return 0;
}
