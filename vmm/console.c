// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/console.h"

#include "vmm/config.h"
#include "vmm/device_kind.h"
#include "vmm/virtio_devices.h"

static unsigned console_count(const struct vm_config *vm)
{
    return vm->console == CONSOLE_VIRTIO ? 1 : 0;
}

/* Its backend, the terminal, is the main loop's. */
static int console_create(struct device_slot *s, unsigned index)
{
    struct virtio_console *console;
    (void)index;
    s->keys = &s->cfg->vm->console_virtio;
    s->loop = s->cfg->loop;
    struct virtio_setup setup = device_slot_setup(s, "console");
    int r = virtio_console_create(&console, &setup, s->cfg->terminal);
    if (r < 0)
        return r;
    s->own = console;
    s->dev = virtio_console_device(console);
    return 0;
}

static void console_destroy(void *own)
{
    virtio_console_destroy(own);
}

const struct device_kind console_kind = {
    .count = console_count,
    .create = console_create,
    .destroy = console_destroy,
};
