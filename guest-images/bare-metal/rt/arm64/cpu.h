// SPDX-License-Identifier: BSD-2-Clause
/* The runtime's part for arm64 (rt.h). */
#ifndef MINIVET_BARE_METAL_CPU_H
#define MINIVET_BARE_METAL_CPU_H

#include <stdint.h>

#define TRAP_VECTOR 0x3c /* exception class of BRK (Arm ARM, ESR_EL1) */

/* One plain access each, as Linux's writel() and readl() order it. */
#define MMIO_ACCESS(bits, suffix, reg)                                      \
    static inline void mmio_write##bits(uint64_t gpa, uint##bits##_t value) \
    {                                                                       \
        __asm__ volatile("dmb oshst\n\tstr" suffix " %" reg "0, [%1]"       \
                         :                                                  \
                         : "rZ"(value), "r"(gpa)                            \
                         : "memory");                                       \
    }                                                                       \
    static inline uint##bits##_t mmio_read##bits(uint64_t gpa)              \
    {                                                                       \
        uint##bits##_t value;                                               \
        __asm__ volatile("ldr" suffix " %" reg "0, [%1]\n\tdmb oshld"       \
                         : "=r"(value)                                      \
                         : "r"(gpa)                                         \
                         : "memory");                                       \
        return value;                                                       \
    }

MMIO_ACCESS(8, "b", "w")
MMIO_ACCESS(16, "h", "w")
MMIO_ACCESS(32, "", "w")
MMIO_ACCESS(64, "", "x")

static inline void pause(void)
{
    __asm__ volatile("yield" : : : "memory");
}

/* The generic timer's virtual count. */
static inline uint64_t rt_ticks(void)
{
    uint64_t ticks;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
}

static inline void irq_mask(void)
{
    __asm__ volatile("msr daifset, #2" : : : "memory");
}

static inline void irq_unmask(void)
{
    __asm__ volatile("msr daifclr, #2\n\tisb" : : : "memory");
}

static inline void irq_idle(void)
{
    __asm__ volatile("dsb sy\n\twfi" : : : "memory");
}

#include "fdt/fdt.h"

#endif
