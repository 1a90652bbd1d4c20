// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes interrupts and stamps the vector of each. Wired interrupts 5, 16 and 17 have vectors of
 * their own; the rest are messages. The last vector ends the run.
 */
#include "rt.h"

#define VECTOR_FIRST 0x30
#define VECTOR_LAST  0x3e

static volatile uint32_t taken;
static volatile bool last;

static void on_irq(unsigned vector)
{
    last = vector == VECTOR_LAST;
    taken++;
    stamp((uint8_t)vector);
}

int main(void)
{
    for (unsigned v = VECTOR_FIRST; v <= VECTOR_LAST; v++)
        rt_irq_handler(v, on_irq);
    rt_irq_init();
    rt_irq_route(5, VECTOR_FIRST);
    rt_irq_route(16, VECTOR_FIRST + 1);
    rt_irq_route(17, VECTOR_LAST);
    stamp(rt_irq_has_messages() ? 1 : 2); /* ready */
    for (uint32_t seen = 0; !last; seen++)
        rt_irq_wait(&taken, seen);
    return 0;
}
