// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hypervisor port, the part for arm64: where the interrupt controllers are, which the hypervisor
 * makes with the VM, and the state of a vCPU at power-on. vmm/kvm/arm64 implements it.
 */
#ifndef MINIVET_ARCH_ARM64_HV_ARM64_H
#define MINIVET_ARCH_ARM64_HV_ARM64_H

#include <stdbool.h>
#include <stdint.h>

struct hv_vcpu;
struct hv_vm;

/* A GICv3 and its ITS; or, where the host's processor has nothing for that, a GICv2. */
#define HV_ARM64_DIST_GPA     UINT64_C(0x08000000)
#define HV_ARM64_DIST_BYTES   UINT64_C(0x10000)
#define HV_ARM64_ITS_GPA      UINT64_C(0x08080000)
#define HV_ARM64_ITS_BYTES    UINT64_C(0x20000)
#define HV_ARM64_REDIST_GPA   UINT64_C(0x08100000)
#define HV_ARM64_REDIST_BYTES UINT64_C(0x20000) /* of a vCPU */

#define HV_ARM64_GICV2_CPU_GPA   UINT64_C(0x08010000)
#define HV_ARM64_GICV2_CPU_BYTES UINT64_C(0x2000)

#define HV_ARM64_SPIS    64u /* wired interrupts */
#define HV_ARM64_PMU_PPI 7u

/* What a VM has got. */
struct hv_arm64_parts {
    bool has_gicv2; /* and so neither redistributors nor messages */
    bool has_pmu;
};

struct hv_arch {
    struct hv_arm64_parts (*parts)(const struct hv_vm *vm);
    /* A vCPU's number among all processors: the affinity fields of its MPIDR_EL1. */
    int (*affinity)(struct hv_vm *vm, unsigned id, uint64_t *out);
    /* As the kernel's boot protocol wants it; all vCPUs but the first wait for PSCI. */
    int (*set_entry)(struct hv_vcpu *vcpu, uint64_t pc, uint64_t x0);
};

#endif
