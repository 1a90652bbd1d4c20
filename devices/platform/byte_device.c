// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/byte_device.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/fail.h"

/* The sleep control register (ACPI 6.5 table 4.19); its SLP_EN and the reset register read as 0. */
#define SLP_TYP_SHIFT 2
#define SLP_TYP_MASK  7u
#define SLP_EN        0x20u

/* The events that a guest may write to pvpanic; reading gives all of them. */
#define PVPANIC_PANICKED     0x01u
#define PVPANIC_CRASH_LOADED 0x02u

static void acpi_pm_write(struct byte_device *d, uint64_t offset, uint8_t value)
{
    unsigned type = value >> SLP_TYP_SHIFT & SLP_TYP_MASK;
    if (offset == ACPI_PM_RESET && value == ACPI_PM_RESET_VALUE)
        power_request(&d->config.power, POWER_RESET, 0);
    if (offset != ACPI_PM_SLEEP_CONTROL || (value & SLP_EN) == 0)
        return;
    if (type == ACPI_PM_SLP_TYP_S5)
        power_request(&d->config.power, POWER_OFF, 0);
    else
        log_guest(&d->odd, "acpi: guest asks for a sleep type that was not offered: %u", type);
}

static void debug_exit_write(struct byte_device *d, uint64_t offset, uint8_t value)
{
    (void)offset;
    power_request(&d->config.power, POWER_EXIT, value);
}

static void post_code_write(struct byte_device *d, uint64_t offset, uint8_t value)
{
    (void)offset;
    atomic_store(&d->reads, value);
    if (d->config.on_byte != NULL)
        d->config.on_byte(d->config.ctx, value);
}

static void pvpanic_write(struct byte_device *d, uint64_t offset, uint8_t value)
{
    (void)offset;
    if ((value & PVPANIC_PANICKED) != 0)
        power_request(&d->config.power, POWER_PANIC, 0);
    else if ((value & PVPANIC_CRASH_LOADED) != 0)
        log_guest(&d->odd, "the guest's kernel panicked; its crash kernel takes over");
}

const struct byte_device_kind acpi_pm_kind = {"acpi-pm", ACPI_PM_REGISTERS, 0, acpi_pm_write},
                              debug_exit_kind = {"debug-exit", 1, 0xff, debug_exit_write},
                              post_code_kind = {"post-code", 1, 0, post_code_write},
                              pvpanic_kind = {"pvpanic", 1, PVPANIC_PANICKED | PVPANIC_CRASH_LOADED,
                                              pvpanic_write};

/* ---- what all kinds share ---- */

static uint64_t byte_read(void *dev, uint64_t offset, unsigned width)
{
    const struct byte_device *d = dev;
    (void)width;
    return offset < d->kind->registers ? atomic_load(&d->reads) : 0;
}

static void byte_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct byte_device *d = dev;
    (void)width;
    if (offset < d->kind->registers)
        d->kind->write(d, offset, (uint8_t)value);
}

const struct bus_ops byte_device_ops = {.read = byte_read, .write = byte_write};

int byte_device_create(struct byte_device **out, const struct byte_device_kind *kind,
                       const struct byte_device_config *config)
{
    struct byte_device *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return fail(-ENOMEM, "%s", kind->name);
    d->kind = kind;
    d->config = *config;
    d->reads = kind->reads;
    d->region = (struct bus_region){
        .name = kind->name,
        .base = config->base,
        .size = kind->registers,
        .widths = BUS_W1,
        .ops = &byte_device_ops,
        .dev = d,
    };
    int r = config->bus != NULL ? bus_add(config->bus, &d->region) : 0;
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
    if (d->config.bus != NULL)
        bus_remove(d->config.bus, &d->region);
    free(d);
}
