// SPDX-License-Identifier: BSD-2-Clause
/*
 * ELF: program headers say which bytes of the file go where (by physical address), and a Xen note
 * says where to enter by the PVH protocol.
 */
#include "firmware/x86/kernel.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"

#define MAX_SEGMENTS   64u
#define MAX_NOTE_BYTES (256 * KIB) /* of all program headers */
#define NOTE_PVH_ENTRY 18u         /* XEN_ELFNOTE_PHYS32_ENTRY */

/* The program headers that matter, checked against the file and the machine's memory. */
struct elf_kernel {
    struct kernel *k;
    uint64_t entry; /* the ELF header's: physical, or virtual and in a segment */
    unsigned count;
    struct segment {
        uint64_t offset, file_bytes; /* in the file */
        uint64_t gpa, bytes;         /* in memory; zero beyond file_bytes */
        uint64_t virt;
    } segments[MAX_SEGMENTS];
    uint64_t note_bytes; /* read so far */
    bool has_pvh;
    uint64_t pvh_entry;
};

static const char *machine_name(unsigned machine)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {{EM_386, "32-bit x86"}, {EM_ARM, "32-bit Arm"}, {EM_AARCH64, "arm64"},
                 {EM_RISCV, "RISC-V"},   {EM_PPC64, "POWER"},    {EM_S390, "s390"}};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].machine == machine)
            return names[i].name;
    return "another machine";
}

static int check_header(const struct kernel *k, Elf64_Ehdr *eh)
{
    const char *path = k->file.path;

    if (k->head_bytes < sizeof(*eh))
        return kernel_bad(k, "it ends within its ELF header, after %zu bytes", k->head_bytes);
    memcpy(eh, k->head, sizeof(*eh));
    if (eh->e_ident[EI_DATA] != ELFDATA2LSB)
        return fail_msg(-ENOEXEC, "kernel %s: is ELF for a big-endian machine, not x86-64", path);
    /* e_machine is at the same place in both classes. */
    if (le16toh(eh->e_machine) != EM_X86_64)
        return fail_msg(-ENOEXEC, "kernel %s: is ELF for %s (number %u), not x86-64", path,
                        machine_name(le16toh(eh->e_machine)), le16toh(eh->e_machine));
    if (eh->e_ident[EI_CLASS] != ELFCLASS64)
        return fail_msg(-ENOEXEC, "kernel %s: is 32-bit ELF; a 64-bit kernel is needed", path);
    if (le16toh(eh->e_type) != ET_EXEC && le16toh(eh->e_type) != ET_DYN)
        return fail_msg(-ENOEXEC, "kernel %s: is an ELF object or module, not a kernel", path);
    if (le16toh(eh->e_phentsize) != sizeof(Elf64_Phdr))
        return kernel_bad(k, "program headers of %u bytes, not %zu", le16toh(eh->e_phentsize),
                          sizeof(Elf64_Phdr));
    if (le16toh(eh->e_phnum) == 0 || le16toh(eh->e_phnum) > MAX_SEGMENTS)
        return kernel_bad(k, "%u program headers, not 1 to %u", le16toh(eh->e_phnum), MAX_SEGMENTS);
    return 0;
}

static int add_segment(struct elf_kernel *e, const struct gmem *g, unsigned n, const Elf64_Phdr *ph)
{
    struct segment s = {
        .offset = le64toh(ph->p_offset),
        .file_bytes = le64toh(ph->p_filesz),
        .gpa = le64toh(ph->p_paddr) + e->k->move_gpa, /* a sum that wraps is checked like any */
        .bytes = le64toh(ph->p_memsz),
        .virt = le64toh(ph->p_vaddr),
    };
    int err;

    if (s.bytes == 0 && s.file_bytes == 0)
        return 0;
    if (s.file_bytes > s.bytes)
        return kernel_bad(e->k, "segment %u has %" PRIu64 " bytes for %" PRIu64 " of memory", n,
                          s.file_bytes, s.bytes);
    if (!range_within(s.offset, s.file_bytes, 0, e->k->file.bytes))
        return kernel_bad(e->k,
                          "segment %u is %" PRIu64 " bytes at %" PRIu64 " of a file of %" PRIu64, n,
                          s.file_bytes, s.offset, e->k->file.bytes);
    err = kernel_check_range(e->k, g, s.gpa, s.bytes);
    if (err)
        return err;
    for (unsigned i = 0; i < e->count; i++) {
        if (range_overlaps(s.gpa, s.bytes, e->segments[i].gpa, e->segments[i].bytes))
            return kernel_bad(e->k, "segment %u overlaps another at 0x%" PRIx64, n, s.gpa);
    }
    e->segments[e->count++] = s;
    return 0;
}

/* One note, cut to `left` bytes; *used is how many it takes. ELF gABI, "Note Section". */
static int read_note(struct elf_kernel *e, uint64_t offset, uint64_t left, uint64_t align,
                     uint64_t *used)
{
    uint8_t buf[sizeof(Elf64_Nhdr) + 4] = {0};
    uint8_t desc[8] = {0};
    uint64_t name_bytes, desc_bytes, desc_offset;
    int err;

    if (left < sizeof(Elf64_Nhdr))
        return kernel_bad(e->k, "a note of %" PRIu64 " bytes at %" PRIu64, left, offset);
    err = image_read(&e->k->file, offset, buf, min_u64(left, sizeof(buf)));
    if (err)
        return err;
    name_bytes = le32_get(buf);
    desc_bytes = le32_get(buf + 4);
    desc_offset = align_up(sizeof(Elf64_Nhdr) + name_bytes, align);
    if (!range_within(desc_offset, desc_bytes, 0, left))
        return kernel_bad(e->k, "the note at %" PRIu64 " is longer than its segment", offset);
    *used = min_u64(align_up(desc_offset + desc_bytes, align), left);

    if (le32_get(buf + 8) != NOTE_PVH_ENTRY || name_bytes != 4 ||
        memcmp(buf + sizeof(Elf64_Nhdr), "Xen", 4) != 0)
        return 0;
    if (desc_bytes != 4 && desc_bytes != 8)
        return kernel_bad(e->k, "its PVH note has %" PRIu64 " bytes, not 4 or 8", desc_bytes);
    err = image_read(&e->k->file, offset + desc_offset, desc, desc_bytes);
    if (err)
        return err;
    e->has_pvh = true;
    e->pvh_entry = le64_get(desc);
    return 0;
}

static int read_notes(struct elf_kernel *e, const Elf64_Phdr *ph)
{
    uint64_t offset = le64toh(ph->p_offset);
    uint64_t left = le64toh(ph->p_filesz);
    uint64_t align = le64toh(ph->p_align) == 8 ? 8 : 4;

    if (!range_within(offset, left, 0, e->k->file.bytes) || left > MAX_NOTE_BYTES - e->note_bytes)
        return kernel_bad(e->k, "notes of %" PRIu64 " bytes at %" PRIu64 " of a file of %" PRIu64,
                          left, offset, e->k->file.bytes);
    e->note_bytes += left;
    while (left > 0) {
        uint64_t used = 0; /* read_note() sets it whenever it succeeds */
        int err = read_note(e, offset, left, align, &used);

        if (err)
            return err;
        offset += used;
        left -= used;
    }
    return 0;
}

static int read_program_headers(struct elf_kernel *e, const struct gmem *g)
{
    struct kernel *k = e->k;
    Elf64_Ehdr eh = {0};
    int err = check_header(k, &eh);

    if (err)
        return err;
    e->entry = le64toh(eh.e_entry);
    if (!range_within(le64toh(eh.e_phoff), le16toh(eh.e_phnum) * sizeof(Elf64_Phdr), 0,
                      k->file.bytes))
        return kernel_bad(k, "%u program headers at %" PRIu64 " of a file of %" PRIu64 " bytes",
                          le16toh(eh.e_phnum), le64toh(eh.e_phoff), k->file.bytes);
    for (unsigned i = 0; !err && i < le16toh(eh.e_phnum); i++) {
        Elf64_Phdr ph;

        err = image_read(&k->file, le64toh(eh.e_phoff) + i * sizeof(ph), &ph, sizeof(ph));
        if (err)
            break;
        if (le32toh(ph.p_type) == PT_INTERP)
            err =
                fail_msg(-ENOEXEC, "kernel %s: is a program for Linux, not a kernel", k->file.path);
        else if (le32toh(ph.p_type) == PT_LOAD)
            err = add_segment(e, g, i, &ph);
        else if (le32toh(ph.p_type) == PT_NOTE)
            err = read_notes(e, &ph);
    }
    return err;
}

/* Linux names a physical entry; other kernels may name a virtual one. */
static bool find_entry(const struct elf_kernel *e, uint64_t entry, bool may_be_virtual,
                       uint64_t *gpa)
{
    for (unsigned i = 0; i < e->count; i++) {
        const struct segment *s = &e->segments[i];

        if (range_within(entry + e->k->move_gpa, 1, s->gpa, s->file_bytes)) {
            *gpa = entry + e->k->move_gpa;
            return true;
        }
    }
    for (unsigned i = 0; may_be_virtual && i < e->count; i++) {
        const struct segment *s = &e->segments[i];

        if (entry >= s->virt && entry - s->virt < s->file_bytes) {
            *gpa = s->gpa + (entry - s->virt);
            return true;
        }
    }
    return false;
}

static int choose_entry(const struct elf_kernel *e, enum linux_entry entry)
{
    struct kernel *k = e->k;
    bool pvh = entry == LINUX_ENTRY_PVH || (entry == LINUX_ENTRY_AUTO && e->has_pvh);
    uint64_t wanted = pvh ? e->pvh_entry : e->entry;

    if (pvh && !e->has_pvh)
        return fail_msg(-ENOEXEC, "kernel %s: has no PVH note, so no PVH entry", k->file.path);
    if (!find_entry(e, wanted, !pvh, &k->entry_gpa))
        return kernel_bad(k, "its entry 0x%" PRIx64 " is in none of its segments", wanted);
    k->mode = pvh ? BOOT_PROT32 : BOOT_LONG64;
    return 0;
}

int elf_kernel_load(struct kernel *k, const struct gmem *g, enum linux_entry entry)
{
    struct elf_kernel e = {.k = k};
    int err = read_program_headers(&e, g);

    if (err)
        return err;
    if (e.count == 0)
        return kernel_bad(k, "none of its program headers loads anything");
    err = choose_entry(&e, entry);
    if (err)
        return err;
    k->start_gpa = UINT64_MAX;
    for (unsigned i = 0; i < e.count; i++) {
        const struct segment *s = &e.segments[i];

        /* What is beyond file_bytes is zero already. */
        err = image_load(&k->file, s->offset, g, s->gpa, s->file_bytes);
        if (err)
            return err;
        k->start_gpa = min_u64(k->start_gpa, s->gpa);
        k->end_gpa = max_u64(k->end_gpa, s->gpa + s->bytes);
    }
    k->initrd_max_gpa = LINUX_INITRD_MAX_GPA;
    k->cmdline_max_bytes = LINUX_CMDLINE_MAX_BYTES;
    return 0;
}
