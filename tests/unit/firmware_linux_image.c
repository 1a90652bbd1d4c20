// SPDX-License-Identifier: BSD-2-Clause
/* Images for machines with a device tree: plain, packed, and what is none. */
#include "firmware/kernel/linux_image.h"

#include "firmware/kernel/boot_request.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

#define RAM_GPA     UINT64_C(0x80000000)
#define RAM_BYTES   (64 * MIB)
#define IMAGE_BYTES 0x3000u
#define USED_BYTES  0x250000u /* what the header says */

static const struct linux_image_kind arm64 = {
    .wanted = {"an arm64 Image", "arm64"}, .magic = "ARM\x64", .cmdline_max_bytes = 2047};

static uint8_t file[IMAGE_BYTES], packed[4 * IMAGE_BYTES];
static struct gmem *memory;
static struct boot_request request;
static struct linux_image image;

static void setup(void)
{
    fx_capture_errors();
    cr_assert_eq(gmem_create_shared(&memory, RAM_BYTES, 0, RAM_GPA), 0);
    memset(file, 0x3c, sizeof(file));
    memset(file, 0, 64);
    le64_put(file + 16, USED_BYTES);
    memcpy(file + 56, "ARM\x64", 4);
    request = (struct boot_request){.cmdline = "quiet"};
}

static void teardown(void)
{
    gmem_destroy(memory);
}

TestSuite(firmware_linux_image, .init = setup, .fini = teardown);

static int load_file(const void *bytes, size_t len)
{
    fx_capture_errors();
    request.kernel_path = fx_file(bytes, len, len);
    return linux_image_load(memory, &arm64, &request, &image);
}

static void expect_loaded(uint64_t gpa)
{
    cr_expect_eq(image.entry_gpa, gpa);
    cr_expect_eq(image.tree_gpa, align_up(gpa + USED_BYTES, 2 * MIB));
    fx_expect_bytes(memory, gpa, file, sizeof(file));
}

Test(firmware_linux_image, a_plain_one)
{
    cr_assert_eq(load_file(file, sizeof(file)), 0);
    expect_loaded(RAM_GPA);
    cr_expect_eq(image.initrd_bytes, 0);
}

Test(firmware_linux_image, one_that_wants_to_be_higher)
{
    le64_put(file + 8, 0x200000);
    cr_assert_eq(load_file(file, sizeof(file)), 0);
    expect_loaded(RAM_GPA + 0x200000);
}

Test(firmware_linux_image, an_initrd_is_behind_the_tree)
{
    static const char initrd[] = "070701 and more";
    request.initrd_path = fx_file(initrd, sizeof(initrd), sizeof(initrd));
    cr_assert_eq(load_file(file, sizeof(file)), 0);
    cr_expect_eq(image.initrd_gpa, image.tree_gpa + LINUX_TREE_BYTES);
    cr_expect_eq(image.initrd_bytes, sizeof(initrd));
    fx_expect_bytes(memory, image.initrd_gpa, initrd, sizeof(initrd));
    request.initrd_before = "0707";
    request.initrd_before_bytes = 4;
    request.initrd_path = fx_file(initrd, sizeof(initrd), sizeof(initrd));
    cr_assert_eq(load_file(file, sizeof(file)), 0);
    cr_expect_eq(image.initrd_bytes, 4 + sizeof(initrd));
    fx_expect_bytes(memory, image.initrd_gpa, "0707070701 and more", 19);
}

/* Linux puts gzip's data without, the others' with their size behind it. */
Test(firmware_linux_image, packed)
{
    for (const char *const *format = fx_formats; *format != NULL; format++) {
        bool is_gzip = strcmp(*format, "gzip") == 0;
        memset(packed, 0, 64);
        size_t len = fx_pack(*format, file, sizeof(file), packed + 64, sizeof(packed) - 64);
        cr_assert_gt(len, 4);
        memcpy(packed, "MZ\0\0zimg", 8);
        le32_put(packed + 8, 64);
        le32_put(packed + 12, (uint32_t)len - (is_gzip ? 0 : 4));
        cr_assert_eq(load_file(packed, 64 + len), 0, "%s: %s", *format, fx_error());
        expect_loaded(RAM_GPA);
        if (is_gzip) {
            cr_assert_eq(load_file(packed + 64, len), 0, "%s", fx_error());
            expect_loaded(RAM_GPA);
        }
    }
}

Test(firmware_linux_image, damaged)
{
    static const struct {
        const char *name;
        unsigned at;
        uint64_t value;
        const char *error;
    } cases[] = {
        {"offset", 8, UINT64_MAX,
         "is damaged: it asks for 0x250000 bytes at RAM's 0xffffffffffffffff"},
        {"size", 16, UINT64_MAX, "is damaged: it asks for 0xffffffffffffffff bytes at RAM's 0x0"},
        {"too much", 16, RAM_BYTES,
         "does not fit into 64 MiB of memory: it needs 66 MiB; give the guest more"},
        {"another's", 56, UINT64_C(0x05435352),
         "is not an arm64 Image but a RISC-V kernel; this machine is arm64"},
        {"packed", 0, UINT64_C(0x676d697a0000) << 16 | 0x5a4d,
         "is damaged: 2425856 packed bytes at 0"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t good[64];
        memcpy(good, file, sizeof(good));
        le64_put(file + cases[i].at, cases[i].value);
        if (cases[i].at == 0)
            le32_put(file + 12, USED_BYTES + 0x400);
        cr_expect_lt(load_file(file, sizeof(file)), 0, "%s", cases[i].name);
        fx_expect_refused(cases[i].name, cases[i].error, memory);
        memcpy(file, good, sizeof(good));
    }
}

Test(firmware_linux_image, damaged_when_unpacked)
{
    size_t len = fx_pack("gzip", file, sizeof(file), packed, sizeof(packed));
    packed[len / 2] ^= 0x55;
    cr_expect_eq(load_file(packed, len), -ENOEXEC);
    fx_expect_refused("spoilt", "is damaged: its gzip data does not unpack to 12288 bytes", memory);
    le32_put(packed + len - 4, RAM_BYTES + 1);
    cr_expect_eq(load_file(packed, len), -ENOEXEC);
    fx_expect_refused("large", "is damaged: 67108865 unpacked bytes are to run in 67108864",
                      memory);
    /* With a hole, which costs no disk; what is packed is in memory to be unpacked. */
    fx_capture_errors();
    request.kernel_path = fx_file(packed, len, RAM_BYTES + 1);
    cr_expect_eq(linux_image_load(memory, &arm64, &request, &image), -ENOEXEC);
    fx_expect_refused("a hole", "is damaged: 67108865 packed bytes at 0", memory);
    memset(file + 56, 0, 4);
    len = fx_pack("gzip", file, sizeof(file), packed, sizeof(packed));
    cr_expect_eq(load_file(packed, len), -ENOEXEC);
}

Test(firmware_linux_image, what_does_not_fit)
{
    request.initrd_path = fx_file("i", 1, RAM_BYTES);
    cr_expect_eq(load_file(file, sizeof(file)), -ENOMEM);
    fx_expect_error("initrd %: its 64 MiB do not fit into 64 MiB of memory beside the kernel; give "
                    "the guest at least 70 MiB");
    char line[2049];
    memset(line, 'x', sizeof(line));
    line[2048] = '\0';
    request.cmdline = line;
    cr_expect_eq(load_file(file, sizeof(file)), -E2BIG);
    fx_expect_error("command line: has 2048 bytes, but this kernel takes at most 2047; shorten it");
    line[2047] = '\0';
    request.initrd_path = NULL;
    cr_expect_eq(load_file(file, sizeof(file)), 0);
}

/* Loaded or refused in one line, and nothing is written behind the RAM or over another part. */
static void expect_whole(const char *name, int result)
{
    if (result < 0) {
        cr_assert(fx_error()[0] != '\0', "%s", name);
        return;
    }
    cr_assert(image.entry_gpa >= RAM_GPA && image.entry_gpa < image.tree_gpa, "%s", name);
    cr_assert(range_within(image.tree_gpa, LINUX_TREE_BYTES, RAM_GPA, RAM_BYTES), "%s", name);
}

Test(firmware_linux_image, every_byte_of_the_header_spoilt)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    for (unsigned at = 0; at < 64; at++) {
        uint8_t good = file[at];
        for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
            file[at] = values[i];
            expect_whole("plain", load_file(file, sizeof(file)));
        }
        file[at] = good;
    }
    size_t len = fx_pack("xz", file, sizeof(file), packed + 64, sizeof(packed) - 64);
    memcpy(packed, "MZ\0\0zimg", 8);
    le32_put(packed + 8, 64);
    le32_put(packed + 12, (uint32_t)len - 4);
    for (unsigned at = 0; at < 96; at++) {
        uint8_t good = packed[at];
        for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
            packed[at] = values[i];
            expect_whole("zboot", load_file(packed, 64 + len));
        }
        packed[at] = good;
    }
    cr_assert_eq(load_file(packed, 64 + len), 0);
}

Test(firmware_linux_image, cut_off_anywhere)
{
    for (size_t len = 1; len < 80; len++)
        expect_whole("plain", load_file(file, len));
    size_t all = fx_pack("gzip", file, sizeof(file), packed, sizeof(packed));
    for (size_t len = 1; len < all; len++)
        expect_whole("gzip", load_file(packed, len));
}
