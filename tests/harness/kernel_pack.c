// SPDX-License-Identifier: BSD-2-Clause
/* Kernels packed as Linux's makefiles do it, by the same libraries. */
#include <bzlib.h>
#include <endian.h>
#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/harness/kernel_file.h"

/* Each returns how much it is packed; 0: no room. */

static size_t gzip(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    z_stream z = {0};

    if (deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    z.next_in = (Bytef *)(uintptr_t)in;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)room;
    int end = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return end == Z_STREAM_END ? room - z.avail_out : 0;
}

static size_t xz(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    size_t done = 0;

    return lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, in, len, out, &done, room) == LZMA_OK
               ? done
               : 0;
}

static size_t lzma(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_options_lzma options;

    if (lzma_lzma_preset(&options, 1) || lzma_alone_encoder(&s, &options) != LZMA_OK)
        return 0;
    s.next_in = in;
    s.avail_in = len;
    s.next_out = out;
    s.avail_out = room;
    lzma_ret end = lzma_code(&s, LZMA_FINISH);
    lzma_end(&s);
    return end == LZMA_STREAM_END ? room - s.avail_out : 0;
}

static size_t bzip2(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    unsigned done = (unsigned)room;

    return BZ2_bzBuffToBuffCompress((char *)out, &done, (char *)(uintptr_t)in, (unsigned)len, 1, 0,
                                    0) == BZ_OK
               ? done
               : 0;
}

static size_t zstd(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    size_t done = ZSTD_compress(out, room, in, len, 1);

    return ZSTD_isError(done) ? 0 : done;
}

static size_t lz4(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    size_t done = 4;

    if (room < done)
        return 0;
    le32_put(out, 0x184c2102);
    for (size_t at = 0, block; at < len; at += block) {
        block = min_u64(8 * MIB, len - at);
        int n = room - done <= 4
                    ? 0
                    : LZ4_compress_default((const char *)in + at, (char *)out + done + 4,
                                           (int)block, (int)(room - done - 4));
        if (n <= 0)
            return 0;
        le32_put(out + done, (uint32_t)n);
        done += 4 + (size_t)n;
    }
    return done;
}

#define LZO_BLOCK_BYTES 262144u

static void be32_put(uint8_t *out, size_t value)
{
    uint32_t v = htobe32((uint32_t)value);
    memcpy(out, &v, sizeof(v));
}

/* As lzop -9 does. */
static size_t lzo(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    static const uint8_t head[38] = {0x89, 'L',  'Z', 'O',  0, '\r', '\n', 0x1a, '\n', 0x10, 0x40,
                                     0x20, 0xa0, 9,   0x40, 3, 9,    3,    0,    0,    13};
    size_t done = sizeof(head), block;
    uint8_t *work = malloc(LZO1X_999_MEM_COMPRESS + 2 * LZO_BLOCK_BYTES);

    if (work == NULL || room < sizeof(head) + 4) {
        free(work);
        return 0;
    }
    memcpy(out, head, sizeof(head));
    for (; len > 0; in += block, len -= block) {
        uint8_t *packed = work + LZO1X_999_MEM_COMPRESS;
        lzo_uint bytes = 0;
        block = min_u64(LZO_BLOCK_BYTES, len);
        lzo1x_999_compress(in, block, packed, &bytes, work);
        if (bytes >= block)
            memcpy(packed, in, bytes = block);
        if (room - done < 12 + bytes + 4)
            break;
        be32_put(out + done, block);
        be32_put(out + done + 4, bytes);
        be32_put(out + done + 8, adler32(1, in, (uInt)block));
        memcpy(out + done + 12, packed, bytes);
        done += 12 + bytes;
    }
    be32_put(out + done, 0);
    free(work);
    return len > 0 ? 0 : done + 4;
}

const char *const fx_formats[] = {"gzip", "xz", "lzma", "bzip2", "zstd", "lz4", "lzo", NULL};

size_t fx_pack(const char *format, const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    static size_t (*const packers[])(const uint8_t *in, size_t len, uint8_t *out,
                                     size_t room) = {gzip, xz, lzma, bzip2, zstd, lz4, lzo};

    for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
        if (strcmp(format, fx_formats[i]) != 0)
            continue;
        size_t packed = packers[i](in, len, out, room);
        if (packed == 0 || packed + 4 > room)
            return 0;
        if (i == 0) /* gzip has the size at its end itself */
            return packed;
        le32_put(out + packed, (uint32_t)len);
        return packed + 4;
    }
    return 0;
}
