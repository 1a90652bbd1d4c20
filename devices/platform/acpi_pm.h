// SPDX-License-Identifier: BSD-2-Clause
/*
 * Power management of a hardware-reduced ACPI machine: sleep control, sleep status and reset, one
 * byte-wide port each (ACPI 6.5 4.8.3.6, 4.8.3.7). The firmware's FADT and DSDT must tell the
 * guest the numbers below. Any vCPU may access; there is no state.
 */
#ifndef MINIVET_DEVICES_ACPI_PM_H
#define MINIVET_DEVICES_ACPI_PM_H

#include "core/ports/power.h"

#define ACPI_PM_PORT               0x600
#define ACPI_PM_SLEEP_CONTROL_PORT 0x600
#define ACPI_PM_SLEEP_STATUS_PORT  0x601
#define ACPI_PM_RESET_PORT         0x602
#define ACPI_PM_PORT_COUNT         3

#define ACPI_PM_RESET_VALUE 1 /* FADT RESET_VALUE */
#define ACPI_PM_SLP_TYP_S5  5 /* the first element of \_S5 */

struct acpi_pm;
struct bus;

struct acpi_pm_config {
    struct bus *pio;
    struct power power;
};

/* Errors are reported. */
int acpi_pm_create(struct acpi_pm **out, const struct acpi_pm_config *config);
void acpi_pm_destroy(struct acpi_pm *pm); /* NULL is allowed */

#endif
