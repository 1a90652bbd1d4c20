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

#define KVM_MSI_ROUTES 1000 /* at most */
#define KVM_DEVFNS     256  /* of a PCI bus */

struct kvm_msi_route {
    bool used;
    uint64_t addr;
    uint32_t data;
    uint32_t devid; /* who sends it, where the interrupt controller asks */
};

/* What a function's messages are sent through. */
struct kvm_msi_sender {
    struct hv_vm *vm;
    uint32_t devid;
};

struct hv_vm {
    int kvm_fd;
    int fd;
    unsigned vcpus;
    bool ended;
    uint64_t cpu_features; /* HV_CPU_... that its processors have */
    bool has_gicv2;        /* arm64: and no GICv3 */
    size_t run_bytes;      /* of a vCPU's shared page */
    const struct gmem *memory;
    bool stats;
    int stats_fd;               /* -1: none */
    int vcpu_fds[HV_MAX_VCPUS]; /* that kvm_vcpu_open() has opened; -1: not yet, or closed again */
    bool has_no_irqchip;        /* the board has one: there are no messages, and lines are: */
    void (*line_set)(void *ctx, unsigned irq, bool level);
    void *line_ctx;

    pthread_mutex_t routes_lock; /* what is below: MSI-X tables of several devices change it */
    struct kvm_msi_route *routes;
    unsigned route_count;

    bool has_counter;        /* of vCPU 0 it is known: */
    uint64_t counter_offset; /* what it is ahead of the host's, modulo 2^64 */
    uint64_t slept_ns;       /* the host, by then: its counter may begin anew when it wakes */

    struct kvm_msi_sender senders[KVM_DEVFNS]; /* not cleared: each is set before it is used */
};

struct hv_vcpu {
    struct hv_vm *vm;
    unsigned id;
    int fd;
    int stats_fd; /* -1: none */
    struct kvm_run *run;
    _Atomic pid_t tid; /* 0 until the thread is bound */
    atomic_bool kicked;
    uint64_t waits;    /* that it had begun at the last look of kvm_arch_doing() */
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
/* What the VM's processors are to have, of what the host can give; reported. */
int kvm_cpu_features(int kvm_fd, const struct hv_vm_config *config, uint64_t *out);
/* Why KVM refused memory (err); address_bits: at most, or 0. Reported; err. */
int kvm_memory_refused(int err, uint64_t gpa, uint64_t bytes, unsigned address_bits);
int kvm_memory_logged(struct hv_vm *vm, uint64_t gpa, void *hva, uint64_t bytes);
int kvm_memory_log_take(struct hv_vm *vm, uint64_t *pages);
int kvm_vm_create(struct hv_vm **out, const struct hv_vm_config *config);
void kvm_vm_end(struct hv_vm *vm);
void kvm_vm_destroy(struct hv_vm *vm);

/* irq.c */
int kvm_irq_init(struct hv_vm *vm);
void kvm_irq_fini(struct hv_vm *vm);
unsigned kvm_routing_build(struct kvm_irq_routing *table, const struct kvm_msi_route *routes,
                           unsigned count);
int kvm_irq_line(struct hv_vm *vm, unsigned gsi, enum irq_way way, struct irq_line *out);
void kvm_irq_line_release(struct hv_vm *vm, struct irq_line *line);
struct msi_sink kvm_msi_sink(struct hv_vm *vm, unsigned devfn);

/* doorbell.c */
struct doorbell kvm_doorbell(struct hv_vm *vm);

/* vcpu.c */
/* Opens a vCPU's descriptor, unless it is open; reported. For interrupt controllers that have to
 * know all vCPUs. */
int kvm_vcpu_open(struct hv_vm *vm, unsigned id);
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
/* One of them; 0: there is none of that name. */
uint64_t kvm_vcpu_stat(struct hv_vcpu *vcpu, const char *name);

/* dump.c */
void kvm_vcpu_dump(struct hv_vcpu *vcpu, const struct hv_exit *exit, FILE *out);
void kvm_exit_print(const struct hv_exit *exit, bool cpu_has_virt, FILE *out);

/* ---- <architecture>/: what KVM does in another way on each ---- */
struct kvm_need {
    const char *name;
    int cap;
    const char *used_for;
    bool required;
};

#define KVM_NEED(cap) #cap, cap

/* A feature of the guest's processors that a user may choose. */
struct kvm_cpu_feature {
    uint64_t feature; /* HV_CPU_... */
    const char *name; /* of --cpu-features */
    int cap;
    bool is_usual;       /* guests have it where the host can give it */
    const char *without; /* why a host cannot */
};

struct kvm_arch {
    const struct kvm_need *needs; /* besides those of every architecture */
    unsigned need_count;
    const struct kvm_cpu_feature *cpu_features;
    unsigned cpu_feature_count;
    unsigned lines;            /* wired interrupts, GSIs 0 and up; message routes follow */
    unsigned line_routes;      /* entries of the routing table that are theirs */
    unsigned line_base;        /* what KVM_IRQ_LINE calls GSI 0 */
    bool has_no_line_irqfds;   /* they raise a line, and never lower it */
    uint32_t msi_flags;        /* of each message */
    int address_bits_cap;      /* says how many a guest-physical address has; 0: none does */
    const uint32_t *requests;  /* ioctls while the guest runs, beside all architectures', up to 0 */
    const char *load_advice;   /* /dev/kvm is not there: what a person can do, ... */
    const char *enable_advice; /* ... where the processor shows no virtualization, either */
    const char *no_emulation;  /* why KVM met an instruction that it cannot emulate there */
};

extern const struct kvm_arch kvm_arch;
extern const char kvm_arch_without_virtualization[];
extern const struct hv_arch kvm_hv_arch;

/* What KVM_CREATE_VM takes. */
unsigned long kvm_arch_vm_type(int kvm_fd);
/* A VM with its memory gets its interrupt controllers. Reported. */
int kvm_arch_vm_init(struct hv_vm *vm);
void kvm_arch_route_lines(struct kvm_irq_routing_entry *entries);
/* Does a write of a device to this address send an interrupt? */
bool kvm_arch_is_msi(uint64_t addr);
/* As hv.h's virtualization(): without it KVM (where it runs at all) emulates. */
const char *kvm_arch_virtualization(void);
int kvm_arch_clock_enabled(struct hv_vcpu *vcpu);
/* See hv->vcpu_paused. */
void kvm_arch_paused(struct hv_vcpu *vcpu);
/* See hv->guest_counter; begin: vCPU 0 has been created. */
void kvm_arch_counter_begin(struct hv_vcpu *vcpu);
int kvm_arch_counter(struct hv_vm *vm, enum hv_counter counter, uint64_t *cycles);
/* See hv->vcpu_doing. */
int kvm_arch_doing(struct hv_vcpu *vcpu);
void kvm_arch_state_print(struct hv_vcpu *vcpu, const struct hv_exit *exit, FILE *out);

#endif
