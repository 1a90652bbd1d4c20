// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bare-metal guests on a real /dev/kvm. Usage: test_kvm_guests [PART-OF-A-NAME]
 * The guests are found in $MINIVET_GUESTS, by default where the build made them.
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
    static const struct tap_test *const groups[] = {
        exit_tests,  end_tests,      irq_tests,         smp_tests,     kick_tests,
        cycle_tests, disk_tests,     framebuffer_tests, hostile_tests, live_tests,
        run_tests,   terminal_tests, bench_tests,       NULL};
    char reason[80];
    log_set_sink(drop, NULL);
    int n = hv_kvm.capabilities(NULL, 0);
    log_set_sink(NULL, NULL);
    if (n < 0)
        snprintf(reason, sizeof(reason), "/dev/kvm: %s", strerror(-n));
    return tap_run(groups, n < 0 ? reason : NULL, argc > 1 ? argv[1] : NULL);
}
