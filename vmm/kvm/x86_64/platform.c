// SPDX-License-Identifier: BSD-2-Clause
/* What KVM on x86-64 needs to know of a PC, and of the host's processor. */
#include <stdio.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "kvm/impl.h"

/*
 * Four pages that KVM keeps for itself on Intel processors without unrestricted guest mode: no RAM
 * and no device may lie there.
 */
#define IDENTITY_MAP_GPA UINT64_C(0xfffbc000)
#define TSS_GPA          (IDENTITY_MAP_GPA + 0x1000)

/* Messages that are interrupts go here (Intel SDM 3A 11.11.1); bits 63:32 hold no address. */
#define MSI_ADDR_BASE UINT64_C(0xfee00000)
#define MSI_ADDR_MASK UINT64_C(0xfff00000)

/* Pins of the in-kernel IOAPIC, the first of which are inputs of the PICs as well. */
#define IOAPIC_PINS 24
#define PIC_PINS    16

static const struct kvm_need needs[] = {
    {KVM_NEED(KVM_CAP_IRQCHIP), "interrupt controllers in the kernel", true},
    {KVM_NEED(KVM_CAP_INTERNAL_ERROR_DATA), "details of internal errors", false},
    {KVM_NEED(KVM_CAP_SET_TSS_ADDR), "real mode on Intel processors", true},
    {KVM_NEED(KVM_CAP_SET_IDENTITY_MAP_ADDR), "real mode on Intel processors", true},
    {KVM_NEED(KVM_CAP_EXT_CPUID), "what the guest's processor can do", true},
    {KVM_NEED(KVM_CAP_TSC_DEADLINE_TIMER), "guest timer that needs no calibration", false},
    {KVM_NEED(KVM_CAP_ADJUST_CLOCK), "kvmclock", false},
};

static const uint32_t requests[] = {KVM_GET_REGS,
                                    KVM_GET_SREGS,
                                    KVM_GET_MSRS,
                                    KVM_TRANSLATE,
                                    KVM_KVMCLOCK_CTRL,
                                    KVM_GET_DEVICE_ATTR,
                                    0};

const struct kvm_arch kvm_arch = {
    .needs = needs,
    .need_count = ARRAY_SIZE(needs),
    .lines = IOAPIC_PINS,
    .line_routes = IOAPIC_PINS + PIC_PINS,
    .requests = requests,
    .load_advice = "load KVM (sudo modprobe kvm_intel, or kvm_amd)",
    .enable_advice =
        "this processor shows neither VT-x nor AMD-V: enable it in the firmware's set-up "
        "or, in a virtual machine, have nested virtualization enabled; tools/testbed "
        "runs without it",
    .no_emulation = "this host has no VT-x/AMD-V: KVM emulates guest code at privilege level 0 and "
                    "does not know this instruction; use tools/testbed or a host with hardware "
                    "virtualization",
};

const char kvm_arch_without_virtualization[] =
    "\nWithout VT-x or AMD-V KVM, if there is one, emulates most of a kernel's code and stops\n"
    "at instructions that it does not know. Enable virtualization in the firmware's set-up,\n"
    "or nested virtualization where this host is itself a guest; or use tools/run-linux,\n"
    "which runs Minivet inside an emulated host.";

const char *kvm_arch_virtualization(void)
{
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (f == NULL)
        return NULL;
    const char *found = NULL;
    char line[8192];
    while (found == NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "flags", 5) != 0)
            continue;
        char *rest = line;
        for (char *flag = strsep(&rest, " \t\n"); flag != NULL; flag = strsep(&rest, " \t\n")) {
            if (strcmp(flag, "vmx") == 0)
                found = "VT-x";
            else if (strcmp(flag, "svm") == 0)
                found = "AMD-V";
        }
        break;
    }
    fclose(f);
    return found;
}

unsigned long kvm_arch_vm_type(int kvm_fd)
{
    (void)kvm_fd;
    return 0;
}

/*
 * No PIT: the ACPI tables describe hardware without one, so Linux never looks for it, while its
 * worker thread and bus entries would be two fifths of what it takes to make and unmake a machine.
 */
int kvm_arch_vm_init(struct hv_vm *vm)
{
    uint64_t identity_map_gpa = IDENTITY_MAP_GPA;
    int err = kvm_ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_GPA);
    if (err < 0)
        return fail(err, "KVM_SET_TSS_ADDR");
    err = kvm_ioctl_ptr(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map_gpa);
    if (err < 0)
        return fail(err, "KVM_SET_IDENTITY_MAP_ADDR");
    err = kvm_ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0);
    return err < 0 ? fail(err, "KVM_CREATE_IRQCHIP") : 0;
}

static struct kvm_irq_routing_entry pin_route(unsigned gsi, unsigned chip, unsigned pin)
{
    struct kvm_irq_routing_entry e = {.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP};
    e.u.irqchip.irqchip = chip;
    e.u.irqchip.pin = pin;
    return e;
}

void kvm_arch_route_lines(struct kvm_irq_routing_entry *e)
{
    for (unsigned gsi = 0; gsi < PIC_PINS; gsi++)
        *e++ = pin_route(gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8);
    for (unsigned gsi = 0; gsi < IOAPIC_PINS; gsi++)
        *e++ = pin_route(gsi, KVM_IRQCHIP_IOAPIC, gsi);
}

bool kvm_arch_is_msi(uint64_t addr)
{
    return (addr & MSI_ADDR_MASK) == MSI_ADDR_BASE && addr >> 32 == 0;
}
