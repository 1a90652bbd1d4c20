// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/rng.h"

#include "core/clock.h"
#include "vmm/config.h"
#include "vmm/device_kind.h"
#include "vmm/virtio_devices.h"

static unsigned rng_count(const struct vm_config *vm)
{
    return vm->rng_off ? 0 : 1;
}

static int rng_create(struct device_slot *s, unsigned index)
{
    struct virtio_rng *rng;
    struct evloop *queue_loop;
    (void)index;
    int r = device_slot_loops(s, &s->cfg->vm->rng_virtio, &queue_loop, 1);
    if (r < 0)
        return r;
    struct virtio_setup setup = device_slot_setup(s, "rng");
    r = virtio_rng_create(&rng, &setup, &entropy_host);
    if (r < 0)
        return r;
    s->own = rng;
    s->dev = virtio_rng_device(rng);
    return 0;
}

static void rng_destroy(void *own)
{
    virtio_rng_destroy(own);
}

const struct device_kind rng_kind = {
    .count = rng_count,
    .create = rng_create,
    .destroy = rng_destroy,
};
