// SPDX-License-Identifier: BSD-2-Clause
/* A picture as a PNG file (ISO/IEC 15948): 8 bits of red, green and blue a pixel. */
#ifndef MINIVET_DEVICES_PNG_H
#define MINIVET_DEVICES_PNG_H

#include <stdint.h>

/* Rows of BGRX without gaps. Takes its time: not for a loop. A negative errno, not reported. */
int png_write(int fd, const uint8_t *pixels, uint32_t width, uint32_t height);

#endif
