// SPDX-License-Identifier: BSD-2-Clause
#ifndef MINIVET_KVM_X86_64_STATE_H
#define MINIVET_KVM_X86_64_STATE_H

#include "arch/x86_64/hv_x86.h"

/* Any time but while the vCPU runs. 0 or a negative errno; reported. */
int kvm_x86_get_regs(struct hv_vcpu *vcpu, struct hv_x86_regs *regs);

#endif
