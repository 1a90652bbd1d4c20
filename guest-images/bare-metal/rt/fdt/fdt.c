// SPDX-License-Identifier: BSD-2-Clause
#include "rt.h"

/* Devicetree Specification 0.4, 5.2 and 5.4 */
#define MAGIC 0xd00dfeed
enum { HEADER_MAGIC = 0, HEADER_STRUCT = 8, HEADER_STRINGS = 12 };
enum { BEGIN_NODE = 1, END_NODE, PROPERTY, NOTHING };

const uint8_t *rt_tree;

/* What the compiler may call by itself. */
void *memcpy(void *restrict dst, const void *restrict src, size_t bytes);
void *memset(void *dst, int value, size_t bytes);

void *memcpy(void *restrict dst, const void *restrict src, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        ((uint8_t *)dst)[i] = ((const uint8_t *)src)[i];
        __asm__ volatile("" : : : "memory"); /* not a call of itself */
    }
    return dst;
}

void *memset(void *dst, int value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        ((uint8_t *)dst)[i] = (uint8_t)value;
        __asm__ volatile("" : : : "memory");
    }
    return dst;
}

static uint32_t number(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b)
        a++, b++;
    return *a == *b;
}

/* Only /chosen has such a property. */
const char *rt_cmdline(void)
{
    CHECK(number(rt_tree + HEADER_MAGIC) == MAGIC);
    const char *names = (const char *)rt_tree + number(rt_tree + HEADER_STRINGS);
    for (uint32_t at = number(rt_tree + HEADER_STRUCT);; at = (at + 3) & ~3u) {
        uint32_t token = number(rt_tree + at);
        at += 4;
        if (token == BEGIN_NODE) {
            while (rt_tree[at++] != '\0')
                ;
        } else if (token == PROPERTY) {
            if (equal(names + number(rt_tree + at + 4), "bootargs"))
                return (const char *)rt_tree + at + 8;
            at += 8 + number(rt_tree + at);
        } else if (token != END_NODE && token != NOTHING) {
            return "";
        }
    }
}

void rt_exit(uint8_t status)
{
    for (;;)
        mmio_write8(DEBUG_EXIT_GPA, status);
}

void rt_break(void)
{
    rt_power_off();
}

void rt_cpu_init(void)
{
}

void rt_irq_wait(const volatile uint32_t *count, uint32_t seen)
{
    irq_mask();
    while (*count == seen) {
        irq_idle(); /* masked interrupts end that, too */
        irq_unmask();
        irq_mask();
    }
    irq_unmask();
}
