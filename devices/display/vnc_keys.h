// SPDX-License-Identifier: BSD-2-Clause
/* From X11 keysyms, which VNC clients send, to the keys of a US keyboard. */
#ifndef MINIVET_DEVICES_VNC_KEYS_H
#define MINIVET_DEVICES_VNC_KEYS_H

#include <stdint.h>

/* KEY_... of linux/input-event-codes.h; 0: no key of a US keyboard has this keysym. */
unsigned vnc_key(uint32_t keysym);

#endif
