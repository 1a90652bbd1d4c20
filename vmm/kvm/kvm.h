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

extern const struct hv hv_kvm;

#endif
