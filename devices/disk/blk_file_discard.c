// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "devices/disk/blk_file_impl.h"

#define PIECE_BYTES (256 * MIB) /* an ioctl: a drain waits for no more than that */

/* ---- on a helper ---- */

static int discard_all(struct file_discard *d)
{
    while (d->bytes > 0) {
        uint64_t range[2] = {d->offset_bytes, min_u64(d->bytes, PIECE_BYTES)};
        if (atomic_load(&d->stop))
            return -ECANCELED;
        if (ioctl(d->fd, BLKDISCARD, range) < 0 && errno != EINTR)
            return errno == EOPNOTSUPP || errno == EINVAL ? 0 : -errno; /* it was a hint */
        d->offset_bytes += range[1];
        d->bytes -= range[1];
    }
    return 0;
}

static void run(void *ctx)
{
    struct file_discard *d = ctx;
    d->result = discard_all(d);
    pthread_mutex_lock(&d->lock);
    d->ran = true;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

/* ---- on the loop ---- */

static void start_next(struct blk_file *f)
{
    struct file_discard *d = &f->discard;
    if (d->busy || (d->req = blk_list_take(&d->waiting)) == NULL)
        return;
    d->busy = true;
    d->ran = false;
    d->fd = f->fd;
    d->offset_bytes = d->req->offset_bytes;
    d->bytes = d->req->bytes;
    evloop_work(f->loop, &d->work);
}

static void home(void *ctx)
{
    struct file_discard *d = ctx;
    struct blk_file *f = container_of(d, struct blk_file, discard);
    struct blk_req *req = d->req;
    int result = d->result; /* the next one's, soon */
    d->busy = false;
    d->req = NULL;
    start_next(f);
    if (req)
        req->done(req, result);
}

void file_discard_submit(struct blk_file *f, struct blk_req *req)
{
    STAILQ_INSERT_TAIL(&f->discard.waiting, req, link);
    start_next(f);
}

void file_discard_drain(struct blk_file *f)
{
    struct file_discard *d = &f->discard;
    struct blk_req *req;
    while ((req = blk_list_take(&d->waiting)) != NULL)
        blk_ended_add(&f->ended, req, -ECANCELED);
    if (!d->req)
        return;
    atomic_store(&d->stop, true);
    pthread_mutex_lock(&d->lock);
    while (!d->ran)
        pthread_cond_wait(&d->changed, &d->lock);
    pthread_mutex_unlock(&d->lock);
    atomic_store(&d->stop, false);
    blk_ended_add(&f->ended, d->req, d->result);
    d->req = NULL;
}

void file_discard_init(struct blk_file *f)
{
    struct file_discard *d = &f->discard;
    d->work = (struct ev_work){.run = run, .done = home, .ctx = d};
    STAILQ_INIT(&d->waiting);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
}

void file_discard_fini(struct blk_file *f)
{
    pthread_cond_destroy(&f->discard.changed);
    pthread_mutex_destroy(&f->discard.lock);
}
