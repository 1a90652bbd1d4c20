// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a person wants to know when a run ends otherwise than it should, or a guest does nothing any
 * more: what happened, where its vCPUs are, what its devices have yet to answer, what its console
 * said last, and what to do next. A report of some lines.
 */
#ifndef MINIVET_VMM_EXPLAIN_H
#define MINIVET_VMM_EXPLAIN_H

#include <stdbool.h>
#include <stdio.h>

struct tail;
struct vcpus;
struct virtio_devices;

enum machine_end {
    MACHINE_PANICKED, /* or triple-faulted */
    MACHINE_FAILED,   /* a vCPU cannot go on */
    MACHINE_HANGS,
    MACHINE_TIMED_OUT,
    MACHINE_HAS_NO_COMMAND, /* it ended before the one that it was to run */
    MACHINE_ASKED,          /* nothing happened: a person wants to know */
};

struct explain {
    enum machine_end end;
    struct vcpus *vcpus; /* which do not run */
    const struct virtio_devices *virtio;
    const struct tail *tail; /* NULL: a person has the console's output before his eyes */
    bool all;                /* of a guest with many vCPUs */
};

/* On the main loop. */
void explain(const struct explain *e, FILE *out);

#endif
