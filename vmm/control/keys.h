// SPDX-License-Identifier: BSD-2-Clause
/* Keys by name, and the keys that type a character, on a keyboard of the US layout. */
#ifndef MINIVET_VMM_KEYS_H
#define MINIVET_VMM_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * KEY_... of linux/input-event-codes.h for a name of QEMU's `sendkey` (its first len bytes): "a",
 * "ctrl", "f2", "ret", "kp_enter"; 0: there is no such key.
 */
unsigned key_by_name(const char *name, size_t len);

/* The key that types it, with shift or without; 0: none does. */
unsigned key_of_char(char c, bool *shift);

#endif
