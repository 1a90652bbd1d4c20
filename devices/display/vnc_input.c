// SPDX-License-Identifier: BSD-2-Clause
#include "devices/display/vnc_input.h"

#include <stddef.h>

#include "core/ports/input.h"
#include "devices/display/vnc_keys.h"

static void press(struct vnc_input *in, struct vnc_held *held, unsigned code, bool down)
{
    if (held->keys[code] == down)
        return;
    held->keys[code] = down;
    if (down ? in->holders[code]++ == 0 : --in->holders[code] == 0)
        in->sink->ops->key(in->sink, code, down);
}

void vnc_input_key(struct vnc_input *in, struct vnc_held *held, uint32_t keysym, bool down)
{
    unsigned code = vnc_key(keysym);
    if (in->sink != NULL && code != 0)
        press(in, held, code, down);
}

static unsigned axis(int at, int size)
{
    if (size < 2)
        return 0;
    uint64_t place = (uint64_t)at * INPUT_AXIS_MAX / (unsigned)(size - 1);
    return place > INPUT_AXIS_MAX ? INPUT_AXIS_MAX : (unsigned)place;
}

void vnc_input_pointer(struct vnc_input *in, struct vnc_held *held, int buttons, int x, int y,
                       int width, int height)
{
    static const unsigned codes[] = {BTN_LEFT, BTN_MIDDLE, BTN_RIGHT};
    static const struct {
        int dx, dy;
    } wheels[] = {{0, 1}, {0, -1}, {-1, 0}, {1, 0}};
    int pressed = buttons & ~held->buttons;
    held->buttons = buttons;
    held->x = x;
    held->y = y;
    if (in->sink == NULL)
        return;
    in->sink->ops->move_to(in->sink, 0, axis(x, width), axis(y, height));
    for (unsigned i = 0; i < 3; i++)
        press(in, held, codes[i], buttons & 1 << i);
    for (unsigned i = 0; i < 4; i++)
        if (pressed & 8 << i)
            in->sink->ops->wheel(in->sink, wheels[i].dx, wheels[i].dy);
}

void vnc_input_leave(struct vnc_input *in, struct vnc_held *held)
{
    for (unsigned code = 0; in->sink != NULL && code < KEY_CNT; code++)
        press(in, held, code, false);
    *held = (struct vnc_held){0};
}
