// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hypervisor port, the part for x86-64: the state of a vCPU at power-on. vmm/kvm/x86_64 implements
 * it, the tests have fakes.
 */
#ifndef MINIVET_ARCH_X86_64_HV_X86_H
#define MINIVET_ARCH_X86_64_HV_X86_H

#include <stdbool.h>
#include <stdint.h>

struct hv_vcpu;
struct hv_vm;

struct hv_x86_segment {
    uint64_t base;
    uint32_t limit; /* in bytes, as the descriptor cache holds it */
    uint16_t selector;
    uint8_t type; /* Intel SDM 3A 3.4.5.1 */
    uint8_t dpl;
    bool present, code_or_data, long_mode, default_big, granularity;
};

/* What is not here is 0. */
struct hv_x86_regs {
    uint64_t rip, rflags, rbx, rsi, rsp;
    uint64_t cr0, cr3, cr4, efer;
    struct hv_x86_segment cs, data, tr; /* data: of DS, ES, FS, GS and SS */
    uint64_t gdt_base;
    uint16_t gdt_limit;
};

struct hv_x86_cpuid {
    uint32_t function, index;
    bool index_significant;
    uint32_t eax, ebx, ecx, edx;
};

struct hv_x86_msr {
    uint32_t index;
    uint64_t value;
};

#define HV_X86_MAX_CPUID 256

struct hv_arch {
    /* The intersection of what the host and the hypervisor have. */
    int (*supported_cpuid)(struct hv_vm *vm, struct hv_x86_cpuid *entries, unsigned max);
    int (*set_cpuid)(struct hv_vcpu *vcpu, const struct hv_x86_cpuid *entries, unsigned count);
    int (*set_regs)(struct hv_vcpu *vcpu, const struct hv_x86_regs *regs);
    int (*set_msrs)(struct hv_vcpu *vcpu, const struct hv_x86_msr *msrs, unsigned count);
};

#endif
