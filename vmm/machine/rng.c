// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/rng/rng.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"
#include "vmm/config/options.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

const char rng_help[] = "A source of randomness";
const struct schema_key rng_keys[] = {{0}};

struct rng {
    struct virtio_rng *rng;
    struct entropy *taped;
};

static unsigned rng_count(const struct vm_config *vm)
{
    return vm->rng.on;
}

static int rng_create(struct device_slot *s, unsigned index)
{
    struct rng *own = s->own = calloc(1, sizeof(*own));
    const struct entropy *entropy = &entropy_host;
    struct tape *tape = s->cfg->tape;
    struct evloop *queue_loop;
    (void)index;
    if (own == NULL)
        return fail(-ENOMEM, "rng");
    int r = device_slot_loops(s, &s->cfg->vm->rng.virtio, &queue_loop, 1);
    if (r >= 0 && tape != NULL) {
        r = entropy_taped_create(&own->taped, tape, "rng", tape_is_replay(tape) ? NULL : entropy);
        entropy = own->taped;
    }
    if (r < 0)
        return r;
    struct virtio_setup setup = device_slot_setup(s, "rng");
    r = virtio_rng_create(&own->rng, &setup, entropy);
    if (r == 0)
        s->dev = virtio_rng_device(own->rng);
    return r;
}

static void rng_destroy(void *own)
{
    struct rng *rng = own;
    virtio_rng_destroy(rng->rng);
    entropy_taped_destroy(rng->taped);
    free(rng);
}

const struct device_kind rng_kind = {
    .count = rng_count,
    .create = rng_create,
    .destroy = rng_destroy,
};
