// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hypervisor port: what the machine needs of whatever runs guest code. vmm/kvm implements it on
 * /dev/kvm; the tests' harness has a fake. No type of the KVM API shows here.
 *
 * Errors are negative errnos, reported by the implementation.
 */
#ifndef MINIVET_CORE_HV_H
#define MINIVET_CORE_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/ports/doorbell.h"
#include "core/ports/irq.h"

struct gmem;
struct hv_arch;
struct hv_vm;
struct hv_vcpu;

#define HV_MAX_VCPUS 64

/* ---- why a vCPU came back ---- */
enum hv_exit_reason {
    HV_EXIT_INTERRUPTED, /* kicked, or a signal */
    HV_EXIT_PIO,
    HV_EXIT_MMIO,
    HV_EXIT_HALT,           /* only without an in-kernel irqchip */
    HV_EXIT_SHUTDOWN,       /* triple fault */
    HV_EXIT_RESET,          /* asked for through the hypervisor's own interface */
    HV_EXIT_POWER_OFF,      /* likewise */
    HV_EXIT_CRASH,          /* the guest reports its own panic */
    HV_EXIT_ENTRY_FAILED,   /* the processor refused the guest's state */
    HV_EXIT_INTERNAL_ERROR, /* the hypervisor could not go on: emulation, event delivery */
    HV_EXIT_UNKNOWN,        /* none of these */
};

struct hv_exit {
    enum hv_exit_reason reason;
    uint64_t addr; /* port or guest-physical address */
    void *data;    /* to be read (writes) or filled (reads); count * width bytes */
    uint32_t width;
    uint32_t count; /* port string instructions: how many; else 1 */
    bool is_write;
    uint32_t raw_reason; /* the hypervisor's number and detail, for messages */
    uint64_t raw_detail;
};

/* ---- what a host offers, for `minivet check` ---- */
struct hv_capability {
    const char *name; /* as the hypervisor's documentation spells it */
    const char *used_for;
    bool required;
    int value; /* 0: absent */
};

/* ---- what the hypervisor has counted itself ---- */
struct hv_stat {
    char name[48]; /* as the hypervisor calls it */
    uint64_t value;
};

/* ---- what a vCPU does, as a look from outside tells ---- */
enum hv_doing {
    HV_DOES_WELL,   /* it takes interrupts, or waits for them */
    HV_RUNS_MASKED, /* it runs, and takes none */
    HV_IS_DEAD,     /* it has halted, and takes none */
    HV_IS_OFF,      /* it was never started, or is off again */
};

/* ---- counters that processors read time by, as VIRTIO 1.4 5.23.6 numbers them ---- */
enum hv_counter {
    HV_COUNTER_VCT,
    HV_COUNTER_TSC,
};

/* ---- features of the guest's processors that a user may choose, where there are any ---- */
#define HV_CPU_PMU UINT64_C(1) /* performance counters */
#define HV_CPU_SVE UINT64_C(2) /* arm64: scalable vectors */

/* ---- the table ---- */
struct hv_vm_config {
    const struct gmem *memory; /* mapped into the guest region by region; outlives the VM */
    unsigned vcpus;
    bool stats;               /* stats() will be called */
    uint64_t cpu_on, cpu_off; /* HV_CPU_...; what is in neither is as usual */
};

struct hv {
    const char *name;

    /* Fills at most max capabilities; returns how many there are. */
    int (*capabilities)(struct hv_capability *caps, unsigned max);

    /*
     * The ioctls that are made while a guest runs, for a sandbox: at most max of them; returns how
     * many there are. NULL: none.
     */
    unsigned (*requests)(uint32_t *out, unsigned max);

    /* A VM with memory mapped and the in-kernel interrupt controllers in place. */
    int (*vm_create)(struct hv_vm **out, const struct hv_vm_config *config);
    /*
     * The guest has run for the last time: interrupts and doorbells that are released from here on
     * go with the VM, and not one by one, for each of which KVM waits some milliseconds.
     */
    void (*vm_end)(struct hv_vm *vm);
    void (*vm_destroy)(struct hv_vm *vm); /* after its vCPUs */

    /*
     * Memory beside the guest's RAM, at most one piece in a VM, in whole pages of the host: before
     * vCPUs run, and there until they are gone. A log is kept of the pages that they write.
     */
    int (*memory_logged)(struct hv_vm *vm, uint64_t gpa, void *hva, uint64_t bytes);
    /*
     * Bit n: page n was written since the last call. Room for a multiple of 64 pages. Any thread.
     * NULL: the hypervisor keeps no log.
     */
    int (*memory_log_take)(struct hv_vm *vm, uint64_t *pages);

    /* irq_line_release() closes what came with it. */
    int (*irq_line)(struct hv_vm *vm, unsigned irq, enum irq_way way, struct irq_line *out);
    void (*irq_line_release)(struct hv_vm *vm, struct irq_line *line);
    /* Of the function at devfn: an interrupt controller may tell messages apart by their sender. */
    struct msi_sink (*msi_sink)(struct hv_vm *vm, unsigned devfn);
    struct doorbell (*doorbell)(struct hv_vm *vm);

    int (*vcpu_create)(struct hv_vcpu **out, struct hv_vm *vm, unsigned id);
    void (*vcpu_destroy)(struct hv_vcpu *vcpu);

    /*
     * Runs until an exit and describes it; only on the vCPU's own thread. What the exit asks to be
     * read must be in exit->data before the next call. 0, or a negative errno.
     */
    int (*vcpu_run)(struct hv_vcpu *vcpu, struct hv_exit *exit);
    /*
     * Completes the exit that is under way without running guest code further. Own thread. The rest
     * of an access in several parts is what the next vcpu_run() describes.
     */
    void (*vcpu_complete)(struct hv_vcpu *vcpu);
    /*
     * Any thread, even before the vCPU's own is bound and after it has ended: the next or current
     * vcpu_run() ends with HV_EXIT_INTERRUPTED.
     */
    void (*vcpu_kick)(struct hv_vcpu *vcpu);
    /* Own thread, once, before its first vcpu_run(): prepares the thread for kicks. */
    void (*vcpu_bind_thread)(struct hv_vcpu *vcpu);

    /*
     * It stops for a while that the guest cannot see: its clocks go on, and its watchdogs are not
     * to bark. While it does not run; any thread. NULL: the guest has to find out itself.
     */
    void (*vcpu_paused)(struct hv_vcpu *vcpu);

    /* For messages: registers, the instruction, the reason in words. Own thread. */
    void (*vcpu_dump)(struct hv_vcpu *vcpu, const struct hv_exit *exit, FILE *out);

    /* What it does; after HV_EXIT_INTERRUPTED, own thread. A negative errno: it cannot be told. */
    int (*vcpu_doing)(struct hv_vcpu *vcpu);

    /*
     * What the hypervisor has counted for the VM or, if it is not NULL, for a vCPU: at most max
     * figures, in an order that is the same for all vCPUs. How many, or a negative errno, silent.
     * Any thread. NULL: it counts nothing.
     */
    int (*stats)(struct hv_vm *vm, struct hv_vcpu *vcpu, struct hv_stat *out, unsigned max);

    /*
     * Does the guest use the hypervisor's clock on this vCPU? 1, 0 or a negative errno; -ENOTSUP:
     * the hypervisor has none.
     */
    int (*vcpu_clock_enabled)(struct hv_vcpu *vcpu);

    /*
     * What that counter of the guest's first processor is now, if the guest has not set it.
     * -ENOTSUP: it can never be told; another negative errno: not any more. Silent. Any thread,
     * when there are vCPUs. NULL: there is none.
     */
    int (*guest_counter)(struct hv_vm *vm, enum hv_counter counter, uint64_t *cycles);

    /* What the processor calls its hardware virtualization; NULL: it has none that can be used. */
    const char *(*virtualization)(void);
    const char *without_virtualization; /* what that means and what to do, in lines */

    /* The vCPU's state at power-on: arch/<architecture>/ declares it. */
    const struct hv_arch *arch;
};

#endif
