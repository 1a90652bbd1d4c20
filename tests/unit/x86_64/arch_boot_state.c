// SPDX-License-Identifier: BSD-2-Clause
#include "arch/x86_64/boot_state.h"

#include <criterion/criterion.h>

#include "firmware/x86/linux_boot.h"

static const struct boot_state long64 = {
    .mode = BOOT_LONG64,
    .rip = 0x1000200,
    .rsi = 0x7000,
    .rsp = 0x8ff0,
    .cr3 = 0x9000,
    .gdt_gpa = 0x500,
    .gdt_limit = 0x2f,
};

static const struct boot_state prot32 = {
    .mode = BOOT_PROT32,
    .rip = 0x100000,
    .rbx = 0x6000,
    .gdt_gpa = 0x500,
    .gdt_limit = 0x2f,
};

Test(arch_boot_state, a_64_bit_kernel_starts_with_paging_and_flat_segments)
{
    struct hv_x86_regs r;
    x86_boot_regs(&r, &long64);
    cr_expect_eq(r.rip, 0x1000200);
    cr_expect_eq(r.rsi, 0x7000);
    cr_expect_eq(r.rsp, 0x8ff0);
    cr_expect_eq(r.cr0, 0x80000011);
    cr_expect_eq(r.cr3, 0x9000);
    cr_expect_eq(r.cr4, 0x20);
    cr_expect_eq(r.efer, 0x500);
    cr_expect_eq(r.rflags, 2, "interrupts are off");
    cr_expect_eq(r.cs.selector, 0x10);
    cr_expect(r.cs.long_mode && !r.cs.default_big);
    cr_expect_eq(r.data.selector, 0x18);
    cr_expect_eq(r.gdt_base, 0x500);
    cr_expect_eq(r.gdt_limit, 0x2f);
}

Test(arch_boot_state, a_pvh_kernel_starts_in_flat_protected_mode)
{
    struct hv_x86_regs r;
    x86_boot_regs(&r, &prot32);
    cr_expect_eq(r.rip, 0x100000);
    cr_expect_eq(r.rbx, 0x6000);
    cr_expect_eq(r.cr0, 0x11);
    cr_expect_eq(r.cr4, 0);
    cr_expect_eq(r.efer, 0);
    cr_expect(!r.cs.long_mode && r.cs.default_big);
    cr_expect(r.cs.base == 0 && r.cs.limit == 0xffffffff && r.cs.type == 0xb);
    cr_expect(r.data.limit == 0xffffffff && r.data.type == 0x3 && r.data.present);
    cr_expect(r.tr.limit == 0x67 && r.tr.base == 0 && r.tr.type == 0xb && !r.tr.code_or_data);
}

Test(arch_boot_state, memory_is_write_back_and_strings_are_fast)
{
    struct hv_x86_msr m[X86_BOOT_MSRS];
    x86_boot_msrs(m);
    cr_expect_eq(m[0].index, 0x1a0);
    cr_expect(m[0].value & 1);
    cr_expect_eq(m[1].index, 0x2ff);
    cr_expect_eq(m[1].value, 0x806);
}
