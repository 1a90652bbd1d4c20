// SPDX-License-Identifier: BSD-2-Clause
/*
 * The loader as a whole: where everything ends up and in which state the first vCPU starts. The
 * last test takes a real kernel: MINIVET_TEST_KERNEL names one or more files, separated by colons.
 */
#include "firmware/x86/linux_boot.h"

#include "firmware/kernel/cmdline.h"
#include "firmware/x86/e820.h"
#include "firmware/x86/kernel.h"
#include "firmware/x86/x86_layout.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

static uint8_t bzimage[FX_BZ_BYTES];
static uint8_t elf[FX_ELF_BYTES];
static struct gmem *memory;
static struct e820_map map;
static struct linux_boot_config config;
static struct boot_state state;

static void machine(uint64_t bytes)
{
    gmem_destroy(memory);
    memory = fx_memory(bytes);
    e820_build(&map, memory, true, 0);
    config = (struct linux_boot_config){.request.cmdline = "console=ttyS0", .map = &map};
    config.rsdp_gpa = X86_ACPI_GPA;
    memset(&state, 0xee, sizeof(state));
}

static void setup(void)
{
    fx_capture_errors();
    fx_bzimage(bzimage);
    fx_elf(elf);
    machine(64 * MIB);
}

static void teardown(void)
{
    gmem_destroy(memory);
}

TestSuite(firmware_linux_boot, .init = setup, .fini = teardown);

static int load(const uint8_t *file, size_t len)
{
    config.request.kernel_path = fx_file(file, len, len);
    return linux_boot_load(memory, &config, &state);
}

/* Loads a bzImage with an initrd of zeros between two marks; returns where that is. */
static uint64_t place_initrd(uint64_t bytes)
{
    uint64_t gpa;

    config.request.initrd_path = fx_file("INITRD", 6, bytes);
    cr_assert_eq(load(bzimage, sizeof(bzimage)), 0);
    gpa = fx_u32(memory, X86_BOOT_PARAMS_GPA + SETUP_RAMDISK_IMAGE);
    cr_assert_eq(fx_u32(memory, X86_BOOT_PARAMS_GPA + SETUP_RAMDISK_SIZE), bytes);
    fx_expect_bytes(memory, gpa, "INITRD", 6);
    fx_expect_bytes(memory, FX_PREF_GPA, bzimage + FX_SETUP_BYTES, FX_BODY_BYTES);
    return gpa;
}

/* Minivet's own archive comes first, without a gap. */
Test(firmware_linux_boot, an_archive_before_the_initrd)
{
    config.request.initrd_before = "0707";
    config.request.initrd_before_bytes = 4;
    config.request.initrd_path = fx_file("INITRD", 6, 4096);
    cr_assert_eq(load(bzimage, sizeof(bzimage)), 0);
    cr_expect_eq(fx_u32(memory, X86_BOOT_PARAMS_GPA + SETUP_RAMDISK_SIZE), 4100);
    fx_expect_bytes(memory, fx_u32(memory, X86_BOOT_PARAMS_GPA + SETUP_RAMDISK_IMAGE), "0707INITRD",
                    10);
    config.request.initrd_path = NULL;
    cr_assert_eq(load(bzimage, sizeof(bzimage)), 0);
    cr_expect_eq(fx_u32(memory, X86_BOOT_PARAMS_GPA + SETUP_RAMDISK_SIZE), 4);
}

static void initrd_refused(uint64_t bytes, const char *error)
{
    config.request.initrd_path = fx_file("INITRD", 6, bytes);
    cr_assert_eq(load(bzimage, sizeof(bzimage)), -ENOMEM);
    fx_expect_error(error);
}

/* ---- the state of the first vCPU ---- */
Test(firmware_linux_boot, bzimage_starts_in_64_bit_mode)
{
    cr_assert_eq(load(bzimage, sizeof(bzimage)), 0);
    cr_assert_eq(state.mode, BOOT_LONG64);
    cr_assert_eq(state.rip, FX_PREF_GPA + 0x200);
    cr_assert_eq(state.rsi, X86_BOOT_PARAMS_GPA);
    cr_assert_eq(state.rbx, 0);
    cr_assert_eq(state.rsp, X86_BOOT_STACK_GPA);
    cr_assert_eq(state.cr3, X86_PAGE_TABLE_GPA);
    cr_assert_eq(state.gdt_gpa, X86_GDT_GPA);
    fx_expect_bytes(memory, X86_CMDLINE_GPA, "console=ttyS0", 14);
    cr_assert_eq(fx_u64(memory, X86_BOOT_PARAMS_GPA + 0x70), X86_ACPI_GPA);
    cr_assert_eq(fx_u32(memory, X86_BOOT_PARAMS_GPA + SETUP_RAMDISK_SIZE), 0);
    cr_assert_eq(fx_u64(memory, X86_START_INFO_GPA), 0);
}

Test(firmware_linux_boot, elf_starts_by_pvh)
{
    config.request.initrd_path = fx_file("INITRD", 6, 8192);
    cr_assert_eq(load(elf, sizeof(elf)), 0);
    cr_assert_eq(state.mode, BOOT_PROT32);
    cr_assert_eq(state.rip, FX_PVH_ENTRY);
    cr_assert_eq(state.rbx, X86_START_INFO_GPA);
    cr_assert_eq(state.rsi, 0);
    cr_assert_eq(state.cr3, 0);
    fx_expect_bytes(memory, X86_CMDLINE_GPA, "console=ttyS0", 14);
    fx_expect_bytes(memory, fx_u64(memory, X86_START_INFO_GPA + 0x40), "INITRD", 6);
    cr_assert_eq(fx_u64(memory, X86_BOOT_PARAMS_GPA + 0x200), 0);
}

Test(firmware_linux_boot, elf_starts_in_64_bit_mode_when_told)
{
    config.entry = LINUX_ENTRY_LONG64;
    cr_assert_eq(load(elf, sizeof(elf)), 0);
    cr_assert_eq(state.mode, BOOT_LONG64);
    cr_assert_eq(state.rip, FX_ELF_ENTRY);
    cr_assert_eq(state.rsi, X86_BOOT_PARAMS_GPA);
    cr_assert_eq(fx_u32(memory, X86_BOOT_PARAMS_GPA + 0x202), 0x53726448);
}

/* ---- where the initrd goes ---- */
Test(firmware_linux_boot, initrd_at_the_top_of_memory)
{
    cr_assert_eq(place_initrd(8192), 64 * MIB - 8192);
    cr_assert_eq(place_initrd(8193), 64 * MIB - 12288);
    cr_assert_eq(place_initrd(6), 64 * MIB - 4096);
}

Test(firmware_linux_boot, initrd_below_the_kernels_limit)
{
    le32_put(bzimage + SETUP_INITRD_ADDR_MAX, 0x2ffffff);
    cr_assert_eq(place_initrd(MIB), 0x3000000 - MIB);
    le32_put(bzimage + SETUP_INITRD_ADDR_MAX, 0x2fffffe); /* the byte above must stay free */
    cr_assert_eq(place_initrd(MIB), 0x3000000 - MIB - 4096);
}

Test(firmware_linux_boot, initrd_below_the_device_hole)
{
    machine(5 * GIB);
    le32_put(bzimage + SETUP_INITRD_ADDR_MAX, 0xffffffff);
    cr_assert_eq(place_initrd(MIB), 3 * GIB - MIB);
}

Test(firmware_linux_boot, initrd_right_above_the_kernel)
{
    machine(20 * MIB);
    cr_assert_eq(place_initrd(2 * MIB), FX_PREF_GPA + FX_INIT_BYTES);
}

/* A small guest: all that is above 16 MiB is the kernel's. */
Test(firmware_linux_boot, initrd_below_the_kernel)
{
    machine(18 * MIB);
    cr_assert_eq(place_initrd(15 * MIB), MIB);
    cr_assert_eq(place_initrd(4096), 16 * MIB - 4096);
}

Test(firmware_linux_boot, initrd_limit_below_the_kernel)
{
    le32_put(bzimage + SETUP_INITRD_ADDR_MAX, 0x7fffff);
    cr_assert_eq(place_initrd(MIB), 7 * MIB);
}

Test(firmware_linux_boot, initrd_too_large_for_memory)
{
    machine(20 * MIB);
    initrd_refused(15 * MIB + 1, "initrd %: its 16 MiB do not fit into 20 MiB of memory beside the"
                                 " kernel; give the guest at least 34 MiB");
}

/* The remedy that the message names is one. */
Test(firmware_linux_boot, initrd_fits_into_what_was_advised)
{
    machine(34 * MIB);
    cr_assert_eq(place_initrd(15 * MIB + 1), 18 * MIB + 0xff000);
}

Test(firmware_linux_boot, initrd_too_large_for_the_kernel)
{
    le32_put(bzimage + SETUP_INITRD_ADDR_MAX, 0);
    initrd_refused(6, "initrd %: 1 MiB are too large: this kernel takes an initrd up to address 0x0"
                      " and uses the memory below 0x1200000 itself");
}

Test(firmware_linux_boot, initrd_of_any_size_is_only_refused)
{
    initrd_refused(INT64_MAX - 4096,
                   "initrd %: 8796093022208 MiB are too large: this kernel takes an initrd up to"
                   " address 0x7fffffff and uses the memory below 0x1200000 itself");
}

Test(firmware_linux_boot, initrd_is_missing)
{
    config.request.initrd_path = "/nowhere/initrd";
    cr_assert_eq(load(bzimage, sizeof(bzimage)), -ENOENT);
    fx_expect_error("initrd /nowhere/initrd: open: No such file or directory");
}

Test(firmware_linux_boot, initrd_is_empty)
{
    config.request.initrd_path = fx_file("", 0, 0);
    cr_assert_eq(load(bzimage, sizeof(bzimage)), -ENOEXEC);
    fx_expect_error("initrd %: is empty");
}

/* ---- the command line ---- */
static char *long_line(size_t len)
{
    char *s = malloc(len + 1);

    memset(s, 'x', len);
    s[len] = '\0';
    return s;
}

static void cmdline_refused(const uint8_t *file, size_t file_bytes, size_t len, const char *error)
{
    char *line = long_line(len);

    config.request.cmdline = line;
    cr_assert_eq(load(file, file_bytes), -E2BIG);
    fx_expect_error(error);
    cr_assert_eq(fx_u64(memory, X86_CMDLINE_GPA), 0);
    free(line);
}

static void expect_line(const char *console, bool kaslr_off, const char *user, const char *want)
{
    char *line = linux_cmdline_make(console, false, kaslr_off, user);

    cr_expect_str_eq(line, want);
    free(line);
}

Test(firmware_linux_boot, default_words_come_before_the_users)
{
    expect_line("ttyS0", false, "quiet", "console=ttyS0 panic=-1 cryptomgr.notests quiet");
    expect_line("hvc0", true, "", "console=hvc0 panic=-1 cryptomgr.notests nokaslr ");
    expect_line(NULL, false, "", "panic=-1 cryptomgr.notests ");
}

Test(firmware_linux_boot, a_picture_shows_what_the_terminal_says)
{
    char *both = linux_cmdline_make("ttyS0", true, false, "quiet");
    char *picture = linux_cmdline_make(NULL, true, false, "");
    char *own = linux_cmdline_make("ttyS0", true, false, "console=hvc0");

    cr_expect_str_eq(both, "console=tty0 console=ttyS0 panic=-1 cryptomgr.notests quiet");
    cr_expect_str_eq(picture, "console=tty0 panic=-1 cryptomgr.notests ");
    cr_expect_str_eq(own, "panic=-1 cryptomgr.notests console=hvc0");
    free(both);
    free(picture);
    free(own);
}

Test(firmware_linux_boot, default_words_that_the_user_has_are_left_out)
{
    expect_line("ttyS0", false, "quiet console=tty0",
                "panic=-1 cryptomgr.notests quiet console=tty0");
    expect_line("ttyS0", false, "panic=5", "console=ttyS0 cryptomgr.notests panic=5");
    expect_line("ttyS0", false, "cryptomgr.notests=0",
                "console=ttyS0 panic=-1 cryptomgr.notests=0");
    /* What only looks like one. */
    expect_line("ttyS0", false, "oops.panic=1",
                "console=ttyS0 panic=-1 cryptomgr.notests oops.panic=1");
}

Test(firmware_linux_boot, cmdline_as_long_as_the_kernel_takes)
{
    char *line = long_line(2047);

    config.request.cmdline = line;
    cr_assert_eq(load(bzimage, sizeof(bzimage)), 0);
    fx_expect_bytes(memory, X86_CMDLINE_GPA, line, 2048);
    free(line);
}

Test(firmware_linux_boot, cmdline_longer_than_the_kernel_takes)
{
    cmdline_refused(bzimage, sizeof(bzimage), 2048,
                    "command line: has 2048 bytes, but this kernel takes at most 2047; shorten it");
}

Test(firmware_linux_boot, cmdline_longer_than_linux_takes)
{
    cmdline_refused(elf, sizeof(elf), 2048,
                    "command line: has 2048 bytes, but this kernel takes at most 2047; shorten it");
}

Test(firmware_linux_boot, cmdline_of_4_mib)
{
    le32_put(bzimage + SETUP_CMDLINE_SIZE, 0xffffffff);
    cmdline_refused(bzimage, sizeof(bzimage), 4 * MIB,
                    "command line: has 4194304 bytes, but this kernel takes at most 65535; shorten"
                    " it");
}

Test(firmware_linux_boot, cmdline_fills_its_room)
{
    char *line = long_line(65535);

    le32_put(bzimage + SETUP_CMDLINE_SIZE, 0xffffffff);
    config.request.cmdline = line;
    cr_assert_eq(load(bzimage, sizeof(bzimage)), 0);
    fx_expect_bytes(memory, X86_CMDLINE_GPA, line, 65536);
    cr_assert_eq(fx_u32(memory, X86_CMDLINE_GPA + X86_CMDLINE_BYTES), 0);
    free(line);
}

/* ---- what is refused here ---- */
Test(firmware_linux_boot, memory_of_the_first_mib_only)
{
    machine(MIB);
    cr_assert_eq(load(bzimage, sizeof(bzimage)), -ENOMEM);
    fx_expect_error("kernel %: does not fit into 1024 KiB of memory");
    fx_expect_untouched(memory);
}

Test(firmware_linux_boot, kernel_is_missing)
{
    config.request.kernel_path = "/nowhere/vmlinuz";
    cr_assert_eq(linux_boot_load(memory, &config, &state), -ENOENT);
    fx_expect_error("kernel /nowhere/vmlinuz: open: No such file or directory");
    fx_expect_untouched(memory);
}

/* ---- real kernels ---- */
Test(firmware_linux_boot, kernels_of_the_distribution)
{
    const char *list = getenv("MINIVET_TEST_KERNEL");
    char *paths, *path, *rest;

    if (!list)
        cr_skip_test("MINIVET_TEST_KERNEL does not name a kernel");
    machine(512 * MIB);
    rest = paths = strdup(list);
    while ((path = strsep(&rest, ":"))) {
        config.request.kernel_path = path;
        cr_assert_eq(linux_boot_load(memory, &config, &state), 0, "%s", path);
        cr_assert_geq(state.rip, X86_HIGH_MEMORY_GPA);
        cr_assert_neq(fx_u64(memory, state.rip), 0, "%s: there is no code at its entry", path);
    }
    free(paths);
}
