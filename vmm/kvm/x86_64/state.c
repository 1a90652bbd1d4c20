// SPDX-License-Identifier: BSD-2-Clause
/* Processor state: the port's types to KVM's and back. */
#include "kvm/x86_64/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "kvm/impl.h"

#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define MSR_KVM_SYSTEM_TIME_NEW  0x4b564d01 /* kvmclock: Documentation/virt/kvm/x86/msr.rst */
#define KVM_SYSTEM_TIME_ENABLED  1u

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

static struct hv_x86_segment segment_import(const struct kvm_segment *s)
{
    return (struct hv_x86_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = s->type,
        .dpl = s->dpl,
        .present = s->present && !s->unusable,
        .code_or_data = s->s,
        .long_mode = s->l,
        .default_big = s->db,
        .granularity = s->g,
    };
}

/* Each general register, and each segment, has the same name on both sides. */
/* clang-format off */
#define GENERAL(X)                                          \
    X(rax) X(rbx) X(rcx) X(rdx) X(rsi) X(rdi) X(rsp) X(rbp) \
    X(r8) X(r9) X(r10) X(r11) X(r12) X(r13) X(r14) X(r15)   \
    X(rip) X(rflags)
#define CONTROL(X) X(cr0) X(cr2) X(cr3) X(cr4) X(efer)
#define SEGMENT(X) X(cs) X(ds) X(es) X(fs) X(gs) X(ss) X(tr) X(ldt)
/* clang-format on */

int kvm_x86_get_regs(struct hv_vcpu *v, struct hv_x86_regs *regs)
{
    struct kvm_regs general;
    struct kvm_sregs special;
    int err = kvm_ioctl_ptr(v->fd, KVM_GET_REGS, &general);
    if (err >= 0)
        err = kvm_ioctl_ptr(v->fd, KVM_GET_SREGS, &special);
    if (err < 0)
        return fail(err, "vCPU %u: get registers", v->id);
#define FROM_GENERAL(name) regs->name = general.name;
#define FROM_CONTROL(name) regs->name = special.name;
#define FROM_SEGMENT(name) regs->name = segment_import(&special.name);
    GENERAL(FROM_GENERAL)
    CONTROL(FROM_CONTROL)
    SEGMENT(FROM_SEGMENT)
    regs->gdt = (struct hv_x86_table){special.gdt.base, special.gdt.limit};
    regs->idt = (struct hv_x86_table){special.idt.base, special.idt.limit};
    return 0;
}

/* The local APIC's base and the pending interrupt are not the port's: they stay as they are. */
static int set_regs(struct hv_vcpu *v, const struct hv_x86_regs *regs)
{
    struct kvm_regs general = {0};
    struct kvm_sregs special;
    int err = kvm_ioctl_ptr(v->fd, KVM_GET_SREGS, &special);
    if (err < 0)
        return fail(err, "vCPU %u: get registers", v->id);
#define TO_GENERAL(name) general.name = regs->name;
#define TO_CONTROL(name) special.name = regs->name;
#define TO_SEGMENT(name) special.name = segment_export(&regs->name);
    GENERAL(TO_GENERAL)
    CONTROL(TO_CONTROL)
    SEGMENT(TO_SEGMENT)
    special.gdt = (struct kvm_dtable){.base = regs->gdt.base, .limit = regs->gdt.limit};
    special.idt = (struct kvm_dtable){.base = regs->idt.base, .limit = regs->idt.limit};
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

const struct hv_arch kvm_hv_arch = {
    .supported_cpuid = supported_cpuid,
    .set_cpuid = set_cpuid,
    .set_regs = set_regs,
    .set_msrs = set_msrs,
};
