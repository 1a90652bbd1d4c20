// SPDX-License-Identifier: BSD-2-Clause
#include "arch/x86_64/cpuid.h"

#include "core/ports/hv.h"
#include "tests/harness/test.h"

#define BIT(n)       (UINT32_C(1) << (n))
#define VENDOR_INTEL 0x756e6547
#define VENDOR_AMD   0x68747541

static const struct hv_x86_cpuid *leaf(const struct hv_x86_cpuid *e, int count, uint32_t function,
                                       uint32_t index)
{
    for (int i = 0; i < count; i++) {
        if (e[i].function == function && e[i].index == index)
            return &e[i];
    }
    return NULL;
}

/* A host with everything that must not pass, and with garbage of its own topology. */
static const struct hv_x86_cpuid intel[] = {
    {.function = 0x0, .eax = 0x1f, .ebx = VENDOR_INTEL},
    {.function = 0x1, .eax = 0x806f8, .ebx = 0x07400800, .ecx = 0x7fffffff, .edx = ~0u},
    {0x4, 0, true, 0x1c004121, 0, 0, 0}, /* level 1, 1 core shares in the sample's encoding */
    {0x4, 3, true, 0x1c03c163, 0, 0, 0}, /* level 3 */
    {0x4, 4, true, 0, 0, 0, 0},
    {0x5, 0, false, 0x40, 0x40, 3, 0},
    {0x7, 0, true, 2, ~0u, ~0u, ~0u},
    {0xa, 0, false, 0x07300804, 0, 0, 0x603},
    {0xb, 0, true, 1, 2, 0x100, 55},
    {0xb, 1, true, 7, 112, 0x201, 55},
    {0xd, 0, true, 0xe7, 0xa88, 0xa88, 0},
    {0x12, 0, true, 1, 0, 0, 0},
    {0x14, 0, true, 1, 0, 0, 0},
    {0x1f, 0, true, 1, 2, 0x100, 55},
    {.function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b},
    {.function = 0x40000001, .eax = ~0u},
    {.function = 0x80000000, .eax = 0x80000008, .ebx = VENDOR_INTEL},
    {.function = 0x80000001, .ecx = ~0u, .edx = ~0u},
    {.function = 0x80000008, .eax = 0x3930},
    {.function = 0xc0000000, .eax = 0xc0000004},
};

static const struct hv_x86_cpuid amd[] = {
    {.function = 0x0, .eax = 0xd, .ebx = VENDOR_AMD},
    {.function = 0x1, .ebx = 0x00000800},
    {.function = 0x80000000, .eax = 0x8000001f, .ebx = VENDOR_AMD},
    {.function = 0x80000001, .ecx = BIT(22) | BIT(2)},
    {.function = 0x80000008, .eax = 0x3028, .ecx = 0x703f},
    {.function = 0x8000000a, .eax = 1},
    {0x8000001d, 0, true, 0x00004121, 0, 0, 0},
    {0x8000001d, 3, true, 0x0001c163, 0, 0, 0},
    {.function = 0x8000001e, .eax = 99, .ebx = 0x163, .ecx = 0x102},
    {.function = 0x8000001f, .eax = 1},
};

static struct hv_x86_cpuid made[HV_X86_MAX_CPUID];

static int make_intel(unsigned id, unsigned vcpus)
{
    return x86_cpuid_make(made, ARRAY_SIZE(made), intel, ARRAY_SIZE(intel), id, vcpus);
}

static int make_amd(unsigned id, unsigned vcpus)
{
    return x86_cpuid_make(made, ARRAY_SIZE(made), amd, ARRAY_SIZE(amd), id, vcpus);
}

Test(arch_cpuid, what_the_guest_must_not_see_is_gone)
{
    int n = make_intel(0, 1);
    const uint32_t gone[] = {0x5, 0xa, 0x12, 0x14, 0xc0000000};
    for (unsigned i = 0; i < ARRAY_SIZE(gone); i++)
        cr_expect_null(leaf(made, n, gone[i], 0), "leaf %#x", gone[i]);
    cr_expect_eq(leaf(made, n, 1, 0)->ecx & (BIT(3) | BIT(5) | BIT(6) | BIT(15)), 0);
    cr_expect_eq(leaf(made, n, 7, 0)->ebx & (BIT(2) | BIT(25)), 0);
    cr_expect_eq(leaf(made, n, 7, 0)->ecx & (BIT(5) | BIT(30)), 0);
    cr_expect_eq(leaf(made, n, 0x40000001, 0)->eax & (BIT(16) | BIT(17)), 0);
    cr_expect_eq(leaf(made, n, 0x80000001, 0)->ecx & BIT(2), 0, "SVM");

    n = make_amd(0, 1);
    cr_expect_null(leaf(made, n, 0x8000000a, 0));
    cr_expect_null(leaf(made, n, 0x8000001f, 0));
    cr_expect_eq(leaf(made, n, 0x80000001, 0)->ecx & BIT(2), 0, "SVM");
}

Test(arch_cpuid, what_kvm_gives_passes)
{
    int n = make_intel(0, 1);
    cr_expect_eq(leaf(made, n, 0x40000000, 0)->ebx, 0x4b4d564b);
    cr_expect_eq(leaf(made, n, 0x40000001, 0)->eax & 0xffff, 0xffff);
    cr_expect(leaf(made, n, 1, 0)->ecx & BIT(21), "x2APIC");
    cr_expect(leaf(made, n, 1, 0)->ecx & BIT(24), "TSC deadline");
    cr_expect(leaf(made, n, 1, 0)->ecx & BIT(31), "hypervisor");
    cr_expect_eq(leaf(made, n, 0xd, 0)->eax, 0xe7);
}

Test(arch_cpuid, tsc_deadline_is_not_invented)
{
    int n = make_amd(0, 1);
    cr_expect_eq(leaf(made, n, 1, 0)->ecx & BIT(24), 0);
    cr_expect(leaf(made, n, 1, 0)->ecx & BIT(31), "hypervisor");
}

Test(arch_cpuid, each_vcpu_is_a_core_of_one_package)
{
    for (unsigned id = 0; id < 3; id++) {
        int n = make_intel(id, 3);
        const uint32_t ebx = leaf(made, n, 1, 0)->ebx;
        cr_expect_eq(ebx >> 24, id);
        cr_expect_eq(ebx >> 16 & 0xff, 3);
        cr_expect_eq(ebx & 0xffff, 0x0800);
        cr_expect(leaf(made, n, 1, 0)->edx & BIT(28));
        const uint32_t leaves[] = {0xb, 0x1f};
        for (unsigned i = 0; i < 2; i++) {
            const struct hv_x86_cpuid *smt = leaf(made, n, leaves[i], 0);
            const struct hv_x86_cpuid *core = leaf(made, n, leaves[i], 1);
            const struct hv_x86_cpuid *end = leaf(made, n, leaves[i], 2);
            cr_assert(smt && core && end);
            cr_expect(smt->eax == 0 && smt->ebx == 1 && smt->ecx == 0x100 && smt->edx == id);
            cr_expect(core->eax == 2 && core->ebx == 3 && core->ecx == 0x201 && core->edx == id);
            cr_expect(end->eax == 0 && end->ebx == 0 && end->ecx == 2 && end->edx == id);
        }
    }
}

Test(arch_cpuid, one_vcpu_is_not_hyperthreaded)
{
    int n = make_intel(0, 1);
    cr_expect_eq(leaf(made, n, 1, 0)->edx & BIT(28), 0);
    cr_expect_eq(leaf(made, n, 0xb, 1)->eax, 0);
}

Test(arch_cpuid, caches_follow_the_topology)
{
    int n = make_intel(1, 4);
    cr_expect_eq(leaf(made, n, 4, 0)->eax, 3u << 26 | 0x121);
    cr_expect_eq(leaf(made, n, 4, 3)->eax, 3u << 26 | 3u << 14 | 0x163);
    cr_expect_eq(leaf(made, n, 4, 4)->eax, 0, "the end of the list stays one");

    n = make_amd(1, 4);
    cr_expect_eq(leaf(made, n, 0x8000001d, 0)->eax, 0x121);
    cr_expect_eq(leaf(made, n, 0x8000001d, 3)->eax, 3u << 14 | 0x163);
}

Test(arch_cpuid, amd_says_the_same_in_its_own_leaves)
{
    int n = make_amd(5, 6);
    cr_expect_eq(leaf(made, n, 0x80000008, 0)->ecx, 0x3005);
    cr_expect_eq(leaf(made, n, 0x80000008, 0)->eax, 0x3028);
    cr_expect(leaf(made, n, 0x80000001, 0)->ecx & BIT(1));
    cr_expect_eq(leaf(made, n, 0x8000001e, 0)->eax, 5);
    cr_expect_eq(leaf(made, n, 0x8000001e, 0)->ebx, 5);
    cr_expect_eq(leaf(made, n, 0x8000001e, 0)->ecx, 0);
    cr_expect_eq(leaf(made, n, 0xb, 1)->ebx, 6, "AMD processors have it, too");
    cr_expect_null(leaf(made, n, 0x1f, 0), "beyond what leaf 0 announces");
}

Test(arch_cpuid, the_largest_machine_fits_its_fields)
{
    int n = make_amd(HV_MAX_VCPUS - 1, HV_MAX_VCPUS);
    cr_expect_eq(leaf(made, n, 1, 0)->ebx >> 16, 0x3f40);
    cr_expect_eq(leaf(made, n, 0x80000008, 0)->ecx, 0x603f);
}

Test(arch_cpuid, the_table_is_bounded)
{
    cr_expect_eq(x86_cpuid_make(made, 3, intel, ARRAY_SIZE(intel), 0, 1), -E2BIG);
    int n = make_amd(0, 1);
    for (int max = 0; max < n; max++)
        cr_expect_eq(x86_cpuid_make(made, (unsigned)max, amd, ARRAY_SIZE(amd), 0, 1), -E2BIG);
    cr_expect_leq(n, (int)(ARRAY_SIZE(amd) + X86_CPUID_EXTRA));
    cr_expect_eq(x86_cpuid_make(made, ARRAY_SIZE(made), NULL, 0, 0, 1), 0);
}
