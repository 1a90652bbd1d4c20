// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/display.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "devices/display/tap.h"
#include "vmm/config/config.h"

struct machine_display {
    struct viewer *viewer; /* NULL: nobody sees it */
    struct display_tap *tap;
    bool stopped;
};

static int create_viewer(struct machine_display *d, const struct display_config *display,
                         const struct viewer_config *viewer)
{
    switch (display->kind) {
    case DISPLAY_SDL:
        return viewer_sdl_create(&d->viewer, viewer);
    case DISPLAY_VNC:
        return viewer_vnc_create(&d->viewer, viewer, display->target, display->password);
    case DISPLAY_PNG:
        return viewer_png_create(&d->viewer, viewer, display->target);
    default:
        return 0;
    }
}

int machine_display_create(struct machine_display **out, const struct vm_config *vm,
                           const struct viewer_config *viewer)
{
    *out = NULL;
    if (vm->display.kind == DISPLAY_NOWHERE && !vm->gpu.on)
        return 0;
    struct machine_display *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return fail(-ENOMEM, "display");
    int r = create_viewer(d, &vm->display, viewer);
    if (r == 0)
        r = display_tap_create(&d->tap, d->viewer != NULL ? d->viewer->backend : NULL);
    if (r < 0) {
        machine_display_destroy(d);
        return r;
    }
    *out = d;
    return 0;
}

void machine_display_stop(struct machine_display *d)
{
    if (d != NULL && d->viewer != NULL && !d->stopped)
        d->viewer->ops->stop(d->viewer);
    if (d != NULL)
        d->stopped = true;
}

void machine_display_destroy(struct machine_display *d)
{
    if (d == NULL)
        return;
    machine_display_stop(d);
    display_tap_destroy(d->tap);
    if (d->viewer != NULL)
        d->viewer->ops->destroy(d->viewer);
    free(d);
}

struct display_backend *machine_display_backend(const struct machine_display *d)
{
    return d != NULL ? display_tap_backend(d->tap) : NULL;
}

int machine_display_copy(const struct machine_display *d, unsigned scanout,
                         struct display_picture *out)
{
    return d != NULL ? display_tap_copy(d->tap, scanout, out) : -ENODEV;
}
