// SPDX-License-Identifier: BSD-2-Clause
/*
 * A tap: a display backend in front of a viewer's, or of none, that knows what is shown, so that a
 * script can have a picture of it.
 */
#ifndef MINIVET_DEVICES_TAP_H
#define MINIVET_DEVICES_TAP_H

#include "core/ports/display.h"

struct display_tap;

/* Of a picture: that of an 8K screen has room. A guest may show much more of its memory. */
#define DISPLAY_PICTURE_BYTES (UINT64_C(128) << 20)

/* So much of it is copied in one turn of the loop. */
#define DISPLAY_PICTURE_TURN (UINT64_C(1) << 20)

/* Rows of BGRX without gaps, for free(). Zeroed before the first is copied. */
struct display_picture {
    uint8_t *pixels;
    uint32_t width, height;
    uint32_t rows; /* that are there */
};

/* behind: a viewer's backend, which outlives it, or NULL. Errors are reported. */
int display_tap_create(struct display_tap **out, struct display_backend *behind);
void display_tap_destroy(struct display_tap *t); /* NULL is allowed */

/* For the device. */
struct display_backend *display_tap_backend(struct display_tap *t);

/*
 * On the loop, in one turn after the other: goes on with the picture. 1: there is more, 0: it is
 * whole. -ENOENT: the scanout shows nothing; -EFBIG, -ENOMEM, -EAGAIN: it has another size now;
 * then there is no picture any more. Without the cursor.
 */
int display_tap_copy(const struct display_tap *t, unsigned scanout, struct display_picture *out);

#endif
