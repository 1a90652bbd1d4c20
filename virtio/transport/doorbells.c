// SPDX-License-Identifier: BSD-2-Clause
/*
 * A doorbell is bound while its queue runs and its place is on the bus. Either each queue has an
 * address of its own, to which any write rings, or all share one, to which the queue's number is
 * written. There with NOTIFICATION_DATA the value is another each time: one queue takes any of
 * them, several cannot be told apart and have no doorbell.
 */
#include <errno.h>

#include "core/base/log.h"
#include "virtio/spec.h"
#include "virtio/transport/registers.h"

/* Where the queue's doorbell belongs now; false: nowhere. */
static bool place(const struct virtio_registers *r, unsigned queue, struct doorbell_addr *at)
{
    const struct virtio_bell *bell = &r->bells[queue];
    const struct virtio_layout *layout = &r->layouts[bell->legacy];
    uint64_t base = r->bell_base[bell->legacy];
    bool shared = layout->kick_stride == 0, match = shared && !bell->with_data;
    if (bell->fd < 0 || base == VIRTIO_NOWHERE ||
        (shared && bell->with_data && r->dev->cfg.queue_count > 1))
        return false;
    *at = (struct doorbell_addr){
        .space = layout->kick_space,
        .addr = base + (uint64_t)queue * layout->kick_stride,
        .len = layout->kick_bytes,
        .has_match = match,
        .match = match ? queue : 0,
    };
    return true;
}

static void unbind(struct virtio_registers *r, struct virtio_bell *bell)
{
    if (bell->bound >= 0)
        doorbell_unbind(&r->doorbell, &bell->at, bell->bound);
    bell->bound = -1;
}

/* What a queue's doorbell depends on changes only while the queue stands, or its place is nowhere,
 * so one that is bound is where it belongs. */
static void rebind(struct virtio_registers *r, unsigned queue)
{
    struct virtio_bell *bell = &r->bells[queue];
    struct doorbell_addr at;
    if (!place(r, queue, &at)) {
        unbind(r, bell);
        return;
    }
    if (bell->bound >= 0)
        return;
    int err = doorbell_bind(&r->doorbell, &at, bell->fd);
    if (err == 0) {
        bell->bound = bell->fd;
        bell->at = at;
    } else if (err != -ENOSYS) {
        log_debug("virtio %s: queue %u is kicked without a doorbell", r->dev->setup.name, queue);
    }
}

void virtio_bells_update(struct virtio_registers *r)
{
    bool with_data = virtio_device_negotiated(r->dev, VIRTIO_F_NOTIFICATION_DATA);
    pthread_mutex_lock(&r->bell_lock);
    for (unsigned q = 0; q < r->dev->cfg.queue_count; q++) {
        struct virtio_bell *bell = &r->bells[q];
        bell->fd = virtio_device_kick_fd(r->dev, q);
        bell->legacy = r->dev->legacy;
        bell->with_data = with_data;
        rebind(r, q);
    }
    pthread_mutex_unlock(&r->bell_lock);
}

void virtio_bells_move(struct virtio_registers *r, bool legacy, uint64_t base)
{
    pthread_mutex_lock(&r->bell_lock);
    r->bell_base[legacy] = base;
    for (unsigned q = 0; q < r->dev->cfg.queue_count; q++)
        rebind(r, q);
    pthread_mutex_unlock(&r->bell_lock);
}

void virtio_bells_init(struct virtio_registers *r)
{
    pthread_mutex_init(&r->bell_lock, NULL);
    r->bell_base[0] = r->bell_base[1] = VIRTIO_NOWHERE;
    for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
        r->bells[q].fd = r->bells[q].bound = -1;
}

void virtio_bells_fini(struct virtio_registers *r)
{
    for (unsigned q = 0; q < r->dev->cfg.queue_count; q++)
        unbind(r, &r->bells[q]);
    pthread_mutex_destroy(&r->bell_lock);
}
