// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whose a file is, by the policy of `uid=`. With SHARE_UID_XATTR a file's attribute says it, as
 * "UID:GID:MODE[:TYPE]"; the file itself is its user's, who can always read and write it. What has
 * no such attribute is as with SHARE_UID_MAP, and so is a symbolic link, which can have none.
 */
#include "devices/share/share_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OWNER_BYTES_MAX 64
#define OTHERS_PREFIX   "user.minivet."
#define CAPABILITY      "security.capability"

void fd_path(char out[SHARE_PROC_PATH], int fd)
{
    snprintf(out, SHARE_PROC_PATH, "/proc/self/fd/%d", fd);
}

/* ---- users ---- */

/* Exchanges the user with root. */
static uint32_t exchange(uint32_t id, uint32_t own)
{
    return id == own ? 0 : id == 0 ? own : id;
}

uid_t uid_to_host(const struct share_dir *s, uid_t uid)
{
    return s->config.uid == SHARE_UID_NONE ? uid : exchange(uid, s->uid);
}

gid_t gid_to_host(const struct share_dir *s, gid_t gid)
{
    return s->config.uid == SHARE_UID_NONE ? gid : exchange(gid, s->gid);
}

/* ---- the attribute ---- */

struct owner {
    uint32_t uid, gid, mode; /* with its type */
    uint32_t major, minor;
};

/* A number, and the character behind it, which is passed over unless it is the end. */
static uint32_t take_number(const char **text, int base, char *behind)
{
    char *end;
    unsigned long n = strtoul(*text, &end, base);
    *behind = '?';
    if (end != *text)
        *behind = *end;
    *text = *end != '\0' ? end + 1 : end;
    return (uint32_t)n;
}

/* What is an empty file on the host, and what the attribute says in TYPE then. */
static const struct {
    mode_t type;
    const char *name;
} emulated[] = {
    {S_IFBLK, "block-"},
    {S_IFCHR, "char-"},
    {S_IFIFO, "pipe"},
    {S_IFSOCK, "socket"},
};

static bool is_device(mode_t mode)
{
    return S_ISCHR(mode) || S_ISBLK(mode);
}

bool is_emulated(const struct share_dir *s, mode_t mode)
{
    if (s->config.uid == SHARE_UID_XATTR)
        for (unsigned i = 0; i < ARRAY_SIZE(emulated); i++)
            if ((mode & S_IFMT) == emulated[i].type)
                return true;
    return false;
}

static bool parse_owner(const char *text, struct owner *o, mode_t type)
{
    char after_uid, after_gid, after_mode, behind;
    o->uid = take_number(&text, 10, &after_uid);
    o->gid = take_number(&text, 10, &after_gid);
    o->mode = (take_number(&text, 8, &after_mode) & 07777) | type;
    if (after_uid != ':' || after_gid != ':' || (after_mode != ':' && after_mode != '\0'))
        return false;
    if (type != S_IFREG)
        return true;
    for (unsigned i = 0; i < ARRAY_SIZE(emulated); i++) {
        size_t bytes = strlen(emulated[i].name);
        if (strncmp(text, emulated[i].name, bytes) != 0)
            continue;
        text += bytes;
        o->mode = (o->mode & 07777) | emulated[i].type;
        if (is_device(o->mode)) {
            o->major = take_number(&text, 10, &behind);
            o->minor = take_number(&text, 10, &behind);
        }
    }
    return true;
}

/* Of an entry, or of the descriptor (name ""). */
static bool read_owner(int fd, const char *name, mode_t type, struct owner *o)
{
    char path[SHARE_PROC_PATH + NAME_MAX + 2], text[OWNER_BYTES_MAX + 1];
    if ((type != S_IFREG && type != S_IFDIR) || strlen(name) > NAME_MAX)
        return false; /* FUSE and vfat have longer ones */
    fd_path(path, fd);
    if (name[0] != '\0') {
        strcat(path, "/");
        strcat(path, name);
    }
    ssize_t n = name[0] != '\0' ? lgetxattr(path, SHARE_OWNER_XATTR, text, OWNER_BYTES_MAX)
                                : getxattr(path, SHARE_OWNER_XATTR, text, OWNER_BYTES_MAX);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return parse_owner(text, o, type);
}

static int write_owner(int fd, const struct owner *o)
{
    char path[SHARE_PROC_PATH], text[OWNER_BYTES_MAX];
    int n = snprintf(text, sizeof(text), "%u:%u:0%o", o->uid, o->gid, o->mode & 07777);
    for (unsigned i = 0; i < ARRAY_SIZE(emulated); i++)
        if ((o->mode & S_IFMT) == emulated[i].type)
            n += snprintf(text + n, sizeof(text) - (size_t)n, ":%s", emulated[i].name);
    if (is_device(o->mode))
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%u-%u", o->major, o->minor);
    fd_path(path, fd);
    return setxattr(path, SHARE_OWNER_XATTR, text, (size_t)n, 0) < 0 ? -errno : 0;
}

/* ---- what the guest sees ---- */

int stat_at(const struct op *op, int fd, const char *name, struct statx *st)
{
    /* Without the loop's waiting for the server of a file system that is mounted there. */
    int flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;
    if (!op->on_helper)
        flags |= AT_STATX_DONT_SYNC;
    return statx(fd, name, flags, SHARE_STATX, st) < 0 ? -errno : 0;
}

bool is_large(const struct op *op, int fd, const char *name)
{
    struct statx st;
    return !op->on_helper && stat_at(op, fd, name, &st) == 0 && S_ISREG(st.stx_mode) &&
           st.stx_blocks > SHARE_LARGE_BLOCKS;
}

static void see(const struct share_dir *s, int fd, const char *name, struct statx *st)
{
    struct owner o = {0};
    if (s->config.uid == SHARE_UID_NONE)
        return;
    if (s->config.uid == SHARE_UID_XATTR && read_owner(fd, name, st->stx_mode & S_IFMT, &o)) {
        st->stx_uid = o.uid;
        st->stx_gid = o.gid;
        st->stx_mode = (uint16_t)o.mode;
        st->stx_rdev_major = o.major;
        st->stx_rdev_minor = o.minor;
        return;
    }
    st->stx_uid = exchange(st->stx_uid, s->uid);
    st->stx_gid = exchange(st->stx_gid, s->gid);
}

int stat_for_guest(const struct op *op, int fd, const char *name, struct statx *st)
{
    const struct share_dir *s = op->share;
    int err = stat_at(op, fd, name, st);
    if (err != 0)
        return err;
    if (s->config.uid == SHARE_UID_XATTR && !op->on_helper &&
        mount_kind(op->share, st->stx_mnt_id) < MOUNT_LOCAL)
        return OP_ELSEWHERE;
    see(s, fd, name, st);
    return 0;
}

uint8_t listed_type(const struct op *op, int fd, const char *name, uint8_t type)
{
    struct statx st;
    bool may_differ = op->share->config.uid == SHARE_UID_XATTR && type == DT_REG;
    return may_differ && stat_for_guest(op, fd, name, &st) == 0 ? (uint8_t)IFTODT(st.stx_mode)
                                                                : type;
}

static uint32_t guest_dev(uint32_t major, uint32_t minor)
{
    return (minor & 0xff) | (major & 0xfff) << 8 | (minor & 0xfff00) << 12;
}

void attr_fill(const struct statx *st, struct fuse_attr *out)
{
    *out = (struct fuse_attr){
        .ino = st->stx_ino,
        .size = st->stx_size,
        .blocks = st->stx_blocks,
        .atime = (uint64_t)st->stx_atime.tv_sec,
        .mtime = (uint64_t)st->stx_mtime.tv_sec,
        .ctime = (uint64_t)st->stx_ctime.tv_sec,
        .atimensec = st->stx_atime.tv_nsec,
        .mtimensec = st->stx_mtime.tv_nsec,
        .ctimensec = st->stx_ctime.tv_nsec,
        .mode = st->stx_mode,
        .nlink = st->stx_nlink,
        .uid = st->stx_uid,
        .gid = st->stx_gid,
        .rdev = guest_dev(st->stx_rdev_major, st->stx_rdev_minor),
        .blksize = st->stx_blksize,
    };
}

/* ---- what the guest sets ---- */

/* A program with another user's rights is not for a guest to make on the host. */
static bool is_setid(mode_t mode, mode_t type)
{
    return type == S_IFREG && (mode & (S_ISUID | S_ISGID)) != 0;
}

static int set_mode(int fd, mode_t mode)
{
    char path[SHARE_PROC_PATH];
    fd_path(path, fd);
    return chmod(path, mode) < 0 ? -errno : 0;
}

/* Its user can read and write it, whatever the guest may. */
static mode_t host_mode(mode_t mode, bool is_dir)
{
    return (mode & 0777) | (is_dir ? 0700 : 0600);
}

static int begin_xattr(struct op *op, int fd, mode_t mode, dev_t rdev)
{
    struct owner o = {.uid = op->in.uid,
                      .gid = op->in.gid,
                      .mode = mode,
                      .major = major(rdev),
                      .minor = minor(rdev)};
    struct owner dir;
    int at = node_fd(op->share, op->node);
    if (at >= 0 && read_owner(at, "", S_IFDIR, &dir) && (dir.mode & S_ISGID) != 0) {
        o.gid = dir.gid;
        if (S_ISDIR(mode))
            o.mode |= S_ISGID;
    }
    int err = set_mode(fd, host_mode(mode, S_ISDIR(mode)));
    return err != 0 ? err : write_owner(fd, &o);
}

int owner_check(const struct op *op, mode_t mode)
{
    return op->share->config.uid != SHARE_UID_XATTR && is_setid(mode, mode & S_IFMT) ? -EPERM : 0;
}

int owner_begin(struct op *op, int fd, mode_t mode, dev_t rdev)
{
    struct share_dir *s = op->share;
    struct statx st;
    mode_t type = mode & S_IFMT;
    if (s->config.uid == SHARE_UID_XATTR)
        return type == S_IFLNK ? 0 : begin_xattr(op, fd, mode, rdev);
    if (s->uid == 0) { /* who else may give files away? */
        uid_t uid = uid_to_host(s, op->in.uid);
        if (uid != 0 && fchownat(fd, "", uid, (gid_t)-1, AT_EMPTY_PATH) < 0)
            return -errno;
        if (op->in.gid != 0) {
            struct statx dir;
            int at = node_fd(s, op->node);
            bool inherits = at >= 0 && stat_at(op, at, "", &dir) == 0 && (dir.stx_mode & S_ISGID);
            if (!inherits &&
                fchownat(fd, "", (uid_t)-1, gid_to_host(s, op->in.gid), AT_EMPTY_PATH) < 0)
                return -errno;
        }
    }
    /* The guest has its own umask; this process's has been applied, too. */
    if (type == S_IFLNK || (mode & s->umask & 0777) == 0)
        return 0;
    if (type == S_IFDIR && stat_at(op, fd, "", &st) == 0)
        mode |= st.stx_mode & S_ISGID; /* its directory's, which goes on */
    return set_mode(fd, mode & 07777);
}

static mode_t stripped(mode_t mode)
{
    return mode & ~(mode_t)(S_ISUID | ((mode & S_IXGRP) != 0 ? S_ISGID : 0));
}

bool owner_strips(const struct op *op, const struct node *n, bool setid)
{
    const struct share_dir *s = op->share;
    bool is_kept = s->config.uid == SHARE_UID_XATTR;
    if (n->type != S_IFREG)
        return false;
    return (setid && (is_kept || s->uid == 0)) ||
           (is_kept && s->config.xattr && !atomic_load(&n->no_capability));
}

int owner_strip(const struct op *op, struct node *n, int fd, bool setid)
{
    char path[SHARE_PROC_PATH];
    struct owner o = {0};
    struct stat st;
    if (!owner_strips(op, n, setid))
        return 0;
    fd_path(path, fd);
    if (op->share->config.xattr && !atomic_exchange(&n->no_capability, true))
        (void)removexattr(path, OTHERS_PREFIX CAPABILITY);
    if (!setid)
        return 0;
    if (op->share->config.uid == SHARE_UID_XATTR && read_owner(fd, "", S_IFREG, &o)) {
        mode_t before = o.mode;
        o.mode = stripped(before);
        return o.mode == before ? 0 : write_owner(fd, &o);
    }
    if (fstat(fd, &st) < 0)
        return -errno;
    return stripped(st.st_mode) == st.st_mode ? 0 : set_mode(fd, stripped(st.st_mode) & 07777);
}

static int change_xattr(int fd, const struct fuse_setattr_in *in)
{
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0)
        return -errno;
    mode_t type = st.stx_mode & S_IFMT;
    if (type != S_IFREG && type != S_IFDIR)
        return (in->valid & FATTR_MODE) != 0 ? set_mode(fd, in->mode & 0777) : 0;
    struct owner o = {.mode = st.stx_mode};
    (void)read_owner(fd, "", type, &o);
    if ((in->valid & FATTR_UID) != 0)
        o.uid = in->uid;
    if ((in->valid & FATTR_GID) != 0)
        o.gid = in->gid;
    if ((in->valid & (FATTR_UID | FATTR_GID)) != 0 && type == S_IFREG)
        o.mode = stripped(o.mode);
    if ((in->valid & FATTR_MODE) != 0) {
        o.mode = (o.mode & S_IFMT) | (in->mode & 07777);
        int err = set_mode(fd, host_mode(in->mode, type == S_IFDIR));
        if (err != 0)
            return err;
    }
    return write_owner(fd, &o);
}

int owner_change(struct op *op, int fd, const struct fuse_setattr_in *in)
{
    struct share_dir *s = op->share;
    bool setid = (in->valid & FATTR_KILL_SUIDGID) != 0;
    int err = (in->valid & (FATTR_SIZE | FATTR_UID | FATTR_GID)) != 0
                  ? owner_strip(op, op->node, fd, setid)
                  : 0;
    if (err != 0 || (in->valid & (FATTR_MODE | FATTR_UID | FATTR_GID)) == 0)
        return err;
    if (s->config.uid == SHARE_UID_XATTR)
        return change_xattr(fd, in);
    if ((in->valid & FATTR_MODE) != 0) {
        err = is_setid(in->mode, op->node->type) ? -EPERM : set_mode(fd, in->mode & 07777);
        if (err != 0)
            return err;
    }
    uid_t uid = (in->valid & FATTR_UID) != 0 ? uid_to_host(s, in->uid) : (uid_t)-1;
    gid_t gid = (in->valid & FATTR_GID) != 0 ? gid_to_host(s, in->gid) : (gid_t)-1;
    if ((in->valid & (FATTR_UID | FATTR_GID)) != 0 && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

/* ---- extended attributes: user.*, and with SHARE_UID_XATTR all others under a prefix ---- */

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

int xattr_to_host(const struct share_dir *s, const char *name, char *out)
{
    if (!s->config.xattr || strcmp(name, SHARE_OWNER_XATTR) == 0 || begins(name, OTHERS_PREFIX))
        return -EOPNOTSUPP;
    bool own = begins(name, "user."),
         others =
             s->config.uid == SHARE_UID_XATTR &&
             (begins(name, "security.") || begins(name, "system.") || begins(name, "trusted."));
    if (!own && !others)
        return -EOPNOTSUPP;
    int n = snprintf(out, XATTR_NAME_MAX + 1, "%s%s", own ? "" : OTHERS_PREFIX, name);
    return n > XATTR_NAME_MAX ? -ERANGE : 0;
}

const char *xattr_to_guest(const struct share_dir *s, const char *name)
{
    if (strcmp(name, SHARE_OWNER_XATTR) == 0 || !begins(name, "user."))
        return NULL;
    if (!begins(name, OTHERS_PREFIX))
        return name;
    return s->config.uid == SHARE_UID_XATTR ? name + strlen(OTHERS_PREFIX) : NULL;
}
