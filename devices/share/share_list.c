// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading a directory: what getdents64() gave beyond one answer waits in the handle's buffer for
 * the next message, which asks for just that. Few handles have a buffer at a time; others read
 * anew.
 */
#include "devices/share/share_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)(32 * KIB))
#define BUFFERS_MAX  64u

struct list_buffer {
    int64_t next; /* what the guest asks for if it goes on */
    size_t at, bytes;
    _Alignas(8) uint8_t data[BUFFER_BYTES];
};

struct linux_dirent {
    uint64_t ino;
    int64_t next;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

int op_opendir(struct op *op)
{
    struct share_dir *s = op->share;
    int fd = node_fd(s, op->node);
    if (fd >= 0)
        fd = open_again(s, fd, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    struct handle *h;
    int err = handle_open(s, op->node, fd, O_RDONLY, &h);
    if (err != 0)
        return err;
    struct fuse_open_out out = {.fh = h->id};
    if (s->config.cache == SHARE_CACHE_ALWAYS)
        out.open_flags = FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR;
    op_put(op, &out, sizeof(out));
    return OP_DONE;
}

void list_free(struct share_dir *s, struct handle *h)
{
    if (h->list == NULL)
        return;
    free(h->list);
    h->list = NULL;
    atomic_fetch_sub(&s->list_buffers, 1);
}

static bool list_begin(struct share_dir *s, struct handle *h)
{
    if (h->list != NULL)
        return true;
    if (atomic_fetch_add(&s->list_buffers, 1) < BUFFERS_MAX)
        h->list = malloc(sizeof(*h->list));
    if (h->list == NULL) {
        atomic_fetch_sub(&s->list_buffers, 1);
        return false;
    }
    h->list->at = h->list->bytes = 0;
    h->list->next = -1;
    return true;
}

/* The next entry; NULL: there is none, or *err says why not. */
static const struct linux_dirent *peek(struct list_buffer *l, int fd, int *err)
{
    if (l->at == l->bytes) {
        long n = syscall(SYS_getdents64, fd, l->data, sizeof(l->data));
        *err = n < 0 ? -errno : 0;
        l->at = 0;
        l->bytes = n > 0 ? (size_t)n : 0;
    }
    return l->at < l->bytes ? (const void *)(l->data + l->at) : NULL;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* With READDIRPLUS the guest gets to know each entry; nodeid 0: it has to ask. */
static void fill_plus(struct op *op, const struct linux_dirent *d, struct fuse_entry_out *out)
{
    struct statx st;
    struct node *n;
    if (is_dots(d->name) || strlen(d->name) > NAME_MAX || /* vfat's may have 765 bytes */
        entry_find(op, op->node, op->handle->fd, d->name, &st, &n) != 0)
        return;
    entry_fill(op, n, &st, out);
    node_put(op->share, n);
}

static bool put_entry(struct op *op, const struct linux_dirent *d, size_t room)
{
    bool plus = op->in.opcode == FUSE_READDIRPLUS;
    struct fuse_entry_out entry = {0};
    size_t name_bytes = strlen(d->name);
    size_t head = (plus ? sizeof(struct fuse_entry_out) : 0) + sizeof(struct fuse_dirent);
    size_t bytes = FUSE_DIRENT_ALIGN(head + name_bytes);
    if (op->out_bytes + bytes > room)
        return false;
    if (plus) {
        fill_plus(op, d, &entry);
        op_put(op, &entry, sizeof(entry));
    }
    const struct fuse_dirent out = {
        .ino = d->ino,
        .off = (uint64_t)d->next,
        .namelen = (uint32_t)name_bytes,
        .type = entry.nodeid != 0 ? (uint32_t)IFTODT(entry.attr.mode)
                                  : listed_type(op, op->handle->fd, d->name, d->type)};
    const uint64_t pad = 0;
    op_put(op, &out, sizeof(struct fuse_dirent));
    op_put(op, d->name, name_bytes);
    op_put(op, &pad, bytes - head - name_bytes);
    return true;
}

static int list(struct op *op, int64_t offset, size_t room)
{
    struct handle *h = op->handle;
    struct list_buffer *l = h->list, own;
    int err = 0;
    if (l == NULL) {
        own.next = -1;
        own.at = own.bytes = 0;
        l = &own;
    }
    if (offset != l->next) {
        if (lseek(h->fd, offset, SEEK_SET) < 0)
            return -errno;
        l->at = l->bytes = 0;
    }
    const struct linux_dirent *d;
    while ((d = peek(l, h->fd, &err)) != NULL && put_entry(op, d, room)) {
        l->at += d->bytes;
        offset = d->next;
    }
    l->next = offset;
    if (d == NULL && err == 0 && l != &own)
        list_free(op->share, h); /* the end */
    if (op->out_bytes > 0)
        return OP_DONE;
    return d != NULL ? -EINVAL : err; /* no room for one: it is not the end */
}

int op_readdir(struct op *op)
{
    const struct fuse_read_in *in = op->args;
    size_t room = min_u64(min_u64(in->size, op->room), SHARE_REPLY_MAX);
    int err = op_handle(op, in->fh);
    if (err == 0)
        err = op_reserve(op, room);
    if (err != 0)
        return err;
    pthread_mutex_lock(&op->handle->list_lock);
    (void)list_begin(op->share, op->handle);
    int r = list(op, (int64_t)in->offset, room);
    pthread_mutex_unlock(&op->handle->list_lock);
    return r;
}
