// SPDX-License-Identifier: BSD-2-Clause
/*
 * A recording, played on devices that are made for it: the same that the recorded command line
 * makes, without a guest, without its backends and without a hypervisor.
 */
#ifndef MINIVET_VMM_REPLAY_H
#define MINIVET_VMM_REPLAY_H

#include <stdbool.h>
#include <stdio.h>

/*
 * What differs is said on `out`, and if asked for each step. 0: nothing; 1: something; a negative
 * errno: it cannot be played, which has been reported.
 */
int replay_run(const char *path, FILE *out, bool each);

struct tape;
/* The same of a tape that is open, and is closed. */
int replay_tape(struct tape *tape);

#endif
