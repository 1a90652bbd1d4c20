// SPDX-License-Identifier: BSD-2-Clause
/* Every format: what was packed comes out, and nothing else does. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/xmath.h"
#include "core/loop/cancel.h"
#include "firmware/kernel/unpack.h"
#include "tests/harness/kernel_file.h"

#define ROOM_BYTES (12 * MIB)
#define BYTES      ((uint32_t)(9 * MIB) + 5) /* more than a block of lz4's */
#define CANARY     0x77

static uint8_t *plain, *packed, *out;
static uint32_t packed_bytes;

static void setup(void)
{
    plain = malloc(BYTES);
    packed = malloc(ROOM_BYTES);
    out = malloc(BYTES + 2);
    for (uint32_t i = 0; i < BYTES; i++)
        plain[i] = (uint8_t)((i >> 8) * (i >> 5) + (i & 0xf));
}

static void teardown(void)
{
    free(plain);
    free(packed);
    free(out);
}

TestSuite(firmware_unpack, .init = setup, .fini = teardown);

static void pack(const char *format, uint32_t bytes)
{
    packed_bytes = (uint32_t)fx_pack(format, plain, bytes, packed, ROOM_BYTES);
    cr_assert_gt(packed_bytes, 0, "%s", format);
}

/* What was given as room is all that is written to. */
static bool unpacks(uint32_t in_bytes, uint32_t out_bytes)
{
    memset(out, CANARY, BYTES + 2);
    bool good = unpack(packed, in_bytes, out, out_bytes, NULL);
    cr_assert_eq(out[out_bytes], CANARY);
    return good;
}

Test(firmware_unpack, every_format)
{
    for (unsigned i = 0; fx_formats[i]; i++) {
        pack(fx_formats[i], BYTES);
        cr_assert_str_eq(unpack_format(packed), fx_formats[i]);
        cr_assert(unpacks(packed_bytes, BYTES), "%s", fx_formats[i]);
        cr_assert(memcmp(out, plain, BYTES) == 0, "%s", fx_formats[i]);
    }
}

/* zstd's large frames come out in pieces, as all of the others do. */
Test(firmware_unpack, large_frames)
{
    const uint32_t bytes = 65 * MIB + 3;
    uint8_t *large = malloc(bytes), *again = calloc(1, bytes);
    for (uint32_t i = 0; i < bytes; i++)
        large[i] = (uint8_t)(i >> 16);
    packed_bytes = (uint32_t)fx_pack("zstd", large, bytes, packed, ROOM_BYTES);
    cr_assert_gt(packed_bytes, 0);
    cr_expect(unpack(packed, packed_bytes, again, bytes, NULL));
    cr_expect_eq(memcmp(large, again, bytes), 0);
    cr_expect_not(unpack(packed, packed_bytes, again, bytes - 1, NULL));
    cr_expect_not(unpack(packed, packed_bytes / 2, again, bytes, NULL));
    free(large);
    free(again);
}

Test(firmware_unpack, canceled)
{
    struct cancel cancel;
    cr_assert_eq(cancel_init(&cancel), 0);
    cancel_ask(&cancel);
    for (unsigned i = 0; fx_formats[i]; i++) {
        if (strcmp(fx_formats[i], "zstd") == 0) /* what is small comes out at once */
            continue;
        pack(fx_formats[i], BYTES);
        cr_expect_not(unpack(packed, packed_bytes, out, BYTES, &cancel), "%s", fx_formats[i]);
    }
    cancel_fini(&cancel);
}

Test(firmware_unpack, neither_more_nor_less)
{
    for (unsigned i = 0; fx_formats[i]; i++) {
        pack(fx_formats[i], BYTES);
        cr_assert_not(unpacks(packed_bytes, BYTES - 1), "%s", fx_formats[i]);
        cr_assert_not(unpacks(packed_bytes, BYTES + 1), "%s", fx_formats[i]);
        cr_assert_not(unpacks(packed_bytes, 1), "%s", fx_formats[i]);
    }
}

/* A copy that ends with its page would fault; here sanitizers see to it. */
Test(firmware_unpack, cut_off)
{
    for (unsigned i = 0; fx_formats[i]; i++) {
        pack(fx_formats[i], 5000);
        uint8_t *whole = packed;
        for (uint32_t len = 0; len < packed_bytes - 16; len++) {
            packed = malloc(len + 1);
            memcpy(packed, whole, len);
            cr_assert_not(unpacks(len, 5000), "%s, %u of %u bytes", fx_formats[i], len,
                          packed_bytes);
            free(packed);
        }
        packed = whole;
    }
}

/* Some formats have no checksum: something may come out, but nowhere else. */
Test(firmware_unpack, every_byte_wrong)
{
    for (unsigned i = 0; fx_formats[i]; i++) {
        unsigned refused = 0;

        pack(fx_formats[i], 5000);
        for (uint32_t at = 0; at < packed_bytes; at++) {
            packed[at] ^= 0xff;
            refused += !unpacks(packed_bytes, 5000);
            packed[at] ^= 0xff;
        }
        cr_assert_gt(refused, 4, "%s", fx_formats[i]);
        cr_assert(unpacks(packed_bytes, 5000));
    }
}

Test(firmware_unpack, unknown_formats)
{
    static const char *const magics[] = {"\x04\x22\x4d\x18\x64\x40", "\177ELF\2\1", "\0\0\0\0\0"};

    for (unsigned i = 0; i < ARRAY_SIZE(magics); i++) {
        memcpy(packed, magics[i], UNPACK_MAGIC_BYTES);
        cr_assert_null(unpack_format(packed));
        cr_assert_not(unpacks(UNPACK_MAGIC_BYTES, 10));
    }
}
