// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a person needs when a vCPU cannot go on: why in words, registers, and the instruction. KVM
 * hands over the bytes of one that it failed to emulate; else they are read from guest memory.
 */
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "kvm/impl.h"

#define INSN_BYTES_MAX 15 /* Intel SDM 2A 2.3.11 */
#define PAGE           UINT64_C(4096)

static const char *internal_error_name(uint64_t suberror)
{
    switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
        return "an instruction could not be emulated";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
        return "two exceptions at the same time";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
        return "an exit while an event was being delivered";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
        return "the processor gave an exit that KVM does not expect";
    default:
        return "of a kind that this version does not know";
    }
}

static const char *raw_reason_name(uint32_t reason)
{
    switch (reason) {
    case KVM_EXIT_UNKNOWN:
        return "an exit that KVM does not know";
    case KVM_EXIT_EXCEPTION:
        return "an unexpected exception";
    case KVM_EXIT_HYPERCALL:
        return "a hypercall for the VMM";
    case KVM_EXIT_DEBUG:
        return "a debug exception";
    case KVM_EXIT_NMI:
        return "a non-maskable interrupt of the host";
    case KVM_EXIT_SYSTEM_EVENT:
        return "a system event of another kind";
    default:
        return "an exit that this VMM does not handle";
    }
}

static void emulation_print(bool cpu_has_virt, FILE *out)
{
    if (cpu_has_virt)
        fputs("KVM met an instruction that only real hardware can run, or code where no memory "
              "is\n",
              out);
    else
        fputs("this host has no VT-x/AMD-V: KVM emulates guest code at privilege level 0 and does "
              "not know this instruction; use tools/testbed or a host with hardware "
              "virtualization\n",
              out);
}

void kvm_exit_print(const struct hv_exit *e, bool cpu_has_virt, FILE *out)
{
    switch (e->reason) {
    case HV_EXIT_INTERNAL_ERROR:
        fprintf(out, "KVM internal error, suberror %" PRIu64 ": %s\n", e->raw_detail,
                internal_error_name(e->raw_detail));
        if (e->raw_detail == KVM_INTERNAL_ERROR_EMULATION)
            emulation_print(cpu_has_virt, out);
        break;
    case HV_EXIT_ENTRY_FAILED:
        fprintf(out, "the processor refused the guest's state, hardware reason %#" PRIx64 "\n",
                e->raw_detail);
        break;
    case HV_EXIT_SHUTDOWN:
        fputs("triple fault (registers may already be those of a reset)\n", out);
        break;
    case HV_EXIT_UNKNOWN:
        fprintf(out, "%s: KVM exit %" PRIu32 ", detail %#" PRIx64 "\n",
                raw_reason_name(e->raw_reason), e->raw_reason, e->raw_detail);
        break;
    default:
        fprintf(out, "KVM exit %" PRIu32 "\n", e->raw_reason);
        break;
    }
}

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

void kvm_vcpu_dump(struct hv_vcpu *v, const struct hv_exit *e, FILE *out)
{
    fprintf(out, "vCPU %u: ", v->id);
    kvm_exit_print(e, kvm_cpu_has_virt(), out);
    struct hv_x86_regs regs;
    if (kvm_x86_get_regs(v, &regs) < 0)
        return;
    code_print(v, e, &regs, out);
    regs_print(&regs, out);
}
