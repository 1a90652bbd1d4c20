// SPDX-License-Identifier: BSD-2-Clause
/* Starts every CPU; each says who it is, and memory is shared. */
#include "rt.h"

static unsigned came; /* a bit each */
static void on_cpu(unsigned cpu)
{
    __atomic_fetch_or(&came, 1u << cpu, __ATOMIC_SEQ_CST);
}

int main(void)
{
    unsigned cpus = mmio_read8(CPUS_GPA);
    CHECK(cpus > 1 && cpus <= RT_CPUS);
    rt_irq_init();
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        rt_cpu_start(cpu, on_cpu);
    while (__atomic_load_n(&came, __ATOMIC_SEQ_CST) != (1u << cpus) - 2)
        pause();
    return 0;
}
