// SPDX-License-Identifier: BSD-2-Clause
/*
 * POST codes: a byte that the guest writes shows how far the boot has come; on_byte() is told.
 * Reading the register gives the last byte.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "devices/platform/byte_device.h"

static uint64_t post_code_read(void *dev, uint64_t offset, unsigned width)
{
    struct byte_device *pc = dev;
    (void)offset, (void)width;
    return atomic_load(&pc->last);
}

static void post_code_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct byte_device *pc = dev;
    (void)offset, (void)width;
    atomic_store(&pc->last, (uint8_t)value);
    if (pc->config.on_byte != NULL)
        pc->config.on_byte(pc->config.ctx, (uint8_t)value);
}

const struct byte_device_kind post_code_kind = {
    .name = "post-code",
    .registers = 1,
    .ops = {.read = post_code_read, .write = post_code_write},
};
