// SPDX-License-Identifier: BSD-2-Clause
/* picture WIDTH HEIGHT SEED [changed]: the screenshot that is to be taken while
 * guest-images/screen.c shows its pattern, on standard output; with `changed`, after the change of
 * a rectangle.
 * picture part X Y WIDTH HEIGHT <FILE: that part of the screen of `Xvfb -fbdir`, whose file this
 * is. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/display/png.h"
#include "guest-images/pattern.h"
#include "tests/harness/xwd.h"

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

static bool cut(uint32_t *pixels, uint32_t left, uint32_t top, uint32_t width, uint32_t height)
{
    struct stat st;
    if (fstat(STDIN_FILENO, &st) < 0)
        return false;
    const uint8_t *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, STDIN_FILENO, 0);
    if (file == MAP_FAILED)
        return false;
    size_t end = xwd_pixel_at(file, left + width, top + height - 1);
    for (uint32_t y = 0; y < height && end <= (size_t)st.st_size; y++)
        for (uint32_t x = 0; x < width; x++)
            pixels[(size_t)y * width + x] =
                le32_get(file + xwd_pixel_at(file, left + x, top + y)) & PATTERN_WHITE;
    munmap((void *)file, (size_t)st.st_size);
    return end <= (size_t)st.st_size;
}

int main(int argc, char **argv)
{
    bool is_part = argc == 6 && strcmp(argv[1], "part") == 0;
    uint32_t width = argc > 3 ? number(argv[is_part ? 4 : 1]) : 0;
    uint32_t height = argc > 3 ? number(argv[is_part ? 5 : 2]) : 0;
    if (width < PATTERN_RIGHT || height < PATTERN_BOTTOM) {
        fprintf(stderr, "usage: picture WIDTH HEIGHT SEED [changed]\n"
                        "       picture part X Y WIDTH HEIGHT <FILE\n");
        return 2;
    }
    uint32_t *pixels = malloc((size_t)width * height * sizeof(*pixels));
    if (pixels == NULL)
        return 1;
    if (!is_part)
        draw(pixels, width, height, number(argv[3]));
    else if (!cut(pixels, number(argv[2]), number(argv[3]), width, height))
        return 1;
    if (!is_part && argc > 4)
        change(pixels, width);
    int err = png_write(STDOUT_FILENO, (const uint8_t *)pixels, width, height);
    free(pixels);
    if (err < 0)
        fprintf(stderr, "picture: %s\n", strerror(-err));
    return err < 0;
}
