// SPDX-License-Identifier: BSD-2-Clause
/*
 * What KVM on arm64 needs before anything else: all vCPUs, then a GICv3 with an ITS, or a GICv2,
 * and then the vCPUs' performance counters. What is wired to the controllers earlier is refused
 * (irqfds), or silently never delivered.
 */
#include <errno.h>
#include <unistd.h>

#include "arch/arm64/hv_arm64.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "kvm/impl.h"

#define FIRST_PPI    16
#define FIRST_SPI    32u
#define ITS_DOORBELL (HV_ARM64_ITS_GPA + 0x10040) /* GITS_TRANSLATER */

static const struct kvm_need needs[] = {
    {KVM_NEED(KVM_CAP_IRQCHIP), "interrupt controllers in the kernel", true},
    {KVM_NEED(KVM_CAP_DEVICE_CTRL), "interrupt controllers in the kernel", true},
    {KVM_NEED(KVM_CAP_ONE_REG), "the vCPUs' registers", true},
    {KVM_NEED(KVM_CAP_ARM_PSCI_0_2), "starting vCPUs, power-off and reset", true},
    {KVM_NEED(KVM_CAP_ARM_VM_IPA_SIZE), "guest memory, bits of an address", false},
    {KVM_NEED(KVM_CAP_ARM_NISV_TO_USER), "details of accesses that cannot be emulated", false},
    {KVM_NEED(KVM_CAP_ARM_PTRAUTH_ADDRESS), "the guest's pointer authentication", false},
    {KVM_NEED(KVM_CAP_ARM_PTRAUTH_GENERIC), "the guest's pointer authentication", false},
    {KVM_NEED(KVM_CAP_ARM_SVE), "the guest's scalable vectors", false},
    {KVM_NEED(KVM_CAP_ARM_PMU_V3), "the guest's performance counters, --cpu-features +pmu", false},
};

static const struct kvm_cpu_feature cpu_features[] = {
    {HV_CPU_PMU, "pmu", KVM_CAP_ARM_PMU_V3, false,
     "this host's processor has no performance counters, or its kernel no driver for them"},
    {HV_CPU_SVE, "sve", KVM_CAP_ARM_SVE, true, "this host's processor has no scalable vectors"},
};

static const uint32_t requests[] = {KVM_GET_ONE_REG, 0};

const struct kvm_arch kvm_arch = {
    .requests = requests,
    .needs = needs,
    .need_count = ARRAY_SIZE(needs),
    .cpu_features = cpu_features,
    .cpu_feature_count = ARRAY_SIZE(cpu_features),
    .lines = HV_ARM64_SPIS,
    .line_routes = HV_ARM64_SPIS,
    .line_base = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | FIRST_SPI,
    .msi_flags = KVM_MSI_VALID_DEVID,
    .address_bits_cap = KVM_CAP_ARM_VM_IPA_SIZE,
    .load_advice = "this kernel has no KVM",
    .enable_advice =
        "this kernel has no KVM, or was not started at EL2, as in a virtual machine without nested "
        "virtualization; tools/testbed runs without it",
    .no_emulation = "KVM cannot emulate this instruction",
};

const char kvm_arch_without_virtualization[] =
    "\nKVM is there only if the host's kernel was started at EL2: in a virtual machine, have\n"
    "nested virtualization enabled; or use tools/testbed, which runs Minivet inside an emulated\n"
    "host.";

/* The processor shows user space nothing of it: KVM is there exactly where Linux was started at
 * EL2. */
const char *kvm_arch_virtualization(void)
{
    return access("/dev/kvm", F_OK) == 0 ? "EL2" : NULL;
}

unsigned long kvm_arch_vm_type(int kvm_fd)
{
    int bits = kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);
    return bits > 0 ? KVM_VM_TYPE_ARM_IPA_SIZE((unsigned)bits) : 0;
}

/* ---- vCPUs ---- */

static bool has(const struct hv_vm *vm, unsigned long cap)
{
    return kvm_ioctl(vm->fd, KVM_CHECK_EXTENSION, cap) > 0;
}

/* All have the same features; those but the first wait until they are started. */
static int init_vcpu(struct hv_vm *vm, unsigned id, struct kvm_vcpu_init *init)
{
    int sve = KVM_ARM_VCPU_SVE;
    int err = kvm_ioctl_ptr(vm->vcpu_fds[id], KVM_ARM_VCPU_INIT, init);
    if (err < 0)
        return fail(err, "vCPU %u: KVM_ARM_VCPU_INIT", id);
    if ((init->features[0] & 1u << KVM_ARM_VCPU_SVE) != 0)
        err = kvm_ioctl_ptr(vm->vcpu_fds[id], KVM_ARM_VCPU_FINALIZE, &sve);
    return err < 0 ? fail(err, "vCPU %u: KVM_ARM_VCPU_FINALIZE", id) : 0;
}

static int init_vcpus(struct hv_vm *vm)
{
    struct kvm_vcpu_init init;
    int err = 0;
    for (unsigned i = 0; err == 0 && i < vm->vcpus; i++)
        err = kvm_vcpu_open(vm, i);
    if (err < 0)
        return err;
    err = kvm_ioctl_ptr(vm->fd, KVM_ARM_PREFERRED_TARGET, &init);
    if (err < 0)
        return fail(err, "KVM_ARM_PREFERRED_TARGET");
    init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
    if (has(vm, KVM_CAP_ARM_PTRAUTH_ADDRESS) && has(vm, KVM_CAP_ARM_PTRAUTH_GENERIC))
        init.features[0] |= 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;
    if (vm->cpu_features & HV_CPU_PMU)
        init.features[0] |= 1u << KVM_ARM_VCPU_PMU_V3;
    if (vm->cpu_features & HV_CPU_SVE)
        init.features[0] |= 1u << KVM_ARM_VCPU_SVE;
    for (unsigned i = 0; err == 0 && i < vm->vcpus; i++) {
        err = init_vcpu(vm, i, &init);
        init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
    }
    return err;
}

/* ---- interrupt controllers ---- */

static int attr_set(int device, uint32_t group, uint64_t attr, const void *value)
{
    struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)value};
    return kvm_ioctl_ptr(device, KVM_SET_DEVICE_ATTR, &a);
}

struct place {
    uint64_t attr, gpa;
};

/*
 * Makes an interrupt controller of two places, or one. Its descriptor is not needed once it is set
 * up: the VM has it. -ENODEV: the host has none, not reported.
 */
static int add_controller(struct hv_vm *vm, uint32_t type, const char *name,
                          const struct place places[2], uint32_t irqs)
{
    struct kvm_create_device d = {.type = type};
    int err = kvm_ioctl_ptr(vm->fd, KVM_CREATE_DEVICE, &d);
    if (err < 0)
        return err == -ENODEV ? err : fail(err, "KVM: %s", name);
    int fd = (int)d.fd;
    if (irqs != 0)
        err = attr_set(fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &irqs);
    for (unsigned i = 0; err >= 0 && i < 2 && places[i].gpa != 0; i++)
        err = attr_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, places[i].attr, &places[i].gpa);
    if (err >= 0)
        err = attr_set(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
    close(fd);
    return err < 0 ? fail(err, "KVM: set up the %s", name) : 0;
}

static int add_controllers(struct hv_vm *vm)
{
    static const struct place v3[] = {{KVM_VGIC_V3_ADDR_TYPE_DIST, HV_ARM64_DIST_GPA},
                                      {KVM_VGIC_V3_ADDR_TYPE_REDIST, HV_ARM64_REDIST_GPA}};
    static const struct place its[2] = {{KVM_VGIC_ITS_ADDR_TYPE, HV_ARM64_ITS_GPA}};
    static const struct place v2[] = {{KVM_VGIC_V2_ADDR_TYPE_DIST, HV_ARM64_DIST_GPA},
                                      {KVM_VGIC_V2_ADDR_TYPE_CPU, HV_ARM64_GICV2_CPU_GPA}};
    const char *its_name = "interrupt translation service";
    uint32_t irqs = FIRST_SPI + HV_ARM64_SPIS;
    int err = add_controller(vm, KVM_DEV_TYPE_ARM_VGIC_V3, "GICv3", v3, irqs);
    vm->has_gicv2 = err == -ENODEV;
    if (vm->has_gicv2) {
        err = add_controller(vm, KVM_DEV_TYPE_ARM_VGIC_V2, "GICv2", v2, irqs);
        return err == -ENODEV ? fail(err, "KVM: GICv3 or GICv2") : err;
    }
    if (err == 0)
        err = add_controller(vm, KVM_DEV_TYPE_ARM_VGIC_ITS, its_name, its, 0);
    return err == -ENODEV ? fail(err, "KVM: %s", its_name) : err;
}

/* ---- performance counters ---- */

/* Their interrupt is one of the controller's, which is there by now. */
static int init_pmu(struct hv_vm *vm, unsigned id)
{
    int irq = FIRST_PPI + HV_ARM64_PMU_PPI;
    int err = attr_set(vm->vcpu_fds[id], KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &irq);
    if (err >= 0)
        err = attr_set(vm->vcpu_fds[id], KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, NULL);
    return err < 0 ? fail(err, "vCPU %u: performance counters", id) : 0;
}

int kvm_arch_vm_init(struct hv_vm *vm)
{
    struct kvm_enable_cap nisv = {.cap = KVM_CAP_ARM_NISV_TO_USER};
    (void)kvm_ioctl_ptr(vm->fd, KVM_ENABLE_CAP, &nisv); /* else such a vCPU just fails */
    int err = init_vcpus(vm);
    if (err == 0)
        err = add_controllers(vm);
    for (unsigned i = 0; err == 0 && (vm->cpu_features & HV_CPU_PMU) && i < vm->vcpus; i++)
        err = init_pmu(vm, i);
    return err;
}

void kvm_arch_route_lines(struct kvm_irq_routing_entry *e)
{
    for (unsigned spi = 0; spi < HV_ARM64_SPIS; spi++) {
        e[spi] = (struct kvm_irq_routing_entry){.gsi = spi, .type = KVM_IRQ_ROUTING_IRQCHIP};
        e[spi].u.irqchip.pin = spi;
    }
}

bool kvm_arch_is_msi(uint64_t addr)
{
    return addr == ITS_DOORBELL;
}
