// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/explain.h"

#include <stddef.h>

#include "vmm/machine/tail.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/virtio_devices.h"

#define VCPUS_SHOWN 8u

static const char addresses[] =
    "next: with --kaslr off addresses are those of the kernel's vmlinux: addr2line -e vmlinux "
    "ADDRESS";

/* Of a triple fault, whose end is that of a panic. */
static const char *const what[] = {
    [MACHINE_PANICKED] = "the guest's kernel panicked",
    [MACHINE_FAILED] = "a vCPU cannot go on",
    [MACHINE_HANGS] = "the guest hangs",
    [MACHINE_TIMED_OUT] = "the guest was still running",
    [MACHINE_HAS_NO_COMMAND] = "the guest has ended before the command began",
    [MACHINE_ASKED] = "the guest runs",
};

static const char *const next[] = {
    [MACHINE_PANICKED] = "next: the console says why (--log FILE keeps it); -v shows the vCPUs",
    [MACHINE_FAILED] = "next: `minivet check` says what this host can do",
    [MACHINE_HANGS] = addresses,
    [MACHINE_TIMED_OUT] = addresses,
    [MACHINE_HAS_NO_COMMAND] = "next: -v shows all; docs/commands.md says what a guest needs",
    [MACHINE_ASKED] = addresses,
};

static void print_requests(const struct virtio_devices *virtio, FILE *out)
{
    fputs("in flight:", out);
    unsigned count = virtio_devices_print_in_flight(virtio, out);
    fputs(count == 0 ? " no virtio device has a request\n" : "\n", out);
}

static void print_console(const struct tail *tail, FILE *out)
{
    if (tail->printed == 0) {
        fputs("the console printed nothing\n", out);
        return;
    }
    fputs("the console's last lines:\n", out);
    (void)tail_print(tail, "  | ", out);
}

void explain(const struct explain *e, FILE *out)
{
    bool triple = vcpus_triple_faulted(e->vcpus);
    bool registers =
        e->all || triple || (e->end != MACHINE_PANICKED && e->end != MACHINE_HAS_NO_COMMAND);
    fprintf(out, "report: %s\n", triple ? "the guest triple-faulted" : what[e->end]);
    if (registers)
        vcpus_print(e->vcpus, e->all ? HV_MAX_VCPUS : VCPUS_SHOWN, out);
    print_requests(e->virtio, out);
    if (e->tail != NULL)
        print_console(e->tail, out);
    fprintf(out, "%s\n", triple ? addresses : next[e->end]);
}
