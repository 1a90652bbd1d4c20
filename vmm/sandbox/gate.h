// SPDX-License-Identifier: BSD-2-Clause
/* A system call that a filter refused, as SIGSYS tells it; and a way past the filter, for reports.
 */
#ifndef MINIVET_VMM_SANDBOX_GATE_H
#define MINIVET_VMM_SANDBOX_GATE_H

#include <stdint.h>

/* A filter lets calls pass whose next instruction this is. */
extern const char gate_end[];

/* The call that the signal's context holds: its number, an argument from 0. */
long gate_number(const void *context);
uint64_t gate_argument(const void *context, unsigned which);

/* Makes the call after all; what it answers becomes the thread's. In the signal's handler. */
void gate_pass(void *context);

#endif
