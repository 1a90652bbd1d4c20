// SPDX-License-Identifier: BSD-2-Clause
/* The screen of `Xvfb -fbdir`, a file in xwd's format. */
#ifndef MINIVET_TESTS_XWD_H
#define MINIVET_TESTS_XWD_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/be.h"

/* Of the header: 0 its size, 5 height, 12 bytes in a row, 19 colours of 12 bytes each. */
static inline uint32_t xwd_field(const uint8_t *file, unsigned field)
{
    return be32_get(file + (size_t)field * 4);
}

/* Where this pixel is in the file: four bytes, little-endian. */
static inline size_t xwd_pixel_at(const uint8_t *file, uint32_t x, uint32_t y)
{
    return xwd_field(file, 0) + (size_t)xwd_field(file, 19) * 12 + (size_t)y * xwd_field(file, 12) +
           (size_t)x * 4;
}

#endif
