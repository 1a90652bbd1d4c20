// SPDX-License-Identifier: BSD-2-Clause
/*
 * The control socket of a run (--ctl PATH): programs of the same user tell Minivet what to do, a
 * line of JSON each, and get a line of JSON back for each, in order.
 *
 *     > {"command": "power", "args": [], "id": 1}
 *     < {"id": 1, "result": null}
 *     > {"command": "eject"}
 *     < {"error": "eject: no such command; `help` lists all"}
 *
 * Everything runs on one loop, and nothing waits: a client that takes no answer is not heard any
 * more, and one that sends too long a line is closed; so is the one that has said nothing for the
 * longest time, when one more comes than there are places. `minivet ctl` is a client; commands.c
 * has the commands.
 */
#ifndef MINIVET_VMM_CONTROL_H
#define MINIVET_VMM_CONTROL_H

#include <stdbool.h>
#include <stdio.h>

#include "core/ports/input.h"
#include "core/ports/power.h"
#include "devices/disk/blk_file.h"
#include "devices/display/tap.h"

struct clock;
struct console_end;
struct control;
struct cJSON;
struct evloop;
struct facts;
struct machine_balloon;
struct port_config;
struct vm_config;

#define CONTROL_CLIENTS    8u
#define CONTROL_LINE_BYTES 65536u /* of a command, its newline included */
#define CONTROL_ARGS       8u
#define CONTROL_PATH_BYTES 4096u /* of a file, its NUL included */

/* What a command may do to the run. On the loop. */
struct control_target {
    const char *kernel;      /* its file */
    bool (*runs)(void *ctx); /* is there a guest? */
    /* If there is: machine_press(). */
    void (*press)(void *ctx, enum power_button button);
    /* Likewise: where input for such a device goes; NULL: the guest has none. */
    struct input_sink *(*input)(void *ctx, enum input_kind kind);
    /* Likewise: what a scanout shows; a negative errno. */
    int (*picture)(void *ctx, unsigned scanout, struct display_picture *out);
    /* Likewise: machine_balloon(). */
    int (*balloon)(void *ctx, const uint64_t *size_bytes, struct machine_balloon *out);
    /* Likewise: stops it or lets it go on; a negative errno: it cannot, and has ended. */
    int (*pause)(void *ctx, bool on);
    bool (*is_paused)(void *ctx);
    /* Likewise, at once; -EPERM: a reset ends the run. */
    int (*reset)(void *ctx);
    /* Likewise: its statistics, as JSON; a negative errno, -ENODATA: there are none. */
    int (*stats)(void *ctx, FILE *out);
    /* Likewise: machine_describe(). */
    int (*describe)(void *ctx, const char *device, struct facts *f);
    /* Likewise: machine_explain(), of a guest with which nothing is wrong. */
    int (*explain)(void *ctx, FILE *out);
    /* Likewise: machine_set_link(). */
    int (*set_link)(void *ctx, unsigned card, bool up);
    /* Likewise: machine_begin_resize(); -EALREADY: another one is under way, or a swap. */
    int (*begin_resize)(void *ctx, unsigned disk, uint64_t bytes);
    /* Its end, even if there is no guest any more. 0 bytes: it was in vain. */
    void (*end_resize)(void *ctx, unsigned disk, uint64_t bytes);
    /* Likewise: machine_begin_swap(); and machine_swap(), -ENXIO without a guest, after which that
     * disk's file has this path. The end as of a resize. */
    int (*begin_swap)(void *ctx, unsigned disk, struct blk_file_config *out);
    int (*swap)(void *ctx, unsigned disk, struct blk_file *spare, const char *path);
    void (*end_swap)(void *ctx);
    /* Likewise: machine_resize_port(). */
    int (*resize_port)(void *ctx, const char *name, uint16_t columns, uint16_t rows);
    /* Likewise: machine_add_port(), machine_remove_port(). */
    int (*add_port)(void *ctx, struct console_end *end);
    int (*remove_port)(void *ctx, const char *name, struct console_end **out);
    /* The ports of the virtio console; those that the user asked for if there is no guest. */
    void (*each_port)(void *ctx, void (*each)(void *arg, const struct port_config *port),
                      void *arg);
    void (*stop)(void *ctx); /* ends the run as Ctrl-A x does */
    void *ctx;
};

struct control_config {
    struct evloop *loop;
    const struct clock *clock; /* the loop's */
    const char *path;          /* outlives the server */
    struct control_target target;
};

/* Before the loop runs, or on it. Errors are reported. */
int control_create(struct control **out, const struct control_config *config);
/*
 * The same rule. Waits for what helpers do, which the server of a file system may hold up; the
 * loop's other descriptors are heard meanwhile. Removes the socket's path. NULL is allowed.
 */
void control_destroy(struct control *c);

/* ---- for control.c: what commands there are ---- */

/* Of a text, its NUL included: input devices hold all of it, however slow the guest is. */
#define CONTROL_TYPED_BYTES 129u

/* What a command leaves for later; zeroed before. Either may set `error`. */
struct control_task {
    void (*run)(struct control_task *t); /* NULL: nothing. On a helper thread, after step() */
    /* NULL: nothing. On the loop, at once and every few milliseconds, while it returns true. */
    bool (*step)(struct control_task *t, const struct control_target *target);
    /* NULL: nothing. On the loop, after run(). It may set the three anew. */
    void (*end)(struct control_task *t, const struct control_target *target);
    char error[256];
    char text[CONTROL_TYPED_BYTES];
    uint32_t typed; /* of the text */
    char path[CONTROL_PATH_BYTES];
    struct display_picture picture; /* freed by the caller */
    int fd;                         /* of a disk */
    unsigned disk;
    uint64_t bytes;
    struct blk_file_config opens; /* its next file */
    struct blk_file *spare;       /* it, or its last one; closed by the caller */
    unsigned looks;               /* whether requests are in flight */
    struct vm_config *config;     /* with the port that is added */
    struct console_end *port;     /* of a port */
};

/*
 * Runs one; the result belongs to the caller. NULL: it was refused, and task->error says why. With
 * a task the result is the answer if that succeeds. The object is as it came, so anything may be
 * wrong with it.
 */
struct cJSON *control_run(const struct control_target *target, const struct cJSON *request,
                          struct control_task *task);

#endif
