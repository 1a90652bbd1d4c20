// SPDX-License-Identifier: BSD-2-Clause
#include "kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "kvm/impl.h"

#define DEV_KVM "/dev/kvm"

#define CAP(cap) #cap, cap

/* Everything this layer asks of KVM, and nothing else. */
static const struct {
    const char *name;
    int cap;
    const char *used_for;
    bool required;
} needs[] = {
    {CAP(KVM_CAP_USER_MEMORY), "guest memory", true},
    {CAP(KVM_CAP_NR_MEMSLOTS), "regions of guest memory", true},
    {CAP(KVM_CAP_IRQCHIP), "interrupt controllers in the kernel", true},
    {CAP(KVM_CAP_IRQFD), "interrupts by eventfd", true},
    {CAP(KVM_CAP_IRQ_ROUTING), "message-signalled interrupts by eventfd", true},
    {CAP(KVM_CAP_SIGNAL_MSI), "message-signalled interrupts", true},
    {CAP(KVM_CAP_IOEVENTFD), "doorbells without an exit", false},
    {CAP(KVM_CAP_IOEVENTFD_ANY_LENGTH), "doorbells of any width", false},
    {CAP(KVM_CAP_IMMEDIATE_EXIT), "stopping a vCPU", true},
    {CAP(KVM_CAP_SET_TSS_ADDR), "real mode on Intel processors", true},
    {CAP(KVM_CAP_SET_IDENTITY_MAP_ADDR), "real mode on Intel processors", true},
    {CAP(KVM_CAP_EXT_CPUID), "what the guest's processor can do", true},
    {CAP(KVM_CAP_TSC_DEADLINE_TIMER), "guest timer that needs no calibration", false},
    {CAP(KVM_CAP_ADJUST_CLOCK), "kvmclock", false},
    {CAP(KVM_CAP_NR_VCPUS), "vCPUs, recommended", false},
    {CAP(KVM_CAP_MAX_VCPUS), "vCPUs, at most", false},
    {CAP(KVM_CAP_INTERNAL_ERROR_DATA), "details of internal errors", false},
};

int kvm_ioctl(int fd, unsigned long request, unsigned long arg)
{
    int r;
    do
        r = ioctl(fd, request, arg);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

const char *kvm_open_advice(int err, bool cpu_has_virt)
{
    switch (err) {
    case EACCES:
    case EPERM:
        return "add yourself to its group (sudo usermod -aG kvm $USER) and log in again";
    case ENOENT:
    case ENODEV:
    case ENXIO:
        if (cpu_has_virt)
            return "load KVM (sudo modprobe kvm_intel, or kvm_amd)";
        return "this processor shows neither VT-x nor AMD-V: enable it in the firmware's set-up "
               "or, in a virtual machine, have nested virtualization enabled; tools/testbed "
               "runs without it";
    default:
        return NULL;
    }
}

int kvm_open(void)
{
    int fd = open(DEV_KVM, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int err = errno;
        const char *advice = kvm_open_advice(err, kvm_cpu_has_virt());
        if (advice == NULL)
            return fail(-err, DEV_KVM);
        return fail_msg(-err, DEV_KVM ": %s; %s", strerror(err), advice);
    }
    int version = kvm_ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        close(fd);
        return fail_msg(-ENOTSUP, DEV_KVM ": API version %d, and not %d", version, KVM_API_VERSION);
    }
    return fd;
}

int kvm_capabilities(struct hv_capability *caps, unsigned max)
{
    int fd = kvm_open();
    if (fd < 0)
        return fd;
    unsigned n = 0;
    if (n < max)
        caps[n++] = (struct hv_capability){"KVM_GET_API_VERSION", "all of it", true,
                                           kvm_ioctl(fd, KVM_GET_API_VERSION, 0)};
    for (unsigned i = 0; i < ARRAY_SIZE(needs) && n < max; i++, n++) {
        int value = kvm_ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)needs[i].cap);
        caps[n] = (struct hv_capability){
            .name = needs[i].name,
            .used_for = needs[i].used_for,
            .required = needs[i].required,
            .value = value < 0 ? 0 : value,
        };
    }
    close(fd);
    return (int)ARRAY_SIZE(needs) + 1;
}

const struct hv hv_kvm = {
    .name = "kvm",
    .capabilities = kvm_capabilities,
    .vm_create = kvm_vm_create,
    .vm_end = kvm_vm_end,
    .vm_destroy = kvm_vm_destroy,
    .irq_line = kvm_irq_line,
    .irq_line_release = kvm_irq_line_release,
    .msi_sink = kvm_msi_sink,
    .doorbell = kvm_doorbell,
    .vcpu_create = kvm_vcpu_create,
    .vcpu_destroy = kvm_vcpu_destroy,
    .vcpu_run = kvm_vcpu_run,
    .vcpu_complete = kvm_vcpu_complete,
    .vcpu_kick = kvm_vcpu_kick,
    .vcpu_bind_thread = kvm_vcpu_bind_thread,
    .vcpu_dump = kvm_vcpu_dump,
    .stats = kvm_stats,
    .x86_supported_cpuid = kvm_x86_supported_cpuid,
    .x86_set_cpuid = kvm_x86_set_cpuid,
    .x86_get_regs = kvm_x86_get_regs,
    .x86_set_regs = kvm_x86_set_regs,
    .x86_set_msrs = kvm_x86_set_msrs,
    .x86_clock_enabled = kvm_x86_clock_enabled,
};
