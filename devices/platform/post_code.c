// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/post_code.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/ports/bus.h"

struct post_code {
    struct post_code_config config;
    struct bus_region region;
    _Atomic uint8_t last;
};

static uint64_t post_code_read(void *dev, uint64_t offset, unsigned width)
{
    struct post_code *pc = dev;
    (void)offset, (void)width;
    return atomic_load(&pc->last);
}

static void post_code_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct post_code *pc = dev;
    (void)offset, (void)width;
    atomic_store(&pc->last, (uint8_t)value);
    if (pc->config.on_code != NULL)
        pc->config.on_code(pc->config.ctx, (uint8_t)value);
}

static const struct bus_ops post_code_ops = {.read = post_code_read, .write = post_code_write};

int post_code_create(struct post_code **out, const struct post_code_config *config)
{
    struct post_code *pc = calloc(1, sizeof(*pc));
    if (!pc)
        return fail(-ENOMEM, "post code");
    pc->config = *config;
    pc->region = (struct bus_region){
        .name = "post-code",
        .base = POST_CODE_PORT,
        .size = 1,
        .widths = BUS_W1,
        .ops = &post_code_ops,
        .dev = pc,
    };
    int err = bus_add(config->pio, &pc->region);
    if (err < 0) {
        post_code_destroy(pc);
        return fail(err, "post code: port 0x%x", POST_CODE_PORT);
    }
    *out = pc;
    return 0;
}

void post_code_destroy(struct post_code *pc)
{
    if (!pc)
        return;
    bus_remove(pc->config.pio, &pc->region); /* -ENOENT if create failed, which is as well */
    free(pc);
}
