// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/x86/handover.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/x86/e820.h"
#include "firmware/x86/kernel.h"
#include "firmware/x86/x86_layout.h"

#define PAGE_BYTES UINT64_C(4096)

/* boot_params: Linux Documentation/arch/x86/zero-page.rst */
enum {
    BP_ACPI_RSDP_ADDR = 0x070,
    BP_E820_ENTRIES = 0x1e8,
    BP_E820_TABLE = 0x2d0,
    BP_E820_ENTRY_BYTES = 20,
};

/* screen_info, the first of boot_params: Linux include/uapi/linux/screen_info.h */
enum {
    SCREEN_ORIG_VIDEO_IS_VGA = 0x0f,
    SCREEN_LFB_WIDTH = 0x12,
    SCREEN_LFB_HEIGHT = 0x14,
    SCREEN_LFB_DEPTH = 0x16,
    SCREEN_LFB_BASE = 0x18,
    SCREEN_LFB_SIZE = 0x1c,
    SCREEN_LFB_LINELENGTH = 0x24,
    SCREEN_RED = 0x26, /* the size in bits, then the position; green, blue and the rest follow */
    SCREEN_PAGES = 0x32,
    SCREEN_CAPABILITIES = 0x36,
};
#define VIDEO_TYPE_EFI               0x70
#define VIDEO_CAPABILITY_SKIP_QUIRKS 1

/* start_info: Xen docs/misc/pvh.pandoc; module list and memory map follow in the same page. */
enum {
    SI_MAGIC = 0,
    SI_VERSION = 4,
    SI_MODULES = 12,
    SI_MODLIST_GPA = 16,
    SI_CMDLINE_GPA = 24,
    SI_RSDP_GPA = 32,
    SI_MEMMAP_GPA = 40,
    SI_MEMMAP_ENTRIES = 48,
    SI_MODLIST = 0x40,
    SI_MEMMAP = 0x80,
    SI_MEMMAP_ENTRY_BYTES = 24,
};
#define SI_MAGIC_VALUE UINT32_C(0x336ec578)

static_assert(SI_MEMMAP + E820_MAX_ENTRIES * SI_MEMMAP_ENTRY_BYTES <= PAGE_BYTES, "in one page");
static_assert(BP_E820_TABLE + E820_MAX_ENTRIES * BP_E820_ENTRY_BYTES <= PAGE_BYTES, "in one page");

/* Segment descriptors (Intel SDM 3A 3.4.5): flat, present, accessed. */
#define GDT_CODE64 UINT64_C(0x00af9b000000ffff)
#define GDT_CODE32 UINT64_C(0x00cf9b000000ffff)
#define GDT_DATA   UINT64_C(0x00cf93000000ffff)
#define GDT_TSS    UINT64_C(0x00008b0000000067) /* busy, limit 0x67; in 64-bit mode two slots */

/* Page table entries (Intel SDM 3A 4.5). */
#define PTE_TABLE      UINT64_C(0x03) /* present, writable */
#define PTE_LARGE      UINT64_C(0x83) /* and a page of 2 MiB */
#define PTE_COUNT      UINT64_C(512)
#define IDENTITY_GIB   UINT64_C(4)
#define PDPT_GPA       (X86_PAGE_TABLE_GPA + PAGE_BYTES)
#define DIRECTORY_GPA  (PDPT_GPA + PAGE_BYTES)
#define PAGE_TABLE_END (DIRECTORY_GPA + IDENTITY_GIB * PAGE_BYTES)

static_assert(PAGE_TABLE_END <= X86_CMDLINE_GPA, "page tables end before the command line");

static uint8_t *low_memory(const struct gmem *g, uint64_t gpa, uint64_t bytes)
{
    uint8_t *p = gmem_ptr(g, gpa, bytes, 1);

    BUG_ON(!p);
    memset(p, 0, bytes);
    return p;
}

/* Both protocols have the same entries, but for what is behind each. */
static void put_map(uint8_t *p, size_t entry_bytes, const struct e820_map *map)
{
    for (size_t i = 0; i < map->count; i++, p += entry_bytes) {
        le64_put(p, map->entries[i].gpa);
        le64_put(p + 8, map->entries[i].bytes);
        le32_put(p + 16, map->entries[i].type);
    }
}

/* The header as the file has it; what this loader has to say is filled in by the caller. */
static void copy_setup_header(uint8_t *bp, const uint8_t *head)
{
    size_t end = SETUP_MAGIC + head[SETUP_JUMP_LENGTH];

    if (end > SETUP_HEADER_MAX_END)
        end = SETUP_HEADER_MAX_END;
    memcpy(bp + SETUP_HEADER, head + SETUP_HEADER, end - SETUP_HEADER);
    le64_put(bp + SETUP_SETUP_DATA, 0);
}

/* For a kernel without a header: what its code looks at before it trusts the rest. */
static void make_setup_header(uint8_t *bp)
{
    le16_put(bp + SETUP_BOOT_FLAG, SETUP_BOOT_FLAG_VALUE);
    le32_put(bp + SETUP_MAGIC, SETUP_MAGIC_VALUE);
    le16_put(bp + SETUP_VERSION, SETUP_MIN_VERSION);
    le32_put(bp + SETUP_KERNEL_ALIGNMENT, 0x200000);
}

/*
 * As EFI's stub leaves it: of the types that name a linear framebuffer this is the one that every
 * kernel has a driver for. (docs/display.md says what drivers look at.)
 */
static void put_screen_info(uint8_t *si, const struct boot_framebuffer *f)
{
    static const uint8_t bits[] = {8, 16, 8, 8, 8, 0, 8, 24};

    si[SCREEN_ORIG_VIDEO_IS_VGA] = VIDEO_TYPE_EFI;
    le16_put(si + SCREEN_LFB_WIDTH, (uint16_t)f->width);
    le16_put(si + SCREEN_LFB_HEIGHT, (uint16_t)f->height);
    le16_put(si + SCREEN_LFB_DEPTH, 32);
    le32_put(si + SCREEN_LFB_BASE, (uint32_t)f->gpa);
    le32_put(si + SCREEN_LFB_SIZE, (uint32_t)boot_framebuffer_bytes(f));
    le16_put(si + SCREEN_LFB_LINELENGTH, (uint16_t)(f->width * 4));
    memcpy(si + SCREEN_RED, bits, sizeof(bits));
    le16_put(si + SCREEN_PAGES, 1);
    le32_put(si + SCREEN_CAPABILITIES, VIDEO_CAPABILITY_SKIP_QUIRKS);
}

void handover_write_boot_params(const struct gmem *g, const struct handover *h)
{
    uint8_t *bp = low_memory(g, X86_BOOT_PARAMS_GPA, PAGE_BYTES);

    if (h->setup_head)
        copy_setup_header(bp, h->setup_head);
    else
        make_setup_header(bp);
    bp[SETUP_TYPE_OF_LOADER] = SETUP_LOADER_UNKNOWN;
    bp[SETUP_LOADFLAGS] = (uint8_t)(SETUP_LOADED_HIGH | (h->kaslr ? SETUP_KASLR : 0));
    le32_put(bp + SETUP_RAMDISK_IMAGE, (uint32_t)h->initrd_gpa);
    le32_put(bp + SETUP_RAMDISK_SIZE, (uint32_t)h->initrd_bytes);
    le32_put(bp + SETUP_CMD_LINE_PTR, X86_CMDLINE_GPA);
    le64_put(bp + BP_ACPI_RSDP_ADDR, h->rsdp_gpa);
    if (h->framebuffer.width > 0)
        put_screen_info(bp, &h->framebuffer);
    bp[BP_E820_ENTRIES] = (uint8_t)h->map->count;
    put_map(bp + BP_E820_TABLE, BP_E820_ENTRY_BYTES, h->map);
}

void handover_write_start_info(const struct gmem *g, const struct handover *h)
{
    uint8_t *si = low_memory(g, X86_START_INFO_GPA, PAGE_BYTES);

    le32_put(si + SI_MAGIC, SI_MAGIC_VALUE);
    le32_put(si + SI_VERSION, 1);
    if (h->initrd_bytes > 0) {
        le32_put(si + SI_MODULES, 1);
        le64_put(si + SI_MODLIST_GPA, X86_START_INFO_GPA + SI_MODLIST);
        le64_put(si + SI_MODLIST, h->initrd_gpa);
        le64_put(si + SI_MODLIST + 8, h->initrd_bytes);
    }
    le64_put(si + SI_CMDLINE_GPA, X86_CMDLINE_GPA);
    le64_put(si + SI_RSDP_GPA, h->rsdp_gpa);
    le64_put(si + SI_MEMMAP_GPA, X86_START_INFO_GPA + SI_MEMMAP);
    le32_put(si + SI_MEMMAP_ENTRIES, h->map->count);
    put_map(si + SI_MEMMAP, SI_MEMMAP_ENTRY_BYTES, h->map);
}

void handover_write_gdt(const struct gmem *g, struct boot_state *state)
{
    uint8_t *gdt = low_memory(g, X86_GDT_GPA, BOOT_TR + 16);

    le64_put(gdt + BOOT_CS, state->mode == BOOT_LONG64 ? GDT_CODE64 : GDT_CODE32);
    le64_put(gdt + BOOT_DS, GDT_DATA);
    le64_put(gdt + BOOT_TR, GDT_TSS);
    state->gdt_gpa = X86_GDT_GPA;
    state->gdt_limit = BOOT_TR + 16 - 1;
}

void handover_write_page_tables(const struct gmem *g, struct boot_state *state)
{
    uint8_t *pml4 = low_memory(g, X86_PAGE_TABLE_GPA, PAGE_TABLE_END - X86_PAGE_TABLE_GPA);
    uint8_t *pdpt = pml4 + PAGE_BYTES;
    uint8_t *directory = pdpt + PAGE_BYTES;

    le64_put(pml4, PDPT_GPA | PTE_TABLE);
    for (uint64_t i = 0; i < IDENTITY_GIB; i++)
        le64_put(pdpt + i * 8, (DIRECTORY_GPA + i * PAGE_BYTES) | PTE_TABLE);
    for (uint64_t i = 0; i < PTE_COUNT * IDENTITY_GIB; i++)
        le64_put(directory + i * 8, i * 2 * MIB | PTE_LARGE);
    state->cr3 = X86_PAGE_TABLE_GPA;
}
