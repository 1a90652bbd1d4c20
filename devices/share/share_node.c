// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nodes have no descriptor until one is needed: a name that the guest only looks at costs a statx()
 * and no more. A descriptor that is needed is opened by the path from the nearest directory that
 * has one, checked against the node's key, kept while there is room, and closed when others need
 * it.
 */
#include "devices/share/share_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/descriptors.h"
#include "core/base/fail.h"

#define DEPTH_MAX 65536u
#define PARTS_MAX 64u /* of the way to a node, each as long as a path can be */

static const struct node_key no_key;

/* ---- numbers ---- */

uint64_t id_add(struct id_table *t, void *at)
{
    uint32_t index = t->free;
    if (index == 0) {
        if (t->count > t->max) /* with 0, which is no number */
            return 0;
        if (t->count == t->room) {
            uint32_t room = t->room == 0 ? 64 : t->room * 2;
            struct id_slot *slots = realloc(t->slots, room * sizeof(*slots));
            if (slots == NULL)
                return 0;
            memset(slots + t->room, 0, (room - t->room) * sizeof(*slots));
            t->slots = slots;
            t->room = room;
            if (t->count == 0)
                t->count = 1;
        }
        index = t->count++;
    } else {
        t->free = t->slots[index].next;
    }
    t->slots[index].at = at;
    return (uint64_t)t->slots[index].round << 32 | index;
}

void *id_find(const struct id_table *t, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    return index < t->count && t->slots[index].round == id >> 32 ? t->slots[index].at : NULL;
}

void id_remove(struct id_table *t, uint64_t id)
{
    struct id_slot *slot = &t->slots[(uint32_t)id];
    slot->at = NULL;
    slot->round++;
    slot->next = t->free;
    t->free = (uint32_t)id;
}

/* ---- mounts ---- */

enum mount_kind mount_kind(struct share_dir *s, uint64_t mount)
{
    enum mount_kind kind = MOUNT_UNKNOWN;
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->mount_count; i++)
        if (s->mounts[i].id == mount)
            kind = s->mounts[i].kind;
    pthread_mutex_unlock(&s->lock);
    return kind;
}

/* Those that need nothing but the kernel and its disks, by the numbers of statfs(2). */
static enum mount_kind kind_of(long type)
{
    static const uint32_t memory[] = {
        0x01021994, /* tmpfs */
        0x858458f6, /* ramfs */
    };
    static const uint32_t local[] = {
        0xef53,     /* ext2, ext3, ext4 */
        0x58465342, /* xfs */
        0x9123683e, /* btrfs */
        0x794c7630, /* overlay */
        0xf2f52010, /* f2fs */
        0xca451a4e, /* bcachefs */
        0x2fc12fc1, /* zfs */
        0x73717368, /* squashfs */
        0xe0f5e1e2, /* erofs */
        0x4d44,     /* vfat */
        0x2011bab0, /* exfat */
        0x9660,     /* iso9660 */
    };
    for (size_t i = 0; i < ARRAY_SIZE(memory); i++)
        if ((uint32_t)type == memory[i])
            return MOUNT_MEMORY;
    for (size_t i = 0; i < ARRAY_SIZE(local); i++)
        if ((uint32_t)type == local[i])
            return MOUNT_LOCAL;
    return MOUNT_WAITS;
}

void mount_learn(struct share_dir *s, uint64_t mount, int fd)
{
    struct statfs st;
    if (fstatfs(fd, &st) < 0)
        return;
    pthread_mutex_lock(&s->lock);
    bool known = s->mount_count == SHARE_MOUNTS;
    for (unsigned i = 0; i < s->mount_count; i++)
        known = known || s->mounts[i].id == mount;
    if (!known)
        s->mounts[s->mount_count++] = (struct mount){mount, kind_of(st.f_type)};
    pthread_mutex_unlock(&s->lock);
}

/* ---- keys ---- */

static struct node_key key_of(const struct statx *st)
{
    struct node_key key = no_key;
    key.ino = st->stx_ino;
    key.mount = st->stx_mnt_id;
    key.dev = makedev(st->stx_dev_major, st->stx_dev_minor);
    if ((st->stx_mask & STATX_BTIME) != 0)
        key.born_ns = st->stx_btime.tv_sec * INT64_C(1000000000) + st->stx_btime.tv_nsec;
    return key;
}

static bool key_is(const struct node_key *a, const struct node_key *b)
{
    return a->ino == b->ino && a->mount == b->mount && a->dev == b->dev && a->born_ns == b->born_ns;
}

bool node_is(const struct node *n, const struct statx *st)
{
    struct node_key key = key_of(st);
    return key_is(&n->key, &key) && n->type == (st->stx_mode & S_IFMT);
}

static uint64_t bucket_of(const struct share_dir *s, const struct node_key *key)
{
    uint64_t h = (key->ino ^ key->mount << 48 ^ key->dev << 32) * UINT64_C(0x9e3779b97f4a7c15);
    return h >> 32 & s->hash_mask;
}

static struct node *find(struct share_dir *s, const struct statx *st)
{
    struct node_key key = key_of(st);
    struct node *n;
    LIST_FOREACH(n, &s->hash[bucket_of(s, &key)], hash)
    if (key_is(&n->key, &key) && n->type == (st->stx_mode & S_IFMT))
        return n;
    return NULL;
}

/* ---- under the lock: descriptors and lives ---- */

static void idle_add(struct share_dir *s, struct node *n)
{
    if (n->fd >= 0 && n->pins == 0 && n != s->root)
        TAILQ_INSERT_TAIL(n->parent != NULL ? &s->idle : &s->lost, n, idle);
}

static void idle_remove(struct share_dir *s, struct node *n)
{
    if (n->fd >= 0 && n->pins == 0 && n != s->root)
        TAILQ_REMOVE(n->parent != NULL ? &s->idle : &s->lost, n, idle);
}

void node_pin(struct share_dir *s, struct node *n)
{
    idle_remove(s, n);
    n->pins++;
}

static void drop(struct share_dir *s, struct node *n);

static void set_place(struct share_dir *s, struct node *n, struct node *parent, char *name)
{
    struct node *before = n->parent;
    idle_remove(s, n);
    free(n->name);
    n->parent = parent;
    n->name = name;
    if (parent != NULL)
        parent->refs++;
    idle_add(s, n);
    if (before != NULL) {
        before->refs--;
        drop(s, before);
    }
}

/* Frees it, and then maybe its parents, if nothing needs it. */
static void drop(struct share_dir *s, struct node *n)
{
    while (n != NULL && n != s->root && n->lookups == 0 && n->refs == 0 && n->pins == 0) {
        struct node *parent = n->parent;
        idle_remove(s, n);
        if (n->fd >= 0) {
            close_file(s, n->fd, n->waits);
            s->fds--;
        }
        LIST_REMOVE(n, hash);
        id_remove(&s->nodes, n->id);
        free(n->name);
        free(n);
        if (parent != NULL)
            parent->refs--;
        n = parent;
    }
}

static void unpin(struct share_dir *s, struct node *n)
{
    n->pins--;
    idle_add(s, n);
    drop(s, n);
}

/* Takes the descriptor that was not needed for longest; -1: there are few enough. */
static int evict(struct share_dir *s, bool *waits)
{
    if (s->fds <= s->fds_max)
        return -1;
    struct node *n = TAILQ_FIRST(&s->idle);
    if (n == NULL)
        n = TAILQ_FIRST(&s->lost); /* of a file that has no name any more: the guest loses it */
    if (n == NULL)
        return -1;
    idle_remove(s, n);
    int fd = n->fd;
    n->fd = -1;
    s->fds--;
    *waits = n->waits;
    return fd;
}

static void evict_all(struct share_dir *s)
{
    for (;;) {
        bool waits = false;
        pthread_mutex_lock(&s->lock);
        int fd = evict(s, &waits);
        pthread_mutex_unlock(&s->lock);
        if (fd < 0)
            return;
        close_file(s, fd, waits);
    }
}

/* Of a pinned node. Takes the descriptor. */
static void set_fd(struct share_dir *s, struct node *n, int fd)
{
    if (n->fd >= 0) {
        close(fd);
        return;
    }
    n->fd = fd;
    s->fds++;
}

/* Would `n` be above itself? */
static bool is_above(const struct node *n, const struct node *parent)
{
    unsigned depth = 0;
    for (; parent != NULL; parent = parent->parent)
        if (parent == n || ++depth == DEPTH_MAX)
            return true;
    return false;
}

/* 0; or a negative errno, and the place is as it was. */
static int move(struct share_dir *s, struct node *n, struct node *parent, const char *name)
{
    if (n == s->root || (n->parent == parent && strcmp(n->name, name) == 0))
        return 0;
    if (n->type == S_IFDIR && is_above(n, parent))
        return -ESTALE;
    char *copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;
    set_place(s, n, parent, copy);
    return 0;
}

/* ---- descriptors ---- */

/* `same_mount`: what is mounted on the way since is not asked. */
static int open_path(int at, const char *path, bool same_mount)
{
    const struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                   (same_mount ? RESOLVE_NO_XDEV : 0),
    };
    long fd = syscall(SYS_openat2, at, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

/*
 * Under the lock: writes into `path` the end of the way to `n` that fits, and returns where that
 * begins: the node with a descriptor, or one whose descriptor is needed first.
 */
static struct node *way_to(struct node *n, char path[PATH_MAX], const char **from)
{
    size_t at = PATH_MAX - 1;
    unsigned depth = 0;
    bool crosses = false; /* into a mount: by one name */
    path[at] = '\0';
    for (; n->parent != NULL && (depth == 0 || (n->fd < 0 && !crosses)) && depth < DEPTH_MAX;
         n = n->parent, depth++) {
        size_t bytes = strlen(n->name) + (depth > 0);
        crosses = n->key.mount != n->parent->key.mount;
        if (bytes > at || (crosses && depth > 0))
            break;
        if (depth > 0)
            path[--at] = '/';
        at -= strlen(n->name);
        memcpy(path + at, n->name, strlen(n->name));
    }
    *from = path + at;
    return n;
}

static int check_path(struct node *n, int fd)
{
    struct statx st;
    int flags = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | (n->waits ? 0 : AT_STATX_DONT_SYNC);
    if (statx(fd, "", flags, SHARE_STATX, &st) < 0)
        return -errno;
    struct node_key key = key_of(&st);
    mode_t type = st.stx_mode & S_IFMT;
    bool same = type == n->type || (type == S_IFREG && n->type != S_IFDIR); /* see share_owner.c */
    return same && key_is(&n->key, &key) ? 0 : -ESTALE;
}

/* Of what the guest has open, also where it has no name any more; -ENOENT: it has not. */
static int fd_of_handle(struct share_dir *s, struct node *n)
{
    char name[16];
    pthread_mutex_lock(&s->lock);
    struct handle *h = LIST_FIRST(&n->handles);
    int fd = -ENOENT;
    if (h != NULL) {
        snprintf(name, sizeof(name), "%d", h->fd);
        fd = openat(s->proc_fd, name, O_PATH | O_CLOEXEC);
        if (fd >= 0)
            set_fd(s, n, fd);
        fd = fd < 0 ? -errno : n->fd;
    }
    pthread_mutex_unlock(&s->lock);
    return fd;
}

/*
 * Under the lock: the first part of the way to `n` for which no path is too long. It leads from
 * *base to *next, both of which are pinned.
 */
static int next_part(struct share_dir *s, struct node *n, char path[PATH_MAX], const char **from,
                     struct node **base, struct node **next)
{
    unsigned parts = 0;
    while ((*base = way_to(n, path, from)) != n && (*base)->fd < 0) {
        n = *base;
        if (++parts == PARTS_MAX)
            return -ENAMETOOLONG;
    }
    if (*base == n)
        return -ESTALE;
    node_pin(s, *base);
    node_pin(s, n);
    *next = n;
    return 0;
}

static int open_part(struct share_dir *s, struct node *base, struct node *n, const char *path)
{
    /* The descriptor stays while it is pinned. */
    int fd = open_path(base->fd, path, base->key.mount == n->key.mount);
    if (fd < 0)
        return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -EXDEV ? -ESTALE : fd;
    int err = descriptors_spare(fd) ? check_path(n, fd) : -ENFILE;
    if (err != 0) {
        close(fd);
        return err;
    }
    pthread_mutex_lock(&s->lock);
    set_fd(s, n, fd);
    fd = n->fd;
    pthread_mutex_unlock(&s->lock);
    return fd;
}

/* As node_fd(), of a node that has none: by as many paths as it takes. */
static int open_way(struct share_dir *s, struct node *n)
{
    char path[PATH_MAX];
    const char *from;
    struct node *base, *next = NULL;
    unsigned parts = 0; /* of a way that others may make longer meanwhile */
    int fd = fd_of_handle(s, n);
    if (fd != -ENOENT) {
        evict_all(s);
        return fd;
    }
    do {
        struct node *before = next; /* pinned, so that this part can begin there */
        pthread_mutex_lock(&s->lock);
        fd = next_part(s, n, path, &from, &base, &next);
        pthread_mutex_unlock(&s->lock);
        if (before != NULL)
            node_put(s, before);
        if (fd < 0)
            return fd;
        fd = open_part(s, base, next, from);
        node_put(s, base);
    } while (fd >= 0 && next != n && ++parts < PARTS_MAX);
    if (next != n && fd >= 0)
        fd = -ENAMETOOLONG;
    node_put(s, next);
    evict_all(s);
    return fd;
}

int node_fd(struct share_dir *s, struct node *n)
{
    pthread_mutex_lock(&s->lock);
    int fd = n->fd;
    pthread_mutex_unlock(&s->lock);
    return fd >= 0 ? fd : open_way(s, n);
}

struct node *node_place(struct share_dir *s, struct node *n, char *name)
{
    pthread_mutex_lock(&s->lock);
    struct node *parent = n->parent;
    if (parent != NULL) {
        node_pin(s, parent);
        memcpy(name, n->name, strlen(n->name) + 1);
    }
    pthread_mutex_unlock(&s->lock);
    return parent;
}

int node_stat(struct op *op, struct node *n, struct statx *st)
{
    struct share_dir *s = op->share;
    char name[NAME_MAX + 1];
    pthread_mutex_lock(&s->lock);
    bool is_open = n->fd >= 0 || !LIST_EMPTY(&n->handles);
    pthread_mutex_unlock(&s->lock);
    struct node *parent = is_open ? NULL : node_place(s, n, name);
    if (parent != NULL) {
        int fd = node_fd(s, parent);
        int err = fd < 0 ? fd : stat_for_guest(op, fd, name, st);
        node_put(s, parent);
        if (err == 0 && node_is(n, st))
            return 0;
    }
    int fd = node_fd(s, n);
    return fd < 0 ? fd : stat_for_guest(op, fd, "", st);
}

/* ---- for messages ---- */

struct node *node_get(struct share_dir *s, uint64_t id)
{
    pthread_mutex_lock(&s->lock);
    struct node *n = id == FUSE_ROOT_ID ? s->root : id_find(&s->nodes, id);
    if (n != NULL)
        node_pin(s, n);
    pthread_mutex_unlock(&s->lock);
    return n;
}

void node_put(struct share_dir *s, struct node *n)
{
    pthread_mutex_lock(&s->lock);
    unpin(s, n);
    pthread_mutex_unlock(&s->lock);
}

static struct node *add(struct share_dir *s, const struct statx *st, enum mount_kind kind)
{
    struct node *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return NULL;
    n->fd = -1;
    n->key = key_of(st);
    n->type = st->stx_mode & S_IFMT;
    n->waits = kind < MOUNT_LOCAL;
    n->in_memory = kind == MOUNT_MEMORY;
    n->id = id_add(&s->nodes, n);
    if (n->id == 0) {
        free(n);
        return NULL;
    }
    LIST_INSERT_HEAD(&s->hash[bucket_of(s, &n->key)], n, hash);
    return n;
}

int node_enter(struct share_dir *s, struct node *parent, const char *name, const struct statx *st,
               int fd, struct node **out)
{
    enum mount_kind kind = mount_kind(s, st->stx_mnt_id);
    if (parent != NULL && parent->waits)
        kind = MOUNT_WAITS; /* the way to it goes through what waits */
    int err = 0;
    pthread_mutex_lock(&s->lock);
    struct node *n = find(s, st);
    if (n == NULL)
        n = add(s, st, kind);
    if (n == NULL) {
        err = -ENFILE;
    } else {
        node_pin(s, n);
        if (parent != NULL)
            err = move(s, n, parent, name);
        if (fd >= 0)
            set_fd(s, n, fd);
        if (err == 0)
            n->lookups++;
        else
            unpin(s, n);
    }
    pthread_mutex_unlock(&s->lock);
    if (n == NULL && fd >= 0)
        close(fd);
    *out = n;
    return err;
}

void node_forget(struct share_dir *s, struct node *n, uint64_t lookups)
{
    pthread_mutex_lock(&s->lock);
    n->lookups -= min_u64(lookups, n->lookups);
    pthread_mutex_unlock(&s->lock);
}

void node_moved(struct share_dir *s, struct node *parent, const char *name, const struct statx *st)
{
    pthread_mutex_lock(&s->lock);
    struct node *n = find(s, st);
    if (n != NULL)
        (void)move(s, n, parent, name); /* it is found where it was, or not: ESTALE */
    pthread_mutex_unlock(&s->lock);
}

void node_keep(struct op *op, const struct node *dir, int at, const char *name)
{
    struct share_dir *s = op->share;
    struct statx st;
    if (stat_for_guest(op, at, name, &st) != 0 || st.stx_mnt_id != dir->key.mount)
        return; /* what is mounted does not go */
    pthread_mutex_lock(&s->lock);
    struct node *n = find(s, &st);
    if (n != NULL)
        node_pin(s, n);
    pthread_mutex_unlock(&s->lock);
    if (n == NULL)
        return;
    if (node_fd(s, n) >= 0) {
        pthread_mutex_lock(&s->lock);
        if (n != s->root)
            set_place(s, n, NULL, NULL);
        pthread_mutex_unlock(&s->lock);
    }
    node_put(s, n);
}

/* ---- life ---- */

int nodes_init(struct share_dir *s)
{
    struct statx st;
    uint64_t buckets = 1024;
    while (buckets < s->config.nodes_max / 4 && buckets < (UINT64_C(1) << 20))
        buckets *= 2;
    s->hash = calloc(buckets, sizeof(*s->hash)); /* untouched pages cost nothing */
    if (s->hash == NULL)
        return -ENOMEM;
    s->hash_mask = buckets - 1;
    s->nodes.max = (uint32_t)min_u64(s->config.nodes_max, UINT32_C(1) << 28);
    TAILQ_INIT(&s->idle);
    TAILQ_INIT(&s->lost);
    int fd = open(s->config.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (statx(fd, "", AT_EMPTY_PATH, SHARE_STATX, &st) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    mount_learn(s, st.stx_mnt_id, fd);
    s->root = add(s, &st, mount_kind(s, st.stx_mnt_id));
    if (s->root == NULL) {
        close(fd);
        return -ENOMEM;
    }
    s->root->fd = fd;
    return 0;
}

void nodes_reset(struct share_dir *s)
{
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 1; i < s->nodes.count; i++) {
        struct node *n = s->nodes.slots[i].at;
        if (n == NULL)
            continue;
        n->lookups = 0;
        drop(s, n);
    }
    pthread_mutex_unlock(&s->lock);
}

void nodes_fini(struct share_dir *s)
{
    if (s->root != NULL) {
        nodes_reset(s);
        close(s->root->fd);
        free(s->root);
    }
    free(s->nodes.slots);
    free(s->hash);
}
