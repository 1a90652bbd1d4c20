// SPDX-License-Identifier: BSD-2-Clause
/*
 * Power management of a hardware-reduced ACPI machine: sleep control, sleep status and reset, one
 * byte-wide register each (ACPI 6.5 4.8.3.6, 4.8.3.7). The firmware's FADT and DSDT must tell the
 * guest the numbers below, and where the registers are. There is no state.
 */
#ifndef MINIVET_DEVICES_ACPI_PM_H
#define MINIVET_DEVICES_ACPI_PM_H

enum {
    ACPI_PM_SLEEP_CONTROL,
    ACPI_PM_SLEEP_STATUS,
    ACPI_PM_RESET,
    ACPI_PM_REGISTERS,
};

#define ACPI_PM_RESET_VALUE 1 /* FADT RESET_VALUE */
#define ACPI_PM_SLP_TYP_S5  5 /* the first element of \_S5 */

#endif
