// SPDX-License-Identifier: BSD-2-Clause
/* Processor state: the port's types to KVM's and back. */
#include "arch/x86_64/hv_x86.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "kvm/impl.h"

#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define MSR_KVM_SYSTEM_TIME_NEW  0x4b564d01 /* kvmclock: Documentation/virt/kvm/x86/msr.rst */
#define KVM_SYSTEM_TIME_ENABLED  1u
#define SLEPT_NS_MIN             1000000 /* less is what lies between the looks at two clocks */
#define RFLAGS_IF                (UINT64_C(1) << 9)

static struct kvm_cpuid2 *cpuid_alloc(unsigned count)
{
    struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + count * sizeof(c->entries[0]));
    if (c != NULL)
        c->nent = count;
    return c;
}

static struct hv_x86_cpuid cpuid_import(const struct kvm_cpuid_entry2 *e)
{
    return (struct hv_x86_cpuid){
        .function = e->function,
        .index = e->index,
        .index_significant = (e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
        .eax = e->eax,
        .ebx = e->ebx,
        .ecx = e->ecx,
        .edx = e->edx,
    };
}

/* KVM_GET_SUPPORTED_CPUID leaves one thing out that a capability says instead. */
static int supported_cpuid(struct hv_vm *vm, struct hv_x86_cpuid *entries, unsigned max)
{
    struct kvm_cpuid2 *c = cpuid_alloc(max);
    if (c == NULL)
        return fail(-ENOMEM, "KVM: CPUID");
    int r = kvm_ioctl_ptr(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, c);
    if (r < 0) {
        free(c);
        return fail(r, "KVM_GET_SUPPORTED_CPUID");
    }
    bool deadline = kvm_ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
    for (unsigned i = 0; i < c->nent; i++) {
        entries[i] = cpuid_import(&c->entries[i]);
        if (entries[i].function == 1 && deadline)
            entries[i].ecx |= CPUID_1_ECX_TSC_DEADLINE;
    }
    r = (int)c->nent;
    free(c);
    return r;
}

static int set_cpuid(struct hv_vcpu *v, const struct hv_x86_cpuid *entries, unsigned count)
{
    struct kvm_cpuid2 *c = cpuid_alloc(count);
    if (c == NULL)
        return fail(-ENOMEM, "KVM: CPUID");
    for (unsigned i = 0; i < count; i++)
        c->entries[i] = (struct kvm_cpuid_entry2){
            .function = entries[i].function,
            .index = entries[i].index,
            .flags = entries[i].index_significant ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = entries[i].eax,
            .ebx = entries[i].ebx,
            .ecx = entries[i].ecx,
            .edx = entries[i].edx,
        };
    int err = kvm_ioctl_ptr(v->fd, KVM_SET_CPUID2, c);
    free(c);
    return err < 0 ? fail(err, "vCPU %u: KVM_SET_CPUID2", v->id) : 0;
}

static struct kvm_segment segment_export(const struct hv_x86_segment *s)
{
    return (struct kvm_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = s->type,
        .dpl = s->dpl,
        .present = s->present,
        .unusable = !s->present,
        .s = s->code_or_data,
        .l = s->long_mode,
        .db = s->default_big,
        .g = s->granularity,
    };
}

/* The local APIC's base and the pending interrupt are not the port's: they stay as they are. */
static int set_regs(struct hv_vcpu *v, const struct hv_x86_regs *regs)
{
    struct kvm_regs general = {
        .rip = regs->rip,
        .rflags = regs->rflags,
        .rbx = regs->rbx,
        .rsi = regs->rsi,
        .rsp = regs->rsp,
    };
    struct kvm_sregs special;
    int err = kvm_ioctl_ptr(v->fd, KVM_GET_SREGS, &special);
    if (err < 0)
        return fail(err, "vCPU %u: get registers", v->id);
    special.cr0 = regs->cr0;
    special.cr2 = 0;
    special.cr3 = regs->cr3;
    special.cr4 = regs->cr4;
    special.efer = regs->efer;
    special.cs = segment_export(&regs->cs);
    special.ds = special.es = special.fs = special.gs = special.ss = segment_export(&regs->data);
    special.tr = segment_export(&regs->tr);
    special.ldt = (struct kvm_segment){.unusable = 1};
    special.gdt = (struct kvm_dtable){.base = regs->gdt_base, .limit = regs->gdt_limit};
    special.idt = (struct kvm_dtable){0};
    err = kvm_ioctl_ptr(v->fd, KVM_SET_SREGS, &special);
    if (err >= 0)
        err = kvm_ioctl_ptr(v->fd, KVM_SET_REGS, &general);
    return err < 0 ? fail(err, "vCPU %u: set registers", v->id) : 0;
}

static int set_msrs(struct hv_vcpu *v, const struct hv_x86_msr *msrs, unsigned count)
{
    struct kvm_msrs *m = calloc(1, sizeof(*m) + count * sizeof(m->entries[0]));
    if (m == NULL)
        return fail(-ENOMEM, "KVM: MSRs");
    m->nmsrs = count;
    for (unsigned i = 0; i < count; i++)
        m->entries[i] = (struct kvm_msr_entry){.index = msrs[i].index, .data = msrs[i].value};
    int done = kvm_ioctl_ptr(v->fd, KVM_SET_MSRS, m);
    free(m);
    if (done < 0)
        return fail(done, "vCPU %u: KVM_SET_MSRS", v->id);
    if ((unsigned)done < count) /* it stops at the first that it refuses */
        return fail_msg(-EINVAL, "vCPU %u: KVM refuses %#llx for MSR %#x", v->id,
                        (unsigned long long)msrs[done].value, msrs[done].index);
    return 0;
}

int kvm_arch_doing(struct hv_vcpu *v)
{
    struct kvm_mp_state mp;
    struct kvm_regs r;
    int err = kvm_ioctl_ptr(v->fd, KVM_GET_MP_STATE, &mp);
    if (err >= 0)
        err = kvm_ioctl_ptr(v->fd, KVM_GET_REGS, &r);
    if (err < 0)
        return err;
    bool takes = (r.rflags & RFLAGS_IF) != 0;
    if (mp.mp_state == KVM_MP_STATE_HALTED)
        return takes ? HV_DOES_WELL : HV_IS_DEAD;
    if (mp.mp_state != KVM_MP_STATE_RUNNABLE)
        return HV_IS_OFF; /* it waits for INIT or SIPI */
    return takes ? HV_DOES_WELL : HV_RUNS_MASKED;
}

int kvm_arch_clock_enabled(struct hv_vcpu *v)
{
    _Alignas(struct kvm_msrs)
        uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)] = {0};
    struct kvm_msrs *m = (struct kvm_msrs *)(void *)room;
    m->nmsrs = 1;
    m->entries[0].index = MSR_KVM_SYSTEM_TIME_NEW;
    int done = kvm_ioctl_ptr(v->fd, KVM_GET_MSRS, m);
    if (done < 0)
        return fail(done, "vCPU %u: KVM_GET_MSRS", v->id);
    return done == 1 && (m->entries[0].data & KVM_SYSTEM_TIME_ENABLED) != 0;
}

/* Refused for a guest that does not use KVM's clock. */
void kvm_arch_paused(struct hv_vcpu *v)
{
    (void)kvm_ioctl(v->fd, KVM_KVMCLOCK_CTRL, 0);
}

static uint64_t slept_ns(void)
{
    struct timespec with, without;
    clock_gettime(CLOCK_MONOTONIC, &without);
    clock_gettime(CLOCK_BOOTTIME, &with);
    return (uint64_t)(with.tv_sec - without.tv_sec) * 1000000000u + (uint64_t)with.tv_nsec -
           (uint64_t)without.tv_nsec;
}

/* Later it could be asked for only while the vCPU does not run. All vCPUs have the same. */
void kvm_arch_counter_begin(struct hv_vcpu *v)
{
    struct hv_vm *vm = v->vm;
    struct kvm_device_attr attr = {.group = KVM_VCPU_TSC_CTRL,
                                   .attr = KVM_VCPU_TSC_OFFSET,
                                   .addr = (uintptr_t)&vm->counter_offset};
    vm->slept_ns = slept_ns();
    vm->has_counter = kvm_ioctl_ptr(v->fd, KVM_GET_DEVICE_ATTR, &attr) == 0;
}

/* KVM sets the offset anew if the host's counter has begun anew while it slept. */
int kvm_arch_counter(struct hv_vm *vm, enum hv_counter counter, uint64_t *cycles)
{
    if (!vm->has_counter || counter != HV_COUNTER_TSC)
        return -ENOTSUP;
    if ((int64_t)(slept_ns() - vm->slept_ns) > SLEPT_NS_MIN)
        return -ESTALE;
    *cycles = __rdtsc() + vm->counter_offset;
    return 0;
}

const struct hv_arch kvm_hv_arch = {
    .supported_cpuid = supported_cpuid,
    .set_cpuid = set_cpuid,
    .set_regs = set_regs,
    .set_msrs = set_msrs,
};
