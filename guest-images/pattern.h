// SPDX-License-Identifier: BSD-2-Clause
//
// The picture that screen.c draws in a guest, and tests/boot/picture.c on the host. Nearly all of
// its pixels differ from those around them, and from those of another SEED.
#ifndef MINIVET_GUEST_PATTERN_H
#define MINIVET_GUEST_PATTERN_H

// The rectangle that `screen mode` changes at last: its pixels are inverted.
#define PATTERN_LEFT   100u
#define PATTERN_TOP    50u
#define PATTERN_RIGHT  161u
#define PATTERN_BOTTOM 83u

#define PATTERN_WHITE 0xffffffu

// 0xRRGGBB.
static inline unsigned pattern_pixel(unsigned x, unsigned y, unsigned seed)
{
    return ((x * 0x010305u ^ y * 0x0b0711u) + seed * 0x2f4d61u) & PATTERN_WHITE;
}

#endif
