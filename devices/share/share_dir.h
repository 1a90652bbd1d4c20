// SPDX-License-Identifier: BSD-2-Clause
/*
 * A directory of the host for the guest: a FUSE server (Linux's <linux/fuse.h>, version 7.38)
 * behind the share port, with the rights of Minivet's user and no others.
 *
 * A message about a file system that is known to answer by itself (ext4, tmpfs, ...) is served on
 * the loop that it came on; what may wait for another process (a FUSE or network file system, a
 * lease) and what takes long (fsync, copies) runs on the loop's helper threads. Data goes between
 * files and guest memory without a copy.
 *
 * The guest reaches what is below the directory: each step from a directory to an entry is one name
 * without a slash, no symbolic link is followed, and a file is opened only after it is known to be
 * a regular file or a directory.
 */
#ifndef MINIVET_DEVICES_SHARE_DIR_H
#define MINIVET_DEVICES_SHARE_DIR_H

#include <stdbool.h>
#include <stdint.h>

struct share;

/* Which users files have in the guest. */
enum share_uid {
    SHARE_UID_MAP,   /* Minivet's user is root there, and root is that user */
    SHARE_UID_NONE,  /* the host's */
    SHARE_UID_XATTR, /* owner and mode as the guest sets them, in the attribute SHARE_OWNER_XATTR */
};

/* What the guest may keep, and how long without asking again. */
enum share_cache {
    SHARE_CACHE_AUTO,   /* names and attributes for a second; data until a file's time changes */
    SHARE_CACHE_ALWAYS, /* all of it: only the guest changes the directory */
    SHARE_CACHE_NEVER,  /* nothing */
};

/* "UID:GID:MODE[:TYPE]", as containers' tools write it. */
#define SHARE_OWNER_XATTR "user.containers.override_stat"

struct share_dir_config {
    const char *path;
    bool read_only;
    enum share_uid uid;
    enum share_cache cache;
    bool writeback; /* the guest may keep what was written for a while */
    bool xattr;     /* attributes user.* (with SHARE_UID_XATTR all of them) */
    bool locks;     /* fcntl() and flock() hold against processes of the host */
    bool flat; /* mounts in it are not the guest's to see: an overlay does not go through them */
    unsigned descriptors_max;
    uint64_t nodes_max; /* files that the guest may know at a time */
};

/* Errors are reported. */
int share_dir_create(struct share **out, const struct share_dir_config *config);

#endif
