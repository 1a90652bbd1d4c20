// SPDX-License-Identifier: BSD-2-Clause
/*
 * Locks that hold on the host, too (`locks=on`). A lock of flock() is of the guest's open file,
 * which is an open file here. One of fcntl() is of a process of the guest: a file that is opened
 * for each process and node has it, as a lock of an open file description.
 *
 * A message that waits for a lock asks again after a while, for the host tells no user when a lock
 * becomes free without holding up a thread.
 */
#include "devices/share/share_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/descriptors.h"

#define AGAIN_MIN_NS UINT64_C(1000000)
#define AGAIN_MAX_NS UINT64_C(50000000)

struct lock_owner {
    uint64_t owner;  /* the guest's number of the process, or (F_OFD_SETLK) of the open file */
    uint64_t handle; /* by which it came here */
    struct node *node;
    int fd;
    LIST_ENTRY(lock_owner) link;
};

/* ---- owners ---- */

/* Under the lock. */
static struct lock_owner *find(struct share_dir *s, const struct node *n, uint64_t owner)
{
    struct lock_owner *o;
    LIST_FOREACH(o, &s->lock_owners, link)
    if (o->node == n && o->owner == owner)
        return o;
    return NULL;
}

/*
 * Another open file of the handle's. For writing, too, if that can be: the process may have opened
 * it more than once, and this one file is for the locks of all of these.
 */
static int open_for_locks(const struct op *op)
{
    const struct share_dir *s = op->share;
    int fd = -EROFS;
    if (!s->config.read_only) /* a lease makes it fail, not wait */
        fd = open_again(s, op->handle->fd, O_RDWR | O_NONBLOCK, 0);
    if (fd < 0)
        fd = open_again(s, op->handle->fd, O_RDONLY, 0);
    if (fd == -EACCES)
        fd = open_again(s, op->handle->fd, O_WRONLY, 0);
    return fd;
}

/*
 * A descriptor of its open file, to be closed: a FLUSH on another thread may end the owner
 * meanwhile. Or a negative errno.
 */
static int owner_fd(struct op *op, uint64_t owner)
{
    struct share_dir *s = op->share;
    pthread_mutex_lock(&s->lock);
    struct lock_owner *o = find(s, op->node, owner);
    int fd = o != NULL ? fcntl(o->fd, F_DUPFD_CLOEXEC, 0) : -1;
    bool full = s->lock_owner_count >= s->handles.max / 2;
    pthread_mutex_unlock(&s->lock);
    if (fd >= 0)
        return fd;
    if (full || o != NULL)
        return -ENOLCK;
    fd = open_for_locks(op);
    if (fd < 0)
        return fd;
    o = descriptors_spare(fd) ? calloc(1, sizeof(*o)) : NULL;
    if (o == NULL) {
        close(fd);
        return -ENOLCK;
    }
    *o = (struct lock_owner){.owner = owner, .handle = op->handle->id, .node = op->node, .fd = fd};
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_lock(&s->lock);
    op->node->refs++;
    LIST_INSERT_HEAD(&s->lock_owners, o, link);
    s->lock_owner_count++;
    pthread_mutex_unlock(&s->lock);
    return fd < 0 ? -ENOLCK : fd;
}

/* Under the lock. Of a process, or whose that came by a handle (node NULL); handle 0: any. */
static struct lock_owner *find_ending(struct share_dir *s, const struct node *n, uint64_t owner,
                                      uint64_t handle)
{
    struct lock_owner *o;
    if (n != NULL)
        return find(s, n, owner);
    LIST_FOREACH(o, &s->lock_owners, link)
    if (handle == 0 || o->handle == handle)
        return o;
    return NULL;
}

/* Forgets such owners. What they have locked is free. */
static void forget(struct share_dir *s, const struct node *n, uint64_t owner, uint64_t handle)
{
    for (;;) {
        pthread_mutex_lock(&s->lock);
        struct lock_owner *o = find_ending(s, n, owner, handle);
        if (o != NULL) {
            LIST_REMOVE(o, link);
            s->lock_owner_count--;
            node_pin(s, o->node);
            o->node->refs--;
        }
        pthread_mutex_unlock(&s->lock);
        if (o == NULL)
            return;
        if (n != NULL)
            close(o->fd); /* now, and it is not the last: the guest has the file open */
        else
            close_file(s, o->fd, o->node->waits);
        node_put(s, o->node);
        free(o);
    }
}

void locks_reset(struct share_dir *s)
{
    forget(s, NULL, 0, 0);
}

void locks_release(struct share_dir *s, uint64_t handle)
{
    if (s->config.locks && handle != 0)
        forget(s, NULL, 0, handle);
}

/* ---- messages ---- */

static struct flock host_lock(const struct fuse_file_lock *lk)
{
    return (struct flock){
        .l_type = (short)lk->type,
        .l_whence = SEEK_SET,
        .l_start = (off_t)lk->start,
        .l_len = lk->end >= INT64_MAX ? 0 : (off_t)(lk->end - lk->start + 1),
    };
}

static int begin(struct op *op, const struct fuse_lk_in *in)
{
    if (!op->share->config.locks)
        return -ENOSYS;
    int err = op_handle(op, in->fh);
    bool is_lock = in->lk.type == F_RDLCK || in->lk.type == F_WRLCK || in->lk.type == F_UNLCK;
    if (err == 0 && (!is_lock || in->lk.start > INT64_MAX || in->lk.end < in->lk.start))
        err = -EINVAL;
    return err;
}

int op_getlk(struct op *op)
{
    const struct fuse_lk_in *in = op->args;
    int err = begin(op, in);
    int fd = err == 0 ? owner_fd(op, in->owner) : err;
    if (fd < 0)
        return fd;
    struct flock lock = host_lock(&in->lk);
    int failed = fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : 0;
    close(fd);
    if (failed != 0)
        return failed;
    struct fuse_lk_out out = {
        .lk = {.start = (uint64_t)lock.l_start, .type = (uint32_t)lock.l_type}};
    out.lk.end = lock.l_len == 0 ? INT64_MAX : out.lk.start + (uint64_t)lock.l_len - 1;
    op_put(op, &out, sizeof(out));
    return OP_DONE;
}

/* Without waiting: -EAGAIN, it is another's. */
static int try_lock(struct op *op)
{
    const struct fuse_lk_in *in = op->args;
    if ((in->lk_flags & FUSE_LK_FLOCK) != 0) {
        int what = in->lk.type == F_UNLCK ? LOCK_UN : in->lk.type == F_RDLCK ? LOCK_SH : LOCK_EX;
        return flock(op->handle->fd, what | LOCK_NB) < 0 ? -errno : 0;
    }
    int fd = owner_fd(op, in->owner);
    if (fd < 0)
        return fd;
    struct flock lock = host_lock(&in->lk);
    int err = fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
    close(fd);
    return err;
}

int op_setlk(struct op *op)
{
    int err = begin(op, op->args);
    return err != 0 ? err : try_lock(op);
}

static void stop_waiting(struct op *op)
{
    pthread_mutex_lock(&op->share->lock);
    LIST_REMOVE(op, waiting);
    pthread_mutex_unlock(&op->share->lock);
    op->is_waiting = false;
    evloop_timer_cancel(op->loop, &op->again);
}

static void ask_later(struct op *op)
{
    op->again_ns = op->again_ns == 0 ? AGAIN_MIN_NS : min_u64(2 * op->again_ns, AGAIN_MAX_NS);
    evloop_timer_set(op->loop, &op->again, clock_now_ns(&clock_host) + op->again_ns);
}

static void ask_again(void *ctx)
{
    struct op *op = ctx;
    int err = atomic_load(&op->is_interrupted) ? -EINTR : try_lock(op);
    if (err == -EAGAIN) {
        ask_later(op);
        return;
    }
    stop_waiting(op);
    op_finish(op, err);
}

int op_setlkw(struct op *op)
{
    struct share_dir *s = op->share;
    int err = op_setlk(op);
    if (err != -EAGAIN || op->on_helper)
        return err;
    op->again = (struct ev_timer){.cb = ask_again, .ctx = op};
    op->is_waiting = true;
    pthread_mutex_lock(&s->lock);
    LIST_INSERT_HEAD(&s->waiting, op, waiting);
    pthread_mutex_unlock(&s->lock);
    ask_later(op);
    return OP_PENDING;
}

void locks_abandon(struct op *op)
{
    stop_waiting(op);
    op_finish(op, -EINTR);
}

/* The message that waits may be on another loop: it sees this when it asks again. */
int op_interrupt(struct op *op)
{
    const struct fuse_interrupt_in *in = op->args;
    struct op *o;
    pthread_mutex_lock(&op->share->lock);
    LIST_FOREACH(o, &op->share->waiting, waiting)
    if (o->in.unique == in->unique)
        atomic_store(&o->is_interrupted, true);
    pthread_mutex_unlock(&op->share->lock);
    return OP_SILENT;
}

/* A process closes a descriptor: its locks of the file end. */
int op_flush(struct op *op)
{
    const struct fuse_flush_in *in = op->args;
    if (!op->share->config.locks)
        return -ENOSYS; /* the guest does not ask again */
    forget(op->share, op->node, in->lock_owner, 0);
    return OP_DONE;
}
