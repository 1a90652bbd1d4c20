// SPDX-License-Identifier: BSD-2-Clause
/*
 * i8042 keyboard controller with neither keyboard nor mouse: there for what else hangs on it, the
 * reset line (command 0xfe, or bit 0 of the output port taken low), and so that a guest that
 * probes gets an answer to every command instead of a timeout. It raises no interrupt. The
 * firmware says that there is no controller (FADT IAPC_BOOT_ARCH), so Linux does not probe.
 * Any vCPU may access.
 */
#ifndef MINIVET_DEVICES_I8042_H
#define MINIVET_DEVICES_I8042_H

#include "core/ports/power.h"

#define I8042_DATA_PORT    0x60
#define I8042_COMMAND_PORT 0x64

struct bus;
struct i8042;

struct i8042_config {
    struct bus *pio;
    struct power power;
};

/* Errors are reported. */
int i8042_create(struct i8042 **out, const struct i8042_config *config);
void i8042_destroy(struct i8042 *kbc); /* NULL is allowed */

#endif
