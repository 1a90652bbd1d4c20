// SPDX-License-Identifier: BSD-2-Clause
/* What a person needs when a vCPU cannot go on: why in words, and then its state. */
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "kvm/impl.h"

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

void kvm_exit_print(const struct hv_exit *e, bool cpu_has_virt, FILE *out)
{
    switch (e->reason) {
    case HV_EXIT_INTERNAL_ERROR:
        fprintf(out, "KVM internal error, suberror %" PRIu64 ": %s\n", e->raw_detail,
                internal_error_name(e->raw_detail));
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
                raw_reason_name(e->raw_reason), e->raw_reason, e->raw_detail);
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
