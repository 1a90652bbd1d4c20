// SPDX-License-Identifier: BSD-2-Clause
/*
 * What VNC clients press, in one input sink that they share. A key that several clients hold goes
 * up with the last of them; a client that leaves lets go of its own.
 */
#ifndef MINIVET_DEVICES_VNC_INPUT_H
#define MINIVET_DEVICES_VNC_INPUT_H

#include <linux/input-event-codes.h>
#include <stdbool.h>
#include <stdint.h>

struct input_sink;

/* Zeroed, and with its sink: nothing is pressed. */
struct vnc_input {
    struct input_sink *sink; /* NULL: nothing is heard */
    uint8_t holders[KEY_CNT];
};

/* Of a client. */
struct vnc_held {
    bool keys[KEY_CNT];
    int buttons; /* as the client said last: a bit each */
    int x, y;    /* where it said its pointer is */
};

void vnc_input_key(struct vnc_input *in, struct vnc_held *held, uint32_t keysym, bool down);
/* buttons: RFB's mask, the wheels' too. On a picture of this size. */
void vnc_input_pointer(struct vnc_input *in, struct vnc_held *held, int buttons, int x, int y,
                       int width, int height);
void vnc_input_leave(struct vnc_input *in, struct vnc_held *held);

#endif
