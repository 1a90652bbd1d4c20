// SPDX-License-Identifier: BSD-2-Clause
/*
 * Plays a script on a device that is made for it, and judges what the guest sees and what is left.
 * A finding ends the process by abort(), with a line that says which rule, at which step.
 *
 * What is judged, beside what sanitizers see:
 *   - a step makes the loop turn so many times at most;
 *   - a driver that keeps to the rules gets back what it gave: chains that were in flight, no more
 *     bytes than there was room for, nothing changed in memory but what was the device's to write;
 *   - after the script the device is reset and serves a real request;
 *   - then it leaves no file open and no memory behind.
 */
#ifndef MINIVET_TESTS_FUZZ_PLAY_H
#define MINIVET_TESTS_FUZZ_PLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/fuzz/script.h"

/* What the guest has seen after each step, as a hash. */
struct fuzz_trace {
    bool full; /* somewhere there was no room in a ring, which depends on the ring's kind */
    uint64_t seen[FUZZ_STEPS_MAX];
};

/* In place of those of the script's head. */
struct fuzz_setting {
    unsigned variant;
    bool indirect;
    bool epoll; /* the loop runs without io_uring */
    bool live;  /* in a machine of KVM's, whose guest makes the accesses */
};

/* trace: NULL, or filled; log: NULL, or told each step before it is done. */
void fuzz_play_on(const struct fuzz_script *s, const struct fuzz_setting *on,
                  struct fuzz_trace *trace, FILE *log);
/* On what the script says. */
void fuzz_play(const struct fuzz_script *s, FILE *log);

/* In a machine of KVM's (live.c), on that variant. */
void fuzz_play_live(const struct fuzz_script *s, unsigned variant, FILE *log);

/*
 * A portable script on all transports and rings, with direct and indirect chains, on both engines
 * of the loop: a difference is a finding. Others are played as they are.
 */
void fuzz_play_everywhere(const struct fuzz_script *s);

/* Frees what is kept from script to script. */
void fuzz_play_end(void);

#endif
