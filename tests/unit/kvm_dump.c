// SPDX-License-Identifier: BSD-2-Clause
#include "kvm/impl.h"
#include "tests/harness/test.h"

static char *print(enum hv_exit_reason reason, uint32_t raw, uint64_t detail, bool cpu_has_virt)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    struct hv_exit e = {.reason = reason, .raw_reason = raw, .raw_detail = detail};
    kvm_exit_print(&e, cpu_has_virt, out);
    fclose(out);
    return text;
}

static void expect_says(char *text, const char *part, bool says)
{
    cr_expect_eq(strstr(text, part) != NULL, says, "'%s' in '%s'", part, text);
    free(text);
}

Test(kvm_dump, an_emulated_host_explains_itself)
{
    const char *why = kvm_arch.no_emulation;
    expect_says(print(HV_EXIT_INTERNAL_ERROR, KVM_EXIT_INTERNAL_ERROR, 1, false), why, true);
    expect_says(print(HV_EXIT_INTERNAL_ERROR, KVM_EXIT_INTERNAL_ERROR, 1, true), why, false);
    expect_says(print(HV_EXIT_INTERNAL_ERROR, KVM_EXIT_INTERNAL_ERROR, 3, false), why, false);
}

Test(kvm_dump, reasons_are_words_and_numbers)
{
    expect_says(print(HV_EXIT_INTERNAL_ERROR, KVM_EXIT_INTERNAL_ERROR, 3, true),
                "suberror 3: an exit while an event was being delivered", true);
    expect_says(print(HV_EXIT_INTERNAL_ERROR, KVM_EXIT_INTERNAL_ERROR, 77, true), "suberror 77",
                true);
    expect_says(print(HV_EXIT_ENTRY_FAILED, KVM_EXIT_FAIL_ENTRY, 0x80000021, true), "0x80000021",
                true);
    expect_says(print(HV_EXIT_INTERRUPTED, KVM_EXIT_INTR, 0, true), "stopped", true);
    expect_says(print(HV_EXIT_SHUTDOWN, KVM_EXIT_SHUTDOWN, 0, true), "triple fault", true);
    expect_says(print(HV_EXIT_UNKNOWN, KVM_EXIT_UNKNOWN, 0x31, true), "detail 0x31", true);
    expect_says(print(HV_EXIT_UNKNOWN, 9999, 0, true), "KVM exit 9999", true);
}
