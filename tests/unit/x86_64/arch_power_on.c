// SPDX-License-Identifier: BSD-2-Clause
#include "arch/x86_64/power_on.h"

#include "arch/x86_64/hv_x86.h"
#include "firmware/x86/linux_boot.h"
#include "tests/harness/test.h"

/* A hypervisor that remembers what it was told. */
static struct {
    unsigned cpuids, msrs;
    uint32_t apic_id;
    uint64_t rip;
    int msr_error;
} told;

static int supported_cpuid(struct hv_vm *vm, struct hv_x86_cpuid *entries, unsigned max)
{
    (void)vm;
    cr_assert_geq(max, 2);
    entries[0] = (struct hv_x86_cpuid){.function = 0, .eax = 1};
    entries[1] = (struct hv_x86_cpuid){.function = 1};
    return 2;
}

static int set_cpuid(struct hv_vcpu *vcpu, const struct hv_x86_cpuid *entries, unsigned count)
{
    (void)vcpu;
    told.cpuids = count;
    told.apic_id = entries[1].ebx >> 24;
    return 0;
}

static int set_msrs(struct hv_vcpu *vcpu, const struct hv_x86_msr *msrs, unsigned count)
{
    (void)vcpu, (void)msrs;
    told.msrs = count;
    return told.msr_error;
}

static int set_regs(struct hv_vcpu *vcpu, const struct hv_x86_regs *regs)
{
    (void)vcpu;
    told.rip = regs->rip;
    return 0;
}

static const struct hv_arch hv_arch = {
    .supported_cpuid = supported_cpuid,
    .set_cpuid = set_cpuid,
    .set_msrs = set_msrs,
    .set_regs = set_regs,
};
static const struct hv hv = {.arch = &hv_arch};

static const struct boot_state state = {.mode = BOOT_LONG64, .rip = 0x1000200};

Test(arch_power_on, the_first_vcpu_starts_at_the_kernel)
{
    cr_expect_eq(x86_power_on(&hv, NULL, NULL, 0, 2, &state), 0);
    cr_expect_eq(told.cpuids, 2);
    cr_expect_gt(told.msrs, 0);
    cr_expect_eq(told.rip, 0x1000200);
}

Test(arch_power_on, the_others_wait_without_registers)
{
    cr_expect_eq(x86_power_on(&hv, NULL, NULL, 1, 2, &state), 0);
    cr_expect_eq(told.apic_id, 1);
    cr_expect_gt(told.msrs, 0);
    cr_expect_eq(told.rip, 0);
}

Test(arch_power_on, a_refusal_is_passed_up)
{
    told.msr_error = -EINVAL;
    cr_expect_eq(x86_power_on(&hv, NULL, NULL, 0, 1, &state), -EINVAL);
    cr_expect_eq(told.rip, 0);
}
