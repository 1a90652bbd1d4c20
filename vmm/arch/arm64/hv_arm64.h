// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hypervisor port, the part for arm64: where the interrupt controllers are, which the hypervisor
 * makes with the VM, and the state of a vCPU at power-on. vmm/kvm/arm64 implements it.
 */
#ifndef MINIVET_ARCH_ARM64_HV_ARM64_H
#define MINIVET_ARCH_ARM64_HV_ARM64_H

#include <stdint.h>

struct hv_vcpu;
struct hv_vm;

/* A GICv3 and its ITS. */
#define HV_ARM64_DIST_GPA     UINT64_C(0x08000000)
#define HV_ARM64_DIST_BYTES   UINT64_C(0x10000)
#define HV_ARM64_ITS_GPA      UINT64_C(0x08080000)
#define HV_ARM64_ITS_BYTES    UINT64_C(0x20000)
#define HV_ARM64_REDIST_GPA   UINT64_C(0x08100000)
#define HV_ARM64_REDIST_BYTES UINT64_C(0x20000) /* of a vCPU */

#define HV_ARM64_SPIS 64u /* wired interrupts */

struct hv_arch {
    /* A vCPU's number among all processors: the affinity fields of its MPIDR_EL1. */
    int (*affinity)(struct hv_vm *vm, unsigned id, uint64_t *out);
    /* As the kernel's boot protocol wants it; all vCPUs but the first wait for PSCI. */
    int (*set_entry)(struct hv_vcpu *vcpu, uint64_t pc, uint64_t x0);
};

#endif
