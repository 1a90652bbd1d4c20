// SPDX-License-Identifier: BSD-2-Clause
/*
 * pvpanic: how a guest's kernel tells its host that it has panicked (QEMU's interface: ACPI id
 * QEMU0001, one byte-wide register; Linux drives it with pvpanic-mmio). Reading gives the events
 * that may be written: bit 0, the kernel panicked; bit 1, it panicked and a crash kernel takes
 * over. Only the first ends the run.
 */
#include "devices/platform/byte_device.h"

enum {
    PVPANIC_PANICKED = 1 << 0,
    PVPANIC_CRASH_LOADED = 1 << 1,
};

static uint64_t pvpanic_read(void *dev, uint64_t offset, unsigned width)
{
    (void)dev, (void)offset, (void)width;
    return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void pvpanic_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct byte_device *p = dev;
    (void)offset, (void)width;
    if ((value & PVPANIC_PANICKED) != 0)
        power_request(&p->config.power, POWER_PANIC, 0);
    else if ((value & PVPANIC_CRASH_LOADED) != 0)
        log_guest(&p->odd, "the guest's kernel panicked; its crash kernel takes over");
}

const struct byte_device_kind pvpanic_kind = {
    .name = "pvpanic",
    .registers = 1,
    .ops = {.read = pvpanic_read, .write = pvpanic_write},
};
