// SPDX-License-Identifier: BSD-2-Clause
/*
 * A display that keeps what a person would see: it copies a surface when it is set, and afterwards
 * only what is reported as damage. It stops the test when a call breaks the port's rules.
 */
#ifndef MINIVET_TESTS_HARNESS_FAKE_DISPLAY_H
#define MINIVET_TESTS_HARNESS_FAKE_DISPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/display.h"

struct fake_screen {
    bool shows;
    struct display_surface surface;
    uint8_t *seen; /* rows without gaps, in the surface's format; NULL: nothing */
    unsigned surfaces, damages;
    struct display_rect damage;    /* the last */
    struct display_cursor *cursor; /* NULL: none is shown */
    uint32_t cursor_x, cursor_y;
    unsigned cursors, moves;
};

struct fake_display {
    struct display_backend backend;
    struct fake_screen screens[DISPLAY_SCANOUTS_MAX];
};

void fake_display_init(struct fake_display *display);
void fake_display_fini(struct fake_display *display);

/* The four bytes of a pixel that is seen, as a number. */
uint32_t fake_display_pixel(const struct fake_display *display, unsigned scanout, uint32_t x,
                            uint32_t y);

#endif
