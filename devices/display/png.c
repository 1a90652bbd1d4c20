// SPDX-License-Identifier: BSD-2-Clause
#include "devices/display/png.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK_BYTES 65536u /* of packed pixels in a chunk */
#define CHUNK_HEAD  8u     /* length and type */
#define FILTER_UP   2      /* what is stored is the difference to the row above */
#define TRUECOLOR   2

struct png {
    int fd, err;
    z_stream z;
    uint8_t chunk[CHUNK_HEAD + CHUNK_BYTES + 4]; /* with its checksum */
};

static void put_be32(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void write_all(struct png *p, const uint8_t *from, size_t bytes)
{
    while (p->err == 0 && bytes > 0) {
        ssize_t n = write(p->fd, from, bytes);
        if (n < 0 && errno != EINTR)
            p->err = -errno;
        from += n > 0 ? n : 0;
        bytes -= n > 0 ? (size_t)n : 0;
    }
}

/* The body is in the chunk already. */
static void write_chunk(struct png *p, const char type[5], uint32_t bytes)
{
    put_be32(p->chunk, bytes);
    memcpy(p->chunk + 4, type, 4);
    uint32_t sum = (uint32_t)crc32(0, p->chunk + 4, bytes + 4);
    put_be32(p->chunk + CHUNK_HEAD + bytes, sum);
    write_all(p, p->chunk, CHUNK_HEAD + bytes + 4);
}

static void write_header(struct png *p, uint32_t width, uint32_t height)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const uint8_t kind[5] = {8, TRUECOLOR, 0, 0, 0};
    write_all(p, signature, sizeof(signature));
    put_be32(p->chunk + CHUNK_HEAD, width);
    put_be32(p->chunk + CHUNK_HEAD + 4, height);
    memcpy(p->chunk + CHUNK_HEAD + 8, kind, sizeof(kind));
    write_chunk(p, "IHDR", 13);
}

static void pack(struct png *p, uint8_t *row, uint32_t bytes, int flush)
{
    p->z.next_in = row;
    p->z.avail_in = bytes;
    int r;
    do {
        r = deflate(&p->z, flush);
        if (p->z.avail_out > 0 && r != Z_STREAM_END)
            continue;
        write_chunk(p, "IDAT", CHUNK_BYTES - p->z.avail_out);
        p->z.next_out = p->chunk + CHUNK_HEAD;
        p->z.avail_out = CHUNK_BYTES;
    } while (p->err == 0 && (p->z.avail_in > 0 || (flush == Z_FINISH && r != Z_STREAM_END)));
}

/* Its filter, then red, green and blue of each pixel less those of the row above (NULL: 0). */
static void make_row(uint8_t *row, const uint8_t *from, const uint8_t *above, uint32_t width)
{
    *row++ = FILTER_UP;
    for (uint32_t x = 0; x < width; x++, row += 3)
        for (unsigned i = 0; i < 3; i++)
            row[i] = (uint8_t)(from[4 * x + 2 - i] - (above != NULL ? above[4 * x + 2 - i] : 0));
}

int png_write(int fd, const uint8_t *pixels, uint32_t width, uint32_t height)
{
    struct png *p = calloc(1, sizeof(*p));
    uint8_t *row = malloc(1 + (size_t)width * 3);
    int r = -ENOMEM;
    if (p != NULL && row != NULL && deflateInit(&p->z, Z_BEST_SPEED) == Z_OK) {
        p->fd = fd;
        write_header(p, width, height);
        p->z.next_out = p->chunk + CHUNK_HEAD;
        p->z.avail_out = CHUNK_BYTES;
        for (uint32_t y = 0; p->err == 0 && y < height; y++) {
            const uint8_t *from = pixels + (size_t)y * width * 4;
            make_row(row, from, y > 0 ? from - (size_t)width * 4 : NULL, width);
            pack(p, row, 1 + width * 3, y + 1 < height ? Z_NO_FLUSH : Z_FINISH);
        }
        deflateEnd(&p->z);
        write_chunk(p, "IEND", 0);
        r = p->err;
    }
    free(row);
    free(p);
    return r;
}
