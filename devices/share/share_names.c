// SPDX-License-Identifier: BSD-2-Clause
#include "devices/share/share_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* ---- entries ---- */

uint64_t seconds_to_keep(const struct share_dir *s)
{
    static const uint64_t seconds[] = {
        [SHARE_CACHE_AUTO] = 1, [SHARE_CACHE_ALWAYS] = 86400, [SHARE_CACHE_NEVER] = 0};
    return seconds[s->config.cache];
}

void entry_fill(struct op *op, const struct node *n, const struct statx *st,
                struct fuse_entry_out *out)
{
    uint64_t seconds = seconds_to_keep(op->share);
    *out = (struct fuse_entry_out){.nodeid = n->id, .entry_valid = seconds, .attr_valid = seconds};
    attr_fill(st, &out->attr);
    if (n->type == S_IFDIR && atomic_load(&op->share->submounts) &&
        n->key.mount != op->node->key.mount)
        out->attr.flags = FUSE_ATTR_SUBMOUNT;
}

/* On a helper: of what kind is a mount that comes up here for the first time? */
static void learn(struct op *op, int at, const char *name, uint64_t mount)
{
    if (mount_kind(op->share, mount) != MOUNT_UNKNOWN)
        return;
    int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    mount_learn(op->share, mount, fd);
    close(fd);
}

int entry_find(struct op *op, struct node *parent, int at, const char *name, struct statx *st,
               struct node **out)
{
    int err = stat_for_guest(op, at, name, st);
    if (err != 0)
        return err;
    if (st->stx_mnt_id != parent->key.mount) {
        if (!op->on_helper && mount_kind(op->share, st->stx_mnt_id) < MOUNT_LOCAL)
            return OP_ELSEWHERE;
        learn(op, at, name, st->stx_mnt_id);
    }
    return node_enter(op->share, parent, name, st, -1, out);
}

/* The answer that names an entry of op->node. */
static int answer_entry(struct op *op, const char *name)
{
    struct fuse_entry_out out;
    struct statx st;
    struct node *n = NULL;
    int at = node_fd(op->share, op->node);
    int err = at < 0 ? at : entry_find(op, op->node, at, name, &st, &n);
    if (err != 0)
        return err;
    entry_fill(op, n, &st, &out);
    node_put(op->share, n);
    op_put(op, &out, sizeof(out));
    return OP_DONE;
}

int op_lookup(struct op *op)
{
    int r = answer_entry(op, op->names[0]);
    if (r != -ENOENT || seconds_to_keep(op->share) == 0)
        return r;
    struct fuse_entry_out none = {.entry_valid = seconds_to_keep(op->share)};
    op_put(op, &none, sizeof(none)); /* nodeid 0: there is none, for so long */
    return OP_DONE;
}

static void forget(struct share_dir *s, uint64_t id, uint64_t lookups)
{
    struct node *n = node_get(s, id);
    if (n == NULL)
        return;
    node_forget(s, n, lookups);
    node_put(s, n);
}

int op_forget(struct op *op)
{
    const struct fuse_forget_in *in = op->args;
    forget(op->share, op->in.nodeid, in->nlookup);
    return OP_SILENT;
}

int op_batch_forget(struct op *op)
{
    const struct fuse_batch_forget_in *in = op->args;
    const struct fuse_forget_one *one = (const void *)(in + 1);
    uint64_t count = min_u64(in->count, (op->arg_bytes - sizeof(*in)) / sizeof(*one));
    for (; count > 0; count--, one++)
        forget(op->share, one->nodeid, one->nlookup);
    return OP_SILENT;
}

/* ---- new ones ---- */

/*
 * An O_PATH descriptor of what was just made, of that type; or a negative errno. Another file may
 * have taken the name by now: a program is not to get the mode of a directory.
 */
static int open_new(int at, const char *name, mode_t type)
{
    struct stat st;
    int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type)
        return fd;
    close(fd);
    return -ESTALE;
}

/* After a call that has made an entry: 0 or -1 and errno. */
static int made(struct op *op, int r, int at, mode_t mode, dev_t rdev)
{
    const char *name = op->names[0];
    if (r < 0)
        return -errno;
    int fd = open_new(at, name, is_emulated(op->share, mode) ? S_IFREG : mode & S_IFMT);
    if (fd < 0)
        return fd;
    int err = owner_begin(op, fd, mode, rdev);
    close(fd);
    if (err != 0) {
        (void)unlinkat(at, name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
        return err;
    }
    return answer_entry(op, name);
}

int op_symlink(struct op *op)
{
    size_t bytes = 0;
    const char *target = op_text(op, op->names_end, &bytes);
    int at = node_fd(op->share, op->node);
    if (at < 0)
        return at;
    if (target == NULL || bytes == 0)
        return -EINVAL;
    return made(op, symlinkat(target, at, op->names[0]), at, S_IFLNK | 0777, 0);
}

int op_mkdir(struct op *op)
{
    const struct fuse_mkdir_in *in = op->args;
    mode_t mode = in->mode & 07777 & ~in->umask;
    int at = node_fd(op->share, op->node);
    if (at < 0)
        return at;
    return made(op, mkdirat(at, op->names[0], mode), at, S_IFDIR | mode, 0);
}

static int make_node(struct op *op, int at, mode_t mode, dev_t rdev)
{
    bool is_whiteout = S_ISCHR(mode) && rdev == 0; /* as overlayfs makes them: anyone may */
    if (S_ISREG(mode) || is_emulated(op->share, mode)) {
        int fd = openat(at, op->names[0], O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
                        mode & 0777);
        return fd < 0 ? -1 : close(fd);
    }
    if ((S_ISCHR(mode) || S_ISBLK(mode)) && !is_whiteout) {
        errno = EPERM; /* also of root: a guest makes no devices on the host */
        return -1;
    }
    return mknodat(at, op->names[0], mode, rdev);
}

int op_mknod(struct op *op)
{
    const struct fuse_mknod_in *in = op->args;
    mode_t type = (in->mode & S_IFMT) != 0 ? in->mode & S_IFMT : S_IFREG; /* as mknod(2) has it */
    mode_t mode = type | (in->mode & 07777 & ~in->umask);
    dev_t rdev = makedev((in->rdev >> 8) & 0xfff, (in->rdev & 0xff) | (in->rdev >> 12 & 0xfff00));
    int at = node_fd(op->share, op->node);
    int err = at < 0 ? at : owner_check(op, mode);
    if (err != 0)
        return err;
    return made(op, make_node(op, at, mode, rdev), at, mode, rdev);
}

int op_link(struct op *op)
{
    const struct fuse_link_in *in = op->args;
    char path[SHARE_PROC_PATH];
    struct share_dir *s = op->share;
    struct node *old = node_get(s, in->oldnodeid);
    if (old == NULL)
        return -ESTALE;
    if (old->waits && !op->on_helper) {
        node_put(s, old);
        return OP_ELSEWHERE;
    }
    int fd = node_fd(s, old), at = node_fd(s, op->node), r = fd < 0 ? fd : at < 0 ? at : 0;
    if (r == 0) {
        fd_path(path, fd);
        r = linkat(AT_FDCWD, path, at, op->names[0], AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
    }
    node_put(s, old);
    return r < 0 ? r : answer_entry(op, op->names[0]);
}

/* What CREATE and TMPFILE answer, of a file that was opened and made. Takes the descriptor. */
static int answer_created(struct op *op, const char *name, int fd, int flags)
{
    struct share_dir *s = op->share;
    struct { /* as they follow each other */
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {.open.open_flags = open_reply_flags(s)};
    struct statx st;
    struct node *n = NULL;
    struct handle *h = NULL;
    int err = stat_for_guest(op, fd, "", &st);
    if (err == 0)
        err = node_enter(s, name != NULL ? op->node : NULL, name, &st, -1, &n);
    if (err != 0) {
        close(fd);
        return err;
    }
    entry_fill(op, n, &st, &out.entry);
    err = handle_open(s, n, fd, flags, &h);
    if (err != 0)
        node_forget(s, n, 1);
    else
        out.open.fh = h->id;
    if (err == 0 && name == NULL)
        (void)node_fd(s, n); /* which finds it when it is closed, and has no name */
    node_put(s, n);
    if (err == 0)
        op_put(op, &out, sizeof(out));
    return err;
}

/* The name is there already, and need not be new. */
static int open_existing(struct op *op, const struct fuse_create_in *in, int at)
{
    struct share_dir *s = op->share;
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {0};
    struct statx st;
    struct node *n = NULL;
    int r = entry_find(op, op->node, at, op->names[0], &st, &n);
    if (r != 0)
        return r;
    entry_fill(op, n, &st, &out.entry);
    r = open_node(op, n, in->flags, (in->open_flags & FUSE_OPEN_KILL_SUIDGID) != 0, &out.open);
    if (r == 0)
        op_put(op, &out, sizeof(out));
    else
        node_forget(s, n, 1);
    node_put(s, n);
    return r;
}

int op_create(struct op *op)
{
    const struct fuse_create_in *in = op->args;
    mode_t mode = S_IFREG | (in->mode & 07777 & ~in->umask);
    int at = node_fd(op->share, op->node);
    int err = at < 0 ? at : owner_check(op, mode);
    if (err != 0)
        return err;
    int flags = flags_to_host(op->share, in->flags);
    int fd = openat(at, op->names[0], flags | O_CREAT | O_EXCL | O_NOFOLLOW, mode & 0777);
    if (fd < 0 && errno == EEXIST && (in->flags & O_EXCL) == 0)
        return open_existing(op, in, at);
    if (fd < 0)
        return -errno;
    err = owner_begin(op, fd, mode, 0);
    if (err != 0) {
        (void)unlinkat(at, op->names[0], 0);
        close(fd);
        return err;
    }
    return answer_created(op, op->names[0], fd, flags);
}

int op_tmpfile(struct op *op)
{
    const struct fuse_create_in *in = op->args;
    mode_t mode = S_IFREG | (in->mode & 07777 & ~in->umask);
    int at = node_fd(op->share, op->node);
    int err = at < 0 ? at : owner_check(op, mode);
    if (err != 0)
        return err;
    int flags = flags_to_host(op->share, in->flags) | O_TMPFILE | (int)(in->flags & O_EXCL);
    int fd = open_again(op->share, at, flags, mode & 0777);
    if (fd < 0)
        return fd;
    err = owner_begin(op, fd, mode, 0);
    if (err != 0) {
        close(fd);
        return err;
    }
    return answer_created(op, NULL, fd, flags);
}

/* ---- old ones ---- */

/* The guest's files are where they are now. */
static void moved(struct op *op, struct node *dir, int at, const char *name)
{
    struct statx st;
    if (stat_for_guest(op, at, name, &st) == 0)
        node_moved(op->share, dir, name, &st);
}

static int remove_entry(struct op *op, int flags)
{
    int at = node_fd(op->share, op->node);
    if (at < 0)
        return at;
    if (is_large(op, at, op->names[0]))
        return OP_ELSEWHERE;
    node_keep(op, op->node, at, op->names[0]);
    if (unlinkat(at, op->names[0], flags) == 0)
        return OP_DONE;
    int err = -errno;
    moved(op, op->node, at, op->names[0]);
    return err;
}

int op_unlink(struct op *op)
{
    return remove_entry(op, 0);
}

int op_rmdir(struct op *op)
{
    return remove_entry(op, AT_REMOVEDIR);
}

static int rename_entry(struct op *op, int at, struct node *to, int to_at, unsigned flags)
{
    bool replaces = (flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)) == 0;
    if (replaces)
        node_keep(op, to, to_at, op->names[1]);
    int err = renameat2(at, op->names[0], to_at, op->names[1], flags) < 0 ? -errno : 0;
    if (err == 0 || replaces)
        moved(op, to, to_at, op->names[1]);
    if (err == 0 && (flags & RENAME_EXCHANGE) != 0)
        moved(op, op->node, at, op->names[0]);
    return err;
}

int op_rename(struct op *op)
{
    struct share_dir *s = op->share;
    const struct fuse_rename2_in *in = op->args;
    unsigned flags = op->in.opcode == FUSE_RENAME2 ? in->flags : 0;
    struct node *to = node_get(s, in->newdir);
    if (to == NULL)
        return -ESTALE;
    int r = 0;
    if (to->type != S_IFDIR)
        r = -ENOTDIR;
    else if (to->waits && !op->on_helper)
        r = OP_ELSEWHERE;
    int at = r == 0 ? node_fd(s, op->node) : -1, to_at = r == 0 ? node_fd(s, to) : -1;
    if (r == 0)
        r = at < 0 ? at : to_at < 0 ? to_at : 0;
    if (r == 0 && flags == 0 && is_large(op, to_at, op->names[1])) /* which goes */
        r = OP_ELSEWHERE;
    if (r == 0)
        r = rename_entry(op, at, to, to_at, flags);
    node_put(s, to);
    return r;
}

int op_readlink(struct op *op)
{
    size_t room = PATH_MAX;
    int fd = node_fd(op->share, op->node);
    int err = fd < 0 ? fd : op_reserve(op, room);
    if (err != 0)
        return err;
    ssize_t n = readlinkat(fd, "", (char *)op->out, room);
    if (n < 0)
        return errno == ENOENT ? -EINVAL : -errno; /* of what is no symbolic link */
    op->out_bytes = (size_t)n;
    return OP_DONE;
}
