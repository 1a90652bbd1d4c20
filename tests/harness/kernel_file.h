// SPDX-License-Identifier: BSD-2-Clause
/* Kernels for tests, built byte by byte, so that a test can spoil any of them. */
#ifndef MINIVET_TESTS_HARNESS_KERNEL_FILE_H
#define MINIVET_TESTS_HARNESS_KERNEL_FILE_H

#include <stddef.h>
#include <stdint.h>

/* ---- a bzImage of protocol 2.15: setup of 2 sectors, then FX_BODY_BYTES of 0x5a ---- */
#define FX_SETUP_BYTES 1024u
#define FX_BODY_BYTES  8192u
#define FX_PREF_GPA    UINT64_C(0x1000000)
#define FX_INIT_BYTES  0x200000u
#define FX_BZ_BYTES    (FX_SETUP_BYTES + FX_BODY_BYTES)
void fx_bzimage(uint8_t *file);

/*
 * ---- an ELF kernel: a text segment of 0x1000 bytes of 0xa5 at 2 MiB, a data segment of 0x800
 * bytes of 0xc3 and as many zeros at 2 MiB + 0x1000, and a note segment ----
 */
#define FX_ELF_BYTES   0x3000u
#define FX_TEXT_GPA    UINT64_C(0x200000)
#define FX_DATA_GPA    UINT64_C(0x201000)
#define FX_VIRT        UINT64_C(0xffffffff80000000) /* plus the physical address */
#define FX_PVH_ENTRY   (FX_TEXT_GPA + 0x10)
#define FX_ELF_ENTRY   (FX_TEXT_GPA + 0x40)
#define FX_EHDR_TYPE   16 /* fields of the ELF header */
#define FX_EHDR_PHOFF  32
#define FX_EHDR_PHSIZE 54
#define FX_EHDR_PHNUM  56
#define FX_PHDR(n)     (64 + 56 * (n)) /* 0 text, 1 data, 2 notes */
#define FX_PHDR_TYPE   0               /* fields of a program header */
#define FX_PHDR_OFFSET 8
#define FX_PHDR_VADDR  16
#define FX_PHDR_PADDR  24
#define FX_PHDR_FILESZ 32
#define FX_PHDR_MEMSZ  40
#define FX_NOTES       0x2800u /* in the file: first another's note, then the one for PVH */
#define FX_PVH_NOTE    (FX_NOTES + 24)
#define FX_NOTES_BYTES 48u
void fx_elf(uint8_t *file);

/*
 * ---- what a bzImage packs: fx_elf() as Linux is linked, at FX_PREF_GPA, with a table of
 * relocations behind it. Places (in the text): two of 64 bits, a negative and a positive one of 32
 * bits ----
 */
#define FX_PAYLOAD_ENTRY  (FX_PREF_GPA + 0x40)
#define FX_RELOC_64       0x100u /* from FX_PREF_GPA */
#define FX_RELOC_64_ODD   0x10bu
#define FX_RELOC_NEGATIVE 0x200u
#define FX_RELOC_32       0x300u
#define FX_RELOC_COUNT    7u
#define FX_VALUE_64       (FX_VIRT + FX_PREF_GPA + 0x1234)
#define FX_VALUE_NEGATIVE 0x40000000u
#define FX_VALUE_32       0x81005678u
#define FX_PAYLOAD_BYTES  (FX_ELF_BYTES + 4 * FX_RELOC_COUNT)
void fx_payload(uint8_t *file);

/* The formats' names, as unpack_format() has them, ended by NULL. */
extern const char *const fx_formats[];
/* How much it is packed, with the size of `in` at its end as Linux has it; 0: no room. */
size_t fx_pack(const char *format, const uint8_t *in, size_t len, uint8_t *out, size_t room);
/* Packs into the body of a fx_bzimage(); as fx_pack(). */
#define FX_PACKED (FX_SETUP_BYTES + 0x300) /* in the file */
size_t fx_bzimage_pack(uint8_t *file, const char *format, const uint8_t *in, size_t len);

#endif
