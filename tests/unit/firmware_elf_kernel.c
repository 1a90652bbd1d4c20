// SPDX-License-Identifier: BSD-2-Clause
/* ELF: a good one, and every lie that its headers can tell. */
#include <elf.h>

#include "core/memory/gmem.h"
#include "firmware/x86/kernel.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

#define TEXT(field)  (file + FX_PHDR(0) + FX_PHDR_##field)
#define DATA(field)  (file + FX_PHDR(1) + FX_PHDR_##field)
#define NOTES(field) (file + FX_PHDR(2) + FX_PHDR_##field)

static uint8_t file[FX_ELF_BYTES];
static struct gmem *memory;
static struct kernel kernel;

static void setup(void)
{
    fx_capture_errors();
    memory = fx_memory(32 * MIB);
    fx_elf(file);
}

static void teardown(void)
{
    kernel_close(&kernel);
    gmem_destroy(memory);
}

TestSuite(firmware_elf_kernel, .init = setup, .fini = teardown);

static int load_bytes(size_t len, enum linux_entry entry)
{
    int err = kernel_open(&kernel, fx_file(file, len, len));

    return err ? err : elf_kernel_load(&kernel, memory, entry);
}

/* Refused before a byte of guest memory was touched. */
static void refused(int err, const char *error)
{
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), err);
    fx_expect_error(error);
    fx_expect_untouched(memory);
}

Test(firmware_elf_kernel, loads_and_prefers_pvh)
{
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), 0);
    cr_assert_eq(kernel.mode, BOOT_PROT32);
    cr_assert_eq(kernel.entry_gpa, FX_PVH_ENTRY);
    cr_assert_eq(kernel.start_gpa, FX_TEXT_GPA);
    cr_assert_eq(kernel.end_gpa, FX_DATA_GPA + 0x1000);
    fx_expect_bytes(memory, FX_TEXT_GPA, file + 0x1000, 0x1000);
    fx_expect_bytes(memory, FX_DATA_GPA, file + 0x2000, 0x800);
    cr_assert_eq(fx_u64(memory, FX_DATA_GPA + 0x800), 0);
}

Test(firmware_elf_kernel, can_be_entered_in_64_bit_mode)
{
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_LONG64), 0);
    cr_assert_eq(kernel.mode, BOOT_LONG64);
    cr_assert_eq(kernel.entry_gpa, FX_ELF_ENTRY);
}

Test(firmware_elf_kernel, without_pvh_note_enters_in_64_bit_mode)
{
    le32_put(file + FX_PVH_NOTE + 8, 17);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), 0);
    cr_assert_eq(kernel.mode, BOOT_LONG64);
    cr_assert_eq(kernel.entry_gpa, FX_ELF_ENTRY);
}

Test(firmware_elf_kernel, pvh_asked_for_but_absent)
{
    le32_put(file + FX_PVH_NOTE + 8, 17);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_PVH), -ENOEXEC);
    fx_expect_error("kernel %: has no PVH note, so no PVH entry");
}

Test(firmware_elf_kernel, pvh_entry_of_32_bits)
{
    le32_put(file + FX_PVH_NOTE + 4, 4);
    le32_put(file + FX_PVH_NOTE + 20, 0xffffffff); /* padding of nobody's */
    le64_put(NOTES(FILESZ), FX_NOTES_BYTES - 4);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), 0);
    cr_assert_eq(kernel.entry_gpa, FX_PVH_ENTRY);
}

Test(firmware_elf_kernel, virtual_entry)
{
    le64_put(file + 24, FX_VIRT + FX_DATA_GPA + 8);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_LONG64), 0);
    cr_assert_eq(kernel.entry_gpa, FX_DATA_GPA + 8);
}

/* ---- not a kernel for this machine ---- */
Test(firmware_elf_kernel, arm64)
{
    le16_put(file + FX_EHDR_TYPE + 2, EM_AARCH64);
    refused(-ENOEXEC, "kernel %: is ELF for arm64 (number 183), not x86-64");
}

Test(firmware_elf_kernel, unheard_of_machine)
{
    le16_put(file + FX_EHDR_TYPE + 2, 0x1234);
    refused(-ENOEXEC, "kernel %: is ELF for another machine (number 4660), not x86-64");
}

Test(firmware_elf_kernel, big_endian)
{
    file[EI_DATA] = ELFDATA2MSB;
    refused(-ENOEXEC, "kernel %: is ELF for a big-endian machine, not x86-64");
}

Test(firmware_elf_kernel, class_32)
{
    file[EI_CLASS] = ELFCLASS32;
    refused(-ENOEXEC, "kernel %: is 32-bit ELF; a 64-bit kernel is needed");
}

Test(firmware_elf_kernel, module)
{
    le16_put(file + FX_EHDR_TYPE, ET_REL);
    refused(-ENOEXEC, "kernel %: is an ELF object or module, not a kernel");
}

Test(firmware_elf_kernel, program)
{
    le32_put(TEXT(TYPE), PT_INTERP);
    refused(-ENOEXEC, "kernel %: is a program for Linux, not a kernel");
}

/* ---- headers that lie ---- */
Test(firmware_elf_kernel, header_sizes)
{
    le16_put(file + FX_EHDR_PHSIZE, 55);
    refused(-ENOEXEC, "kernel %: is damaged: program headers of 55 bytes, not 56");
}

Test(firmware_elf_kernel, no_headers)
{
    le16_put(file + FX_EHDR_PHNUM, 0);
    refused(-ENOEXEC, "kernel %: is damaged: 0 program headers, not 1 to 64");
}

Test(firmware_elf_kernel, too_many_headers)
{
    le16_put(file + FX_EHDR_PHNUM, 65535);
    refused(-ENOEXEC, "kernel %: is damaged: 65535 program headers, not 1 to 64");
}

Test(firmware_elf_kernel, headers_beyond_the_file)
{
    le64_put(file + FX_EHDR_PHOFF, FX_ELF_BYTES - 100);
    refused(-ENOEXEC, "kernel %: is damaged: 3 program headers at 12188 of a file of 12288 bytes");
}

Test(firmware_elf_kernel, header_offset_wraps)
{
    le64_put(file + FX_EHDR_PHOFF, UINT64_MAX - 8);
    refused(-ENOEXEC, "kernel %: is damaged: 3 program headers at 18446744073709551607 of a file of"
                      " 12288 bytes");
}

Test(firmware_elf_kernel, nothing_to_load)
{
    le32_put(TEXT(TYPE), PT_NULL);
    le32_put(DATA(TYPE), PT_NULL);
    refused(-ENOEXEC, "kernel %: is damaged: none of its program headers loads anything");
}

Test(firmware_elf_kernel, segment_beyond_the_file)
{
    le64_put(DATA(OFFSET), FX_ELF_BYTES - 0x7ff);
    refused(-ENOEXEC, "kernel %: is damaged: segment 1 is 2048 bytes at 10241 of a file of 12288");
}

Test(firmware_elf_kernel, segment_offset_wraps)
{
    le64_put(DATA(OFFSET), UINT64_MAX - 0x3ff);
    refused(-ENOEXEC, "kernel %: is damaged: segment 1 is 2048 bytes at 18446744073709550592 of a"
                      " file of 12288");
}

Test(firmware_elf_kernel, more_in_the_file_than_in_memory)
{
    le64_put(DATA(MEMSZ), 0x7ff);
    refused(-ENOEXEC, "kernel %: is damaged: segment 1 has 2048 bytes for 2047 of memory");
}

Test(firmware_elf_kernel, huge_segment)
{
    le64_put(DATA(MEMSZ), UINT64_C(1) << 40);
    refused(-ENOEXEC, "kernel %: is damaged: it asks for 0x10000000000 bytes at 0x201000, which no"
                      " machine has below its devices at 0xc0000000");
}

/* As much as a machine can have: no page of it is touched, so it costs the host nothing. */
Test(firmware_elf_kernel, large_segment)
{
    gmem_destroy(memory);
    memory = fx_memory(3 * GIB);
    le64_put(DATA(MEMSZ), 3 * GIB - FX_DATA_GPA);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), 0);
    cr_assert_eq(kernel.end_gpa, 3 * GIB);
    cr_assert_eq(lseek(memory->fd, FX_DATA_GPA + 0x1000, SEEK_DATA), -1);
}

Test(firmware_elf_kernel, segment_end_wraps)
{
    le64_put(DATA(PADDR), UINT64_MAX - 0x7ff);
    refused(-ENOEXEC, "kernel %: is damaged: it asks for 0x1000 bytes at 0xfffffffffffff800, which"
                      " no machine has below its devices at 0xc0000000");
}

Test(firmware_elf_kernel, segment_beyond_memory)
{
    le64_put(DATA(PADDR), 32 * MIB - 0xfff);
    refused(-ENOMEM, "kernel %: does not fit into 32 MiB of memory: it needs 33 MiB; give the guest"
                     " more");
}

Test(firmware_elf_kernel, segment_on_the_boot_loaders_tables)
{
    le64_put(TEXT(PADDR), 0xff000 + 1);
    refused(-ENOEXEC, "kernel %: is damaged: it asks for 0x1000 bytes at 0xff001, but the first MiB"
                      " belongs to the boot loader");
}

Test(firmware_elf_kernel, segments_overlap)
{
    le64_put(DATA(PADDR), FX_DATA_GPA - 1);
    refused(-ENOEXEC, "kernel %: is damaged: segment 1 overlaps another at 0x200fff");
}

Test(firmware_elf_kernel, entry_nowhere)
{
    le64_put(file + 24, FX_DATA_GPA + 0x800);
    le32_put(NOTES(TYPE), PT_NULL);
    refused(-ENOEXEC, "kernel %: is damaged: its entry 0x201800 is in none of its segments");
}

Test(firmware_elf_kernel, pvh_entry_nowhere)
{
    le64_put(file + FX_PVH_NOTE + 16, UINT64_C(0x100000000) + FX_PVH_ENTRY);
    refused(-ENOEXEC, "kernel %: is damaged: its entry 0x100200010 is in none of its segments");
}

/* ---- notes that lie ---- */
Test(firmware_elf_kernel, pvh_note_of_odd_size)
{
    le32_put(file + FX_PVH_NOTE + 4, 6);
    refused(-ENOEXEC, "kernel %: is damaged: its PVH note has 6 bytes, not 4 or 8");
}

Test(firmware_elf_kernel, note_longer_than_its_segment)
{
    le32_put(file + FX_PVH_NOTE + 4, 9);
    refused(-ENOEXEC, "kernel %: is damaged: the note at 10264 is longer than its segment");
}

Test(firmware_elf_kernel, note_with_a_name_of_4_gib)
{
    le32_put(file + FX_NOTES, 0xffffffff);
    refused(-ENOEXEC, "kernel %: is damaged: the note at 10240 is longer than its segment");
}

Test(firmware_elf_kernel, note_with_a_description_of_4_gib)
{
    le32_put(file + FX_NOTES + 4, 0xffffffff);
    refused(-ENOEXEC, "kernel %: is damaged: the note at 10240 is longer than its segment");
}

Test(firmware_elf_kernel, cut_off_note)
{
    le64_put(NOTES(FILESZ), 24 + 11);
    refused(-ENOEXEC, "kernel %: is damaged: a note of 11 bytes at 10264");
}

Test(firmware_elf_kernel, notes_beyond_the_file)
{
    le64_put(NOTES(OFFSET), FX_ELF_BYTES - 8);
    refused(-ENOEXEC, "kernel %: is damaged: notes of 48 bytes at 12280 of a file of 12288");
}

/* Millions of empty notes would be read one by one. */
Test(firmware_elf_kernel, endless_notes)
{
    le64_put(NOTES(OFFSET), 0x3000);
    le64_put(NOTES(FILESZ), GIB);
    cr_assert_eq(kernel_open(&kernel, fx_file(file, sizeof(file), 2 * GIB)), 0);
    cr_assert_eq(elf_kernel_load(&kernel, memory, LINUX_ENTRY_AUTO), -ENOEXEC);
    fx_expect_error("kernel %: is damaged: notes of 1073741824 bytes at 12288 of a file of"
                    " 2147483648");
}

Test(firmware_elf_kernel, cut_off_at_every_length)
{
    for (size_t len = 4; len < FX_NOTES + FX_NOTES_BYTES; len += 4) {
        fx_capture_errors();
        cr_assert_lt(load_bytes(len, LINUX_ENTRY_AUTO), 0, "%zu bytes", len);
        fx_error();
        fx_expect_untouched(memory);
        kernel_close(&kernel);
    }
}

Test(firmware_elf_kernel, every_byte_of_the_headers_spoilt)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

    for (unsigned at = 4; at < FX_PHDR(3); at++) {
        for (unsigned i = 0; i < sizeof(values); i++) {
            fx_elf(file);
            file[at] = values[i];
            fx_capture_errors();
            if (load_bytes(sizeof(file), LINUX_ENTRY_AUTO) == 0)
                cr_assert_leq(kernel.end_gpa, 32 * MIB);
            else
                fx_error();
            kernel_close(&kernel);
        }
    }
}
