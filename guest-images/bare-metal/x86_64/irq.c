// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes interrupts and stamps the vector of each. GSIs 5 and 16 come as the first two vectors; the
 * rest are messages. The last vector ends the run.
 */
#include "rt.h"

#define VECTOR_FIRST 0x30
#define VECTOR_LAST  0x3e

static volatile bool last;

static void on_irq(unsigned vector)
{
    last = vector == VECTOR_LAST;
    stamp((uint8_t)vector);
}

int main(void)
{
    for (unsigned v = VECTOR_FIRST; v <= VECTOR_LAST; v++)
        rt_irq_handler(v, on_irq);
    rt_irq_init();
    rt_irq_route(5, VECTOR_FIRST);
    rt_irq_route(16, VECTOR_FIRST + 1);
    stamp(1); /* ready */
    while (!last)
        pause();
    return 0;
}
