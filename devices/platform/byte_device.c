// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/byte_device.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"

int byte_device_create(struct byte_device **out, const struct byte_device_kind *kind,
                       const struct byte_device_config *config)
{
    struct byte_device *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return fail(-ENOMEM, "%s", kind->name);
    d->config = *config;
    d->region = (struct bus_region){
        .name = kind->name,
        .base = config->base,
        .size = kind->registers,
        .widths = BUS_W1,
        .ops = &kind->ops,
        .dev = d,
    };
    int r = bus_add(config->bus, &d->region);
    if (r < 0) {
        free(d);
        return fail(r, "%s: at 0x%llx", kind->name, (unsigned long long)config->base);
    }
    *out = d;
    return 0;
}

void byte_device_destroy(struct byte_device *d)
{
    if (d == NULL)
        return;
    bus_remove(d->config.bus, &d->region);
    free(d);
}
