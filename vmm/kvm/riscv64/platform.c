// SPDX-License-Identifier: BSD-2-Clause
/*
 * What KVM on riscv64 needs: all vCPUs, which say what processors they are. Interrupt controllers
 * are left to the board: KVM has one only where the host's processor has the Advanced Interrupt
 * Architecture.
 */
#include <errno.h>
#include <unistd.h>

#include "arch/riscv64/hv_riscv64.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "kvm/impl.h"
#include "kvm/riscv64/riscv64.h"

static const struct kvm_need needs[] = {
    {KVM_NEED(KVM_CAP_ONE_REG), "the vCPUs' registers", true},
    {KVM_NEED(KVM_CAP_MP_STATE), "starting vCPUs", true},
};

const struct kvm_arch kvm_arch = {
    .needs = needs,
    .need_count = ARRAY_SIZE(needs),
    .lines = HV_RISCV64_LINES,
    .has_no_irqchip = true,
    .load_advice = "load KVM (sudo modprobe kvm)",
    .enable_advice = "load KVM (sudo modprobe kvm); its processor has to have the hypervisor "
                     "extension, and the kernel to run in HS-mode",
    .no_emulation = "KVM cannot emulate this instruction",
};

const char kvm_arch_without_virtualization[] =
    "\nKVM needs a processor with the hypervisor extension (H), and its module (modprobe kvm).";

const char *kvm_arch_virtualization(void)
{
    return access("/dev/kvm", F_OK) == 0 ? "H" : NULL;
}

unsigned long kvm_arch_vm_type(int kvm_fd)
{
    (void)kvm_fd;
    return 0;
}

int riscv64_reg_get(int fd, uint64_t id, uint64_t *value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};
    return kvm_ioctl_ptr(fd, KVM_GET_ONE_REG, &reg);
}

int riscv64_reg_set(int fd, uint64_t id, uint64_t value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};
    return kvm_ioctl_ptr(fd, KVM_SET_ONE_REG, &reg);
}

/* Calls of SBI that KVM would leave to this process are refused to the guest, where KVM can. */
int kvm_arch_vm_init(struct hv_vm *vm)
{
    int err = 0;
    for (unsigned i = 0; err == 0 && i < vm->vcpus; i++) {
        err = kvm_vcpu_open(vm, i);
        if (err == 0) {
            (void)riscv64_reg_set(vm->vcpu_fds[i], RISCV_REG_SBI_EXT(RISCV_SBI_EXPERIMENTAL), 0);
            (void)riscv64_reg_set(vm->vcpu_fds[i], RISCV_REG_SBI_EXT(RISCV_SBI_VENDOR), 0);
        }
    }
    return err;
}

void kvm_arch_route_lines(struct kvm_irq_routing_entry *e)
{
    (void)e;
}

bool kvm_arch_is_msi(uint64_t addr)
{
    (void)addr;
    return false;
}
