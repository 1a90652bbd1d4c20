// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/share_model.h"

#include <errno.h>
#include <linux/fs.h>
#include <stddef.h>
#include <string.h>

const char *const model_names[MODEL_NAMES] = {"a", "b", "c", "d", "e with \xff", "...."};

void model_init(struct model *m, uint32_t uid, uint32_t gid)
{
    for (unsigned i = 0; i < MODEL_FILES; i++)
        m->files[i].mode = 0;
    struct model_file *root = model_add(m, S_IFDIR | 0755, uid, gid);
    root->parent = root;
    root->links = 1;
    root->id = 1;
    root->lookups = 1;
}

struct model_file *model_add(struct model *m, mode_t mode, uint32_t uid, uint32_t gid)
{
    for (unsigned i = 0; i < MODEL_FILES; i++) {
        struct model_file *f = &m->files[i];
        if (f->mode != 0)
            continue;
        memset(f, 0, offsetof(struct model_file, data));
        memset(f->target, 0, sizeof(*f) - offsetof(struct model_file, target));
        memset(f->xattr_bytes, -1, sizeof(f->xattr_bytes));
        f->mode = mode;
        f->uid = uid;
        f->gid = gid;
        return f;
    }
    return NULL;
}

void model_drop(struct model_file *f)
{
    if (f->links == 0 && f->lookups == 0 && f->handles == 0)
        f->mode = 0;
}

bool model_is_empty(const struct model_file *dir)
{
    for (unsigned i = 0; i < MODEL_NAMES; i++)
        if (dir->entries[i] != NULL)
            return false;
    return true;
}

bool model_is_dead(const struct model *m, const struct model_file *dir)
{
    return dir != &m->files[0] && dir->links == 0;
}

void model_enter(struct model_file *dir, unsigned name, struct model_file *f)
{
    dir->entries[name] = f;
    f->links++;
    if (S_ISDIR(f->mode))
        f->parent = dir;
}

void model_leave(struct model_file *dir, unsigned name)
{
    struct model_file *f = dir->entries[name];
    dir->entries[name] = NULL;
    f->links--;
    f->moved_off = true;
    model_drop(f);
}

bool model_is_above(const struct model_file *f, const struct model_file *dir)
{
    for (; dir != f; dir = dir->parent)
        if (dir->parent == dir || dir->parent == NULL)
            return false;
    return true;
}

void model_error(struct model_errors *e, bool is, int error)
{
    if (is && e->count < MODEL_ERRORS)
        e->of[e->count++] = error;
}

bool model_has_error(const struct model_errors *e, int error)
{
    for (unsigned i = 0; i < e->count; i++)
        if (e->of[i] == error)
            return true;
    return e->count == 0 && error == 0;
}

struct model_errors model_rename_errors(const struct model *m, const struct model_file *from,
                                        unsigned name, const struct model_file *to,
                                        unsigned new_name, unsigned flags)
{
    struct model_errors e = {0};
    const struct model_file *f = from->entries[name], *old = to->entries[new_name];
    bool exchange = (flags & RENAME_EXCHANGE) != 0;
    model_error(&e, (flags & ~7u) != 0 || flags == 3, EINVAL);
    model_error(&e, f == NULL || (exchange && old == NULL), ENOENT);
    model_error(&e, model_is_dead(m, to) || model_is_dead(m, from), ENOENT);
    model_error(&e, (flags & RENAME_NOREPLACE) != 0 && old != NULL, EEXIST);
    if (f == NULL)
        return e;
    model_error(&e, S_ISDIR(f->mode) && model_is_above(f, to), EINVAL);
    if (old == NULL || f == old)
        return e;
    if (S_ISDIR(old->mode) && model_is_above(old, from))
        model_error(&e, true, exchange ? EINVAL : ENOTEMPTY);
    if (exchange)
        return e;
    model_error(&e, S_ISDIR(f->mode) && !S_ISDIR(old->mode), ENOTDIR);
    model_error(&e, !S_ISDIR(f->mode) && S_ISDIR(old->mode), EISDIR);
    model_error(&e, S_ISDIR(old->mode) && !model_is_empty(old), ENOTEMPTY);
    return e;
}

void model_rename(struct model_file *from, unsigned name, struct model_file *to, unsigned new_name,
                  bool exchange)
{
    struct model_file *f = from->entries[name], *old = to->entries[new_name];
    if (f == old)
        return;
    if (old != NULL && !exchange)
        model_leave(to, new_name);
    from->entries[name] = exchange ? old : NULL;
    to->entries[new_name] = f;
    if (S_ISDIR(f->mode))
        f->parent = to;
    if (exchange && S_ISDIR(old->mode))
        old->parent = from;
}

void model_resize(struct model_file *f, uint32_t size)
{
    if (size > f->size)
        memset(f->data + f->size, 0, size - f->size);
    f->size = size;
}
