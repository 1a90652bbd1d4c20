// SPDX-License-Identifier: BSD-2-Clause
/* picture WIDTH HEIGHT SEED [changed]: the screenshot that is to be taken while
 * guest-images/screen.c shows its pattern, on standard output; with `changed`, after the change of
 * a rectangle. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/display/png.h"
#include "guest-images/pattern.h"

static void draw(uint32_t *pixels, uint32_t width, uint32_t height, unsigned seed)
{
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            pixels[(size_t)y * width + x] = pattern_pixel(x, y, seed);
}

static void change(uint32_t *pixels, uint32_t width)
{
    for (uint32_t y = PATTERN_TOP; y < PATTERN_BOTTOM; y++)
        for (uint32_t x = PATTERN_LEFT; x < PATTERN_RIGHT; x++)
            pixels[(size_t)y * width + x] ^= PATTERN_WHITE;
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    uint32_t width = argc > 3 ? number(argv[1]) : 0;
    uint32_t height = argc > 3 ? number(argv[2]) : 0;
    if (width < PATTERN_RIGHT || height < PATTERN_BOTTOM) {
        fprintf(stderr, "usage: picture WIDTH HEIGHT SEED [changed]\n");
        return 2;
    }
    uint32_t *pixels = malloc((size_t)width * height * sizeof(*pixels));
    if (pixels == NULL)
        return 1;
    draw(pixels, width, height, number(argv[3]));
    if (argc > 4)
        change(pixels, width);
    int err = png_write(STDOUT_FILENO, (const uint8_t *)pixels, width, height);
    free(pixels);
    if (err < 0)
        fprintf(stderr, "picture: %s\n", strerror(-err));
    return err < 0;
}
