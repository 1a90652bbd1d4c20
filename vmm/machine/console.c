// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/console/console.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/ports/chr.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"
#include "vmm/config/config.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

struct console {
    struct virtio_console *console;
    struct chr_backend *taped; /* in front of the terminal, or NULL */
};

static unsigned console_count(const struct vm_config *vm)
{
    return vm->console == CONSOLE_VIRTIO ? 1 : 0;
}

/* Its backend, the terminal, is the main loop's. */
static int console_create(struct device_slot *s, unsigned index)
{
    struct console *own = s->own = calloc(1, sizeof(*own));
    struct chr_backend *terminal = s->cfg->terminal;
    (void)index;
    if (own == NULL)
        return fail(-ENOMEM, "console");
    s->keys = &s->cfg->vm->console_virtio;
    s->loop = s->cfg->loop;
    if (s->cfg->tape != NULL) {
        int r = chr_taped_create(&own->taped, s->cfg->tape, "console", terminal);
        if (r < 0)
            return r;
        terminal = own->taped;
    }
    struct virtio_setup setup = device_slot_setup(s, "console");
    int r = virtio_console_create(&own->console, &setup,
                                  &(struct virtio_console_config){.backend = terminal});
    if (r == 0)
        s->dev = virtio_console_device(own->console);
    return r;
}

static void console_destroy(void *own)
{
    struct console *console = own;
    virtio_console_destroy(console->console);
    if (console->taped != NULL)
        console->taped->ops->destroy(console->taped);
    free(console);
}

const struct device_kind console_kind = {
    .count = console_count,
    .create = console_create,
    .destroy = console_destroy,
};
