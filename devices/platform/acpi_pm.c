// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/acpi_pm.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/ports/bus.h"

/* The sleep control register (ACPI 6.5 table 4.19). */
#define SLP_TYP_SHIFT 2
#define SLP_TYP_MASK  7u
#define SLP_EN        0x20u

struct acpi_pm {
    struct bus *pio;
    struct bus_region region;
    struct power power;
    struct log_guest_count unknown_sleeps;
};

static uint64_t acpi_pm_read(void *dev, uint64_t offset, unsigned width)
{
    /* SLP_EN and the reset register are write-only; no wake event is ever pending. */
    (void)dev, (void)offset, (void)width;
    return 0;
}

static void acpi_pm_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct acpi_pm *pm = dev;
    (void)width;

    if (offset == ACPI_PM_RESET_PORT - ACPI_PM_PORT) {
        if (value == ACPI_PM_RESET_VALUE)
            power_request(&pm->power, POWER_RESET, 0);
        return;
    }
    if (offset != ACPI_PM_SLEEP_CONTROL_PORT - ACPI_PM_PORT || !(value & SLP_EN))
        return;
    unsigned type = (unsigned)(value >> SLP_TYP_SHIFT) & SLP_TYP_MASK;
    if (type == ACPI_PM_SLP_TYP_S5)
        power_request(&pm->power, POWER_OFF, 0);
    else
        log_guest(&pm->unknown_sleeps, "acpi: guest asks for a sleep type that was not offered: %u",
                  type);
}

static const struct bus_ops acpi_pm_ops = {.read = acpi_pm_read, .write = acpi_pm_write};

int acpi_pm_create(struct acpi_pm **out, const struct acpi_pm_config *config)
{
    struct acpi_pm *pm = calloc(1, sizeof(*pm));
    if (!pm)
        return fail(-ENOMEM, "acpi power management");
    pm->pio = config->pio;
    pm->power = config->power;
    pm->region = (struct bus_region){
        .name = "acpi-pm",
        .base = ACPI_PM_PORT,
        .size = ACPI_PM_PORT_COUNT,
        .widths = BUS_W1,
        .ops = &acpi_pm_ops,
        .dev = pm,
    };
    int err = bus_add(pm->pio, &pm->region);
    if (err < 0) {
        acpi_pm_destroy(pm);
        return fail(err, "acpi power management: port 0x%x", ACPI_PM_PORT);
    }
    *out = pm;
    return 0;
}

void acpi_pm_destroy(struct acpi_pm *pm)
{
    if (!pm)
        return;
    bus_remove(pm->pio, &pm->region); /* -ENOENT if create failed, which is as well */
    free(pm);
}
