// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the files of this folder share; only they and their unit tests include it.
 */
#ifndef MINIVET_KVM_IMPL_H
#define MINIVET_KVM_IMPL_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/ports/hv.h"

/* Pins of the in-kernel IOAPIC; GSIs from here up are message routes. */
#define KVM_WIRED_GSIS 24
#define KVM_PIC_GSIS   16
#define KVM_MSI_ROUTES 1000
/* What the default table needs: a pin for every wired GSI and one more for each PIC input. */
#define KVM_ROUTES_MAX (KVM_WIRED_GSIS + KVM_PIC_GSIS + KVM_MSI_ROUTES)

struct kvm_msi_route {
    bool used;
    uint64_t addr;
    uint32_t data;
};

struct hv_vm {
    int kvm_fd;
    int fd;
    unsigned vcpus;
    bool ended;
    size_t run_bytes; /* of a vCPU's shared page */
    const struct gmem *memory;
    bool stats;
    int stats_fd; /* -1: none */

    pthread_mutex_t routes_lock; /* routes, table: MSI-X tables of several devices change them */
    struct kvm_msi_route routes[KVM_MSI_ROUTES];
    struct kvm_irq_routing *table; /* room for KVM_ROUTES_MAX */
};

struct hv_vcpu {
    struct hv_vm *vm;
    unsigned id;
    int fd;
    int stats_fd; /* -1: none */
    struct kvm_run *run;
    _Atomic pid_t tid; /* 0 until the thread is bound */
    atomic_bool kicked;
    bool exit_waiting; /* vcpu_complete() met an exit that vcpu_run() has yet to describe */
};

/* ioctl that starts again when a signal cuts it short; a negative errno for -1. Not for KVM_RUN. */
int kvm_ioctl(int fd, unsigned long request, unsigned long arg);

static inline int kvm_ioctl_ptr(int fd, unsigned long request, void *arg)
{
    return kvm_ioctl(fd, request, (unsigned long)(uintptr_t)arg);
}

/* What wires the VM: of no interest when it ends. */
static inline int kvm_wire(const struct hv_vm *vm, unsigned long request, void *arg)
{
    return vm->ended ? 0 : kvm_ioctl_ptr(vm->fd, request, arg);
}

/* kvm.c: opens and checks /dev/kvm; a file descriptor or a negative errno, reported. */
int kvm_open(void);
/* What a person can do about an open() of /dev/kvm that failed with err (positive). */
const char *kvm_open_advice(int err, bool cpu_has_virt);
int kvm_capabilities(struct hv_capability *caps, unsigned max);

/* vm.c */
int kvm_vm_create(struct hv_vm **out, const struct hv_vm_config *config);
void kvm_vm_end(struct hv_vm *vm);
void kvm_vm_destroy(struct hv_vm *vm);

/* irq.c */
int kvm_irq_init(struct hv_vm *vm);
void kvm_irq_fini(struct hv_vm *vm);
unsigned kvm_routing_build(struct kvm_irq_routing *table, const struct kvm_msi_route *routes,
                           unsigned count);
int kvm_irq_line(struct hv_vm *vm, unsigned gsi, struct irq_line *out);
void kvm_irq_line_release(struct hv_vm *vm, struct irq_line *line);
struct msi_sink kvm_msi_sink(struct hv_vm *vm);

/* doorbell.c */
struct doorbell kvm_doorbell(struct hv_vm *vm);

/* vcpu.c */
int kvm_vcpu_create(struct hv_vcpu **out, struct hv_vm *vm, unsigned id);
void kvm_vcpu_destroy(struct hv_vcpu *vcpu);
int kvm_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *exit);
void kvm_vcpu_complete(struct hv_vcpu *vcpu);
void kvm_vcpu_kick(struct hv_vcpu *vcpu);
void kvm_vcpu_bind_thread(struct hv_vcpu *vcpu);
void kvm_exit_decode(struct kvm_run *run, struct hv_exit *exit);

/* stats.c: what a VM's or vCPU's descriptor has figures behind; -1 if it has none. */
int kvm_stats_open(int fd);
int kvm_stats(struct hv_vm *vm, struct hv_vcpu *vcpu, struct hv_stat *out, unsigned max);

/* dump.c */
void kvm_vcpu_dump(struct hv_vcpu *vcpu, const struct hv_exit *exit, FILE *out);
void kvm_exit_print(const struct hv_exit *exit, bool cpu_has_virt, FILE *out);

/* x86.c */
/* Has this processor VT-x or AMD-V? Without, KVM (where it runs at all) emulates. */
bool kvm_cpu_has_virt(void);
int kvm_x86_supported_cpuid(struct hv_vm *vm, struct hv_x86_cpuid *entries, unsigned max);
int kvm_x86_set_cpuid(struct hv_vcpu *vcpu, const struct hv_x86_cpuid *entries, unsigned count);
int kvm_x86_get_regs(struct hv_vcpu *vcpu, struct hv_x86_regs *regs);
int kvm_x86_set_regs(struct hv_vcpu *vcpu, const struct hv_x86_regs *regs);
int kvm_x86_set_msrs(struct hv_vcpu *vcpu, const struct hv_x86_msr *msrs, unsigned count);
int kvm_x86_clock_enabled(struct hv_vcpu *v);

#endif
