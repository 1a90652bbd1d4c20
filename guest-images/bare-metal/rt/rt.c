// SPDX-License-Identifier: BSD-2-Clause
#include "rt.h"

static void (*volatile entries[RT_CPUS])(unsigned cpu);
static void (*handlers[RT_VECTORS])(unsigned vector);

void rt_puts(const char *text)
{
    while (*text != '\0')
        serial_out(0, (uint8_t)*text++);
}

void rt_put_hex(uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        serial_out(0, (uint8_t) "0123456789abcdef"[value >> shift & 15]);
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

void rt_unexpected(uint64_t vector, uint64_t error, uint64_t pc)
{
    rt_puts("unexpected vector ");
    rt_put_hex(vector);
    rt_puts(" error ");
    rt_put_hex(error);
    rt_puts(" pc ");
    rt_put_hex(pc);
    rt_puts("\n");
    rt_exit(EXIT_EXCEPTION);
}

void rt_irq_handler(unsigned vector, void (*handler)(unsigned vector))
{
    CHECK(vector >= RT_VECTOR_MIN && vector < RT_VECTORS);
    handlers[vector] = handler;
}

bool rt_irq_take(unsigned vector)
{
    if (vector >= RT_VECTORS || handlers[vector] == NULL)
        return false;
    handlers[vector](vector);
    return true;
}

void rt_cpu_start(unsigned cpu, void (*entry)(unsigned cpu))
{
    CHECK(cpu > 0 && cpu < RT_CPUS);
    entries[cpu] = entry;
    rt_cpu_boot(cpu);
}

/* Every CPU comes here. */
void rt_main(unsigned cpu)
{
    if (cpu == 0) {
        rt_cpu_init();
        rt_exit((uint8_t)main());
    }
    entries[cpu](cpu);
    for (;;)
        pause();
}
