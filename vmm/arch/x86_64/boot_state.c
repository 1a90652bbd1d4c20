// SPDX-License-Identifier: BSD-2-Clause
#include "arch/x86_64/boot_state.h"

#include "firmware/x86/linux_boot.h"

/* Intel SDM 3A 2.5, 2.2.1 */
#define CR0_PE   (UINT64_C(1) << 0)
#define CR0_ET   (UINT64_C(1) << 4) /* reads as 1 always */
#define CR0_PG   (UINT64_C(1) << 31)
#define CR4_PAE  (UINT64_C(1) << 5)
#define EFER_LME (UINT64_C(1) << 8)
#define EFER_LMA (UINT64_C(1) << 10)

#define RFLAGS_ALWAYS_1 UINT64_C(2)

/* Intel SDM 3A tables 3-1 and 3-2: segment types; accessed and busy, as a loaded segment is. */
#define TYPE_CODE     0xb
#define TYPE_DATA     0x3
#define TYPE_TSS_BUSY 0xb
#define TSS_LIMIT     0x67

/* Intel SDM 4 table 2-2 */
#define MSR_IA32_MISC_ENABLE  0x1a0
#define MISC_FAST_STRINGS     (UINT64_C(1) << 0)
#define MISC_BTS_UNAVAILABLE  (UINT64_C(1) << 11)
#define MISC_PEBS_UNAVAILABLE (UINT64_C(1) << 12)
#define MSR_IA32_MTRR_DEFTYPE 0x2ff
#define MTRR_ENABLE           (UINT64_C(1) << 11)
#define MTRR_WRITE_BACK       UINT64_C(6)

static struct hv_x86_segment flat(uint16_t selector, uint8_t type)
{
    return (struct hv_x86_segment){
        .selector = selector,
        .limit = UINT32_MAX,
        .type = type,
        .present = true,
        .code_or_data = true,
        .default_big = true,
        .granularity = true,
    };
}

void x86_boot_regs(struct hv_x86_regs *out, const struct boot_state *state)
{
    bool is_long = state->mode == BOOT_LONG64;
    struct hv_x86_segment code = flat(BOOT_CS, TYPE_CODE);
    code.long_mode = is_long;
    code.default_big = !is_long;
    *out = (struct hv_x86_regs){
        .rip = state->rip,
        .rsi = state->rsi,
        .rbx = state->rbx,
        .rsp = state->rsp,
        .rflags = RFLAGS_ALWAYS_1,
        .cr0 = CR0_PE | CR0_ET | (is_long ? CR0_PG : 0),
        .cr3 = state->cr3,
        .cr4 = is_long ? CR4_PAE : 0,
        .efer = is_long ? EFER_LME | EFER_LMA : 0,
        .cs = code,
        .data = flat(BOOT_DS, TYPE_DATA),
        .tr = {.selector = BOOT_TR, .limit = TSS_LIMIT, .type = TYPE_TSS_BUSY, .present = true},
        .gdt_base = state->gdt_gpa,
        .gdt_limit = state->gdt_limit,
    };
}

void x86_boot_msrs(struct hv_x86_msr out[X86_BOOT_MSRS])
{
    out[0] = (struct hv_x86_msr){MSR_IA32_MISC_ENABLE,
                                 MISC_FAST_STRINGS | MISC_BTS_UNAVAILABLE | MISC_PEBS_UNAVAILABLE};
    out[1] = (struct hv_x86_msr){MSR_IA32_MTRR_DEFTYPE, MTRR_ENABLE | MTRR_WRITE_BACK};
}
