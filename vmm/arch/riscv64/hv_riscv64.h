// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hypervisor port, the part for riscv64: what processors there are, the state of a vCPU at
 * power-on, and its one external interrupt, if the interrupt controller is the board's.
 * vmm/kvm/riscv64 implements it.
 */
#ifndef MINIVET_ARCH_RISCV64_HV_RISCV64_H
#define MINIVET_ARCH_RISCV64_HV_RISCV64_H

#include <stdbool.h>
#include <stdint.h>

struct hv_vcpu;
struct hv_vm;

#define HV_RISCV64_LINES 64u /* wired interrupts, from 1 up */

/* The Advanced Interrupt Architecture, where KVM has it: an APLIC for wired interrupts, and an
 * IMSIC for each vCPU's messages. */
#define HV_RISCV64_APLIC_GPA   UINT64_C(0x0d000000)
#define HV_RISCV64_APLIC_BYTES UINT64_C(0x4000)
#define HV_RISCV64_IMSIC_GPA   UINT64_C(0x28000000)
#define HV_RISCV64_IMSIC_BYTES UINT64_C(0x1000) /* of a vCPU */
#define HV_RISCV64_IMSIC_IDS   255u             /* messages that a vCPU tells apart */

/* All vCPUs are alike. */
struct hv_riscv64_cpu {
    char extensions[512]; /* of the instruction set: names, each ended by a NUL */
    uint32_t extensions_bytes;
    uint32_t timebase_hz;
    uint32_t address_bits;           /* of virtual memory: 39, 48, 57; 0: it is not known */
    uint32_t cbom_bytes, cboz_bytes; /* blocks of the cache, for Zicbom and Zicboz */
    bool has_aia;                    /* and it is set up; else the board has a controller */
};

struct hv_arch {
    int (*cpu)(struct hv_vm *vm, struct hv_riscv64_cpu *out);
    /* As the kernel's boot protocol wants it; all vCPUs but the first wait for SBI's HSM. */
    int (*set_entry)(struct hv_vcpu *vcpu, uint64_t pc, uint64_t hart, uint64_t tree_gpa);
    /* Without has_aia: lines of the VM are of this function from then on. Before there are any. */
    void (*set_controller)(struct hv_vm *vm, void (*set)(void *ctx, unsigned irq, bool level),
                           void *ctx);
    /* A vCPU's external interrupt. Any thread, while there are vCPUs; the context is the VM. */
    void (*interrupt)(void *vm, unsigned id, bool level);
};

#endif
