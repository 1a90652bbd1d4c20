// SPDX-License-Identifier: BSD-2-Clause
/*
 * The share's insides:
 *
 *     share_dir.c     a message from submit() to done(); INIT
 *     share_node.c    what the guest knows: files by inode, and where they were seen
 *     share_handle.c  what the guest has open
 *     share_close.c   closing what may take long
 *     share_owner.c   attributes, and whose a file is
 *     share_names.c   messages about entries of a directory
 *     share_attrs.c   messages about attributes
 *     share_files.c   messages about open files
 *     share_list.c    reading directories
 *     share_locks.c   locks
 *
 * `lock` guards the tables of nodes and handles, and is not held across a system call that may take
 * long. What is pinned stays while it is in use without the lock.
 */
#ifndef MINIVET_DEVICES_SHARE_IMPL_H
#define MINIVET_DEVICES_SHARE_IMPL_H

#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/share.h"
#include "devices/share/share_dir.h"

#define SHARE_IO_MAX    ((uint32_t)MIB)       /* bytes of a READ or WRITE */
#define SHARE_ARGS_MAX  ((size_t)(128 * KIB)) /* of another message */
#define SHARE_REPLY_MAX ((size_t)(64 * KIB))
#define SHARE_MOUNTS    64u
/* A regular file with more than that is not freed on the loop, which that would hold up. */
#define SHARE_LARGE_BLOCKS 32768 /* of 512 bytes */

/* ---- nodes ---- */

/* What tells a file from others; `born` tells an inode number's next file, where there is one. */
struct node_key {
    uint64_t ino, mount;
    int64_t born_ns;
    dev_t dev;
};

/* Under the lock, but for what never changes. */
struct node {
    uint64_t id; /* never changes; nor do key and type */
    struct node_key key;
    mode_t type;                /* S_IFMT */
    bool waits;                 /* its file system may wait for another process, or... */
    bool in_memory;             /* ... never waits */
    _Atomic bool no_capability; /* it has no attribute security.capability */
    unsigned pins;              /* messages at work on it */
    unsigned refs;              /* children and handles */
    uint64_t lookups;           /* what the guest has to forget */
    int fd;                     /* O_PATH; or -1 */
    struct node *parent;        /* where it was seen last; NULL: the root, or nowhere any more */
    char *name;
    LIST_HEAD(, handle) handles;
    LIST_ENTRY(node) hash;
    TAILQ_ENTRY(node) idle; /* unpinned, with a descriptor */
};

/* ---- handles ---- */

struct list_buffer;

struct handle {
    uint64_t id;
    int fd;
    bool writable;
    bool syncs;                 /* a write ends when it is on the disk */
    _Atomic bool has_no_nowait; /* the file system cannot read without waiting */
    unsigned pins;              /* messages at work on it, and 1 while the guest has it */
    struct node *node;
    LIST_ENTRY(handle) of_node;
    pthread_mutex_t list_lock; /* a directory's */
    struct list_buffer *list;
};

/* Slots that are found by a number of which the upper half changes each time. */
struct id_table {
    struct id_slot {
        void *at;      /* NULL: free */
        uint32_t next; /* the next free one */
        uint32_t round;
    } * slots;
    uint32_t count, room, free, max;
};

/* A file system may wait for another process, or for its disk, or it is all in memory. */
enum mount_kind { MOUNT_UNKNOWN, MOUNT_WAITS, MOUNT_LOCAL, MOUNT_MEMORY };

struct mount {
    uint64_t id;
    enum mount_kind kind;
};

struct share_dir {
    struct share share;
    struct share_dir_config config;
    uid_t uid;
    gid_t gid;
    mode_t umask;
    int proc_fd; /* /proc/self/fd */

    atomic_uint users;      /* who made it, each message at work, each thread that closes */
    _Atomic bool started;   /* INIT has come */
    _Atomic bool submounts; /* negotiated */
    atomic_uint list_buffers;

    pthread_mutex_t close_lock; /* these three; may be taken under the lock */
    int *closing;               /* of descriptors_max */
    unsigned closing_count, closers;

    pthread_mutex_t lock; /* all below */
    struct id_table nodes, handles;
    LIST_HEAD(, node) * hash;
    uint64_t hash_mask;
    struct node *root;
    TAILQ_HEAD(nodes_idle, node) idle, lost; /* lost: of no place, so they cannot be opened again */
    unsigned fds, fds_max;
    LIST_HEAD(, lock_owner) lock_owners;
    unsigned lock_owner_count;
    LIST_HEAD(, op) waiting; /* for locks */
    struct mount mounts[SHARE_MOUNTS];
    unsigned mount_count;
};

/* ---- a message at work ---- */

enum {
    OP_DONE = 0,      /* answered by what is in `out` */
    OP_PENDING = 1,   /* op_finish() comes */
    OP_ELSEWHERE = 2, /* once more, on a helper; from there: on the loop */
    OP_SILENT = 3,    /* has no answer */
};

struct op;

struct op_kind {
    int (*run)(struct op *op); /* one of the above, or a negative errno */
    unsigned arg_bytes;        /* at least, before names */
    unsigned names;            /* strings after that */
    unsigned flags;
};

enum {
    OP_CHANGES = 1, /* not of a share that is read-only */
    OP_LONG = 2,    /* always on a helper */
    OP_NO_NODE = 4, /* nodeid means nothing */
    OP_DATA = 8,    /* the rest of the message is data, which stays where it is */
    OP_DIR = 16,    /* of a directory */
};

#define OP_NAMES_MAX 2

struct op {
    struct share_dir *share;
    struct share_req *req; /* on its loop; NULL: abandoned */
    struct evloop *loop;
    const struct op_kind *kind;
    struct fuse_in_header in;
    struct node *node;     /* pinned */
    struct handle *handle; /* pinned, or NULL */
    bool on_helper;
    void *args; /* of arg_bytes, and zeroes behind */
    size_t arg_bytes;
    const char *names[OP_NAMES_MAX]; /* each has 1 to 255 bytes, no slash, and is not . or .. */
    size_t names_end;                /* where in args they end */
    size_t room;                     /* for the answer, behind its header */
    uint8_t *out;
    size_t out_bytes;
    int result;
    struct ev_work work;
    /* READ and WRITE */
    struct ev_io io;
    struct iobuf data;
    uint64_t offset, left;
    uint32_t total; /* bytes moved */
    bool is_stripped;
    size_t moved_in; /* of them a READ's, which are in the answer already */
    bool *gone;      /* set when it is freed after it was abandoned; may be NULL */
    struct iovec iov[4];
    /* SETLKW */
    struct ev_timer again;
    uint64_t again_ns;
    bool is_waiting;
    _Atomic bool is_interrupted;
    LIST_ENTRY(op) waiting;
    uint8_t args_space[400];
    uint8_t out_space[176];
};

/* share_dir.c. Adds to the answer; op_room() makes a buffer for what may be longer than out_space.
 */
void op_put(struct op *op, const void *src, size_t bytes);
int op_reserve(struct op *op, size_t bytes);
void op_finish(struct op *op, int result);
void share_put(struct share_dir *s); /* a user less */
/* A string of the message behind the arguments: its bytes are checked by the caller. */
const char *op_text(const struct op *op, size_t at, size_t *bytes);

/* share_node.c. Each may be called by any thread, without the lock. */
int nodes_init(struct share_dir *s);
void nodes_fini(struct share_dir *s);
void nodes_reset(struct share_dir *s); /* no message is at work but those that were abandoned */
/* Pins it; NULL: there is none. */
struct node *node_get(struct share_dir *s, uint64_t id);
void node_put(struct share_dir *s, struct node *n);
void node_pin(struct share_dir *s, struct node *n); /* under the lock */
/* An O_PATH descriptor, for as long as the node is pinned; or a negative errno. */
int node_fd(struct share_dir *s, struct node *n);
/*
 * The guest gets to know a file, by what statx() said of `name` in `parent`: a lookup more. Pinned.
 * `parent` NULL: it has no name, and `fd` is of it.
 */
int node_enter(struct share_dir *s, struct node *parent, const char *name, const struct statx *st,
               int fd, struct node **out);
void node_forget(struct share_dir *s, struct node *n, uint64_t lookups);
/* The entry is the file's now, if the guest knows that. */
void node_moved(struct share_dir *s, struct node *parent, const char *name, const struct statx *st);
/*
 * The entry is about to go: what the guest knows of the file stays, for it may be in use there
 * without an open file here (O_PATH, a FIFO or socket, a working directory).
 */
void node_keep(struct op *op, const struct node *dir, int at, const char *name);
bool node_is(const struct node *n, const struct statx *st);
/* statx() of a node with the share's mask, as the host has it. */
int node_stat(struct op *op, struct node *n, struct statx *st);
/* Pins its parent, and copies its name into `name` of NAME_MAX + 1 bytes; NULL: no place. */
struct node *node_place(struct share_dir *s, struct node *n, char *name);
enum mount_kind mount_kind(struct share_dir *s, uint64_t mount);
/* On a thread that may wait, with a descriptor on it. */
void mount_learn(struct share_dir *s, uint64_t mount, int fd);

/* share_handle.c */
/* Takes the descriptor, which was opened with those flags. */
int handle_open(struct share_dir *s, struct node *n, int fd, int flags, struct handle **out);
struct handle *handle_get(struct share_dir *s, uint64_t id);
void handle_put(struct share_dir *s, struct handle *h);
void handle_release(struct share_dir *s, uint64_t id); /* the guest's pin */
void handles_reset(struct share_dir *s);
/* op->handle: the one that the message names, of its node. */
int op_handle(struct op *op, uint64_t id);

uint64_t id_add(struct id_table *t, void *at); /* 0: full, or no memory */
void *id_find(const struct id_table *t, uint64_t id);
void id_remove(struct id_table *t, uint64_t id);

/* share_close.c. On a thread of its own where that may take long. */
void close_file(struct share_dir *s, int fd, bool waits);

/* share_owner.c */
#define SHARE_STATX (STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID)
/* statx() of an entry, or of the descriptor itself (name ""): as the host has it. */
int stat_at(const struct op *op, int fd, const char *name, struct statx *st);
/* On the loop: does freeing the file take long? Also of an entry, or of the descriptor itself. */
bool is_large(const struct op *op, int fd, const char *name);
/* What the guest sees of it; OP_ELSEWHERE: its file system may wait. */
int stat_for_guest(const struct op *op, int fd, const char *name, struct statx *st);
/* The type (DT_...) that a list of entries says, for the guest. */
uint8_t listed_type(const struct op *op, int fd, const char *name, uint8_t type);
void attr_fill(const struct statx *st, struct fuse_attr *out);
uid_t uid_to_host(const struct share_dir *s, uid_t uid);
gid_t gid_to_host(const struct share_dir *s, gid_t gid);
/* A new file: mode and owner as the message says. `mode` with its type. */
int owner_begin(struct op *op, int fd, mode_t mode, dev_t rdev);
/* SETATTR's mode, uid and gid, as far as valid (FATTR_...) has them. */
int owner_change(struct op *op, int fd, const struct fuse_setattr_in *in);
/*
 * A write or a change of the size or the owner takes a regular file's rights to be more than its
 * user: capabilities, and `setid` bits where the guest says so (FUSE_HANDLE_KILLPRIV_V2). Is that
 * for Minivet to do, which the host's kernel does not?
 */
bool owner_strips(const struct op *op, const struct node *n, bool setid);
int owner_strip(const struct op *op, struct node *n, int fd, bool setid);
/* How the host names an attribute, in `out` of XATTR_NAME_MAX + 1 bytes; 0 or a negative errno. */
int xattr_to_host(const struct share_dir *s, const char *name, char *out);
/* How the guest does: NULL: not at all. */
const char *xattr_to_guest(const struct share_dir *s, const char *name);
#define SHARE_PROC_PATH 32
/* /proc/self/fd/N, which names what the descriptor is of. */
void fd_path(char out[SHARE_PROC_PATH], int fd);

/* Is one of that type a file of no bytes, of which the attribute tells what it is? */
bool is_emulated(const struct share_dir *s, mode_t mode);
/* May a file be given that mode? */
int owner_check(const struct op *op, mode_t mode);

/* share_names.c. What statx() says of an entry, whose node is pinned in *out with a lookup more. */
int entry_find(struct op *op, struct node *parent, int at, const char *name, struct statx *st,
               struct node **out);
void entry_fill(struct op *op, const struct node *n, const struct statx *st,
                struct fuse_entry_out *out);
/* How long the guest may keep what it was told. */
uint64_t seconds_to_keep(const struct share_dir *s);

/* share_files.c. A handle with the answer's open_flags, of a node that is pinned. */
int open_node(struct op *op, struct node *n, uint32_t flags, bool kills_setid,
              struct fuse_open_out *out);
/* What the descriptor is of, once more; `mode` of a file that O_TMPFILE makes. */
int open_again(const struct share_dir *s, int fd, int flags, mode_t mode);
int flags_to_host(const struct share_dir *s, uint32_t flags);
uint32_t open_reply_flags(const struct share_dir *s);

/* share_locks.c */
void locks_reset(struct share_dir *s);
/* The guest's open file ends, and so do the locks that came by it: no FLUSH tells of F_OFD_SETLK.
 */
void locks_release(struct share_dir *s, uint64_t handle);
void locks_abandon(struct op *op); /* it waits for a lock */
int op_getlk(struct op *op);
int op_setlk(struct op *op);
int op_setlkw(struct op *op);
int op_interrupt(struct op *op);
int op_flush(struct op *op);

/* share_list.c */
void list_free(struct share_dir *s, struct handle *h);

/* The messages: what each does is in <linux/fuse.h>. */
int op_lookup(struct op *op);
int op_forget(struct op *op);
int op_batch_forget(struct op *op);
int op_readlink(struct op *op);
int op_symlink(struct op *op);
int op_mknod(struct op *op);
int op_mkdir(struct op *op);
int op_unlink(struct op *op);
int op_rmdir(struct op *op);
int op_rename(struct op *op);
int op_link(struct op *op);
int op_create(struct op *op);
int op_tmpfile(struct op *op);

int op_getattr(struct op *op);
int op_setattr(struct op *op);
int op_statfs(struct op *op);
int op_syncfs(struct op *op);
int op_setxattr(struct op *op);
int op_getxattr(struct op *op);
int op_listxattr(struct op *op);
int op_removexattr(struct op *op);

int op_open(struct op *op);
int op_read(struct op *op);
int op_write(struct op *op);
int op_release(struct op *op);
int op_fsync(struct op *op);
int op_fallocate(struct op *op);
int op_lseek(struct op *op);
int op_copy_file_range(struct op *op);

int op_opendir(struct op *op);
int op_readdir(struct op *op);

#endif
