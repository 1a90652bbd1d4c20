// SPDX-License-Identifier: BSD-2-Clause
//
// default-signals PROGRAM [ARG...]: run PROGRAM, given by its path, with the default action for
// each signal. A shell starts what runs in the background with SIGINT and SIGQUIT ignored, which no
// shell below it can undo.
#include "freestanding.h"

#define SIGNALS 64

static long program(long argc, char **argv)
{
    static const struct signal_action by_default;

    if (argc < 2) {
        return 2;
    }
    for (long signal = 1; signal <= SIGNALS; signal++) {
        syscall5(SYS_RT_SIGACTION, signal, (long)&by_default, 0, sizeof(by_default.mask), 0);
    }
    return -syscall3(SYS_EXECVE, (long)argv[1], (long)(argv + 1), (long)(argv + argc + 1));
}
