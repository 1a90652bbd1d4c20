// SPDX-License-Identifier: BSD-2-Clause
/* A directory of the host in the guest: what serves it, and the device; or a server that does all.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/descriptors.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/cancel.h"
#include "core/output/facts.h"
#include "core/ports/share.h"
#include "devices/share/share_dir.h"
#include "virtio/fs/fs.h"
#include "virtio/fs/vhost_user_fs.h"
#include "vmm/config/config.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

#define NODES_MIN          UINT64_C(65536)
#define GUEST_BYTES_A_NODE 1024u /* what Linux keeps of a file takes about as much */

_Static_assert((int)SHARE_IDS_HOST == SHARE_UID_NONE && (int)SHARE_IDS_MAP == SHARE_UID_MAP &&
                   (int)SHARE_IDS_XATTR == SHARE_UID_XATTR &&
                   (int)SHARE_CACHES_AUTO == SHARE_CACHE_AUTO &&
                   (int)SHARE_CACHES_ALWAYS == SHARE_CACHE_ALWAYS &&
                   (int)SHARE_CACHES_NEVER == SHARE_CACHE_NEVER,
               "the same words");

struct shared {
    struct share *share;
    struct virtio_fs *fs;
    struct vhost_user_device *vhost_user;
};

static unsigned share_count(const struct vm_config *vm)
{
    return vm->share_count;
}

static int create_vhost_user(struct device_slot *s, const struct share_config *c)
{
    struct shared *own = s->own;
    struct vhost_user_setup config = {
        .setup = device_slot_setup(s, c->tag),
        .socket_path = c->path,
        .groups = c->queues,
        .cancel_fd = cancel_fd(s->cfg->cancel),
    };
    int r = vhost_user_fs_create(&own->vhost_user, &config, c->tag);
    if (r == 0)
        s->dev = &own->vhost_user->dev;
    return r;
}

static int create_fs(struct device_slot *s, const struct share_config *c,
                     struct evloop *const *queue_loops)
{
    struct shared *own = s->own;
    struct share_dir_config dir = {
        .path = c->path,
        .read_only = c->read_only,
        .uid = (enum share_uid)c->uid,
        .cache = (enum share_cache)c->cache,
        .writeback = c->writeback,
        .xattr = c->xattr,
        .locks = c->locks,
        .flat = c->flat,
        .descriptors_max = descriptors_allow() / s->cfg->vm->share_count,
        .nodes_max = max_u64(s->cfg->vm->mem_bytes / GUEST_BYTES_A_NODE, NODES_MIN),
    };
    int r = share_dir_create(&own->share, &dir);
    if (r < 0)
        return r;
    struct virtio_setup setup = device_slot_setup(s, c->tag);
    r = virtio_fs_create(
        &own->fs, &setup,
        &(struct virtio_fs_config){
            .tag = c->tag, .share = own->share, .queue_loops = queue_loops, .queues = c->queues});
    if (r == 0)
        s->dev = virtio_fs_device(own->fs);
    return r;
}

static int share_create(struct device_slot *s, unsigned index)
{
    const struct share_config *c = &s->cfg->vm->shares[index];
    struct shared *own = s->own = calloc(1, sizeof(*own));
    struct evloop *queue_loops[VIRTIO_QUEUES_MAX];
    if (own == NULL)
        return fail(-ENOMEM, "share %s", c->path);
    int loops = device_slot_loops(s, &c->virtio, queue_loops, VIRTIO_FS_REQUESTS + c->queues);
    if (loops < 0)
        return loops;
    return c->kind == SHARE_VHOST_USER ? create_vhost_user(s, c)
                                       : create_fs(s, c, loops > 1 ? queue_loops : NULL);
}

static void share_destroy(void *own)
{
    struct shared *shared = own;
    virtio_fs_destroy(shared->fs);
    vhost_user_device_destroy(shared->vhost_user);
    if (shared->share != NULL)
        shared->share->ops->destroy(shared->share);
    free(shared);
}

static void share_describe(const struct device_slot *s, struct facts *f)
{
    const struct share_config *c = &s->cfg->vm->shares[s->index];
    const struct shared *own = s->own;
    facts_word(f, "kind", own->share != NULL ? "directory" : "vhost-user");
    if (own->share != NULL)
        own->share->ops->describe(own->share, f);
    else
        facts_word(f, "socket", c->path);
}

const struct device_kind share_kind = {
    .count = share_count,
    .create = share_create,
    .destroy = share_destroy,
    .describe = share_describe,
};
