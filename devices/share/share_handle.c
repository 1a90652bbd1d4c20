// SPDX-License-Identifier: BSD-2-Clause
#include "devices/share/share_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/descriptors.h"

int handle_open(struct share_dir *s, struct node *n, int fd, int flags, struct handle **out)
{
    struct handle *h = descriptors_spare(fd) ? calloc(1, sizeof(*h)) : NULL;
    if (h != NULL) {
        h->fd = fd;
        h->writable = (flags & O_ACCMODE) != O_RDONLY;
        h->syncs = (flags & O_DSYNC) != 0;
        h->node = n;
        h->pins = 1;
        pthread_mutex_init(&h->list_lock, NULL);
        pthread_mutex_lock(&s->lock);
        h->id = id_add(&s->handles, h);
        if (h->id != 0) {
            n->refs++;
            LIST_INSERT_HEAD(&n->handles, h, of_node);
        }
        pthread_mutex_unlock(&s->lock);
    }
    if (h == NULL || h->id == 0) {
        close(fd);
        free(h);
        return -ENFILE;
    }
    *out = h;
    return 0;
}

struct handle *handle_get(struct share_dir *s, uint64_t id)
{
    pthread_mutex_lock(&s->lock);
    struct handle *h = id_find(&s->handles, id);
    if (h != NULL)
        h->pins++;
    pthread_mutex_unlock(&s->lock);
    return h;
}

static void handle_free(struct share_dir *s, struct handle *h)
{
    close_file(s, h->fd, h->node->waits); /* without the lock */
    list_free(s, h);
    pthread_mutex_destroy(&h->list_lock);
    free(h);
}

/* Under the lock: the last pin of it? Then its node does not know it any more, but is pinned. */
static bool unpin(struct share_dir *s, struct handle *h)
{
    if (--h->pins > 0)
        return false;
    LIST_REMOVE(h, of_node);
    node_pin(s, h->node);
    h->node->refs--;
    return true;
}

void handle_put(struct share_dir *s, struct handle *h)
{
    struct node *node = h->node;
    pthread_mutex_lock(&s->lock);
    bool last = unpin(s, h);
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    handle_free(s, h);
    node_put(s, node);
}

void handle_release(struct share_dir *s, uint64_t id)
{
    pthread_mutex_lock(&s->lock);
    struct handle *h = id_find(&s->handles, id);
    if (h != NULL)
        id_remove(&s->handles, id);
    pthread_mutex_unlock(&s->lock);
    if (h != NULL)
        handle_put(s, h);
}

void handles_reset(struct share_dir *s)
{
    bool more = true;
    for (uint32_t i = 1; more; i++) {
        pthread_mutex_lock(&s->lock);
        more = i < s->handles.count;
        struct handle *h = more ? s->handles.slots[i].at : NULL;
        uint64_t id = h != NULL ? h->id : 0;
        pthread_mutex_unlock(&s->lock);
        if (id != 0)
            handle_release(s, id);
    }
}

int op_handle(struct op *op, uint64_t id)
{
    if (op->handle == NULL) /* it may be here again, on a helper */
        op->handle = handle_get(op->share, id);
    return op->handle == NULL || op->handle->node != op->node ? -EBADF : 0;
}
