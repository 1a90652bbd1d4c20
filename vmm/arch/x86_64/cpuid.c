// SPDX-License-Identifier: BSD-2-Clause
/*
 * Leaves and bits: Intel SDM 2A CPUID, AMD APM 3 appendix E, and for 0x4000_0000 on the kernel's
 * Documentation/virt/kvm/x86/cpuid.rst.
 */
#include "arch/x86_64/cpuid.h"

#include <errno.h>
#include <stddef.h>

#include "core/base/xmath.h"

#define BIT(n) (UINT32_C(1) << (n))

/* ---- what the guest does not get ---- */

/*
 * Whole leaves: nested virtualization (8000_000a), enclaves (12), processor trace (14), the
 * performance counters (a, 8000_0022), whose registers are not worth their surface, monitor and
 * mwait (5), resource control (f, 10, 8000_0020), encrypted memory (8000_001f).
 */
static const uint32_t dropped_leaves[] = {0x5,  0xa,        0xf,        0x10,       0x12,
                                          0x14, 0x8000000a, 0x8000001f, 0x80000020, 0x80000022};

enum cpuid_reg {
    EAX,
    EBX,
    ECX,
    EDX,
};

static const struct {
    uint32_t function, index;
    enum cpuid_reg reg;
    uint32_t bits;
} dropped_bits[] = {
    /* MONITOR, VMX, SMX, PDCM (counters) */
    {0x1, 0, ECX, BIT(3) | BIT(5) | BIT(6) | BIT(15)},
    {0x1, 0, EDX, BIT(21)}, /* debug store */
    {0x7, 0, EBX,
     BIT(2) | BIT(12) | BIT(15) | BIT(25)},  /* SGX, RDT monitoring and allocation, PT */
    {0x7, 0, ECX, BIT(5) | BIT(30)},         /* WAITPKG, SGX launch control */
    {0x40000001, 0, EAX, BIT(16) | BIT(17)}, /* hypercalls that the VMM would have to answer */
    /* SVM, PERFCTR_CORE, PERFCTR_NB, PERFCTR_LLC, MWAITX */
    {0x80000001, 0, ECX, BIT(2) | BIT(23) | BIT(24) | BIT(28) | BIT(29)},
};

/* Basic, KVM's and extended leaves: a bound on what a host of the future may list. */
static bool leaf_known(uint32_t function)
{
    if (!(function <= 0x1f || (function >= 0x40000000 && function <= 0x400000ff) ||
          (function >= 0x80000000 && function <= 0x800000ff)))
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(dropped_leaves); i++) {
        if (function == dropped_leaves[i])
            return false;
    }
    return true;
}

static bool is_topology(uint32_t function)
{
    return function == 0xb || function == 0x1f;
}

static void bits_drop(struct hv_x86_cpuid *e)
{
    for (unsigned i = 0; i < ARRAY_SIZE(dropped_bits); i++) {
        if (e->function != dropped_bits[i].function || e->index != dropped_bits[i].index)
            continue;
        uint32_t *regs[] = {&e->eax, &e->ebx, &e->ecx, &e->edx};
        *regs[dropped_bits[i].reg] &= ~dropped_bits[i].bits;
    }
}

/* ---- topology ---- */
struct topology {
    uint32_t id, vcpus;
    uint32_t shift; /* bits of an APIC id that tell the cores of the package apart */
    bool is_amd;
};

static uint32_t bits_for(uint32_t count)
{
    return count <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(count - 1);
}

static uint32_t field_set(uint32_t reg, unsigned low, unsigned bits, uint32_t value)
{
    uint32_t mask = ((UINT32_C(1) << bits) - 1) << low;
    return (reg & ~mask) | (value << low & mask);
}

/* A level-3 cache is the package's, others are the core's own. */
static void cache_set(struct hv_x86_cpuid *e, const struct topology *t)
{
    if ((e->eax & 0x1f) == 0)
        return; /* the end of the list */
    uint32_t level = e->eax >> 5 & 7;
    e->eax = field_set(e->eax, 14, 12, level >= 3 ? (UINT32_C(1) << t->shift) - 1 : 0);
    if (e->function == 0x4)
        e->eax = field_set(e->eax, 26, 6, (UINT32_C(1) << t->shift) - 1);
}

static void features_set(struct hv_x86_cpuid *e, const struct topology *t)
{
    e->ebx = field_set(e->ebx, 24, 8, t->id);
    e->ebx = field_set(e->ebx, 16, 8, t->vcpus);
    e->ecx |= BIT(31);                               /* a hypervisor is present */
    e->edx = field_set(e->edx, 28, 1, t->vcpus > 1); /* HTT: bits 23:16 of EBX count */
}

static void topology_set(struct hv_x86_cpuid *e, const struct topology *t)
{
    switch (e->function) {
    case 0x1:
        features_set(e, t);
        break;
    case 0x4:
    case 0x8000001d:
        cache_set(e, t);
        break;
    case 0x80000001:
        if (t->is_amd)
            e->ecx = field_set(e->ecx, 1, 1, t->vcpus > 1); /* CmpLegacy */
        break;
    case 0x80000008:
        if (t->is_amd) {
            e->ecx = field_set(e->ecx, 0, 8, t->vcpus - 1);
            e->ecx = field_set(e->ecx, 12, 4, t->shift);
        }
        break;
    case 0x8000001e:
        e->eax = t->id;
        e->ebx = t->id; /* core; threads a core less one in 15:8 */
        e->ecx = 0;     /* node, of one */
        break;
    default:
        break;
    }
}

/* Sub-leaves of the extended topology: threads of a core, cores of the package, the end. */
static void extended_topology(struct hv_x86_cpuid out[3], uint32_t function,
                              const struct topology *t)
{
    const struct {
        uint32_t shift, count, type;
    } levels[3] = {{0, 1, 1}, {t->shift, t->vcpus, 2}, {0, 0, 0}};
    for (uint32_t i = 0; i < 3; i++)
        out[i] = (struct hv_x86_cpuid){
            .function = function,
            .index = i,
            .index_significant = true,
            .eax = levels[i].shift,
            .ebx = levels[i].count,
            .ecx = i | levels[i].type << 8,
            .edx = t->id,
        };
}

static const struct hv_x86_cpuid *find(const struct hv_x86_cpuid *e, unsigned count,
                                       uint32_t function)
{
    for (unsigned i = 0; i < count; i++) {
        if (e[i].function == function)
            return &e[i];
    }
    return NULL;
}

/* "AuthenticAMD" and "HygonGenuine", by the four letters in EBX. */
static bool vendor_is_amd(const struct hv_x86_cpuid *leaf0)
{
    return leaf0 != NULL && (leaf0->ebx == 0x68747541 || leaf0->ebx == 0x6f677948);
}

int x86_cpuid_make(struct hv_x86_cpuid *out, unsigned max, const struct hv_x86_cpuid *supported,
                   unsigned count, unsigned id, unsigned vcpus)
{
    const struct hv_x86_cpuid *leaf0 = find(supported, count, 0);
    const struct topology t = {
        .id = id, .vcpus = vcpus, .shift = bits_for(vcpus), .is_amd = vendor_is_amd(leaf0)};
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!leaf_known(supported[i].function) || is_topology(supported[i].function))
            continue;
        if (n == max)
            return -E2BIG;
        out[n] = supported[i];
        bits_drop(&out[n]);
        topology_set(&out[n++], &t);
    }
    /* Present wherever leaf 0 reaches that far, on AMD processors, too. */
    const uint32_t leaves[] = {0xb, 0x1f};
    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
        if (leaf0 == NULL || leaf0->eax < leaves[i])
            continue;
        if (max - n < 3)
            return -E2BIG;
        extended_topology(&out[n], leaves[i], &t);
        n += 3;
    }
    return (int)n;
}
