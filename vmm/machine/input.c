// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/input/input.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"
#include "devices/input/hub.h"
#include "vmm/config/config.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

struct input {
    struct virtio_input *input;
    struct input_backend *taped; /* in front of the hub's, or NULL */
};

static unsigned input_count(const struct vm_config *vm)
{
    unsigned count = 0;
    for (unsigned i = 0; i < INPUT_KINDS; i++)
        count += vm->input.on[i];
    return count;
}

/* The index-th of those that are on. */
static enum input_kind kind_at(const struct vm_config *vm, unsigned index)
{
    unsigned kind = 0;
    while (!vm->input.on[kind] || index-- > 0)
        kind++;
    return (enum input_kind)kind;
}

/* Its backend, the hub, is the main loop's. */
static int input_create(struct device_slot *s, unsigned index)
{
    static const char *const names[INPUT_KINDS] = {[INPUT_KEYBOARD] = "keyboard",
                                                   [INPUT_MOUSE] = "mouse",
                                                   [INPUT_TABLET] = "tablet",
                                                   [INPUT_TOUCH] = "touch"};
    struct input *own = s->own = calloc(1, sizeof(*own));
    enum input_kind kind = kind_at(s->cfg->vm, index);
    struct input_hub *hub = s->cfg->input;
    if (own == NULL)
        return fail(-ENOMEM, "%s", names[kind]);
    s->keys = &s->cfg->vm->input.virtio;
    s->loop = s->cfg->loop;
    struct input_backend *backend = hub != NULL ? input_hub_backend(hub, kind) : NULL;
    if (s->cfg->tape != NULL) {
        int r = input_taped_create(&own->taped, s->cfg->tape, names[kind], kind, backend);
        if (r < 0)
            return r;
        backend = own->taped;
    }
    struct virtio_setup setup = device_slot_setup(s, names[kind]);
    int r = virtio_input_create(&own->input, &setup, backend);
    if (r == 0)
        s->dev = virtio_input_device(own->input);
    return r;
}

static void input_destroy(void *own)
{
    struct input *input = own;
    virtio_input_destroy(input->input);
    input_taped_destroy(input->taped);
    free(input);
}

const struct device_kind input_kind = {
    .count = input_count,
    .create = input_create,
    .destroy = input_destroy,
};
