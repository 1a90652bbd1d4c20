// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bare-metal guests on a real /dev/kvm. Usage: test_kvm_guests [--tap=FILE] [PART-OF-A-NAME]
 * FILE has the results, and not standard output. The guests are found in $MINIVET_GUESTS, else
 * where the build made them.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "kvm/kvm.h"
#include "tap.h"

static void drop(void *ctx, enum log_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
}

int main(int argc, char **argv)
{
    char reason[80];
    if (argc > 1 && strncmp(argv[1], "--tap=", 6) == 0) {
        if (freopen(argv[1] + 6, "w", stdout) == NULL) {
            perror(argv[1] + 6);
            return 1;
        }
        argc--, argv++;
    }
    log_set_sink(drop, NULL);
    int n = hv_kvm.capabilities(NULL, 0);
    log_set_sink(NULL, NULL);
    if (n < 0)
        snprintf(reason, sizeof(reason), "/dev/kvm: %s", strerror(-n));
    return tap_run(tap_groups, n < 0 ? reason : NULL, argc > 1 ? argv[1] : NULL);
}
