// SPDX-License-Identifier: BSD-2-Clause
/*
 * Debug exit: a byte that the guest writes ends the run with that byte as its exit status. For test
 * guests, which have no other way to tell a result. Reads as all ones.
 */
#include "devices/platform/byte_device.h"

static uint64_t debug_exit_read(void *dev, uint64_t offset, unsigned width)
{
    (void)dev, (void)offset, (void)width;
    return UINT64_MAX;
}

static void debug_exit_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct byte_device *de = dev;
    (void)offset, (void)width;
    power_request(&de->config.power, POWER_EXIT, (int)(value & 0xff));
}

const struct byte_device_kind debug_exit_kind = {
    .name = "debug-exit",
    .registers = 1,
    .ops = {.read = debug_exit_read, .write = debug_exit_write},
};
