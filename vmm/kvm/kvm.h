// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hypervisor port on Linux KVM (Documentation/virt/kvm/api.rst of the kernel).
 *
 * vCPU threads are kicked with SIGRTMIN: the process leaves that signal to this layer, which
 * installs a handler for it when the first vCPU binds its thread.
 */
#ifndef MINIVET_KVM_KVM_H
#define MINIVET_KVM_KVM_H

#include "core/ports/hv.h"

/*
 * Four pages that KVM keeps for itself on Intel processors without unrestricted guest mode: no RAM
 * and no device may lie there.
 */
#define KVM_PRIVATE_GPA   UINT64_C(0xfffbc000)
#define KVM_PRIVATE_BYTES UINT64_C(0x4000)

extern const struct hv hv_kvm;

#endif
