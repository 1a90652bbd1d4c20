// SPDX-License-Identifier: BSD-2-Clause
/*
 * The smallest devices of a machine: a few byte-wide registers in a row, with no interrupt and no
 * back end. Any thread may access.
 *
 *   acpi_pm     power management of a hardware-reduced ACPI machine: sleep control, sleep status
 *               and reset (ACPI 6.5 4.8.3.6, 4.8.3.7). The firmware's FADT and DSDT must tell the
 *               guest the numbers below, and where the registers are.
 *   debug_exit  a byte that the guest writes ends the run with that byte as its exit status: for
 *               test guests, which have no other way to tell a result.
 *   post_code   a byte that the guest writes shows how far the boot has come: on_byte() is told.
 *   pvpanic     how a guest's kernel tells its host that it has panicked (QEMU's interface: ACPI
 *               id QEMU0001; Linux drives it with pvpanic-mmio). Bit 0, the kernel panicked, ends
 *               the run; bit 1, it panicked and a crash kernel takes over, does not. pvpanic_pci.h
 *               has it on PCI.
 */
#ifndef MINIVET_DEVICES_BYTE_DEVICE_H
#define MINIVET_DEVICES_BYTE_DEVICE_H

#include <stdint.h>

#include "core/base/log.h"
#include "core/ports/bus.h"
#include "core/ports/power.h"

enum {
    ACPI_PM_SLEEP_CONTROL,
    ACPI_PM_SLEEP_STATUS,
    ACPI_PM_RESET,
    ACPI_PM_REGISTERS,
};

#define ACPI_PM_RESET_VALUE 1 /* FADT RESET_VALUE */
#define ACPI_PM_SLP_TYP_S5  5 /* the first element of \_S5 */

struct byte_device_config {
    struct bus *bus; /* NULL: the caller puts byte_device_ops on one */
    uint64_t base;
    struct power power;
    void (*on_byte)(void *ctx, uint8_t byte); /* post_code, on the thread that writes; or NULL */
    void *ctx;
};

struct byte_device;

struct byte_device_kind {
    const char *name;
    unsigned registers;
    uint8_t reads; /* what each register reads as */
    void (*write)(struct byte_device *d, uint64_t offset, uint8_t value);
};

struct byte_device {
    const struct byte_device_kind *kind;
    struct byte_device_config config;
    struct bus_region region;
    _Atomic uint8_t reads;      /* its kind's, of post_code the last byte */
    struct log_guest_count odd; /* writes of what the device does not know */
};

extern const struct byte_device_kind acpi_pm_kind, debug_exit_kind, post_code_kind, pvpanic_kind;

/* Of a struct byte_device; behind its registers there is nothing. */
extern const struct bus_ops byte_device_ops;

/* Errors are reported. */
int byte_device_create(struct byte_device **out, const struct byte_device_kind *kind,
                       const struct byte_device_config *config);
void byte_device_destroy(struct byte_device *d); /* NULL is allowed */

#endif
