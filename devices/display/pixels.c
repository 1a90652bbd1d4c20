// SPDX-License-Identifier: BSD-2-Clause
#include "devices/display/pixels.h"

#include <string.h>

/* Which byte of a pixel of that format is blue, green and red. */
static const uint8_t places[][3] = {
    [DISPLAY_BGRX] = {0, 1, 2},
    [DISPLAY_XRGB] = {3, 2, 1},
    [DISPLAY_RGBX] = {2, 1, 0},
    [DISPLAY_XBGR] = {1, 2, 3},
};

static void copy_row(uint8_t *to, const uint8_t *from, uint32_t pixels, enum display_format format)
{
    const uint8_t *place = places[format];
    if (format == DISPLAY_BGRX) {
        memcpy(to, from, (size_t)pixels * 4);
        return;
    }
    for (uint32_t i = 0; i < pixels; i++, to += 4, from += 4) {
        to[0] = from[place[0]];
        to[1] = from[place[1]];
        to[2] = from[place[2]];
        to[3] = 0;
    }
}

void pixels_copy(uint8_t *to, const struct display_surface *from, const struct display_rect *rect)
{
    size_t stride = (size_t)from->width * 4, x = (size_t)rect->x * 4;
    for (size_t y = rect->y; y < (size_t)rect->y + rect->height; y++)
        copy_row(to + y * stride + x, from->pixels + y * from->stride_bytes + x, rect->width,
                 from->format);
}
