// SPDX-License-Identifier: BSD-2-Clause
#include "rt.h"

/* RISC-V SBI 2.0: extensions, of each the function 0 */
#define SBI_HART_START 0x48534d
#define SBI_SHUTDOWN   0x53525354

extern const uint8_t rt_secondary[];

static int64_t sbi(uint64_t extension, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t a0 __asm__("a0") = a;
    register uint64_t a1 __asm__("a1") = b;
    register uint64_t a2 __asm__("a2") = c;
    register uint64_t a6 __asm__("a6") = 0;
    register uint64_t a7 __asm__("a7") = extension;
    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
    return (int64_t)a0;
}

void rt_power_off(void)
{
    sbi(SBI_SHUTDOWN, 0, 0, 0);
}

void rt_cpu_boot(unsigned cpu)
{
    CHECK(sbi(SBI_HART_START, cpu, (uintptr_t)rt_secondary, 0) == 0);
}
