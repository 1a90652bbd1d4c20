// SPDX-License-Identifier: BSD-2-Clause
/* An exception whose handler is gone, and the double fault's, too. */
#include "rt.h"

extern uint8_t rt_idt[256 * 16];

int main(void)
{
    for (unsigned i = 0; i < sizeof(rt_idt); i++)
        rt_idt[i] = 0;
    __asm__ volatile("ud2");
    return 1;
}
