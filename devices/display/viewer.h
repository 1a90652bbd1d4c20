// SPDX-License-Identifier: BSD-2-Clause
/*
 * A viewer: shows what a guest's display has (devices/display/screen.h), and tells an input sink
 * what a person does there. It has a thread of its own, so that a window system or a network that
 * is slow holds up neither a loop nor a vCPU.
 */
#ifndef MINIVET_DEVICES_VIEWER_H
#define MINIVET_DEVICES_VIEWER_H

#include <stdbool.h>

struct cancel;
struct clock;
struct display_backend;
struct evloop;
struct input_sink;
struct viewer;

struct viewer_config {
    struct evloop *loop;         /* the display device's */
    struct input_sink *input;    /* NULL: nothing is heard */
    bool is_absolute;            /* the guest has a tablet: pointers are sent as positions */
    bool has_touch;              /* the guest has a touch screen: fingers are no pointers */
    const char *name;            /* of the guest, for titles */
    const struct clock *clock;   /* NULL: the host's */
    const struct cancel *cancel; /* ends the set-up early; NULL: nothing does */
    /* The viewer's thread: a person has closed the window. */
    void (*on_close)(void *ctx);
    void *ctx;
};

struct viewer_ops {
    /* Ends its thread: no call of the sink, of on_close() or of the loop comes after it. While the
     * loop runs, or in its place. */
    void (*stop)(struct viewer *v);
    void (*destroy)(struct viewer *v); /* after stop() */
};

struct viewer {
    const struct viewer_ops *ops;
    struct display_backend *backend; /* for the device */
};

/* ---- kinds; errors are reported ---- */

/* A window for each scanout. */
int viewer_sdl_create(struct viewer **out, const struct viewer_config *config);

/* address: ":N", "HOST:N" (port 5900 + N) or "unix:PATH". password_file: NULL for none. */
int viewer_vnc_create(struct viewer **out, const struct viewer_config *config, const char *address,
                      const char *password_file);

/* Files DIR/N-MMMMMM.png: scanout and number of the frame; at most ten a second. */
int viewer_png_create(struct viewer **out, const struct viewer_config *config, const char *dir);

#endif
