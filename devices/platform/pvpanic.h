// SPDX-License-Identifier: BSD-2-Clause
/*
 * pvpanic: how a guest's kernel tells its host that it has panicked (QEMU's interface: ACPI id
 * QEMU0001, one byte-wide port; Linux drives it with pvpanic-mmio). Reading gives the events that
 * may be written: bit 0, the kernel panicked; bit 1, it panicked and a crash kernel takes over.
 *
 * Only the first ends the run. Any thread.
 */
#ifndef MINIVET_DEVICES_PVPANIC_H
#define MINIVET_DEVICES_PVPANIC_H

#include <stdint.h>

#include "core/ports/power.h"

struct bus;
struct pvpanic;

struct pvpanic_config {
    struct bus *pio;
    uint16_t port;
    struct power power;
};

int pvpanic_create(struct pvpanic **out, const struct pvpanic_config *config);
void pvpanic_destroy(struct pvpanic *p); /* NULL is allowed */

#endif
