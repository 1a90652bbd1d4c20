// SPDX-License-Identifier: BSD-2-Clause
/*
 * Debug exit: a byte that the guest writes to the port ends the run with that byte as its exit
 * status. For test guests, which have no other way to tell a result. Reads as all ones.
 */
#ifndef MINIVET_DEVICES_DEBUG_EXIT_H
#define MINIVET_DEVICES_DEBUG_EXIT_H

#include "core/ports/power.h"

#define DEBUG_EXIT_PORT 0xf4

struct bus;
struct debug_exit;

struct debug_exit_config {
    struct bus *pio;
    struct power power;
};

/* Errors are reported. */
int debug_exit_create(struct debug_exit **out, const struct debug_exit_config *config);
void debug_exit_destroy(struct debug_exit *de); /* NULL is allowed */

#endif
