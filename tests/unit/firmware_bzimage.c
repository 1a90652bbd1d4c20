// SPDX-License-Identifier: BSD-2-Clause
/* bzImage: a good one, and every lie that its header can tell. */
#include "core/memory/gmem.h"
#include "firmware/x86/kernel.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

static uint8_t file[FX_BZ_BYTES];
static struct gmem *memory;
static struct kernel kernel;

static void setup(void)
{
    fx_capture_errors();
    memory = fx_memory(64 * MIB);
    fx_bzimage(file);
}

static void teardown(void)
{
    kernel_close(&kernel);
    gmem_destroy(memory);
}

TestSuite(firmware_bzimage, .init = setup, .fini = teardown);

static int load_bytes(size_t len, enum linux_entry entry)
{
    int err = kernel_open(&kernel, fx_file(file, len, len));

    return err ? err : bzimage_load(&kernel, memory, &(struct linux_boot_config){.entry = entry});
}

Test(firmware_bzimage, loads)
{
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), 0);
    cr_assert_eq(kernel.mode, BOOT_LONG64);
    cr_assert_eq(kernel.entry_gpa, FX_PREF_GPA + 0x200);
    cr_assert_eq(kernel.start_gpa, FX_PREF_GPA);
    cr_assert_eq(kernel.end_gpa, FX_PREF_GPA + FX_INIT_BYTES);
    cr_assert_eq(kernel.initrd_max_gpa, 0x7fffffff);
    cr_assert_eq(kernel.cmdline_max_bytes, 2047);
    fx_expect_bytes(memory, FX_PREF_GPA, file + FX_SETUP_BYTES, FX_BODY_BYTES);
    cr_assert_eq(fx_u64(memory, FX_PREF_GPA - 8), 0);
    cr_assert_eq(fx_u64(memory, FX_PREF_GPA + FX_BODY_BYTES), 0);
}

/* Signatures follow the kernel; they are none of the guest's business. */
Test(firmware_bzimage, leaves_out_what_follows)
{
    le32_put(file + SETUP_SYSSIZE, FX_BODY_BYTES / 16 - 1);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_LONG64), 0);
    fx_expect_bytes(memory, FX_PREF_GPA + FX_BODY_BYTES - 17, "\x5a\0", 2);
}

Test(firmware_bzimage, fits_to_the_byte)
{
    le32_put(file + SETUP_INIT_SIZE, 48 * MIB);
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), 0);
}

/* With one field of the header wrong, before a byte of guest memory was touched. */
static void refused(const char *name, int err, unsigned bytes, size_t at, uint64_t value,
                    const char *error)
{
    uint8_t raw[8];
    fx_bzimage(file);
    le64_put(raw, value);
    memcpy(file + at, raw, bytes);
    fx_capture_errors();
    cr_expect_eq(load_bytes(sizeof(file), LINUX_ENTRY_AUTO), err, "%s", name);
    fx_expect_refused(name, error, memory);
    kernel_close(&kernel);
}

Test(firmware_bzimage, headers_that_lie)
{
    refused("memory_too_small", -ENOMEM, 4, SETUP_INIT_SIZE, 48 * MIB + 1,
            "does not fit into 64 MiB of memory: it needs 65 MiB; give the guest more");
    refused("old_protocol", -ENOEXEC, 2, SETUP_VERSION, 0x20b,
            "speaks boot protocol 2.11; 2.12 (Linux 3.8) or later is needed");
    refused("no_64_bit_entry", -ENOEXEC, 2, SETUP_XLOADFLAGS, 0x7e,
            "has no 64-bit entry; a 64-bit kernel is needed");
    refused("header_too_short", -ENOEXEC, 1, SETUP_JUMP_LENGTH, 0x40,
            "is damaged: its header ends at 0x242, before its last field");
    refused("empty_body", -ENOEXEC, 4, SETUP_SYSSIZE, 0x20,
            "is damaged: its header promises only 512 bytes of kernel");
    refused("setup_sects_beyond_the_file", -ENOEXEC, 1, SETUP_SECTS, 255,
            "is damaged: it is cut off: 9216 of 139264 bytes are there");
    /* 0 stands for 4: with the sector that it does not count, 2560 bytes. */
    refused("setup_sects_of_0", -ENOEXEC, 1, SETUP_SECTS, 0,
            "is damaged: it is cut off: 9216 of 10752 bytes are there");
    refused("syssize_beyond_the_file", -ENOEXEC, 4, SETUP_SYSSIZE, 0xffffffff,
            "is damaged: it is cut off: 9216 of 68719477744 bytes are there");
    refused("init_size_below_the_body", -ENOEXEC, 4, SETUP_INIT_SIZE, FX_BODY_BYTES - 1,
            "is damaged: 8192 bytes of kernel are to run in 8191");
    refused("init_size_beyond_any_machine", -ENOEXEC, 4, SETUP_INIT_SIZE, 0xffffffff,
            "is damaged: it asks for 0xffffffff bytes at 0x1000000, which no machine has below its "
            "devices at 0xc0000000");
    refused("pref_address_wraps", -ENOEXEC, 8, SETUP_PREF_ADDRESS, UINT64_MAX - 0xfff,
            "is damaged: it asks for 0x200000 bytes at 0xfffffffffffff000, which no machine has "
            "below its devices at 0xc0000000");
    refused("pref_address_on_the_boot_loaders_tables", -ENOEXEC, 8, SETUP_PREF_ADDRESS, 0x7000,
            "is damaged: it asks for 0x200000 bytes at 0x7000, but the first MiB belongs to the "
            "boot loader");
}

Test(firmware_bzimage, no_pvh_entry)
{
    cr_assert_eq(load_bytes(sizeof(file), LINUX_ENTRY_PVH), -ENOEXEC);
    fx_expect_error("kernel %: is a bzImage, which has no PVH entry");
}

Test(firmware_bzimage, cut_off_in_the_header)
{
    cr_assert_eq(load_bytes(0x263, LINUX_ENTRY_AUTO), -ENOEXEC);
    fx_expect_error("kernel %: is damaged: it ends within its header, after 611 bytes");
}

Test(firmware_bzimage, cut_off_by_a_byte)
{
    cr_assert_eq(load_bytes(sizeof(file) - 1, LINUX_ENTRY_AUTO), -ENOEXEC);
    fx_expect_error("kernel %: is damaged: it is cut off: 9215 of 9216 bytes are there");
    fx_expect_untouched(memory);
}

/* No header survives without harm: whatever a byte of it says, the load ends and stays inside. */
Test(firmware_bzimage, every_byte_of_the_header_spoilt)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

    for (unsigned at = SETUP_HEADER; at < SETUP_HEADER_MAX_END; at++) {
        for (unsigned i = 0; i < sizeof(values); i++) {
            fx_bzimage(file);
            file[at] = values[i];
            fx_capture_errors();
            if (load_bytes(sizeof(file), LINUX_ENTRY_AUTO) == 0)
                cr_assert_leq(kernel.end_gpa, 64 * MIB);
            else
                fx_error();
            kernel_close(&kernel);
        }
    }
}
