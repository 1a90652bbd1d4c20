// SPDX-License-Identifier: BSD-2-Clause
/* A kernel that is packed in a part of its file, and what it unpacks to, which the cache may have.
 */
#ifndef MINIVET_FIRMWARE_PACKED_H
#define MINIVET_FIRMWARE_PACKED_H

#include <stdint.h>

#include "firmware/kernel/image.h"
#include "firmware/kernel/kernel_cache.h"

/* The caller fills in where the packed bytes are, their format, and how much comes out. */
struct packed {
    uint64_t offset; /* in the file */
    uint32_t bytes, unpacked_bytes;
    const char *format; /* by unpack_format() */
    struct image image; /* unpacked; from the cache, if it is in a file */
    struct kernel_cache cache;
};

/* cache_dir: see kernel_cache_open(). Errors are reported; packed_close() is right after one, too.
 */
int packed_open(struct packed *p, const struct image *file, const char *cache_dir);
/* What came out is worth its room in the cache. */
void packed_keep(const struct packed *p, const struct image *file);
void packed_close(struct packed *p);

#endif
