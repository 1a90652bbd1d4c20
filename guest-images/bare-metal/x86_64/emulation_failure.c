// SPDX-License-Identifier: BSD-2-Clause
/* At level 0, asks of device memory what no emulator of plain loads and stores can do. */
#include "rt.h"

void rt_level0(unsigned cpu)
{
    (void)cpu;
    __asm__ volatile("flds (%0)" : : "r"((uint64_t)LATCH_GPA));
}

int main(void)
{
    return 1;
}
