// SPDX-License-Identifier: BSD-2-Clause
#define ZLIB_CONST
#include "firmware/kernel/unpack.h"

#include <bzlib.h>
#include <limits.h>
#include <lz4.h>
#include <lzma.h>
#include <stddef.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/loop/cancel.h"

/* Linux packs with dictionaries of up to 128 MiB; what asks for more is not its kernel. */
#define LZMA_MEMORY_BYTES (UINT64_C(256) << 20)

/* zstd's frames that are no larger, with what comes out, and of no more blocks take a moment. */
#define ZSTD_AT_ONCE (UINT32_C(64) << 20)
#define ZSTD_BLOCKS  (1u << 14)

#define LZ4_MAGIC       UINT32_C(0x184c2102)
#define LZ4_BLOCK_BYTES (8u << 20) /* a block is so much, unpacked; only the last is less */

/* What goes in and comes out before it is asked whether to go on: much may make little. */
#define IN_BYTES    (UINT32_C(1) << 20)
#define PIECE_BYTES (UINT32_C(8) << 20)

/* Each returns how many bytes came out; 0 for what is damaged, or canceled. */

static uint32_t gzip(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes,
                     const struct cancel *cancel)
{
    z_stream z = {.next_in = in, .next_out = out};
    int end = Z_OK;

    if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK) /* 16: with gzip's header and checksum */
        return 0;
    while (end == Z_OK && !cancel_asked(cancel)) {
        z.avail_in = (uInt)min_u64(in_bytes - (uint32_t)(z.next_in - in), IN_BYTES);
        z.avail_out = (uInt)min_u64(out_bytes - (uint32_t)(z.next_out - out), PIECE_BYTES);
        end = inflate(&z, Z_NO_FLUSH);
    }
    inflateEnd(&z);
    return end == Z_STREAM_END ? (uint32_t)(z.next_out - out) : 0;
}

/* xz or lzma. */
static uint32_t xz(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes,
                   const struct cancel *cancel)
{
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_ret end = lzma_auto_decoder(&s, LZMA_MEMORY_BYTES, 0);

    s.next_in = in;
    s.next_out = out;
    while (end == LZMA_OK && !cancel_asked(cancel)) {
        s.avail_in = (size_t)min_u64(in_bytes - (uint64_t)(s.next_in - in), IN_BYTES);
        s.avail_out = (size_t)min_u64(out_bytes - (uint64_t)(s.next_out - out), PIECE_BYTES);
        end = lzma_code(&s, LZMA_RUN);
    }
    lzma_end(&s);
    return end == LZMA_STREAM_END ? (uint32_t)(s.next_out - out) : 0;
}

static uint32_t bzip2(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes,
                      const struct cancel *cancel)
{
    /* The library does not write to its input, though it does not promise so. */
    bz_stream s = {.next_in = (char *)(uintptr_t)in, .next_out = (char *)out};
    int end = BZ2_bzDecompressInit(&s, 0, 0);
    uint32_t taken = 0, done = 0;
    uint64_t before = UINT64_MAX;

    while (end == BZ_OK && (uint64_t)taken + done != before && !cancel_asked(cancel)) {
        before = (uint64_t)taken + done;
        s.avail_in = (unsigned)min_u64(in_bytes - taken, IN_BYTES);
        s.avail_out = (unsigned)min_u64(out_bytes - done, PIECE_BYTES);
        end = BZ2_bzDecompress(&s);
        taken = (uint32_t)((const uint8_t *)s.next_in - in);
        done = (uint32_t)((uint8_t *)s.next_out - out);
    }
    BZ2_bzDecompressEnd(&s);
    return end == BZ_STREAM_END ? done : 0;
}

/* Of a frame whose headers are known to be good; see RFC 8878. */
static unsigned zstd_blocks(const uint8_t *frame)
{
    static const uint8_t id_bytes[] = {0, 1, 2, 4}, size_bytes[] = {0, 2, 4, 8};
    unsigned head = frame[4], single = head >> 5 & 1, blocks = 0;
    uint32_t block;

    frame += 6 - single + id_bytes[head & 3] + size_bytes[head >> 6] + (head >> 6 == 0 && single);
    do {
        block = le16_get(frame) | (uint32_t)frame[2] << 16;
        frame += 3 + ((block >> 1 & 3) == 1 ? 1 : block >> 3); /* 1: one byte, many times */
        blocks++;
    } while ((block & 1) == 0);
    return blocks;
}

/*
 * How large the frame is, if it may be unpacked at once; else 0. To read a block's tables takes
 * longer than what comes out of a small one.
 */
static size_t zstd_at_once(const uint8_t *in, uint32_t in_bytes, uint32_t out_bytes)
{
    if (out_bytes > ZSTD_AT_ONCE || in_bytes > ZSTD_AT_ONCE - out_bytes)
        return 0;
    size_t frame = ZSTD_findFrameCompressedSize(in, in_bytes);
    return ZSTD_isError(frame) || zstd_blocks(in) > ZSTD_BLOCKS ? 0 : frame;
}

/* At once is quicker. */
static uint32_t zstd(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes,
                     const struct cancel *cancel)
{
    size_t frame = zstd_at_once(in, in_bytes, out_bytes), left = 1;
    ZSTD_inBuffer from = {in, 0, 0};
    ZSTD_outBuffer to = {out, 0, 0};
    ZSTD_DStream *s;

    if (frame != 0) {
        size_t done = ZSTD_decompress(out, out_bytes, in, frame);
        return ZSTD_isError(done) ? 0 : (uint32_t)done;
    }
    s = ZSTD_createDStream();
    for (size_t before = SIZE_MAX;
         s && left != 0 && from.pos + to.pos != before && !cancel_asked(cancel);) {
        before = from.pos + to.pos;
        from.size = (size_t)min_u64(in_bytes, from.pos + IN_BYTES);
        to.size = (size_t)min_u64(out_bytes, to.pos + PIECE_BYTES);
        left = ZSTD_decompressStream(s, &to, &from);
        if (ZSTD_isError(left))
            break;
    }
    ZSTD_freeDStream(s);
    return left == 0 ? (uint32_t)to.pos : 0;
}

/* Blocks, each behind its size, until all is there: no end is marked. */
static uint32_t lz4(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes,
                    const struct cancel *cancel)
{
    uint32_t at = sizeof(LZ4_MAGIC), done = 0;

    while (done < out_bytes) {
        uint32_t left = in_bytes - at;
        uint32_t block = left > 4 ? le32_get(in + at) : 0;

        if (block == 0 || block > left - 4 || block > INT_MAX || cancel_asked(cancel))
            return 0;
        int n = LZ4_decompress_safe((const char *)in + at + 4, (char *)out + done, (int)block,
                                    (int)min_u64(LZ4_BLOCK_BYTES, out_bytes - done));
        if (n <= 0)
            return 0;
        at += 4 + block;
        done += (uint32_t)n;
    }
    return done;
}

static const struct format {
    const char *name;
    uint8_t magic_bytes;
    uint8_t magic[UNPACK_MAGIC_BYTES];
    uint32_t (*unpack)(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes,
                       const struct cancel *cancel);
} formats[] = {
    {"gzip", 2, {0x1f, 0x8b}, gzip},
    {"xz", 6, {0xfd, '7', 'z', 'X', 'Z', 0}, xz},
    {"lzma", 3, {0x5d, 0, 0}, xz},
    {"bzip2", 3, {'B', 'Z', 'h'}, bzip2},
    {"zstd", 4, {0x28, 0xb5, 0x2f, 0xfd}, zstd},
    {"lz4", 4, {0x02, 0x21, 0x4c, 0x18}, lz4},
    {"lzo", 6, {0x89, 'L', 'Z', 'O', 0, '\r'}, unlzop},
};

static const struct format *find(const uint8_t *magic)
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (memcmp(magic, formats[i].magic, formats[i].magic_bytes) == 0)
            return &formats[i];
    return NULL;
}

const char *unpack_format(const uint8_t magic[UNPACK_MAGIC_BYTES])
{
    const struct format *f = find(magic);

    return f ? f->name : NULL;
}

bool unpack(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes,
            const struct cancel *cancel)
{
    const struct format *f = in_bytes >= UNPACK_MAGIC_BYTES ? find(in) : NULL;

    return f && f->unpack(in, in_bytes, out, out_bytes, cancel) == out_bytes;
}
