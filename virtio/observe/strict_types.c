// SPDX-License-Identifier: BSD-2-Clause
/* What a device type requires of its drivers (VIRTIO 1.4 5): its table says it. */
#include "virtio/observe/strict_impl.h"

static void check_role(const struct virtio_request *r)
{
    const struct virtio_device_config *cfg = &r->dev->cfg;
    const struct virtio_queue_role *role = virtio_type_role(cfg->type, cfg->queue_count, r->queue);
    uint64_t bytes = 0;
    if (role->writable_only)
        bytes = r->rd.left;
    else if (role->readable_only)
        bytes = r->wr.left;
    if (bytes > 0)
        strict_report(r->dev, (int)r->queue, role->rule, "%s: %llu bytes", role->name,
                      (unsigned long long)bytes);
}

void strict_request(struct strict_queue *q, const struct vq_chain *chain)
{
    const struct virtio_device_type *type = q->dev->cfg.type;
    struct virtio_request r = {
        .dev = q->dev,
        .queue = q->index,
        .rd = iobuf_init(chain->iov, chain->rd_iov),
        .wr = iobuf_init(chain->iov + chain->rd_iov, chain->iov_count - chain->rd_iov),
    };
    check_role(&r);
    if (type->check_request != NULL)
        type->check_request(&r);
}

void strict_type_features(struct virtio_device *dev, uint64_t accepted)
{
    if (dev->cfg.type->check_features != NULL)
        dev->cfg.type->check_features(dev, accepted);
}
