// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packed bytes, in any of the formats in which Linux packs its kernel. Found by content: gzip, xz,
 * lzma, bzip2, zstd, lzo, and the old frame of lz4.
 */
#ifndef MINIVET_FIRMWARE_UNPACK_H
#define MINIVET_FIRMWARE_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

struct cancel;

#define UNPACK_MAGIC_BYTES 6u

/* The format's name, or NULL: none of these. */
const char *unpack_format(const uint8_t magic[UNPACK_MAGIC_BYTES]);

/*
 * True if exactly out_bytes came out; never writes more. In has a magic at least; what follows the
 * packed bytes is ignored. False soon after it was canceled (NULL: it is not).
 */
bool unpack(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes,
            const struct cancel *cancel);

/* For unpack(): how many bytes came out; 0 for what is damaged. */
uint32_t unlzop(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes,
                const struct cancel *cancel);

#endif
