// SPDX-License-Identifier: BSD-2-Clause
#include "devices/share/share_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/output/facts.h"

#define NAME_BYTES_MAX 255u

/* What the share keeps in the device's memory. */
struct share_slot {
    struct share_req req;
    struct op *op; /* at work */
};

static struct share_slot *slot_of(struct share_req *req)
{
    return container_of(req, struct share_slot, req);
}

static struct share_dir *dir_of(struct share *share)
{
    return container_of(share, struct share_dir, share);
}

/* ---- INIT and DESTROY ---- */

static void forget_all(struct share_dir *s)
{
    locks_reset(s);
    handles_reset(s);
    nodes_reset(s);
}

static uint64_t flags_of(const struct share_dir *s, uint64_t offered)
{
    uint64_t flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC | FUSE_DONT_MASK |
                     FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS |
                     FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2 | FUSE_INIT_EXT;
    if (!s->config.flat)
        flags |= FUSE_SUBMOUNTS;
    if (s->config.cache == SHARE_CACHE_AUTO)
        flags |= FUSE_AUTO_INVAL_DATA;
    if (s->config.cache == SHARE_CACHE_ALWAYS)
        flags |= FUSE_CACHE_SYMLINKS;
    if (s->config.writeback)
        flags |= FUSE_WRITEBACK_CACHE;
    if (s->config.locks)
        flags |= FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;
    return flags & offered;
}

static int op_init(struct op *op)
{
    struct share_dir *s = op->share;
    struct fuse_init_in in = {0};
    memcpy(&in, op->args, min_u64(op->arg_bytes, sizeof(in)));
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};
    if (in.major > FUSE_KERNEL_VERSION) { /* it asks again, with our version */
        op_put(op, &out, sizeof(out));
        return OP_DONE;
    }
    if (in.major < FUSE_KERNEL_VERSION || in.minor < 31) /* before there was virtio-fs */
        return -EPROTO;
    forget_all(s);
    uint64_t offered = in.flags;
    if ((in.flags & FUSE_INIT_EXT) != 0)
        offered |= (uint64_t)in.flags2 << 32;
    uint64_t flags = flags_of(s, offered);
    atomic_store(&s->submounts, (flags & FUSE_SUBMOUNTS) != 0);
    out.flags = (uint32_t)flags;
    out.flags2 = (uint32_t)(flags >> 32);
    out.max_readahead = (uint32_t)min_u64(in.max_readahead, SHARE_IO_MAX);
    out.max_write = SHARE_IO_MAX;
    out.max_pages = SHARE_IO_MAX / 4096;
    out.max_background = 64;
    out.congestion_threshold = 48;
    out.time_gran = 1;
    op_put(op, &out, sizeof(out));
    atomic_store(&s->started, true);
    return OP_DONE;
}

static int op_destroy(struct op *op)
{
    atomic_store(&op->share->started, false);
    forget_all(op->share);
    return OP_DONE;
}

/* ---- the messages ---- */

#define NAMES_OF_DIR (OP_CHANGES | OP_DIR)

static const struct op_kind kinds[] = {
    [FUSE_LOOKUP] = {op_lookup, 0, 1, OP_DIR},
    [FUSE_FORGET] = {op_forget, sizeof(struct fuse_forget_in), 0, OP_NO_NODE},
    [FUSE_BATCH_FORGET] = {op_batch_forget, sizeof(struct fuse_batch_forget_in), 0, OP_NO_NODE},
    [FUSE_GETATTR] = {op_getattr, 0, 0, 0},
    [FUSE_SETATTR] = {op_setattr, sizeof(struct fuse_setattr_in), 0, OP_CHANGES},
    [FUSE_READLINK] = {op_readlink, 0, 0, 0},
    [FUSE_SYMLINK] = {op_symlink, 0, 1, NAMES_OF_DIR},
    [FUSE_MKNOD] = {op_mknod, sizeof(struct fuse_mknod_in), 1, NAMES_OF_DIR},
    [FUSE_MKDIR] = {op_mkdir, sizeof(struct fuse_mkdir_in), 1, NAMES_OF_DIR},
    [FUSE_UNLINK] = {op_unlink, 0, 1, NAMES_OF_DIR},
    [FUSE_RMDIR] = {op_rmdir, 0, 1, NAMES_OF_DIR},
    [FUSE_RENAME] = {op_rename, sizeof(struct fuse_rename_in), 2, NAMES_OF_DIR},
    [FUSE_RENAME2] = {op_rename, sizeof(struct fuse_rename2_in), 2, NAMES_OF_DIR},
    [FUSE_LINK] = {op_link, sizeof(struct fuse_link_in), 1, NAMES_OF_DIR},
    [FUSE_OPEN] = {op_open, sizeof(struct fuse_open_in), 0, 0},
    [FUSE_READ] = {op_read, sizeof(struct fuse_read_in), 0, 0},
    [FUSE_WRITE] = {op_write, sizeof(struct fuse_write_in), 0, OP_CHANGES | OP_DATA},
    [FUSE_STATFS] = {op_statfs, 0, 0, 0},
    [FUSE_RELEASE] = {op_release, sizeof(struct fuse_release_in), 0, 0},
    [FUSE_FLUSH] = {op_flush, sizeof(struct fuse_flush_in), 0, 0},
    [FUSE_GETLK] = {op_getlk, sizeof(struct fuse_lk_in), 0, 0},
    [FUSE_SETLK] = {op_setlk, sizeof(struct fuse_lk_in), 0, 0},
    [FUSE_SETLKW] = {op_setlkw, sizeof(struct fuse_lk_in), 0, 0},
    [FUSE_FSYNC] = {op_fsync, sizeof(struct fuse_fsync_in), 0, OP_LONG},
    [FUSE_SETXATTR] = {op_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, 0, OP_CHANGES},
    [FUSE_GETXATTR] = {op_getxattr, sizeof(struct fuse_getxattr_in), 0, 0},
    [FUSE_LISTXATTR] = {op_listxattr, sizeof(struct fuse_getxattr_in), 0, 0},
    [FUSE_REMOVEXATTR] = {op_removexattr, 0, 0, OP_CHANGES},
    [FUSE_INIT] = {op_init, 16, 0, OP_NO_NODE},
    [FUSE_OPENDIR] = {op_opendir, sizeof(struct fuse_open_in), 0, OP_DIR},
    [FUSE_READDIR] = {op_readdir, sizeof(struct fuse_read_in), 0, OP_DIR},
    [FUSE_READDIRPLUS] = {op_readdir, sizeof(struct fuse_read_in), 0, OP_DIR},
    [FUSE_RELEASEDIR] = {op_release, sizeof(struct fuse_release_in), 0, 0},
    [FUSE_FSYNCDIR] = {op_fsync, sizeof(struct fuse_fsync_in), 0, OP_LONG},
    [FUSE_CREATE] = {op_create, sizeof(struct fuse_create_in), 1, NAMES_OF_DIR},
    [FUSE_TMPFILE] = {op_tmpfile, sizeof(struct fuse_create_in), 0, NAMES_OF_DIR},
    [FUSE_INTERRUPT] = {op_interrupt, sizeof(struct fuse_interrupt_in), 0, OP_NO_NODE},
    [FUSE_DESTROY] = {op_destroy, 0, 0, OP_NO_NODE},
    [FUSE_FALLOCATE] = {op_fallocate, sizeof(struct fuse_fallocate_in), 0, OP_CHANGES | OP_LONG},
    [FUSE_LSEEK] = {op_lseek, sizeof(struct fuse_lseek_in), 0, 0},
    [FUSE_COPY_FILE_RANGE] = {op_copy_file_range, sizeof(struct fuse_copy_file_range_in), 0,
                              OP_CHANGES | OP_LONG},
    [FUSE_SYNCFS] = {op_syncfs, 0, 0, OP_LONG},
};

/* ---- a message at work ---- */

void share_put(struct share_dir *s)
{
    if (atomic_fetch_sub(&s->users, 1) != 1)
        return;
    forget_all(s);
    nodes_fini(s);
    free(s->handles.slots);
    free(s->closing);
    if (s->proc_fd >= 0)
        close(s->proc_fd);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->close_lock);
    free(s);
}

static void op_free(struct op *op)
{
    struct share_dir *s = op->share;
    if (op->handle != NULL)
        handle_put(s, op->handle);
    if (op->node != NULL)
        node_put(s, op->node);
    if (op->args != op->args_space)
        free(op->args);
    if (op->out != op->out_space)
        free(op->out);
    if (op->gone != NULL)
        *op->gone = true;
    free(op);
    share_put(s);
}

/* The header of an answer, behind which `bytes` follow or have been written. */
static void put_header(struct iobuf *wr, uint64_t unique, int err, size_t bytes)
{
    const struct fuse_out_header out = {
        .len = (uint32_t)(sizeof(out) + bytes), .error = err, .unique = unique};
    iobuf_put(wr, &out, sizeof(out));
}

static void answer(struct op *op, int result)
{
    struct iobuf *wr = &op->req->wr;
    if (result == OP_SILENT || wr->left < sizeof(struct fuse_out_header))
        return;
    int err = result < 0 ? result : 0;
    size_t bytes = err != 0 ? 0 : op->out_bytes;
    if (bytes > op->room) { /* of a driver that leaves no room for what it asks for */
        err = -EIO;
        bytes = 0;
    }
    put_header(wr, op->in.unique, err, bytes + op->moved_in);
    iobuf_put(wr, op->out, bytes);
    iobuf_skip(wr, op->moved_in);
}

void op_finish(struct op *op, int result)
{
    struct share_req *req = op->req;
    if (req != NULL) {
        answer(op, result);
        slot_of(req)->op = NULL;
    }
    op_free(op);
    if (req != NULL)
        req->done(req);
}

int op_reserve(struct op *op, size_t bytes)
{
    if (bytes <= sizeof(op->out_space))
        return 0;
    op->out = malloc(bytes);
    if (op->out != NULL)
        return 0;
    op->out = op->out_space;
    return -ENOMEM;
}

void op_put(struct op *op, const void *src, size_t bytes)
{
    memcpy(op->out + op->out_bytes, src, bytes);
    op->out_bytes += bytes;
}

const char *op_text(const struct op *op, size_t at, size_t *bytes)
{
    if (at >= op->arg_bytes)
        return NULL;
    const char *text = (const char *)op->args + at;
    *bytes = strlen(text); /* a zero is behind the arguments */
    return at + *bytes < op->arg_bytes ? text : NULL;
}

static int take_names(struct op *op)
{
    size_t at = op->kind->arg_bytes;
    for (unsigned i = 0; i < op->kind->names; i++) {
        size_t bytes = 0;
        const char *name = op_text(op, at, &bytes);
        if (name == NULL || bytes == 0 || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
            strcmp(name, "..") == 0)
            return -EINVAL;
        if (bytes > NAME_BYTES_MAX)
            return -ENAMETOOLONG;
        op->names[i] = name;
        at += bytes + 1;
    }
    op->names_end = at;
    return 0;
}

static int take_args(struct op *op, struct iobuf *rd)
{
    if (op->in.len != rd->done + rd->left || rd->left < op->kind->arg_bytes)
        return -EINVAL;
    uint64_t bytes = (op->kind->flags & OP_DATA) != 0 ? op->kind->arg_bytes : rd->left;
    if (bytes > SHARE_ARGS_MAX)
        return -E2BIG;
    if (bytes >= sizeof(op->args_space)) {
        void *args = malloc(bytes + 1);
        if (args == NULL)
            return -ENOMEM;
        op->args = args;
    }
    op->arg_bytes = iobuf_get(rd, op->args, bytes);
    ((char *)op->args)[op->arg_bytes] = '\0';
    return take_names(op);
}

static int take_node(struct op *op)
{
    struct share_dir *s = op->share;
    unsigned flags = op->kind->flags;
    if (!atomic_load(&s->started) && op->kind->run != op_init)
        return -EIO;
    if ((flags & OP_CHANGES) != 0 && s->config.read_only)
        return -EROFS;
    if ((flags & OP_NO_NODE) != 0)
        return 0;
    op->node = node_get(s, op->in.nodeid);
    if (op->node == NULL)
        return -ESTALE;
    return (flags & OP_DIR) != 0 && op->node->type != S_IFDIR ? -ENOTDIR : 0;
}

/* 0, a negative errno, or OP_SILENT: there is nothing that could be answered. */
static int take(struct op *op)
{
    struct iobuf *rd = &op->req->rd;
    if (iobuf_get(rd, &op->in, sizeof(op->in)) < sizeof(op->in))
        return OP_SILENT;
    op->room = op->req->wr.left - min_u64(op->req->wr.left, sizeof(struct fuse_out_header));
    if (op->in.opcode >= ARRAY_SIZE(kinds) || kinds[op->in.opcode].run == NULL)
        return -ENOSYS;
    op->kind = &kinds[op->in.opcode];
    int err = take_args(op, rd);
    return err != 0 ? err : take_node(op);
}

static void work_run(void *ctx)
{
    struct op *op = ctx;
    op->result = op->kind->run(op);
}

static void work_done(void *ctx)
{
    struct op *op = ctx;
    int r = op->result;
    if (r == OP_ELSEWHERE) {
        op->on_helper = false;
        r = op->req != NULL ? op->kind->run(op) : -EINTR;
    }
    if (r != OP_PENDING)
        op_finish(op, r);
}

static bool needs_helper(const struct op *op)
{
    return (op->kind->flags & OP_LONG) != 0 ||
           (op->node != NULL && op->node->waits && op->kind->run != op_read &&
            op->kind->run != op_write);
}

static int run(struct op *op)
{
    int r = take(op);
    if (r != 0)
        return r;
    if (!needs_helper(op)) {
        r = op->kind->run(op);
        if (r != OP_ELSEWHERE)
            return r;
    }
    op->on_helper = true;
    op->work = (struct ev_work){.run = work_run, .done = work_done, .ctx = op};
    evloop_work(op->loop, &op->work);
    return OP_PENDING;
}

static void share_submit(struct share *share, struct share_req *req)
{
    struct share_dir *s = dir_of(share);
    struct op *op = malloc(sizeof(*op));
    if (op == NULL) { /* the driver's request ends without an answer */
        req->done(req);
        return;
    }
    memset(op, 0, offsetof(struct op, args_space));
    op->share = s;
    op->req = req;
    op->loop = req->loop;
    op->args = op->args_space;
    op->out = op->out_space;
    atomic_fetch_add(&s->users, 1);
    slot_of(req)->op = op;
    int r = run(op);
    if (r != OP_PENDING)
        op_finish(op, r);
}

static bool is_gone(void *gone)
{
    return *(bool *)gone;
}

static void io_abandon(struct op *op)
{
    bool gone = false;
    struct evloop *loop = op->loop;
    op->gone = &gone;
    evloop_io_cancel(loop, &op->io);
    evloop_io_wait(loop, is_gone, &gone);
}

/*
 * What a helper runs goes on without the request, since nothing of the guest's is in its hands;
 * what waits for a helper is forgotten, or a guest that resets could leave as much as it likes. I/O
 * that moves the guest's memory is cancelled, and waited for.
 */
static void share_abandon(struct share *share, struct share_req *req)
{
    (void)share;
    struct op *op = slot_of(req)->op;
    if (op == NULL)
        return;
    slot_of(req)->op = NULL;
    op->req = NULL;
    if (op->is_waiting)
        locks_abandon(op);
    else if (!op->on_helper)
        io_abandon(op);
    else if (evloop_work_cancel(op->loop, &op->work))
        op_free(op);
}

static void share_reset(struct share *share)
{
    struct share_dir *s = dir_of(share);
    atomic_store(&s->started, false);
    forget_all(s);
}

static void share_describe(struct share *share, struct facts *f)
{
    struct share_dir *s = dir_of(share);
    static const char *const uids[] = {"map", "none", "xattr"};
    static const char *const caches[] = {"auto", "always", "never"};
    facts_text(f, "path", "%s", s->config.path);
    facts_flag(f, "read_only", s->config.read_only);
    facts_text(f, "uid", "%s", uids[s->config.uid]);
    facts_text(f, "cache", "%s", caches[s->config.cache]);
    pthread_mutex_lock(&s->lock);
    facts_number(f, "descriptors", s->fds);
    pthread_mutex_unlock(&s->lock);
}

static void share_destroy(struct share *share)
{
    share_put(dir_of(share)); /* the last message that was abandoned frees it, too */
}

static const struct share_ops share_ops = {
    .submit = share_submit,
    .abandon = share_abandon,
    .reset = share_reset,
    .describe = share_describe,
    .destroy = share_destroy,
};

/* ---- life ---- */

/* Reading it sets it: before there are other threads that create files. */
static mode_t umask_of_process(void)
{
    mode_t mask = umask(077);
    (void)umask(mask);
    return mask;
}

int share_dir_create(struct share **out, const struct share_dir_config *config)
{
    struct share_dir *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return fail(-ENOMEM, "share %s", config->path);
    s->share = (struct share){.ops = &share_ops, .req_bytes = sizeof(struct share_slot)};
    s->config = *config;
    s->uid = geteuid();
    s->gid = getegid();
    s->umask = umask_of_process();
    atomic_store(&s->users, 1);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->close_lock, NULL);
    s->fds_max = config->descriptors_max / 4;
    s->handles.max = config->descriptors_max / 2;
    s->closing = calloc(config->descriptors_max, sizeof(*s->closing));
    s->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int err = s->proc_fd < 0 ? fail(-errno, "share %s: /proc/self/fd", config->path) : 0;
    if (err == 0 && s->closing == NULL)
        err = fail(-ENOMEM, "share %s", config->path);
    if (err == 0) {
        err = nodes_init(s);
        if (err != 0)
            (void)fail(err, "share %s", config->path);
    }
    if (err != 0) {
        share_destroy(&s->share);
        return err;
    }
    *out = &s->share;
    return 0;
}
