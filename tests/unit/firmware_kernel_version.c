// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/kernel_version.h"

#include "core/base/le.h"
#include "tests/harness/folder.h"
#include "tests/harness/kernel_file.h"
#include "tests/harness/test.h"

TestSuite(kernel_version, .init = folder_enter, .fini = folder_leave);

static char version[KERNEL_VERSION_BYTES];

static void put(const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

static void bzimage(const char *name, uint16_t pointer, const char *text)
{
    static uint8_t file[FX_BZ_BYTES];
    fx_bzimage(file);
    le16_put(file + 0x20e, pointer);
    memcpy(file + 0x300, text, strlen(text) + 1);
    put(name, file, sizeof(file));
}

Test(kernel_version, a_bzimage_says_it_in_its_header)
{
    bzimage("k", 0x100, "6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP");
    cr_assert(kernel_version("k", version));
    cr_expect_str_eq(version, "6.1.0-56-cloud-amd64");
}

/* A version becomes part of a path. */
Test(kernel_version, what_is_no_version_is_not_taken)
{
    static const char *const bad[] = {"../../etc ", "6.1/x ", " 6.1", "..", "6.1\t"};
    char long_one[KERNEL_VERSION_BYTES + 2] = "";
    memset(long_one, '6', KERNEL_VERSION_BYTES);
    bzimage("k", 0x100, strcat(long_one, " "));
    cr_expect_not(kernel_version("k", version));
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bzimage("k", 0x100, bad[i]);
        cr_expect_not(kernel_version("k", version), "%s", bad[i]);
    }
    bzimage("k", 0xffff, "6.1 ");
    cr_expect_not(kernel_version("k", version));
    bzimage("k", 0, "6.1 ");
    cr_expect_not(kernel_version("k", version));
}

/* The text may lie across the places where the file is read. */
Test(kernel_version, an_unpacked_kernel_says_it_where_it_prints)
{
    static char file[600 * 1024];
    const char text[] = "Linux version %s ()\0Linux version 6.12.3+ (gcc)";
    for (size_t at = 256 * 1024 - 300; at < 256 * 1024 + 10; at++) {
        memset(file, 0, sizeof(file));
        memcpy(file + at, text, sizeof(text));
        put("k", file, sizeof(file));
        cr_assert(kernel_version("k", version), "%zu", at);
        cr_expect_str_eq(version, "6.12.3+");
    }
}

Test(kernel_version, else_the_files_name_says_it)
{
    put("vmlinuz-6.5.0-9-generic", "x", 1);
    cr_assert(kernel_version("vmlinuz-6.5.0-9-generic", version));
    cr_expect_str_eq(version, "6.5.0-9-generic");
    put("vmlinuz", "x", 1);
    cr_expect_not(kernel_version("vmlinuz", version));
    cr_expect_not(kernel_version("vmlinuz-", version));
}
