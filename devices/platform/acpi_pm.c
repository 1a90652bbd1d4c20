// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/acpi_pm.h"

#include "devices/platform/byte_device.h"

/* The sleep control register (ACPI 6.5 table 4.19). */
#define SLP_TYP_SHIFT 2
#define SLP_TYP_MASK  7u
#define SLP_EN        0x20u

static uint64_t acpi_pm_read(void *dev, uint64_t offset, unsigned width)
{
    /* SLP_EN and the reset register are write-only; no wake event is ever pending. */
    (void)dev, (void)offset, (void)width;
    return 0;
}

static void acpi_pm_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct byte_device *pm = dev;
    (void)width;

    if (offset == ACPI_PM_RESET) {
        if (value == ACPI_PM_RESET_VALUE)
            power_request(&pm->config.power, POWER_RESET, 0);
        return;
    }
    if (offset != ACPI_PM_SLEEP_CONTROL || !(value & SLP_EN))
        return;
    unsigned type = (unsigned)(value >> SLP_TYP_SHIFT) & SLP_TYP_MASK;
    if (type == ACPI_PM_SLP_TYP_S5)
        power_request(&pm->config.power, POWER_OFF, 0);
    else
        log_guest(&pm->odd, "acpi: guest asks for a sleep type that was not offered: %u", type);
}

const struct byte_device_kind acpi_pm_kind = {
    .name = "acpi-pm",
    .registers = ACPI_PM_REGISTERS,
    .ops = {.read = acpi_pm_read, .write = acpi_pm_write},
};
