// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/fs/fs.h"

#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/lazy.h"
#include "core/output/facts.h"
#include "core/ports/share.h"
#include "core/state/state.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"

/* What the guest is shown before the end of a turn: that many answers, or bytes. */
#define UNSEEN_MAX   4u
#define UNSEEN_BYTES (16 * KIB)

struct fs_queue;

/* One for each chain that can be in flight, at the chain's slot. */
struct fs_request {
    struct fs_queue *queue;
    struct vq_chain *chain;
    LIST_ENTRY(fs_request) out;
    _Alignas(max_align_t) struct share_req req; /* the server's bytes follow */
};

/* On its loop. */
struct fs_queue {
    struct virtio_fs *fs;
    unsigned index;
    unsigned slots;
    unsigned unseen;   /* answers since the guest was shown some; long ones count for several */
    uint8_t *requests; /* one for each slot */
    LIST_HEAD(, fs_request) out;
};

struct virtio_fs {
    struct virtio_device dev;
    struct share *share;
    size_t request_bytes; /* with what is the server's */
    struct fs_queue *queues;
    uint8_t config[VIRTIO_FS_CONFIG_BYTES];
};

static struct virtio_fs *fs_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_fs, dev);
}

/* ---- the queues come and go ---- */

static int fs_queue_start(struct virtio_device *dev, unsigned queue)
{
    struct virtio_fs *fs = fs_of(dev);
    struct fs_queue *q = &fs->queues[queue];
    q->slots = dev->queues[queue].vq.size;
    q->requests = lazy_alloc(q->slots, fs->request_bytes);
    return q->requests != NULL ? 0 : -ENOMEM;
}

static void fs_queue_stop(struct virtio_device *dev, unsigned queue)
{
    struct virtio_fs *fs = fs_of(dev);
    struct fs_queue *q = &fs->queues[queue];
    struct fs_request *r;
    while ((r = LIST_FIRST(&q->out)) != NULL) {
        LIST_REMOVE(r, out);
        fs->share->ops->abandon(fs->share, &r->req);
    }
    lazy_free(q->requests, q->slots, fs->request_bytes);
    q->requests = NULL;
}

/* ---- at work ---- */

static void on_done(struct share_req *req)
{
    struct fs_request *r = container_of(req, struct fs_request, req);
    struct fs_queue *q = r->queue;
    LIST_REMOVE(r, out);
    r->chain->wr = req->wr;
    uint64_t bytes = req->wr.done + req->rd.done;
    virtio_queue_push(&q->fs->dev, q->index, r->chain);
    q->unseen += 1 + (unsigned)(bytes / UNSEEN_BYTES);
    if (q->unseen >= UNSEEN_MAX) {
        q->unseen = 0;
        virtio_queue_show(&q->fs->dev, q->index);
    }
}

static void submit(struct fs_queue *q, struct vq_chain *chain)
{
    struct virtio_fs *fs = q->fs;
    struct fs_request *r = (void *)(q->requests + chain->slot * fs->request_bytes);
    r->queue = q;
    r->chain = chain;
    r->req.rd = chain->rd;
    r->req.wr = chain->wr;
    r->req.loop = fs->dev.queues[q->index].loop;
    r->req.done = on_done;
    LIST_INSERT_HEAD(&q->out, r, out);
    fs->share->ops->submit(fs->share, &r->req);
}

/* A request may take its time, and the other queues (VIRTIO 1.4 5.11.6.2) theirs in between. */
static void fs_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct fs_queue *q = &fs_of(dev)->queues[queue];
    struct vq_chain *chain;
    while ((chain = virtio_queue_next(dev, queue)) != NULL) {
        submit(q, chain);
        if (virtio_queue_turn_is_over(dev, queue))
            return;
    }
}

static void fs_reset(struct virtio_device *dev)
{
    struct share *share = fs_of(dev)->share;
    share->ops->reset(share);
}

/* The driver's nodes and open files are the server's. */
static void fs_state(struct virtio_device *dev, struct state *s)
{
    if (dev->active)
        state_refuse(s, "what its driver has open of the share is not saved");
}

static void fs_describe(struct virtio_device *dev, struct facts *f)
{
    const struct virtio_fs *fs = fs_of(dev);
    char tag[VIRTIO_FS_TAG_BYTES + 1] = "";
    memcpy(tag, fs->config + VIRTIO_FS_CONFIG_tag, VIRTIO_FS_TAG_BYTES);
    facts_word(f, "tag", tag);
}

static const struct virtio_device_ops fs_ops = {
    .queue_start = fs_queue_start,
    .queue_ready = fs_queue_ready,
    .queue_stop = fs_queue_stop,
    .reset = fs_reset,
    .state = fs_state,
    .describe = fs_describe,
};

/* ---- life ---- */

void virtio_fs_fill_config(uint8_t *config, const char *tag, unsigned queues)
{
    memcpy(config + VIRTIO_FS_CONFIG_tag, tag, strnlen(tag, VIRTIO_FS_TAG_BYTES));
    le32_put(config + VIRTIO_FS_CONFIG_num_request_queues, queues);
}

static int init_device(struct virtio_fs *fs, const struct virtio_setup *setup,
                       const struct virtio_fs_config *config, unsigned queues)
{
    struct virtio_setup own = *setup;
    own.features_off |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
    return virtio_device_init(&fs->dev, &own,
                              &(struct virtio_device_config){
                                  .type = &virtio_fs_type,
                                  .ops = &fs_ops,
                                  .config = fs->config,
                                  .config_bytes = sizeof(fs->config),
                                  .queue_count = queues,
                                  .queue_loops = config->queue_loops,
                              });
}

static void free_device(struct virtio_fs *fs)
{
    virtio_device_fini(&fs->dev);
    free(fs->queues);
    free(fs);
}

int virtio_fs_create(struct virtio_fs **out, const struct virtio_setup *setup,
                     const struct virtio_fs_config *config)
{
    int count = virtio_type_queues(&virtio_fs_type, setup->name, config->queues);
    if (count < 0)
        return count;
    unsigned queues = (unsigned)count;
    struct virtio_fs *fs = calloc(1, sizeof(*fs));
    if (fs == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    fs->share = config->share;
    fs->request_bytes = align_up(offsetof(struct fs_request, req) + fs->share->req_bytes,
                                 alignof(struct fs_request));
    fs->queues = calloc(queues, sizeof(*fs->queues));
    if (fs->queues == NULL) {
        free(fs);
        return fail(-ENOMEM, "virtio %s", setup->name);
    }
    int err = init_device(fs, setup, config, queues);
    if (err != 0) {
        free_device(fs);
        return err;
    }
    for (unsigned i = 0; i < queues; i++) {
        fs->queues[i] = (struct fs_queue){.fs = fs, .index = i};
        LIST_INIT(&fs->queues[i].out);
    }
    virtio_fs_fill_config(fs->config, config->tag, queues - VIRTIO_FS_REQUESTS);
    *out = fs;
    return 0;
}

void virtio_fs_destroy(struct virtio_fs *fs)
{
    if (fs != NULL)
        free_device(fs);
}

struct virtio_device *virtio_fs_device(struct virtio_fs *fs)
{
    return &fs->dev;
}
