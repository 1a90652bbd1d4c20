// SPDX-License-Identifier: BSD-2-Clause
#include <stddef.h>

#include "tap.h"

const struct tap_test *const tap_groups[] = {
    exit_tests, port_tests,        end_tests,     fault_tests,
    irq_tests,  smp_tests,         kick_tests,    cycle_tests,
    disk_tests, framebuffer_tests, hostile_tests, live_tests,
    run_tests,  terminal_tests,    bench_tests,   NULL};
