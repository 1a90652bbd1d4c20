// SPDX-License-Identifier: BSD-2-Clause
/*
 * A vCPU's registers and the instruction it is at. KVM hands over the bytes of one that it failed
 * to emulate; else they are read from guest memory.
 */
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "kvm/impl.h"
#include "kvm/x86_64/state.h"

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

static void code_print(struct hv_vcpu *v, const struct hv_exit *e, const struct hv_x86_regs *r,
                       FILE *out)
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
        n = code_read(v, (r->cs.long_mode ? 0 : r->cs.base) + r->rip, bytes, sizeof(bytes));
    fputs("code at rip:", out);
    for (unsigned i = 0; i < n; i++)
        fprintf(out, " %02x", bytes[i]);
    fputs(n == 0 ? " not in guest memory\n" : "\n", out);
}

static void segment_print(const char *name, const struct hv_x86_segment *s, FILE *out)
{
    fprintf(out, "%-3s %04x base %016" PRIx64 " limit %08x type %x dpl %u%s%s%s\n", name,
            s->selector, s->base, s->limit, s->type, s->dpl, s->present ? "" : " not present",
            s->long_mode ? " 64-bit" : "", s->default_big ? " 32-bit" : "");
}

static void regs_print(const struct hv_x86_regs *r, FILE *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } regs[] = {{"rip", r->rip}, {"flg", r->rflags}, {"rax", r->rax}, {"rbx", r->rbx},
                {"rcx", r->rcx}, {"rdx", r->rdx},    {"rsi", r->rsi}, {"rdi", r->rdi},
                {"rsp", r->rsp}, {"rbp", r->rbp},    {"r8", r->r8},   {"r9", r->r9},
                {"r10", r->r10}, {"r11", r->r11},    {"r12", r->r12}, {"r13", r->r13},
                {"r14", r->r14}, {"r15", r->r15},    {"cr0", r->cr0}, {"cr2", r->cr2},
                {"cr3", r->cr3}, {"cr4", r->cr4},    {"efe", r->efer}};
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        fprintf(out, "%-3s %016" PRIx64 "%s", regs[i].name, regs[i].value,
                i % 4 == 3 || i + 1 == ARRAY_SIZE(regs) ? "\n" : "  ");
    segment_print("cs", &r->cs, out);
    segment_print("ss", &r->ss, out);
    segment_print("ds", &r->ds, out);
    segment_print("tr", &r->tr, out);
    fprintf(out, "gdt %016" PRIx64 " limit %04x  idt %016" PRIx64 " limit %04x\n", r->gdt.base,
            r->gdt.limit, r->idt.base, r->idt.limit);
}

void kvm_arch_state_print(struct hv_vcpu *v, const struct hv_exit *e, FILE *out)
{
    struct hv_x86_regs regs;
    if (kvm_x86_get_regs(v, &regs) < 0)
        return;
    code_print(v, e, &regs, out);
    regs_print(&regs, out);
}
