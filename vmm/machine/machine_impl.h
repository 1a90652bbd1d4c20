// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the files of a machine share:
 *
 *     machine.c        it is made, started, stopped and destroyed
 *     machine_asks.c   what a user asks of one that runs
 */
#ifndef MINIVET_VMM_MACHINE_IMPL_H
#define MINIVET_VMM_MACHINE_IMPL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/loop/evloop.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/tail.h"
#include "vmm/report/usage.h"

struct machine {
    struct machine_config config;
    struct gmem *gmem;
    struct hv_vm *vm;
    struct bus *mmio, *pio; /* pio is NULL in an architecture without port I/O */
    struct evloop *loop;
    struct seam *seam; /* NULL: nothing is recorded */
    atomic_bool ended;
    uint64_t started_ns;
    bool stopped, paused;

    struct chr_backend *terminal; /* of the process, as the console; NULL: it is not */
    struct command *command;      /* of the user's, in the guest, or NULL */
    struct chr_backend *log;      /* of what the guest prints there, or NULL */
    bool log_is_short;
    struct tail tail;
    struct input_hub *input;         /* NULL: there are no input devices */
    struct machine_display *display; /* NULL: there are no pictures */
    atomic_bool closed;              /* a person has closed the window once */
    struct ev_post resized, signalled;
    _Atomic uint64_t signals;                                /* for the command, by number */
    struct display_backend *first_picture, *adapter_picture; /* they take turns on the display */
    struct framebuffer *framebuffer;
    bool is_seen; /* else pictures are for scripts alone, which want none of before a driver */
    struct board *board;
    struct virtio_devices *virtio;
    struct vcpus *vcpus;
    struct hang *hang; /* NULL: without --hang */
    char *cmdline;     /* the kernel's */

    /* At the end of the guest's run, while all threads were there. Not cleared. */
    struct usage usage;
};

static inline bool machine_is_measured(const struct machine *m)
{
    return m->config.vm->stats != STATS_OFF;
}

#endif
