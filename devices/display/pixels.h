// SPDX-License-Identifier: BSD-2-Clause
/* Pixels of the formats of surfaces, as BGRX. */
#ifndef MINIVET_DEVICES_PIXELS_H
#define MINIVET_DEVICES_PIXELS_H

#include "core/ports/display.h"

/* A part of a surface, to a place of the same coordinates in rows of the same width without gaps.
 */
void pixels_copy(uint8_t *to, const struct display_surface *from, const struct display_rect *rect);

#endif
