// SPDX-License-Identifier: BSD-2-Clause
/* Comes up, finds what it was told at power-on, says hello. */
#include "rt.h"

static bool starts_with(const char *text, const char *start)
{
    while (*start != '\0' && *text == *start)
        text++, start++;
    return *start == '\0';
}

/* Words that Linux is given by default may come first. */
static bool holds(const char *text, const char *words)
{
    while (*text != '\0' && !starts_with(text, words))
        text++;
    return *text != '\0';
}

static uint32_t leaf1[4], hypervisor[4];

void rt_level0(unsigned cpu)
{
    (void)cpu;
    cpuid(1, 0, leaf1);
    cpuid(0x40000000, 0, hypervisor);
}

int main(void)
{
    const uint32_t *r = hypervisor;
    CHECK(rt_start_info->magic == START_INFO_MAGIC);
    CHECK(rt_start_info->memmap_count > 0);
    CHECK(holds((const char *)rt_start_info->cmdline_gpa, "hello"));
    CHECK(leaf1[2] >> 31 == 1);                                      /* a hypervisor is there */
    CHECK(leaf1[1] >> 24 == 0);                                      /* APIC id */
    CHECK(r[1] == 0x4b4d564b && r[2] == 0x564b4d56 && r[3] == 0x4d); /* KVMKVMKVM */
    stamp('h');
    rt_puts("hello\n");
    return 0;
}
