// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/cpio.h"

#include "tests/harness/test.h"

/* As GNU cpio writes it: --format=newc --reproducible --owner=+0:+0, but for inode and links. */
Test(firmware_cpio, a_folder_and_a_file)
{
    static const char want[] = "070701"
                               "00000001"
                               "000041ed"
                               "00000000"
                               "00000000"
                               "00000001"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000002"
                               "00000000"
                               "d\0"
                               "070701"
                               "00000002"
                               "000081a4"
                               "00000000"
                               "00000000"
                               "00000001"
                               "00000000"
                               "00000005"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000004"
                               "00000000"
                               "d/f\0"
                               "\0\0"
                               "a\0b c\0\0\0"
                               "070701"
                               "00000003"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000001"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000000"
                               "00000000"
                               "0000000b"
                               "00000000"
                               "TRAILER!!!\0"
                               "\0\0\0";
    struct cpio c = {0};
    cpio_add(&c, "d", S_IFDIR | 0755, NULL, 0);
    cpio_add(&c, "d/f", S_IFREG | 0644, "a\0b c", 5);
    cr_assert_eq(cpio_end(&c), 0);
    cr_expect_eq(c.bytes, sizeof(want) - 1, "%zu", c.bytes);
    cr_expect_eq(memcmp(c.data, want, min_u64(c.bytes, sizeof(want) - 1)), 0);
    cr_expect_eq(c.bytes % 4, 0);
    free(c.data);
}

Test(firmware_cpio, one_that_is_too_large_for_the_format)
{
    struct cpio c = {0};
    cpio_add(&c, "f", S_IFREG | 0644, "", UINT32_MAX + UINT64_C(1));
    cr_expect_eq(cpio_end(&c), -ENOMEM);
    free(c.data);
}
