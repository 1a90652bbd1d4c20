// SPDX-License-Identifier: BSD-2-Clause
/* Puts a vCPU into the state in which the guest finds it at power-on. */
#ifndef MINIVET_ARCH_X86_64_POWER_ON_H
#define MINIVET_ARCH_X86_64_POWER_ON_H

#include "core/ports/hv.h"

struct boot_state;

/*
 * CPUID and model-specific registers for vCPU `id` of `vcpus`; registers, too, if it is the first:
 * the others wait for its INIT and SIPI. Once for each vCPU, before any runs. Errors are reported.
 */
int x86_power_on(const struct hv *hv, struct hv_vm *vm, struct hv_vcpu *vcpu, unsigned id,
                 unsigned vcpus, const struct boot_state *state);

#endif
