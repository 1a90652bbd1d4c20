// SPDX-License-Identifier: BSD-2-Clause
/* Every format: what was packed comes out, and nothing else does. */

#include <zlib.h>

#include "core/base/be.h"
#include "core/loop/cancel.h"
#include "firmware/kernel/unpack.h"
#include "tests/harness/kernel_file.h"
#include "tests/harness/test.h"

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
    memset(out, CANARY, out_bytes + 1);
    bool good = unpack(packed, in_bytes, out, out_bytes, NULL);
    cr_assert_eq(out[out_bytes], CANARY);
    return good;
}

Test(firmware_unpack, every_format_neither_more_nor_less_and_canceled)
{
    struct cancel cancel;
    cr_assert_eq(cancel_init(&cancel), 0);
    cancel_ask(&cancel);
    for (unsigned i = 0; fx_formats[i]; i++) {
        pack(fx_formats[i], BYTES); /* which takes longest */
        cr_assert_str_eq(unpack_format(packed), fx_formats[i]);
        cr_assert(unpacks(packed_bytes, BYTES), "%s", fx_formats[i]);
        cr_assert(memcmp(out, plain, BYTES) == 0, "%s", fx_formats[i]);
        cr_assert_not(unpacks(packed_bytes, BYTES - 1), "%s", fx_formats[i]);
        cr_assert_not(unpacks(packed_bytes, BYTES + 1), "%s", fx_formats[i]);
        cr_assert_not(unpacks(packed_bytes, 1), "%s", fx_formats[i]);
        if (strcmp(fx_formats[i], "zstd") != 0) /* of it what is small comes out at once */
            cr_expect_not(unpack(packed, packed_bytes, out, BYTES, &cancel), "%s", fx_formats[i]);
    }
    cancel_fini(&cancel);
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

/* ---- much that makes little ---- */

#define LONG_BYTES ((uint32_t)(33 * MIB)) /* does not get smaller when it is packed */
#define TOUCHED    (3 * MIB + 64 * KIB) /* of the packed bytes; no header of large blocks is there */
#define SMALL      48u                  /* a block of which zstd reads more than what comes out */

static struct cancel touched;
static uint8_t *trap;

/* Asks while a decoder reads what is in the trap. */
static void on_touch(int signal)
{
    (void)signal;
    cancel_ask(&touched);
    (void)mprotect(trap, 4096, PROT_READ);
}

/* Blocks that are not packed: to pack so much would take long. */
static size_t store_zstd_blocks(const uint8_t *bytes, uint32_t count, uint32_t most, uint8_t *to)
{
    uint8_t *const start = to;
    for (uint32_t done = 0, n; done < count; done += n, to += n) {
        n = (uint32_t)min_u64(count - done, most);
        uint32_t block = n << 3 | (done + n == count);
        *to++ = (uint8_t)block;
        *to++ = (uint8_t)(block >> 8);
        *to++ = (uint8_t)(block >> 16);
        memcpy(to, bytes + done, n);
    }
    return (size_t)(to - start);
}

static size_t store_zstd(const uint8_t *bytes, uint32_t count, uint32_t most, uint8_t *to)
{
    static const uint8_t head[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 0x58};
    memcpy(to, head, sizeof(head));
    return sizeof(head) + store_zstd_blocks(bytes, count, most, to + sizeof(head));
}

static bool unpacks_with_a_trap(const char *format, const uint8_t *bytes, uint32_t count)
{
    const size_t room = LONG_BYTES + MIB;
    uint8_t *in = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *made = malloc(count);
    bool is_zstd = strcmp(format, "zstd") == 0;
    uint32_t most = count < LONG_BYTES ? SMALL : 128 * (uint32_t)KIB;
    uint32_t in_bytes = (uint32_t)(is_zstd ? store_zstd(bytes, count, most, in)
                                           : fx_pack(format, bytes, count, in, room));
    cr_assert_gt(in_bytes, count);
    cr_assert_eq(cancel_init(&touched), 0);
    trap = in + TOUCHED;
    cr_assert_eq(mprotect(trap, 4096, PROT_NONE), 0);
    bool good = unpack(in, in_bytes, made, count, &touched);
    cr_expect(cancel_asked(&touched), "%s", format);
    cancel_fini(&touched);
    free(made);
    munmap(in, room);
    return good;
}

/* Out again, in pieces. */
Test(firmware_unpack, frames_of_very_many_blocks)
{
    packed_bytes = (uint32_t)store_zstd(plain, (uint32_t)MIB, SMALL, packed);
    cr_assert(unpacks(packed_bytes, (uint32_t)MIB));
    cr_assert(memcmp(out, plain, MIB) == 0);
    cr_assert_not(unpacks(packed_bytes - SMALL, (uint32_t)MIB));
}

/* Fields of 0 to 8 bytes: a window or none, a dictionary's number (0: none), how much comes out. */
Test(firmware_unpack, frames_with_any_header)
{
    static const uint32_t id_bytes[] = {0, 1, 2, 4};
    for (uint32_t how = 0; how < 32; how++) {
        uint32_t size = how >> 3, single = how >> 2 & 1, bytes = size == 0 ? 200 : 300;
        uint8_t *to = packed, field[8] = {(uint8_t)(size == 1 ? bytes - 256 : bytes), 0};
        field[1] = size > 1 ? bytes >> 8 : 0;
        to = (uint8_t *)memcpy(to, "\x28\xb5\x2f\xfd", 4) + 4;
        *to++ = (uint8_t)(size << 6 | single << 5 | (how & 3));
        if (!single)
            *to++ = 0x58;
        memset(to, 0, id_bytes[how & 3]);
        to += id_bytes[how & 3];
        uint32_t size_bytes = size != 0 ? 1u << size : single;
        to = (uint8_t *)memcpy(to, field, size_bytes) + size_bytes;
        to += store_zstd_blocks(plain, bytes, SMALL, to);
        cr_expect(unpacks((uint32_t)(to - packed), bytes), "%x", how);
        cr_expect(memcmp(out, plain, bytes) == 0, "%x", how);
    }
}

static uint8_t *put_be32(uint8_t *to, uint32_t value)
{
    be32_put(to, value);
    return to + sizeof(value);
}

/* One block: four literals, then a match of all that is left with the byte before. */
static uint32_t one_lzo_block(uint8_t byte, uint32_t bytes, uint32_t sum)
{
    const uint32_t length = bytes - 4 - 33, zeroes = (length - 1) / 255;
    uint8_t *to = packed;
    memset(to, 0, 38);
    memcpy(to, "\x89LZO\0\r\n\x1a\n", 9);
    to[20] = 1; /* Adler's checksum, of what comes out */
    to = put_be32(to + 38, bytes);
    to = put_be32(to, 4 + 1 + 1 + zeroes + 1 + 2 + 3);
    to = put_be32(to, sum);
    *to++ = 17 + 4;
    memset(to, byte, 4);
    to[4] = 0x20;
    memset(to + 5, 0, zeroes);
    to += 5 + zeroes;
    *to++ = (uint8_t)(length - 255 * zeroes);
    memcpy(to, "\0\0\x11\0\0", 5);
    to = put_be32(to + 5, 0);
    return (uint32_t)(to - packed);
}

/* A block that is no larger than lzop's own is unpacked at once; of a larger one nothing is. */
Test(firmware_unpack, lzo_s_blocks_are_no_larger_than_lzop_s)
{
    const uint32_t most = 64 * (uint32_t)MIB;
    uint8_t *large = malloc(most + 1);
    memset(large, 'd', most + 1);
    for (uint32_t bytes = most; bytes <= most + 1; bytes++) {
        packed_bytes = one_lzo_block((uint8_t)'d', bytes, (uint32_t)adler32(1, large, bytes));
        cr_expect_eq(unpack(packed, packed_bytes, large, bytes, NULL), bytes == most);
    }
    free(large);
}

/* What takes long to read need not make much: no piece of what comes out may be waited for. */
Test(firmware_unpack, canceled_while_little_comes_out)
{
    static const char *const formats[] = {"gzip", "xz", "bzip2", "zstd"};
    uint8_t *noise = malloc(LONG_BYTES);
    for (uint32_t i = 0, x = 1; i < LONG_BYTES; i++, x = x * 1664525 + 1013904223)
        noise[i] = (uint8_t)(x >> 24);
    const struct sigaction trapped = {.sa_handler = on_touch};
    struct sigaction before;
    cr_assert_eq(sigaction(SIGSEGV, &trapped, &before), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        uint32_t bytes = strcmp(formats[i], "zstd") == 0 ? LONG_BYTES : 5 * (uint32_t)MIB;
        cr_expect_not(unpacks_with_a_trap(formats[i], noise, bytes), "%s", formats[i]);
    }
    /* Small, but of very many blocks, each of which may have tables to read. */
    cr_expect_not(unpacks_with_a_trap("zstd", noise, 5 * (uint32_t)MIB));
    cr_assert_eq(sigaction(SIGSEGV, &before, NULL), 0);
    free(noise);
}
