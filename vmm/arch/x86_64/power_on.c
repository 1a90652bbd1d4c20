// SPDX-License-Identifier: BSD-2-Clause
#include "arch/x86_64/power_on.h"

#include "arch/x86_64/boot_state.h"
#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/hv_x86.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"

int x86_power_on(const struct hv *hv, struct hv_vm *vm, struct hv_vcpu *vcpu, unsigned id,
                 unsigned vcpus, const struct boot_state *state)
{
    struct hv_x86_cpuid supported[HV_X86_MAX_CPUID];
    struct hv_x86_cpuid cpuid[HV_X86_MAX_CPUID + X86_CPUID_EXTRA];
    int count = hv->arch->supported_cpuid(vm, supported, ARRAY_SIZE(supported));
    if (count < 0)
        return count;
    count = x86_cpuid_make(cpuid, ARRAY_SIZE(cpuid), supported, (unsigned)count, id, vcpus);
    BUG_ON(count < 0);
    int err = hv->arch->set_cpuid(vcpu, cpuid, (unsigned)count);
    if (err < 0)
        return err;

    struct hv_x86_msr msrs[X86_BOOT_MSRS];
    x86_boot_msrs(msrs);
    err = hv->arch->set_msrs(vcpu, msrs, ARRAY_SIZE(msrs));
    if (err < 0 || id != 0)
        return err;

    struct hv_x86_regs regs;
    x86_boot_regs(&regs, state);
    return hv->arch->set_regs(vcpu, &regs);
}
