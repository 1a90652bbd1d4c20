// SPDX-License-Identifier: BSD-2-Clause
/* `minivet replay`: play recordings, and say where the devices answer differently. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/cli/cli.h"
#include "vmm/exit_code.h"
#include "vmm/replay.h"

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
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    bool each = argc > 1 && strcmp(argv[1], "-v") == 0;
    int first = 1 + each, status = 0;
    if (argc <= first || argv[first][0] == '-')
        return usage(stderr);
    for (int i = first; i < argc; i++) {
        int r = replay_run(argv[i], stdout, each);
        if (r < 0)
            return EXIT_SETUP;
        if (r > 0)
            status = 1;
    }
    return status;
}
