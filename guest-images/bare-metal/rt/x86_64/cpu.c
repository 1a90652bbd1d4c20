// SPDX-License-Identifier: BSD-2-Clause
#include "rt.h"

#define LAPIC_GPA      0xfee00000u
#define LAPIC_EOI      (LAPIC_GPA + 0xb0)
#define LAPIC_SPURIOUS (LAPIC_GPA + 0xf0)
#define LAPIC_ICR_LOW  (LAPIC_GPA + 0x300)
#define LAPIC_ICR_HIGH (LAPIC_GPA + 0x310)
#define LAPIC_LINT0    (LAPIC_GPA + 0x350)
#define ICR_INIT       0x4500u
#define ICR_STARTUP    0x4600u

#define IOAPIC_INDEX_GPA 0xfec00000u
#define IOAPIC_DATA_GPA  0xfec00010u

/* Intel SDM 3A 6.14.1: present interrupt gate, reached from level 0 only. */
struct idt_gate {
    uint16_t offset_15_0, selector;
    uint8_t stack, type;
    uint16_t offset_31_16;
    uint32_t offset_63_32, reserved;
};

extern struct idt_gate rt_idt[256];
extern const uint8_t rt_stubs[RT_VECTORS][16];
extern const uint8_t rt_ap_code[], rt_ap_code_end[];

/* What the compiler may call by itself. */
void *memcpy(void *restrict dst, const void *restrict src, size_t bytes);
void *memset(void *dst, int value, size_t bytes);

void *memcpy(void *restrict dst, const void *restrict src, size_t bytes)
{
    void *d = dst;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(bytes) : : "memory");
    return dst;
}

void *memset(void *dst, int value, size_t bytes)
{
    void *d = dst;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(bytes) : "a"(value) : "memory");
    return dst;
}

void rt_exit(uint8_t status)
{
    for (;;)
        outb(PORT_DEBUG_EXIT, status);
}

const char *rt_cmdline(void)
{
    CHECK(rt_start_info->magic == START_INFO_MAGIC);
    return (const char *)rt_start_info->cmdline_gpa;
}

/* The ACPI sleep control register: sleep type 5 and the enable bit. */
void rt_power_off(void)
{
    outb(PORT_SLEEP, 0x20 | 5 << 2);
}

/* An exception without a handler, and the double fault has none, either. */
void rt_break(void)
{
    memset(rt_idt, 0, sizeof(rt_idt));
    __asm__ volatile("ud2");
}

void rt_interrupt(unsigned vector, const uint64_t *frame);

/* Level 0. frame: error code, rip, cs, rflags, rsp, ss. */
void rt_interrupt(unsigned vector, const uint64_t *frame)
{
    if (!rt_irq_take(vector))
        rt_unexpected(vector, frame[0], frame[1]);
    mmio_write32(LAPIC_EOI, 0);
}

void rt_cpu_init(void)
{
    for (unsigned v = 0; v < RT_VECTORS; v++) {
        uint64_t stub = (uintptr_t)rt_stubs[v];
        rt_idt[v] = (struct idt_gate){
            .offset_15_0 = (uint16_t)stub,
            .selector = SEL_CODE0,
            .type = 0x8e,
            .offset_31_16 = (uint16_t)(stub >> 16),
        };
    }
}

void rt_irq_init(void)
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    mmio_write32(LAPIC_LINT0, 0x10000);                     /* masked */
    mmio_write32(LAPIC_SPURIOUS, 0x100 | (RT_VECTORS - 1)); /* on */
}

/* Level 3 cannot halt. */
void rt_irq_wait(const volatile uint32_t *count, uint32_t seen)
{
    while (*count == seen)
        pause();
}

bool rt_irq_has_messages(void)
{
    return true;
}

void rt_irq_route(unsigned gsi, unsigned vector)
{
    mmio_write32(IOAPIC_INDEX_GPA, 0x11 + 2 * gsi);
    mmio_write32(IOAPIC_DATA_GPA, 0); /* to APIC id 0 */
    mmio_write32(IOAPIC_INDEX_GPA, 0x10 + 2 * gsi);
    mmio_write32(IOAPIC_DATA_GPA, vector); /* fixed, edge, high, not masked */
}

void rt_cpu_boot(unsigned cpu)
{
    memcpy((void *)(uintptr_t)AP_GPA, rt_ap_code, (size_t)(rt_ap_code_end - rt_ap_code));
    mmio_write32(LAPIC_ICR_HIGH, cpu << 24);
    mmio_write32(LAPIC_ICR_LOW, ICR_INIT);
    mmio_write32(LAPIC_ICR_HIGH, cpu << 24);
    mmio_write32(LAPIC_ICR_LOW, ICR_STARTUP | AP_GPA >> 12);
}
