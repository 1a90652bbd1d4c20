// SPDX-License-Identifier: BSD-2-Clause
/* Counts for ever, without an exit of its own making; on every CPU there is. */
#include "rt.h"

static void count(unsigned cpu)
{
    volatile uint64_t *counter = (volatile uint64_t *)(uintptr_t)COUNTER_GPA + cpu;
    for (;;)
        ++*counter;
}

int main(void)
{
    unsigned cpus = mmio_read8(CPUS_GPA);
    rt_irq_init();
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        rt_cpu_start(cpu, count);
    stamp(1);
    count(0);
    return 1;
}
