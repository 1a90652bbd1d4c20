// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine: memory, buses, devices, vCPUs, and what the guest finds at power-on, wired together.
 * machine.c reads from top to bottom in the order in which things are made; they are destroyed in
 * reverse.
 *
 * Threads: the caller's (create, start, stop, destroy), the I/O loop, loops that devices ask for,
 * one a vCPU.
 */
#ifndef MINIVET_VMM_MACHINE_H
#define MINIVET_VMM_MACHINE_H

#include <stdbool.h>
#include <stdio.h>

#include "core/ports/input.h"
#include "core/ports/power.h"
#include "virtio/balloon/balloon.h"
#include "vmm/config/config.h"
#include "vmm/machine/explain.h"

struct arch;
struct blk_file;
struct blk_file_config;
struct cancel;
struct console_end;
struct display_backend;
struct display_picture;
struct facts;
struct hv;
struct machine;
struct tape;
struct timeline;

struct machine_config {
    const struct arch *arch;
    const struct vm_config *vm;
    const struct hv *hv;
    int64_t clock_ahead_s;     /* the guest's real-time clock, of the host's */
    struct tape *tape;         /* it is recorded there; NULL: it is not */
    struct timeline *timeline; /* likewise */
    /* Ends machine_create() early, by an error. NULL: nothing does. */
    const struct cancel *cancel;
    /*
     * Shows the guest's pictures, and is called on the I/O loop; the machine's from here on, also
     * where machine_create() fails. NULL: there are none.
     */
    struct display_backend *display;
    uint32_t framebuffer_width, framebuffer_height; /* 0: the default */
    bool has_bitten;    /* the guest's watchdog, which is why it starts */
    struct power power; /* only the first request of a run comes through */
    /* The guest's watchdog bites; on the I/O loop, with power's ctx. */
    void (*on_bite)(void *ctx);
    void (*on_hang)(void *ctx); /* likewise: of a hang, with vm's hang_ns */
    /* When all threads but the vCPUs' have begun: the main thread. NULL: nothing. */
    void (*before_guest)(void);
};

/* Errors are reported. */
int machine_create(struct machine **out, const struct machine_config *config);
int machine_start(struct machine *m);

/* Ends the vCPUs, then what the devices have in flight; flushes the console. */
void machine_stop(struct machine *m);
void machine_destroy(struct machine *m); /* NULL is allowed */

/*
 * After machine_stop() of a guest that was reset: was that an emergency such as a panic? Then Linux
 * still uses the hypervisor's clock, which it gives up before an orderly reset. Where there is no
 * such clock, the console's output tells.
 */
bool machine_had_emergency(struct machine *m);

/*
 * After machine_start(), on the thread of machine_pause() or after machine_stop(): writes what a
 * person wants to know of a guest that ends so (vmm/machine/explain.h). A guest that runs is paused
 * for that. A negative errno: it cannot go on; reported.
 */
int machine_explain(struct machine *m, enum machine_end end, FILE *out);

/* With --stats: prints what it has done so far. After machine_start(), until machine_destroy(). */
void machine_print_stats(struct machine *m);

/* Presses a button: at the power button most guests shut down. Any thread, between machine_start()
 * and machine_destroy(). */
void machine_press(struct machine *m, enum power_button button);

/*
 * Between machine_start() and machine_stop(), by one thread that is neither a vCPU's nor a loop's
 * of the machine: stops the guest where it is, and lets it go on. Its devices end what they have
 * begun. Nothing happens if it is so already. A negative errno: it cannot go on; reported.
 */
void machine_pause(struct machine *m);
int machine_resume(struct machine *m);

/*
 * Names what the machine is, and how each part of it stands; or one device alone, see
 * virtio_devices_describe(). Nothing changes by that. Like machine_pause().
 */
int machine_describe(struct machine *m, const char *device, struct facts *f);

/* With --stats: what it has done so far, as JSON; -ENODATA without. Like machine_print_stats(). */
int machine_stats_json(struct machine *m, FILE *out);

/* Where a person's input for such a device goes; NULL: the machine has none. */
struct input_sink *machine_input(const struct machine *m, enum input_kind kind);

/* What a scanout shows: see machine_display_copy(). Not for a vCPU's thread. */
int machine_picture(struct machine *m, unsigned scanout, struct display_picture *out);

struct machine_balloon {
    uint64_t memory_bytes; /* the guest's, with what is in the balloon */
    struct virtio_balloon_status status;
    uint64_t stats_age_ns; /* of the status' statistics, if there are any */
};

/*
 * How large the balloon is. With size_bytes it is asked to leave the guest so much, at most all of
 * its memory. -ENODEV: there is none; -EBUSY: the run is recorded, and cannot be told; -ERANGE: the
 * guest has less memory. Not for a vCPU's thread.
 */
int machine_balloon(struct machine *m, const uint64_t *size_bytes, struct machine_balloon *out);

/*
 * Pulls the cable of a network card (0: the first), or puts it back. -ENODEV: there is no such
 * card; -EBUSY: the run is recorded; -EOPNOTSUPP: its packets do not pass Minivet. Not for a vCPU's
 * thread.
 */
int machine_set_link(struct machine *m, unsigned card, bool up);

/*
 * Of a disk (0: the first): a descriptor of its file, for the caller to give it so many bytes, as
 * blk_file_begin_resize(); then the guest is told. -ENODEV: there is no such disk; -EBUSY: the run
 * is recorded; -EOPNOTSUPP: another process has the disk, or nothing; -ERANGE: it is larger. Not
 * for a vCPU's thread.
 */
int machine_begin_resize(struct machine *m, unsigned disk, uint64_t bytes);
void machine_end_resize(struct machine *m, unsigned disk, uint64_t bytes);

/*
 * Another file for a disk, as virtio_devices_begin_swap() and virtio_devices_swap(); -EBUSY: the
 * run is recorded. The machine's user says in its vm_config what the disk's file is then. Not for a
 * vCPU's thread.
 */
int machine_begin_swap(struct machine *m, unsigned disk, struct blk_file_config *out);
int machine_swap(struct machine *m, unsigned disk, struct blk_file *spare);

/*
 * Adds a port to the virtio console, or removes one: see console.h; -ENODEV, too, if there is no
 * virtio console. Neither is for a vCPU's thread.
 */
int machine_add_port(struct machine *m, struct console_end *end);
int machine_remove_port(struct machine *m, const char *name, struct console_end **out);
/* The terminal at a port has that size, and the guest is told. -ENODEV: there is no such port;
 * -ENOTTY: it has no terminal in the guest. */
int machine_resize_port(struct machine *m, const char *name, uint16_t columns, uint16_t rows);
/* The ports that there are now. */
void machine_each_port(struct machine *m, void (*each)(void *ctx, const struct port_config *port),
                       void *ctx);

/* The terminal's size changed. */
void machine_terminal_resized(struct machine *m);

/* Sends a signal to the command in the guest; false: none has begun. As machine_press(). */
bool machine_signal(struct machine *m, int signo);

/* Is there a command, and has it begun? Any thread. */
bool machine_ran_command(const struct machine *m);
#endif
