// SPDX-License-Identifier: BSD-2-Clause
/*
 * A vCPU's registers and the instruction it is at. KVM hands over the bytes of one that it failed
 * to emulate; else they are read from guest memory.
 */
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "kvm/impl.h"

#define INSN_BYTES_MAX 15 /* Intel SDM 2A 2.3.11 */
#define PAGE           UINT64_C(4096)

/* Reads guest code through the guest's own page tables; how many bytes could be had. */
static unsigned code_read(struct hv_vcpu *v, uint64_t gva, uint8_t *bytes, unsigned max)
{
    unsigned n = 0;
    while (n < max) {
        struct kvm_translation t = {.linear_address = gva + n};
        unsigned step = (unsigned)min_u64(max - n, PAGE - (gva + n) % PAGE);
        if (kvm_ioctl_ptr(v->fd, KVM_TRANSLATE, &t) < 0 || !t.valid ||
            gmem_read(v->vm->memory, t.physical_address, bytes + n, step) < 0)
            break;
        n += step;
    }
    return n;
}

static void code_print(struct hv_vcpu *v, const struct hv_exit *e, uint64_t gva, FILE *out)
{
    uint8_t bytes[INSN_BYTES_MAX];
    unsigned n = 0;
    const struct kvm_run *run = v->run;
    if (e->reason == HV_EXIT_INTERNAL_ERROR && e->raw_detail == KVM_INTERNAL_ERROR_EMULATION &&
        run->internal.ndata >= 3 &&
        (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
        n = (unsigned)min_u64(run->emulation_failure.insn_size, sizeof(bytes));
        for (unsigned i = 0; i < n; i++)
            bytes[i] = run->emulation_failure.insn_bytes[i];
    }
    if (n == 0)
        n = code_read(v, gva, bytes, sizeof(bytes));
    fputs("code at rip:", out);
    for (unsigned i = 0; i < n; i++)
        fprintf(out, " %02x", bytes[i]);
    fputs(n == 0 ? " not in guest memory\n" : "\n", out);
}

static void segment_print(const char *name, const struct kvm_segment *s, FILE *out)
{
    fprintf(out, "%-3s %04x base %016llx limit %08x type %x dpl %u%s%s%s\n", name, s->selector,
            s->base, s->limit, s->type, s->dpl, s->present && !s->unusable ? "" : " not present",
            s->l ? " 64-bit" : "", s->db ? " 32-bit" : "");
}

static void regs_print(const struct kvm_regs *r, const struct kvm_sregs *s, FILE *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } regs[] = {{"rip", r->rip}, {"flg", r->rflags}, {"rax", r->rax}, {"rbx", r->rbx},
                {"rcx", r->rcx}, {"rdx", r->rdx},    {"rsi", r->rsi}, {"rdi", r->rdi},
                {"rsp", r->rsp}, {"rbp", r->rbp},    {"r8", r->r8},   {"r9", r->r9},
                {"r10", r->r10}, {"r11", r->r11},    {"r12", r->r12}, {"r13", r->r13},
                {"r14", r->r14}, {"r15", r->r15},    {"cr0", s->cr0}, {"cr2", s->cr2},
                {"cr3", s->cr3}, {"cr4", s->cr4},    {"efe", s->efer}};
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        fprintf(out, "%-3s %016" PRIx64 "%s", regs[i].name, regs[i].value,
                i % 4 == 3 || i + 1 == ARRAY_SIZE(regs) ? "\n" : "  ");
    segment_print("cs", &s->cs, out);
    segment_print("ss", &s->ss, out);
    segment_print("ds", &s->ds, out);
    segment_print("tr", &s->tr, out);
    fprintf(out, "gdt %016llx limit %04x  idt %016llx limit %04x\n", s->gdt.base, s->gdt.limit,
            s->idt.base, s->idt.limit);
}

void kvm_arch_state_print(struct hv_vcpu *v, const struct hv_exit *e, FILE *out)
{
    struct kvm_regs r;
    struct kvm_sregs s;
    int err = kvm_ioctl_ptr(v->fd, KVM_GET_REGS, &r);
    if (err >= 0)
        err = kvm_ioctl_ptr(v->fd, KVM_GET_SREGS, &s);
    if (err < 0) {
        fail(err, "vCPU %u: get registers", v->id);
        return;
    }
    code_print(v, e, (s.cs.l ? 0 : s.cs.base) + r.rip, out);
    regs_print(&r, &s, out);
}
