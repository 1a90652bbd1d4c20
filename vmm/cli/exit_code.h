// SPDX-License-Identifier: BSD-2-Clause
/*
 * How `minivet run` ends. A guest that writes a byte to the debug-exit port chooses the status
 * itself; a signal that ends Minivet gives 128 plus its number, as a shell would say it.
 */
#ifndef MINIVET_VMM_EXIT_CODE_H
#define MINIVET_VMM_EXIT_CODE_H

enum exit_code {
    EXIT_GUEST_OFF = 0,     /* powered off, or reset */
    EXIT_USAGE = 2,         /* the command line is wrong */
    EXIT_GUEST_HANGS = 121, /* the guest's watchdog bit */
    EXIT_VMM_FAULT = 122,   /* Minivet or a device of it failed */
    EXIT_GUEST_PANIC = 123, /* the guest's kernel panicked, or a triple fault */
    EXIT_TIMEOUT = 124,     /* --timeout ran out */
    EXIT_SETUP = 125,       /* the machine could not be built */
    EXIT_SIGNAL_BASE = 128,
};

#endif
