// SPDX-License-Identifier: BSD-2-Clause
/*
 * LZO1X in the file format of lzop, for want of a library that a program under this licence may
 * link. The instructions are those of Linux's Documentation/staging/lzo.rst.
 */
#include <string.h>
#include <zlib.h>

#include "core/base/le.h"
#include "core/loop/cancel.h"
#include "firmware/kernel/unpack.h"

/* A length that its instruction's bits have no room for is 0 there. */
static size_t length_of(const uint8_t **in, const uint8_t *end, size_t bits, size_t most)
{
    if (bits > 0)
        return bits;
    while (*in < end && **in == 0) {
        most += 255;
        ++*in;
    }
    return *in < end ? most + *(*in)++ : SIZE_MAX / 2;
}

/* True if exactly `bytes` bytes came out. */
static bool unlzo(const uint8_t *in, const uint8_t *end, uint8_t *out, size_t bytes)
{
    size_t at = 0, length = 0, distance = 0, literals = 0;
    unsigned before = 0; /* literals of the last instruction, 4: or more */

    if (end - in > 0 && in[0] > 17) /* it can only begin so */
        literals = *in++ - 17u;
    for (;;) {
        if (literals > bytes - at || literals + 3 > (size_t)(end - in))
            return false;
        memcpy(out + at, in, literals);
        at += literals;
        in += literals;
        before = literals > 3 ? 4 : (unsigned)literals;

        unsigned op = *in++;
        if (op < 16 && before == 0) {
            literals = 3 + length_of(&in, end, op, 15);
            continue;
        }
        if (op >= 64 || op < 16) {
            unsigned far = *in++;
            length = op >= 64 ? (op >> 5) + 1 : before == 4 ? 3 : 2;
            distance = op >= 64 ? (far << 3) + (op >> 2 & 7) + 1
                                : (far << 2) + (op >> 2) + (before == 4 ? 2049 : 1);
            literals = op & 3;
        } else {
            unsigned most = op >= 32 ? 31 : 7;
            length = 2 + length_of(&in, end, op & most, most);
            if (end - in < 2)
                return false;
            distance = (le16_get(in) >> 2) + (op >= 32 ? 1u : 16384 + (op & 8) * 2048);
            literals = *in & 3;
            in += 2;
        }
        if (op < 32 && distance == 16384) /* the end */
            return at == bytes;
        if (distance > at || length > bytes - at)
            return false;
        for (size_t stop = at + length; at < stop; at++) /* what it makes it may copy, too */
            out[at] = out[at - distance];
    }
}

/*
 * lzop's file, as its version 0.94 and later have it: all numbers are big-endian, each block is
 * behind its two sizes and one checksum, and a size of 0 ends it.
 */
#define HEAD_BYTES  34u /* before the file's name; behind that is a checksum */
#define HEAD_FLAGS  17
#define HEAD_NAME   33     /* its length */
#define FLAGS_MASK  0xfc3u /* checksums, filters, parts and fields ... */
#define FLAGS       0x001u /* ... of which Linux's file has but Adler's checksum, of what comes out */
#define BLOCK_BYTES 12
#define BLOCK_MAX   (UINT32_C(64) << 20) /* what comes out of one that lzop takes itself */

static uint32_t number(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

uint32_t unlzop(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes,
                const struct cancel *cancel)
{
    uint64_t head = in_bytes > HEAD_BYTES ? HEAD_BYTES + 4u + in[HEAD_NAME] : in_bytes;
    const uint8_t *end = in + in_bytes;
    uint32_t done = 0, bytes, packed;

    if (head >= in_bytes || (number(in + HEAD_FLAGS) & FLAGS_MASK) != FLAGS)
        return 0;
    for (in += head; end - in > BLOCK_BYTES && (bytes = number(in)) != 0; in += packed) {
        uint32_t sum = number(in + 8);

        packed = number(in + 4);
        in += BLOCK_BYTES;
        if (packed > end - in || packed > bytes || bytes > BLOCK_MAX || bytes > out_bytes - done ||
            cancel_asked(cancel))
            return 0;
        if (packed == bytes) /* would have grown */
            memcpy(out + done, in, bytes);
        else if (!unlzo(in, in + packed, out + done, bytes))
            return 0;
        if (adler32(1, out + done, bytes) != sum)
            return 0;
        done += bytes;
    }
    return done;
}
