// SPDX-License-Identifier: BSD-2-Clause
/*
 * The boot's timeline (--timeline): what happened when, and how much processor time the process had
 * used by then. Any thread adds to it; nothing is allocated or locked, and a guest cannot make it
 * grow: an event of the console and a byte at the POST port count once, the first time.
 *
 * A phase is the time between two events, and is called after the one that ends it.
 */
#ifndef MINIVET_VMM_TIMELINE_H
#define MINIVET_VMM_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/output/outputs.h"

#define TIMELINE_MARKS      16  /* texts to look for, at most */
#define TIMELINE_MARK_BYTES 128 /* the longest of them */

struct plot;
struct timeline;

/* The part of a run that a phase belongs to. */
enum timeline_part {
    TIMELINE_SETUP,
    TIMELINE_GUEST,
    TIMELINE_TEARDOWN,
};

struct timeline_event {
    const char *name; /* lives as long as the process */
    int code;         /* the byte at the POST port, or -1 */
    enum timeline_part part;
    uint64_t ns, cpu_ns; /* monotonic time; the process's processor time since its fork */
};

/* This moment, as an event of that name. */
struct timeline_event timeline_now(enum timeline_part part, const char *name);

/*
 * It begins with the start of the process, reckoned back from now, and with what main() took first.
 * path: where it will be written; NULL: to standard error. Marks (ended by NULL) are texts to look
 * for on the console. Reported.
 */
int timeline_create(struct timeline **out, const char *path, const char *const *marks,
                    const struct timeline_event *began);
/*
 * Writes it, when all threads that add to it have ended. A plot waits for gnuplot: not on a loop.
 * NULL is allowed.
 */
void timeline_finish(struct timeline *t);

/* In all of these NULL is no timeline. */
void timeline_add(struct timeline *t, enum timeline_part part, const char *name);
void timeline_code(struct timeline *t, uint8_t code);
/* What the console prints, in order; on one thread. */
void timeline_console(struct timeline *t, const uint8_t *data, size_t len);

/* Both take events in order of time. -ENOMEM; reported. */
int timeline_print(const struct timeline_event *events, unsigned count, enum timeline_format format,
                   FILE *out);
/* Writes what gnuplot is to draw. */
void timeline_plot(const struct timeline_event *events, unsigned count, struct plot *plot);

#endif
