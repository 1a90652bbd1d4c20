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

static void (*handlers[RT_VECTORS])(unsigned vector);
static void (*volatile entries[RT_CPUS])(unsigned cpu);

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

void rt_puts(const char *text)
{
    while (*text != '\0')
        outb(PORT_SERIAL, (uint8_t)*text++);
}

void rt_put_hex(uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        outb(PORT_SERIAL, (uint8_t) "0123456789abcdef"[value >> shift & 15]);
}

void rt_failed(const char *what, int line)
{
    rt_puts("failed at line ");
    rt_put_hex((uint64_t)line);
    rt_puts(": ");
    rt_puts(what);
    rt_puts("\n");
    rt_exit(EXIT_FAILED);
}

void rt_interrupt(unsigned vector, const uint64_t *frame);

/* Level 0. frame: error code, rip, cs, rflags, rsp, ss. */
void rt_interrupt(unsigned vector, const uint64_t *frame)
{
    if (vector < 32 || handlers[vector] == NULL) {
        rt_puts("unexpected vector ");
        rt_put_hex(vector);
        rt_puts(" error ");
        rt_put_hex(frame[0]);
        rt_puts(" rip ");
        rt_put_hex(frame[1]);
        rt_puts("\n");
        rt_exit(EXIT_EXCEPTION);
    }
    handlers[vector](vector);
    mmio_write32(LAPIC_EOI, 0);
}

static void idt_fill(void)
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

void rt_irq_handler(unsigned vector, void (*handler)(unsigned vector))
{
    CHECK(vector >= 32 && vector < RT_VECTORS);
    handlers[vector] = handler;
}

void rt_irq_route(unsigned gsi, unsigned vector)
{
    mmio_write32(IOAPIC_INDEX_GPA, 0x11 + 2 * gsi);
    mmio_write32(IOAPIC_DATA_GPA, 0); /* to APIC id 0 */
    mmio_write32(IOAPIC_INDEX_GPA, 0x10 + 2 * gsi);
    mmio_write32(IOAPIC_DATA_GPA, vector); /* fixed, edge, high, not masked */
}

void rt_cpu_start(unsigned cpu, void (*entry)(unsigned cpu))
{
    CHECK(cpu > 0 && cpu < RT_CPUS);
    memcpy((void *)(uintptr_t)AP_GPA, rt_ap_code, (size_t)(rt_ap_code_end - rt_ap_code));
    entries[cpu] = entry;
    mmio_write32(LAPIC_ICR_HIGH, cpu << 24);
    mmio_write32(LAPIC_ICR_LOW, ICR_INIT);
    mmio_write32(LAPIC_ICR_HIGH, cpu << 24);
    mmio_write32(LAPIC_ICR_LOW, ICR_STARTUP | AP_GPA >> 12);
}

_Noreturn void rt_main(unsigned cpu);

/* Every CPU comes here, at level 3. */
void rt_main(unsigned cpu)
{
    if (cpu == 0) {
        idt_fill();
        rt_exit((uint8_t)main());
    }
    entries[cpu](cpu);
    for (;;)
        pause();
}
