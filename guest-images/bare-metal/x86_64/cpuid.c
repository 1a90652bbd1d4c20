// SPDX-License-Identifier: BSD-2-Clause
/* What CPUID says of each CPU, and PVH of memory. */
#include "rt.h"

static uint32_t leaf1[RT_CPUS][4], hypervisor[4];
static unsigned counted;

void rt_level0(unsigned cpu)
{
    cpuid(1, 0, leaf1[cpu]);
    if (cpu == 0)
        cpuid(0x40000000, 0, hypervisor);
}

static void on_cpu(unsigned cpu)
{
    (void)cpu;
    __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
}

int main(void)
{
    const uint32_t *r = hypervisor;
    unsigned cpus = mmio_read8(CPUS_GPA);
    CHECK(rt_start_info->magic == START_INFO_MAGIC);
    CHECK(rt_start_info->memmap_count > 0);
    CHECK(leaf1[0][2] >> 31 == 1);                                   /* a hypervisor is there */
    CHECK(r[1] == 0x4b4d564b && r[2] == 0x564b4d56 && r[3] == 0x4d); /* KVMKVMKVM */
    CHECK((leaf1[0][1] >> 16 & 0xff) == cpus);
    rt_irq_init();
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        rt_cpu_start(cpu, on_cpu);
    while (__atomic_load_n(&counted, __ATOMIC_SEQ_CST) < cpus - 1)
        pause();
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        CHECK(leaf1[cpu][1] >> 24 == cpu); /* APIC id */
    return 0;
}
