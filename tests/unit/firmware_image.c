// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/image.h"

#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

TestSuite(firmware_image, .init = fx_capture_errors);

static void refused(const char *path, int err, const char *error)
{
    struct image img;

    cr_assert_eq(image_open(&img, "initrd", path), err);
    image_close(&img);
    fx_expect_error(error);
}

Test(firmware_image, no_such_file)
{
    refused("/nowhere/vmlinuz", -ENOENT,
            "initrd /nowhere/vmlinuz: open: No such file or directory");
}

Test(firmware_image, directory)
{
    refused("/proc", -EISDIR, "initrd /proc: is a directory, not a file");
}

Test(firmware_image, device)
{
    refused("/dev/zero", -EINVAL, "initrd /dev/zero: is not a regular file");
}

Test(firmware_image, empty)
{
    refused(fx_file("", 0, 0), -ENOEXEC, "initrd %: is empty");
}

/* Whoever waited for a writer would wait for ever. */
Test(firmware_image, fifo_does_not_block, .timeout = 20)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/minivet-fifo-%d", (int)getpid());
    cr_assert_eq(mkfifo(path, 0600), 0);
    {
        struct image img;
        int err = image_open(&img, "kernel", path);

        unlink(path);
        image_close(&img);
        cr_assert_eq(err, -EINVAL);
    }
}

Test(firmware_image, reads_and_loads)
{
    struct gmem *g = fx_memory(MIB);
    struct image img;
    char part[4];

    cr_assert_eq(image_open(&img, "kernel", fx_file("0123456789", 10, 10)), 0);
    cr_assert_eq(img.bytes, 10);
    cr_assert_eq(image_read(&img, 6, part, 4), 0);
    cr_assert_arr_eq(part, "6789", 4);
    cr_assert_eq(image_load(&img, 2, g, 0x1ffe, 8), 0);
    fx_expect_bytes(g, 0x1ffe, "23456789", 8);
    fx_expect_bytes(g, 0x1ffc, "\0", 2);
    image_close(&img);
    gmem_destroy(g);
}

/* In many pieces, at an address that fits no page, in the region above the hole. */
Test(firmware_image, loads_every_byte)
{
    static uint8_t bytes[3 * MIB + 17];
    struct gmem *g = fx_memory(3 * GIB + 8 * MIB);
    struct image img;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 12));
    cr_assert_eq(image_open(&img, "kernel", fx_file(bytes, sizeof(bytes), sizeof(bytes))), 0);
    cr_assert_eq(image_load(&img, 5, g, 4 * GIB + 4093, sizeof(bytes) - 5), 0);
    fx_expect_bytes(g, 4 * GIB + 4093, bytes + 5, sizeof(bytes) - 5);
    cr_assert_eq(fx_u32(g, 4 * GIB + 4089), 0);
    cr_assert_eq(fx_u32(g, 4 * GIB + 4093 + sizeof(bytes) - 5), 0);
    image_close(&img);
    gmem_destroy(g);
}

/* A load that finds the file shorter than it was when it was opened. */
Test(firmware_image, load_of_a_file_that_shrinks_meanwhile)
{
    const char *path = fx_file("0123456789", 10, 10);
    struct gmem *g = fx_memory(MIB);
    struct image img;

    cr_assert_eq(image_open(&img, "kernel", path), 0);
    cr_assert_eq(truncate(path, 4), 0);
    cr_assert_eq(image_load(&img, 0, g, 0x1000, 10), -EIO);
    fx_expect_error("kernel %: ends at byte 4, before all of it was read");
    image_close(&img);
    gmem_destroy(g);
}

Test(firmware_image, file_that_shrinks_meanwhile)
{
    const char *path = fx_file("0123456789", 10, 10);
    struct image img;
    char part[10];

    cr_assert_eq(image_open(&img, "kernel", path), 0);
    cr_assert_eq(truncate(path, 4), 0);
    cr_assert_eq(image_read(&img, 0, part, 10), -EIO);
    fx_expect_error("kernel %: ends at byte 4, before all of it was read");
    image_close(&img);
}
