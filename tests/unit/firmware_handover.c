// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/x86/handover.h"

#include "firmware/x86/e820.h"
#include "firmware/x86/kernel.h"
#include "firmware/x86/x86_layout.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

static const struct e820_map map = {
    .count = 2,
    .entries = {{0, 0x9fc00, E820_USABLE}, {0x9fc00, 0x60400, E820_RESERVED}},
};
static const struct handover with_initrd = {
    .map = &map,
    .rsdp_gpa = X86_ACPI_GPA,
    .initrd_gpa = 0x1f00000,
    .initrd_bytes = 0x12345,
};
static struct gmem *memory;

static void setup(void)
{
    uint8_t *p;

    memory = fx_memory(2 * MIB);
    p = gmem_ptr(memory, 0, X86_EBDA_GPA, 1);
    memset(p, 0xee, X86_EBDA_GPA); /* what is not written shows */
}

static void teardown(void)
{
    gmem_destroy(memory);
}

TestSuite(firmware_handover, .init = setup, .fini = teardown);

Test(firmware_handover, boot_params_repeat_the_header)
{
    uint8_t file[FX_BZ_BYTES];
    struct handover h = with_initrd;
    const uint8_t *bp = gmem_ptr(memory, X86_BOOT_PARAMS_GPA, 4096, 1);

    fx_bzimage(file);
    h.setup_head = file;
    handover_write_boot_params(memory, &h);
    cr_assert_eq(le32_get(bp + 0x202), 0x53726448);
    cr_assert_eq(le16_get(bp + 0x206), 0x20f);
    cr_assert_eq(le64_get(bp + SETUP_PREF_ADDRESS), FX_PREF_GPA);
    cr_assert_eq(le32_get(bp + SETUP_INIT_SIZE), FX_INIT_BYTES);

    /* What only the loader knows, whatever the file said. */
    cr_assert_eq(bp[0x210], 0xff);
    cr_assert_eq(bp[0x211], 0x01);
    cr_assert_eq(le32_get(bp + 0x218), 0x1f00000);
    cr_assert_eq(le32_get(bp + 0x21c), 0x12345);
    cr_assert_eq(le32_get(bp + 0x228), 0x20000);
    cr_assert_eq(le64_get(bp + 0x250), 0);
    cr_assert_eq(le64_get(bp + 0x070), 0xe0000);
    cr_assert_eq(bp[0x1ef], 0); /* the sentinel: this structure was cleared */
    cr_assert_eq(bp[0x1e8], 2);
    cr_assert_eq(le64_get(bp + 0x2d0), 0);
    cr_assert_eq(le64_get(bp + 0x2d8), 0x9fc00);
    cr_assert_eq(le32_get(bp + 0x2e0), 1);
    cr_assert_eq(le64_get(bp + 0x2e4), 0x9fc00);
    cr_assert_eq(le32_get(bp + 0x2f4), 2);
}

/* Linux include/uapi/linux/screen_info.h: all 64 bytes. */
Test(firmware_handover, boot_params_name_the_framebuffer)
{
    static const uint8_t expected[64] = {
        [0x0f] = 0x70,                          /* VIDEO_TYPE_EFI */
        [0x12] = 0x20, 0x03, 0x58, 0x02, 32,    /* 800x600, of 32 bits */
        [0x18] = 0x00, 0x00, 0x00, 0xf0,        /* its place, and ... */
        [0x1c] = 0x00, 0x4c, 0x1d, 0x00,        /* ... its size in bytes */
        [0x24] = 0x80, 0x0c,                    /* a row of 3200 */
        [0x26] = 8,    16,   8,    8,    8,  0, /* red, green, blue */
        [0x2c] = 8,    24,                      /* the rest */
        [0x32] = 1,                             /* pages */
        [0x36] = 1,                             /* no quirks for this board, please */
    };
    struct handover h = {.map = &map, .framebuffer = {0xf0000000, 800, 600}};
    const uint8_t *bp = gmem_ptr(memory, X86_BOOT_PARAMS_GPA, 4096, 1);

    handover_write_boot_params(memory, &h);
    for (unsigned at = 0; at < sizeof(expected); at++)
        cr_expect_eq(bp[at], expected[at], "at 0x%x: 0x%x", at, bp[at]);

    h.framebuffer = (struct boot_framebuffer){0};
    handover_write_boot_params(memory, &h);
    for (unsigned at = 0; at < sizeof(expected); at++)
        cr_expect_eq(bp[at], 0, "without one, at 0x%x", at);
}

/* The header's own length ends at 0x301; beyond 0x290 are the memory map and other things. */
Test(firmware_handover, boot_params_take_no_more_than_a_header)
{
    uint8_t file[FX_BZ_BYTES];
    struct handover h = {.map = &map, .setup_head = file};
    const uint8_t *bp = gmem_ptr(memory, X86_BOOT_PARAMS_GPA, 4096, 1);

    fx_bzimage(file);
    memset(file + SETUP_HEADER_MIN_END, 0x77, FX_SETUP_BYTES - SETUP_HEADER_MIN_END);
    file[SETUP_JUMP_LENGTH] = 0xff;
    handover_write_boot_params(memory, &h);
    cr_assert_eq(bp[0x28f], 0x77);
    for (unsigned at = 0x290; at < 0x2d0; at++)
        cr_assert_eq(bp[at], 0, "at 0x%x", at);
    cr_assert_eq(bp[0x1f0], 0);
    cr_assert_eq(le32_get(bp + 0x218), 0);
    cr_assert_eq(le32_get(bp + 0x21c), 0);
}

Test(firmware_handover, boot_params_without_a_header)
{
    const uint8_t *bp = gmem_ptr(memory, X86_BOOT_PARAMS_GPA, 4096, 1);

    handover_write_boot_params(memory, &with_initrd);
    cr_assert_eq(le16_get(bp + 0x1fe), 0xaa55);
    cr_assert_eq(le32_get(bp + 0x202), 0x53726448);
    cr_assert_eq(le16_get(bp + 0x206), 0x20c);
    cr_assert_eq(bp[0x210], 0xff);
    cr_assert_eq(le32_get(bp + 0x228), 0x20000);
}

Test(firmware_handover, start_info)
{
    const uint8_t *si = gmem_ptr(memory, X86_START_INFO_GPA, 4096, 1);
    uint64_t modules, memmap;

    handover_write_start_info(memory, &with_initrd);
    cr_assert_eq(le32_get(si), 0x336ec578);
    cr_assert_eq(le32_get(si + 4), 1);
    cr_assert_eq(le32_get(si + 8), 0);
    cr_assert_eq(le32_get(si + 12), 1);
    cr_assert_eq(le64_get(si + 24), X86_CMDLINE_GPA);
    cr_assert_eq(le64_get(si + 32), X86_ACPI_GPA);

    modules = le64_get(si + 16);
    cr_assert_eq(fx_u64(memory, modules), 0x1f00000);
    cr_assert_eq(fx_u64(memory, modules + 8), 0x12345);
    cr_assert_eq(fx_u64(memory, modules + 16), 0);

    memmap = le64_get(si + 40);
    cr_assert_eq(le32_get(si + 48), 2);
    cr_assert_eq(fx_u64(memory, memmap + 8), 0x9fc00);
    cr_assert_eq(fx_u32(memory, memmap + 16), 1);
    cr_assert_eq(fx_u64(memory, memmap + 24), 0x9fc00);
    cr_assert_eq(fx_u32(memory, memmap + 40), 2);
}

Test(firmware_handover, start_info_without_initrd)
{
    struct handover h = {.map = &map};

    handover_write_start_info(memory, &h);
    cr_assert_eq(fx_u32(memory, X86_START_INFO_GPA + 12), 0);
    cr_assert_eq(fx_u64(memory, X86_START_INFO_GPA + 16), 0);
    cr_assert_eq(fx_u64(memory, X86_START_INFO_GPA + 32), 0);
}

/* Bits of a descriptor's upper half: 21 is L (64-bit code), 22 is D (32-bit). */
Test(firmware_handover, gdt_fits_the_mode)
{
    struct boot_state state = {.mode = BOOT_LONG64};

    handover_write_gdt(memory, &state);
    cr_assert_eq(state.gdt_gpa, X86_GDT_GPA);
    cr_assert_eq(state.gdt_limit, 0x2f);
    cr_assert_eq(fx_u64(memory, X86_GDT_GPA), 0);
    cr_assert_eq(fx_u32(memory, X86_GDT_GPA + BOOT_CS + 4) >> 21 & 3, 1);
    cr_assert_eq(fx_u32(memory, X86_GDT_GPA + BOOT_DS + 4), 0x00cf9300);
    cr_assert_eq(fx_u32(memory, X86_GDT_GPA + BOOT_TR), 0x67);

    state.mode = BOOT_PROT32;
    handover_write_gdt(memory, &state);
    cr_assert_eq(fx_u32(memory, X86_GDT_GPA + BOOT_CS + 4) >> 21 & 3, 2);
    cr_assert_eq(fx_u32(memory, X86_GDT_GPA + BOOT_CS), 0xffff);
}

/* Walks the tables as the processor would. */
static uint64_t translate(uint64_t cr3, uint64_t addr)
{
    uint64_t table = cr3;

    for (unsigned shift = 39;; shift -= 9) {
        uint64_t entry = fx_u64(memory, table + (addr >> shift & 0x1ff) * 8);

        if ((entry & 1) == 0)
            return UINT64_MAX;
        if (entry & 0x80)
            return align_down(entry, UINT64_C(1) << shift) | (addr & ((UINT64_C(1) << shift) - 1));
        table = align_down(entry, 4096);
        cr_assert_gt(shift, 12);
    }
}

Test(firmware_handover, page_tables_map_4_gib_to_themselves)
{
    struct boot_state state = {.mode = BOOT_LONG64};

    handover_write_page_tables(memory, &state);
    for (uint64_t addr = 0; addr < 4 * GIB; addr += 2 * MIB) {
        cr_assert_eq(translate(state.cr3, addr), addr);
        cr_assert_eq(translate(state.cr3, addr + 2 * MIB - 1), addr + 2 * MIB - 1);
    }
    cr_assert_eq(translate(state.cr3, 4 * GIB), UINT64_MAX);
    cr_assert_eq(translate(state.cr3, UINT64_C(1) << 39), UINT64_MAX);
    cr_assert_eq(fx_u32(memory, X86_PAGE_TABLE_GPA - 4), 0xeeeeeeee);
    cr_assert_eq(fx_u32(memory, X86_PAGE_TABLE_GPA + 6 * UINT64_C(4096)), 0xeeeeeeee);
}
