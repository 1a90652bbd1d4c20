// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/kernel_file.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "core/base/le.h"
#include "firmware/x86/kernel.h"

void fx_bzimage(uint8_t *file)
{
    memset(file, 0, FX_BZ_BYTES);
    le16_put(file, 0x5a4d); /* "MZ": it is an EFI program too */
    file[SETUP_SECTS] = FX_SETUP_BYTES / 512 - 1;
    le32_put(file + SETUP_SYSSIZE, FX_BODY_BYTES / 16);
    le16_put(file + SETUP_BOOT_FLAG, SETUP_BOOT_FLAG_VALUE);
    file[0x200] = 0xeb;
    file[SETUP_JUMP_LENGTH] = 0x6a;
    le32_put(file + SETUP_MAGIC, SETUP_MAGIC_VALUE);
    le16_put(file + SETUP_VERSION, 0x20f);
    file[SETUP_LOADFLAGS] = 0x81; /* a heap is only for real mode, and must not be passed on */
    le32_put(file + SETUP_INITRD_ADDR_MAX, 0x7fffffff);
    le32_put(file + SETUP_KERNEL_ALIGNMENT, 0x200000);
    le16_put(file + SETUP_XLOADFLAGS, 0x7f);
    le32_put(file + SETUP_CMDLINE_SIZE, 2047);
    le64_put(file + SETUP_SETUP_DATA, 0xdead000);
    le64_put(file + SETUP_PREF_ADDRESS, FX_PREF_GPA);
    le32_put(file + SETUP_INIT_SIZE, FX_INIT_BYTES);
    memset(file + FX_SETUP_BYTES, 0x5a, FX_BODY_BYTES);
}

static void program_header(uint8_t *file, unsigned n, uint32_t type, uint64_t offset, uint64_t gpa,
                           uint64_t file_bytes, uint64_t bytes)
{
    Elf64_Phdr ph = {
        .p_type = type,
        .p_offset = offset,
        .p_vaddr = gpa + FX_VIRT,
        .p_paddr = gpa,
        .p_filesz = file_bytes,
        .p_memsz = bytes,
        .p_align = 4,
    };

    memcpy(file + FX_PHDR(n), &ph, sizeof(ph));
}

static void note(uint8_t *p, const char *name, uint32_t type, uint64_t value)
{
    le32_put(p, 4);
    le32_put(p + 4, 8);
    le32_put(p + 8, type);
    memcpy(p + 12, name, 4);
    le64_put(p + 16, value);
}

void fx_elf(uint8_t *file)
{
    Elf64_Ehdr eh = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = FX_ELF_ENTRY,
        .e_phoff = sizeof(eh),
        .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 3,
    };

    memset(file, 0, FX_ELF_BYTES);
    memcpy(file, &eh, sizeof(eh));
    program_header(file, 0, PT_LOAD, 0x1000, FX_TEXT_GPA, 0x1000, 0x1000);
    program_header(file, 1, PT_LOAD, 0x2000, FX_DATA_GPA, 0x800, 0x1000);
    program_header(file, 2, PT_NOTE, FX_NOTES, 0, FX_NOTES_BYTES, FX_NOTES_BYTES);
    memset(file + 0x1000, 0xa5, 0x1000);
    memset(file + 0x2000, 0xc3, 0x800);
    note(file + FX_NOTES, "GNU", 18, 1); /* same type, another's: to be passed over */
    note(file + FX_PVH_NOTE, "Xen", 18, FX_PVH_ENTRY);
}

void fx_payload(uint8_t *file)
{
    const uint32_t base = (uint32_t)(FX_VIRT + FX_PREF_GPA);
    const uint32_t table[FX_RELOC_COUNT] = {
        0, base + FX_RELOC_64, base + FX_RELOC_64_ODD, 0, base + FX_RELOC_NEGATIVE,
        0, base + FX_RELOC_32};
    uint8_t *text = file + 0x1000;

    fx_elf(file);
    program_header(file, 0, PT_LOAD, 0x1000, FX_PREF_GPA, 0x1000, 0x1000);
    program_header(file, 1, PT_LOAD, 0x2000, FX_PREF_GPA + 0x1000, 0x800, 0x1000);
    le64_put(file + offsetof(Elf64_Ehdr, e_entry), FX_PAYLOAD_ENTRY);
    le64_put(file + offsetof(Elf64_Ehdr, e_shoff), FX_ELF_BYTES); /* no sections, and then: */
    for (size_t i = 0; i < FX_RELOC_COUNT; i++)
        le32_put(file + FX_ELF_BYTES + 4 * i, table[i]);
    le64_put(text + FX_RELOC_64, FX_VALUE_64);
    le64_put(text + FX_RELOC_64_ODD, FX_VALUE_64);
    le32_put(text + FX_RELOC_NEGATIVE, FX_VALUE_NEGATIVE);
    le32_put(text + FX_RELOC_32, FX_VALUE_32);
}

size_t fx_bzimage_pack(uint8_t *file, const char *format, const uint8_t *in, size_t len)
{
    size_t packed = fx_pack(format, in, len, file + FX_PACKED, FX_BZ_BYTES - FX_PACKED);

    le32_put(file + SETUP_PAYLOAD_OFFSET, FX_PACKED - FX_SETUP_BYTES);
    le32_put(file + SETUP_PAYLOAD_LENGTH, (uint32_t)packed);
    return packed;
}
