// SPDX-License-Identifier: BSD-2-Clause
#include <cpuid.h>
#include <stddef.h>

#include "tap.h"
#include "tvm.h"

const struct tap_test *const tap_groups[] = {
    exit_tests, port_tests,        end_tests,     fault_tests,
    irq_tests,  smp_tests,         kick_tests,    cycle_tests,
    disk_tests, framebuffer_tests, hostile_tests, live_tests,
    run_tests,  terminal_tests,    bench_tests,   NULL};

/* CPUID: leaf 1, ecx 5 is VMX, leaf 0x80000001, ecx 2 is SVM. */
bool tvm_has_virtualization(void)
{
    unsigned a, b, c, d;
    return (__get_cpuid(1, &a, &b, &c, &d) && (c >> 5 & 1)) ||
           (__get_cpuid(0x80000001, &a, &b, &c, &d) && (c >> 2 & 1));
}
