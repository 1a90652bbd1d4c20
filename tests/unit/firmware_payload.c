// SPDX-License-Identifier: BSD-2-Clause
/* A bzImage that is unpacked, moved and entered without its own decompressor. */
#include <elf.h>

#include "firmware/x86/e820.h"
#include "firmware/x86/kernel.h"
#include "firmware/x86/x86_layout.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

#define MEM_BYTES (64 * MIB)

static uint8_t file[FX_BZ_BYTES], payload[FX_PAYLOAD_BYTES];
static uint64_t randoms[2]; /* what chance brings: for the physical address, then the virtual */
static unsigned randoms_taken;
static struct gmem *memory;
static struct boot_state state;
static struct linux_boot_config config;

static int fill(void *ctx, void *dst, size_t len)
{
    (void)ctx;
    cr_assert_eq(len, sizeof(randoms[0]));
    cr_assert_lt(randoms_taken, 2);
    memcpy(dst, &randoms[randoms_taken++], len);
    return 0;
}

static const struct entropy chance = {.fill = fill};

static void machine(uint64_t bytes)
{
    static struct e820_map map;

    gmem_destroy(memory);
    memory = fx_memory(bytes);
    e820_build(&map, memory, true, 0);
    config.map = &map;
}

static void setup(void)
{
    fx_capture_errors();
    fx_bzimage(file);
    fx_payload(payload);
    config = (struct linux_boot_config){.request = {.cmdline = "quiet", .unpack = true}};
    machine(MEM_BYTES);
}

static void teardown(void)
{
    gmem_destroy(memory);
}

TestSuite(firmware_payload, .init = setup, .fini = teardown);

static int load(void)
{
    randoms_taken = 0;
    config.request.kernel_path = fx_file(file, sizeof(file), sizeof(file));
    return linux_boot_load(memory, &config, &state);
}

static int load_packed(const char *format)
{
    cr_assert_gt(fx_bzimage_pack(file, format, payload, sizeof(payload)), 0, "%s", format);
    return load();
}

/* The payload is at `gpa`, and runs `virt` above the address that it was linked for. */
static void expect_at(uint64_t gpa, uint64_t virt)
{
    uint8_t *text = payload + 0x1000;

    le64_put(text + FX_RELOC_64, FX_VALUE_64 + virt);
    le64_put(text + FX_RELOC_64_ODD, FX_VALUE_64 + virt);
    le32_put(text + FX_RELOC_NEGATIVE, FX_VALUE_NEGATIVE - (uint32_t)virt);
    le32_put(text + FX_RELOC_32, FX_VALUE_32 + (uint32_t)virt);
    fx_expect_bytes(memory, gpa, text, 0x1800);
    fx_payload(payload);
    cr_assert_eq(state.mode, BOOT_LONG64);
    cr_assert_eq(state.rip, gpa + (FX_PAYLOAD_ENTRY - FX_PREF_GPA));
    cr_assert_eq(state.rsi, X86_BOOT_PARAMS_GPA);
}

static unsigned loadflags(void)
{
    return fx_u32(memory, X86_BOOT_PARAMS_GPA + SETUP_LOADFLAGS) & 0xff;
}

static void expect_unpacks_itself(void)
{
    cr_assert_eq(state.rip, FX_PREF_GPA + 0x200);
    fx_expect_bytes(memory, FX_PREF_GPA, file + FX_SETUP_BYTES, FX_BODY_BYTES);
}

/* ---- unpacked ---- */

Test(firmware_payload, every_format)
{
    for (unsigned i = 0; fx_formats[i]; i++) {
        machine(MEM_BYTES);
        fx_bzimage(file);
        cr_assert_eq(load_packed(fx_formats[i]), 0, "%s", fx_formats[i]);
        expect_at(FX_PREF_GPA, 0);
        cr_assert_eq(loadflags(), SETUP_LOADED_HIGH);
        cr_assert_eq(fx_u32(memory, X86_BOOT_PARAMS_GPA + SETUP_INIT_SIZE), FX_INIT_BYTES);
    }
}

Test(firmware_payload, not_asked_for)
{
    config.request.unpack = false;
    cr_assert_eq(load_packed("gzip"), 0);
    expect_unpacks_itself();
}

Test(firmware_payload, unknown_formats_unpack_themselves)
{
    cr_assert_eq(load(), 0); /* it names no payload */
    expect_unpacks_itself();
    machine(MEM_BYTES);
    cr_assert_gt(fx_bzimage_pack(file, "lz4", payload, sizeof(payload)), 0);
    memcpy(file + FX_PACKED, "\x04\x22\x4d\x18", 4); /* lz4's new frame */
    cr_assert_eq(load(), 0);
    expect_unpacks_itself();
}

/* The file, where the cache is: in memory alone it would be another file system's. */
static const char *on_disk(const char *folder)
{
    static char path[64];

    snprintf(path, sizeof(path), "%s/vmlinuz", folder);
    FILE *f = fopen(path, "we");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(file, 1, sizeof(file), f), sizeof(file));
    fclose(f);
    return path;
}

Test(firmware_payload, kept)
{
    char base[] = "/tmp/minivet-payload-XXXXXX", dir[64], command[256];

    cr_assert_not_null(mkdtemp(base));
    snprintf(dir, sizeof(dir), "%s/kernels", base);
    config.request.cache_dir = dir;
    cr_assert_gt(fx_bzimage_pack(file, "zstd", payload, sizeof(payload)), 0);
    config.request.kernel_path = on_disk(base);
    cr_assert_eq(linux_boot_load(memory, &config, &state), 0);
    expect_at(FX_PREF_GPA, 0);
    /* The entry is what is loaded next time: a sign in it is seen. */
    payload[0x1000] = 0x11;
    snprintf(command, sizeof(command),
             "printf '\\021' | dd of=%s/\"$(ls %s)\" bs=1 seek=4096 conv=notrunc 2>/dev/null", dir,
             dir);
    cr_assert_eq(system(command), 0);
    machine(MEM_BYTES);
    cr_assert_eq(linux_boot_load(memory, &config, &state), 0);
    fx_expect_bytes(memory, FX_PREF_GPA, payload + 0x1000, 0x100);
    /* Nothing of it has reached the disk: it is unpacked, and kept again. */
    snprintf(command, sizeof(command),
             "head -c %u /dev/zero | dd of=%s/\"$(ls %s)\" conv=notrunc 2>/dev/null",
             FX_PAYLOAD_BYTES, dir, dir);
    cr_assert_eq(system(command), 0);
    fx_payload(payload);
    for (unsigned i = 0; i < 2; i++) {
        machine(MEM_BYTES);
        cr_assert_eq(linux_boot_load(memory, &config, &state), 0);
        expect_at(FX_PREF_GPA, 0);
    }
    snprintf(command, sizeof(command), "rm -r %s", base);
    cr_assert_eq(system(command), 0);
}

/* Files that unpack to rubbish would fill the user's disk. */
Test(firmware_payload, only_kernels_are_kept)
{
    char base[] = "/tmp/minivet-payload-XXXXXX", dir[64];

    cr_assert_not_null(mkdtemp(base));
    snprintf(dir, sizeof(dir), "%s/kernels", base);
    config.request.cache_dir = dir;
    memset(payload, 0, sizeof(payload));
    cr_assert_gt(fx_bzimage_pack(file, "zstd", payload, sizeof(payload)), 0);
    config.request.kernel_path = on_disk(base);
    cr_assert_eq(linux_boot_load(memory, &config, &state), -ENOEXEC);
    cr_assert_eq(rmdir(dir), 0); /* it is empty */
    cr_assert_eq(unlink(config.request.kernel_path), 0);
    cr_assert_eq(rmdir(base), 0);
}

/* ---- moved ---- */

#define KASLR_GPA_SLOTS  ((MEM_BYTES - FX_PREF_GPA) / FX_INIT_BYTES)
#define KASLR_VIRT_SLOTS ((1024 * MIB - FX_PREF_GPA) / FX_INIT_BYTES)

Test(firmware_payload, moved_by_chance)
{
    static const uint64_t slots[][2] = {
        {0, 0}, {3, 0}, {0, 7}, {5, 11}, {KASLR_GPA_SLOTS - 1, KASLR_VIRT_SLOTS - 1}};

    config.request.entropy = &chance;
    for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
        machine(MEM_BYTES);
        fx_bzimage(file);
        memcpy(randoms, slots[i], sizeof(randoms));
        cr_assert_eq(load_packed("lz4"), 0);
        cr_assert_eq(randoms_taken, 2);
        expect_at(FX_PREF_GPA + slots[i][0] * FX_INIT_BYTES, slots[i][1] * FX_INIT_BYTES);
        cr_assert_eq(loadflags(), SETUP_LOADED_HIGH | SETUP_KASLR);
    }
}

/* The slots are numbered in a circle. */
Test(firmware_payload, never_beyond_the_last_slot)
{
    config.request.entropy = &chance;
    randoms[0] = KASLR_GPA_SLOTS;
    randoms[1] = KASLR_VIRT_SLOTS;
    cr_assert_eq(load_packed("lz4"), 0);
    expect_at(FX_PREF_GPA, 0);
}

Test(firmware_payload, by_larger_steps)
{
    config.request.entropy = &chance;
    randoms[0] = randoms[1] = 1;
    le32_put(file + SETUP_KERNEL_ALIGNMENT, 16 * MIB);
    cr_assert_eq(load_packed("lz4"), 0);
    expect_at(FX_PREF_GPA + 16 * MIB, 16 * MIB);
}

Test(firmware_payload, alignments_that_are_none)
{
    static const uint32_t aligns[] = {0, 1, 4096, 0x300000};

    config.request.entropy = &chance;
    randoms[0] = randoms[1] = 1;
    for (unsigned i = 0; i < ARRAY_SIZE(aligns); i++) {
        machine(MEM_BYTES);
        fx_bzimage(file);
        le32_put(file + SETUP_KERNEL_ALIGNMENT, aligns[i]);
        cr_assert_eq(load_packed("lz4"), 0);
        expect_at(FX_PREF_GPA + 2 * MIB, 2 * MIB);
    }
}

Test(firmware_payload, clear_of_the_initrd)
{
    uint64_t room = MEM_BYTES - FX_PREF_GPA;

    config.request.entropy = &chance;
    for (unsigned i = 0; i < 40; i++) {
        uint64_t bytes = (i + 1) * MIB + 1, gpa;

        machine(MEM_BYTES);
        fx_bzimage(file);
        randoms[0] = i;
        config.request.initrd_path = fx_file("INITRD", 6, bytes);
        cr_assert_eq(load_packed("lz4"), 0);
        gpa = fx_u32(memory, X86_BOOT_PARAMS_GPA + SETUP_RAMDISK_IMAGE);
        fx_expect_bytes(memory, gpa, "INITRD", 6);
        cr_assert_geq(gpa + bytes, MEM_BYTES - 4096, "it is not at the top");
        cr_assert_leq(state.rip + FX_INIT_BYTES, gpa + 0x40);
        cr_assert_eq((state.rip - FX_PAYLOAD_ENTRY) / (2 * MIB), i % ((room - bytes) / (2 * MIB)));
    }
}

/* Larger than all above the kernel: it goes below, and the kernel stays. */
Test(firmware_payload, an_initrd_that_leaves_no_choice)
{
    machine(24 * MIB);
    config.request.entropy = &chance;
    randoms[0] = 1; /* for the virtual address */
    config.request.initrd_path = fx_file("INITRD", 6, 7 * MIB);
    cr_assert_eq(load_packed("lz4"), 0);
    expect_at(FX_PREF_GPA, 2 * MIB);
}

Test(firmware_payload, memory_that_is_cut_up)
{
    static const char *const words[] = {"mem=40M", "quiet memmap=1M$20M", "quiet\tmem=40M",
                                        "\"mem=40M\""};

    config.request.entropy = &chance;
    randoms[0] = randoms[1] = 3; /* the first is for the virtual address */
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        machine(MEM_BYTES);
        config.request.cmdline = words[i];
        fx_bzimage(file);
        cr_assert_eq(load_packed("lz4"), 0);
        expect_at(FX_PREF_GPA, 3 * 2 * MIB);
    }
}

Test(firmware_payload, not_moved)
{
    config.request.entropy = &chance;
    config.request.cmdline = "quiet nokaslr";
    cr_assert_eq(load_packed("lz4"), 0);
    expect_at(FX_PREF_GPA, 0);
    cr_assert_eq(loadflags(), SETUP_LOADED_HIGH);

    /* No relocations: none at all, or not behind the ELF file. */
    config.request.cmdline = "quiet";
    machine(MEM_BYTES);
    fx_bzimage(file);
    cr_assert_gt(fx_bzimage_pack(file, "lz4", payload, FX_ELF_BYTES), 0);
    cr_assert_eq(load(), 0);
    expect_at(FX_PREF_GPA, 0);
    machine(MEM_BYTES);
    le64_put(payload + offsetof(Elf64_Ehdr, e_shoff), UINT64_MAX);
    cr_assert_eq(load_packed("lz4"), 0);
    cr_assert_eq(loadflags(), SETUP_LOADED_HIGH);
    cr_assert_eq(randoms_taken, 0);
}

static int fail_to_fill(void *ctx, void *dst, size_t len)
{
    (void)ctx;
    (void)dst;
    (void)len;
    return -EAGAIN;
}

Test(firmware_payload, without_chance)
{
    config.request.entropy = &(struct entropy){.fill = fail_to_fill};
    cr_assert_eq(load_packed("lz4"), 0);
    expect_at(FX_PREF_GPA, 0);
}

/* ---- damaged ---- */

static void refused(const char *error)
{
    machine(MEM_BYTES);
    fx_capture_errors();
    cr_assert_eq(load(), -ENOEXEC);
    fx_expect_error(error);
}

Test(firmware_payload, payloads_out_of_the_file)
{
    fx_bzimage_pack(file, "gzip", payload, sizeof(payload));
    le32_put(file + SETUP_PAYLOAD_OFFSET, 0xfffffff0);
    le32_put(file + SETUP_PAYLOAD_LENGTH, 0x40);
    refused("kernel %: is damaged: 64 packed bytes at 4294967280 of a body of 8192 bytes");
    le32_put(file + SETUP_PAYLOAD_OFFSET, 0x300);
    le32_put(file + SETUP_PAYLOAD_LENGTH, FX_BODY_BYTES - 0x300 + 1);
    refused("kernel %: is damaged: 7425 packed bytes at 768 of a body of 8192 bytes");
    le32_put(file + SETUP_PAYLOAD_LENGTH, 9);
    refused("kernel %: is damaged: 9 packed bytes at 768 of a body of 8192 bytes");
}

Test(firmware_payload, sizes_that_cannot_be)
{
    size_t end = FX_PACKED + fx_bzimage_pack(file, "lz4", payload, sizeof(payload));

    le32_put(file + end - 4, 0);
    refused("kernel %: is damaged: 0 unpacked bytes are to run in 2097152");
    le32_put(file + end - 4, FX_INIT_BYTES + 1);
    refused("kernel %: is damaged: 2097153 unpacked bytes are to run in 2097152");
    le32_put(file + end - 4, FX_INIT_BYTES);
    refused("kernel %: is damaged: its lz4 data does not unpack to 2097152 bytes");
    le32_put(file + end - 4, 100);
    refused("kernel %: is damaged: its lz4 data does not unpack to 100 bytes");
}

Test(firmware_payload, not_a_kernel)
{
    payload[0] = 0;
    cr_assert_neq(load_packed("zstd"), 0);
    cr_assert_not_null(strstr(fx_error(), "is not a bzImage or ELF kernel"));
    fx_bzimage_pack(file, "zstd", file, FX_SETUP_BYTES);
    refused("kernel %: is damaged: what it unpacks to is not ELF");
}

/* A segment below or above what the header asks for, where nobody looked whether it is free. */
Test(firmware_payload, segments_elsewhere)
{
    static const uint64_t gpas[] = {FX_PREF_GPA - 0x1000, FX_PREF_GPA + FX_INIT_BYTES - 0xfff};

    for (unsigned i = 0; i < ARRAY_SIZE(gpas); i++) {
        fx_payload(payload);
        le64_put(payload + FX_PHDR(1) + FX_PHDR_PADDR, gpas[i]);
        fx_bzimage_pack(file, "xz", payload, sizeof(payload));
        refused("kernel %: is damaged: what it unpacks to lies outside of what it asks for");
    }
}

Test(firmware_payload, relocations_elsewhere)
{
    config.request.entropy = &chance;
    randoms[1] = 1;
    le32_put(payload + FX_ELF_BYTES + 4, (uint32_t)(FX_VIRT + FX_PREF_GPA) + 0x1ff9);
    fx_bzimage_pack(file, "bzip2", payload, sizeof(payload));
    refused("kernel %: is damaged: a relocation is outside of it");
}
