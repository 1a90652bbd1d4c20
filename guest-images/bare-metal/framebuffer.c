// SPDX-License-Identifier: BSD-2-Clause
/* Draws what the host asks for, a stamp when it is done (tests/kvm/framebuffer.c). */
#include "rt.h"

#define WIDTH  1024
#define HEIGHT 768

enum { WAIT, DOTS, ALL, END };

static void draw(unsigned x, unsigned y, uint32_t pixel)
{
    mmio_write32(FRAMEBUFFER_GPA + (y * WIDTH + x) * 4ul, pixel);
}

int main(void)
{
    stamp(0);
    for (unsigned step = DOTS; step < END; step++) {
        while (mmio_read32(COUNTER_GPA) != step)
            pause();
        if (step == DOTS) {
            draw(7, 10, 0x123456);
            draw(1023, 500, 0xabcdef);
        } else {
            for (unsigned y = 0; y < HEIGHT; y++)
                for (unsigned x = 0; x < WIDTH; x++)
                    draw(x, y, y << 16 | x);
        }
        CHECK(mmio_read32(FRAMEBUFFER_GPA + (500 * WIDTH + 1023) * 4) ==
              (step == DOTS ? 0xabcdef : (500 << 16 | 1023)));
        stamp((uint8_t)step);
    }
    while (mmio_read32(COUNTER_GPA) != END)
        pause();
    return 0;
}
