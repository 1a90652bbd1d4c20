// SPDX-License-Identifier: BSD-2-Clause
/* The runtime's part for riscv64 (rt.h). */
#ifndef MINIVET_BARE_METAL_CPU_H
#define MINIVET_BARE_METAL_CPU_H

#include <stdint.h>

#define TRAP_VECTOR 3 /* scause of EBREAK */

/* One plain access each, as Linux's writel() and readl() order it. */
#define MMIO_ACCESS(bits, width)                                                                   \
    static inline void mmio_write##bits(uint64_t gpa, uint##bits##_t value)                        \
    {                                                                                              \
        __asm__ volatile("fence w, o\n\ts" width " %z0, (%1)"                                      \
                         :                                                                         \
                         : "rJ"(value), "r"(gpa)                                                   \
                         : "memory");                                                              \
    }                                                                                              \
    static inline uint##bits##_t mmio_read##bits(uint64_t gpa)                                     \
    {                                                                                              \
        uint64_t value;                                                                            \
        __asm__ volatile("l" width " %0, (%1)\n\tfence i, r" : "=r"(value) : "r"(gpa) : "memory"); \
        return (uint##bits##_t)value;                                                              \
    }

MMIO_ACCESS(8, "b")
MMIO_ACCESS(16, "h")
MMIO_ACCESS(32, "w")
MMIO_ACCESS(64, "d")

static inline void pause(void)
{
    __asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010" : : : "memory"); /* the hint PAUSE */
}

static inline uint64_t rt_ticks(void)
{
    uint64_t ticks;
    __asm__ volatile("fence\n\trdtime %0" : "=r"(ticks) : : "memory");
    return ticks;
}

#define SSTATUS_SIE 2 /* interrupts are taken */

static inline void irq_mask(void)
{
    __asm__ volatile("csrci sstatus, %0" : : "i"(SSTATUS_SIE) : "memory");
}

static inline void irq_unmask(void)
{
    __asm__ volatile("csrsi sstatus, %0" : : "i"(SSTATUS_SIE) : "memory");
}

void irq_idle(void);

#include "fdt/fdt.h"

#endif
