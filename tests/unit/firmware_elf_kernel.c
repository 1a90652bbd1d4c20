// SPDX-License-Identifier: BSD-2-Clause
/* ELF: a good one, and every lie that its headers can tell. */
#include <elf.h>

#include "firmware/x86/kernel.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

#define TEXT(field)  (FX_PHDR(0) + FX_PHDR_##field)
#define DATA(field)  (FX_PHDR(1) + FX_PHDR_##field)
#define NOTES(field) (FX_PHDR(2) + FX_PHDR_##field)

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
    le64_put(file + NOTES(FILESZ), FX_NOTES_BYTES - 4);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), 0);
    cr_assert_eq(kernel.entry_gpa, FX_PVH_ENTRY);
}

Test(firmware_elf_kernel, virtual_entry)
{
    le64_put(file + 24, FX_VIRT + FX_DATA_GPA + 8);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_LONG64), 0);
    cr_assert_eq(kernel.entry_gpa, FX_DATA_GPA + 8);
}

/* With one field of the header wrong, before a byte of guest memory was touched. */
static void refused(const char *name, int err, unsigned bytes, size_t at, uint64_t value,
                    const char *error)
{
    uint8_t raw[8];
    fx_elf(file);
    le64_put(raw, value);
    memcpy(file + at, raw, bytes);
    fx_capture_errors();
    cr_expect_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), err, "%s", name);
    fx_expect_refused(name, error, memory);
    kernel_close(&kernel);
}

Test(firmware_elf_kernel, headers_that_lie)
{
    refused("arm64", -ENOEXEC, 2, FX_EHDR_TYPE + 2, EM_AARCH64,
            "is ELF for arm64 (number 183), not x86-64");
    refused("unheard_of_machine", -ENOEXEC, 2, FX_EHDR_TYPE + 2, 0x1234,
            "is ELF for another machine (number 4660), not x86-64");
    refused("big_endian", -ENOEXEC, 1, EI_DATA, ELFDATA2MSB,
            "is ELF for a big-endian machine, not x86-64");
    refused("class_32", -ENOEXEC, 1, EI_CLASS, ELFCLASS32,
            "is 32-bit ELF; a 64-bit kernel is needed");
    refused("module", -ENOEXEC, 2, FX_EHDR_TYPE, ET_REL,
            "is an ELF object or module, not a kernel");
    refused("program", -ENOEXEC, 4, TEXT(TYPE), PT_INTERP, "is a program for Linux, not a kernel");
    refused("header_sizes", -ENOEXEC, 2, FX_EHDR_PHSIZE, 55,
            "is damaged: program headers of 55 bytes, not 56");
    refused("no_headers", -ENOEXEC, 2, FX_EHDR_PHNUM, 0,
            "is damaged: 0 program headers, not 1 to 64");
    refused("too_many_headers", -ENOEXEC, 2, FX_EHDR_PHNUM, 65535,
            "is damaged: 65535 program headers, not 1 to 64");
    refused("headers_beyond_the_file", -ENOEXEC, 8, FX_EHDR_PHOFF, FX_ELF_BYTES - 100,
            "is damaged: 3 program headers at 12188 of a file of 12288 bytes");
    refused("header_offset_wraps", -ENOEXEC, 8, FX_EHDR_PHOFF, UINT64_MAX - 8,
            "is damaged: 3 program headers at 18446744073709551607 of a file of 12288 bytes");
    refused("segment_beyond_the_file", -ENOEXEC, 8, DATA(OFFSET), FX_ELF_BYTES - 0x7ff,
            "is damaged: segment 1 is 2048 bytes at 10241 of a file of 12288");
    refused("segment_offset_wraps", -ENOEXEC, 8, DATA(OFFSET), UINT64_MAX - 0x3ff,
            "is damaged: segment 1 is 2048 bytes at 18446744073709550592 of a file of 12288");
    refused("more_in_the_file_than_in_memory", -ENOEXEC, 8, DATA(MEMSZ), 0x7ff,
            "is damaged: segment 1 has 2048 bytes for 2047 of memory");
    refused("huge_segment", -ENOEXEC, 8, DATA(MEMSZ), UINT64_C(1) << 40,
            "is damaged: it asks for 0x10000000000 bytes at 0x201000, which no machine has below "
            "its devices at 0xc0000000");
    refused("segment_end_wraps", -ENOEXEC, 8, DATA(PADDR), UINT64_MAX - 0x7ff,
            "is damaged: it asks for 0x1000 bytes at 0xfffffffffffff800, which no machine has "
            "below its devices at 0xc0000000");
    refused("segment_beyond_memory", -ENOMEM, 8, DATA(PADDR), 32 * MIB - 0xfff,
            "does not fit into 32 MiB of memory: it needs 33 MiB; give the guest more");
    refused("segment_on_the_boot_loaders_tables", -ENOEXEC, 8, TEXT(PADDR), 0xff000 + 1,
            "is damaged: it asks for 0x1000 bytes at 0xff001, but the first MiB belongs to the "
            "boot loader");
    refused("segments_overlap", -ENOEXEC, 8, DATA(PADDR), FX_DATA_GPA - 1,
            "is damaged: segment 1 overlaps another at 0x200fff");
    refused("pvh_entry_nowhere", -ENOEXEC, 8, FX_PVH_NOTE + 16,
            UINT64_C(0x100000000) + FX_PVH_ENTRY,
            "is damaged: its entry 0x100200010 is in none of its segments");
    refused("pvh_note_of_odd_size", -ENOEXEC, 4, FX_PVH_NOTE + 4, 6,
            "is damaged: its PVH note has 6 bytes, not 4 or 8");
    refused("note_longer_than_its_segment", -ENOEXEC, 4, FX_PVH_NOTE + 4, 9,
            "is damaged: the note at 10264 is longer than its segment");
    refused("note_with_a_name_of_4_gib", -ENOEXEC, 4, FX_NOTES, 0xffffffff,
            "is damaged: the note at 10240 is longer than its segment");
    refused("note_with_a_description_of_4_gib", -ENOEXEC, 4, FX_NOTES + 4, 0xffffffff,
            "is damaged: the note at 10240 is longer than its segment");
    refused("cut_off_note", -ENOEXEC, 8, NOTES(FILESZ), 24 + 11,
            "is damaged: a note of 11 bytes at 10264");
    refused("notes_beyond_the_file", -ENOEXEC, 8, NOTES(OFFSET), FX_ELF_BYTES - 8,
            "is damaged: notes of 48 bytes at 12280 of a file of 12288");
}

Test(firmware_elf_kernel, nothing_to_load)
{
    le32_put(file + TEXT(TYPE), PT_NULL);
    le32_put(file + DATA(TYPE), PT_NULL);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), -ENOEXEC);
    fx_expect_refused("nothing_to_load", "is damaged: none of its program headers loads anything",
                      memory);
}

Test(firmware_elf_kernel, entry_nowhere)
{
    le64_put(file + 24, FX_DATA_GPA + 0x800);
    le32_put(file + NOTES(TYPE), PT_NULL);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), -ENOEXEC);
    fx_expect_refused("entry_nowhere", "is damaged: its entry 0x201800 is in none of its segments",
                      memory);
}

/* As much as a machine can have: no page of it is touched, so it costs the host nothing. */
Test(firmware_elf_kernel, large_segment)
{
    gmem_destroy(memory);
    memory = fx_memory(3 * GIB);
    le64_put(file + DATA(MEMSZ), 3 * GIB - FX_DATA_GPA);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), 0);
    cr_assert_eq(kernel.end_gpa, 3 * GIB);
    cr_assert_eq(lseek(memory->fd, FX_DATA_GPA + 0x1000, SEEK_DATA), -1);
}

/* Millions of empty notes would be read one by one. */
Test(firmware_elf_kernel, endless_notes)
{
    le64_put(file + NOTES(OFFSET), 0x3000);
    le64_put(file + NOTES(FILESZ), GIB);
    cr_assert_eq(kernel_open(&kernel, fx_file(file, sizeof(file), 2 * GIB)), 0);
    cr_assert_eq(elf_kernel_load(&kernel, memory, LINUX_ENTRY_AUTO), -ENOEXEC);
    fx_expect_error("kernel %: is damaged: notes of 1073741824 bytes at 12288 of a file of"
                    " 2147483648");
}

/* 64 program headers may name the same notes. */
Test(firmware_elf_kernel, the_same_notes_again)
{
    le32_put(file + DATA(TYPE), PT_NOTE);
    le64_put(file + DATA(OFFSET), 0x3000);
    le64_put(file + DATA(FILESZ), 12 * 16384);
    le64_put(file + NOTES(OFFSET), 0x3000);
    le64_put(file + NOTES(FILESZ), 12 * 16384);
    cr_assert_eq(kernel_open(&kernel, fx_file(file, sizeof(file), MIB)), 0);
    cr_assert_eq(elf_kernel_load(&kernel, memory, LINUX_ENTRY_LONG64), -ENOEXEC);
    fx_expect_error("kernel %: is damaged: notes of 196608 bytes at 12288 of a file of 1048576");
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
