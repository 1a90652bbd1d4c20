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

/* Everything this layer asks of KVM on every architecture, and nothing else. */
static const struct kvm_need needs[] = {
    {KVM_NEED(KVM_CAP_USER_MEMORY), "guest memory", true},
    {KVM_NEED(KVM_CAP_NR_MEMSLOTS), "regions of guest memory", true},
    {KVM_NEED(KVM_CAP_IRQFD), "interrupts by eventfd", true},
    {KVM_NEED(KVM_CAP_IRQ_ROUTING), "message-signalled interrupts by eventfd", true},
    {KVM_NEED(KVM_CAP_SIGNAL_MSI), "message-signalled interrupts", true},
    {KVM_NEED(KVM_CAP_IOEVENTFD), "doorbells without an exit", false},
    {KVM_NEED(KVM_CAP_IOEVENTFD_ANY_LENGTH), "doorbells of any width", false},
    {KVM_NEED(KVM_CAP_IMMEDIATE_EXIT), "stopping a vCPU", true},
    {KVM_NEED(KVM_CAP_NR_VCPUS), "vCPUs, recommended", false},
    {KVM_NEED(KVM_CAP_MAX_VCPUS), "vCPUs, at most", false},
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
            return kvm_arch.load_advice;
        return kvm_arch.enable_advice;
    default:
        return NULL;
    }
}

int kvm_open(void)
{
    int fd = open(DEV_KVM, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int err = errno;
        const char *advice = kvm_open_advice(err, kvm_arch_virtualization() != NULL);
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

/* Adds what fits behind the first n; how many there are then. */
static unsigned check(int fd, const struct kvm_need *need, unsigned count,
                      struct hv_capability *caps, unsigned n, unsigned max)
{
    for (unsigned i = 0; i < count && n < max; i++, need++) {
        int value = kvm_ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)need->cap);
        caps[n++] = (struct hv_capability){
            .name = need->name,
            .used_for = need->used_for,
            .required = need->required,
            .value = value < 0 ? 0 : value,
        };
    }
    return n;
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
    n = check(fd, needs, ARRAY_SIZE(needs), caps, n, max);
    check(fd, kvm_arch.needs, kvm_arch.need_count, caps, n, max);
    close(fd);
    return (int)(1 + ARRAY_SIZE(needs) + kvm_arch.need_count);
}

static unsigned kvm_requests(uint32_t *out, unsigned max)
{
    static const uint32_t all[] = {
        KVM_RUN,
        KVM_IRQFD,
        KVM_IOEVENTFD,
        KVM_SET_GSI_ROUTING,
        KVM_SIGNAL_MSI,
        KVM_IRQ_LINE,
        KVM_GET_DIRTY_LOG,
        KVM_GET_STATS_FD,
        KVM_SET_USER_MEMORY_REGION,
        KVM_GET_MP_STATE,
    };
    unsigned n = 0;
    for (; n < ARRAY_SIZE(all); n++)
        if (n < max)
            out[n] = all[n];
    for (const uint32_t *own = kvm_arch.requests; *own != 0; own++, n++)
        if (n < max)
            out[n] = *own;
    return n;
}

const struct hv hv_kvm = {
    .name = "kvm",
    .capabilities = kvm_capabilities,
    .requests = kvm_requests,
    .vm_create = kvm_vm_create,
    .vm_end = kvm_vm_end,
    .vm_destroy = kvm_vm_destroy,
    .memory_logged = kvm_memory_logged,
    .memory_log_take = kvm_memory_log_take,
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
    .vcpu_paused = kvm_arch_paused,
    .vcpu_dump = kvm_vcpu_dump,
    .vcpu_doing = kvm_arch_doing,
    .stats = kvm_stats,
    .vcpu_clock_enabled = kvm_arch_clock_enabled,
    .guest_counter = kvm_arch_counter,
    .virtualization = kvm_arch_virtualization,
    .without_virtualization = kvm_arch_without_virtualization,
    .arch = &kvm_hv_arch,
};
