// SPDX-License-Identifier: BSD-2-Clause
/*
 * The smallest devices of a machine: a few byte-wide registers in a row, with no interrupt and no
 * back end. Each kind has a file: acpi_pm.c, debug_exit.c, post_code.c, pvpanic.c. Any thread may
 * access.
 */
#ifndef MINIVET_DEVICES_BYTE_DEVICE_H
#define MINIVET_DEVICES_BYTE_DEVICE_H

#include <stdint.h>

#include "core/base/log.h"
#include "core/ports/bus.h"
#include "core/ports/power.h"

struct byte_device_config {
    struct bus *bus;
    uint64_t base;
    struct power power;
    void (*on_byte)(void *ctx, uint8_t byte); /* post_code, on the thread that writes; or NULL */
    void *ctx;
};

struct byte_device_kind {
    const char *name;
    unsigned registers;
    struct bus_ops ops; /* of a struct byte_device */
};

struct byte_device {
    struct byte_device_config config;
    struct bus_region region;
    _Atomic uint8_t last;
    struct log_guest_count odd; /* writes of what the device does not know */
};

extern const struct byte_device_kind acpi_pm_kind, debug_exit_kind, post_code_kind, pvpanic_kind;

/* Errors are reported. */
int byte_device_create(struct byte_device **out, const struct byte_device_kind *kind,
                       const struct byte_device_config *config);
void byte_device_destroy(struct byte_device *d); /* NULL is allowed */

#endif
