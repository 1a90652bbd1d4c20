// SPDX-License-Identifier: BSD-2-Clause
/*
 * What it costs a guest to leave to the host and to come back, by what answers: KVM, the VMM, or an
 * eventfd. The guest is the bare-metal exits.c, at privilege level 3, where it runs natively even
 * if KVM emulates level 0.
 */
#include <stdio.h>

#include "bench.h"
#include "proc.h"
#include "runs.h"
#include "vm.h"

#define RUN_MS 200

enum figure { CPU_NS, NS, PER_SECOND };
enum pattern { PORT, APIC, REGISTER, DOORBELL, CPUID }; /* numbered as the guest has them */

static struct results results = {
    .bench = "exit",
    .title = "Cost of an exit, from the guest to the host and back",
    .rounds = 20,
    .patterns = {[PORT] = {.name = "port", .title = "A port without a device: the VMM answers"},
                 [APIC] = {.name = "apic", .title = "Register of the local APIC: KVM answers"},
                 [REGISTER] = {.name = "register",
                               .title = "Register of a device: the VMM answers"},
                 [DOORBELL] = {.name = "doorbell", .title = "Doorbell: KVM signals an eventfd"},
                 [CPUID] = {.name = "cpuid", .title = "CPUID: KVM answers"}},
    .figures = {[CPU_NS] = {.name = "cpu_ns",
                            .title = "CPU ns",
                            .label = "CPU time of an exit",
                            .unit = "µs",
                            .scale = 1e-3},
                [NS] = {.name = "ns", .title = "ns"},
                [PER_SECOND] = {.name = "per_s", .title = "exits/s"}},
};

static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    char orders[64];
    struct vm_run r = {.name = v->name};
    double rate = vm_ticks_per_us();
    snprintf(orders, sizeof(orders), "what=%d ticks=%.0f linger=%.0f", pattern, rate * RUN_MS * 1e3,
             rate * VM_LINGER_MS * 1e3);
    struct vmm_guest g = {
        .kernel = bench_guest("exits"), .append = orders, .mem_mib = 128, .cpus = 1};
    if (pattern == REGISTER || pattern == DOORBELL)
        g.device = VMM_RNG;
    (void)b;
    r.pid = vmm_start(v, &g, -1, &r.fd);
    vm_await_line(&r, "exit: start");
    double cpu_ms = -proc_cpu_ms(r.pid);
    const char *line = vm_await_line(&r, "exit: end");
    cpu_ms += proc_cpu_ms(r.pid);
    double us = vm_number(&r, line, "ticks") / rate, exits = vm_number(&r, line, "exits");
    figures[CPU_NS] = cpu_ms * 1e6 / exits;
    figures[NS] = us * 1e3 / exits;
    figures[PER_SECOND] = exits / us * 1e6;
    vm_end(&r);
}

/* Without hardware virtualization a CPUID at level 3 may have no answer. */
static bool can(const struct bench *b, const struct vmm *v, int pattern)
{
    if (pattern == REGISTER || pattern == DOORBELL)
        return vmm_has(v, VMM_RNG);
    return pattern != CPUID || b->hardware;
}

int main(int argc, char **argv)
{
    struct bench b = {
        .results = &results,
        .run = run,
        .can = can,
        .about = "\nThe time of a guest's exit to the host and back.\n",
        .notes = "CPU: of all threads of the VMM, the guest's time included; ns: from the guest's\n"
                 "instruction to its next, by the clock, which goes on while others have the "
                 "processor\n",
    };
    return bench_main(&b, argc, argv);
}
