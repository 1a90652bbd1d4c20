// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two devices that take turns on one display: a framebuffer that the guest has from power-on, and
 * an adapter whose driver comes later. Each gets a backend of its own.
 *
 * Scanout 0 shows the framebuffer until the adapter sets its first surface there. When the adapter
 * takes its surface away (its driver is reset, or blanks the monitor) nothing is shown, until the
 * guest draws in the framebuffer again. The other scanouts, the cursors of all of them and the size
 * of windows are the adapter's; while it has scanout 0, damage of the framebuffer is not wanted.
 */
#ifndef MINIVET_DEVICES_TURNS_H
#define MINIVET_DEVICES_TURNS_H

struct display_backend;

/*
 * They own `display`, also when this fails, and are destroyed one by one; the second takes the
 * display with it. Errors are reported.
 */
int display_turns_create(struct display_backend **framebuffer, struct display_backend **adapter,
                         struct display_backend *display);

#endif
