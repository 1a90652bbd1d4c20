// SPDX-License-Identifier: BSD-2-Clause
/* `minivet replay`: play recordings, and say where the devices answer differently. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/fail.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/replay/replay.h"

static int usage(FILE *out)
{
    fputs("usage: minivet replay [-v] FILE...\n\n"
          "Plays what `minivet run --record FILE` has recorded to the device model, without KVM\n"
          "and without the guest, and compares what the devices answer. -v shows each step.\n\n"
          "exit status: 0 they answer as recorded, 1 they do not, 2 wrong command line,\n"
          "             125 a file cannot be played\n",
          out);
    return out == stdout ? 0 : EXIT_USAGE;
}

int cli_replay(int argc, char **argv)
{
    bool each = false;
    int i = 1, status = 0;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return usage(stdout);
        each = strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "--verbose") == 0;
        if (!each) {
            fail_msg(0, "%s: unknown option; see `minivet replay --help`", argv[i]);
            return EXIT_USAGE;
        }
    }
    if (i >= argc)
        return usage(stderr);
    for (; i < argc; i++) {
        int r = replay_run(argv[i], stdout, each);
        if (r < 0)
            return EXIT_SETUP;
        if (r > 0)
            status = 1;
    }
    return status;
}
