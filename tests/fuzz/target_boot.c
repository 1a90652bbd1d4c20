// SPDX-License-Identifier: BSD-2-Clause
/*
 * The boot loader: a kernel's file is as hostile as the guest that it becomes.
 *
 *     byte 0       bits 0, 1: the file is what follows, a good bzImage, or a good ELF kernel (2,
 * 3); 2: there is an initrd; 3, 4: the entry; 5: a PCI host bridge; 6: it is unpacked if it can be
 * (3 is then a good bzImage with a good payload) bytes 1, 2   RAM, in units of 64 KiB beyond the
 * first bytes 3, 4   the initrd, in units of 16 bytes byte 5       the command line, in units of 16
 * bytes bytes 6, 7   zeroes behind the file, in units of 16 bytes a byte       if it is unpacked:
 * bits 0 - 2: the payload's format; 3: it is moved, by what 16 bytes say that follow; 4: what is
 * changed is the payload, before it is packed then         the file; or what is changed in it:
 * offset (two bytes); a byte that says the width (bits 0, 1: 1, 2, 4, 8) and the value (2, 3: bytes
 * that follow, a bit, a page, a file's end); and the value
 *
 * What is loaded must be what the file has, inside of RAM, apart from all else; nothing else is
 * written but the first MiB; and an error is told in one line.
 */
#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/x86/e820.h"
#include "firmware/x86/kernel.h"
#include "firmware/x86/linux_boot.h"
#include "firmware/x86/x86_layout.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/harness/kernel_file.h"

#define FILE_MAX    (1u << 21)
#define RAW_MAX     (1u << 16)
#define CHANGES_MAX 64u
#define PAGE_BYTES  UINT64_C(4096)
#define INITRD_BYTE 0xa7
#define RANGES_MAX  66u
#define FORMATS     6u

struct range {
    uint64_t gpa, bytes;
};

static struct bench {
    int kernel_fd, initrd_fd; /* files without a name */
    char kernel_path[32], initrd_path[32];
    uint8_t file[FILE_MAX], payload[FX_PAYLOAD_BYTES];
    uint64_t file_bytes, initrd_bytes;
    bool unpack, packed, moved; /* packed: it is known what */
    bool unknown;               /* what was loaded is known to nobody but the loader */
    uint64_t randoms[2];
    unsigned randoms_taken;
    char cmdline[16 * 256];
    struct range ranges[RANGES_MAX];
    unsigned range_count;
} bench;

/* ---- the input ---- */

static uint64_t value_of(struct bench *b, struct fuzz_input *in, unsigned how)
{
    switch (how >> 2 & 3) {
    case 0:
        return fuzz_take(in, 1u << (how & 3));
    case 1:
        return UINT64_C(1) << fuzz_take(in, 1) % 64;
    case 2:
        return PAGE_BYTES * fuzz_take(in, 3);
    default:
        return b->file_bytes - 16 + fuzz_take(in, 1);
    }
}

static void change(struct bench *b, struct fuzz_input *in, uint8_t *bytes, uint64_t len,
                   uint64_t offsets)
{
    for (unsigned i = 0; in->left > 0 && i < CHANGES_MAX; i++) {
        uint8_t value[8];
        uint64_t at = fuzz_take(in, 2) % offsets;
        unsigned how = (unsigned)fuzz_take(in, 1);
        le64_put(value, value_of(b, in, how));
        memcpy(bytes + at, value, min_u64(1u << (how & 3), len - min_u64(at, len)));
    }
}

static void make_packed(struct bench *b, struct fuzz_input *in, unsigned how)
{
    fx_bzimage(b->file);
    fx_payload(b->payload);
    b->file_bytes = FX_BZ_BYTES;
    b->packed = (how & 0x10) != 0;
    if (b->packed)
        change(b, in, b->payload, sizeof(b->payload), sizeof(b->payload));
    BUG_ON(fx_bzimage_pack(b->file, fx_formats[(how & 7) % FORMATS], b->payload,
                           sizeof(b->payload)) == 0);
}

static void make_kernel(struct bench *b, struct fuzz_input *in, unsigned kind, uint64_t behind)
{
    size_t len;
    unsigned how = b->unpack ? (unsigned)fuzz_take(in, 1) : 0;
    b->packed = false;
    b->moved = (how & 8) != 0;
    b->randoms[0] = b->moved ? fuzz_take(in, 8) : 0;
    b->randoms[1] = b->moved ? fuzz_take(in, 8) : 0;
    memset(b->file, 0, b->file_bytes);
    if (kind == 0) {
        const uint8_t *bytes = fuzz_take_bytes(in, RAW_MAX, &len);
        memcpy(b->file, bytes, len);
    } else if (b->unpack && kind == 3) {
        make_packed(b, in, how);
        len = FX_BZ_BYTES;
    } else if (kind == 1) {
        fx_bzimage(b->file);
        len = FX_BZ_BYTES;
    } else {
        fx_elf(b->file);
        len = FX_ELF_BYTES;
    }
    b->file_bytes = len + behind;
    if (!b->packed)
        change(b, in, b->file, b->file_bytes, FX_ELF_BYTES);
}

static int take_random(void *ctx, void *dst, size_t len)
{
    struct bench *b = ctx;
    BUG_ON(len != sizeof(b->randoms[0]) || b->randoms_taken == 2);
    memcpy(dst, &b->randoms[b->randoms_taken++], len);
    return 0;
}

static void write_file(int fd, const void *bytes, size_t len, uint64_t total)
{
    int err = ftruncate(fd, 0);
    err = err != 0 ? err : ftruncate(fd, (off_t)total);
    BUG_ON(err != 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len);
}

/* ---- what must be so when it was loaded ---- */

static void add_range(struct bench *b, const struct gmem *g, const char *what, uint64_t gpa,
                      uint64_t bytes)
{
    fuzz_check(gpa >= X86_HIGH_MEMORY_GPA && gmem_find(g, gpa, bytes) == &g->regions[0],
               "%s is outside: 0x%llx bytes at 0x%llx", what, (unsigned long long)bytes,
               (unsigned long long)gpa);
    for (unsigned i = 0; i < b->range_count; i++)
        fuzz_check(!range_overlaps(gpa, bytes, b->ranges[i].gpa, b->ranges[i].bytes),
                   "%s is over something else at 0x%llx", what, (unsigned long long)gpa);
    fuzz_check(b->range_count < RANGES_MAX, "too many segments");
    b->ranges[b->range_count++] = (struct range){gpa, bytes};
}

static void check_part(struct bench *b, const struct gmem *g, uint64_t offset, uint64_t bytes,
                       uint64_t gpa, uint64_t all_bytes)
{
    add_range(b, g, "the kernel", gpa, all_bytes);
    fuzz_check(range_within(offset, bytes, 0, b->file_bytes), "more was loaded than there is");
    fuzz_check(memcmp(gmem_ptr(g, gpa, bytes, 1), b->file + offset, bytes) == 0,
               "something else was loaded at 0x%llx", (unsigned long long)gpa);
}

static uint64_t get(const struct gmem *g, uint64_t gpa, unsigned bytes)
{
    return le_get(gmem_ptr(g, gpa, bytes, 1), bytes);
}

/* How far a kernel was moved that begins at rip: its entry is a physical address, or a virtual one.
 */
static uint64_t moved_by(const struct bench *b, uint64_t rip)
{
    Elf64_Ehdr eh;
    memcpy(&eh, b->payload, sizeof(eh));
    uint64_t move = rip - eh.e_entry;
    for (unsigned i = 0; move % (2 * MIB) != 0 && i < eh.e_phnum; i++) {
        Elf64_Phdr ph;
        memcpy(&ph, b->payload + eh.e_phoff + i * sizeof(ph), sizeof(ph));
        if (ph.p_type == PT_LOAD && eh.e_entry - ph.p_vaddr < ph.p_filesz)
            move = rip - (ph.p_paddr + eh.e_entry - ph.p_vaddr);
    }
    fuzz_check(move % (2 * MIB) == 0, "it was moved by 0x%llx", (unsigned long long)move);
    return move;
}

/* Each segment is where it belongs, but for what relocations have changed. */
static void check_segments(const struct bench *b, const struct gmem *g, uint64_t gpa,
                           uint64_t bytes, uint64_t move)
{
    Elf64_Ehdr eh;
    memcpy(&eh, b->payload, sizeof(eh));
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        Elf64_Phdr ph;
        memcpy(&ph, b->payload + eh.e_phoff + i * sizeof(ph), sizeof(ph));
        if (ph.p_type != PT_LOAD || ph.p_memsz == 0)
            continue;
        fuzz_check(range_within(ph.p_paddr + move, ph.p_memsz, gpa, bytes) &&
                       range_within(ph.p_offset, ph.p_filesz, 0, sizeof(b->payload)),
                   "segment %u is outside", i);
        const uint8_t *is = gmem_ptr(g, ph.p_paddr + move, ph.p_filesz, 1);
        unsigned others = 0;
        for (uint64_t at = 0; at < ph.p_filesz; at++)
            others += is[at] != b->payload[ph.p_offset + at];
        fuzz_check(others <= (b->moved ? 8 * sizeof(b->payload) / 4 : 0),
                   "%u bytes of segment %u are others", others, i);
    }
}

static void check_payload(struct bench *b, const struct gmem *g, uint64_t gpa, uint64_t bytes,
                          uint64_t rip)
{
    uint64_t move = moved_by(b, rip);
    bool kaslr = (get(g, X86_BOOT_PARAMS_GPA + SETUP_LOADFLAGS, 1) & SETUP_KASLR) != 0;
    fuzz_check(kaslr ? b->moved : move == 0, "it was moved, and should not be");
    add_range(b, g, "the kernel", gpa + move, bytes);
    check_segments(b, g, gpa + move, bytes, move);
}

static void check_bzimage(struct bench *b, const struct gmem *g, uint64_t rip)
{
    unsigned sects = b->file[SETUP_SECTS];
    uint64_t offset = 512 * (1 + (sects != 0 ? sects : 4));
    uint64_t body_bytes = UINT64_C(16) * le32_get(b->file + SETUP_SYSSIZE);
    uint64_t gpa = le64_get(b->file + SETUP_PREF_ADDRESS);
    uint64_t bytes = le32_get(b->file + SETUP_INIT_SIZE);
    bool itself = rip == gpa + 0x200 &&
                  memcmp(gmem_ptr(g, gpa, body_bytes, 1), b->file + offset, body_bytes) == 0;
    b->unknown = b->unpack && !itself && !b->packed;
    if (b->unknown)
        add_range(b, g, "the kernel", rip, 1);
    else if (b->unpack && !itself)
        check_payload(b, g, gpa, bytes, rip);
    else
        check_part(b, g, offset, body_bytes, gpa, bytes);
}

static void check_elf(struct bench *b, const struct gmem *g)
{
    Elf64_Ehdr eh;
    memcpy(&eh, b->file, sizeof(eh));
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        Elf64_Phdr ph;
        memcpy(&ph, b->file + eh.e_phoff + i * sizeof(ph), sizeof(ph));
        if (ph.p_type == PT_LOAD && ph.p_memsz > 0)
            check_part(b, g, ph.p_offset, ph.p_filesz, ph.p_paddr, ph.p_memsz);
    }
}

static void check_initrd(struct bench *b, const struct gmem *g, const struct boot_state *state)
{
    bool pvh = state->mode == BOOT_PROT32;
    uint64_t at = X86_START_INFO_GPA + 0x40;
    uint64_t gpa = pvh ? get(g, at, 8) : get(g, X86_BOOT_PARAMS_GPA + SETUP_RAMDISK_IMAGE, 4);
    uint64_t bytes = pvh ? get(g, at + 8, 8) : get(g, X86_BOOT_PARAMS_GPA + SETUP_RAMDISK_SIZE, 4);
    fuzz_check(bytes == b->initrd_bytes, "the initrd has %llu bytes", (unsigned long long)bytes);
    add_range(b, g, "the initrd", gpa, bytes);
    const uint8_t *p = gmem_ptr(g, gpa, bytes, 1);
    for (uint64_t i = 0; i < bytes; i++)
        fuzz_check(p[i] == INITRD_BYTE, "the initrd was written over");
}

/* Pages that were touched have something of it. */
static void check_untouched(const struct bench *b, const struct gmem *g)
{
    uint64_t ram = g->regions[g->count - 1].fd_bytes + g->regions[g->count - 1].bytes;
    off_t at = (off_t)X86_HIGH_MEMORY_GPA;
    while (at < (off_t)ram && (at = lseek(g->fd, at, SEEK_DATA)) >= 0) {
        bool known = false;
        for (unsigned i = 0; i < b->range_count && !known; i++) {
            uint64_t from = align_down(b->ranges[i].gpa, PAGE_BYTES);
            uint64_t end = align_up(b->ranges[i].gpa + b->ranges[i].bytes, PAGE_BYTES);
            known = (uint64_t)at >= from && (uint64_t)at < end;
            at = known ? (off_t)end : at;
        }
        fuzz_check(known, "memory at 0x%llx was touched", (unsigned long long)at);
    }
}

static void check_loaded(struct bench *b, const struct gmem *g, const struct boot_state *state)
{
    b->range_count = 0;
    b->unknown = false;
    if (le32_get(b->file + SETUP_MAGIC) == SETUP_MAGIC_VALUE &&
        le16_get(b->file + SETUP_BOOT_FLAG) == SETUP_BOOT_FLAG_VALUE)
        check_bzimage(b, g, state->rip);
    else
        check_elf(b, g);
    bool inside = false;
    for (unsigned i = 0; i < b->range_count; i++)
        inside |= range_within(state->rip, 1, b->ranges[i].gpa, b->ranges[i].bytes);
    fuzz_check(inside, "it begins at 0x%llx, which is not the kernel's",
               (unsigned long long)state->rip);
    if (b->initrd_bytes > 0)
        check_initrd(b, g, state);
    if (!b->unknown)
        check_untouched(b, g);
    fuzz_check(memcmp(gmem_ptr(g, X86_CMDLINE_GPA, 1, 1), b->cmdline, strlen(b->cmdline) + 1) == 0,
               "the command line is another");
}

static void run(struct fuzz_input *in)
{
    static uint8_t initrd[16 * 65536];
    struct bench *b = &bench;
    struct boot_state state;
    struct e820_map map;
    struct gmem *g;
    if (b->kernel_path[0] == '\0') {
        b->kernel_fd = fuzz_make_file(b->kernel_path);
        b->initrd_fd = fuzz_make_file(b->initrd_path);
        memset(initrd, INITRD_BYTE, sizeof(initrd));
    }
    unsigned how = (unsigned)fuzz_take(in, 1);
    uint64_t ram_bytes = (fuzz_take(in, 2) + 1) * 64 * KIB;
    b->initrd_bytes = fuzz_take(in, 2) * 16;
    b->initrd_bytes = how & 4 ? b->initrd_bytes : 0;
    size_t cmdline_bytes = 16 * fuzz_take(in, 1);
    memset(b->cmdline, 'x', cmdline_bytes);
    b->cmdline[cmdline_bytes] = '\0';
    uint64_t behind = 16 * fuzz_take(in, 2);
    b->unpack = (how & 0x40) != 0;
    b->randoms_taken = 0;
    make_kernel(b, in, how & 3, behind);
    write_file(b->kernel_fd, b->file, min_u64(b->file_bytes, RAW_MAX), b->file_bytes);
    if (b->initrd_bytes > 0)
        write_file(b->initrd_fd, initrd, b->initrd_bytes, b->initrd_bytes);
    int err = gmem_create_shared(&g, ram_bytes, X86_HOLE_GPA, X86_HOLE_END_GPA);
    BUG_ON(err != 0);
    e820_build(&map, g, (how & 0x20) != 0, 0);
    unsigned files = fuzz_open_fds();
    fuzz_count_lines(LOG_ERROR);
    err = linux_boot_load(
        g,
        &(struct linux_boot_config){
            .request = {.kernel_path = b->kernel_path,
                        .initrd_path = b->initrd_bytes > 0 ? b->initrd_path : NULL,
                        .cmdline = b->cmdline,
                        .unpack = b->unpack,
                        .entropy = b->moved ? &(struct entropy){take_random, b} : NULL},
            .entry = (enum linux_entry)((how >> 3 & 3) % 3),
            .map = &map,
            .rsdp_gpa = X86_ACPI_GPA,
        },
        &state);
    fuzz_check(fuzz_lines() == (err != 0), "error %d was told in %u lines", err, fuzz_lines());
    fuzz_check(fuzz_open_fds() == files, "a file was left open");
    if (err == 0)
        check_loaded(b, g, &state);
    gmem_destroy(g);
}

const struct fuzz_target fuzz_target_boot = {.name = "boot", .run = fuzz_run_bytes, .bytes = run};
