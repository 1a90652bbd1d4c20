// SPDX-License-Identifier: BSD-2-Clause
/* From SDL's scancodes, which are places on a keyboard as USB numbers them, to Linux's keys. */
#ifndef MINIVET_DEVICES_SDL_KEYS_H
#define MINIVET_DEVICES_SDL_KEYS_H

#include <stdint.h>

/* KEY_... of linux/input-event-codes.h; 0: Linux has no such key. */
unsigned sdl_key(uint32_t scancode);

#endif
