// SPDX-License-Identifier: BSD-2-Clause
/*
 * The bare-metal test guests' runtime. A guest is a C file with main(), which runs on the first CPU
 * at privilege level 3 with interrupts on, all memory mapped to itself and every port open. What
 * main() returns is written to the debug-exit port and ends the run: 0 is a pass.
 */
#ifndef MINIVET_BARE_METAL_RT_H
#define MINIVET_BARE_METAL_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* ---- ports ---- */
#define PORT_DEBUG_EXIT 0xf4
#define PORT_STAMP      0x80 /* a byte that says how far the guest has come */
#define PORT_SERIAL     0x3f8

/* ---- what the tests' machine has for the guests (tests/kvm/tvm.h) ---- */
#define PORT_LATCH    0x510      /* 4 bytes of any width: reads give what was written last */
#define PORT_CPUS     0x520      /* one byte: how many CPUs there are */
#define LATCH_GPA     0xd0000000 /* 16 bytes of any width, likewise */
#define DOORBELL_GPA  0xd0001000
#define DOORBELL_PORT 0x530
#define COUNTER_GPA   0x10000 /* RAM that the host watches */

#define EXIT_FAILED    1
#define EXIT_EXCEPTION 2

int main(void);

_Noreturn void rt_exit(uint8_t status);
void rt_puts(const char *text);
void rt_put_hex(uint64_t value);
_Noreturn void rt_failed(const char *what, int line);

#define CHECK(condition)                     \
    do {                                     \
        if (!(condition))                    \
            rt_failed(#condition, __LINE__); \
    } while (0)

#define PORT_ACCESS(suffix, type)                                                              \
    static inline void out##suffix(uint16_t port, type value)                                  \
    {                                                                                          \
        __asm__ volatile("out" #suffix " %0, %1" : : "a"(value), "Nd"(port) : "memory");       \
    }                                                                                          \
    static inline type in##suffix(uint16_t port)                                               \
    {                                                                                          \
        type value;                                                                            \
        __asm__ volatile("in" #suffix " %1, %0" : "=a"(value) : "Nd"(port) : "memory");        \
        return value;                                                                          \
    }                                                                                          \
    static inline void outs##suffix(uint16_t port, const void *data, size_t count)             \
    {                                                                                          \
        __asm__ volatile("rep outs" #suffix : "+S"(data), "+c"(count) : "d"(port) : "memory"); \
    }                                                                                          \
    static inline void ins##suffix(uint16_t port, void *data, size_t count)                    \
    {                                                                                          \
        __asm__ volatile("rep ins" #suffix : "+D"(data), "+c"(count) : "d"(port) : "memory");  \
    }

PORT_ACCESS(b, uint8_t)
PORT_ACCESS(w, uint16_t)
PORT_ACCESS(l, uint32_t)

static inline void stamp(uint8_t value)
{
    outb(PORT_STAMP, value);
}

/* One plain mov each, whatever the compiler thinks of it. */
#define MMIO_ACCESS(bits, reg)                                              \
    static inline void mmio_write##bits(uint64_t gpa, uint##bits##_t value) \
    {                                                                       \
        __asm__ volatile("mov %0, %1"                                       \
                         :                                                  \
                         : reg(value), "m"(*(volatile uint##bits##_t *)gpa) \
                         : "memory");                                       \
    }                                                                       \
    static inline uint##bits##_t mmio_read##bits(uint64_t gpa)              \
    {                                                                       \
        uint##bits##_t value;                                               \
        __asm__ volatile("mov %1, %0"                                       \
                         : "=" reg(value)                                   \
                         : "m"(*(volatile uint##bits##_t *)gpa)             \
                         : "memory");                                       \
        return value;                                                       \
    }

MMIO_ACCESS(8, "q")
MMIO_ACCESS(16, "r")
MMIO_ACCESS(32, "r")
MMIO_ACCESS(64, "r")

/*
 * At level 0: some processors have no way to let the host answer at level 3, so on a host without
 * hardware virtualization they answer for themselves.
 */
static inline void cpuid(uint32_t leaf, uint32_t index, uint32_t out[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(index));
}

/* A guest that has something to do at level 0 has its own: each CPU calls it on its way up. */
void rt_level0(unsigned cpu);

static inline void pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* ---- interrupts: switches the local APIC on, and the PICs off ---- */
void rt_irq_init(void);
/* The handler runs at level 0; vector 32 to RT_VECTORS - 1. The end of interrupt follows it. */
void rt_irq_handler(unsigned vector, void (*handler)(unsigned vector));
/* Routes an edge of a GSI to a vector of the first CPU. */
void rt_irq_route(unsigned gsi, unsigned vector);

/* ---- more CPUs ---- */
/* Starts CPU `cpu` (1 to RT_CPUS - 1), which runs entry(cpu) at level 3; needs rt_irq_init(). */
void rt_cpu_start(unsigned cpu, void (*entry)(unsigned cpu));

/* ---- what PVH tells the guest (Xen docs/misc/pvh.pandoc) ---- */
struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t module_list_gpa, cmdline_gpa, rsdp_gpa;
    uint64_t memmap_gpa;
    uint32_t memmap_count, reserved;
};

#define START_INFO_MAGIC 0x336ec578

extern const struct start_info *rt_start_info;

#endif
