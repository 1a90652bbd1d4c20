// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/debug_exit.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/ports/bus.h"

struct debug_exit {
    struct bus *pio;
    struct bus_region region;
    struct power power;
};

static uint64_t debug_exit_read(void *dev, uint64_t offset, unsigned width)
{
    (void)dev, (void)offset, (void)width;
    return UINT64_MAX;
}

static void debug_exit_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct debug_exit *de = dev;
    (void)offset, (void)width;
    power_request(&de->power, POWER_EXIT, (int)(value & 0xff));
}

static const struct bus_ops debug_exit_ops = {.read = debug_exit_read, .write = debug_exit_write};

int debug_exit_create(struct debug_exit **out, const struct debug_exit_config *config)
{
    struct debug_exit *de = calloc(1, sizeof(*de));
    if (!de)
        return fail(-ENOMEM, "debug exit");
    de->pio = config->pio;
    de->power = config->power;
    de->region = (struct bus_region){
        .name = "debug-exit",
        .base = DEBUG_EXIT_PORT,
        .size = 1,
        .widths = BUS_W1,
        .ops = &debug_exit_ops,
        .dev = de,
    };
    int err = bus_add(de->pio, &de->region);
    if (err < 0) {
        debug_exit_destroy(de);
        return fail(err, "debug exit: port 0x%x", DEBUG_EXIT_PORT);
    }
    *out = de;
    return 0;
}

void debug_exit_destroy(struct debug_exit *de)
{
    if (!de)
        return;
    bus_remove(de->pio, &de->region); /* -ENOENT if create failed, which is as well */
    free(de);
}
