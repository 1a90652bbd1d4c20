// SPDX-License-Identifier: BSD-2-Clause
/* What shows a machine's pictures: a viewer as the user asked, and a tap in front of it. */
#ifndef MINIVET_VMM_DISPLAY_H
#define MINIVET_VMM_DISPLAY_H

#include "devices/display/viewer.h"

struct display_backend;
struct display_picture;
struct machine_display;
struct vm_config;

/* *out is NULL if the machine makes no pictures. Errors are reported. */
int machine_display_create(struct machine_display **out, const struct vm_config *vm,
                           const struct viewer_config *viewer);
/* Ends the viewer's thread; while the loop still runs, or in its place. NULL is allowed. */
void machine_display_stop(struct machine_display *d);
/* After its devices. NULL is allowed. */
void machine_display_destroy(struct machine_display *d);

/* For devices; NULL: there is none. */
struct display_backend *machine_display_backend(const struct machine_display *d);

/* On the loop: see display_tap_copy(). -ENODEV: d is NULL. */
int machine_display_copy(const struct machine_display *d, unsigned scanout,
                         struct display_picture *out);

#endif
