// SPDX-License-Identifier: BSD-2-Clause
/* The runtime's part for x86-64 (rt.h). */
#ifndef MINIVET_BARE_METAL_CPU_H
#define MINIVET_BARE_METAL_CPU_H

#include <stdint.h>

#include "layout.h"

#define RAM_GPA         UINT64_C(0)
#define FRAMEBUFFER_GPA UINT64_C(0xf0000000)
#define VIRTIO_GPA      UINT64_C(0xfeb00000)
#define TRAP_VECTOR     6

/* ---- ports ---- */
#define PORT_DEBUG_EXIT 0xf4
#define PORT_STAMP      0x80
#define PORT_SERIAL     0x3f8
#define PORT_SLEEP      0x600

/* ---- what the tests' machine has for the guests (tests/kvm/tvm.h) ---- */
#define PORT_LATCH    0x510 /* 4 bytes of any width: reads give what was written last */
#define PORT_DOORBELL 0x530

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

static inline uint8_t serial_in(unsigned reg)
{
    return inb((uint16_t)(PORT_SERIAL + reg));
}

static inline void serial_out(unsigned reg, uint8_t value)
{
    outb((uint16_t)(PORT_SERIAL + reg), value);
}

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

/* The time stamp counter. */
static inline uint64_t rt_ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline unsigned virtio_irq(unsigned window)
{
    static const uint8_t irqs[] = {5, 6, 7, 10, 11, 12, 14, 15, 20, 21, 22, 23};
    return irqs[window % sizeof(irqs)];
}

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
