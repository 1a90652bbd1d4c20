// SPDX-License-Identifier: BSD-2-Clause
/*
 * The input hub: takes what a person does from windows and VNC clients (struct input_sink), and
 * tells the machine's input devices on their loop (struct input_backend):
 *
 *     keys                           the keyboard
 *     buttons, wheel, the pointer    the tablet, or the mouse if there is no tablet; steps of the
 *                                    pointer the mouse, or the tablet if there is no mouse
 *     fingers                        the touch screen
 *
 * What no device is there for is passed over, and so is a key that goes down while it is down. A
 * position becomes steps on the mouse, and steps a position on the tablet: INPUT_HUB_STEP units of
 * an axis are one step. What the loop has not taken waits in an input queue for each device.
 */
#ifndef MINIVET_DEVICES_INPUT_HUB_H
#define MINIVET_DEVICES_INPUT_HUB_H

#include "core/ports/input.h"

#define INPUT_HUB_STEP 32 /* as on a screen of 1024 by 1024 */

struct evloop;
struct input_hub;

/* The loop is the devices'. Errors are reported. */
int input_hub_create(struct input_hub **out, struct evloop *loop);
/* No thread uses the sink any more, and the devices are gone. NULL is allowed. */
void input_hub_destroy(struct input_hub *hub);

/* For windows and others, from any thread. */
struct input_sink *input_hub_sink(struct input_hub *hub);

/* For one device of that kind; before the sink is used. */
struct input_backend *input_hub_backend(struct input_hub *hub, enum input_kind kind);

/* Any thread: the keyboard's LEDs that the guest has switched on, bit LED_NUML and so on. */
unsigned input_hub_leds(const struct input_hub *hub);

#endif
