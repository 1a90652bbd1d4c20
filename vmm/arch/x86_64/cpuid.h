// SPDX-License-Identifier: BSD-2-Clause
/*
 * What CPUID tells the guest: what host and hypervisor both support, less what this VMM does not
 * give, with the guest's own topology: one package, a core a vCPU, a thread a core. A vCPU's number
 * is its APIC id.
 */
#ifndef MINIVET_ARCH_X86_64_CPUID_H
#define MINIVET_ARCH_X86_64_CPUID_H

#include "arch/x86_64/hv_x86.h"

/*
 * Makes the table of vCPU `id` of `vcpus` from the supported one. Returns how many entries of out
 * are used, or -E2BIG if max is too few: the supported count and X86_CPUID_EXTRA always do.
 */
int x86_cpuid_make(struct hv_x86_cpuid *out, unsigned max, const struct hv_x86_cpuid *supported,
                   unsigned count, unsigned id, unsigned vcpus);

#define X86_CPUID_EXTRA 6 /* the topology leaves, where the supported table lacks them */

#endif
