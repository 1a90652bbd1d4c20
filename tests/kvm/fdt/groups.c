// SPDX-License-Identifier: BSD-2-Clause
#include <stddef.h>

#include "tap.h"
#include "tvm.h"

const struct tap_test *const tap_groups[] = {
    exit_tests, end_tests,         irq_tests,     smp_tests, kick_tests,     cycle_tests,
    disk_tests, framebuffer_tests, hostile_tests, run_tests, terminal_tests, NULL};

/* There is no KVM without. */
bool tvm_has_virtualization(void)
{
    return true;
}
