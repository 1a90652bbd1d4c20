// SPDX-License-Identifier: BSD-2-Clause
/*
 * A shared directory, behind the share port. Two bytes say how it is shared; then operations, a
 * byte each and what they need: known files, handles, names and numbers of a byte.
 *
 * The model (share_model.h) knows what each must answer, until bytes that are no operation have
 * succeeded: then it is enough that answers have the right form. In no case does what is beside the
 * directory change, and in the end, when all is closed and forgotten, neither node nor descriptor
 * is left.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "devices/share/share_dir.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/share_model.h"
#include "tests/fuzz/target.h"
#include "tests/harness/fusereq.h"

#define STEPS_MAX   200u
#define HANDLES     6u
#define OWNERS      2u
#define LOCK_UNITS  8u
#define IDS         256u
#define FILE_MAX    MIB /* what bytes that are no operation can make */
#define DESCRIPTORS 256u
#define FEW         32u
#define REQ_BYTES   4096u
#define CAPABILITY  1u /* its place in xattr_names */

static const char *const xattr_names[MODEL_XATTRS] = {"user.x", "security.capability", "trusted.z"};
/* With which their user can use files, who need not be root. */
static const mode_t modes[] = {0644, 0600, 0755, 0666, 0777, 04755, 02755, 06711};

struct handle {
    uint64_t fh;
    struct model_file *file; /* NULL: there is none */
    bool reads, writes, appends;
    bool truncated; /* so that the server takes it for one that writes */
};

struct owner {
    uint64_t fh; /* by which it came; 0: there is none */
    unsigned locks[LOCK_UNITS];
};

static struct bench {
    struct fuzz_host host;
    struct fuse_client client;
    char base[32], shared[64], secret[64]; /* a directory, and what is in it */
    bool keeps_xattrs;                     /* of the host's file system */
    struct share_dir_config config;
    bool few; /* descriptors: what has no name any more may get lost */
    bool lost;
    uint32_t uid, gid; /* of what is made */
    struct model model;
    struct handle handles[HANDLES];
    struct owner owners[MODEL_FILES][OWNERS];
    uint64_t ids[IDS];
    unsigned id_count;
    uint8_t next; /* byte to write */
} bench;

/* ---- the host's side ---- */

static void clear(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    BUG_ON(dir == NULL);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            unlinkat(fd, e->d_name, 0) < 0) {
            (void)fchmodat(fd, e->d_name, 0700, 0);
            clear(fd, e->d_name);
        }
    closedir(dir);
    BUG_ON(unlinkat(at, name, AT_REMOVEDIR) < 0);
}

/* The first folder of its kind that no other process works in: what ended by a finding left one. */
static bool choose_base(struct bench *b, const char *parent)
{
    struct stat st;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(b->base, sizeof(b->base), "%s/minivet-fuzz-%u", parent, i);
        if (mkdir(b->base, 0700) < 0 && errno != EEXIST)
            return false;
        int fd = open(b->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
            flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true; /* and it stays open */
        if (fd >= 0)
            close(fd);
    }
    return false;
}

static void host_open(struct bench *b)
{
    struct stat st;
    fuzz_host_open(&b->host);
    if (b->base[0] == '\0') {
        BUG_ON(!choose_base(b, "/dev/shm") && !choose_base(b, "/tmp"));
        snprintf(b->shared, sizeof(b->shared), "%s/shared", b->base);
        snprintf(b->secret, sizeof(b->secret), "%s/outside", b->base);
        FILE *f = fopen(b->secret, "w");
        BUG_ON(f == NULL || fclose(f) != 0);
        b->keeps_xattrs = setxattr(b->secret, "user.x", "v", 1, 0) == 0;
        signal(SIGXFSZ, SIG_IGN);
        (void)umask(022);
        fuse_client_open(&b->client, &(struct share){.req_bytes = REQ_BYTES}, b->host.loop);
    }
    if (lstat(b->shared, &st) == 0)
        clear(AT_FDCWD, b->shared);
    BUG_ON(mkdir(b->shared, 0755) < 0);
}

struct beside {
    struct stat base, secret;
};

static struct beside look_beside(void)
{
    struct beside now;
    BUG_ON(stat(bench.base, &now.base) < 0 || stat(bench.secret, &now.secret) < 0);
    return now;
}

static void check_beside(const struct beside *before)
{
    struct beside now = look_beside();
    fuzz_check(now.base.st_mtim.tv_nsec == before->base.st_mtim.tv_nsec &&
                   now.base.st_ctim.tv_nsec == before->base.st_ctim.tv_nsec &&
                   now.secret.st_ctim.tv_nsec == before->secret.st_ctim.tv_nsec &&
                   now.secret.st_nlink == 1,
               "what is beside the directory has changed");
}

/* The names are those of the model. */
static void check_host(const struct model_file *dir, int at, const char *name)
{
    struct stat st;
    int fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    fuzz_check(fd >= 0, "a directory is not there");
    for (unsigned i = 0; i < MODEL_NAMES; i++) {
        const struct model_file *f = dir->entries[i];
        bool is = fstatat(fd, model_names[i], &st, AT_SYMLINK_NOFOLLOW) == 0;
        fuzz_check(is == (f != NULL), "%s on the host", is ? "too much" : "too little");
        if (f != NULL && S_ISREG(f->mode))
            fuzz_check(st.st_size == f->size, "%lld bytes on the host", (long long)st.st_size);
        if (f != NULL && S_ISDIR(f->mode))
            check_host(f, fd, model_names[i]);
    }
    close(fd);
}

/* ---- what is taken of the input ---- */

static struct model_file *take_file(struct bench *b, struct fuzz_input *in)
{
    struct model_file *known[MODEL_FILES];
    unsigned count = 0;
    for (unsigned i = 0; i < MODEL_FILES; i++)
        if (b->model.files[i].mode != 0 && b->model.files[i].lookups > 0)
            known[count++] = &b->model.files[i];
    return known[fuzz_take(in, 1) % count];
}

static unsigned take_name(struct fuzz_input *in)
{
    return (unsigned)fuzz_take(in, 1) % MODEL_NAMES;
}

/* Of those that are open; NULL: none is. */
static struct handle *take_handle(struct bench *b, struct fuzz_input *in)
{
    unsigned first = (unsigned)fuzz_take(in, 1);
    for (unsigned i = 0; i < HANDLES; i++)
        if (b->handles[(first + i) % HANDLES].file != NULL)
            return &b->handles[(first + i) % HANDLES];
    return NULL;
}

static struct handle *free_handle(struct bench *b)
{
    for (unsigned i = 0; i < HANDLES; i++)
        if (b->handles[i].file == NULL)
            return &b->handles[i];
    return NULL;
}

static bool is_xattr(const struct bench *b)
{
    return b->config.uid == SHARE_UID_XATTR;
}

/* Bits that the guest may not set stay for the answer to refuse. */
static mode_t take_mode(struct fuzz_input *in)
{
    return modes[fuzz_take(in, 1) % ARRAY_SIZE(modes)];
}

static bool is_refused(const struct bench *b, mode_t mode)
{
    return !is_xattr(b) && S_ISREG(mode) && (mode & 06000) != 0;
}

/* ---- asking, and the answer ---- */

static int call(struct bench *b, uint32_t opcode, const struct model_file *f, const void *arg,
                size_t bytes, const void *more, size_t more_bytes)
{
    return fuse_call(&b->client, opcode, f->id, arg, bytes, more, more_bytes);
}

#define CALL(opcode, file, in) call(b, opcode, file, &(in), sizeof(in), "", 0)
#define CALL_NAME(opcode, file, in, name) \
    call(b, opcode, file, &(in), sizeof(in), model_names[name], strlen(model_names[name]) + 1)

static bool may_be_stale(const struct bench *b, const struct model_file *f)
{
    return b->few && f != NULL && f->moved_off;
}

/* True: it has succeeded, as it must. */
static bool answered(const struct bench *b, const char *what, int err, const struct model_errors *e,
                     const struct model_file *f, const struct model_file *other)
{
    if (err == -ESTALE && (may_be_stale(b, f) || may_be_stale(b, other)))
        return false;
    fuzz_check(model_has_error(e, -err), "%s: error %d, %s %d", what, -err,
               e->count == 0 ? "none" : "not", e->count == 0 ? 0 : e->of[0]);
    return err == 0;
}

static void check_attr(struct model_file *f, const struct fuse_attr *a)
{
    if (f->ino == 0)
        f->ino = a->ino;
    fuzz_check(a->ino == f->ino, "another file's number");
    fuzz_check(a->mode == f->mode, "mode %o, not %o", a->mode, f->mode);
    fuzz_check(a->uid == f->uid && a->gid == f->gid, "owner %u:%u, not %u:%u", a->uid, a->gid,
               f->uid, f->gid);
    fuzz_check(S_ISDIR(f->mode) || a->nlink == f->links, "%u links, not %u", a->nlink, f->links);
    fuzz_check(a->rdev == f->rdev, "device %x, not %x", a->rdev, f->rdev);
    uint64_t size = S_ISLNK(f->mode) ? strlen(f->target) : f->size;
    fuzz_check(S_ISDIR(f->mode) || a->size == size, "%llu bytes, not %llu",
               (unsigned long long)a->size, (unsigned long long)size);
}

/* The guest gets to know a file. */
static void check_entry(struct bench *b, struct model_file *f, const struct fuse_entry_out *out)
{
    fuzz_check(out->nodeid > 1, "node %llu", (unsigned long long)out->nodeid);
    for (unsigned i = 0; i < MODEL_FILES; i++) {
        const struct model_file *o = &b->model.files[i];
        fuzz_check(o == f || o->mode == 0 || o->lookups == 0 || o->id != out->nodeid,
                   "two files are one node");
    }
    fuzz_check(f->lookups == 0 || f->id == out->nodeid, "a file has a second node");
    if (f->lookups++ == 0 && b->id_count < IDS)
        b->ids[b->id_count++] = out->nodeid;
    f->id = out->nodeid;
    f->moved_off = false;
    check_attr(f, &out->attr);
}

static void entry_answered(struct bench *b, struct model_file *f)
{
    struct fuse_entry_out out;
    fuzz_check(b->client.out_bytes >= sizeof(out), "a short answer");
    memcpy(&out, b->client.out, sizeof(out));
    check_entry(b, f, &out);
}

static void attr_answered(const struct bench *b, struct model_file *f)
{
    struct fuse_attr_out out;
    fuzz_check(b->client.out_bytes == sizeof(out), "a short answer");
    memcpy(&out, b->client.out, sizeof(out));
    check_attr(f, &out.attr);
}

/* ---- names ---- */

static struct model_file *new_file(struct bench *b, const struct model_file *dir, mode_t mode)
{
    struct model_file *f = model_add(&b->model, mode, b->uid, b->gid);
    if (f == NULL)
        return NULL;
    if (is_xattr(b) && S_ISLNK(mode))
        f->uid = f->gid = 0;
    if ((dir->mode & S_ISGID) != 0) {
        f->gid = is_xattr(b) && S_ISLNK(mode) ? 0 : dir->gid;
        f->mode |= S_ISDIR(mode) ? S_ISGID : 0;
    }
    return f;
}

static struct model_errors make_errors(const struct bench *b, const struct model_file *dir,
                                       unsigned name)
{
    struct model_errors e = {0};
    model_error(&e, !S_ISDIR(dir->mode), ENOTDIR);
    model_error(&e, model_is_dead(&b->model, dir), ENOENT);
    model_error(&e, S_ISDIR(dir->mode) && dir->entries[name] != NULL, EEXIST);
    return e;
}

/* After a message that makes a file: `f` is it, if it can be. */
static void made(struct bench *b, const char *what, int err, const struct model_errors *e,
                 struct model_file *dir, unsigned name, struct model_file *f)
{
    if (answered(b, what, err, e, dir, NULL)) {
        model_enter(dir, name, f);
        entry_answered(b, f);
    } else {
        model_drop(f);
    }
}

static void step_lookup(struct bench *b, struct fuzz_input *in)
{
    struct model_file *dir = take_file(b, in);
    unsigned name = take_name(in);
    struct model_errors e = {0};
    int err = call(b, FUSE_LOOKUP, dir, model_names[name], strlen(model_names[name]) + 1, "", 0);
    struct model_file *f = S_ISDIR(dir->mode) ? dir->entries[name] : NULL;
    model_error(&e, !S_ISDIR(dir->mode), ENOTDIR);
    model_error(&e, f == NULL && S_ISDIR(dir->mode) && b->config.cache == SHARE_CACHE_NEVER,
                ENOENT);
    if (!answered(b, "lookup", err, &e, dir, NULL))
        return;
    struct fuse_entry_out out;
    memcpy(&out, b->client.out, sizeof(out));
    fuzz_check((out.nodeid != 0) == (f != NULL), "lookup: it is %sthere", f != NULL ? "" : "not ");
    if (f != NULL)
        entry_answered(b, f);
}

static void step_mkdir(struct bench *b, struct fuzz_input *in)
{
    struct model_file *dir = take_file(b, in);
    unsigned name = take_name(in);
    struct fuse_mkdir_in arg = {.mode = 0700 | (take_mode(in) & 0777)};
    arg.umask = fuzz_take(in, 1) % 2 != 0 ? 027 : 0;
    struct model_file *f = new_file(b, dir, S_IFDIR | (arg.mode & ~arg.umask));
    struct model_errors e = make_errors(b, dir, name);
    if (f != NULL)
        made(b, "mkdir", CALL_NAME(FUSE_MKDIR, dir, arg, name), &e, dir, name, f);
}

static void step_mknod(struct bench *b, struct fuzz_input *in)
{
    static const mode_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR};
    struct model_file *dir = take_file(b, in);
    unsigned name = take_name(in);
    mode_t type = types[fuzz_take(in, 1) % ARRAY_SIZE(types)], mode = take_mode(in);
    const struct fuse_mknod_in arg = {.mode = type | (S_ISREG(type) ? mode : mode & 0777),
                                      .rdev = S_ISCHR(type) ? 0x103 : 0};
    struct model_file *f = new_file(b, dir, arg.mode);
    struct model_errors e = make_errors(b, dir, name);
    if (f == NULL)
        return;
    f->rdev = arg.rdev;
    model_error(&e, is_refused(b, arg.mode) || (S_ISCHR(type) && !is_xattr(b)), EPERM);
    made(b, "mknod", CALL_NAME(FUSE_MKNOD, dir, arg, name), &e, dir, name, f);
}

static void step_symlink(struct bench *b, struct fuzz_input *in)
{
    static const char *const targets[] = {"../outside", "a", ".", "/dev/zero"};
    struct model_file *dir = take_file(b, in);
    unsigned name = take_name(in);
    const char *target = targets[fuzz_take(in, 1) % ARRAY_SIZE(targets)];
    struct model_file *f = new_file(b, dir, S_IFLNK | 0777);
    struct model_errors e = make_errors(b, dir, name);
    if (f == NULL)
        return;
    strcpy(f->target, target);
    int err = call(b, FUSE_SYMLINK, dir, model_names[name], strlen(model_names[name]) + 1, target,
                   strlen(target) + 1);
    made(b, "symlink", err, &e, dir, name, f);
}

static void step_readlink(struct bench *b, struct fuzz_input *in)
{
    struct model_file *f = take_file(b, in);
    struct model_errors e = {0};
    model_error(&e, !S_ISLNK(f->mode), EINVAL);
    if (answered(b, "readlink", call(b, FUSE_READLINK, f, "", 0, "", 0), &e, f, NULL))
        fuzz_check(b->client.out_bytes == strlen(f->target) &&
                       memcmp(b->client.out, f->target, b->client.out_bytes) == 0,
                   "a link leads elsewhere");
}

static void step_link(struct bench *b, struct fuzz_input *in)
{
    struct model_file *f = take_file(b, in), *dir = take_file(b, in);
    unsigned name = take_name(in);
    const struct fuse_link_in arg = {.oldnodeid = f->id};
    struct model_errors e = make_errors(b, dir, name);
    model_error(&e, S_ISDIR(f->mode), EPERM);
    model_error(&e, f->links == 0 && !f->linkable, ENOENT);
    if (!answered(b, "link", CALL_NAME(FUSE_LINK, dir, arg, name), &e, f, dir))
        return;
    f->linkable = false;
    model_enter(dir, name, f);
    entry_answered(b, f);
}

static void step_rename(struct bench *b, struct fuzz_input *in)
{
    struct model_file *from = take_file(b, in), *to = take_file(b, in);
    unsigned name = take_name(in), new_name = take_name(in);
    unsigned flags = (unsigned)fuzz_take(in, 1) % 4;
    const struct fuse_rename2_in arg = {.newdir = to->id, .flags = flags};
    char names[64];
    size_t bytes = strlen(model_names[name]) + 1, more = strlen(model_names[new_name]) + 1;
    memcpy(names, model_names[name], bytes);
    memcpy(names + bytes, model_names[new_name], more);
    struct model_errors e = {0};
    if (S_ISDIR(from->mode) && S_ISDIR(to->mode))
        e = model_rename_errors(&b->model, from, name, to, new_name, flags);
    else
        model_error(&e, true, ENOTDIR);
    int err = call(b, FUSE_RENAME2, from, &arg, sizeof(arg), names, bytes + more);
    if (answered(b, "rename", err, &e, from, to))
        model_rename(from, name, to, new_name, (flags & 2) != 0);
}

static void step_remove(struct bench *b, struct fuzz_input *in, bool is_rmdir)
{
    struct model_file *dir = take_file(b, in);
    unsigned name = take_name(in);
    struct model_errors e = {0};
    model_error(&e, !S_ISDIR(dir->mode), ENOTDIR);
    const struct model_file *f = e.count == 0 ? dir->entries[name] : NULL;
    model_error(&e, e.count == 0 && f == NULL, ENOENT);
    if (f != NULL) {
        model_error(&e, is_rmdir && !S_ISDIR(f->mode), ENOTDIR);
        model_error(&e, !is_rmdir && S_ISDIR(f->mode), EISDIR);
        model_error(&e, is_rmdir && !model_is_empty(f), ENOTEMPTY);
    }
    int err = call(b, is_rmdir ? FUSE_RMDIR : FUSE_UNLINK, dir, model_names[name],
                   strlen(model_names[name]) + 1, "", 0);
    if (answered(b, is_rmdir ? "rmdir" : "unlink", err, &e, dir, NULL))
        model_leave(dir, name);
}

static void step_forget(struct bench *b, struct fuzz_input *in)
{
    struct model_file *f = take_file(b, in);
    unsigned all = (unsigned)fuzz_take(in, 1) % 4;
    uint64_t lookups = all == 0 ? f->lookups : all == 1 ? f->lookups + 7 : 1;
    if (f == &b->model.files[0])
        return;
    struct {
        struct fuse_batch_forget_in head;
        struct fuse_forget_one one;
    } batch = {{.count = 1}, {f->id, lookups}};
    if (all % 2 == 0)
        fuse_forget(&b->client, f->id, lookups);
    else
        (void)CALL(FUSE_BATCH_FORGET, f, batch);
    f->lookups -= min_u64(lookups, f->lookups);
    model_drop(f);
}

/* ---- files ---- */

/* What a change takes from a program with more rights than its user. */
static void strip(const struct bench *b, struct model_file *f, bool setid)
{
    if (!S_ISREG(f->mode))
        return;
    f->xattr_bytes[CAPABILITY] = -1; /* which no file has but with uid=xattr */
    if (setid && is_xattr(b))
        f->mode &= ~(mode_t)(S_ISUID | ((f->mode & S_IXGRP) != 0 ? S_ISGID : 0));
}

static uint32_t take_flags(struct fuzz_input *in, bool *setid)
{
    static const uint32_t access[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};
    unsigned how = (unsigned)fuzz_take(in, 1);
    *setid = (how & 32) != 0;
    return access[how % 4] | ((how & 4) != 0 ? O_TRUNC : 0) | ((how & 8) != 0 ? O_APPEND : 0);
}

static void opened(struct bench *b, struct handle *h, struct model_file *f, uint32_t flags,
                   const void *answer)
{
    struct fuse_open_out out;
    memcpy(&out, answer, sizeof(out));
    uint32_t access = flags & O_ACCMODE;
    *h = (struct handle){.fh = out.fh,
                         .file = f,
                         .reads = access != O_WRONLY || b->config.writeback,
                         .writes = access != O_RDONLY,
                         .truncated = (flags & O_TRUNC) != 0,
                         .appends = (flags & O_APPEND) != 0 && !b->config.writeback};
    f->handles++;
}

static void open_errors(struct model_errors *e, const struct model_file *f)
{
    model_error(e, S_ISDIR(f->mode), EISDIR);
    model_error(e, !S_ISDIR(f->mode) && !S_ISREG(f->mode), ENXIO);
}

static void step_open(struct bench *b, struct fuzz_input *in)
{
    struct model_file *f = take_file(b, in);
    bool setid;
    const struct fuse_open_in arg = {.flags = take_flags(in, &setid),
                                     .open_flags = setid ? FUSE_OPEN_KILL_SUIDGID : 0};
    struct handle *h = free_handle(b);
    struct model_errors e = {0};
    if (h == NULL)
        return;
    open_errors(&e, f);
    if (!answered(b, "open", CALL(FUSE_OPEN, f, arg), &e, f, NULL))
        return;
    opened(b, h, f, arg.flags, b->client.out);
    if ((arg.flags & O_TRUNC) != 0) {
        model_resize(f, 0);
        strip(b, f, setid);
    }
}

static void step_create(struct bench *b, struct fuzz_input *in)
{
    struct model_file *dir = take_file(b, in);
    unsigned name = take_name(in);
    bool setid;
    struct fuse_create_in arg = {.flags = take_flags(in, &setid),
                                 .mode = S_IFREG | take_mode(in),
                                 .open_flags = setid ? FUSE_OPEN_KILL_SUIDGID : 0};
    if (fuzz_take(in, 1) % 4 == 0)
        arg.flags |= O_EXCL;
    struct handle *h = free_handle(b);
    struct model_file *f = S_ISDIR(dir->mode) ? dir->entries[name] : NULL;
    struct model_errors e = {0};
    bool is_new = f == NULL;
    if (is_new)
        f = new_file(b, dir, arg.mode);
    if (h == NULL || f == NULL)
        return;
    model_error(&e, !S_ISDIR(dir->mode), ENOTDIR);
    model_error(&e, model_is_dead(&b->model, dir), ENOENT);
    model_error(&e, !is_new && (arg.flags & O_EXCL) != 0, EEXIST);
    model_error(&e, is_refused(b, arg.mode), EPERM);
    open_errors(&e, f);
    int err = CALL_NAME(FUSE_CREATE, dir, arg, name);
    if (!answered(b, "create", err, &e, dir, f)) {
        model_drop(f);
        return;
    }
    if (is_new) {
        model_enter(dir, name, f);
    } else if ((arg.flags & O_TRUNC) != 0) {
        struct fuse_entry_out out; /* as it was before it was opened */
        memcpy(&out, b->client.out, sizeof(out));
        fuzz_check(out.attr.size == f->size || out.attr.size == 0, "create: %llu bytes",
                   (unsigned long long)out.attr.size);
        model_resize(f, 0);
        strip(b, f, setid);
        out.attr.size = 0;
        out.attr.mode = f->mode;
        memcpy(b->client.out, &out, sizeof(out));
    }
    entry_answered(b, f);
    opened(b, h, f, is_new ? arg.flags & ~(uint32_t)O_TRUNC : arg.flags,
           b->client.out + sizeof(struct fuse_entry_out));
}

static void step_tmpfile(struct bench *b, struct fuzz_input *in)
{
    struct model_file *dir = take_file(b, in);
    bool setid, is_bound = fuzz_take(in, 1) % 2 != 0;
    struct fuse_create_in arg = {.flags = take_flags(in, &setid) & O_APPEND,
                                 .mode = S_IFREG | take_mode(in)};
    arg.flags |= O_RDWR | (is_bound ? O_EXCL : 0);
    struct handle *h = free_handle(b);
    struct model_file *f = h != NULL ? new_file(b, dir, arg.mode) : NULL;
    struct model_errors e = {0};
    if (f == NULL)
        return;
    model_error(&e, !S_ISDIR(dir->mode), ENOTDIR);
    model_error(&e, model_is_dead(&b->model, dir), ENOENT);
    model_error(&e, is_refused(b, arg.mode), EPERM);
    int err = CALL_NAME(FUSE_TMPFILE, dir, arg, 0);
    if (err == 0 && model_is_dead(&b->model, dir))
        e.count = 0; /* some file systems do that */
    if (!answered(b, "tmpfile", err, &e, dir, NULL)) {
        model_drop(f);
        return;
    }
    f->linkable = !is_bound;
    entry_answered(b, f);
    f->moved_off = true;
    opened(b, h, f, arg.flags, b->client.out + sizeof(struct fuse_entry_out));
}

static void forget_owners(struct bench *b, uint64_t fh)
{
    for (unsigned i = 0; i < MODEL_FILES * OWNERS; i++)
        if (b->owners[i / OWNERS][i % OWNERS].fh == fh)
            b->owners[i / OWNERS][i % OWNERS] = (struct owner){0};
}

static void release(struct bench *b, struct handle *h)
{
    struct model_file *f = h->file;
    fuzz_check(fuse_release(&b->client, f->id, h->fh) == 0, "it cannot be closed");
    forget_owners(b, h->fh);
    h->file = NULL;
    f->handles--;
    model_drop(f);
}

static void step_release(struct bench *b, struct fuzz_input *in)
{
    struct handle *h = take_handle(b, in);
    if (h != NULL)
        release(b, h);
}

static void step_write(struct bench *b, struct fuzz_input *in)
{
    uint8_t data[4096];
    struct handle *h = take_handle(b, in);
    uint32_t at = (uint32_t)fuzz_take(in, 1) * 29, bytes = (uint32_t)fuzz_take(in, 1) * 16 + 1;
    bool setid = fuzz_take(in, 1) % 2 != 0;
    if (h == NULL)
        return;
    struct model_file *f = h->file;
    uint32_t where = h->appends ? f->size : at;
    if (where + bytes > MODEL_BYTES)
        return;
    for (uint32_t i = 0; i < bytes; i++)
        data[i] = b->next = (uint8_t)(b->next * 5 + 7 + i / 256);
    const struct fuse_write_in arg = {.fh = h->fh,
                                      .offset = at,
                                      .size = bytes,
                                      .write_flags = setid ? FUSE_WRITE_KILL_SUIDGID : 0};
    struct model_errors e = {0};
    model_error(&e, !h->writes, EBADF);
    int err = call(b, FUSE_WRITE, f, &arg, sizeof(arg), data, bytes);
    if (h->writes || h->truncated)
        strip(b, f, setid);
    if (!answered(b, "write", err, &e, f, NULL))
        return;
    struct fuse_write_out out;
    memcpy(&out, b->client.out, sizeof(out));
    fuzz_check(out.size == bytes, "%u bytes written, not %u", out.size, bytes);
    if (where + bytes > f->size)
        model_resize(f, where + bytes);
    memcpy(f->data + where, data, bytes);
}

static void step_read(struct bench *b, struct fuzz_input *in)
{
    struct handle *h = take_handle(b, in);
    uint32_t at = (uint32_t)fuzz_take(in, 1) * 29, bytes = (uint32_t)fuzz_take(in, 1) * 64 + 1;
    if (h == NULL)
        return;
    struct model_file *f = h->file;
    struct model_errors e = {0};
    model_error(&e, !h->reads, EBADF);
    const struct fuse_read_in arg = {.fh = h->fh, .offset = at, .size = bytes};
    if (!answered(b, "read", CALL(FUSE_READ, f, arg), &e, f, NULL))
        return;
    uint64_t expected = min_u64(bytes, f->size - min_u64(at, f->size));
    fuzz_check(b->client.out_bytes == expected, "%zu bytes read, not %llu", b->client.out_bytes,
               (unsigned long long)expected);
    fuzz_check(memcmp(b->client.out, f->data + min_u64(at, f->size), expected) == 0,
               "other bytes were read than written");
}

static void step_truncate(struct bench *b, struct fuzz_input *in)
{
    struct handle *h = fuzz_take(in, 1) % 2 != 0 ? take_handle(b, in) : NULL;
    struct model_file *f = h != NULL ? h->file : take_file(b, in);
    bool setid = fuzz_take(in, 1) % 2 != 0;
    const struct fuse_setattr_in arg = {.valid = FATTR_SIZE | (h != NULL ? FATTR_FH : 0) |
                                                 (setid ? FATTR_KILL_SUIDGID : 0),
                                        .fh = h != NULL ? h->fh : 0,
                                        .size = fuzz_take(in, 1) * 41};
    struct model_errors e = {0};
    model_error(&e, S_ISDIR(f->mode), EISDIR);
    model_error(&e, !S_ISDIR(f->mode) && !S_ISREG(f->mode), EINVAL);
    model_error(&e, h != NULL && !h->writes, EINVAL);
    int err = CALL(FUSE_SETATTR, f, arg);
    if (err != -ESTALE)
        strip(b, f, setid);
    if (!answered(b, "truncate", err, &e, f, NULL))
        return;
    model_resize(f, (uint32_t)arg.size);
    attr_answered(b, f);
}

static void step_allocate(struct bench *b, struct fuzz_input *in)
{
    static const int how[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE};
    struct handle *h = take_handle(b, in);
    int mode = how[fuzz_take(in, 1) % ARRAY_SIZE(how)];
    uint32_t at = (uint32_t)fuzz_take(in, 1) * 23, bytes = (uint32_t)fuzz_take(in, 1) * 23 + 1;
    if (h == NULL)
        return;
    struct model_file *f = h->file;
    const struct fuse_fallocate_in arg = {
        .fh = h->fh, .offset = at, .length = bytes, .mode = (uint32_t)mode};
    struct model_errors e = {0};
    model_error(&e, !h->writes, EBADF);
    int err = CALL(FUSE_FALLOCATE, f, arg);
    if (h->writes || h->truncated)
        strip(b, f, b->client.uid != 0);
    if (!answered(b, "fallocate", err, &e, f, NULL))
        return;
    if (mode == 0 && at + bytes > f->size)
        model_resize(f, at + bytes);
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0 && at < f->size)
        memset(f->data + at, 0, min_u64(bytes, f->size - at));
}

static void step_copy(struct bench *b, struct fuzz_input *in)
{
    struct handle *from = take_handle(b, in), *to = take_handle(b, in);
    uint32_t at = (uint32_t)fuzz_take(in, 1) * 13, to_at = (uint32_t)fuzz_take(in, 1) * 13;
    uint32_t bytes = (uint32_t)fuzz_take(in, 1) * 13 + 1;
    if (from == NULL || to == NULL)
        return;
    struct model_file *f = from->file, *t = to->file;
    uint32_t count = (uint32_t)min_u64(bytes, f->size - min_u64(at, f->size));
    bool overlaps = f == t && to_at + count > at && to_at < at + count;
    const struct fuse_copy_file_range_in arg = {.fh_in = from->fh,
                                                .off_in = at,
                                                .nodeid_out = t->id,
                                                .fh_out = to->fh,
                                                .off_out = to_at,
                                                .len = bytes};
    struct model_errors e = {0};
    model_error(&e, !from->reads || !to->writes || to->appends, EBADF);
    model_error(&e, overlaps, EINVAL);
    int err = CALL(FUSE_COPY_FILE_RANGE, f, arg);
    if (to->writes || to->truncated)
        strip(b, t, b->client.uid != 0);
    if (!answered(b, "copy", err, &e, f, NULL))
        return;
    struct fuse_write_out out;
    memcpy(&out, b->client.out, sizeof(out));
    fuzz_check(out.size == count, "%u bytes copied, not %u", out.size, count);
    if (count > 0 && to_at + count > t->size)
        model_resize(t, to_at + count);
    memmove(t->data + to_at, f->data + at, count);
}

static void step_seek(struct bench *b, struct fuzz_input *in)
{
    struct handle *h = take_handle(b, in);
    bool is_data = fuzz_take(in, 1) % 2 != 0;
    uint64_t at = fuzz_take(in, 1) * 64;
    if (h == NULL)
        return;
    const struct fuse_lseek_in arg = {
        .fh = h->fh, .offset = at, .whence = is_data ? SEEK_DATA : SEEK_HOLE};
    struct model_errors e = {0};
    model_error(&e, b->config.writeback, ENOSYS);
    model_error(&e, at >= h->file->size, ENXIO);
    int err = CALL(FUSE_LSEEK, h->file, arg);
    if (is_data && err == -ENXIO)
        return;
    if (!answered(b, "lseek", err, &e, h->file, NULL))
        return;
    struct fuse_lseek_out out;
    memcpy(&out, b->client.out, sizeof(out));
    fuzz_check(out.offset >= at && out.offset <= h->file->size, "a hole or data elsewhere");
}

/* ---- attributes ---- */

static void step_getattr(struct bench *b, struct fuzz_input *in)
{
    struct model_file *f = take_file(b, in);
    const struct fuse_getattr_in arg = {0};
    const struct model_errors none = {0};
    if (answered(b, "getattr", CALL(FUSE_GETATTR, f, arg), &none, f, NULL))
        attr_answered(b, f);
}

static void step_chmod(struct bench *b, struct fuzz_input *in)
{
    struct model_file *f = take_file(b, in);
    mode_t mode = take_mode(in);
    if (S_ISLNK(f->mode))
        return;
    if (!S_ISREG(f->mode))
        mode = S_ISDIR(f->mode) ? 0700 | (mode & 02777) : mode & 0777;
    const struct fuse_setattr_in arg = {.valid = FATTR_MODE, .mode = mode};
    struct model_errors e = {0};
    model_error(&e, is_refused(b, (f->mode & S_IFMT) | mode), EPERM);
    if (!answered(b, "chmod", CALL(FUSE_SETATTR, f, arg), &e, f, NULL))
        return;
    f->mode = (f->mode & S_IFMT) | mode;
    attr_answered(b, f);
}

static void step_chown(struct bench *b, struct fuzz_input *in)
{
    struct model_file *f = take_file(b, in);
    uint32_t uid = (uint32_t)fuzz_take(in, 1), gid = (uint32_t)fuzz_take(in, 1);
    if (!is_xattr(b))
        return;
    const struct fuse_setattr_in arg = {.valid = FATTR_UID | FATTR_GID, .uid = uid, .gid = gid};
    const struct model_errors none = {0};
    if (!answered(b, "chown", CALL(FUSE_SETATTR, f, arg), &none, f, NULL))
        return;
    if (!S_ISLNK(f->mode)) {
        f->uid = uid;
        f->gid = gid;
    }
    if (!S_ISDIR(f->mode) && !S_ISLNK(f->mode))
        f->mode &= ~(mode_t)(S_ISUID | ((f->mode & S_IXGRP) != 0 ? S_ISGID : 0));
    strip(b, f, false);
    attr_answered(b, f);
}

/* What each message about an attribute may say. `bare`: a kind of file that has none of user.*. */
static struct model_errors xattr_errors(const struct bench *b, const struct model_file *f,
                                        unsigned which, bool is_get)
{
    struct model_errors e = {0};
    bool is_bare = S_ISLNK(f->mode) || (!is_xattr(b) && !S_ISREG(f->mode) && !S_ISDIR(f->mode));
    if (!b->config.xattr)
        model_error(&e, true, ENOSYS);
    else if (which != 0 && !is_xattr(b))
        model_error(&e, true, is_get ? ENODATA : EOPNOTSUPP);
    else if (is_bare)
        model_error(&e, true, is_get ? ENODATA : EPERM);
    return e;
}

static void step_setxattr(struct bench *b, struct fuzz_input *in)
{
    struct {
        uint32_t size, flags;
        char text[64];
    } arg = {0};
    struct model_file *f = take_file(b, in);
    unsigned which = (unsigned)fuzz_take(in, 1) % MODEL_XATTRS, how = (unsigned)fuzz_take(in, 1);
    size_t name = strlen(xattr_names[which]) + 1;
    arg.size = how / 4 % (MODEL_VALUE + 1);
    arg.flags = how % 4 % 3; /* none, XATTR_CREATE, XATTR_REPLACE */
    memcpy(arg.text, xattr_names[which], name);
    memset(arg.text + name, (int)how, arg.size);
    struct model_errors e = xattr_errors(b, f, which, false);
    bool is = f->xattr_bytes[which] >= 0;
    if (e.count == 0) {
        model_error(&e, is && arg.flags == XATTR_CREATE, EEXIST);
        model_error(&e, !is && arg.flags == XATTR_REPLACE, ENODATA);
    }
    int err = call(b, FUSE_SETXATTR, f, &arg, 8 + name + arg.size, "", 0);
    if (!answered(b, "setxattr", err, &e, f, NULL))
        return;
    f->xattr_bytes[which] = (int8_t)arg.size;
    memset(f->xattr[which], (int)how, arg.size);
}

static void step_getxattr(struct bench *b, struct fuzz_input *in)
{
    struct model_file *f = take_file(b, in);
    unsigned which = (unsigned)fuzz_take(in, 1) % MODEL_XATTRS;
    const struct fuse_getxattr_in arg = {.size = (uint32_t)fuzz_take(in, 1) % 12};
    struct model_errors e = xattr_errors(b, f, which, true);
    int bytes = f->xattr_bytes[which];
    if (e.count == 0) {
        model_error(&e, bytes < 0, ENODATA);
        model_error(&e, bytes >= 0 && arg.size > 0 && (int)arg.size < bytes, ERANGE);
    }
    int err = call(b, FUSE_GETXATTR, f, &arg, sizeof(arg), xattr_names[which],
                   strlen(xattr_names[which]) + 1);
    if (!answered(b, "getxattr", err, &e, f, NULL))
        return;
    struct fuse_getxattr_out out;
    memcpy(&out, b->client.out, sizeof(out));
    if (arg.size == 0)
        fuzz_check(out.size == (unsigned)bytes, "an attribute of %u bytes", out.size);
    else
        fuzz_check(b->client.out_bytes == (size_t)bytes &&
                       memcmp(b->client.out, f->xattr[which], (size_t)bytes) == 0,
                   "another attribute");
}

static void step_removexattr(struct bench *b, struct fuzz_input *in)
{
    struct model_file *f = take_file(b, in);
    unsigned which = (unsigned)fuzz_take(in, 1) % MODEL_XATTRS;
    struct model_errors e = xattr_errors(b, f, which, false);
    if (e.count == 0)
        model_error(&e, f->xattr_bytes[which] < 0, ENODATA);
    int err =
        call(b, FUSE_REMOVEXATTR, f, xattr_names[which], strlen(xattr_names[which]) + 1, "", 0);
    if (answered(b, "removexattr", err, &e, f, NULL))
        f->xattr_bytes[which] = -1;
}

static void step_listxattr(struct bench *b, struct fuzz_input *in)
{
    struct model_file *f = take_file(b, in);
    const struct fuse_getxattr_in arg = {.size = 200};
    struct model_errors e = {0};
    model_error(&e, !b->config.xattr, ENOSYS);
    if (!answered(b, "listxattr", CALL(FUSE_LISTXATTR, f, arg), &e, f, NULL))
        return;
    size_t bytes = 0;
    for (unsigned i = 0; i < MODEL_XATTRS; i++)
        bytes += f->xattr_bytes[i] >= 0 ? strlen(xattr_names[i]) + 1 : 0;
    fuzz_check(b->client.out_bytes == bytes, "a list of %zu bytes, not %zu", b->client.out_bytes,
               bytes);
}

/* ---- directories ---- */

/* One answer; the offset where the list goes on. `seen`: how often each name came. */
static uint64_t read_entries(struct bench *b, struct model_file *dir, bool plus, unsigned *seen)
{
    uint64_t offset = 0;
    size_t at = 0, head = plus ? sizeof(struct fuse_entry_out) : 0;
    while (at < b->client.out_bytes) {
        struct fuse_entry_out entry = {0};
        struct fuse_dirent d;
        fuzz_check(at + head + sizeof(d) <= b->client.out_bytes, "a list ends early");
        memcpy(&entry, b->client.out + at, head);
        memcpy(&d, b->client.out + at + head, sizeof(d));
        const char *name = (const char *)b->client.out + at + head + FUSE_NAME_OFFSET;
        at += FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + d.namelen);
        fuzz_check(at <= b->client.out_bytes, "a list ends early");
        offset = d.off;
        bool is_dots = d.namelen <= 2 && memcmp(name, "..", d.namelen) == 0;
        unsigned i = 0;
        while (i < MODEL_NAMES && (strlen(model_names[i]) != d.namelen ||
                                   memcmp(model_names[i], name, d.namelen) != 0))
            i++;
        struct model_file *f = i < MODEL_NAMES ? dir->entries[i] : NULL;
        fuzz_check(is_dots || f != NULL, "a list has a name that is not there");
        if (f == NULL)
            continue;
        seen[i]++;
        fuzz_check(d.type == (f->mode & S_IFMT) >> 12, "a list has type %u", d.type);
        if (plus)
            check_entry(b, f, &entry);
    }
    return offset;
}

static void step_list(struct bench *b, struct fuzz_input *in)
{
    struct model_file *dir = take_file(b, in);
    bool plus = fuzz_take(in, 1) % 2 != 0;
    uint32_t size = 300 + (uint32_t)fuzz_take(in, 1) * 8;
    const struct fuse_open_in how = {0};
    struct fuse_open_out out;
    struct model_errors e = {0};
    unsigned seen[MODEL_NAMES] = {0};
    model_error(&e, !S_ISDIR(dir->mode), ENOTDIR);
    if (!answered(b, "opendir", CALL(FUSE_OPENDIR, dir, how), &e, dir, NULL))
        return;
    memcpy(&out, b->client.out, sizeof(out));
    struct fuse_read_in arg = {.fh = out.fh, .size = size};
    for (unsigned rounds = 0;; rounds++) {
        fuzz_check(rounds < 32, "a list without an end");
        int err = CALL(plus ? FUSE_READDIRPLUS : FUSE_READDIR, dir, arg);
        if (err == -ENOENT && model_is_dead(&b->model, dir))
            break;
        e.count = 0;
        if (!answered(b, "readdir", err, &e, NULL, NULL) || b->client.out_bytes == 0)
            break;
        arg.offset = read_entries(b, dir, plus, seen);
    }
    for (unsigned i = 0; i < MODEL_NAMES; i++)
        fuzz_check(seen[i] == (dir->entries[i] != NULL), "a name comes %u times", seen[i]);
    const struct fuse_release_in close = {.fh = out.fh};
    fuzz_check(CALL(FUSE_RELEASEDIR, dir, close) == 0, "a list cannot be closed");
}

/* ---- locks ---- */

static void step_lock(struct bench *b, struct fuzz_input *in)
{
    static const uint32_t types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
    struct handle *h = take_handle(b, in);
    unsigned which = (unsigned)fuzz_take(in, 1) % OWNERS, kind = (unsigned)fuzz_take(in, 1) % 3;
    unsigned from = (unsigned)fuzz_take(in, 1) % LOCK_UNITS;
    unsigned to = from + (unsigned)fuzz_take(in, 1) % (LOCK_UNITS - from);
    if (h == NULL)
        return;
    struct owner *all = b->owners[h->file - b->model.files], *o = &all[which];
    const struct owner *other = &all[1 - which];
    const struct fuse_lk_in arg = {
        .fh = h->fh, .owner = 100 + which, .lk = {.start = from, .end = to, .type = types[kind]}};
    struct model_errors e = {0};
    bool conflicts = false;
    for (unsigned i = from; i <= to; i++)
        conflicts = conflicts || (kind < 2 && other->locks[i] + kind > 1 && other->locks[i] != 0);
    model_error(&e, !b->config.locks, ENOSYS);
    model_error(&e, b->config.locks && conflicts, EAGAIN);
    int err = CALL(FUSE_SETLK, h->file, arg);
    if (err == -ENOLCK && b->few)
        return;
    if (b->config.locks && o->fh == 0)
        o->fh = h->fh;
    if (answered(b, "lock", err, &e, h->file, NULL))
        for (unsigned i = from; i <= to; i++)
            o->locks[i] = kind == 2 ? 0 : kind + 1;
}

static void step_flush(struct bench *b, struct fuzz_input *in)
{
    struct handle *h = take_handle(b, in);
    unsigned which = (unsigned)fuzz_take(in, 1) % OWNERS;
    if (h == NULL)
        return;
    const struct fuse_flush_in arg = {.fh = h->fh, .lock_owner = 100 + which};
    struct model_errors e = {0};
    model_error(&e, !b->config.locks, ENOSYS);
    if (answered(b, "flush", CALL(FUSE_FLUSH, h->file, arg), &e, h->file, NULL))
        b->owners[h->file - b->model.files][which] = (struct owner){0};
}

/* ---- what is no operation ---- */

static bool may_half_succeed(uint32_t opcode)
{
    return opcode == FUSE_SETATTR || opcode == FUSE_WRITE || opcode == FUSE_FALLOCATE ||
           opcode == FUSE_COPY_FILE_RANGE || opcode == FUSE_SETXATTR || opcode == FUSE_SETLKW;
}

static void step_raw(struct bench *b, struct fuzz_input *in)
{
    uint8_t message[sizeof(struct fuse_in_header) + 160] = {0};
    struct fuse_in_header head = {.opcode = (uint32_t)fuzz_take(in, 1) % 56, .unique = 77};
    unsigned how = (unsigned)fuzz_take(in, 1);
    size_t bytes;
    head.nodeid = (how & 1) != 0 ? take_file(b, in)->id : fuzz_take(in, 8);
    const uint8_t *body = fuzz_take_bytes(in, (size_t)fuzz_take(in, 1) % 160, &bytes);
    memcpy(message + sizeof(head), body, bytes);
    const struct handle *h = (how & 2) != 0 ? take_handle(b, in) : NULL;
    if (h != NULL) /* which most messages begin with */
        memcpy(message + sizeof(head), &h->fh, sizeof(h->fh));
    head.len = (uint32_t)(sizeof(head) + bytes) - ((how & 4) != 0 ? how / 8 : 0);
    memcpy(message, &head, sizeof(head));
    if (head.opcode == FUSE_SETLKW) /* which could wait for ever */
        return;
    struct fuse_out_header out;
    bool is_answered = fuse_raw(&b->client, message, sizeof(head) + bytes);
    memcpy(&out, b->client.out - sizeof(out), sizeof(out));
    fuzz_check(!is_answered || out.unique == head.unique, "an answer to another message");
    b->lost = b->lost || !is_answered || out.error == 0 || may_half_succeed(head.opcode);
}

/* Names that lead elsewhere. */
static void step_bad_name(struct bench *b, struct fuzz_input *in)
{
    static const char *const names[] = {"", ".", "..", "a/b", "/", "../outside"};
    static const struct {
        uint32_t opcode;
        size_t bytes;
    } messages[] = {
        {FUSE_LOOKUP, 0},
        {FUSE_UNLINK, 0},
        {FUSE_RMDIR, 0},
        {FUSE_MKDIR, sizeof(struct fuse_mkdir_in)},
        {FUSE_MKNOD, sizeof(struct fuse_mknod_in)},
        {FUSE_CREATE, sizeof(struct fuse_create_in)},
        {FUSE_RENAME, sizeof(struct fuse_rename_in)},
        {FUSE_LINK, sizeof(struct fuse_link_in)},
    };
    uint64_t zeroes[8] = {0};
    const struct model_file *dir = take_file(b, in);
    unsigned which = (unsigned)fuzz_take(in, 1) % ARRAY_SIZE(messages);
    const char *name = names[fuzz_take(in, 1) % ARRAY_SIZE(names)];
    zeroes[0] = dir->id; /* newdir, oldnodeid */
    char both[32];
    size_t bytes = strlen(name) + 1;
    memcpy(both, name, bytes);
    memcpy(both + bytes, "a", 2);
    int err = call(b, messages[which].opcode, dir, zeroes, messages[which].bytes, both,
                   bytes + (messages[which].opcode == FUSE_RENAME ? 2 : 0));
    fuzz_check(err == -EINVAL, "the name '%s': error %d", name, -err);
}

/* ---- all of it ---- */

static void step(struct bench *b, struct fuzz_input *in)
{
    static void (*const steps[])(struct bench *, struct fuzz_input *) = {
        step_lookup,   step_create,      step_mkdir,     step_mknod,    step_symlink,
        step_link,     step_rename,      step_open,      step_read,     step_write,
        step_truncate, step_chmod,       step_chown,     step_allocate, step_list,
        step_setxattr, step_getxattr,    step_forget,    step_lock,     step_copy,
        step_seek,     step_release,     step_tmpfile,   step_getattr,  step_readlink,
        step_flush,    step_removexattr, step_listxattr, step_raw,      step_bad_name,
    };
    unsigned what = (unsigned)fuzz_take(in, 1) % (ARRAY_SIZE(steps) + 2);
    if (b->lost)
        step_raw(b, in);
    else if (what >= ARRAY_SIZE(steps))
        step_remove(b, in, what > ARRAY_SIZE(steps));
    else
        steps[what](b, in);
}

/* Closed and forgotten, as a guest does it. */
static void finish(struct bench *b)
{
    for (unsigned i = 0; i < HANDLES; i++)
        if (b->handles[i].file != NULL)
            release(b, &b->handles[i]);
    for (unsigned i = 1; i < MODEL_FILES; i++) {
        struct model_file *f = &b->model.files[i];
        if (f->mode != 0 && f->lookups > 0)
            fuse_forget(&b->client, f->id, f->lookups);
    }
    const struct fuse_getattr_in in = {0};
    for (unsigned i = 0; i < b->id_count; i++)
        fuzz_check(fuse_call(&b->client, FUSE_GETATTR, b->ids[i], &in, sizeof(in), "", 0) ==
                       -ESTALE,
                   "a node is left");
    check_host(&b->model.files[0], AT_FDCWD, b->shared);
}

static void begin(struct bench *b, struct fuzz_input *in)
{
    unsigned how = (unsigned)fuzz_take(in, 1), flags = (unsigned)fuzz_take(in, 1);
    b->few = (flags & 8) != 0;
    b->config = (struct share_dir_config){
        .path = b->shared,
        .uid = (enum share_uid)(how % 3),
        .cache = (enum share_cache)(how / 3 % 3),
        .writeback = (flags & 4) != 0,
        .xattr = (flags & 1) != 0 && b->keeps_xattrs,
        .locks = (flags & 2) != 0,
        .descriptors_max = b->few ? FEW : DESCRIPTORS,
        .nodes_max = 1024,
    };
    if (is_xattr(b) && !b->keeps_xattrs)
        b->config.uid = SHARE_UID_MAP;
    bool is_none = b->config.uid == SHARE_UID_NONE;
    b->uid = is_none ? geteuid() : 0;
    b->gid = is_none ? getegid() : 0;
    model_init(&b->model, b->uid, b->gid);
    b->client.uid = b->client.gid = 0;
    if (is_xattr(b) && (flags & 16) != 0) {
        b->uid = b->client.uid = 1000;
        b->gid = b->client.gid = 1001;
    }
    memset(b->handles, 0, sizeof(b->handles));
    memset(b->owners, 0, sizeof(b->owners));
    b->id_count = 0;
    b->lost = false;
    b->next = 0;
}

static void run(struct fuzz_input *in)
{
    struct bench *b = &bench;
    struct rlimit before, limit;
    host_open(b);
    begin(b, in);
    BUG_ON(getrlimit(RLIMIT_FSIZE, &before) < 0);
    limit = (struct rlimit){.rlim_cur = FILE_MAX, .rlim_max = before.rlim_max};
    BUG_ON(setrlimit(RLIMIT_FSIZE, &limit) < 0);
    struct beside beside = look_beside();
    unsigned files = fuzz_open_fds();
    memset(b->client.req, 0, REQ_BYTES);
    BUG_ON(share_dir_create(&b->client.share, &b->config) < 0);
    BUG_ON(b->client.share->req_bytes > REQ_BYTES);
    unsigned shared = fuzz_open_fds();
    fuzz_check(fuse_client_init(&b->client) == 0, "INIT is refused");
    for (unsigned i = 0; i < STEPS_MAX && in->left > 0; i++)
        step(b, in);
    if (!b->lost)
        finish(b);
    else
        b->client.share->ops->reset(b->client.share);
    fuzz_check(fuzz_open_fds() == shared, "a file of the guest's is left open");
    b->client.share->ops->reset(b->client.share);
    b->client.share->ops->destroy(b->client.share);
    fuzz_check(fuzz_open_fds() == files, "a file is left open");
    check_beside(&beside);
    BUG_ON(setrlimit(RLIMIT_FSIZE, &before) < 0);
    clear(AT_FDCWD, b->shared); /* on tmpfs, where it is memory */
}

const struct fuzz_target fuzz_target_share = {.name = "share", .run = fuzz_run_bytes, .bytes = run};
