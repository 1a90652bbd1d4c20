// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "kvm/impl.h"

static int capabilities_check(void)
{
    struct hv_capability caps[64];
    int n = kvm_capabilities(caps, ARRAY_SIZE(caps));
    if (n < 0)
        return n;
    BUG_ON((unsigned)n > ARRAY_SIZE(caps));
    for (int i = 0; i < n; i++) {
        if (caps[i].required && caps[i].value == 0)
            return fail_msg(-ENOTSUP, "KVM: this host's kernel lacks %s (%s)", caps[i].name,
                            caps[i].used_for);
    }
    return 0;
}

int kvm_cpu_features(int kvm_fd, const struct hv_vm_config *config, uint64_t *out)
{
    uint64_t known = 0;
    *out = 0;
    for (unsigned i = 0; i < kvm_arch.cpu_feature_count; i++) {
        const struct kvm_cpu_feature *f = &kvm_arch.cpu_features[i];
        bool on = config->cpu_on & f->feature, off = config->cpu_off & f->feature;
        bool has = kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, (unsigned long)f->cap) > 0;
        if (on && !has)
            return fail_msg(-ENOTSUP, "--cpu-features +%s: %s; leave it out", f->name, f->without);
        known |= f->feature;
        *out |= has && (on || (f->is_usual && !off)) ? f->feature : 0;
    }
    if ((config->cpu_on | config->cpu_off) & ~known)
        return fail_msg(-ENOTSUP, "--cpu-features: KVM leaves none to choose on this host's "
                                  "architecture; leave it out");
    return 0;
}

static int vm_open(struct hv_vm *vm)
{
    vm->kvm_fd = kvm_open();
    if (vm->kvm_fd < 0)
        return vm->kvm_fd;
    int max = kvm_ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    if (max > 0 && vm->vcpus > (unsigned)max)
        return fail_msg(-EINVAL,
                        "KVM: %u vCPUs are wanted, this host allows %d; give --cpus %d or less",
                        vm->vcpus, max, max);
    int bytes = kvm_ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (bytes < 0)
        return fail(bytes, "KVM_GET_VCPU_MMAP_SIZE");
    vm->run_bytes = (size_t)bytes;
    vm->fd = kvm_ioctl(vm->kvm_fd, KVM_CREATE_VM, kvm_arch_vm_type(vm->kvm_fd));
    if (vm->fd == -EBUSY)
        return fail_msg(-EBUSY, "KVM: another hypervisor holds the processor's virtualization");
    return vm->fd < 0 ? fail(vm->fd, "KVM_CREATE_VM") : 0;
}

/* Behind KVM's EFAULT may be an address, too, that the processor cannot have. */
int kvm_memory_refused(int err, uint64_t gpa, uint64_t bytes, unsigned address_bits)
{
    uint64_t end = address_bits > 0 && address_bits < 64 ? UINT64_C(1) << address_bits : UINT64_MAX;
    if (err == -EFAULT && gpa < end && bytes > end - gpa)
        return fail_msg(err,
                        "KVM: %" PRIu64 " MiB of guest memory at %#" PRIx64
                        ": this host's processor has guest-physical addresses of %u bits; give "
                        "--mem %" PRIu64 "M or less",
                        bytes / MIB, gpa, address_bits, (end - gpa) / MIB);
    return fail(err, "KVM: %" PRIu64 " MiB of guest memory at %#" PRIx64, bytes / MIB, gpa);
}

static int slot_set(const struct hv_vm *vm, const struct kvm_userspace_memory_region *slot)
{
    struct kvm_userspace_memory_region copy = *slot;
    int err = kvm_ioctl_ptr(vm->fd, KVM_SET_USER_MEMORY_REGION, &copy);
    if (err >= 0)
        return 0;
    int bits = kvm_arch.address_bits_cap != 0 ? kvm_ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION,
                                                          (unsigned long)kvm_arch.address_bits_cap)
                                              : 0;
    return kvm_memory_refused(err, slot->guest_phys_addr, slot->memory_size,
                              bits > 0 ? (unsigned)bits : 0);
}

static int memory_map(struct hv_vm *vm)
{
    int err = 0;
    for (unsigned i = 0; err == 0 && i < vm->memory->count; i++) {
        const struct gmem_region *r = &vm->memory->regions[i];
        err = slot_set(vm, &(struct kvm_userspace_memory_region){
                               .slot = i,
                               .guest_phys_addr = r->gpa,
                               .memory_size = r->bytes,
                               .userspace_addr = (uintptr_t)r->hva,
                           });
    }
    return err;
}

/* The slot behind those of RAM. */
int kvm_memory_logged(struct hv_vm *vm, uint64_t gpa, void *hva, uint64_t bytes)
{
    return slot_set(vm, &(struct kvm_userspace_memory_region){
                            .slot = vm->memory->count,
                            .flags = KVM_MEM_LOG_DIRTY_PAGES,
                            .guest_phys_addr = gpa,
                            .memory_size = bytes,
                            .userspace_addr = (uintptr_t)hva,
                        });
}

int kvm_memory_log_take(struct hv_vm *vm, uint64_t *pages)
{
    struct kvm_dirty_log log = {.slot = vm->memory->count, .dirty_bitmap = pages};
    int err = kvm_ioctl_ptr(vm->fd, KVM_GET_DIRTY_LOG, &log);
    return err < 0 ? fail(err, "KVM_GET_DIRTY_LOG") : 0;
}

int kvm_vm_create(struct hv_vm **out, const struct hv_vm_config *config)
{
    struct hv_vm *vm = ALLOC_BEFORE(struct hv_vm, senders);
    if (vm == NULL)
        return fail(-ENOMEM, "KVM: virtual machine");
    vm->kvm_fd = vm->fd = vm->stats_fd = -1;
    for (unsigned i = 0; i < HV_MAX_VCPUS; i++)
        vm->vcpu_fds[i] = -1;
    vm->vcpus = config->vcpus;
    vm->memory = config->memory;
    vm->stats = config->stats;
    pthread_mutex_init(&vm->routes_lock, NULL);

    int err = capabilities_check();
    if (err >= 0)
        err = vm_open(vm);
    if (err >= 0)
        err = kvm_cpu_features(vm->kvm_fd, config, &vm->cpu_features);
    if (err >= 0)
        err = memory_map(vm);
    if (err >= 0)
        err = kvm_arch_vm_init(vm);
    if (err >= 0)
        err = kvm_irq_init(vm);
    if (err < 0) {
        kvm_vm_destroy(vm);
        return err;
    }
    if (vm->stats)
        vm->stats_fd = kvm_stats_open(vm->fd);
    *out = vm;
    return 0;
}

void kvm_vm_end(struct hv_vm *vm)
{
    vm->ended = true;
}

/*
 * Closing a VM waits for what KVM left to SRCU, which is in no hurry: up to 17 ms for the tables
 * that were replaced while a VM with a short life was set up, 4 to 12 ms for the irqfds whose
 * eventfds were closed just now. A change of the memory slots makes the first hurry, one of the
 * routes the second. A new slot, a page behind RAM, costs less than RAM's: KVM has nothing to
 * unmap.
 */
static void vm_close(struct hv_vm *vm)
{
    const struct gmem_region *last = &vm->memory->regions[vm->memory->count - 1];
    struct kvm_userspace_memory_region slot = {
        .slot = vm->memory->count + 1,
        .guest_phys_addr = last->gpa + last->bytes,
        .memory_size = (uint64_t)sysconf(_SC_PAGESIZE),
        .userspace_addr = (uintptr_t)last->hva,
    };
    struct kvm_irq_routing none = {0};
    (void)kvm_ioctl_ptr(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot);
    (void)kvm_ioctl_ptr(vm->fd, KVM_SET_GSI_ROUTING, &none);
    close(vm->fd);
}

void kvm_vm_destroy(struct hv_vm *vm)
{
    if (vm == NULL)
        return;
    kvm_irq_fini(vm);
    for (unsigned i = 0; i < HV_MAX_VCPUS; i++)
        if (vm->vcpu_fds[i] >= 0)
            close(vm->vcpu_fds[i]);
    if (vm->stats_fd >= 0)
        close(vm->stats_fd);
    if (vm->fd >= 0)
        vm_close(vm);
    if (vm->kvm_fd >= 0)
        close(vm->kvm_fd);
    pthread_mutex_destroy(&vm->routes_lock);
    free(vm);
}
