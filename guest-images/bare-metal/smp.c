// SPDX-License-Identifier: BSD-2-Clause
/* Starts every CPU; each counts itself, knows who it is and that memory is shared. */
#include "rt.h"

static unsigned counted;
static uint32_t leaf1[RT_CPUS][4];

void rt_level0(unsigned cpu)
{
    cpuid(1, 0, leaf1[cpu]);
}

static void on_cpu(unsigned cpu)
{
    (void)cpu;
    __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
}

int main(void)
{
    unsigned cpus = inb(PORT_CPUS);
    CHECK(cpus > 1 && cpus <= RT_CPUS);
    CHECK((leaf1[0][1] >> 16 & 0xff) == cpus);
    rt_irq_init();
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        rt_cpu_start(cpu, on_cpu);
    while (__atomic_load_n(&counted, __ATOMIC_SEQ_CST) < cpus - 1)
        pause();
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        CHECK(leaf1[cpu][1] >> 24 == cpu);
    return 0;
}
