// SPDX-License-Identifier: BSD-2-Clause
/*
 * What KVM on riscv64 needs: all vCPUs, which say what processors they are, and then the interrupt
 * controllers of the Advanced Interrupt Architecture (AIA), where the host's processor has it.
 * Elsewhere the board has one.
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
    {KVM_NEED(KVM_CAP_IRQCHIP), "interrupt controllers in the kernel, message-signalled interrupts",
     false},
};

static const uint32_t requests[] = {KVM_GET_ONE_REG, KVM_INTERRUPT, 0};

const struct kvm_arch kvm_arch = {
    .requests = requests,
    .needs = needs,
    .need_count = ARRAY_SIZE(needs),
    .lines = HV_RISCV64_LINES,
    .line_routes = HV_RISCV64_LINES,
    .has_no_line_irqfds = true,
    .address_bits_cap = KVM_CAP_VM_GPA_BITS,
    .load_advice = "load KVM (sudo modprobe kvm)",
    .enable_advice = "load KVM (sudo modprobe kvm), which needs a processor with the hypervisor "
                     "extension or, in "
                     "a virtual machine, nested virtualization; tools/testbed runs without it",
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

/* ---- interrupt controllers ---- */

static int attr_set(int device, uint32_t group, uint64_t attr, const void *value)
{
    struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)value};
    return kvm_ioctl_ptr(device, KVM_SET_DEVICE_ATTR, &a);
}

static int place_aia(const struct hv_vm *vm, int fd)
{
    uint64_t gpa = HV_RISCV64_APLIC_GPA;
    int err = attr_set(fd, RISCV_AIA_ADDR, RISCV_AIA_ADDR_APLIC, &gpa);
    for (unsigned i = 0; err >= 0 && i < vm->vcpus; i++) {
        gpa = HV_RISCV64_IMSIC_GPA + i * HV_RISCV64_IMSIC_BYTES;
        err = attr_set(fd, RISCV_AIA_ADDR, RISCV_AIA_ADDR_IMSIC + i, &gpa);
    }
    return err;
}

static int init_aia(struct hv_vm *vm)
{
    struct kvm_create_device d = {.type = RISCV_DEV_AIA};
    uint32_t ids = HV_RISCV64_IMSIC_IDS, sources = HV_RISCV64_LINES - 1, bits = 0;
    while (1u << bits < vm->vcpus)
        bits++;
    int err = kvm_ioctl_ptr(vm->fd, KVM_CREATE_DEVICE, &d);
    if (err < 0)
        return fail(err, "KVM: interrupt controllers (AIA)");
    err = attr_set((int)d.fd, RISCV_AIA_CONFIG, RISCV_AIA_IDS, &ids);
    if (err >= 0)
        err = attr_set((int)d.fd, RISCV_AIA_CONFIG, RISCV_AIA_SOURCES, &sources);
    if (err >= 0)
        err = attr_set((int)d.fd, RISCV_AIA_CONFIG, RISCV_AIA_HART_BITS, &bits);
    if (err >= 0)
        err = place_aia(vm, (int)d.fd);
    if (err >= 0)
        err = attr_set((int)d.fd, RISCV_AIA_CTRL, 0, NULL);
    close((int)d.fd);
    return err < 0 ? fail(err, "KVM: set up the interrupt controllers (AIA)") : 0;
}

/* Calls of SBI that KVM would leave to this process are refused to the guest, where KVM can. */
int kvm_arch_vm_init(struct hv_vm *vm)
{
    int err = 0;
    vm->has_no_irqchip = kvm_ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP) <= 0;
    for (unsigned i = 0; err == 0 && i < vm->vcpus; i++) {
        err = kvm_vcpu_open(vm, i);
        if (err == 0) {
            (void)riscv64_reg_set(vm->vcpu_fds[i], RISCV_REG_SBI_EXT(RISCV_SBI_EXPERIMENTAL), 0);
            (void)riscv64_reg_set(vm->vcpu_fds[i], RISCV_REG_SBI_EXT(RISCV_SBI_VENDOR), 0);
        }
    }
    return err < 0 || vm->has_no_irqchip ? err : init_aia(vm);
}

void kvm_arch_route_lines(struct kvm_irq_routing_entry *e)
{
    for (unsigned source = 0; source < HV_RISCV64_LINES; source++) {
        e[source] = (struct kvm_irq_routing_entry){.gsi = source, .type = KVM_IRQ_ROUTING_IRQCHIP};
        e[source].u.irqchip.pin = source;
    }
}

/* KVM looks which vCPUs there are. */
bool kvm_arch_is_msi(uint64_t addr)
{
    uint64_t at = addr - HV_RISCV64_IMSIC_GPA;
    return at < HV_MAX_VCPUS * HV_RISCV64_IMSIC_BYTES && at % HV_RISCV64_IMSIC_BYTES == 0;
}
