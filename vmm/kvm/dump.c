// SPDX-License-Identifier: BSD-2-Clause
/* What a person needs when a vCPU cannot go on: why in words, and then its state. */
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "kvm/impl.h"

struct name {
    uint32_t number;
    const char *text;
};

static const struct name internal_errors[] = {
    {KVM_INTERNAL_ERROR_EMULATION, "an instruction could not be emulated"},
    {KVM_INTERNAL_ERROR_SIMUL_EX, "two exceptions at the same time"},
    {KVM_INTERNAL_ERROR_DELIVERY_EV, "an exit while an event was being delivered"},
    {KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
     "the processor gave an exit that KVM does not expect"},
    {0, "of a kind that this version does not know"},
};

static const struct name raw_reasons[] = {
    {KVM_EXIT_EXCEPTION, "an unexpected exception"},
    {KVM_EXIT_HYPERCALL, "a hypercall for the VMM"},
    {KVM_EXIT_DEBUG, "a debug exception"},
    {KVM_EXIT_NMI, "a non-maskable interrupt of the host"},
    {KVM_EXIT_ARM_NISV,
     "an access to a device by an instruction that the processor does not tell about"},
    {KVM_EXIT_SYSTEM_EVENT, "a system event of another kind"},
    {0, "an exit that this VMM does not handle"},
};

/* The table's last row is for all other numbers. */
static const char *name_of(const struct name *names, uint64_t number)
{
    while (names->number != 0 && names->number != number)
        names++;
    return names->text;
}

void kvm_exit_print(const struct hv_exit *e, bool cpu_has_virt, FILE *out)
{
    switch (e->reason) {
    case HV_EXIT_INTERRUPTED:
        fputs("was stopped here\n", out);
        break;
    case HV_EXIT_INTERNAL_ERROR:
        fprintf(out, "KVM internal error, suberror %" PRIu64 ": %s\n", e->raw_detail,
                name_of(internal_errors, e->raw_detail));
        if (e->raw_detail == KVM_INTERNAL_ERROR_EMULATION)
            fprintf(out, "%s\n",
                    cpu_has_virt ? "KVM met an instruction that only real hardware can run, or "
                                   "code where no memory is"
                                 : kvm_arch.no_emulation);
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
                e->raw_reason == KVM_EXIT_UNKNOWN ? "an exit that KVM does not know"
                                                  : name_of(raw_reasons, e->raw_reason),
                e->raw_reason, e->raw_detail);
        break;
    default:
        fprintf(out, "KVM exit %" PRIu32 "\n", e->raw_reason);
        break;
    }
}

void kvm_vcpu_dump(struct hv_vcpu *v, const struct hv_exit *e, FILE *out)
{
    fprintf(out, "vCPU %u: ", v->id);
    kvm_exit_print(e, kvm_arch_virtualization() != NULL, out);
    kvm_arch_state_print(v, e, out);
}
