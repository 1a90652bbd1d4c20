// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/pvpanic.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/ports/bus.h"

enum {
    PVPANIC_PANICKED = 1 << 0,
    PVPANIC_CRASH_LOADED = 1 << 1,
};

struct pvpanic {
    struct bus *pio;
    struct bus_region region;
    struct power power;
    struct log_guest_count crash_loaded;
};

static uint64_t pvpanic_read(void *dev, uint64_t offset, unsigned width)
{
    (void)dev;
    (void)offset;
    (void)width;
    return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void pvpanic_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct pvpanic *p = dev;
    (void)offset;
    (void)width;
    if ((value & PVPANIC_PANICKED) != 0)
        power_request(&p->power, POWER_PANIC, 0);
    else if ((value & PVPANIC_CRASH_LOADED) != 0)
        log_guest(&p->crash_loaded, "the guest's kernel panicked; its crash kernel takes over");
}

static const struct bus_ops pvpanic_ops = {.read = pvpanic_read, .write = pvpanic_write};

int pvpanic_create(struct pvpanic **out, const struct pvpanic_config *config)
{
    struct pvpanic *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return fail(-ENOMEM, "pvpanic");
    p->pio = config->pio;
    p->power = config->power;
    p->region = (struct bus_region){.name = "pvpanic",
                                    .base = config->port,
                                    .size = 1,
                                    .widths = BUS_W1,
                                    .ops = &pvpanic_ops,
                                    .dev = p};
    int r = bus_add(p->pio, &p->region);
    if (r < 0) {
        free(p);
        return fail(r, "pvpanic: port %#x", config->port);
    }
    *out = p;
    return 0;
}

void pvpanic_destroy(struct pvpanic *p)
{
    if (p == NULL)
        return;
    bus_remove(p->pio, &p->region);
    free(p);
}
