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

int main(void)
{
    CHECK(holds(rt_cmdline(), "hello"));
    stamp('h');
    rt_puts("hello\n");
    return 0;
}
