// SPDX-License-Identifier: BSD-2-Clause
/* What a file is, by content: kernels are told apart, everything else is refused by name. */
#include "firmware/x86/kernel.h"

#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

TestSuite(firmware_kernel, .init = fx_capture_errors);

static void refused(const void *bytes, size_t len, uint64_t total, const char *error)
{
    struct kernel k;

    cr_assert_eq(kernel_open(&k, fx_file(bytes, len, total)), -ENOEXEC);
    kernel_close(&k);
    fx_expect_error(error);
}

Test(firmware_kernel, bzimage)
{
    uint8_t file[FX_BZ_BYTES];
    struct kernel k;

    fx_bzimage(file);
    cr_assert_eq(kernel_open(&k, fx_file(file, sizeof(file), sizeof(file))), 0);
    cr_assert_eq(k.format, KERNEL_BZIMAGE);
    cr_assert_eq(k.head_bytes, KERNEL_HEAD_BYTES);
    cr_assert_arr_eq(k.head, file, KERNEL_HEAD_BYTES);
    kernel_close(&k);
}

Test(firmware_kernel, elf)
{
    uint8_t file[FX_ELF_BYTES];
    struct kernel k;

    fx_elf(file);
    cr_assert_eq(kernel_open(&k, fx_file(file, sizeof(file), sizeof(file))), 0);
    cr_assert_eq(k.format, KERNEL_ELF);
    kernel_close(&k);
}

Test(firmware_kernel, look_alikes)
{
    static const struct {
        unsigned offset, len;
        const char *magic;
        const char *error;
    } cases[] = {
        {0, 3, "\x1f\x8b\x08", "gzip data; unpack it first (gzip -d)"},
        {0, 6, "\xfd\x37zXZ\0", "xz data; unpack it first (xz -d)"},
        {0, 4, "\x28\xb5\x2f\xfd", "zstd data; unpack it first (zstd -d)"},
        {0, 4, "\x04\x22\x4d\x18", "lz4 data; unpack it first (lz4 -d)"},
        {0, 4, "\x02\x21\x4c\x18", "lz4 data; unpack it first (lz4 -d)"},
        {56, 4, "ARM\x64", "an arm64 kernel; this machine is x86-64"},
        {56, 4, "RSC\x05", "a RISC-V kernel; this machine is x86-64"},
        {0, 4, "MZ\x90\0", "a Windows or EFI program (PE)"},
        {0, 6, "070701", "an initramfs (cpio); give it as the initrd"},
        {0, 4, "QFI\xfb", "a disk image (qcow2)"},
        {510, 2, "\x55\xaa", "a disk image or boot sector"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t file[1024] = {0};
        char error[200];

        memcpy(file + cases[i].offset, cases[i].magic, cases[i].len);
        snprintf(error, sizeof(error), "kernel %%: is not a bzImage or ELF kernel but %s",
                 cases[i].error);
        fx_capture_errors();
        refused(file, sizeof(file), sizeof(file), error);
    }
}

/* Packed data that ends anywhere is no kernel either. */
Test(firmware_kernel, cut_off_look_alikes)
{
    static const char gzip[] = "\x1f\x8b\x08", xz[] = "\xfd\x37zXZ", zstd[] = "\x28\xb5\x2f\xfd",
                      lz4[] = "\x02\x21\x4c\x18", cpio[] = "070701", qcow2[] = "QFI\xfb";
    static const char *const magics[] = {gzip, xz, zstd, lz4, cpio, qcow2};

    for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
        for (size_t len = 1; len < 600; len++) {
            uint8_t file[600] = {0};
            struct kernel k;

            memcpy(file, magics[i], strlen(magics[i]));
            cr_assert_eq(kernel_open(&k, fx_file(file, len, len)), -ENOEXEC, "%zu: %zu bytes", i,
                         len);
            kernel_close(&k);
        }
}

/* Debian's arm64 kernel is also an EFI program: what matters to the user is said. */
Test(firmware_kernel, arm64_with_an_efi_stub)
{
    uint8_t file[1024] = "MZ";

    le32_put(file + 56, 0x644d5241); /* "ARM\x64" */
    refused(file, sizeof(file), sizeof(file),
            "kernel %: is not a bzImage or ELF kernel but an arm64 kernel; this machine is x86-64");
}

Test(firmware_kernel, text)
{
    static const char text[] = "#!/bin/sh\necho h\xc3\xa9llo\n";

    refused(text, strlen(text), strlen(text),
            "kernel %: is not a bzImage or ELF kernel but a text file");
}

Test(firmware_kernel, unknown_bytes)
{
    refused("\x01\x02\x03\xff", 4, 300,
            "kernel %: is not a bzImage or ELF kernel: 300 bytes that begin 01 02 03 ff");
}

/* Shorter than any header: nothing beyond the end is looked at. */
Test(firmware_kernel, every_short_length)
{
    uint8_t file[FX_BZ_BYTES];

    fx_bzimage(file);
    for (size_t len = 1; len < 0x206; len++) {
        struct kernel k;

        cr_assert_eq(kernel_open(&k, fx_file(file, len, len)), -ENOEXEC, "%zu bytes", len);
        kernel_close(&k);
    }
}

Test(firmware_kernel, ranges)
{
    static const struct {
        uint64_t gpa, bytes;
        int err;
    } cases[] = {
        {MIB, 31 * MIB, 0},
        {MIB - 1, 1, -ENOEXEC},
        {0, 0, -ENOEXEC},
        {MIB, 31 * MIB + 1, -ENOMEM},
        {32 * MIB, 1, -ENOMEM},
        {MIB, 3 * GIB - MIB, -ENOMEM},
        {MIB, 3 * GIB - MIB + 1, -ENOEXEC},
        {MIB, 3 * GIB, -ENOEXEC},
        {UINT64_MAX, 2, -ENOEXEC},
        {2 * MIB, UINT64_MAX, -ENOEXEC},
        {4 * GIB, 4096, -ENOEXEC},
    };
    struct kernel k = {.file = {.path = "k"}};
    struct gmem *g = fx_memory(32 * MIB);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        fx_capture_errors();
        cr_expect_eq(kernel_check_range(&k, g, cases[i].gpa, cases[i].bytes), cases[i].err,
                     "case %zu", i);
    }
    cr_assert_eq(image_mib(0), 0);
    cr_assert_eq(image_mib(1), 1);
    cr_assert_eq(image_mib(MIB), 1);
    cr_assert_eq(image_mib(UINT64_MAX), UINT64_C(1) << 44);
    gmem_destroy(g);
}
