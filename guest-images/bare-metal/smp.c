// SPDX-License-Identifier: BSD-2-Clause
/* Starts every CPU; each counts itself, knows who it is and that memory is shared. */
#include "rt.h"

static unsigned counted;
static volatile uint32_t apic_ids[RT_CPUS];

static void on_cpu(unsigned cpu)
{
    uint32_t r[4];
    cpuid(1, 0, r);
    apic_ids[cpu] = r[1] >> 24;
    __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
}

int main(void)
{
    unsigned cpus = inb(PORT_CPUS);
    CHECK(cpus > 1 && cpus <= RT_CPUS);
    uint32_t r[4];
    cpuid(1, 0, r);
    CHECK((r[1] >> 16 & 0xff) == cpus);
    rt_irq_init();
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        rt_cpu_start(cpu, on_cpu);
    while (__atomic_load_n(&counted, __ATOMIC_SEQ_CST) < cpus - 1)
        pause();
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        CHECK(apic_ids[cpu] == cpu);
    return 0;
}
