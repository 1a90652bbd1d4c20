// SPDX-License-Identifier: BSD-2-Clause
#include "rt.h"

#define PSCI_SYSTEM_OFF 0x84000008u
#define PSCI_CPU_ON     0xc4000003u

extern const uint8_t rt_secondary[];

static int64_t psci(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;
    __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
    return (int64_t)x0;
}

void rt_power_off(void)
{
    psci(PSCI_SYSTEM_OFF, 0, 0, 0);
}

void rt_cpu_boot(unsigned cpu)
{
    CHECK(psci(PSCI_CPU_ON, cpu, (uintptr_t)rt_secondary, cpu) == 0);
}
