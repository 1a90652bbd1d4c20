// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/rng/rng.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"

#define CHUNK_BYTES 4096u

struct virtio_rng {
    struct virtio_device dev;
    const struct entropy *entropy;
};

/* False: there was room, and the host gave nothing. */
static bool fill(struct virtio_rng *rng, struct iobuf *to)
{
    uint8_t chunk[CHUNK_BYTES];
    while (to->left > 0 && to->done < VIRTIO_RNG_REQUEST_BYTES) {
        size_t len = (size_t)min_u64(to->left, sizeof(chunk));
        if (rng->entropy->fill(rng->entropy->ctx, chunk, len) != 0)
            return to->done > 0;
        iobuf_put(to, chunk, len);
    }
    return true;
}

static void rng_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct virtio_rng *rng = container_of(dev, struct virtio_rng, dev);
    struct vq_chain *chain;
    while ((chain = virtio_queue_next(dev, queue)) != NULL) {
        if (!fill(rng, &chain->wr)) /* no buffer goes back empty: VIRTIO 1.4 5.4.6.2 */
            virtio_device_fail(dev, "the host has no randomness");
        virtio_queue_push(dev, queue, chain);
    }
}

static void rng_queue_stop(struct virtio_device *dev, unsigned queue)
{
    (void)dev; /* no chain outlives queue_ready() */
    (void)queue;
}

static const struct virtio_device_ops rng_ops = {
    .queue_ready = rng_queue_ready,
    .queue_stop = rng_queue_stop,
};

int virtio_rng_create(struct virtio_rng **out, const struct virtio_setup *setup,
                      const struct entropy *entropy)
{
    struct virtio_rng *rng = calloc(1, sizeof(*rng));
    if (rng == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    rng->entropy = entropy;
    int err = virtio_device_init(&rng->dev, setup,
                                 &(struct virtio_device_config){
                                     .type = &virtio_rng_type,
                                     .ops = &rng_ops,
                                     .queue_count = 1,
                                     .iov_max = VIRTIO_QUEUE_SIZE_DEFAULT,
                                 });
    if (err != 0) {
        free(rng);
        return err;
    }
    *out = rng;
    return 0;
}

void virtio_rng_destroy(struct virtio_rng *rng)
{
    if (rng == NULL)
        return;
    virtio_device_fini(&rng->dev);
    free(rng);
}

struct virtio_device *virtio_rng_device(struct virtio_rng *rng)
{
    return &rng->dev;
}
